"""Heads: an officer's word, for a while, that a document is the newest of its line (protocol §8.11).

What officers publish spreads by itself, but silence says nothing: a zone that is cut off cannot tell that nothing was
published from not having heard of it. So a document may bound its own staleness, and heads are what that is
measured by. A head changes nothing: what may rule is signed by the threshold, as ever.
"""

from msgspec import UNSET

from sojourn.core.agent.governance import Document
from sojourn.core.base.encoding import Count, Digest, Name, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import HEAD_HOLDS_MS_MAX
from sojourn.core.base.seals import Kind, Role, Seal, check_seal, statement

__all__ = ["PolicyHead", "SignedHead", "head_of", "staleness_of"]


class PolicyHead(Value, tag_field="kind", tag="policy-head/1"):
    """That at `at_ms` nothing newer than the document `digest` was published, to be relied on until `until_ms`.

    Times are milliseconds since 1970. Issuer, name and version are the document's, for people.
    """

    issuer: Name
    name: Name
    version: Count
    digest: Digest
    at_ms: Count
    until_ms: Count


class SignedHead(Value):
    """A head with the seal of one officer."""

    head: PolicyHead
    seal: Seal

    @property
    def age(self) -> tuple[int, int, bytes]:
        """What tells of two which is newer: when it was said, and how long it holds."""
        return self.head.at_ms, self.head.until_ms, digest_of(self)

    def check(self) -> None:
        """Raise `Rejected` for a window that cannot be, or a seal that is not of the key that it names.

        Whether that is an officer's, only who knows the document can tell.
        """
        holds_ms = self.head.until_ms - self.head.at_ms
        if not 0 < holds_ms <= HEAD_HOLDS_MS_MAX:
            problem = f"it holds for {holds_ms} ms, at most {HEAD_HOLDS_MS_MAX} are allowed"
            raise Rejected(problem, reason="bad-window", where="head.until_ms")
        digest = digest_of(self.head)
        check_seal(Kind.POLICY_HEAD, Role.ISSUER, digest, self.seal, where="head.seal")


def head_of(document: Document, officer: KeyPair, *, at_ms: int, until_ms: int) -> SignedHead:
    """Return an officer's word that a document is the newest of its line."""
    head = PolicyHead(
        issuer=document.issuer,
        name=document.name,
        version=document.version,
        digest=digest_of(document),
        at_ms=at_ms,
        until_ms=until_ms,
    )
    covered = statement(Kind.POLICY_HEAD, Role.ISSUER, digest_of(head))
    return SignedHead(head=head, seal=Seal(signer=officer.public, signature=officer.sign(covered)))


def staleness_of(document: Document) -> int | None:
    """Return how old a head may be for agents under a document, in milliseconds; None if there need be none."""
    return None if document.staleness_ms is UNSET else document.staleness_ms
