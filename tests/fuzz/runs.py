"""Starts searches of `byte_level` and reads what they report."""

import importlib.util
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["LACKING", "Job", "Report", "search"]

ROOT: Final = Path(__file__).parents[2]
LACKING: Final = (
    ""
    if importlib.util.find_spec("atheris")
    else f"atheris has no wheel for Python {sys.version_info.major}.{sys.version_info.minor} on "
    f"{sys.platform}: the byte-level searches are left out, those with hypothesis run"
)
"""Why no search can be run here; empty where it can."""

_INPUT_SECONDS_MAX: Final = 30
_MEMORY_MIB_MAX: Final = 2048
_WORDS: Final = Path(__file__).with_name("words.dict")


@dataclass(frozen=True)
class Report:
    """What a search did: inputs run, seconds, [inputs, accepted] of each target, and what it found."""

    runs: int
    seconds: float
    targets: dict[str, list[int]]
    found: list[dict[str, str]]

    @property
    def per_second(self) -> float:
        """Inputs in a second."""
        return self.runs / max(self.seconds, 1e-3)

    def describe(self) -> str:
        """Return it on one line, and what was found on lines of its own."""
        lines = [f"{self.runs:,} inputs in {self.seconds:.1f} s ({self.per_second:,.0f} a second)"]
        lines += [f"  {f['finding']}\n    input: {f['data']}" for f in self.found]
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One search: its targets (none: all), and how many inputs or seconds it may take."""

    targets: tuple[str, ...] = ()
    runs: int | None = None
    seconds: int | None = None
    seed: int = 1
    canary: str = ""
    goes_on: bool = False
    """Whether to go on after something is found, and keep one of each."""

    def plain(self) -> dict[str, Any]:
        """Return it as `byte_level` reads it."""
        options = [f"-seed={self.seed}", f"-dict={_WORDS}", "-verbosity=0"]
        options += [f"-timeout={_INPUT_SECONDS_MAX}", f"-rss_limit_mb={_MEMORY_MIB_MAX}"]
        options += [f"-runs={self.runs}"] if self.runs else []
        options += [f"-max_total_time={self.seconds}"] if self.seconds else []
        return asdict(self) | {"options": options}


def search(*jobs: Job) -> list[Report]:
    """Do the jobs one after the other; return a report for each. What the searches learned is thrown away."""
    with tempfile.TemporaryDirectory(prefix="sojourn-fuzz-") as name:
        folder = Path(name)
        (folder / "jobs").write_text(json.dumps([job.plain() for job in jobs]))
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.byte_level", str(folder / "jobs")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [_read(folder / str(number)) for number in range(len(jobs))]


def _read(folder: Path) -> Report:
    """Return the report. A process that died (a crash of C code, a hang, no memory) is a finding too."""
    plain: dict[str, Any] = json.loads((folder / "report").read_text())
    said = (folder / "said").read_text(errors="replace")[-2000:]
    found = plain["found"]
    if int((folder / "status").read_text()) and not found:
        inputs = " ".join(path.read_bytes().hex() for path in folder.glob("input-*"))
        found = [{"target": "?", "finding": f"the process ended: {said}", "data": inputs}]
    return Report(plain["runs"], plain["seconds"], plain["targets"], found)
