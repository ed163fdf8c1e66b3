"""Governance: the signed policy documents that rule an agent.

A document is its issuer's: only a signed successor changes it, never the agent and never a host. The record
names documents by digest; their text travels beside it. A document that is unsigned, outside its window,
older than one already known, or by too few officers is rejected, and then everything but return, retire,
amendment and inspection is denied (architecture §4).

While a document cools that was succeeded, both rule: what it forbade stays forbidden (protocol §8.6). Whoever asks
the documents of an agent asks `Governing`, which holds them all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sojourn.core.agent.approvals import Approvers, check_approvers
from sojourn.core.agent.delegation import Mandate, Power, passing_on
from sojourn.core.agent.officers import (
    Officers,
    Root,
    Seals,
    check_sealed,
    check_threshold,
    officers_id,
)
from sojourn.core.base.digests import ZERO
from sojourn.core.base.encoding import Count, Digest, Name, Text, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import APPROVER_GROUPS_MAX, COOLING_MAX, DOCUMENTS_MAX
from sojourn.core.base.seals import Kind

__all__ = [
    "KEPT",
    "Cooling",
    "Document",
    "Governance",
    "Governing",
    "Officers",
    "Root",
    "Seals",
    "SignedDocument",
    "Warrant",
    "acting_under",
    "check_kept",
    "check_run_holds",
    "check_sealed",
    "check_signed",
    "check_successor",
    "check_threshold",
    "delegating",
    "issuer_id",
    "leaning",
    "signers_of",
]

Span = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Named = Annotated[tuple[Digest, ...], Meta(max_length=DOCUMENTS_MAX)]
_NAMES_REMEMBERED: Final = 256


class Document(Value, tag_field="kind", tag="document/1"):
    """One policy of one issuer: Cedar text, who may change it, and from when to when it holds.

    `actions` are the application's own actions that the text may name beside the standard ones. Times are
    milliseconds since 1970. `outside_effects` says whether the agent may act outside its zone at all: such
    agents should be launched guarded (protocol §0). For `cool_down_ms` after a successor took its place it rules
    beside it. Where there is a `root`, it alone names other officers, or another root. With a `staleness_ms` agents
    under it act only where an officer vouched no longer ago than that for what is newest (protocol §8.11); where
    there is none, it is absent from the bytes, too. `approvers` are the groups that the text's rules may ask, by name
    (`core.agent.approvals`).
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
    cool_down_ms: Count = 0
    root: Root | None = None
    approvers: Annotated[dict[Name, Approvers], Meta(max_length=APPROVER_GROUPS_MAX)] = {}
    staleness_ms: Span | UnsetType = UNSET

    def __hash__(self) -> int:
        """Return a hash of what tells documents apart: what was prepared of one is remembered by it."""
        return hash((self.issuer, self.name, self.version, self.previous, self.cedar))

    def holds_at(self, at_ms: int) -> bool:
        """Tell whether a time is inside its window."""
        return self.not_before_ms <= at_ms < self.not_after_ms

    def check(self) -> None:
        """Raise `Rejected` unless its officers, its root if it has one, and each group of approvers can be enough."""
        self.officers.check()
        if self.root is not None:
            self.root.check()
        check_approvers(self.approvers)


def issuer_id(document: Document) -> bytes:
    """Return the identifier of a document's issuer: the digest of its officers, with their keys in order.

    What an issuer calls itself proves nothing, but who may act for it shows in every seal (protocol §8). The
    thresholds are part of it: one officer of several is not the issuer. The order of keys means nothing.
    """
    return officers_id(document.officers)


class SignedDocument(Value):
    """A document with its officers' seals, which are evidence and not part of its digest.

    Where the seals are a delegate's, it leans on the mandate that it is `under`; else that is absent from the bytes.
    """

    document: Document
    seals: Seals
    under: Mandate | UnsetType = UNSET

    @property
    def mandate(self) -> Mandate | None:
        """What a delegate sealed it under; None where the issuer's own officers, or root keys, sealed it."""
        return None if self.under is UNSET else self.under

    def counts_at(self, at_ms: int) -> bool:
        """Tell whether it may be taken at a time by itself: the issuer's own always, a delegate's in its window."""
        return self.under is UNSET or self.under.holds_at(at_ms)

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


class Matter(StrEnum):
    """What an order is about. One that was issued later voids those before it of the same matter, and no others."""

    SUSPENSION = "suspension"
    QUARANTINE = "quarantine"
    END = "end"
    EVENTS = "events"
    BUDGETS = "budgets"
    MEMORY = "memory"
    CODE = "code"


class Cooling(Value):
    """The documents that ruled before an amendment, all of them as they were; until when they still rule beside it.

    All, since together they are one policy: what one of them permits, another may forbid.
    """

    documents: Named
    until_ms: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Governing:
    """What rules an agent at a time: its documents, and each set of them that cools. All must permit.

    Made by `Governance.governing`, from documents that it names. `governance` is the one that made it.
    """

    governance: "Governance"
    documents: tuple[Document, ...]
    cooling: tuple[tuple[Document, ...], ...]

    @property
    def policies(self) -> tuple[tuple[Document, ...], ...]:
        """The sets of documents that are one policy each: those that rule first."""
        return (self.documents, *self.cooling)


class Governance(Value):
    """The field: which documents rule, by digest, in order; how often they changed; and what cools.

    `version` rises by one with every change of documents. `ordered_ms` is when the newest order of each matter that
    was carried out was issued (milliseconds since 1970); a matter of which none was is left out. `issuer` is whose
    the agent is, as policies know it: it is the issuer of the first document at genesis, and outlives its officers'
    keys.
    """

    documents: Named
    version: Count
    ordered_ms: dict[Matter, Count] = {}
    issuer: Digest = ZERO
    cooling: Annotated[tuple[Cooling, ...], Meta(max_length=COOLING_MAX)] = ()

    @property
    def named(self) -> tuple[bytes, ...]:
        """All documents that it names, each once: those that rule, and then those that may still cool."""
        sets = (self.documents, *(each.documents for each in self.cooling))
        return tuple(dict.fromkeys(digest for documents in sets for digest in documents))

    def last_ordered_ms(self, matter: Matter) -> int:
        """Return when the newest order of a matter that was carried out was issued; 0 if none was."""
        return self.ordered_ms.get(matter, 0)

    def ordered(self, matter: Matter, issued_ms: int) -> "Governance":
        """Return the field after an order of a matter was carried out."""
        return msgspec.structs.replace(self, ordered_ms={**self.ordered_ms, matter: issued_ms})

    def governing(self, documents: Iterable[Document], at_ms: int) -> Governing:
        """Return what rules at `at_ms`, from among `documents`.

        Raises `Rejected` if one is not there, has officers that cannot be, or does not hold then. A set that cools
        was in force, and cools until its time is over: of the windows of its documents no more is asked.
        """
        known = {_name_of(item): item for item in documents}
        ruling = _found(self.documents, known)
        for item in ruling:
            item.check()
            if not item.holds_at(at_ms):
                problem = f"document {item.name} version {item.version} is outside its window"
                raise Rejected(problem, reason="outside-window", where=f"governance.{item.name}")
        cooling = tuple(
            _found(each.documents, known) for each in self.cooling if at_ms < each.until_ms
        )
        return Governing(governance=self, documents=ruling, cooling=cooling)

    def amended(self, old: Document, run: Sequence[Document], at_ms: int) -> "Governance":
        """Return the field after the last of `run` took the place of `old`, which it names; those between cool too.

        Raises `Rejected` if more is cooling than there is room for.
        """
        place = self.documents.index(digest_of(old))
        before, after = self.documents[:place], self.documents[place + 1 :]
        cooling = [each for each in self.cooling if at_ms < each.until_ms]
        for item in (old, *run[:-1]):
            if item.cool_down_ms and item.holds_at(at_ms):
                until_ms = min(at_ms + item.cool_down_ms, item.not_after_ms)
                documents = (*before, digest_of(item), *after)
                cooling.append(Cooling(documents=documents, until_ms=until_ms))
        if len(cooling) > COOLING_MAX:
            problem = f"{len(cooling)} earlier policies would cool, at most {COOLING_MAX} may"
            raise Rejected(problem, reason="too-many", where="governance.cooling")
        documents = (*before, digest_of(run[-1]), *after)
        return msgspec.structs.replace(
            self, documents=documents, version=self.version + 1, cooling=tuple(cooling)
        )


@lru_cache(maxsize=_NAMES_REMEMBERED)
def _name_of(document: Document) -> bytes:
    """Return a document's digest. Writing out its text takes longer than all else that is asked of its window."""
    return digest_of(document)


def _found(named: Sequence[bytes], known: dict[bytes, Document]) -> tuple[Document, ...]:
    if lacking := [digest for digest in named if digest not in known]:
        problem = f"{len(lacking)} policy documents are not the ones the record names"
        raise Rejected(problem, reason="wrong-documents", where="governance.documents")
    return tuple(known[digest] for digest in named)


KEPT: Final = ("officers", "root", "cool_down_ms", "staleness_ms")
"""What no delegate changes: who may act for the issuer, and what holds a change of the text back."""


def check_successor(old: Document, new: SignedDocument) -> None:
    """Raise `Rejected` unless `new` follows `old`: same issuer and name, next version, signed by old officers.

    The threshold is the *current* document's (trap 41): an amendment cannot appoint its own judges. Where that has
    a root, other officers or another root are signed by the root, and by nobody else. A delegate may sign what
    changes neither. Whether its delegation holds at the time is no part of this: see `check_run_holds`.
    """
    document = new.document
    if (document.issuer, document.name) != (old.issuer, old.name):
        raise Rejected(
            "the document succeeds another one", reason="wrong-documents", where="document"
        )
    if document.version != old.version + 1 or document.previous != digest_of(old):
        problem = f"version {document.version} does not follow version {old.version}"
        raise Rejected(problem, reason="rollback", where="document.version")
    check_signed(old, document, new.seals, new.mandate, where="document")
    document.check()


def check_signed(
    old: Document, new: Document, seals: Seals, mandate: Mandate | None, *, where: str
) -> None:
    """Raise `Rejected` unless those sealed `new` who may where `old` rules: the issuer's own, or a delegate."""
    digest = digest_of(new)
    if mandate is None:
        signers, threshold = signers_of(old, new)
        check_threshold(Kind.DOCUMENT, digest, seals, signers, threshold, where=where)
        return
    check_kept(old, new, mandate, where=where)
    acting = acting_under(mandate, old, Power.AMEND, where=where)
    whose = mandate.name
    check_threshold(Kind.DOCUMENT, digest, seals, acting, acting.amend, where=where, whose=whose)


def check_kept(old: Document, new: Document, mandate: Mandate, *, where: str) -> None:
    """Raise `Rejected` ("beyond-mandate") if a successor changes what no delegate may."""
    for name in KEPT:
        if getattr(new, name) != getattr(old, name):
            problem = f"{mandate.name} may act for {old.issuer}, and not change its {name}"
            remedy = f"Leave it as it is in version {old.version}, or have the issuer sign it"
            raise Rejected(problem, reason="beyond-mandate", where=f"{where}.{name}", remedy=remedy)


def delegating(old: Document, before: Mandate | None) -> tuple[Officers | Root, int]:
    """Return who may delegate where `old` rules, or pass on what they have under a mandate; how many of them."""
    if before is not None:
        return before.acting, passing_on(before.acting)
    if old.root is not None:
        return old.root, old.root.threshold
    return old.officers, old.officers.amend


def acting_under(mandate: Mandate, old: Document, power: Power, *, where: str) -> Officers:
    """Return who may use a power under a mandate where `old` rules: the officers of the last delegate.

    The first delegation is signed by who says who acts for the issuer: its root, if it has one, else as many officers
    as an amendment takes. Raises `Rejected` for a mandate that is not the issuer's, or that does not go so far.
    """
    signers, threshold = delegating(old, None)
    mandate.check(old.issuer, old.name, signers, threshold, old.officers, where=where)
    mandate.check_covers(old.name, power, where=where)
    return mandate.acting


def leaning(run: Sequence[SignedDocument]) -> Sequence[SignedDocument]:
    """Return those of a run that have only a delegate's word: what the issuer's own names as predecessor has its."""
    own = [index for index, signed in enumerate(run) if signed.mandate is None]
    return run[own[-1] + 1 :] if own else run


def check_run_holds(
    run: Sequence[SignedDocument], at_ms: int, *, where: str = "evidence.documents"
) -> None:
    """Raise `Rejected` if one of a run of successors leans on a delegation alone that does not hold at `at_ms`."""
    alone = leaning(run)
    for index, signed in enumerate(alone, len(run) - len(alone)):
        if signed.mandate is not None:
            signed.mandate.check_holds(at_ms, where=f"{where}[{index}]")


def signers_of(old: Document, new: Document) -> tuple[Officers | Root, int]:
    """Return who of the issuer must sign `new` where `old` rules, and how many of them."""
    is_rotation = (new.officers, new.root) != (old.officers, old.root)
    if old.root is not None and is_rotation:
        return old.root, old.root.threshold
    return old.officers, old.officers.amend
