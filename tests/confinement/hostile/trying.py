"""Attempts of hostile agents, by name; and what several of them use.

An attempt that gets what it wants returns evidence of it; one that is stopped raises. `at` says where the canaries
are. Each is bounded: where nothing stops it, it harms nobody.
"""

import ctypes
import errno
import os
import platform
import threading
from collections.abc import Callable
from typing import Any

At = dict[str, Any]
ATTEMPTS: dict[str, Callable[[At], object]] = {}
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
_CALLS = {  # x86_64, aarch64
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "clone": (56, 220),
    "setns": (308, 268),
    "unshare": (272, 97),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "add_key": (248, 217),
    "keyctl": (250, 219),
    "userfaultfd": (323, 282),
    "personality": (135, 92),
    "reboot": (169, 142),
    "memfd_create": (319, 279),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "mq_open": (240, 180),
    "rt_sigqueueinfo": (129, 138),
    "io_uring_setup": (425, 425),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "openat2": (437, 437),
    "clone3": (435, 435),
    "sethostname": (170, 161),
    "capset": (126, 91),
    "inotify_init1": (294, 26),
    "inotify_add_watch": (254, 27),
    "memfd_secret": (447, 447),
    "prlimit64": (302, 261),
}


def attempt(act: Callable[[At], object]) -> Callable[[At], object]:
    """Add a kind of hostile agent, by its function's name."""
    ATTEMPTS[act.__name__] = act
    return act


def tried(name: str, at: At) -> str:
    """Return what an attempt got: evidence, or what stopped it."""
    try:
        evidence = ATTEMPTS[name]({**at, "victim": f"{at['victims']}/{name}"})
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    except Exception as error:
        return type(error).__name__
    return f"got: {evidence!r}"


def call(name: str, *arguments: Any) -> int:
    """Make a system call that Python has no function for."""
    number = _CALLS[name][platform.machine() == "aarch64"]
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = int(libc.syscall(ctypes.c_long(number), *words))
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def read(path: str) -> bytes:
    """Return a little of a file."""
    with open(path, "rb") as file:
        return file.read(64)


def weighed(act: Callable[[], object], *verdicts: int) -> object:
    """Return what an act returned, or that the kernel went so far as to weigh its arguments."""
    try:
        return act()
    except OSError as error:
        if error.errno in verdicts:
            return f"weighed: {error}"
        raise


def in_a_child(act: Callable[[], object]) -> str:
    """Do something in a forked process; raise what it could not do."""
    child = os.fork()
    if not child:
        status = 0
        try:
            act()
        except OSError as error:
            status = error.errno or 255
        except BaseException:
            status = 255
        os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) or os.WEXITSTATUS(status):
        raise OSError(os.WEXITSTATUS(status), "in a child")
    return "done"


def in_a_thread(act: Callable[[], object]) -> object:
    """Do something in a thread, whose end undoes it: a trace ends, capabilities are gone."""
    problems: list[OSError] = []

    def guarded() -> None:
        try:
            act()
        except OSError as error:
            problems.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
    return "done"
