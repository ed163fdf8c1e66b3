"""Blobs: what a mapping keeps of one, and values that only look like one."""

from typing import Any

import pytest

from sojourn.core.agent.memory.blobs import BlobEntry, is_blob, parse_blob
from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.memory.chunks import write
from sojourn.core.base.errors import Rejected
from tests.unit.core.agent.memory.shelf import LINK, Shelf


def test_an_entry_says_what_it_is() -> None:
    new = NewBlocks(Shelf())
    entry = BlobEntry(70_000, "text/plain", write(b"x" * 70_000, new))
    assert is_blob(entry.to_plain())
    assert parse_blob(entry.to_plain()) == entry
    assert entry.open(new).read(69_999) == b"x"


def test_an_entry_of_another_length_than_its_bytes_is_rejected() -> None:
    new = NewBlocks(Shelf())
    with pytest.raises(Rejected) as caught:
        BlobEntry(4, "", write(b"12345", new)).open(new)
    assert caught.value.reason == "wrong-length"


@pytest.mark.parametrize("plain", [None, {}, [], ["blob/1"], ["blob/1", 3], [1, LINK], "blob/1"])
def test_other_values_are_no_blobs(plain: Any) -> None:
    assert not is_blob(plain)
    with pytest.raises(Rejected):
        parse_blob(plain)


@pytest.mark.parametrize(
    ("plain", "reason"),
    [
        (["blob/2", LINK], "unknown-version"),
        (["blob/1", -1, "", LINK], "bad-field"),
        (["blob/1", True, "", LINK], "bad-field"),
        (["blob/1", 1, "x" * 128, LINK], "bad-field"),
        (["blob/1", "1", "", LINK], "wrong-kind"),
        (["blob/1", 1, "", b"x" * 32], "wrong-kind"),
    ],
)
def test_a_hostile_entry_is_rejected_by_name(plain: Any, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_blob(plain)
    assert caught.value.reason == reason
