"""seccomp: the system calls that a Python interpreter needs to compute and to talk on one line, and no other.

Sources: seccomp(2), Documentation/userspace-api/seccomp_filter.rst and include/uapi/linux/bpf_common.h of the
kernel. The filter is a small program for the kernel's classic BPF machine; it sees the call's number and the
registers, never what they point to. What it answers:

    allowed     calls named here, some of them only with arguments named here
    ENOSYS      calls that libraries try and go without, and whatever is newer than this list
    EPERM       everything else
    killed      calls in another machine's convention, which would pass for other calls

Native code may be run, since that is what any extension module is. Nothing here counts on its absence.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable
from typing import Final, NamedTuple

from sojourn.substrates.confinement.kernel import prctl, syscall
from sojourn.substrates.confinement.syscalls import ARCHITECTURES, NEWEST, number

__all__ = ["install", "is_supported", "program"]

_FILES: Final = """
    read write readv writev pread64 pwrite64 lseek close close_range dup dup2 dup3 pipe pipe2 flock open openat
    stat lstat fstat newfstatat statx access faccessat faccessat2 readlink readlinkat getdents64 getcwd statfs
    fstatfs mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 ftruncate truncate fallocate fsync
    fdatasync fadvise64 umask
"""
"""Which files is for the other layers: a filter cannot see a path. No modes, owners, links or attributes."""
_MEMORY: Final = "munmap mremap mprotect madvise brk msync"
_THREADS: Final = """
    exit exit_group futex set_robust_list rseq sched_yield sched_getaffinity membarrier restart_syscall getcpu
"""
_SIGNALS: Final = """
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack pause
"""
_ABOUT_ITSELF: Final = """
    getpid gettid getppid getpgrp getpgid getsid getuid geteuid getgid getegid getresuid getresgid getgroups
    getrusage getpriority times sysinfo uname
"""
_TIME: Final = """
    clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time getitimer setitimer alarm
    timerfd_create timerfd_settime timerfd_gettime
"""
_WAITING: Final = """
    epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 poll ppoll select pselect6 eventfd2
"""
_LINE: Final = "recvfrom shutdown getsockopt getsockname getpeername getrandom"
_ALLOWED: Final = (
    _FILES + _MEMORY + _THREADS + _SIGNALS + _ABOUT_ITSELF + _TIME + _WAITING + _LINE
).split()
_TRIED: Final = [
    "clone3",
    "openat2",
    "pidfd_open",
    "copy_file_range",
    "memfd_create",
    "io_uring_setup",
    "process_madvise",
    "futex_waitv",
]

_CLONE_THREAD: Final = 0x0001_0000
_CLONE_NEW: Final = 0x7E02_0080
"""Every flag that asks for a namespace (clone(2))."""
_AF_UNIX: Final = 1
_SOCK_STREAM: Final = 1
_SOCK_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC
_FCNTL: Final = (0, 1, 2, 3, 4, 5, 6, 7, 1030, 36, 37, 38)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK to F_SETLKW, F_DUPFD_CLOEXEC, and the same locks by file."""
_IOCTL: Final = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""
_MMAP_UNCOUNTED: Final = (0x21, 0x100)
"""MAP_SHARED with MAP_ANONYMOUS, and MAP_GROWSDOWN: memory that no limit of data counts (mmap(2), getrlimit(2))."""
_PRCTL: Final = (15, 16, 21, 39)
"""PR_SET_NAME and PR_GET_NAME, of threads; PR_GET_SECCOMP and PR_GET_NO_NEW_PRIVS."""

_LOAD: Final = 0x20
_EQUAL: Final = 0x15
_GREATER: Final = 0x25
_AT_LEAST: Final = 0x35
_ANY_BIT: Final = 0x45
_AND: Final = 0x54
_RETURN: Final = 0x06
_ALLOW: Final = 0x7FFF_0000
_ERROR: Final = 0x0005_0000
_KILL: Final = 0x8000_0000
_NUMBER_AT: Final = 0
_MACHINE_AT: Final = 4
_ARGUMENTS_AT: Final = 16
_X32: Final = 0x4000_0000

_SET_MODE_FILTER: Final = 1
_ALL_THREADS: Final = 1
_GET_SECCOMP: Final = 21
_FILTERED: Final = 2


class _Step(NamedTuple):
    """One instruction: `yes` and `no` say how many of the following are skipped."""

    code: int
    value: int
    yes: int = 0
    no: int = 0


class _Is(NamedTuple):
    """The low 32 bits of an argument, without the bits of `but`, are one of these values."""

    argument: int
    values: tuple[int, ...]
    but: int = 0


class _Has(NamedTuple):
    """The low 32 bits of an argument have this bit, and none of `none`."""

    argument: int
    bit: int
    none: int


class _HasNot(NamedTuple):
    """The low 32 bits of an argument do not have all of these bits."""

    argument: int
    bits: int


class _IsNull(NamedTuple):
    """All 64 bits of an argument are zero."""

    argument: int


_Check = _Is | _Has | _HasNot | _IsNull


def is_supported() -> bool:
    """Tell whether the filter is known for this machine."""
    known = platform.machine() in ARCHITECTURES and sys.byteorder == "little"
    return known and struct.calcsize("P") == 8


def install() -> None:
    """Filter the calls of this process, all its threads and all that comes of it, for good.

    `no_new_privs` must have been set. Raises `OSError`.
    """
    if not is_supported():
        raise OSError(f"no filter is known for {platform.machine()}")
    machine = platform.machine()
    code = program(machine, os.getpid())
    buffer = ctypes.create_string_buffer(code, len(code))
    steps = struct.pack("=H6xQ", len(code) // 8, ctypes.addressof(buffer))
    filtering = number("seccomp", machine)
    assert filtering is not None
    syscall(filtering, _SET_MODE_FILTER, _ALL_THREADS, ctypes.c_char_p(steps))
    if prctl(_GET_SECCOMP) != _FILTERED:
        raise OSError("the kernel does not keep the filter")


def program(machine: str, process: int) -> bytes:
    """Return the filter for a machine, and for the process with this number, which may signal itself alone."""
    steps = [
        _Step(_LOAD, _MACHINE_AT),
        _Step(_EQUAL, ARCHITECTURES[machine], yes=1),
        _Step(_RETURN, _KILL),
        _Step(_LOAD, _NUMBER_AT),
    ]
    if machine == "x86_64":
        steps += [_Step(_AT_LEAST, _X32, no=1), _Step(_RETURN, _KILL)]
    for name in _ALLOWED:
        steps += _answer(name, machine, _ALLOW)
    for name, checks in _conditional(process).items():
        if (call := number(name, machine)) is not None:
            body = _body(checks)
            steps += [_Step(_EQUAL, call, no=len(body)), *body]
    for name in _TRIED:
        steps += _answer(name, machine, _ERROR | errno.ENOSYS)
    steps += [_Step(_GREATER, NEWEST, no=1), _Step(_RETURN, _ERROR | errno.ENOSYS)]
    steps.append(_Step(_RETURN, _ERROR | errno.EPERM))
    return b"".join(struct.pack("=HBBI", s.code, s.yes, s.no, s.value) for s in steps)


def _conditional(process: int) -> dict[str, tuple[_Check, ...]]:
    """Return what is allowed only with certain arguments; positions count from 0."""
    return {
        "clone": (_Has(0, _CLONE_THREAD, none=_CLONE_NEW),),
        "fcntl": (_Is(1, _FCNTL),),
        "ioctl": (_Is(1, _IOCTL),),
        "kill": (_Is(0, (process,)),),
        "tgkill": (_Is(0, (process,)),),
        "mmap": tuple(_HasNot(3, bits) for bits in _MMAP_UNCOUNTED),
        "prctl": (_Is(0, _PRCTL),),
        "prlimit64": (_Is(0, (0, process)), _IsNull(2)),
        "sendto": (_IsNull(4),),
        "socketpair": (_Is(0, (_AF_UNIX,)), _Is(1, (_SOCK_STREAM,), but=_SOCK_FLAGS)),
    }


def _answer(name: str, machine: str, answer: int) -> list[_Step]:
    call = number(name, machine)
    return [] if call is None else [_Step(_EQUAL, call, no=1), _Step(_RETURN, answer)]


def _body(checks: Iterable[_Check]) -> list[_Step]:
    """Return the steps that allow a call if all checks pass, and refuse it if one does not."""
    body = [_Step(_RETURN, _ALLOW)]
    for check in reversed(list(checks)):
        body = [*_steps(check, len(body)), *body]
    return [*body, _Step(_RETURN, _ERROR | errno.EPERM)]


def _steps(check: _Check, following: int) -> list[_Step]:
    """Return the steps of a check, which go on if it passes and skip the `following` ones if not."""
    low = _Step(_LOAD, _ARGUMENTS_AT + 8 * check.argument)
    match check:
        case _Is(values=values, but=but):
            masked = [_Step(_AND, 0xFFFF_FFFF & ~but)] if but else []
            *others, last = values
            tests = [_Step(_EQUAL, v, yes=len(others) - i) for i, v in enumerate(others)]
            return [low, *masked, *tests, _Step(_EQUAL, last, no=following)]
        case _Has(bit=bit, none=none):
            return [
                low,
                _Step(_ANY_BIT, bit, no=following + 1),
                _Step(_ANY_BIT, none, yes=following),
            ]
        case _HasNot(bits=bits):
            return [low, _Step(_AND, bits), _Step(_EQUAL, bits, yes=following)]
        case _IsNull():
            high = low._replace(value=low.value + 4)
            return [low, _Step(_EQUAL, 0, no=following + 2), high, _Step(_EQUAL, 0, no=following)]
