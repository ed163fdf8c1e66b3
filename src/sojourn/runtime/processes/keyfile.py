"""Private keys in files: one small text format, readable by its owner alone.

    # A Sojourn private key. Keep it secret; never copy it to another machine.
    format = "sojourn-key/1"
    purpose = "anchor-identity"
    seed = "3q2+7w…="
    public = "a1b2…"

`seed` is an Ed25519 seed (RFC 8032 §5.1.5), 32 bytes in base64; `public` the key that follows from it, 32 bytes
in hexadecimal, so that damage is noticed. A file without `seed` is the public part, which anyone may have.
A key made for one purpose is not read for another.
"""

import base64
import os
import secrets
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from sojourn.core.base.errors import Misused
from sojourn.core.base.keys import KeyPair, is_acceptable_key
from sojourn.runtime.processes.files import make_directories, sync_directory

__all__ = [
    "Purpose",
    "make_key",
    "parse_public_key",
    "purpose_of",
    "read_key",
    "read_public_key",
    "write_key",
    "write_public_key",
]

FORMAT: Final = "sojourn-key/1"
PUBLIC_FORMAT: Final = "sojourn-public-key/1"
_FILE_BYTES_MAX: Final = 4096
_PRIVATE_FIELDS: Final = frozenset({"purpose", "seed", "public"})
_PUBLIC_FIELDS: Final = frozenset({"purpose", "public"})
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_PRIVATE_HEAD: Final = (
    "# A Sojourn private key. Keep it secret; never copy it to another machine.\n"
)
_PUBLIC_HEAD: Final = "# The public part of a Sojourn key: give it to whoever needs it.\n"


class Purpose(StrEnum):
    """What a key is for. One key has one purpose."""

    ANCHOR_IDENTITY = "anchor-identity"
    ANCHOR_VOTE = "anchor-vote"
    HOST = "host"
    OFFICER = "officer"
    PUBLISHER = "publisher"
    PERSON = "person"


def make_key(path: Path, purpose: Purpose) -> KeyPair:
    """Make a key from the system's randomness and keep it in a new file at `path`; return it.

    Raises `Misused` if there is such a file already, or it cannot be written.
    """
    pair = KeyPair(secrets.token_bytes(32))
    write_key(path, pair, purpose)
    return pair


def write_key(path: Path, pair: KeyPair, purpose: Purpose) -> None:
    """Keep a key in a new file that its owner alone may read (mode 0600).

    Raises `Misused` if there is such a file already: no key is ever overwritten.
    """
    seed = base64.b64encode(pair.seed).decode("ascii")
    fields = {
        "format": FORMAT,
        "purpose": purpose,
        "seed": seed,
        "public": pair.public.hex(),
    }
    _write_new(path, _PRIVATE_HEAD + _toml(fields), 0o600)


def read_key(path: Path, *purposes: Purpose) -> KeyPair:
    """Return the key in a file, which must be for one of `purposes`.

    Checks in order: that the file is there and nobody else may read it, its form, its purpose, and that seed
    and public key belong together. Raises `Misused` with one line that says which it was.
    """
    fields = _parse(path, _read_secret(path), FORMAT, _PRIVATE_FIELDS)
    _check_purpose(path, fields["purpose"], purposes)
    try:
        seed = base64.b64decode(fields["seed"], validate=True)
    except ValueError:  # no base64, or not even ASCII
        seed = b""
    if len(seed) != 32 or KeyPair(seed).public.hex() != fields["public"]:
        raise _damaged(path, "its seed and public key do not belong together")
    return KeyPair(seed)


def purpose_of(path: Path) -> Purpose:
    """Return what the key is for whose private or public part is in a file. Raises `Misused`."""
    text = _read(path)
    is_public = PUBLIC_FORMAT in text
    fields = (
        _parse(path, text, PUBLIC_FORMAT, _PUBLIC_FIELDS)
        if is_public
        else _parse(path, text, FORMAT, _PRIVATE_FIELDS)
    )
    if fields["purpose"] not in tuple(Purpose):
        raise _damaged(path, f"nothing is known of the purpose {fields['purpose'][:40]!r}")
    return Purpose(fields["purpose"])


def write_public_key(path: Path, public: bytes, purpose: Purpose) -> None:
    """Write the public part of a key. Raises `Misused` if the file exists or cannot be written."""
    fields = {"format": PUBLIC_FORMAT, "purpose": purpose, "public": public.hex()}
    _write_new(path, _PUBLIC_HEAD + _toml(fields), 0o644)


def read_public_key(path: Path, *purposes: Purpose) -> bytes:
    """Return the public key in a file of a key's public part, for one of `purposes` (none: for any).

    Raises `Misused` if the file is not there or is not one.
    """
    fields = _parse(path, _read(path), PUBLIC_FORMAT, _PUBLIC_FIELDS)
    _check_purpose(path, fields["purpose"], purposes or tuple(Purpose))
    return parse_public_key(fields["public"], what=f"the key in {path}")


def parse_public_key(text: str, *, what: str) -> bytes:
    """Return the public key whose hexadecimal digits are `text`. Raises `Misused`; `what` names it."""
    try:
        public = bytes.fromhex(text)
    except ValueError:
        public = b""
    if not is_acceptable_key(public):
        problem = f"{what} is no Ed25519 public key: {text[:80]!r}"
        raise Misused(problem, remedy="Give its 64 hexadecimal digits, as `sojourn keys show` does")
    return public


def _toml(fields: dict[str, str]) -> str:
    return "".join(f'{name} = "{value}"\n' for name, value in fields.items())


def _write_new(path: Path, text: str, mode: int) -> None:
    """Write a file that must not exist, whole and durably: a key that is half there is worse than none."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        make_directories(path.parent)
        with _draft(draft, text, mode):
            path.hardlink_to(draft)  # a link never takes the place of what is there
        sync_directory(path.parent)
    except FileExistsError:
        problem = f"{path} exists already, and keys are never overwritten"
        raise Misused(problem, remedy="Choose another name, or move that file away") from None
    except OSError as error:
        raise _unusable(path, error) from None


@contextmanager
def _draft(path: Path, text: str, mode: int) -> Iterator[None]:
    """Have the text in a file at `path`, forced to disk, while the block runs."""
    # O_EXCL: neither a file nor a link that somebody laid there is ever written through.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield
    finally:
        path.unlink()


def _read_secret(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise _unusable(path, error) from None
    if mode & _OTHERS:
        problem = f"others may read the private key {path} (mode {stat.S_IMODE(mode):04o})"
        raise Misused(problem, remedy=f"chmod 600 {path}, and think about who has read it")
    return _read(path)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_FILE_BYTES_MAX + 1).decode()
    except UnicodeDecodeError:
        raise _damaged(path, "it is not text") from None
    except OSError as error:
        raise _unusable(path, error) from None


def _parse(path: Path, text: str, form: str, names: frozenset[str]) -> dict[str, str]:
    try:
        fields: dict[str, Any] = tomllib.loads(text) if len(text) <= _FILE_BYTES_MAX else {}
    except tomllib.TOMLDecodeError as error:
        raise _damaged(path, str(error)) from None
    found = fields.pop("format", None)
    if found != form:
        raise _wrong_format(path, found, form)
    if set(fields) != names or not all(isinstance(value, str) for value in fields.values()):
        raise _damaged(path, f"it should have {', '.join(sorted(names))}")
    return fields


def _wrong_format(path: Path, found: object, form: str) -> Misused:
    if found in (FORMAT, PUBLIC_FORMAT):
        have, want = ("private", "public") if found == FORMAT else ("public", "private")
        problem = f"{path} is the {have} part of a key; the {want} part is needed here"
        return Misused(problem, remedy="Give the .pub file" if want == "public" else "Give the key")
    if isinstance(found, str) and found.startswith("sojourn-"):
        problem = f"{path} has format {found[:40]!r}; this version reads {form!r}"
        return Misused(problem, remedy="Use the version of sojourn that wrote it")
    return Misused(f"{path} is no Sojourn key file", remedy="Make one with `sojourn keys new`")


def _check_purpose(path: Path, found: str, purposes: tuple[Purpose, ...]) -> None:
    if found in purposes:
        return
    wanted = " or ".join(purposes)
    problem = f"{path} is a key for {found[:40]!r}; a key for {wanted} is needed here"
    raise Misused(problem, remedy="Use each key for its own purpose, or make one for this")


def _damaged(path: Path, how: str) -> Misused:
    return Misused(f"the key file {path} is damaged: {how}", remedy="Restore it from your own copy")


def _unusable(path: Path, error: OSError) -> Misused:
    if isinstance(error, FileNotFoundError):
        return Misused(
            f"there is no key file {path}", remedy="Check the name; keys are made by init"
        )
    return Misused(
        f"the key file {path} cannot be used: {error.strerror}", remedy="Check its path and owner"
    )
