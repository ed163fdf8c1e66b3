"""Revocations: code, a host or an issuer that may not be relied on any more, for as long as nobody lifts that.

An order is about one agent, and is carried out once (`orders`). A revocation is about what agents have in common,
and who issues it knows none of them: it stands for itself, beside all records, and each anchor that knows it holds
to it (protocol §8.12). It counts within its reach alone: an issuer's for its own agents, wherever they are; a
zone's for whoever is there, or wants to be.
"""

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from sojourn.core.agent.governance import Officers, Seals
from sojourn.core.base.encoding import Count, Digest, PublicKey, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import CLOCK_SKEW_MS, REVOCATION_HOLDS_MS
from sojourn.core.base.seals import Kind, Role, Seal, check_seal, statement
from sojourn.core.quorum.committee import Committee

__all__ = ["About", "Reach", "Revocation", "SignedRevocation", "sealed_by"]


class About(StrEnum):
    """What is revoked: code by its digest, a host by its key, an issuer by its identifier."""

    CODE = "code"
    HOST = "host"
    ISSUER = "issuer"


class Reach(StrEnum):
    """Where it counts.

    agents   for an issuer's agents, wherever they are: `by` is that issuer
    zone     for whoever is in a zone, or wants to be: `by` is the zone
    """

    AGENTS = "agents"
    ZONE = "zone"


class Revocation(Value, tag_field="kind", tag="revocation/1"):
    """That something may not be relied on from now on; with `lifts`, that what was said of it before counts no more.

    Of what one authority says of one subject the newest counts. `issued_ms` is milliseconds since 1970; it lapses
    `REVOCATION_HOLDS_MS` after that, so that a newer word never ends before an older one.
    """

    reach: Reach
    by: Digest
    about: About
    subject: Digest
    issued_ms: Count
    lifts: bool = False
    reason: Annotated[str, Meta(max_length=512)] = ""

    @property
    def ends_ms(self) -> int:
        """When it lapses."""
        return self.issued_ms + REVOCATION_HOLDS_MS

    @property
    def role(self) -> Role:
        """As what it is sealed: by officers of an issuer, or by anchors of a zone."""
        return Role.ISSUER if self.reach is Reach.AGENTS else Role.ANCHOR

    def holds_at(self, at_ms: int) -> bool:
        """Tell whether it was issued, and has not lapsed."""
        return self.issued_ms - CLOCK_SKEW_MS <= at_ms < self.ends_ms


class SignedRevocation(Value):
    """A revocation with the seals of its authority."""

    revocation: Revocation
    seals: Seals

    def check(self) -> None:
        """Raise `Rejected` unless somebody sealed it, and each seal is of the key that it names.

        Whether these may say so is told by `is_of_officers` and `is_of_anchors`, where it is known who may.
        """
        named, role = digest_of(self.revocation), self.revocation.role
        if not self.seals:
            raise Rejected("nobody sealed it", reason="below-threshold", where="revocation.seals")
        for index, seal in enumerate(self.seals):
            check_seal(Kind.REVOCATION, role, named, seal, where=f"revocation.seals[{index}]")

    def is_of_officers(self, officers: Officers) -> bool:
        """Tell whether enough officers sealed it, and nobody else: to restrain `revoke`, to lift `amend` of them."""
        needed = officers.amend if self.revocation.lifts else officers.revoke
        return self.revocation.reach is Reach.AGENTS and self._is_of(officers.keys, needed)

    def is_of_anchors(self, anchors: Collection[PublicKey], committee: Committee) -> bool:
        """Tell whether enough anchors of a zone sealed it: f+1, who can stop what they like; a quorum to lift it."""
        needed = committee.quorum if self.revocation.lifts else committee.honest_witness
        return self.revocation.reach is Reach.ZONE and self._is_of(anchors, needed)

    def _is_of(self, keys: Collection[PublicKey], needed: int) -> bool:
        signers = {seal.signer for seal in self.seals}
        return signers <= set(keys) and len(signers) >= needed


def sealed_by(revocation: Revocation, keys: Iterable[KeyPair]) -> SignedRevocation:
    """Return a revocation under the seals of some keys."""
    covered = statement(Kind.REVOCATION, revocation.role, digest_of(revocation))
    seals = tuple(Seal(signer=key.public, signature=key.sign(covered)) for key in keys)
    return SignedRevocation(revocation=revocation, seals=seals)
