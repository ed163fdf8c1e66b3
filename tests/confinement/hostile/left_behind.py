"""Attempts: what the host may have left lying about."""

import errno
import os
import stat
import sys

from trying import At, attempt


@attempt
def descriptors_it_inherited(at: At) -> object:
    files = []
    for descriptor in range(3, 200):
        try:
            kind = os.fstat(descriptor).st_mode
        except OSError:
            continue
        if not (stat.S_ISSOCK(kind) or stat.S_ISFIFO(kind) or stat.S_IFMT(kind) == 0):
            files.append(descriptor)
    if not files:
        raise OSError(errno.EBADF, "none but the line")
    return files


@attempt
def secrets_in_the_environment(at: At) -> object:
    found = [name for name in os.environ if "SECRET" in name]
    if not found:
        raise OSError(errno.ENOENT, "none")
    return found


@attempt
def modules_of_the_host(at: At) -> object:
    held = [name for name in sys.modules if name.startswith(("sojourn.host", "sojourn.anchor"))]
    if not held:
        raise OSError(errno.ENOENT, "none")
    return held
