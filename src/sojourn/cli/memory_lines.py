"""A compartment as a text file: a line of JSON about it, then one for each value; blobs are files beside it.

    {"sojourn_memory":1,"form":"mapping","labels":["pii"],...}
    {"key":"a","value":1}                      of a mapping
    {"key":"b","blob":"notes.jsonl.blobs/1.bin","media":"text/plain","bytes":9,"sha256":"..."}
    {"index":40,"value":"x"}                   of a log

What JSON cannot say is written as in DAG-JSON: bytes as {"/":{"bytes":"<base64>"}}, and of our own, a mapping with a
key "/" as {"/":{"entries":[[key, value], ...]}}. Nothing else has a key "/".
"""

import base64
import binascii
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sojourn.core.agent.memory.field import Form
from sojourn.core.base.digests import Link
from sojourn.core.base.encoding import shown
from sojourn.core.base.errors import Misused

__all__ = [
    "FORMAT",
    "MemoryHeader",
    "MemoryLine",
    "from_json",
    "line_of",
    "parse_header",
    "parse_line",
    "to_json",
]

FORMAT: Final = 1
_REMEDY: Final = "Import what `sojourn agent memory export` wrote, or lines like it"
F = TypeVar("F", bound=msgspec.Struct)


class MemoryHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line: which compartment of which agent this was, and by which certified version.

    `first` is the index of a log's first value: so many were trimmed. `root` names the content.
    """

    sojourn_memory: int
    form: Form
    labels: tuple[str, ...] = ()
    residency: tuple[str, ...] = ()
    compartment: str = ""
    agent: str = ""
    version: int = 0
    zone: str = ""
    root: str = ""
    first: int = 0
    count: int = 0


class MemoryLine(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A value: under a key, or at an index; or the file that a blob's bytes are in, by its path from here."""

    key: str | UnsetType = UNSET
    index: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    value: Any = UNSET
    blob: str | UnsetType = UNSET
    media: str = ""
    bytes: Annotated[int, Meta(ge=0)] = 0
    sha256: str = ""


def to_json(value: Any) -> Any:
    """Return a value of memory as JSON can say it. Raises `Misused` for a link, which has no meaning elsewhere."""
    if isinstance(value, bytes):
        return {"/": {"bytes": base64.b64encode(value).decode()}}
    if isinstance(value, list):
        return [to_json(inner) for inner in value]
    if isinstance(value, dict):
        if "/" in value:
            return {"/": {"entries": [[key, to_json(inner)] for key, inner in value.items()]}}
        return {key: to_json(inner) for key, inner in value.items()}
    if isinstance(value, Link):
        problem = "a value links to a block, which a text file cannot hold"
        raise Misused(problem, remedy="Export the whole agent: sojourn agent export")
    return value


def from_json(plain: Any) -> Any:
    """Return the value that `to_json` wrote. Raises `Misused` for what it never writes."""
    if isinstance(plain, list):
        return [from_json(inner) for inner in plain]
    if not isinstance(plain, dict):
        return plain
    if "/" not in plain:
        return {key: from_json(inner) for key, inner in plain.items()}
    match plain:
        case {"/": {"bytes": str(text), **rest}, **more} if not rest and not more:
            try:
                return base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                raise Misused(f"not base64: {text!a:.40}", remedy=_REMEDY) from None
        case {"/": {"entries": list(entries), **rest}, **more} if not rest and not more:
            pairs = [entry for entry in entries if isinstance(entry, list) and len(entry) == 2]
            keys = {pair[0] for pair in pairs if isinstance(pair[0], str)}
            if len(keys) == len(entries):
                return {key: from_json(inner) for key, inner in pairs}
    raise Misused(f'what has a key "/" is neither bytes nor entries: {plain!a:.60}', remedy=_REMEDY)


def line_of(line: MemoryHeader | MemoryLine) -> bytes:
    """Return a line, with its end."""
    return msgspec.json.encode(line) + b"\n"


def parse_header(data: bytes) -> MemoryHeader:
    """Return what the first line says. Raises `Misused`."""
    header = _parse(data, MemoryHeader)
    if header.sojourn_memory != FORMAT:
        problem = f"format {header.sojourn_memory} of memory; this version reads {FORMAT}"
        raise Misused(problem, remedy="Use a newer version of sojourn")
    return header


def parse_line(data: bytes) -> MemoryLine:
    """Return what another line says, its value as memory has it. Raises `Misused`."""
    line = _parse(data, MemoryLine)
    is_keyed, is_blob = line.key is not UNSET, line.blob is not UNSET
    if is_keyed == (line.index is not UNSET) or is_blob == (line.value is not UNSET):
        raise Misused(
            f"a line with neither key nor index, or no value: {data!r:.60}", remedy=_REMEDY
        )
    if is_blob and not is_keyed:
        raise Misused(f"a blob at an index of a log: {data!r:.60}", remedy=_REMEDY)
    return line if is_blob else msgspec.structs.replace(line, value=from_json(line.value))


def _parse(data: bytes, form: type[F]) -> F:
    try:
        return msgspec.json.decode(data, type=form)
    except (ValueError, RecursionError, OverflowError) as error:
        raise Misused(f"not a line of memory: {shown(str(error))}", remedy=_REMEDY) from None
