"""Many random schedules of one slot: never two decisions, and always one once it is calm.

And the check of the check: each bug below is planted, and must be found within so many seeds.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from sojourn.core.protocol import decree
from sojourn.core.protocol.dossier import CastVote, OpenSlot
from sojourn.core.protocol.messages import Nack, Proposal, Propose
from sojourn.core.quorum.certificates import Certificate, RoundCertificate
from sojourn.core.quorum.committee import Committee
from tests.simulation.replay import run

SEEDS = 300
SOAK_SEEDS = 20_000
SEEDS_UNTIL_FOUND = 400


@pytest.mark.parametrize("first", range(0, SEEDS, 50))
def test_p1_never_two_decisions_and_p6_always_one_in_the_end(first: int) -> None:
    for seed in range(first, first + 50):
        run(seed)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(SEEDS, SOAK_SEEDS, 1_000))
def test_p1_and_p6_under_many_more_schedules(first: int) -> None:
    for seed in range(first, first + 1_000):
        run(seed)


# Determinism


def test_a_seed_replays_its_run() -> None:
    assert [run(seed).trace for seed in range(10)] == [run(seed).trace for seed in range(10)]


def test_a_seed_replays_its_run_in_another_process() -> None:
    root = Path(__file__).parents[2]
    outputs = set()
    for hash_seed in ("0", "7"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.simulation.replay", "17"],
            cwd=root,
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{root}/src:{root}"},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.add(done.stdout)
    assert 1 == len(outputs)
    assert "\n".join(run(17).trace) == outputs.pop().strip("\n")


# Planted bugs


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Undo whatever is planted, once it was found."""
    yield monkeypatch
    monkeypatch.undo()


def found(*, forgets: bool = False) -> str:
    """Return what is wrong with the first seed where something is, or nothing."""
    for seed in range(SEEDS_UNTIL_FOUND):
        try:
            run(seed, forgets=forgets)
        except AssertionError as error:
            return str(error)
    return ""


def test_it_finds_rule_4_left_out(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(decree, "is_unlocked_for", lambda state, ask: True)
    assert "replay: python -m tests.simulation.replay" in found()


def test_it_finds_any_justification_taken_for_a_later_lock(planted: pytest.MonkeyPatch) -> None:
    def careless(state: OpenSlot, ask: Propose) -> bool:
        locked = state.lock.value if state.lock else None
        same = locked in (None, ask.proposal.transition.digest)
        return same or ask.justification is not None

    planted.setattr(decree, "is_unlocked_for", careless)
    assert found()


def test_trap_4_it_finds_commit_votes_for_rounds_that_were_left(
    planted: pytest.MonkeyPatch,
) -> None:
    right = decree.commit_vote

    def late(
        state: OpenSlot, lock: Certificate, proposal: Proposal, anchor: int, now_ms: int
    ) -> tuple[OpenSlot, CastVote | Nack]:
        if lock.round >= state.round:
            return right(state, lock, proposal, anchor, now_ms)
        before = replace(state, round=lock.round, commit_voted=None)
        after, answer = right(before, lock, proposal, anchor, now_ms)
        return replace(after, round=state.round), answer

    planted.setattr(decree, "commit_vote", late)
    assert found()


def test_trap_1_it_finds_locks_forgotten_with_their_round(planted: pytest.MonkeyPatch) -> None:
    right = decree.enter

    def forgetful(
        state: OpenSlot, round: int, now_ms: int, entry: RoundCertificate | None = None
    ) -> OpenSlot:
        after = right(state, round, now_ms, entry)
        return after if after is state else replace(after, lock=None)

    planted.setattr(decree, "enter", forgetful)
    assert found()


def test_trap_10_it_finds_2f_taken_for_a_quorum(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(Committee, "quorum", property(lambda committee: 2 * committee.f))
    assert "two values are decided" in found()


def test_trap_5_it_finds_votes_that_leave_before_they_are_durable() -> None:
    assert found(forgets=True)


def test_trap_3_it_finds_lock_votes_given_twice_in_a_round(planted: pytest.MonkeyPatch) -> None:
    right = decree.lock_vote

    def generous(state: OpenSlot, ask: Propose, anchor: int) -> tuple[OpenSlot, CastVote]:
        return right(replace(state, lock_voted=None), ask, anchor)

    planted.setattr(decree, "may_lock", decree.is_unlocked_for)
    planted.setattr(decree, "lock_vote", generous)
    assert found()


def test_trap_2_it_finds_a_slot_that_can_never_be_left(planted: pytest.MonkeyPatch) -> None:
    def stubborn(state: OpenSlot, anchor: int, now_ms: int) -> tuple[OpenSlot, Nack]:
        return state, decree.nack(state)

    planted.setattr(decree, "round_vote", stubborn)
    assert "undecided" in found()


def test_trap_25_it_finds_values_that_are_locked_where_nobody_holds_them(
    planted: pytest.MonkeyPatch,
) -> None:
    def careless(state: OpenSlot) -> Nack:
        return Nack(round=state.round)

    planted.setattr(decree, "nack", careless)
    planted.setattr(decree, "remember", lambda state, proposal: state)
    assert found()
