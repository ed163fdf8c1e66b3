"""Landlock: this process, and all that comes of it, may use the files named here and nothing else.

Sources: landlock(7), and Documentation/userspace-api/landlock.rst of the kernel, which says what each version of
the interface (ABI) knows. What a kernel does not know it cannot deny: a right that is not `handled` is not
restricted, so every one that this kernel knows is handled. TCP is denied from ABI 4 on; unix sockets with abstract
names and signals to processes outside from ABI 6 on.
"""

import ctypes
import os
import stat
from collections.abc import Iterable
from typing import Final

from sojourn.substrates.confinement.kernel import syscall

__all__ = ["abi", "restrict"]

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_VERSION: Final = 1
_PATH_BENEATH: Final = 1

_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_REMOVE_DIR: Final = 1 << 4
_REMOVE_FILE: Final = 1 << 5
_MAKE_DIR: Final = 1 << 7
_MAKE_REG: Final = 1 << 8
_TRUNCATE: Final = 1 << 14

_READ: Final = _READ_FILE | _READ_DIR
_SCRATCH: Final = (
    _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _TRUNCATE
)
_OF_FILES: Final = _READ_FILE | _WRITE_FILE | _TRUNCATE
"""The rights that a rule for a file, not a folder, may name; others are an error."""
_FILE_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights to files each ABI knows, from execution, bit 0, on; later ones know as many as the last."""
_TCP: Final = 0b11
_TCP_SINCE: Final = 4
_SCOPES: Final = 0b11
_SCOPES_SINCE: Final = 6


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # the only one with `_pack_`; Python 3.14 wants it said
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def abi() -> int:
    """Return the version of Landlock's interface here, 0 if there is none."""
    try:
        return syscall(_CREATE_RULESET, 0, 0, _VERSION)
    except OSError:
        return 0


def restrict(readable: Iterable[str], scratch: str | None) -> None:
    """Keep this process from all files but the `readable` ones, and what is below `scratch`, for good.

    No execution, no links, sockets, pipes or devices anywhere; no TCP. `no_new_privs` must have been set. Raises
    `OSError`.
    """
    version = abi()
    if version < 1:
        raise OSError("this kernel has no Landlock")
    handled = (1 << _FILE_RIGHTS[min(version, max(_FILE_RIGHTS))]) - 1
    ruleset = _create(version, handled)
    try:
        for path in readable:
            _allow(ruleset, path, _READ)
        _allow(ruleset, os.devnull, _READ_FILE | _WRITE_FILE)
        if scratch is not None:
            _allow(ruleset, scratch, _SCRATCH & handled)
        syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _create(version: int, handled: int) -> int:
    rules = _Ruleset(
        handled,
        _TCP if version >= _TCP_SINCE else 0,
        _SCOPES if version >= _SCOPES_SINCE else 0,
    )
    return syscall(_CREATE_RULESET, ctypes.byref(rules), ctypes.sizeof(rules), 0)


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Add a rule for a file, or for a folder and all below it."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        rule = _PathBeneath(rights, descriptor)
        syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)
