"""Culprits (P5, protocol §11.5): two decisions in one slot name at least f+1 liars of its zone, and nobody else.

Who they are is found from certificates alone: those that honest processes hold, or were shown and acted on. A
justification, or the lock under a commit vote, that nobody can show when asked counts as none: an honest anchor
was shown what it leans on.
"""

from collections.abc import Collection, Iterable, Mapping
from itertools import combinations

from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.votes import Ballot, Phase, Slot
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.testing.checkers.blame import Voter, is_fraud
from sojourn.testing.checkers.verdict import Violation

__all__ = ["check", "culprits", "forked"]


def check(
    commits: Collection[Certificate],
    locks: Mapping[bytes, Certificate],
    manifests: Mapping[bytes, ZoneManifest],
    liars: Collection[Voter],
) -> list[Violation]:
    """Return forks that name too few culprits, and the honest who are named, by a fork or without one.

    `commits` are the commit certificates that honest anchors hold, `locks` the lock certificates that were shown,
    by digest; `liars` are the anchors that do not follow the protocol, by zone and index.
    """
    found = []
    for slot in _slots(commits):
        named = culprits(slot, commits, locks)
        needed = manifests[slot.group].committee.honest_witness
        if len(_values(slot, commits)) > 1 and len(named) < needed:
            problem = (
                f"{slot.describe()} is forked, and {len(named)} culprits are found, not {needed}"
            )
            found.append(Violation("accountable", problem, slot.agent, slot.version))
        for anchor, proof in named.items():
            if (slot.group, anchor) not in liars:
                problem = f"anchor {anchor} is honest, and named: {proof}"
                found.append(Violation("honest never blamed", problem, slot.agent, slot.version))
    return found


def forked(commits: Iterable[Certificate]) -> set[Slot]:
    """Return the slots in which two values were certified."""
    shown = list(commits)
    return {slot for slot in _slots(shown) if len(_values(slot, shown)) > 1}


def culprits(
    slot: Slot, commits: Iterable[Certificate], locks: Mapping[bytes, Certificate]
) -> dict[int, str]:
    """Return the anchors that are proved to have lied in a slot, each with what proves it."""
    decided = [each for each in commits if each.slot == slot]
    locked = {named: each for named, each in locks.items() if each.slot == slot}
    shown = {(lock.round, lock.value) for lock in locked.values()}
    cast: dict[int, list[Ballot]] = {}
    for certificate in (*decided, *locked.values()):
        for part in certificate.votes:
            ballot = certificate.vote(part).ballot
            cast.setdefault(part.anchor, []).append(ballot)
    found: dict[int, str] = {}
    for anchor, ballots in sorted(cast.items()):
        proof = _proof(ballots, locked, shown)
        if proof:
            found[anchor] = proof
    return found


def _proof(
    ballots: list[Ballot],
    locks: Mapping[bytes, Certificate],
    shown: Collection[tuple[int, bytes]],
) -> str:
    """Return what proves that one key lied, in words; nothing if nothing does."""
    for ballot in ballots:
        if ballot.phase is Phase.COMMIT and (ballot.round, ballot.value) not in shown:
            return f"a commit vote in round {ballot.round} for what nobody locked"
    for one, other in combinations(ballots, 2):
        if is_fraud(one, other, locks):
            return f"{one.phase} in round {one.round} and {other.phase} in round {other.round}"
    return ""


def _slots(commits: Iterable[Certificate]) -> list[Slot]:
    return list(dict.fromkeys(each.slot for each in commits))


def _values(slot: Slot, commits: Iterable[Certificate]) -> set[bytes]:
    return {each.value for each in commits if each.slot == slot}
