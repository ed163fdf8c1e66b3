"""What must hold of a schedule at every moment, and what must be true of it in the end."""

from collections import defaultdict

from sojourn.core.protocol.custody import Certified
from sojourn.core.quorum.certificates import certify
from sojourn.core.quorum.votes import Ballot, Phase, Vote
from tests.simulation.schedule import Schedule

__all__ = ["check_accountable", "check_safe", "check_validates", "decidable"]


def decidable(schedule: Schedule) -> dict[bytes, dict[int, Vote]]:
    """Return the values that honest votes and the liar's can decide, each with those honest votes.

    More than what was decided: a certificate need never be put together to be possible.
    """
    by_value: dict[tuple[int, bytes], dict[int, Vote]] = defaultdict(dict)
    for anchor in schedule.correct:
        for vote in anchor.votes:
            if vote.ballot.phase is Phase.COMMIT:
                by_value[vote.ballot.round, vote.ballot.value][anchor.index] = vote
    enough = schedule.zone.manifest.committee.quorum - schedule.zone.manifest.f
    return {value: votes for (_, value), votes in by_value.items() if len(votes) >= enough}


def check_safe(schedule: Schedule) -> None:
    """Fail if two values of the slot could both be certified, or an anchor applied another than could (O1)."""
    values = decidable(schedule)
    assert len(values) <= 1, f"two values are decided: {sorted(v.hex()[:8] for v in values)}"
    for anchor in schedule.correct:
        head = anchor.dossier(schedule.setting.agent).head
        if head is not None and head.record.version >= schedule.setting.slot.version:
            assert head.certificate.value in values, f"anchor {anchor.index} applied another value"


def check_validates(schedule: Schedule) -> None:
    """Fail unless what was decided proves itself to a stranger who knows the zone's manifest (O5)."""
    committee, adversary = schedule.zone.manifest.committee, schedule.adversary
    for value, votes in decidable(schedule).items():
        step = adversary.step_of(value)
        assert step is not None
        round = next(iter(votes.values())).ballot.round
        own = adversary.zone.vote(adversary.ballot(Phase.COMMIT, round, value))
        certificate = certify([*votes.values(), own][: committee.quorum], committee)
        decided = Certified(transition=step.transition, certificate=certificate)
        decided.check(schedule.world.known.manifests)


def check_accountable(schedule: Schedule) -> None:
    """Fail if an honest anchor can be made to look guilty (P5; the two proofs of protocol §11)."""
    for anchor in schedule.correct:
        ballots = [vote.ballot for vote in anchor.votes]
        said: dict[tuple[int, Phase], bytes] = {}
        for ballot in ballots:
            earlier = said.setdefault((ballot.round, ballot.phase), ballot.value)
            problem = f"anchor {anchor.index} said two things in one {ballot.phase} phase"
            assert earlier == ballot.value, problem
        commits = [ballot for ballot in ballots if ballot.phase is Phase.COMMIT]
        for lock in (ballot for ballot in ballots if ballot.phase is Phase.LOCK):
            for commit in commits:
                assert _is_explained(schedule, commit, lock), (
                    f"anchor {anchor.index} committed in round {commit.round} and locked another "
                    f"value in round {lock.round} without a justification in between"
                )


def _is_explained(schedule: Schedule, commit: Ballot, lock: Ballot) -> bool:
    """Tell whether a lock vote after a commit vote for another value names a lock that came in between.

    One of the very round will do: the anchor heard of the lock before it heard of the proposal.
    """
    if commit.value == lock.value or commit.round >= lock.round:
        return True
    just = schedule.adversary.certificates.get(lock.justification or b"")
    if just is None or just.value != lock.value:
        return False
    return commit.round < just.round <= lock.round
