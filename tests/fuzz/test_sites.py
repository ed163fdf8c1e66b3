"""The list of decoders is complete, and every target on it is worth a search."""

from pathlib import Path

import pytest

from tests.fuzz.sites import OURS, SITES, decoding_calls
from tests.fuzz.target import Target, examine
from tests.fuzz.targets import TARGETS, by_name


def test_every_call_that_decodes_is_on_the_list() -> None:
    listed = SITES.keys() | OURS.keys()
    found = set(decoding_calls())
    assert set() == found - listed, "give it a target, or say why it needs none (sites.py)"
    assert set() == listed - found, "no call like that is left"
    assert set() == SITES.keys() & OURS.keys()


def test_every_target_is_named_by_a_call_and_every_name_is_a_target() -> None:
    named = {name for names in SITES.values() for name in names}
    # A constructor, parts of what others read, and two numbers.
    direct = {"link", "record", "threshold", "tolerated", "blob", "recalled text"}
    assert by_name.keys() == named | direct
    assert len(by_name) == len(TARGETS)


def test_a_decoder_without_a_target_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text("def read(data):\n    return decode(data, Thing)\n")
    assert ["planted.py:read:decode"] == list(decoding_calls(tmp_path))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_each_search_begins_with_something_valid_and_finds_nothing_in_its_seeds(
    target: Target,
) -> None:
    accepted = [examine(target, data) for data in target.seeds]
    assert any(accepted)
