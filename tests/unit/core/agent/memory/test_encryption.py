"""Encrypted compartments as records know them, and the form of their blocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.agent.memory.blocks import links
from sojourn.core.agent.memory.encryption import EncryptedBlock, Encryption, parse_encrypted
from sojourn.core.agent.memory.field import (
    Compartment,
    Form,
    check_compartments,
    may_reside,
    may_travel,
)
from sojourn.core.base.digests import digest, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import BLOCK_BYTES_MAX
from sojourn.core.base.sharing import commit, scalar

KEY = Encryption(commitments=commit([scalar(b"\x01" * 64), scalar(b"\x02" * 64)]))
PLAIN = Compartment(form=Form.LOG, root=digest(b"root"))
SECRET = replace(PLAIN, encryption=KEY)
ERASED = replace(PLAIN, encryption=replace(KEY, is_erased=True))
digests = st.binary(min_size=32, max_size=32)


@given(key=digests, ciphertext=st.binary(max_size=200), below=st.lists(digests, max_size=5))
def test_a_block_is_read_as_it_was_written_and_shows_its_links(
    key: bytes, ciphertext: bytes, below: list[bytes]
) -> None:
    block = EncryptedBlock(key, ciphertext, tuple(below))
    data = block.to_bytes()
    assert block == parse_encrypted(data, digest(data))
    assert list(dict.fromkeys(below)) == links(data)


@pytest.mark.parametrize(
    ("plain", "reason"),
    [
        (["log/1", 0, [], []], "wrong-kind"),
        (["encrypted/2", bytes(32), b"", []], "unknown-version"),
        (["encrypted/1", bytes(32), b""], "bad-field"),
        (["encrypted/1", bytes(32), b"", [b"no link"]], "bad-field"),
        ({"encrypted/1": b""}, "wrong-kind"),
        (b"encrypted/1", "wrong-kind"),
    ],
)
def test_another_block_is_none(plain: object, reason: str) -> None:
    data = encode_block(plain)
    with pytest.raises(Rejected) as caught:
        parse_encrypted(data, digest(data))
    assert reason == caught.value.reason


def test_bytes_that_are_no_block_and_a_block_that_is_too_large_are_refused() -> None:
    with pytest.raises(Rejected):
        parse_encrypted(b"\xff", digest(b"\xff"))
    with pytest.raises(Rejected) as caught:
        EncryptedBlock(bytes(32), bytes(BLOCK_BYTES_MAX), ()).to_bytes()
    assert "too-large" == caught.value.reason


def test_links_of_a_block_are_digests_in_order_and_may_repeat() -> None:
    named = digest(b"below")
    block = EncryptedBlock(bytes(32), b"", (named, named))
    assert [link_to(named)] * 2 == [
        link_to(n) for n in parse_encrypted(block.to_bytes(), b"").links
    ]


def test_a_key_is_named_by_all_its_commitments_in_order() -> None:
    turned = Encryption(commitments=KEY.commitments[::-1])
    fewer = Encryption(commitments=KEY.commitments[:1])
    assert 3 == len({KEY.key, turned.key, fewer.key})
    assert KEY.key == replace(KEY, is_erased=True).key


def test_a_key_fits_the_zone_that_tolerates_as_many_as_give_it_less_one() -> None:
    KEY.check(1, where="key")
    for tolerated, encryption, reason in (
        (0, KEY, "bad-threshold"),
        (2, KEY, "bad-threshold"),
        (1, Encryption(commitments=(digest(b"no point"), KEY.commitments[1])), "bad-point"),
        (1, replace(KEY, is_erased=True), "bad-change"),
    ):
        with pytest.raises(Rejected) as caught:
            encryption.check(tolerated, where="key")
        assert reason == caught.value.reason


def test_an_encrypted_compartment_stays_where_it_may_reside() -> None:
    assert may_travel(PLAIN, ["EU"])
    assert not may_travel(SECRET, ["EU"])
    assert may_reside(SECRET, ["EU"])
    assert not may_travel(replace(PLAIN, residency=("US",)), ["EU"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (PLAIN, SECRET),
        (SECRET, PLAIN),
        (SECRET, ERASED),
        (ERASED, SECRET),
        (ERASED, replace(ERASED, root=digest(b"other"))),
    ],
)
def test_a_step_changes_no_key_and_nothing_that_was_erased(
    old: Compartment, new: Compartment
) -> None:
    with pytest.raises(Rejected) as caught:
        check_compartments({"a": old}, {"a": new})
    assert "bad-change" == caught.value.reason
    check_compartments({"a": old}, {"a": old})


def test_a_new_compartment_may_be_under_a_key_that_is_here_and_no_other() -> None:
    check_compartments({"a": SECRET}, {"a": SECRET, "b": SECRET})
    away = replace(SECRET, held_by=digest(b"elsewhere"))
    for before, made in ((PLAIN, SECRET), (away, SECRET), (ERASED, ERASED), (ERASED, SECRET)):
        with pytest.raises(Rejected) as caught:
            check_compartments({"a": before}, {"a": before, "b": made})
        assert "bad-change" == caught.value.reason
