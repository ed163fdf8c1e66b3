"""Digests and their names."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.base.digests import (
    ZERO,
    Digest,
    Link,
    cid_text,
    digest,
    link_digest,
    link_to,
    parse_cid_text,
    short,
)
from sojourn.core.base.encoding import Value, decode, encode_block
from sojourn.core.base.errors import Rejected

DIGESTS = st.binary(min_size=32, max_size=32)
TEXT = cid_text(digest(b"agent"))


def _reason(text: str) -> str:
    with pytest.raises(Rejected) as caught:
        parse_cid_text(text)
    return caught.value.reason


@given(DIGESTS)
def test_names_come_back(named: bytes) -> None:
    text = cid_text(named)
    assert named == parse_cid_text(text)
    assert text == text.lower()
    assert (59, "bafyrei") == (len(text), text[:7])  # version 1, DAG-CBOR, SHA-256
    assert text.endswith(short(named))
    assert 10 == len(short(named))


@given(DIGESTS, st.booleans())
def test_links_come_back(named: bytes, raw: bool) -> None:
    assert named == link_digest(link_to(named, raw=raw))
    assert link_to(named) != link_to(named, raw=True)


def test_a_digest_is_sha_256() -> None:
    assert hashlib.sha256(b"abc").digest() == digest(b"abc")
    assert (32, bytes(32)) == (len(ZERO), ZERO)


@pytest.mark.parametrize("position", range(len(TEXT)))
def test_a_name_with_one_character_changed_is_another_name_or_none(position: int) -> None:
    changes = {TEXT[:position] + each + TEXT[position + 1 :] for each in "abz27B0189=ü "} - {TEXT}
    assert digest(b"agent") not in {_named(changed) for changed in changes}


def _named(text: str) -> bytes | None:
    try:
        return parse_cid_text(text)
    except Rejected:
        return None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        "agent",
        TEXT.upper(),
        TEXT[:-1],
        TEXT + "a",
        TEXT + "=",
        TEXT + "\n",
        " " + TEXT,
        "z" + TEXT[1:],
        "Qm" + "1" * 44,  # version 0
        "bafkrei" + TEXT[7:],  # raw
        "bafyreß" + TEXT[7:],
        "b" * 100_000,
    ],
    ids=repr,
)
def test_any_other_text_is_rejected(text: str) -> None:
    assert "bad-link" == _reason(text)


@given(st.text(max_size=80))
def test_no_text_escapes(text: str) -> None:
    assert "bad-link" == _reason(text)
    assert "bad-link" == _reason("b" + text)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        bytes(link_to(ZERO))[:-1],
        bytes(link_to(ZERO)) + b"\0",
        b"\x12\x20" + ZERO,  # version 0
        b"\x01\x70\x12\x20" + ZERO,  # DAG-PB
        b"\x01\x71\x1e\x20" + ZERO,  # BLAKE3
        b"\x01\x71\x00\x20" + ZERO,  # identity
        b"\x02\x71\x12\x20" + ZERO,
    ],
    ids=bytes.hex,
)
def test_links_of_any_other_kind_are_rejected(data: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        link_digest(Link(data))
    assert "bad-link" == caught.value.reason


@pytest.mark.parametrize("size", [0, 31, 32, 33])
def test_a_digest_has_32_bytes(size: int) -> None:
    class Naming(Value):
        named: Digest

    data = encode_block({"named": bytes(size)})
    assert digest(data) != bytes(32)
    if size == 32:
        assert Naming(named=bytes(32)) == decode(data, Naming, what="x", limit=100)
        return
    with pytest.raises(Rejected) as caught:
        decode(data, Naming, what="x", limit=100)
    assert "bad-field" == caught.value.reason
