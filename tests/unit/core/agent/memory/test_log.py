"""Logs: against a list; one root for one sequence; full parts never change; hostile blocks."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sojourn.core.agent.memory import log as log_module
from sojourn.core.agent.memory.blocks import MissingBlock, NewBlocks, missing_closure
from sojourn.core.agent.memory.log import FAN_OUT, LENGTH_MAX, Log
from sojourn.core.base.digests import ZERO, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Misused, Rejected
from tests.unit.core.agent.memory.shelf import LINK, Shelf, forged, under

LEAF, BRANCH = FAN_OUT, FAN_OUT**2
values = (
    st.integers(-5, 5)
    | st.text(max_size=5)
    | st.sampled_from([b"x" * 500, b"y" * 2000, {"links": [LINK]}, 1.5, None])
)


def empty(shelf: Shelf | None = None) -> Log:
    return Log.load(ZERO, shelf or Shelf())


def saved(log: Log, shelf: Shelf) -> tuple[Log, dict[bytes, bytes]]:
    new = NewBlocks(shelf)
    return log.commit(new), shelf.save(new)


def counted(shelf: Shelf, length: int) -> Log:
    """A saved log of the numbers up to `length`."""
    return saved(empty(shelf).extend(range(length)), shelf)[0]


class AgainstAList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.shelf = Shelf()
        self.new = NewBlocks(self.shelf)
        self.log = Log.load(ZERO, self.new)
        self.model: list[Any] = []

    @rule(value=values)
    def append(self, value: Any) -> None:
        self.log = self.log.append(value)
        self.model.append(value)

    @rule(count=st.integers(0, 300), value=values)
    def extend(self, count: int, value: Any) -> None:
        more = [[number, value] for number in range(count)] if count < 20 else [*range(count)]
        self.log = self.log.extend(more)
        self.model += more

    @rule()
    def commit(self) -> None:
        self.log = self.log.commit(self.new)

    @rule()
    def save_and_load(self) -> None:
        self.log = self.log.commit(self.new)
        self.shelf.save(self.new)
        self.log = Log.load(self.log.root, self.new)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def get(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.model) - 1))
        assert self.log.get(index) == self.model[index]

    @rule(start=st.integers(0, 700), count=st.integers(0, 300))
    def slice(self, start: int, count: int) -> None:
        assert list(self.log.slice(start, start + count)) == self.model[start : start + count]

    @invariant()
    def same_length(self) -> None:
        assert len(self.log) == len(self.model)

    def teardown(self) -> None:
        assert list(self.log) == self.model
        at_once, _ = saved(empty().extend(self.model), self.shelf)
        assert at_once.root == self.log.commit(self.new).root


TestAgainstAList = AgainstAList.TestCase
TestAgainstAList.settings = settings(max_examples=40, stateful_step_count=20)


@pytest.mark.parametrize("length", [0, 1, LEAF - 1, LEAF, LEAF + 1, BRANCH, BRANCH + 1, 4097])
def test_one_by_one_or_all_at_once_is_one_root(length: int) -> None:
    shelf = Shelf()
    one_by_one = empty(shelf)
    committed_often = empty(shelf)
    for number in range(length):
        one_by_one = one_by_one.append(number)
        committed_often = committed_often.append(number)
        if number % 7 == 0:
            committed_often, _ = saved(committed_often, shelf)
    roots = {saved(log, shelf)[0].root for log in (one_by_one, committed_often)}
    assert roots == {counted(shelf, length).root}
    assert list(Log.load(roots.pop(), shelf)) == list(range(length))


def test_the_empty_log_is_all_zeros_and_no_block() -> None:
    log, made = saved(empty(), Shelf())
    assert (log.root, made, len(log), list(log)) == (ZERO, {}, 0, [])


def test_appending_does_not_change_the_handle() -> None:
    log = empty().extend(range(20))
    longer = log.append("more")
    other = log.append("else")
    assert list(log) == list(range(20))
    assert longer.get(20) == "more"
    assert other.get(20) == "else"


def test_an_append_writes_one_small_block_and_few_when_a_leaf_fills() -> None:
    shelf = Shelf()
    log, _ = saved(empty(shelf).extend(random.Random(1).randbytes(200) for _ in range(5000)), shelf)
    counts, sizes = list[int](), list[int]()
    for number in range(512):
        log, made = saved(log.append(random.Random(number).randbytes(200)), shelf)
        counts.append(len(made))
        sizes.append(sum(map(len, made.values())))
    assert counts.count(1) == 480
    assert max(counts) == 3, "the root, a leaf and the branch that fills with it"
    assert max(sizes) < 8 * 1024


def test_full_parts_never_change_so_that_a_move_ships_the_tail() -> None:
    shelf, copy = Shelf(), Shelf()
    log = counted(shelf, 10_000)
    for named in missing_closure(log.root, copy.have, shelf):
        copy.take(named, shelf.blocks[named])
    full = set(under(shelf, log.root)) - {log.root}

    longer, made = saved(log.extend(range(10_000, 10_040)), shelf)
    assert full <= set(under(shelf, longer.root))
    missing = missing_closure(longer.root, copy.have, shelf)
    assert set(missing) == set(made)
    assert len(missing) <= 1 + 40 // FAN_OUT + 1


def test_many_appends_before_a_commit_leave_no_garbage() -> None:
    shelf = Shelf()
    log = empty(shelf)
    for number in range(1000):
        log = log.append([number, b"z" * 2000])
    log, made = saved(log, shelf)
    assert set(made) == set(under(shelf, log.root))


def test_committing_again_makes_nothing() -> None:
    shelf = Shelf()
    log = counted(shelf, 100)
    again, made = saved(log, shelf)
    assert (again.root, made) == (log.root, {})
    assert log.extend([]).root == log.root


def test_a_read_touches_only_the_way_to_it() -> None:
    shelf = Shelf()
    log = Log.load(counted(shelf, 5000).root, shelf)
    shelf.reads.clear()
    assert log.get(1234) == 1234
    assert len(shelf.reads) == 3, "two branches and a leaf"
    shelf.reads.clear()
    assert list(log.slice(4999)) == [4999]
    assert shelf.reads == []


def test_what_is_missing_can_be_fetched_and_the_read_done_again() -> None:
    full, copy = Shelf(), Shelf()
    root = counted(full, 1000).root
    fetched = 0
    while True:
        try:
            assert Log.load(root, copy).get(500) == 500
            break
        except MissingBlock as missing:
            copy.blocks[missing.digest] = full.blocks[missing.digest]
            fetched += 1
    assert fetched == 3, "the root, a branch and a leaf"


@pytest.mark.parametrize("index", [-1, 3, 2**70])
def test_an_index_outside_raises(index: int) -> None:
    with pytest.raises(IndexError):
        empty().extend(range(3)).get(index)


def test_a_negative_slice_is_misused() -> None:
    with pytest.raises(Misused):
        empty().slice(-1)


def test_a_value_that_cannot_be_kept_changes_nothing() -> None:
    log = empty().append(1)
    with pytest.raises(Misused):
        log.extend([2, object()])
    assert list(log) == [1]


def test_a_log_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "LENGTH_MAX", 3)
    with pytest.raises(Misused, match="4 values"):
        empty().extend(range(4))


# Hostile blocks


def hostile(case: str, shelf: Shelf) -> bytes:
    one = encode_block(1)
    leaf = link_to(shelf.forge(["log-leaf/1", [one] * LEAF]))
    cases: dict[str, Any] = {
        "no log": "log/1",
        "nothing": [],
        "mapping": ["mapping-leaf/1", ["a"], [one]],
        "a later version": ["log/2", 1, [], [one]],
        "no length": ["log/1", "one", [], [one]],
        "a truth for a length": ["log/1", True, [], [one]],
        "empty": ["log/1", 0, [], []],
        "too long": ["log/1", LENGTH_MAX + 1, [leaf], [one]],
        "value too few": ["log/1", 2, [], [one]],
        "value too many": ["log/1", 1, [], [one, one]],
        "part too few": ["log/1", LEAF + 1, [], [one]],
        "part too many": ["log/1", LEAF, [leaf, leaf], []],
        "no link": ["log/1", LEAF, [bytes(32)], []],
        "raw link": ["log/1", LEAF, [link_to(ZERO, raw=True)], []],
        "value that is none": ["log/1", 1, [], [b""]],
        "values not in bytes": ["log/1", 1, [], [1]],
    }
    return shelf.forge(cases[case])


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("no log", "wrong-kind"),
        ("nothing", "wrong-kind"),
        ("mapping", "wrong-kind"),
        ("a later version", "unknown-version"),
        ("no length", "bad-field"),
        ("a truth for a length", "bad-field"),
        ("empty", "bad-field"),
        ("too long", "bad-field"),
        ("value too few", "wrong-count"),
        ("value too many", "wrong-count"),
        ("part too few", "wrong-count"),
        ("part too many", "wrong-count"),
        ("no link", "bad-field"),
        ("raw link", "bad-link"),
        ("value that is none", "truncated"),
        ("values not in bytes", "bad-field"),
    ],
)
def test_a_hostile_root_is_rejected_by_name(case: str, reason: str) -> None:
    shelf = Shelf()
    root = hostile(case, shelf)
    with pytest.raises(Rejected) as caught:
        list(Log.load(root, shelf))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("part", "plain", "reason"),
    [
        ("leaf", ["log-leaf/2", [encode_block(1)] * LEAF], "unknown-version"),
        ("leaf", ["log-leaf/1", [encode_block(1)] * (LEAF - 1)], "wrong-count"),
        ("leaf", ["log-leaf/1", [encode_block(1)] * (LEAF + 1)], "wrong-count"),
        ("leaf", ["log-leaf/1", [1] * LEAF], "bad-field"),
        ("leaf", ["log-branch/1", 1, [link_to(ZERO)] * LEAF], "wrong-kind"),
        ("branch", ["log-branch/1", 2, [link_to(ZERO)] * LEAF], "wrong-level"),
        ("branch", ["log-branch/1", True, [link_to(ZERO)] * LEAF], "wrong-level"),
        ("branch", ["log-branch/1", 1, [link_to(ZERO)] * (LEAF - 1)], "wrong-count"),
        ("branch", ["log-branch/1", 1, [ZERO] * LEAF], "bad-field"),
        ("branch", ["log-leaf/1", [encode_block(1)] * LEAF], "wrong-kind"),
        ("branch", ["log-branch/1", "1", [link_to(ZERO)] * LEAF], "bad-field"),
    ],
)
def test_a_hostile_part_is_rejected_by_name(part: str, plain: Any, reason: str) -> None:
    shelf = Shelf()
    root = counted(shelf, BRANCH + LEAF).root
    branch, leaf = under(shelf, root)[1:3]
    evil = forged(shelf, root, {"leaf": leaf, "branch": branch}[part], lambda _: plain)
    with pytest.raises(Rejected) as caught:
        list(Log.load(evil, shelf))
    assert caught.value.reason == reason
    assert caught.value.where.startswith("block b")


@given(st.data())
def test_a_flipped_bit_is_noticed(data: st.DataObject) -> None:
    shelf = Shelf()
    root = counted(shelf, 300).root
    named = data.draw(st.sampled_from(under(shelf, root)))
    block = bytearray(shelf.blocks[named])
    block[data.draw(st.integers(0, len(block) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    shelf.blocks[named] = bytes(block)
    with pytest.raises(Rejected) as caught:
        list(Log.load(root, shelf))
    assert caught.value.reason == "wrong-digest"
