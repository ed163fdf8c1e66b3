"""A watched process: each change of a file is told, in order, with its bytes; and can be stopped."""

import errno
import os
import re
import shutil
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.disk import Disk
from tests.crash.seccomp import can_watch
from tests.crash.watching import KILL, Change, Verdict, Watch
from tests.crash.zygote import ROOT

pytestmark = pytest.mark.skipif(bool(can_watch()), reason=can_watch() or "it can")

COMMITS = 60
CALLS = (
    "write,pwrite64,fsync,fdatasync,ftruncate,truncate,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,"
    "link,linkat,openat"
)
KINDS = {
    "write": "write", "pwrite64": "write", "fsync": "sync", "fdatasync": "sync", "ftruncate": "cut",
    "truncate": "cut", "rename": "rename", "unlink": "unlink", "unlinkat": "unlink", "mkdir": "mkdir",
    "mkdirat": "mkdir", "link": "link", "linkat": "link", "openat": "make",
}  # fmt: skip


def command(folder: Path, *more: str) -> list[str]:
    return [sys.executable, "-P", "-m", "tests.crash.commits", str(folder), str(COMMITS), *more]


def environment() -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def files_in(folder: Path) -> dict[str, bytes | None]:
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {name: None if path.is_dir() else path.read_bytes() for name, path in paths.items()}


def unshared(files: dict[str, bytes | None]) -> dict[str, bytes | None]:
    """Return files but the log's index, which SQLite writes by way of memory."""
    return {name: data for name, data in files.items() if not name.endswith("-shm")}


def watched(folder: Path, judge: Verdict = None, at: int = 0) -> tuple[Watch, int]:
    """Run the process under watch, with a verdict for one change; return the watch and the exit code."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with subprocess.Popen(
        command(folder, str(far.fileno())),
        pass_fds=[far.fileno()],
        env=environment(),
        stderr=subprocess.DEVNULL,
    ) as process:
        far.close()
        _, [listener], _, _ = socket.recv_fds(near, 1, 1)
        near.close()
        watch = Watch(listener, process.pid, folder, lambda n, _: judge if n == at else None)
        code = process.wait(60)
        watch.finish()
    return watch, code


def test_changes_are_told_with_their_bytes(tmp_path: Path) -> None:
    """A disk that is told of all changes holds what the folder holds: nothing was missed, nothing misread."""
    disk = Disk(tmp_path)
    watch, code = watched(tmp_path)
    assert code == 0
    for change in watch.changes:
        disk.do(change)
    assert unshared(disk.live()) == unshared(files_in(tmp_path))
    assert {change.kind for change in watch.changes} >= {*KINDS.values()}


def test_the_same_changes_are_told_as_strace_sees(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt-get install strace")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    watch, _ = watched(tmp_path / "a")
    log = tmp_path / "strace"
    tracing = ["strace", "-f", "-y", "-o", str(log), "-e", f"trace={CALLS}"]
    subprocess.run([*tracing, *command(tmp_path / "b")], env=environment(), check=True)
    told = Counter(change.kind for change in watch.changes if "store.lock" not in change.path.name)
    assert told == seen_by_strace(log.read_text(), tmp_path / "b")


def seen_by_strace(log: str, folder: Path) -> Counter[str]:
    """Count the changes below a folder in what strace says; a call that failed changed nothing."""
    found: Counter[str] = Counter()
    made: set[str] = set()
    for line in log.splitlines():
        call = re.match(r"\d+ +(\w+)\((.*)", line)
        if call is None or f"{folder}" not in line or "store.lock" in line or "= -1" in line:
            continue
        name, arguments = call.groups()
        if name == "openat":
            path = arguments.split('"')[1]
            if "O_CREAT" not in arguments or path in made:
                continue
            made.add(path)
        if name in ("unlink", "rename"):
            made.discard(arguments.split('"')[1])
        found[KINDS[name]] += 1
    return found


def test_a_process_is_killed_exactly_there(tmp_path: Path) -> None:
    watch, code = watched(tmp_path, KILL, at=20)
    assert code == -9
    assert len(watch.changes) == 20
    at = watch.killed_at
    assert at is watch.changes[-1]
    (before := tmp_path.with_name("before")).mkdir()
    disk = Disk(before)
    disk.root = tmp_path
    for change in watch.changes[:-1]:
        disk.do(change)
    assert unshared(disk.live()) == unshared(files_in(tmp_path))


def test_a_change_fails_as_told(tmp_path: Path) -> None:
    def first(kind: str, changes: list[Change]) -> int:
        return next(number for number, change in enumerate(changes, 1) if change.kind == kind)

    for name in ("once", "again"):
        (tmp_path / name).mkdir()
    watch, _ = watched(tmp_path / "once")
    rename = first("rename", watch.changes)
    _, code = watched(tmp_path / "again", errno.ENOSPC, at=rename)
    assert code == 1
    assert not (tmp_path / "again" / "store" / "store.sqlite").exists()
