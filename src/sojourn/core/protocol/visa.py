"""Visas: a promise of resources by the target, before the departure (protocol §5, step 1).

A visa is not custody and not a lock. Later steps of the agent void it only by changing what it was judged
by: governance, trust, capabilities, or the labels of what travels.
"""

from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.encoding import Count, Digest, Name, PublicKey, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.votes import Phase, Slot
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["Visa", "VisaTerms", "visa_slot", "visa_terms"]


class VisaTerms(Value, tag_field="kind", tag="visa-terms/1"):
    """What is promised to whom: content, voted on by the target's anchors.

    `size` is the number of bytes the memory may have; `deadline_ms` how long an anchor waits for the admission
    after it first saw the departure; `judged` the digest of the fields the target judged.
    """

    realm: Name
    agent: Digest
    from_zone: Digest
    to_zone: Digest
    to_epoch: Count
    term: Count
    host: PublicKey
    size: Count
    deadline_ms: Count
    judged: Digest


class Visa(Value, tag_field="kind", tag="visa/1"):
    """The terms and the target's certificate."""

    terms: VisaTerms
    certificate: Certificate

    @property
    def digest(self) -> bytes:
        """What the departed record names: the digest of the terms, never of the certificate (trap 9)."""
        return digest_of(self.terms)

    def check(self, record: AgentRecord, target: ZoneManifest, *, where: str = "visa") -> None:
        """Raise `Rejected` unless the target granted these terms to this agent as it is now."""
        if self.terms != visa_terms(
            record, target, self.terms.host, self.terms.size, self.terms.deadline_ms
        ):
            problem = "the visa was given for other terms, or what it was judged by has changed"
            raise Rejected(problem, reason="void-visa", where=where)
        certificate = self.certificate
        if (certificate.slot, certificate.phase) != (visa_slot(self.terms), Phase.VISA):
            raise Rejected("the certificate is not a visa's", reason="wrong-slot", where=where)
        if certificate.value != self.digest:
            raise Rejected("the certificate is for other terms", reason="wrong-value", where=where)
        certificate.check(Phase.VISA, target.committee, where=where)


def visa_terms(
    record: AgentRecord, target: ZoneManifest, host: bytes, size: int, deadline_ms: int
) -> VisaTerms:
    """Return the terms under which `record` would enter `target` on `host`."""
    judged = (
        record.governance,
        record.trust.issuers,
        record.trust.minimum,
        record.capabilities,
        record.memory.labels(),
        record.memory.residency(),
    )
    return VisaTerms(
        realm=record.realm,
        agent=record.agent_id,
        from_zone=record.custody.zone,
        to_zone=target.zone_id,
        to_epoch=target.epoch,
        term=record.custody.term + 1,
        host=host,
        size=size,
        deadline_ms=deadline_ms,
        judged=digest_of(judged),
    )


def visa_slot(terms: VisaTerms) -> Slot:
    """Return the slot that visa votes are cast in: the term's, with version 0."""
    return Slot(
        realm=terms.realm,
        group=terms.to_zone,
        epoch=terms.to_epoch,
        agent=terms.agent,
        term=terms.term,
        version=0,
    )
