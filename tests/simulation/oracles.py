"""What must hold of a schedule at every moment, and what must be true of it in the end."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations

from sojourn.core.protocol.custody import Certified
from sojourn.core.quorum.certificates import Certificate, certify
from sojourn.core.quorum.votes import Ballot, Phase, Vote
from sojourn.testing.checkers.blame import is_fraud
from tests.simulation.schedule import Schedule

__all__ = [
    "check_accountable",
    "check_blameless",
    "check_safe",
    "check_validates",
    "decidable",
]


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
    """Fail if an honest anchor can be made to look guilty (P5)."""
    known = schedule.adversary.certificates
    for anchor in schedule.correct:
        check_blameless([vote.ballot for vote in anchor.votes], known)


def check_blameless(ballots: Sequence[Ballot], known: Mapping[bytes, Certificate]) -> None:
    """Fail if two ballots of one honest anchor would be taken for fraud."""
    for one, other in combinations(dict.fromkeys(ballots), 2):
        assert not is_fraud(one, other, known), (
            f"anchor {one.anchor} is blamed for a {one.phase} vote in round {one.round} "
            f"and a {other.phase} vote in round {other.round}"
        )
