"""One encoding for everything that is signed, stored or sent: DAG-CBOR, strictly canonical.

Structs go through MessagePack's builtins (both in C) to DAG-CBOR; bytes come back the same way and are
encoded again: whatever is not the canonical form of what it decodes to is rejected (protocol §1). So one
value has one encoding, and a digest of bytes is a digest of the value.

The codec is `cbrrr`: 2.1 µs to encode and 2.4 µs to decode a 1.5 KB map here. `libipld` is faster (0.7 and
1.3 µs) and was set aside: it writes any byte string that happens to parse as a CID as a link, so that two
implementations could name one value by two digests (docs/decisions/0002).

Source: the DAG-CBOR specification (strictness); RFC 8949 §4.2.
"""

from typing import Annotated, Any, Final, TypeVar, cast, dataclass_transform, overload

import cbrrr
import msgspec
from msgspec import Meta

from sojourn.core.base.digests import Digest, Link, digest
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import NESTING_DEPTH_MAX

__all__ = [
    "Count",
    "Digest",
    "Link",
    "Name",
    "PublicKey",
    "Signature",
    "Text",
    "Value",
    "bad_field",
    "decode",
    "decode_block",
    "digest_of",
    "encode",
    "encode_block",
    "shown",
]

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A non-negative integer below 2^63."""
Name = Annotated[str, Meta(min_length=1, max_length=128)]
"""A short name: of a compartment, an action, a realm."""
Text = Annotated[str, Meta(max_length=65_536)]
"""Prose or policy text."""
PublicKey = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""An Ed25519 public key, 32 bytes."""
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
"""An Ed25519 signature, 64 bytes."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class _ValueMeta(msgspec.StructMeta):
    """Makes every subclass of `Value` frozen, keyword-only and closed, and tells type checkers so."""

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **config: Any
    ) -> "_ValueMeta":
        settings = {"frozen": True, "kw_only": True, "forbid_unknown_fields": True} | config
        return super().__new__(mcls, name, bases, namespace, **settings)


class Value(msgspec.Struct, metaclass=_ValueMeta):
    """A frozen value with named, typed fields: the base of everything that is encoded.

    A value that is signed or stored by itself also has a tag (`tag_field="kind", tag="thing/1"`): its
    kind and format version, which are part of its bytes.
    """


T = TypeVar("T")


def encode(value: object) -> bytes:
    """Return the canonical DAG-CBOR of a `Value`, or of builtins without links."""
    return bytes(cbrrr.encode_dag_cbor(msgspec.msgpack.decode(msgspec.msgpack.encode(value))))


def digest_of(value: object) -> bytes:
    """Return the digest of a value's canonical encoding."""
    return digest(encode(value))


@overload
def decode(data: bytes, form: type[T], *, what: str, limit: int) -> T: ...
@overload
def decode(data: bytes, form: Any, *, what: str, limit: int) -> Any: ...
def decode(data: bytes, form: Any, *, what: str, limit: int) -> Any:
    """Return the value of type `form` whose canonical encoding is exactly `data`.

    Checks in this order: size against `limit` (bytes), DAG-CBOR, kind and version, fields and ranges, and
    that encoding the result gives `data` again. `what` names the thing in errors.

    Raises `Rejected` with reason "too-large", "malformed", "truncated", "unknown-version", "wrong-kind",
    "unknown-field", "bad-field" or "non-canonical".
    """
    try:
        plain = _parse(data, what, limit)
    except _TooDeep:
        # A list, where no value of ours begins as one: what is said of a shallow list is said of it, too.
        if data[:1] < b"\xa0":
            _check_kind([], form, what)
            raise bad_field("Expected `object`, got `array`", what) from None
        raise
    _check_kind(plain, form, what)
    try:
        value = msgspec.convert(plain, form, strict=True)
        canonical = _reencode(value, what)
    except msgspec.ValidationError as error:
        raise bad_field(str(error), what) from None
    except RecursionError:
        raise Rejected(f"the {what} is nested too deeply", reason="too-deep", where=what) from None
    if canonical != data:
        raise Rejected(f"the {what} is not in canonical form", reason="non-canonical", where=what)
    return value


def _reencode(value: Any, what: str) -> bytes:
    """Encode what was decoded: a type that allows anything lets in links and ints below -2^63."""
    try:
        return encode(value)
    except (TypeError, OverflowError) as error:
        raise Rejected(str(error), reason="bad-field", where=what) from None


def encode_block(value: Any) -> bytes:
    """Return the canonical DAG-CBOR of builtins that may hold links, floats and byte strings.

    Raises `Rejected` ("malformed" or "too-deep") for what `decode_block` would not read back.
    """
    _check_depth(value, "value")
    try:
        return cbrrr.encode_dag_cbor(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Rejected(f"cannot be encoded as DAG-CBOR: {error}", reason="malformed") from None


def decode_block(data: bytes, *, what: str, limit: int) -> Any:
    """Return the builtins (with `Link` objects) whose canonical encoding is exactly `data`.

    Raises `Rejected` as `decode` does, and "too-deep" beyond `NESTING_DEPTH_MAX` levels.
    """
    plain = _parse(data, what, limit)
    _check_depth(plain, what)
    if cbrrr.encode_dag_cbor(plain) != data:
        raise Rejected(f"the {what} is not in canonical form", reason="non-canonical", where=what)
    return plain


def _parse(data: bytes, what: str, limit: int) -> Any:
    if len(data) > limit:
        problem = f"the {what} has {len(data)} bytes, more than the limit of {limit}"
        raise Rejected(problem, reason="too-large", where=what)
    _check_claims(data, what)
    try:
        return cast("Any", cbrrr.decode_dag_cbor(data))
    except (ValueError, OverflowError, RecursionError, UnicodeDecodeError) as error:
        text = shown(str(error))
        if text.startswith("not enough bytes"):
            raise Rejected(f"the {what} ends too soon", reason="truncated", where=what) from None
        reason = "non-canonical" if "canonical" in text or "minimally" in text else "malformed"
        raise Rejected(f"the {what} is not DAG-CBOR: {text}", reason=reason, where=what) from None


_SHORT_HEADERS: Final = bytes(range(0x81, 0x98))
_LONG_HEADERS: Final = bytes(range(0x98, 0x9C))
_UNCHECKED_SLOTS_MAX: Final = 1 << 19
_UNCHECKED_SHORT_MAX: Final = 1 << 17


def _check_claims(data: bytes, what: str) -> None:
    """Raise `Rejected` ("truncated", "too-deep") if containers announce more than there is, or nest without end.

    The codec reserves a list for as many items as its header announces, before it reads them, and
    holds each header only against the bytes left: 64 KB of headers, each inside the one before,
    took 1.4 GB and 5 s, and 4 MiB of lists of one list 1.5 s. Here every item owed, on all levels, must
    find a byte, and no level may be too deep. The walk is slow (Python), so it is taken only where the bytes
    that could be long headers could together reserve more than 4 MiB, or more bytes could be short ones, with at
    most 23 slots each, than there are in a list of numbers of any kind.
    """
    if data[:1] < b"\x80":
        return  # not a container
    few_short_max = _UNCHECKED_SHORT_MAX + len(data) // 10
    few_short = len(data) <= few_short_max or _count(data, _SHORT_HEADERS) <= few_short_max
    if few_short and _count(data, _LONG_HEADERS) * len(data) <= _UNCHECKED_SLOTS_MAX:
        return
    owed, levels, at = 1, [1], 0
    depth_max = len(data) if few_short else NESTING_DEPTH_MAX + 1
    while 0 < owed <= len(data) - at:
        major, argument = data[at] >> 5, data[at] & 31
        at += 1
        if argument > 27:
            return  # malformed, or of indefinite length: the codec will stop here too
        if argument >= 24:  # the argument is in the next 1, 2, 4 or 8 bytes
            width = 1 << argument - 24
            argument = int.from_bytes(data[at : at + width], "big")
            at += width
        items = (0, 0, 0, 0, argument, 2 * argument, 1, 0)[major]
        owed += items - 1
        at += argument if major in (2, 3) else 0
        _enter(levels, items)
        if len(levels) > depth_max:
            raise _TooDeep(what)
    if owed:
        raise Rejected(f"the {what} ends too soon", reason="truncated", where=what)


def _count(data: bytes, headers: bytes) -> int:
    return len(data) - len(data.translate(None, headers))


def _enter(levels: list[int], items: int) -> None:
    """Count an item in the items left on each level, and open a level for those inside it."""
    levels[-1] -= 1
    levels.append(items)
    while levels and not levels[-1]:
        levels.pop()


class _TooDeep(Rejected):
    """Nested deeper than `NESTING_DEPTH_MAX` levels."""

    def __init__(self, what: str) -> None:
        problem = f"the {what} is nested deeper than {NESTING_DEPTH_MAX} levels"
        super().__init__(problem, reason="too-deep", where=what)


def _check_kind(plain: Any, form: Any, what: str) -> None:
    config = getattr(form, "__struct_config__", None)
    if config is None or config.tag is None:
        return
    found = plain.get(config.tag_field) if isinstance(plain, dict) else None
    if found == config.tag:
        return
    named = repr(shown(found)) if isinstance(found, str) else type(found).__name__
    if isinstance(found, str) and found.partition("/")[0] == config.tag.partition("/")[0]:
        problem = f"the {what} has format {named}; this version reads {config.tag!r}"
        raise Rejected(problem, reason="unknown-version", where=what)
    problem = f"the {what} is of kind {named}, not {config.tag!r}"
    raise Rejected(problem, reason="wrong-kind", where=what)


def bad_field(message: str, what: str) -> Rejected:
    """Return the error for what `msgspec` says of a part of `what`: its words may be a stranger's."""
    problem, _, path = message.rpartition(" - at `")
    if not problem:
        problem, path = message, "$"
    where = shown(path.rstrip("`").replace("$", what, 1))
    reason = "unknown-field" if problem.startswith("Object contains unknown") else "bad-field"
    if problem.startswith("Invalid value "):  # the tag of a part, or of a message among many
        reason = "wrong-kind"
    return Rejected(shown(problem), reason=reason, where=where)


def shown(text: str) -> str:
    """Return what may be a stranger's words as one short line of ASCII, fit for logs."""
    return text[:200].encode("unicode_escape").decode("ascii")


def _check_depth(plain: Any, what: str) -> None:
    level = [plain]
    for _ in range(NESTING_DEPTH_MAX):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise _TooDeep(what)
