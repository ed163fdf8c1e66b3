"""Custody as evidence: certified transitions, and the chain of chapters from genesis to here.

A zone's identifier is the digest of its first manifest, and an agent's is the digest of its genesis, which
names its first zone. So a chain of chapters proves itself: each departure names the next zone, whose
manifest is checked against that name. A stranger that shows a manifest of its own making cannot speak for a
zone that the chain names (trap 13).
"""

from collections.abc import Mapping, Sequence

from msgspec import UNSET, UnsetType

from sojourn.core.agent.budgets import check_transition
from sojourn.core.agent.governance import Document, Warrant, issuer_id
from sojourn.core.agent.orders import check_authorised
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.succession import Find, Succession, check_succession
from sojourn.core.agent.transition import (
    Transition,
    TransitionKind,
    check_constant,
    check_genesis,
    open_custody,
)
from sojourn.core.agent.upgrading import check_published
from sojourn.core.base.encoding import Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.votes import Phase
from sojourn.core.zone.manifest import ZoneManifest

__all__ = [
    "Certified",
    "Chapter",
    "check_chain",
    "check_chapters",
    "check_governance",
    "check_head",
    "check_issuer",
    "check_refusal",
    "check_warrant",
    "proving",
    "zones_in",
]

_OPENING = (TransitionKind.GENESIS, TransitionKind.ADMIT, TransitionKind.RETURN)


class Certified(Value, tag_field="kind", tag="certified/1"):
    """A transition and the commit certificate that made it final."""

    transition: Transition
    certificate: Certificate

    @property
    def record(self) -> AgentRecord:
        """The record that was decided (for a refusal: the departed record it is about)."""
        return self.transition.record

    def check(self, manifests: Mapping[bytes, ZoneManifest], *, where: str = "certified") -> None:
        """Raise `Rejected` unless a quorum of the slot's zone, known to the caller, committed this.

        Checks in order: phase, zone known, realm, epoch, slot against the transition, value, then signatures.
        """
        certificate, slot = self.certificate, self.certificate.slot
        if certificate.phase is not Phase.COMMIT:
            problem = f"a {certificate.phase} certificate decides nothing"
            raise Rejected(problem, reason="wrong-phase", where=f"{where}.certificate")
        manifest = manifests.get(slot.group)
        if manifest is None:
            raise Rejected("certified by an unknown zone", reason="unknown-zone", where=where)
        if manifest.realm != slot.realm:
            problem = f"certified in realm {slot.realm!r} by a zone of {manifest.realm!r}"
            raise Rejected(problem, reason="wrong-realm", where=f"{where}.certificate.slot")
        if manifest.epoch != slot.epoch:
            problem = f"certified in epoch {slot.epoch}, epoch {manifest.epoch} is known"
            raise Rejected(problem, reason="unknown-epoch", where=f"{where}.certificate.slot")
        self._check_slot(where)
        if certificate.value != self.transition.digest:
            raise Rejected(
                "the certificate is for another value", reason="wrong-value", where=where
            )
        certificate.check(Phase.COMMIT, manifest.committee, where=f"{where}.certificate")

    def _check_slot(self, where: str) -> None:
        slot, record = self.certificate.slot, self.record
        if slot.agent != record.agent_id or slot.realm != record.realm:
            raise Rejected("the slot is another agent's", reason="wrong-agent", where=where)
        if self.transition.kind is TransitionKind.REFUSE:
            migration = record.migration
            named = None if migration is None else (migration.to_zone, migration.next_term)
            expected = (*(named or (b"", 0)), record.version + 1)
        else:
            expected = (record.custody.zone, record.custody.term, record.version)
        if (slot.group, slot.term, slot.version) != expected:
            problem = f"the certificate's slot, {slot.describe()}, is not the record's"
            raise Rejected(problem, reason="wrong-slot", where=f"{where}.certificate.slot")


class Chapter(Value, tag_field="kind", tag="chapter/1"):
    """One term of custody: how it was opened; how it was closed, if it was; what else led to it.

    A return leans on a refusal, a genesis on its officers' seals, or on the SPAWN that names it; that of a fork of a
    child on its seals and on `origin`, the newest transition of that child which it was shown with, else absent from
    the bytes. `succession` holds the officers' seals of all documents that came after those of the genesis, in this
    term or before.
    """

    opened: Certified
    closed: Certified | None = None
    refusal: Certified | None = None
    warrant: Warrant | None = None
    succession: Succession = ()
    spawned: Certified | None = None
    origin: Certified | UnsetType = UNSET


def check_chain(
    agent: bytes, chapters: Sequence[Chapter], manifests: Mapping[bytes, ZoneManifest]
) -> AgentRecord:
    """Return the last opening record of a chain of chapters that proves itself from genesis.

    Raises `Rejected` naming the chapter: every opening and closing certified by the zone that held custody,
    every chapter following from the one before.
    """
    if not chapters:
        raise Rejected("the chain of custody is empty", reason="truncated", where="chapters")
    check_chapters(agent, None, chapters, manifests)
    return chapters[-1].opened.record


def check_chapters(
    agent: bytes,
    before: Chapter | None,
    chapters: Sequence[Chapter],
    manifests: Mapping[bytes, ZoneManifest],
    *,
    start: int = 0,
) -> None:
    """Raise `Rejected` unless chapters go on from `before`, which was checked; from genesis, if that is None.

    `start` is the place of the first of them in the whole chain.
    """
    for index, chapter in enumerate(chapters, start):
        where = f"chapters[{index}]"
        _check_chapter(chapter, manifests, where)
        if before is None:
            _check_first(agent, chapter.opened, where)
        else:
            _check_follows(before, chapter, manifests, where)
        before = chapter


def zones_in(chapters: Sequence[Chapter]) -> set[bytes]:
    """Return the zones that decided what stands in chapters."""
    shown = ((c.opened, c.closed, c.refusal, c.spawned, c.origin or None) for c in chapters)
    decided = [each for part in shown for each in part if each]
    return {each.certificate.slot.group for each in decided}


def check_head(
    chapter: Chapter,
    head: Certified,
    manifests: Mapping[bytes, ZoneManifest],
    *,
    where: str = "head",
) -> None:
    """Raise `Rejected` unless `head` is certified, of the same agent, and lies in the term that `chapter` opened.

    What no transition may change must be as the chapter opened: what lies between is not shown.
    """
    head.check(manifests, where=where)
    opened = chapter.opened.record
    if head.record == opened:
        return
    here, there = head.record.custody, opened.custody
    if (here.zone, here.term) != (there.zone, there.term):
        raise Rejected("it is of another term", reason="wrong-term", where=where)
    if head.record.lineage.custody != digest_of(open_custody(opened)):
        raise Rejected("it descends from another opening", reason="bad-lineage", where=where)
    if head.record.agent_id != opened.agent_id:
        raise Rejected("it is of another agent", reason="wrong-agent", where=where)
    check_constant(opened, head.record)


def check_warrant(
    first: Chapter, documents: Sequence[Document], *, where: str = "chapters[0]"
) -> None:
    """Raise `Rejected` unless officers sealed the genesis that opened `first`, and the documents it names.

    A zone is believed about what it decided, not about whose agent it was: it may have launched one in another's
    name, with nobody's seal (protocol §8). `documents` are those that the record names, checked against it.
    """
    if first.warrant is None:
        problem = "no officer's seal is shown under its genesis"
        raise Rejected(problem, reason="no-warrant", where=where)
    first.warrant.check(first.opened.transition.digest, documents, where=f"{where}.warrant")
    sealed_by = {seal.signer for seal in first.warrant.genesis}
    check_published(first.opened.record.capabilities, sealed_by, where=f"{where}.capabilities")
    check_issuer(first.opened.record, documents)


def check_issuer(born: AgentRecord, documents: Sequence[Document]) -> None:
    """Raise `Rejected` unless a genesis says whose it is: the issuer of the first of its `documents`."""
    if born.governance.issuer != issuer_id(documents[0]):
        problem = "the issuer is not that of the first document"
        raise Rejected(problem, reason="wrong-issuer", where="governance.issuer")


def proving(first: Chapter, last: Chapter, record: AgentRecord) -> tuple[bytes, ...]:
    """Return the documents, beside those that `record` names, that `check_governance` asks for, each once."""
    named = dict.fromkeys(first.opened.record.governance.documents)
    named |= dict.fromkeys(each.document for each in last.succession)
    named |= dict.fromkeys(last.opened.record.governance.documents)
    return tuple(digest for digest in named if digest not in record.governance.named)


def check_governance(first: Chapter, last: Chapter, record: AgentRecord, find: Find) -> None:
    """Raise `Rejected` unless the documents of `record` are its issuer's, whatever the zones say (protocol §8).

    `first` opened the agent's life and `last` the term of `record`. What the genesis names was sealed by its
    officers, as was the genesis; a child's is what ruled its parent, and proved with that (`check_family`). Every
    document since was sealed by who were officers, or root, before it. None is older than the one with which the term
    began: a zone may leave out what it likes to, and go back behind nothing that came to it. Raises what `find`
    raises, which returns a document by its digest.
    """
    born = first.opened.record.governance.documents
    if not first.opened.record.is_spawned:
        check_warrant(first, tuple(map(find, born)))
    began = first.opened.record
    check_authorised(began.agent_id, record.capabilities, began.capabilities, find(born[0]))
    where = "chapters[-1].succession"
    check_succession(born, last.succession, record.governance, find, where=where)
    entered = last.opened.record.governance.documents
    for before, after in zip(entered, record.governance.documents, strict=True):
        if before != after and find(after).version <= find(before).version:
            problem = f"version {find(after).version} of {find(after).name} had been succeeded"
            raise Rejected(problem, reason="rollback", where="governance.documents")
    _check_taken_since(last, tuple(map(find, entered)), find, where)


def _check_taken_since(last: Chapter, entered: Sequence[Document], find: Find, where: str) -> None:
    """Check that what a delegate's word took in this term was not taken before that began (protocol §8.14).

    A zone that lies about the time reaches back no further than to when it was given custody.
    """
    versions = {(each.issuer, each.name): each.version for each in entered}
    since_ms = last.opened.transition.at_ms - 2 * CLOCK_SKEW_MS
    for index, sealed in enumerate(last.succession):
        if sealed.delegated is UNSET or sealed.delegated.at_ms >= since_ms:
            continue
        document = find(sealed.document)
        if document.version > versions.get((document.issuer, document.name), -1):
            problem = f"it was taken at {sealed.delegated.at_ms}, before the term began"
            raise Rejected(problem, reason="outside-window", where=f"{where}[{index}]")


def _check_chapter(chapter: Chapter, manifests: Mapping[bytes, ZoneManifest], where: str) -> None:
    if chapter.opened.transition.kind not in _OPENING:
        problem = f"a {chapter.opened.transition.kind} opens no term"
        raise Rejected(problem, reason="wrong-kind", where=where)
    chapter.opened.check(manifests, where=f"{where}.opened")
    if chapter.closed is not None:
        if chapter.closed.transition.kind is not TransitionKind.DEPART:
            raise Rejected("only a departure closes a term", reason="wrong-kind", where=where)
        check_head(chapter, chapter.closed, manifests, where=f"{where}.closed")
    if chapter.refusal is not None and chapter.opened.transition.kind is not TransitionKind.RETURN:
        problem = "only a return leans on a refusal"
        raise Rejected(problem, reason="extra", where=f"{where}.refusal")
    is_genesis = chapter.opened.transition.kind is TransitionKind.GENESIS
    if chapter.warrant is not None and not is_genesis:
        problem = "only a genesis leans on a warrant"
        raise Rejected(problem, reason="extra", where=f"{where}.warrant")
    if chapter.spawned is not None:
        if not is_genesis or not chapter.opened.record.is_spawned:
            problem = "only the genesis of a child leans on a SPAWN"
            raise Rejected(problem, reason="extra", where=f"{where}.spawned")
        chapter.spawned.check(manifests, where=f"{where}.spawned")
    if chapter.origin is not UNSET:
        born = chapter.opened.record
        if not is_genesis or born.is_spawned or not born.eligibility.ancestors:
            problem = "only the genesis of a fork of a child leans on its origin"
            raise Rejected(problem, reason="extra", where=f"{where}.origin")
        chapter.origin.check(manifests, where=f"{where}.origin")


def _check_first(agent: bytes, opened: Certified, where: str) -> None:
    if opened.transition.kind is not TransitionKind.GENESIS or opened.record.agent_id != agent:
        problem = "the chain does not begin with this agent's genesis"
        raise Rejected(problem, reason="wrong-agent", where=where)
    check_genesis(opened.record)


def _check_follows(
    before: Chapter, chapter: Chapter, manifests: Mapping[bytes, ZoneManifest], where: str
) -> None:
    departure, opened = before.closed, chapter.opened
    if departure is None:
        raise Rejected("a term opens though none was closed", reason="bad-lineage", where=where)
    if opened.transition.parent != departure.record.digest:
        raise Rejected("it follows another departure", reason="wrong-parent", where=where)
    slot = departure.certificate.slot
    check_transition(opened.transition, departure.record, slot)
    if opened.transition.kind is TransitionKind.RETURN:
        check_refusal(chapter.refusal, departure.record, manifests, where=where)


def check_refusal(
    refusal: Certified | None,
    departed: AgentRecord,
    manifests: Mapping[bytes, ZoneManifest],
    *,
    where: str,
) -> None:
    """Raise `Rejected` unless `refusal` is the certified refusal of exactly this departure (protocol §5)."""
    if refusal is None or refusal.transition.kind is not TransitionKind.REFUSE:
        raise Rejected("a return needs the target's refusal", reason="no-refusal", where=where)
    if refusal.transition.parent != departed.digest or refusal.record != departed:
        raise Rejected("the refusal is of another departure", reason="wrong-parent", where=where)
    refusal.check(manifests, where=f"{where}.refusal")
