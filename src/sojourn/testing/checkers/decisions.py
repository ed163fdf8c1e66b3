"""What was decided in a run, as far as honest votes tell: the ground on which the other checkers stand.

A value counts as decided once a quorum less the liars a zone may have (f) of honest anchors have voted to commit
to it in one round: from then on somebody may hold a certificate, whether or not one was ever put together.
"""

from collections.abc import Mapping
from functools import cached_property

from sojourn.core.protocol.custody import Certified
from sojourn.core.quorum.votes import Phase, Slot
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.testing.history import History

__all__ = ["Decisions"]


class Decisions:
    """The decisions of a run."""

    def __init__(self, history: History, manifests: Mapping[bytes, ZoneManifest]) -> None:
        """Look at a run; `manifests` are the zones', by identifier."""
        self.history, self.manifests = history, manifests

    @cached_property
    def decided(self) -> dict[Slot, dict[bytes, float]]:
        """The values decided in each slot, and when: one each, or the slot forked."""
        voters: dict[tuple[Slot, int, bytes], set[int]] = {}
        found: dict[Slot, dict[bytes, float]] = {}
        for fact in self.history.cast:
            ballot = fact.vote.ballot
            if not fact.is_honest or ballot.phase is not Phase.COMMIT:
                continue
            who = voters.setdefault((ballot.slot, ballot.round, ballot.value), set())
            who.add(ballot.anchor)
            committee = self.manifests[ballot.slot.group].committee
            if len(who) >= committee.quorum - committee.f:
                found.setdefault(ballot.slot, {}).setdefault(ballot.value, fact.at_ms)
        return found

    @cached_property
    def applied(self) -> dict[bytes, Certified]:
        """What honest anchors applied, by value, in the order in which it was first applied."""
        return {
            fact.certified.certificate.value: fact.certified
            for fact in self.history.applied
            if fact.is_honest
        }
