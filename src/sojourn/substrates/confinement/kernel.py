"""System calls that Python's library does not have, through the C library that is loaded already."""

import ctypes
import os
from typing import Any, Final

__all__ = ["capabilities", "forbid_new_privileges", "prctl", "syscall"]

_NO_NEW_PRIVS: Final = 38
"""PR_SET_NO_NEW_PRIVS: no program gives this process more than it has (prctl(2))."""
_GET_NO_NEW_PRIVS: Final = 39
_CAPABILITY_VERSION_3: Final = 0x20080522

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def syscall(number: int, *arguments: Any) -> int:
    """Make a system call; each argument is a `ctypes` value or an integer. Raises `OSError`."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def prctl(option: int, *arguments: int) -> int:
    """Ask something of the kernel about this thread (prctl(2)); what is not given is zero. Raises `OSError`."""
    words = [ctypes.c_ulong(a) for a in (*arguments, 0, 0, 0, 0)[:4]]
    result: int = _libc.prctl(ctypes.c_int(option), *words)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def forbid_new_privileges() -> None:
    """Have no program give this process more than it has, for good. Raises `OSError`."""
    prctl(_NO_NEW_PRIVS, 1)
    if prctl(_GET_NO_NEW_PRIVS) != 1:
        raise OSError("the kernel does not keep no_new_privs")


def capabilities() -> int:
    """Return this thread's capabilities, effective and permitted ones, as bits (capget(2)).

    Raises `OSError`.
    """
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    if _libc.capget(header, data):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(data[0] | data[1] | (data[3] | data[4]) << 32)
