"""Nothing that is bound to a place is ever anywhere else, whatever its agent does (protocol §10.10, §10.14)."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from sojourn.core.agent.memory.marks import Marks
from sojourn.core.protocol import admission, permission
from sojourn.runtime import apart
from sojourn.runtime.agent_side.compartments import WorkingMemory
from sojourn.runtime.host_side.flow import Flow
from sojourn.testing import seeds
from sojourn.testing.checkers.residency import Canaries
from sojourn.testing.schedules.totals import read
from tests.itineraries import itineraries as module
from tests.itineraries import running
from tests.itineraries.itineraries import Outcome, Uneventful, itineraries
from tests.itineraries.totals import Totals, added, run_of, write

RECORDED = Path(__file__).parents[2] / "docs" / "itineraries.toml"
FEW = 8
"""Itineraries of a seed here; `make soak` adds many more to a running total, by `python -m tests.itineraries`."""


@seeds(3)
def test_nothing_leaves_its_residency(seed: int) -> None:
    outcome = itineraries(seed, FEW)
    assert outcome["moves"]
    assert outcome["seen"] > 100


def test_itineraries_of_whom_nobody_goes_abroad_count_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ZONES", {"ie": ("EU", "IE"), "de": ("EU", "DE")})
    with pytest.raises(Uneventful, match="nobody went where something may not be"):
        itineraries(0, 2)


def _records_anywhere(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(apart, "home_of", lambda marks: ())


def _everything_travels(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(admission, "may_travel", lambda compartment, jurisdictions: True)
    patch.setattr(permission, "residency_met", lambda residency, target: True)


def _nothing_is_locked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WorkingMemory, "check_covered", lambda self, name, marks: None)
    patch.setattr(Flow, "_bind", lambda self, *_: None)
    patch.setattr(Flow, "check_links", lambda self, name, holders: None)


def _nothing_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    def forgets(self: WorkingMemory, after: Marks) -> bool:
        self.marks = after
        return False

    patch.setattr(WorkingMemory, "_forgets", forgets)
    patch.setattr(Flow, "_bind", lambda self, *_: None)


@pytest.mark.parametrize(
    "plant", [_records_anywhere, _everything_travels, _nothing_is_locked, _nothing_is_forgotten]
)
def test_a_way_out_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=r"CANARY-\S+, bound to (EU|CH, EU), is on"):
        _run_all(range(5))


def _run_all(chosen: Iterable[int]) -> None:
    for seed in chosen:
        itineraries(seed, FEW)


# --- many of them, and the running total ---------------------------------------------------------------


def test_what_is_run_again_is_the_same_with_every_question_asked_of_cedar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked_once = itineraries(0, FEW)
    monkeypatch.setattr(module, "is_real", lambda seed: True)
    assert asked_once == itineraries(0, FEW)


def test_a_world_that_fails_is_told_and_one_without_event_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def each(seed: int) -> Outcome:
        if seed == 0:
            raise Uneventful("nobody went anywhere")
        if seed == 2:
            raise AssertionError("CANARY-x is on the disk of us")
        return Outcome(itineraries=25, moves=50, abroad=10, seen=100)

    monkeypatch.setattr(running, "itineraries", each)
    part = running.run_seeds(range(4))
    assert part.outcome["itineraries"] == 50
    assert part.failures == {2: "AssertionError: CANARY-x is on the disk of us"}


def test_the_total_goes_on_where_it_ended(tmp_path: Path) -> None:
    file = tmp_path / "total.toml"
    some = Outcome(itineraries=100, moves=200, abroad=60, seen=3_000)
    first = run_of(range(4), "0123456789", some)
    second = run_of(range(4, 8), "0123456789", some, failing=(5,))
    third = run_of(range(8, 12), "another", some)
    totals = Totals()
    for run in (first, second, third):
        totals = added(totals, run)
        write(file, totals)
        assert read(file, Totals) == totals
    assert [(0, 7), (8, 11)] == [run.seeds for run in totals.run]
    assert (200, 1, (5,)) == (
        totals.run[0].itineraries,
        totals.run[0].violations,
        totals.run[0].failing,
    )
    assert (12, 300, 180) == (totals.next_seed, totals.of("itineraries"), totals.of("abroad"))


def test_what_was_run_broke_nothing() -> None:
    totals = read(RECORDED, Totals)
    assert totals.of("violations") == 0
    assert totals.of("itineraries") == sum(run.itineraries for run in totals.run)


# --- the checker --------------------------------------------------------------------------------------

CANARY = b"CANARY-people-0123456789"


def watching() -> Canaries:
    canaries = Canaries({"at-home": ("EU", "IE"), "abroad": ("US",)})
    canaries.add(CANARY, ("EU",))
    return canaries


@pytest.mark.parametrize(
    ("target", "expected"), [("at-home", 0), ("a-person", 0), ("abroad", 1)]
)  # fmt: skip
def test_a_canary_may_be_sent_where_it_may_be(target: str, expected: int) -> None:
    canaries = watching()
    canaries.sent("at-home", target, b"before " + CANARY + b" behind")
    canaries.sent("at-home", target, b"CANARY-of-another")
    assert (canaries.seen, len(canaries.violations)) == (1, expected)


@pytest.mark.parametrize("cut", range(1, len(CANARY)))
def test_a_canary_is_seen_once_when_it_is_sent_in_two_pieces(cut: int) -> None:
    canaries = watching()
    canaries.sent("at-home", "abroad", b"x" * 50 + CANARY[:cut])
    canaries.sent("abroad", "at-home", b"something else")
    canaries.sent("at-home", "abroad", CANARY[cut:] + b"x")
    canaries.sent("at-home", "abroad", b"x" * 50)
    assert len(canaries.violations) == 1


def test_of_canaries_that_begin_alike_only_those_that_are_there_are_seen() -> None:
    canaries = watching()
    canaries.add(CANARY + b"89abcdef", ("EU",))
    canaries.stored("abroad", "a block", CANARY + b"89abcde")
    canaries.stored("abroad", "a block", b"CANARY-" + CANARY + b"89abcdef" + CANARY)
    assert (3, 3) == (canaries.seen, len(canaries.violations))


def test_a_canary_on_a_disk_abroad_is_seen() -> None:
    canaries = watching()
    canaries.stored("at-home", "a block", CANARY)
    canaries.stored("abroad", "dossiers", b"..." + CANARY)
    (violation,) = canaries.violations
    assert str(violation) == (
        "nothing leaves its residency: CANARY-people-0123456789, bound to EU, "
        "is on the disk of abroad, in dossiers"
    )
