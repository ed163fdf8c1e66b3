"""Ways in which the encoding of any value can be wrong, for every kind's invalid cases."""

from collections.abc import Iterator
from typing import Any

from sojourn.core.base.encoding import Value, decode_block, encode, encode_block
from tests.conformance.golden import Case, Pieces


def fields_of(value: Value) -> dict[str, Any]:
    """Return a value as the map that is encoded."""
    plain = decode_block(encode(value), what="sample", limit=1 << 24)
    assert isinstance(plain, dict)
    return plain


def with_fields(value: Value, changes: dict[str, Any]) -> bytes:
    """Return a value's encoding with some of its fields replaced or added."""
    return encode_block(fields_of(value) | changes)


def written_map(
    items: list[tuple[str, Any]], head: bytes | None = None, tail: bytes = b""
) -> bytes:
    """Return a map with these items in this order, under its own or another header."""
    assert len(items) < 24
    parts = [encode_block(key) + encode_block(value) for key, value in items]
    return (head or bytes([0xA0 + len(items)])) + b"".join(parts) + tail


def spoiled(value: Value, limit: int, *, where: str, optional: str = "") -> Iterator[Case]:
    """Yield the invalid cases that any kind has, made from one valid value.

    `limit` is the most bytes the kind may have, `where` its name in errors, `optional` a field that has a
    default and so must be written out all the same.
    """
    data, fields = encode(value), fields_of(value)
    items, count = list(fields.items()), len(fields)
    tag = type(value).__struct_config__.tag
    shapeless = "wrong-kind" if tag else "bad-field"
    tagged = {type(value).__struct_config__.tag_field} if tag else set()
    needed = next(key for key in fields if key not in {optional, *tagged})
    made: list[tuple[str, bytes | Pieces, str]] = [
        ("nothing", b"", "truncated"),
        ("cut in half", data[: len(data) // 2], "truncated"),
        ("cut by one byte", data[:-1], "truncated"),
        ("one byte too many", data + b"\0", "malformed"),
        ("twice", data + data, "malformed"),
        ("one byte larger than the limit", [(b"\0", limit + 1)], "too-large"),
        ("fields out of order", written_map(items[::-1]), "non-canonical"),
        ("a field twice", written_map([items[0], *items]), "non-canonical"),
        ("map length in two bytes", written_map(items, bytes([0xB8, count])), "non-canonical"),
        ("map of indefinite length", written_map(items, b"\xbf", b"\xff"), "malformed"),
        ("an unknown field", with_fields(value, {"surprise": 1}), "unknown-field"),
        (f"no {needed}", written_map([i for i in items if i[0] != needed]), "bad-field"),
        ("a list of the fields", encode_block([field for _, field in items]), shapeless),
        ("nested too deeply", [(b"\x81", limit - 1), (b"\xf6", 1)], shapeless),
        ("headers that promise more than there is", [(b"\x9a\0\0\1\0", limit // 5)], "truncated"),
    ]
    if optional:
        left_out = written_map([item for item in items if item[0] != optional])
        made.append((f"no {optional}, which has a default", left_out, "non-canonical"))
    if tag:
        made += _of_another_kind(value, tag)
    for name, spoilt, reason in made:
        at = {"where": where} if isinstance(spoilt, bytes) else {}
        yield Case(name=name, data=spoilt, expect={"reason": reason, **at})


def _of_another_kind(value: Value, tag: Any) -> list[tuple[str, bytes | Pieces, str]]:
    tag_field = str(type(value).__struct_config__.tag_field)
    name = str(tag).partition("/")[0]
    no_kind = {key: item for key, item in fields_of(value).items() if key != tag_field}
    return [
        ("no kind", encode_block(no_kind), "wrong-kind"),
        ("another kind", with_fields(value, {tag_field: "voucher/1"}), "wrong-kind"),
        ("a later version", with_fields(value, {tag_field: f"{name}/2"}), "unknown-version"),
        ("no version", with_fields(value, {tag_field: name}), "unknown-version"),
    ]
