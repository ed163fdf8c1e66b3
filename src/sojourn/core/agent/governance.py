"""Governance: the signed policy documents that rule an agent.

A document is its issuer's: only a signed successor changes it, never the agent and never a host. The record
names documents by digest; their text travels beside it. A document that is unsigned, outside its window,
older than one already known, or by too few officers is rejected, and then everything but return, retire and
inspection is denied (architecture §4).
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from sojourn.core.agent.approvals import Approvers, check_approvers
from sojourn.core.base.encoding import Count, Digest, Name, PublicKey, Text, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.base.limits import APPROVER_GROUPS_MAX, DOCUMENTS_MAX
from sojourn.core.base.seals import Kind, Role, Seal, check_seal

__all__ = [
    "Document",
    "Governance",
    "Officers",
    "SignedDocument",
    "Warrant",
    "check_successor",
    "check_threshold",
    "issuer_id",
]

Seals = Annotated[tuple[Seal, ...], Meta(max_length=64)]
Keys = Annotated[tuple[PublicKey, ...], Meta(min_length=1, max_length=64)]


class Officers(Value):
    """Who may act for an issuer: keys, and how many of them each act needs."""

    keys: Keys
    amend: Count = 1
    revoke: Count = 1
    move: Count = 1
    retire: Count = 1

    def check(self) -> None:
        """Raise `Rejected` unless keys are distinct and each threshold is between 1 and their number."""
        if len(set(self.keys)) != len(self.keys):
            raise Rejected(
                "an officer's key is repeated", reason="bad-officers", where="officers.keys"
            )
        for name in ("amend", "revoke", "move", "retire"):
            threshold = getattr(self, name)
            if not 1 <= threshold <= len(self.keys):
                problem = f"threshold {threshold} for {name} with {len(self.keys)} officers"
                raise Rejected(problem, reason="bad-officers", where=f"officers.{name}")


class Document(Value, tag_field="kind", tag="document/1"):
    """One policy of one issuer: Cedar text, who may change it, and from when to when it holds.

    `actions` are the application's own actions that the text may name beside the standard ones. Times are
    milliseconds since 1970. `outside_effects` says whether the agent may act outside its zone at all: such
    agents should be launched guarded (protocol §0). `approvers` are the groups that the text's rules may ask, by
    name (`core.agent.approvals`).
    """

    issuer: Name
    name: Name
    version: Count
    officers: Officers
    cedar: Text
    not_before_ms: Count
    not_after_ms: Count
    actions: tuple[Name, ...] = ()
    previous: Digest | None = None
    outside_effects: bool = False
    approvers: Annotated[dict[Name, Approvers], Meta(max_length=APPROVER_GROUPS_MAX)] = {}

    def check(self) -> None:
        """Raise `Rejected` unless its officers, and each group of approvers, can be enough."""
        self.officers.check()
        check_approvers(self.approvers)


def issuer_id(document: Document) -> bytes:
    """Return the identifier of a document's issuer: the digest of its officers, with their keys in order.

    What an issuer calls itself proves nothing, but who may act for it shows in every seal (protocol §8). The
    thresholds are part of it: one officer of several is not the issuer. The order of keys means nothing.
    """
    officers = document.officers
    return digest_of(msgspec.structs.replace(officers, keys=tuple(sorted(officers.keys))))


class SignedDocument(Value):
    """A document with its officers' seals, which are evidence and not part of its digest."""

    document: Document
    seals: Seals

    def check(self, by: Officers, threshold: int, *, where: str = "document") -> None:
        """Raise `Rejected` unless at least `threshold` distinct officers in `by` sealed this."""
        digest = digest_of(self.document)
        check_threshold(Kind.DOCUMENT, digest, self.seals, by, threshold, where=where)


class Warrant(Value):
    """By whose word an agent exists: its officers' seals of its genesis, and of each of its documents, in order.

    Seals are evidence: the genesis is in the first chapter of custody, and the documents are blocks.
    """

    genesis: Seals
    documents: Annotated[tuple[Seals, ...], Meta(max_length=DOCUMENTS_MAX)]

    def check(
        self, genesis: bytes, documents: Sequence[Document], *, where: str = "warrant"
    ) -> None:
        """Raise `Rejected` unless each document has its own officers' seals, and the genesis the first one's.

        `genesis` is the digest of the transition, `documents` are those its record names. As many officers must
        have sealed as `amend` says. Without the seal of the genesis anybody could launch other code under
        documents that once were shown.
        """
        if len(documents) != len(self.documents) or not documents:
            problem = (
                f"it has seals for {len(self.documents)} documents, there are {len(documents)}"
            )
            raise Rejected(problem, reason="wrong-documents", where=f"{where}.documents")
        for index, (document, seals) in enumerate(zip(documents, self.documents, strict=True)):
            officers = document.officers
            document.check()
            signed = SignedDocument(document=document, seals=seals)
            signed.check(officers, officers.amend, where=f"{where}.documents[{index}]")
        first = documents[0].officers
        place = f"{where}.genesis"
        check_threshold(Kind.TRANSITION, genesis, self.genesis, first, first.amend, where=place)


def check_threshold(
    kind: Kind,
    digest: bytes,
    seals: Sequence[Seal],
    officers: Officers,
    threshold: int,
    *,
    where: str,
) -> None:
    """Raise `Rejected` unless at least `threshold` distinct officers sealed this digest as issuer.

    A seal by anyone else is an error, not merely uncounted: nothing unexplained is carried along.
    """
    for index, seal in enumerate(seals):
        place = f"{where}.seals[{index}]"
        if seal.signer not in officers.keys:
            problem = f"{key_text(seal.signer)} is no officer of this issuer"
            raise Rejected(problem, reason="wrong-key", where=place)
        check_seal(kind, Role.ISSUER, digest, seal, where=place)
    signers = {seal.signer for seal in seals}
    if len(signers) < threshold:
        problem = f"{len(signers)} officers signed this {kind}; {threshold} are needed"
        raise Rejected(problem, reason="below-threshold", where=where)


class Governance(Value):
    """The field: which documents rule, by digest, in order; and how often they changed.

    `version` rises by one with every change of documents. `ordered_ms` is when the newest order that was carried
    out was issued (milliseconds since 1970; 0: none was).
    """

    documents: Annotated[tuple[Digest, ...], Meta(max_length=DOCUMENTS_MAX)]
    version: Count
    ordered_ms: Count = 0

    def check_documents(self, documents: Sequence[Document], now_ms: int) -> None:
        """Raise `Rejected` unless these are exactly the documents named, in order, inside their windows."""
        if tuple(digest_of(item) for item in documents) != self.documents:
            problem = "the policy documents are not the ones the record names"
            raise Rejected(problem, reason="wrong-documents", where="governance.documents")
        for item in documents:
            item.check()
            if not item.not_before_ms <= now_ms < item.not_after_ms:
                problem = f"document {item.name} version {item.version} is outside its window"
                raise Rejected(problem, reason="outside-window", where=f"governance.{item.name}")


def check_successor(old: Document, new: SignedDocument) -> None:
    """Raise `Rejected` unless `new` follows `old`: same issuer and name, next version, signed by old officers.

    The threshold is the *current* document's (trap 41): an amendment cannot appoint its own judges.
    """
    document = new.document
    if (document.issuer, document.name) != (old.issuer, old.name):
        raise Rejected(
            "the document succeeds another one", reason="wrong-documents", where="document"
        )
    if document.version != old.version + 1 or document.previous != digest_of(old):
        problem = f"version {document.version} does not follow version {old.version}"
        raise Rejected(problem, reason="rollback", where="document.version")
    new.check(old.officers, old.officers.amend)
    document.check()
