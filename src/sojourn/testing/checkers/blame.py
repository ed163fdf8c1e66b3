"""The honest are never blamed (P5): no two votes of an honest anchor are a fraud proof (protocol §11.5)."""

from collections.abc import Iterable, Mapping

from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.votes import Ballot, Phase, Slot
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation

__all__ = ["check", "culprits", "is_fraud"]

Voter = tuple[bytes, int]


def check(decisions: Decisions) -> list[Violation]:
    """Return pairs of votes that blame an honest anchor."""
    honest = (fact.vote.ballot for fact in decisions.history.cast if fact.is_honest)
    return [
        Violation(
            "honest never blamed",
            f"anchor {one.anchor} for a {one.phase} vote in round {one.round} "
            f"and a {other.phase} vote in round {other.round}",
            one.slot.agent,
            one.slot.version,
        )
        for one, other in _frauds(honest, decisions.history.certificates)
    ]


def culprits(
    ballots: Iterable[Ballot], certificates: Mapping[bytes, Certificate]
) -> dict[Voter, tuple[Ballot, Ballot]]:
    """Return who is proved to have lied, by zone and anchor, each with the first proof."""
    found: dict[Voter, tuple[Ballot, Ballot]] = {}
    for one, other in _frauds(ballots, certificates):
        found.setdefault((one.slot.group, one.anchor), (one, other))
    return found


def _frauds(
    ballots: Iterable[Ballot], certificates: Mapping[bytes, Certificate]
) -> Iterable[tuple[Ballot, Ballot]]:
    votes: dict[tuple[Slot, int], list[Ballot]] = {}
    for ballot in ballots:
        votes.setdefault((ballot.slot, ballot.anchor), []).append(ballot)
    for cast in votes.values():
        for i, one in enumerate(cast):
            for other in cast[i + 1 :]:
                if is_fraud(one, other, certificates):
                    yield one, other


def is_fraud(one: Ballot, other: Ballot, known: Mapping[bytes, Certificate]) -> bool:
    """Tell whether two ballots of one key are a fraud proof. `known` are certificates by digest.

    A justification that nobody shows counts here as none: an honest anchor names what it was shown.
    """
    if one.slot != other.slot:
        return False
    if (one.round, one.phase) == (other.round, other.phase):
        return one.phase is not Phase.VISA and one.value != other.value
    if {one.phase, other.phase} != {Phase.COMMIT, Phase.LOCK}:
        return False
    commit, lock = (one, other) if one.phase is Phase.COMMIT else (other, one)
    if commit.value == lock.value or commit.round >= lock.round:
        return False
    return not _is_explained(commit, lock, known.get(lock.justification or b""))


def _is_explained(commit: Ballot, lock: Ballot, just: Certificate | None) -> bool:
    """Tell whether a lock vote after a commit vote for another value leans on a lock that came in between.

    One of the very round will do: the anchor heard of the lock before it heard of the proposal.
    """
    if just is None or (just.slot, just.phase, just.value) != (lock.slot, Phase.LOCK, lock.value):
        return False
    return commit.round < just.round <= lock.round
