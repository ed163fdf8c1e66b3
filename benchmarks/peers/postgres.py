"""A PostgreSQL cluster for one measurement, with the settings that the distribution ships.

PostgreSQL refuses to run as root: there it runs as the user that its package made, or as nobody.
"""

import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg

from benchmarks.peers.servers import LOOPBACK, Absent, free_port, program, serving

__all__ = ["cluster"]

_USERS: Final = ("postgres", "nobody")
_WANTED: Final = "on Debian or Ubuntu: apt-get install postgresql"
_NAME: Final = "bench"


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """Give the URL of an empty database until the block ends. Raises `Absent`."""
    beside = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), reverse=True
    )  # Debian's, newest first
    initdb = program("initdb", beside=beside, wanted=_WANTED)
    postgres = program("postgres", beside=[Path(initdb).parent], wanted=_WANTED)
    data, port = folder / "postgres", free_port()
    data.mkdir(mode=0o700)
    user = _given_to(data)
    folder.chmod(0o711)  # whoever the server runs as has to pass through
    made = subprocess.run(
        [initdb, "-D", str(data), "-U", _NAME, "--auth=trust", "--encoding=UTF8", "--locale=C"],
        cwd="/",
        user=user,
        extra_groups=[] if user else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise RuntimeError(f"initdb as {user or 'this user'}: {made.stderr.strip()}")
    url = f"postgresql://{_NAME}@{LOOPBACK}:{port}/postgres"
    command = [postgres, "-D", str(data), "-h", LOOPBACK, "-p", str(port), "-k", ""]
    with serving(command, folder, lambda: _answers(url), end=signal.SIGINT, user=user):
        yield url


def _given_to(data: Path) -> str | None:
    """Give the folder to whom the server runs as; return the name, or None if that is this user."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    user = next((name for name in _USERS if name in known), None)
    if user is None:
        raise Absent(f"PostgreSQL does not run as root, and none of {_USERS} exists here")
    entry = pwd.getpwnam(user)
    os.chown(data, entry.pw_uid, entry.pw_gid)
    return user


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=1):
            return True
    except psycopg.OperationalError:
        return False
