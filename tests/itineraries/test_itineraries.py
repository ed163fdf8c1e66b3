"""Nothing that is bound to a place is ever anywhere else, whatever its agent does (protocol §10.10, §10.14)."""

from collections.abc import Callable, Iterable

import pytest

from sojourn.core.agent.memory.marks import Marks
from sojourn.core.protocol import admission, permission
from sojourn.runtime import apart
from sojourn.runtime.compartments import WorkingMemory
from sojourn.runtime.flow import Flow
from sojourn.testing import seeds
from sojourn.testing.checkers.residency import Canaries
from tests.itineraries.itineraries import Outcome, itineraries

SOAKED_SEEDS = 12_500
"""Of eight itineraries each."""


@seeds(3)
def test_nothing_leaves_its_residency(seed: int) -> None:
    outcome = itineraries(seed)
    assert outcome["moves"]
    assert outcome["seen"] > 100


@pytest.mark.soak
def test_nothing_leaves_its_residency_in_100_000_itineraries() -> None:
    total = sum((itineraries(seed) for seed in range(100, 100 + SOAKED_SEEDS)), Outcome())
    assert total["itineraries"] == 100_000


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
        itineraries(seed)


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


def test_a_canary_on_a_disk_abroad_is_seen() -> None:
    canaries = watching()
    canaries.stored("at-home", "a block", CANARY)
    canaries.stored("abroad", "dossiers", b"..." + CANARY)
    (violation,) = canaries.violations
    assert str(violation) == (
        "nothing leaves its residency: CANARY-people-0123456789, bound to EU, "
        "is on the disk of abroad, in dossiers"
    )
