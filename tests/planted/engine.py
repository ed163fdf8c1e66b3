"""Bugs in the engine: one slot, one value (protocol §3), and in what proves that (§0, §2)."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.protocol import anchor, applying, decree, duties
from sojourn.core.protocol.dossier import CastRound, CastVote, Dossier, OpenSlot
from sojourn.core.protocol.duties import Task
from sojourn.core.protocol.messages import Nack, Propose
from sojourn.core.protocol.rounds import Leading, RoundChange
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.committee import Committee
from sojourn.core.quorum.votes import Slot
from sojourn.testing.schedules import caretaker
from tests.planted.plant import Plant, all_of, in_place_of, instead
from tests.planted.vehicles import Blame, OneSlot, Schedules, Test
from tests.simulation import replay

__all__ = ["PLANTS"]

DUTIES: Final = "tests/unit/core/protocol/test_duties.py::"


def _lock_forgotten(right: Any) -> Any:
    def enter(state: OpenSlot, round: int, *rest: Any) -> OpenSlot:
        after = right(state, round, *rest)
        return after if after is state else replace(after, lock=None)

    return enter


def _stubborn(state: OpenSlot, *_: int) -> tuple[OpenSlot, Nack]:
    return state, decree.nack(state)


def _late_commit(right: Any) -> Any:
    def commit_vote(
        state: OpenSlot, lock: Certificate, *rest: Any
    ) -> tuple[OpenSlot, CastVote | Nack]:
        if lock.round >= state.round:
            return right(state, lock, *rest)  # type: ignore[no-any-return]
        before = replace(state, round=lock.round, commit_voted=None)
        after, answer = right(before, lock, *rest)
        return replace(after, round=state.round), answer

    return commit_vote


def _second_lock_vote(right: Any) -> Any:
    def lock_vote(state: OpenSlot, ask: Propose, index: int) -> tuple[OpenSlot, CastVote]:
        return right(replace(state, lock_voted=None), ask, index)  # type: ignore[no-any-return]

    return lock_vote


def _any_justification(state: OpenSlot, ask: Propose) -> bool:
    locked = state.lock.value if state.lock else None
    return locked in (None, ask.proposal.transition.digest) or ask.justification is not None


def _mute_nack(state: OpenSlot) -> Nack:
    return Nack(round=state.round)


def _own_lock_unnamed(right: Any) -> Any:
    return lambda state, ask: right(replace(state, lock=None), ask)


def _talkative(right: Any) -> Any:
    def round_vote(state: OpenSlot, *rest: int) -> tuple[OpenSlot, CastRound | Nack]:
        return right(replace(state, round_voted=None), *rest)  # type: ignore[no-any-return]

    return round_vote


def _drops_all(right: Any) -> Any:
    def past_slot(dossier: Dossier, slot: Slot) -> Dossier:
        return replace(right(dossier, slot), open=None)  # type: ignore[no-any-return]

    return past_slot


def _but(task: Task) -> Callable[[Any], Any]:
    """Return what gives all duties but one."""
    return lambda right: lambda *known: [each for each in right(*known) if each.task is not task]


PLANTS: Final = (
    Plant(
        "quorum-one-less",
        10,
        "a quorum is n - f - 1",
        Schedules("crowded"),
        "no fork",
        in_place_of(Committee, "quorum", property(lambda c: max(1, c.n - c.f - 1))),
    ),
    Plant(
        "quorum-2f+1",
        10,
        "a quorum is 2f+1, whatever n is",
        Schedules("six"),
        "no fork",
        in_place_of(Committee, "quorum", property(lambda c: 2 * c.f + 1)),
    ),
    Plant(
        "quorum-2f",
        10,
        "a quorum is 2f",
        OneSlot(),
        "two values are decided",
        in_place_of(Committee, "quorum", property(lambda c: 2 * c.f)),
    ),
    Plant(
        "unlocked-by-time",
        1,
        "a lock is forgotten with its round",
        Schedules("crowded"),
        "honest never blamed",
        instead(decree, "enter", _lock_forgotten),
    ),
    Plant(
        "never-left",
        2,
        "no anchor votes to leave a round",
        Schedules("crowded"),
        "P6 live",
        in_place_of(decree, "round_vote", _stubborn),
    ),
    Plant(
        "late-commit",
        4,
        "a commit vote is given for a round that was left",
        OneSlot(),
        "anchor",
        instead(decree, "commit_vote", _late_commit),
    ),
    Plant(
        "locks-twice",
        3,
        "a second lock vote is given in a round, for another value",
        Schedules("crowded"),
        "honest never blamed",
        all_of(
            in_place_of(decree, "may_lock", decree.is_unlocked_for),
            instead(decree, "lock_vote", _second_lock_vote),
        ),
    ),
    Plant(
        "no-lock-rule",
        1,
        "a locked anchor votes for another value (rule 4)",
        OneSlot(),
        "anchor",
        in_place_of(decree, "is_unlocked_for", lambda state, ask: True),
    ),
    Plant(
        "any-justification",
        1,
        "any justification frees from a lock, also one from before it",
        OneSlot(),
        "anchor",
        in_place_of(decree, "is_unlocked_for", _any_justification),
    ),
    Plant(
        "mute-nack",
        25,
        "a NACK hides the lock, and a value that was judged is not kept",
        OneSlot(),
        "undecided",
        all_of(
            in_place_of(decree, "nack", _mute_nack),
            in_place_of(decree, "remember", lambda state, proposal: state),
        ),
    ),
    Plant(
        "forgets-promises",
        5,
        "an anchor that crashes forgets what it has promised",
        OneSlot(),
        "anchor",
        instead(replay, "Schedule", lambda right: partial(right, forgets=True)),
    ),
    Plant(
        "own-lock-unnamed",
        0,
        "a vote does not name the lock that its anchor holds",
        Blame(),
        "anchor 0 is blamed",
        instead(decree, "_leaned_on", _own_lock_unnamed),
    ),
    Plant(
        "talkative",
        0,
        "asked again to leave a round, an anchor tells of what it locked since",
        Blame(),
        "anchor 0 is blamed",
        instead(decree, "round_vote", _talkative),
    ),
    Plant(
        "drops-any-slot",
        55,
        "the open slot is dropped with any decision that is applied",
        Blame(),
        "anchor 0 is blamed",
        instead(applying, "_past_slot", _drops_all),
    ),
    Plant(
        "own-value",
        25,
        "a leader proposes its own value, whatever locks it was shown",
        Schedules("crowded"),
        "P6 live",
        in_place_of(RoundChange, "lock", property(lambda change: None)),
    ),
    Plant(
        "one-leader",
        25,
        "one anchor leads all rounds of a slot",
        Schedules("contested"),
        "P6 live",
        in_place_of(
            decree, "leader", lambda slot, round, manifest: slot.version % manifest.committee.n
        ),
    ),
    Plant(
        "leader-forgets",
        25,
        "a leader forgets, with each round, what locks it was shown",
        Test(
            "tests/unit/core/protocol/test_rounds.py::"
            "test_section_3_a_leader_proposes_a_lock_that_it_was_shown_in_an_earlier_round"
        ),
        "fails",
        in_place_of(Leading, "note_lock", lambda leading, shown: None),
    ),
    Plant(
        "decided-again",
        0,
        "an anchor votes in a slot that it knows to be decided (rule 0)",
        Schedules("crowded"),
        "P6 live",
        in_place_of(anchor, "_decided", lambda dossier, slot: None),
    ),
    Plant(
        "no-leave-round",
        2,
        "nobody ever asks to leave a round",
        Schedules("crowded"),
        "P6 live",
        instead(caretaker, "duties_of", _but(Task.LEAVE_ROUND)),
    ),
    Plant(
        "no-lead",
        24,
        "no leader proposes",
        Schedules("crowded"),
        "P6 live",
        instead(caretaker, "duties_of", _but(Task.LEAD)),
    ),
    Plant(
        "no-rebind",
        24,
        "nobody offers an agent whose host is dead",
        Schedules("crowded"),
        "P6 live",
        instead(caretaker, "duties_of", _but(Task.REBIND)),
    ),
    Plant(
        "no-press",
        24,
        "nobody shows a departure to its target",
        Schedules("migrate"),
        "P6 live",
        instead(caretaker, "duties_of", _but(Task.PRESS)),
    ),
    Plant(
        "no-offer",
        24,
        "nobody offers an arrival to the other hosts",
        Test(
            DUTIES
            + "test_section_5_an_arrival_that_its_host_does_not_admit_is_offered_to_the_others_by_rank"
        ),
        "fails",
        instead(duties, "_custody_duties", _but(Task.OFFER)),
    ),
    Plant(
        "no-refuse",
        24,
        "nobody refuses an arrival that is not admitted",
        Test(DUTIES + "test_section_5_an_arrival_is_refused_by_rank_after_its_deadline"),
        "fails",
        instead(duties, "_custody_duties", _but(Task.REFUSE)),
    ),
)
