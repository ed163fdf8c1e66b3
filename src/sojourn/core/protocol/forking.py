"""Forking: a new agent that goes on from a version of another one, by the word of that one's officers.

    a version of an agent, certified ─┐
    its newest version, certified ────┼─► the genesis of the fork, sealed by its officers ─► decided like any launch
    budgets, and perhaps other code ──┘

The genesis is what authorises the fork: it names the agent, the version and the record, and its officers' seals are
in the first chapter of the fork's custody, so whoever reads its lineage sees who had it made, and from what. It has
an identifier of its own, and with it keys of effects, mail, timers and chance of its own (protocol §8.17).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from sojourn.core.agent.ancestry import why_unforkable
from sojourn.core.agent.capabilities import Capabilities
from sojourn.core.agent.eligibility import ACTING, Budget, Eligibility, Status
from sojourn.core.agent.governance import Document, SignedDocument, issuer_id
from sojourn.core.agent.lineage import Fork, Lineage
from sojourn.core.agent.memory.field import Compartment, Memory, may_reside
from sojourn.core.agent.record import AgentRecord, Custody
from sojourn.core.agent.transition import Transition, TransitionKind, changed_fields
from sojourn.core.base.digests import ZERO, cid_text, digest
from sojourn.core.base.encoding import Count, Digest, Name, Value, digest_of, encode
from sojourn.core.base.errors import Denied, Misused, Refused, Rejected
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol import permission
from sojourn.core.protocol.custody import Certified, Chapter, proving
from sojourn.core.protocol.dossier import Dossier, View
from sojourn.core.protocol.governed import documents_of, governing, kin_of
from sojourn.core.protocol.keeping import destroyed_in
from sojourn.core.protocol.kinship import check_origin
from sojourn.core.protocol.messages import Evidence, Forking, Proposal
from sojourn.core.protocol.parentage import Parentage, parentage_block
from sojourn.core.protocol.waiting import next_order, what_waits
from sojourn.core.zone.manifest import ZoneManifest

__all__ = [
    "Grant",
    "check_fork",
    "check_fork_family",
    "check_fork_unheld",
    "check_forkable",
    "family_blocks",
    "fork_of",
    "forking",
    "sealed_documents",
    "seals_shown",
]

_WHERE: Final = "evidence.fork"


class Grant(Value):
    """What officers give a fork that its origin's record does not say.

    `budgets` are its limits, of every budget that its origin has. `journal` is the root of its journal, which goes on
    from its origin's. `chance` (32 bytes) makes two forks of one version two agents. `parentage` is the root of what
    proves the ancestors of its origin, where that has any (`family_blocks`). `code` are its capabilities where it is
    to have other code.
    """

    budgets: dict[Name, Count]
    journal: Digest
    chance: Digest
    parentage: Digest | None = None
    code: Capabilities | UnsetType = UNSET


def check_forkable(at: AgentRecord, newest: AgentRecord, zone: ZoneManifest) -> None:
    """Raise `Rejected` or `Denied` unless an agent whose newest record is `newest` may be forked at `at` into a zone.

    What policies say is asked apart.
    """
    same = at.agent_id == newest.agent_id and at.version <= newest.version
    if not same or (at.version == newest.version and at != newest):
        problem = "what it goes on from is no version of the agent that is shown"
        raise Rejected(problem, reason="wrong-agent", where=_WHERE)
    if problem := why_unforkable(newest):
        is_lifted = newest.eligibility.is_alone and newest.eligibility.status in ACTING
        remedy = "Lift the quarantine first: `sojourn agent lift`" if is_lifted else ""
        raise Denied(problem, remedy=remedy)
    for name, compartment in sorted(at.memory.compartments.items()):
        _check_compartment(name, compartment, at, zone)


def _check_compartment(
    name: str, compartment: Compartment, at: AgentRecord, zone: ZoneManifest
) -> None:
    remedy = "Fork it at a version before it, or at one when all of its memory was there"
    holder = compartment.held_by or at.custody.zone
    if compartment.encryption is not None and holder != zone.zone_id:
        problem = (
            f"compartment {name!r} is encrypted, and the anchors of zone {cid_text(holder)} hold "
            "its key, which travels nowhere"
        )
        raise Denied(problem, remedy="Fork it into that zone: --zone")
    if compartment.held_by not in (None, zone.zone_id):
        problem = f"compartment {name!r} had stayed behind in zone {cid_text(compartment.held_by)}"
        raise Denied(problem, remedy=remedy)
    is_moved = at.custody.zone != zone.zone_id
    if is_moved and not may_reside(compartment, zone.attributes.jurisdiction):
        within = ", ".join(compartment.residency)
        problem = f"compartment {name!r} may be in {within}, and {zone.name} is not"
        raise Denied(problem, remedy="Fork it into a zone that is: --zone")


def fork_of(
    at: AgentRecord, newest: AgentRecord, first: Document, grant: Grant, zone: ZoneManifest
) -> AgentRecord:
    """Return the genesis of a fork: memory and capabilities of one record, what binds it of the newest.

    That is governance, trust, and ancestors with what was ordered of them. `first` is the first document of the
    newest, whose issuer's the fork is. What was amended and still cools is left out: nothing may (`check_fork`).
    Raises as `check_forkable`; `Rejected` for budgets that leave one out, and for ancestors without what proves them.
    """
    check_forkable(at, newest, zone)
    if missing := sorted(newest.eligibility.budgets.keys() - grant.budgets.keys()):
        problem = f"the agent has a budget of {missing[0]}, and the fork is given none"
        raise Rejected(problem, reason="bad-change", where="eligibility.budgets")
    if bool(newest.eligibility.ancestors) != (grant.parentage is not None):
        problem = "what proves its ancestors is to be named, if it has any"
        raise Rejected(problem, reason="bad-lineage", where="lineage.parentage")
    gone = destroyed_in(newest)
    compartments = {
        name: _as_the_forks(item, gone) for name, item in at.memory.compartments.items()
    }
    capabilities = at.capabilities if grant.code is UNSET else grant.code
    return AgentRecord(
        realm=at.realm,
        agent=ZERO,
        version=0,
        parent=grant.chance,
        custody=Custody(zone=zone.zone_id, term=0, binding=0, host=None),
        migration=None,
        governance=msgspec.structs.replace(
            newest.governance, ordered_ms={}, cooling=(), issuer=issuer_id(first)
        ),
        memory=Memory(compartments=compartments, journal=grant.journal),
        lineage=Lineage(
            parentage=grant.parentage,
            forked=Fork(agent=at.agent_id, version=at.version, record=at.digest),
        ),
        eligibility=Eligibility(
            status=Status.ACTIVE,
            budgets={name: Budget(limit=limit) for name, limit in grant.budgets.items()},
            ancestors=newest.eligibility.ancestors,
        ),
        trust=newest.trust,
        capabilities=msgspec.structs.replace(capabilities, adopted=UNSET, upgrade=UNSET),
    )


def _as_the_forks(compartment: Compartment, gone: Collection[bytes]) -> Compartment:
    """Return a compartment as a fork has it: at home, under the key that it was under, erased if that is `gone`.

    The key is not dealt anew: it is one data subject's, and what is ordered erased of one is readable in no other.
    """
    key = compartment.encryption
    if key is not None and key.key in gone:
        key = msgspec.structs.replace(key, is_erased=True)
    return msgspec.structs.replace(compartment, held_by=None, encryption=key)


def family_blocks(newest: AgentRecord, chapters: Sequence[Chapter]) -> list[bytes]:
    """Return the blocks that prove the ancestors of a fork, what names the others first; none where it has none.

    `newest` is the newest record of its origin, `chapters` the chain of custody up to it. The documents that they
    are held against, and what proves the origin's own parent, are stored where the origin is.
    """
    if not newest.eligibility.ancestors:
        return []
    blocks = [encode(chapter) for chapter in chapters]
    documents = (*newest.governance.documents, *proving(chapters[0], chapters[-1], newest))
    root = Parentage(
        chapters=tuple(map(digest, blocks)),
        documents=tuple(dict.fromkeys(documents)),
        above=newest.lineage.parentage,
    )
    return [parentage_block(root), *blocks]


def seals_shown(chapters: Sequence[Chapter]) -> dict[bytes, list[Seal]]:
    """Return the seals of policy documents, by digest, that an agent's chain of custody shows."""
    shown: dict[bytes, list[Seal]] = {}
    first, last = chapters[0], chapters[-1]
    if first.warrant is not None:
        born = first.opened.record.governance.documents
        for named, seals in zip(born, first.warrant.documents, strict=True):
            shown.setdefault(named, []).extend(seals)
    for sealed in last.succession:
        shown.setdefault(sealed.document, []).extend(sealed.seals)
    return shown


def sealed_documents(
    documents: Sequence[Document],
    shown: Mapping[bytes, Sequence[Seal]],
    officers: Sequence[KeyPair],
) -> tuple[SignedDocument, ...]:
    """Return documents with the seals that a genesis needs: those that are `shown`, by digest, and officers' own.

    A document that came later was sealed by who were officers before it; its own seal it now. Raises `Misused` where
    they are too few.
    """
    return tuple(_signed(document, shown, officers) for document in documents)


def _signed(
    document: Document, shown: Mapping[bytes, Sequence[Seal]], officers: Sequence[KeyPair]
) -> SignedDocument:
    named, may = digest_of(document), document.officers
    seals = {seal.signer: seal for seal in shown.get(named, ()) if seal.signer in may.keys}
    for officer in officers:
        if officer.public in may.keys and officer.public not in seals:
            signature = officer.sign(statement(Kind.DOCUMENT, Role.ISSUER, named))
            seals[officer.public] = Seal(signer=officer.public, signature=signature)
    if len(seals) < may.amend:
        others = ", ".join(key_text(key) for key in may.keys if key not in seals)
        problem = f"{document.name} takes {may.amend} of its officers to fork; {len(seals)} sealed"
        raise Misused(problem, remedy=f"Give more of their keys with --key: {others}")
    return SignedDocument(document=document, seals=tuple(seals.values()))


def forking(
    record: AgentRecord,
    shown: Forking,
    documents: tuple[SignedDocument, ...],
    officers: Sequence[KeyPair],
    *,
    at_ms: int,
    reason: str = "",
) -> Proposal:
    """Return the proposal of a fork's genesis, sealed by officers; the first of them is its author."""
    transition = Transition(
        kind=TransitionKind.GENESIS,
        parent=ZERO,
        record=record,
        author=officers[0].public,
        at_ms=at_ms,
        reason=reason,
    )
    covered = statement(Kind.TRANSITION, Role.ISSUER, transition.digest)
    seals = tuple(Seal(signer=each.public, signature=each.sign(covered)) for each in officers)
    evidence = Evidence(documents=documents, fork=shown)
    return Proposal(transition=transition, seals=seals, evidence=evidence)


# --- what anchors check -------------------------------------------------------------------------------


def check_fork(genesis: Proposal, view: View) -> None:
    """Raise unless a genesis that says that it is a fork is one, and the policies of what it goes on from permit it.

    That its officers sealed it is checked of every genesis; here, that they are the officers of that agent. Raises
    `Rejected`, `Denied`; `Refused` for what this anchor cannot tell; `Missing` ("blocks").
    """
    record, shown = genesis.transition.record, genesis.evidence.fork
    if record.lineage.forked is UNSET:
        return
    if shown is UNSET:
        problem = "it shows no version that it goes on from"
        raise Rejected(problem, reason="no-fork", where=_WHERE)
    _check_certified(shown.at, f"{_WHERE}.at", view)
    _check_certified(shown.newest, f"{_WHERE}.newest", view)
    newest, at_ms = shown.newest.record, genesis.transition.at_ms
    ruling = governing(newest, at_ms, view)
    expected = _expected(record, shown, ruling.documents[0], view)
    if record != expected:
        named = ", ".join(sorted(changed_fields(expected, record))) or "lineage"
        problem = f"a fork of that version has another {named}"
        raise Rejected(problem, reason="bad-change", where="record")
    _check_same_needs(shown.at.record.capabilities, record.capabilities)
    here, context = view.manifest, permission.birth_context(record)
    permission.check_permitted(
        permission.ask(newest, ruling, "fork", here, here, context, view.memo)
    )


def _check_certified(done: Certified, where: str, view: View) -> None:
    if done.transition.kind is TransitionKind.REFUSE:
        raise Rejected("a refusal makes no version", reason="wrong-kind", where=where)
    if done.certificate.slot.group not in view.manifests:
        raise Refused("this anchor does not know the zone that certified what is forked")
    done.check(view.manifests, where=where)


def _expected(record: AgentRecord, shown: Forking, first: Document, view: View) -> AgentRecord:
    """Return the genesis that such a fork has, of what is its officers' to say."""
    grant = Grant(
        budgets={name: budget.limit for name, budget in record.eligibility.budgets.items()},
        journal=record.memory.journal,
        chance=record.parent,
        parentage=record.lineage.parentage,
        code=record.capabilities,
    )
    at = shown.at.record
    if (at.memory.journal == ZERO) != (record.memory.journal == ZERO):
        problem = "its journal does not go on from that of the version"
        raise Rejected(problem, reason="bad-change", where="memory.journal")
    return fork_of(at, shown.newest.record, first, grant, view.manifest)


def _check_same_needs(before: Capabilities, after: Capabilities) -> None:
    """Check that a fork with other code needs and offers what it did: its publisher's seal is checked elsewhere."""
    names = ("code", "entry", "publisher", "vouched", "adopted", "upgrade")
    same = msgspec.structs.replace(after, **{name: getattr(before, name) for name in names})
    if same != before:
        problem = "a fork requires and offers what its origin did"
        raise Rejected(problem, reason="bad-change", where="capabilities")


def check_fork_family(genesis: Proposal, view: View) -> None:
    """Raise unless the ancestors of a fork are proved to be its origin's. What proves them is stored here.

    That they are those of the version that is shown is checked (`check_fork`); here, that this version is one of an
    agent that was spawned by theirs, and not only certified by some zone. Raises `Rejected`, `Refused`, `Missing`.
    """
    record, shown = genesis.transition.record, genesis.evidence.fork
    if record.lineage.forked is UNSET or shown is UNSET or not record.eligibility.ancestors:
        return

    def find(named: bytes) -> Document:
        return documents_of([named], view)[0]

    check_origin(record, shown.newest, find, kin_of(view, view.manifests))


def check_fork_unheld(genesis: Proposal, view: View) -> None:
    """Raise `Refused` while something comes before a fork here: what officers published, or a policy that cools.

    An officer who was voted out would otherwise fork by what ruled before, or by what was not ordered yet.
    """
    record, shown = genesis.transition.record, genesis.evidence.fork
    if record.lineage.forked is UNSET or shown is UNSET:
        return
    newest = shown.newest.record
    documents_of(newest.governance.documents, view)
    _check_newest(newest, view)
    if waiting := what_waits(Dossier(agent=newest.agent_id, head=shown.newest), view):
        raise Refused(f"of the agent that is forked: {waiting}")
    if (order := next_order(record, view)) is not None:  # the origin may have ended before it
        problem = f"its officers ordered to {order.order.act} an agent that it descends from"
        raise Refused(f"{problem}, and that would come first")
    cooling = [each.until_ms - view.now_ms for each in newest.governance.cooling]
    if (left_ms := max(cooling, default=0)) > 0:
        problem = f"a policy of the agent that is forked was amended, and the one before rules for {left_ms} ms"
        raise Refused(problem, remedy="Fork it after that")


def _check_newest(newest: AgentRecord, view: View) -> None:
    """Check that nothing is known here of a later version that keeps the agent from being forked as it is shown."""
    known = None if view.newest is None else view.newest(newest.agent_id)
    if known is None or known.version <= newest.version:
        return
    is_same = (
        known.eligibility.ancestors == newest.eligibility.ancestors
        and known.governance.documents == newest.governance.documents
    )
    problem = why_unforkable(known)
    if problem or not is_same:
        problem = problem or "something else rules or binds it"
        said = f"by version {known.version} of the agent that is forked, {problem}"
        raise Refused(said, remedy="Fork it again: its newest version is shown then")
