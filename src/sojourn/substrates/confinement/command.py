"""The command lines of a confined process: bubblewrap's, and those of the processes before and after it.

Source: bwrap(1). Its root is an empty file system in memory; what is not bound into it is not there. It has no
/proc and no /sys at all, and of devices those that give zeros, nothing or random bytes.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sojourn.substrates.confinement.entry import SCRATCH_AT
from sojourn.substrates.confinement.layers import Plan
from sojourn.substrates.confinement.view import View

__all__ = ["SCRATCH", "child_command", "environment", "wrapped"]

SCRATCH: Final = "/tmp"  # noqa: S108 (its own, in memory)
_FLAGS: Final = (
    *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup"),
    *("--hostname", "confined", "--die-with-parent", "--new-session"),
    *("--cap-drop", "ALL"),
)
_PASSED_ON: Final = ("LANG", "LC_ALL", "TZ")


def environment(view: View) -> dict[str, str]:
    """Return the whole environment of a confined process."""
    return {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        "HOME": SCRATCH,
        "TMPDIR": SCRATCH,
        "PYTHONPATH": os.pathsep.join(view.packages),
        # Sets of text are iterated in the order of their hashes: the same in every process, so that replays agree.
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MALLOC_ARENA_MAX": "4",  # each is reserved whole, and counts as mapped
    }


def child_command(view: View) -> tuple[str, ...]:
    """Return the command of the process that the agent's code runs in; the plan is to follow."""
    return (view.interpreter, "-P", "-s", "-S", "-u", "-m", "sojourn.substrates.confinement.child")


def wrapped(program: str, view: View, plan: Plan, command: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command that runs `command` by bubblewrap, the `program`, where it sees that view and no more."""
    return (program, *_FLAGS, *_identity(plan), *_files(view), "--", *command)


def _identity(plan: Plan) -> Iterator[str]:
    """Yield what lets the child give up the user that it comes as; it has no other capability."""
    if plan.is_root:
        yield from ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")


def _files(view: View) -> Iterator[str]:
    yield from ("--bind", SCRATCH_AT, SCRATCH)  # first: Python or Sojourn may be installed below it
    # Folders on the way: bubblewrap's own let only the user through that it runs as.
    shown = (*view.readable, *view.devices)
    above = {str(folder) for path in shown for folder in Path(path).parents}
    for folder in sorted(above - {"/"}):
        yield from ("--perms", "0755", "--dir", folder)
    for path in view.readable:
        yield from ("--ro-bind", path, path)
    for link, holds in view.links.items():
        yield from ("--symlink", holds, link)
    for device in view.devices:
        yield from ("--dev-bind", device, device)
    yield from ("--remount-ro", "/", "--chdir", "/")
