"""Encodings joined from those of their parts: a record differs from the one before in little, and is in much.

Canonical DAG-CBOR of a map is its keys in order, each with the encoding of its value, and nothing else: so what was
encoded once need not be encoded again where it is a part. The bytes are the same.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import cache, lru_cache
from typing import Final

import msgspec
from msgspec import UNSET

from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition
from sojourn.core.base.encoding import Value
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.messages import Proposal
from sojourn.core.quorum.votes import Ballot

__all__ = ["COMPOSED", "joined"]

COMPOSED: Final = frozenset({AgentRecord, Ballot, Certified, Chapter, Proposal, Transition})
"""The kinds of values that are worth it: their parts are large, or shared."""
_TEXTS_MAX: Final = 1024
_NULL: Final = b"\xf6"
_UNSIGNED, _BYTES, _TEXT, _MAP = 0x00, 0x40, 0x60, 0xA0


def joined(value: Value, encode: Callable[[object], bytes]) -> bytes:
    """Return the canonical encoding of a value; `encode` returns that of a part."""
    pieces: list[bytes] = []
    optional = _optional(type(value))
    absent = frozenset([name for name in optional if getattr(value, name) is UNSET])
    for key, name in _fields(type(value), absent):
        pieces.append(key)
        if name is None:
            continue
        part = getattr(value, name)
        kind = type(part)
        if kind is bytes:
            pieces += (_head(_BYTES, len(part)), part)
        elif kind is int and part >= 0:
            pieces.append(_head(_UNSIGNED, part))
        elif part is None:
            pieces.append(_NULL)
        elif kind is str or isinstance(part, StrEnum):
            pieces.append(_text(part))
        else:
            pieces.append(encode(part))
    return b"".join(pieces)


@cache
def _optional(kind: type[Value]) -> tuple[str, ...]:
    """Return the names of the fields that may be absent from the bytes."""
    return tuple(field.name for field in msgspec.structs.fields(kind) if field.default is UNSET)


@cache
def _fields(kind: type[Value], absent: frozenset[str]) -> tuple[tuple[bytes, str | None], ...]:
    """Return what stands before each field, and its name; the tag is no field, but there from the beginning."""
    fields = zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True)
    names: dict[str, str | None] = {key: name for key, name in fields if name not in absent}
    config = kind.__struct_config__
    if config.tag is not None:
        names[str(config.tag_field)] = None
    found = []
    before = _head(_MAP, len(names))
    for key in sorted(names, key=lambda key: (len(key), key)):
        before += _text(key)
        if names[key] is None:
            before += _text(str(config.tag))
            continue
        found.append((before, names[key]))
        before = b""
    return (*found, (before, None)) if before else tuple(found)


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return _SHORT[major][argument]
    for width, marker in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if argument < 1 << 8 * width:
            return bytes((major | marker,)) + argument.to_bytes(width, "big")
    raise OverflowError(argument)


_SHORT: Final = {
    major: tuple(bytes((major | argument,)) for argument in range(24))
    for major in (_UNSIGNED, _BYTES, _TEXT, _MAP)
}


@lru_cache(maxsize=_TEXTS_MAX)
def _text(text: str) -> bytes:
    data = text.encode()
    return _head(_TEXT, len(data)) + data
