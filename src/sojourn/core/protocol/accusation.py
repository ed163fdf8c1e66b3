"""Accusations: fraud proofs against anchors of a zone, counted in the record of an agent that would rely on it.

Anybody may carry an accusation, as an order is carried: it proves itself. But only against a zone that an issuer
whom the agent relies on vouches for. Zones are free: nobody shall fill an agent's lineage, and the room for events
in its record, with the crimes of zones that it would never enter.
"""

from typing import Annotated

from msgspec import Meta

from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.trust import SignedEndorsement, is_vouched_for
from sojourn.core.base.encoding import Value
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import ANCHORS_MAX, ENDORSEMENT_DEPTH_MAX
from sojourn.core.protocol.admission import accused
from sojourn.core.quorum.fraud import Fraud
from sojourn.core.quorum.votes import Slot
from sojourn.core.zone.manifest import SignedManifest

__all__ = ["Accusation", "after_accusation"]


class Accusation(Value, tag_field="kind", tag="accusation/1"):
    """Proofs against anchors of one zone, its manifest, and the endorsements by which an agent relies on it."""

    manifest: SignedManifest
    proofs: Annotated[tuple[Fraud, ...], Meta(min_length=1, max_length=ANCHORS_MAX)]
    endorsements: Annotated[
        tuple[SignedEndorsement, ...], Meta(min_length=1, max_length=ENDORSEMENT_DEPTH_MAX)
    ]

    @property
    def zone(self) -> bytes:
        """The zone whose anchors are accused."""
        return self.manifest.manifest.zone_id

    @property
    def liars(self) -> frozenset[int]:
        """The anchors that are accused, by index."""
        return frozenset(proof.anchor for proof in self.proofs)

    def check(self, record: AgentRecord, at_ms: int, *, where: str = "accusation") -> None:
        """Raise `Rejected` unless it proves what it says, and concerns an agent at `at_ms`.

        A manifest that has expired serves as well: what was signed stays signed. Checks in order: realm,
        endorsements, whether the agent relies on them, the manifest, the proofs.
        """
        manifest = self.manifest.manifest
        realms = {manifest.realm, *(proof.one.ballot.slot.realm for proof in self.proofs)}
        if realms != {record.realm}:
            problem = f"it is of {', '.join(sorted(realms))}, the agent of realm {record.realm!r}"
            raise Rejected(problem, reason="wrong-realm", where=where)
        for index, endorsement in enumerate(self.endorsements):
            endorsement.check(where=f"{where}.endorsements[{index}]")
        if not is_vouched_for(record.trust, self.zone, self.endorsements, at_ms):
            problem = f"nobody whom the agent relies on is shown to vouch for {manifest.name}"
            raise Rejected(problem, reason="no-concern", where=f"{where}.endorsements")
        self.manifest.check()
        for index, proof in enumerate(self.proofs):
            proof.check(manifest.committee, where=f"{where}.proofs[{index}]")


def after_accusation(parent: AgentRecord, slot: Slot, accusation: Accusation) -> AgentRecord:
    """Return the record after an accusation was counted.

    Raises `Rejected` ("nothing-new", "no-room") where nothing is to be counted.
    """
    tolerated = accusation.manifest.manifest.f
    return accused(parent, slot, accusation.zone, accusation.liars, tolerated)
