"""Trimmed logs: against a list; one root for one content; proofs that outlive the trim; hostile blocks."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sojourn.core.agent.memory.blocks import MissingBlock, NewBlocks, missing_closure
from sojourn.core.agent.memory.log import FAN_OUT, Log
from sojourn.core.agent.memory.proofs import goes_on_from, prove_value, proved_value
from sojourn.core.base.digests import ZERO, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Misused, Rejected
from tests.unit.core.agent.memory.shelf import Shelf, forged, under

LEAF, BRANCH = FAN_OUT, FAN_OUT**2


def saved(log: Log, shelf: Shelf) -> Log:
    new = NewBlocks(shelf)
    kept = log.commit(new)
    shelf.save(new)
    return Log.load(kept.root, shelf)


def counted(shelf: Shelf, length: int, first: int = 0) -> Log:
    """A saved log of the numbers up to `length`, trimmed before `first`."""
    return saved(Log.load(ZERO, shelf).extend(range(length)).trim(first), shelf)


def untrimmed(log: Log) -> bytes:
    return log.untrimmed(NewBlocks(log._source))


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(["append", "trim", "save"]), st.integers(0, 400)), max_size=10
    )
)
def test_section_10_25_trimmed_and_appended_in_any_order_is_one_root(
    acts: list[tuple[str, int]],
) -> None:
    shelf = Shelf()
    log, length, first = Log.load(ZERO, shelf), 0, 0
    for act, number in acts:
        if act == "append":
            log = log.extend(range(length, length + number))
            length += number
        elif act == "trim":
            first = max(first, min(number, length))
            log = log.trim(min(number, length))
        else:
            log = saved(log, shelf)
    assert (length, first) == (len(log), log.first)
    assert list(range(first, length)) == list(log)
    kept = saved(log, shelf)
    assert kept.root == counted(Shelf(), length, first).root
    assert untrimmed(kept) == counted(Shelf(), length).root


@pytest.mark.parametrize("length", [LEAF, BRANCH, 5 * BRANCH + 3 * LEAF + 7, 4096 + 40])
def test_what_is_trimmed_is_no_longer_below_the_root(length: int) -> None:
    for first in (LEAF - 1, LEAF, length // 2, length - 1, length):
        shelf = Shelf()
        log = counted(shelf, length, first)
        copy = Shelf()
        for named in missing_closure(log.root, copy.have, shelf):
            copy.take(named, shelf.blocks[named])
        assert list(range(first, length)) == list(Log.load(log.root, copy))
        kept = [copy.plain(named)[1] for named in under(copy, log.root)]
        stored = sum(FAN_OUT for values in kept if isinstance(values, list))
        assert stored <= length - first + FAN_OUT - 1


def test_indices_stay_and_what_was_trimmed_is_said_to_be() -> None:
    log = counted(Shelf(), 100, 40)
    assert (100, 40, 40, 99) == (len(log), log.first, log.get(40), log.get(99))
    assert [40, 41] == list(log.slice(0, 42)) and [] == list(log.slice(3, 9))
    for index in (0, 39):
        with pytest.raises(IndexError, match=f"value {index} was trimmed: the log begins with 40"):
            log.get(index)
    with pytest.raises(IndexError, match="index 100 of a log of 100"):
        log.get(100)


def test_a_trim_changes_neither_the_handle_nor_what_is_gone_already() -> None:
    log = counted(Shelf(), 100, 40)
    assert log.trim(60).first == 60
    assert log.first == 40 and log.trim(40) is log and log.trim(3) is log
    for first in (-1, 101):
        with pytest.raises(Misused, match="a log of 100 values cannot begin"):
            log.trim(first)


def test_a_trim_reads_the_way_to_the_border_and_writes_it() -> None:
    shelf = Shelf()
    log = counted(shelf, 20 * BRANCH)
    shelf.reads.clear()
    new = NewBlocks(shelf)
    log.trim(17 * BRANCH + 100).commit(new)
    assert len(shelf.reads) <= 3
    assert len(new.made) <= 3, "the root and a cut branch of each height"


def test_section_10_25_what_remains_and_what_was_trimmed_can_be_proved_after_a_trim() -> None:
    before = Shelf()
    old = counted(before, 3 * BRANCH + 5)
    after = Shelf()
    trimmed = saved(Log.load(old.root, before).trim(BRANCH + 40).extend(["x"] * 30), before)
    for named in missing_closure(trimmed.root, after.have, before):
        after.take(named, before.blocks[named])

    proof = prove_value(trimmed.root, BRANCH + 50, after)
    assert BRANCH + 50 == proved_value(trimmed.root, BRANCH + 50, proof)
    assert len(proof) <= 3
    with pytest.raises(MissingBlock):
        prove_value(trimmed.root, 7, after)
    for index in (7, BRANCH + 35):
        for root in (old.root, trimmed.root):  # whoever kept the blocks proves it by either
            assert index == proved_value(root, index, prove_value(root, index, before))
    with pytest.raises(Rejected) as caught:
        proved_value(trimmed.root, 7, prove_value(trimmed.root, 7, before)[:-1])
    assert ("incomplete", "proof") == (caught.value.reason, caught.value.where)


def test_section_10_25_an_auditor_tells_a_trim_from_a_change() -> None:
    shelf = Shelf()
    old = counted(shelf, 3 * BRANCH + 5)
    only_trimmed = saved(old.trim(BRANCH + 40), shelf)
    grown = saved(only_trimmed.extend(range(900)), shelf)
    known = (
        Shelf()
    )  # neither what was trimmed nor anything else than what the newest root needs, and the roots
    for root in (only_trimmed.root, grown.root):
        for named in missing_closure(root, known.have, shelf):
            known.take(named, shelf.blocks[named])
    known.blocks[old.root] = shelf.blocks[old.root]
    assert goes_on_from(only_trimmed.root, old.root, known)
    assert goes_on_from(grown.root, only_trimmed.root, shelf)
    assert goes_on_from(grown.root, old.root, shelf)
    assert not goes_on_from(old.root, grown.root, shelf)
    assert not goes_on_from(old.root, only_trimmed.root, shelf), "what is trimmed stays trimmed"

    for changed in (
        [*range(5), "other", *range(6, 3 * BRANCH + 5)],
        [*range(3 * BRANCH + 4), "other"],
        [*range(BRANCH), "other", *range(BRANCH + 1, 4 * BRANCH)],
    ):
        liar = saved(Log.load(ZERO, shelf).extend(changed).trim(BRANCH + 40), shelf)
        assert not goes_on_from(liar.root, old.root, shelf)


def test_large_values_that_were_never_written_are_dropped_all_the_same() -> None:
    shelf = Shelf()
    values = [bytes([number]) * 100_000 for number in range(40)]
    log = saved(Log.load(ZERO, shelf).extend(values).trim(35), shelf)
    assert values[35:] == list(log)
    assert untrimmed(log) == saved(Log.load(ZERO, Shelf()).extend(values), Shelf()).root
    assert len(shelf.blocks) < 40


ITEM = link_to(ZERO)
ONE = encode_block(1)


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (["log-trimmed/2", 40, 20, [bytes(32), ITEM], [ONE] * 8], "unknown-version"),
        (["log-trimmed/1", 40, 0, [ITEM, ITEM], [ONE] * 8], "bad-field"),
        (["log-trimmed/1", 40, 41, [ITEM, ITEM], [ONE] * 8], "bad-field"),
        (["log-trimmed/1", 40, True, [ITEM, ITEM], [ONE] * 8], "bad-field"),
        (["log-trimmed/1", 40, "20", [bytes(32), ITEM], [ONE] * 8], "bad-field"),
        (["log-trimmed/1", 40, 20, [ITEM, ITEM], [ONE] * 8], "bad-field"),
        (["log-trimmed/1", 40, 20, [bytes(31), ITEM], [ONE] * 8], "bad-field"),
        (["log-trimmed/1", 40, 20, [bytes(32), bytes(32)], [ONE] * 8], "bad-field"),
        (["log-trimmed/1", 40, 20, [bytes(32)], [ONE] * 8], "wrong-count"),
        (["log-trimmed/1", 40, [bytes(32), ITEM], [ONE] * 8], "bad-field"),
        (["log/1", 40, 20, [bytes(32), ITEM], [ONE] * 8], "bad-field"),
    ],
)
def test_a_hostile_trimmed_root_is_rejected_by_name(block: Any, reason: str) -> None:
    shelf = Shelf()
    with pytest.raises(Rejected) as caught:
        Log.load(shelf.forge(block), shelf)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("plain", "reason"),
    [
        (["log-branch/1", 1, [ITEM] * LEAF], "wrong-kind"),
        (["log-trimmed-branch/2", 1, [bytes(32)] * 2 + [ITEM] * 14], "unknown-version"),
        (["log-trimmed-branch/1", 2, [bytes(32)] * 2 + [ITEM] * 14], "wrong-level"),
        (["log-trimmed-branch/1", True, [bytes(32)] * 2 + [ITEM] * 14], "wrong-level"),
        (["log-trimmed-branch/1", 1, [bytes(32)] * 2 + [ITEM] * 13], "wrong-count"),
        (["log-trimmed-branch/1", 1, [bytes(32)] + [ITEM] * 15], "bad-field"),
        (["log-trimmed-branch/1", 1, [bytes(32)] * 3 + [ITEM] * 13], "bad-field"),
    ],
)
def test_a_hostile_cut_is_rejected_by_name(plain: Any, reason: str) -> None:
    shelf = Shelf()
    root = counted(shelf, BRANCH + LEAF, 2 * LEAF + 3).root
    evil = forged(shelf, root, under(shelf, root)[1], lambda _: plain)
    with pytest.raises(Rejected) as caught:
        list(Log.load(evil, shelf))
    assert caught.value.reason == reason


def test_a_cut_is_no_branch_of_a_log_that_is_not_trimmed() -> None:
    shelf = Shelf()
    root = counted(shelf, BRANCH, 2 * LEAF + 3).root
    cut = under(shelf, root)[1]
    evil = shelf.forge(["log/1", BRANCH, [link_to(cut)], []])
    with pytest.raises(Rejected) as caught:
        list(Log.load(evil, shelf))
    assert caught.value.reason == "wrong-kind"
