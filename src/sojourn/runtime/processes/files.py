"""Files of people and processes: read within a bound, written whole or not at all, TOML as typed values."""

import errno
import json
import os
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.limits import MANIFEST_BYTES_MAX
from sojourn.core.zone.manifest import SignedManifest, load_manifest

__all__ = [
    "make_directories",
    "read_bounded",
    "read_kept_manifest",
    "read_manifest",
    "read_toml",
    "sync_directory",
    "to_toml",
    "write_atomically",
]

TOML_BYTES_MAX: Final = 1024 * 1024

T = TypeVar("T")


def read_bounded(path: Path, *, what: str, limit: int) -> bytes:
    """Return a file's bytes. `what` names it in errors, such as "manifest".

    Raises `Misused` if it cannot be read or has more than `limit` bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        problem = f"the {what} {path} cannot be read: {error.strerror}"
        raise Misused(problem, remedy="Check the path") from None
    if len(data) > limit:
        problem = f"the {what} {path} has more than {limit} bytes"
        raise Misused(problem, remedy="Give the right file")
    return data


def read_manifest(path: Path) -> SignedManifest:
    """Return the verified manifest in a file. Raises `Misused`, or `Rejected` for one that does not hold."""
    data = read_bounded(path, what="manifest", limit=MANIFEST_BYTES_MAX)
    try:
        return load_manifest(data)
    except Rejected as error:
        where = f"{path}: {error.where}"
        raise Rejected(error.problem, reason=error.reason, where=where) from None


def read_kept_manifest(path: Path) -> SignedManifest:
    """Return the manifest that a process keeps in its folder. Raises `Misused`: it was verified when it was kept."""
    try:
        return read_manifest(path)
    except Rejected as error:
        problem = f"the manifest {path} is damaged: {error.problem}"
        remedy = "Put the zone's own in its place: it is the same at every anchor, and public"
        raise Misused(problem, remedy=remedy) from None


def read_toml(path: Path, form: type[T], *, what: str) -> T:
    """Return a TOML file as a value of type `form`. Raises `Misused` with the place that is wrong."""
    data = read_bounded(path, what=what, limit=TOML_BYTES_MAX)
    try:
        return msgspec.convert(tomllib.loads(data.decode()), form)
    except msgspec.ValidationError as error:
        problem = str(error).replace(" - at `$.", ": `").replace(" - at `$`", "")
        raise Misused(f"{path}: {problem}", remedy=f"Correct this {what}") from None
    except (ValueError, RecursionError) as error:  # of syntax, UTF-8, numbers of 5,000 digits
        raise Misused(f"{path} is not TOML: {error}", remedy="Correct the syntax") from None


def to_toml(fields: Mapping[str, Any]) -> str:
    """Return flat settings as TOML: text, numbers, booleans, lists of these; None is left out."""
    # A JSON string or list of strings is also a TOML one.
    return "".join(
        f"{name} = {json.dumps(value, ensure_ascii=False)}\n"
        for name, value in fields.items()
        if value is not None
    )


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and durably: whoever reads it sees the old bytes or the new.

    So does who reads it after a power cut: once this returns, the new ones. Raises `Misused`.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        make_directories(path.parent)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        problem = f"{path} cannot be written: {error.strerror}"
        raise Misused(problem, remedy="Choose a place that you may write to") from None


def make_directories(path: Path) -> None:
    """Make a directory and those above it, as far as they are not there, durably. Raises `OSError`."""
    if path.is_dir():
        return
    if path.exists():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    make_directories(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Force the names in a directory to disk: to sync a file does not make its name durable. Raises `OSError`."""
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
