"""The first process on the way to confinement: it dies with its host, and makes a user namespace.

Run as a file, by `python -I -S`, with a plan whose `command` it becomes in the end; it needs Python's library and
nothing else. In the namespace it is the user 0, over nothing but the namespace; outside of it that is the host's
own user, who has no other user there. If that is the machine's user 0, who is above limits and owns too much, the
namespace has a second user, the 1, whom nobody else on the machine has: the child becomes that one before it loads
anything. No namespace of users can be made in this one.

It also mounts the file system in memory that the agent writes to, with room for so many bytes and so many files:
bubblewrap bounds the bytes alone, and a million empty files take a gigabyte of the kernel's own memory.

Sources: user_namespaces(7), mount_namespaces(7), tmpfs(5).
"""

import ctypes
import json
import os
import signal
import sys
from typing import Any, Final

__all__ = ["SCRATCH_AT", "main"]

SCRATCH_AT: Final = "/sys"
"""Where bubblewrap finds what it is to show as /tmp: a folder that is everywhere, and holds nothing of Python's."""
_NEW_USERS: Final = 0x1000_0000
_NEW_MOUNTS: Final = 0x0002_0000
_MS_PRIVATE_BELOW: Final = 0x0004_4000
_MS_NO_DEVICES_PROGRAMS_OR_SETUID: Final = 0x0000_000E
_PR_SET_PDEATHSIG: Final = 1
_NOBODYS: Final = 0x7000_0000
"""Users from here on are nobody's; the process's number makes each one different."""


def main() -> None:
    """Become what the plan says. Ends with a line on standard error if that cannot be."""
    plan: dict[str, Any] = json.loads(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != plan["host"]:
        os._exit(1)
    if "namespaces" in plan["layers"]:
        _make_users(libc, is_root=plan["is_root"])
        _mount_scratch(libc, plan["bounds"])
    os.execv(plan["command"][0], plan["command"])  # noqa: S606 (no shell: that is the point)


def _make_users(libc: ctypes.CDLL, *, is_root: bool) -> None:
    """Go into a new user namespace. Its users are written from outside, by a child that stays there."""
    there, ready = os.pipe()
    process = os.getpid()
    users, groups = os.getuid(), os.getgid()
    writer = os.fork()
    if not writer:
        _write_users(there, process, users, groups, is_root=is_root)
    _check(libc.unshare(_NEW_USERS | _NEW_MOUNTS), "no user namespace can be made")
    os.write(ready, b"1")
    _, status = os.waitpid(writer, 0)
    if status:
        raise OSError("the users of the new namespace cannot be written")
    os.close(there)
    os.close(ready)
    _write("/proc/sys/user/max_user_namespaces", "0")


def _write_users(there: int, process: int, user: int, group: int, *, is_root: bool) -> None:
    """Wait for the namespace of a process, and say who is in it. Does not return."""
    status = 1
    try:
        os.read(there, 1)
        nobody = f"\n1 {_NOBODYS + process} 1" if is_root else ""
        if not is_root:
            _write(f"/proc/{process}/setgroups", "deny")  # or the groups cannot be written
        _write(f"/proc/{process}/uid_map", f"0 {user} 1{nobody}")
        _write(f"/proc/{process}/gid_map", f"0 {group} 1{nobody}")
        status = 0
    finally:
        os._exit(status)


def _mount_scratch(libc: ctypes.CDLL, bounds: dict[str, int]) -> None:
    """Mount what the agent may write to, where only this process and those after it see it."""
    done = libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_PRIVATE_BELOW), None)
    _check(done, "mounts cannot be made private")
    flags = ctypes.c_ulong(_MS_NO_DEVICES_PROGRAMS_OR_SETUID)
    room = f"size={bounds['scratch_bytes']},nr_inodes={bounds['scratch_files']},mode=1777"
    done = libc.mount(b"tmpfs", SCRATCH_AT.encode(), b"tmpfs", flags, room.encode())
    _check(done, "nothing can be mounted")


def _check(result: int, problem: str) -> None:
    if result:
        error = ctypes.get_errno()
        raise OSError(error, f"{problem}: {os.strerror(error)}")


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main()
