"""Launching an agent: from its file to a genesis that a zone has decided."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from sojourn.checking.findings import Finding
from sojourn.checking.source_check import check_source
from sojourn.cli.agent_file import (
    AgentFile,
    IssuerSection,
    MemorySection,
    OutsideStep,
    outside_steps,
    read_agent_file,
)
from sojourn.cli.approvers_file import declared_approvers
from sojourn.cli.documents import SIGNED_SUFFIX, read_founding, sign_document
from sojourn.cli.home import Home
from sojourn.cli.memory_import import import_memory, with_files
from sojourn.cli.options import milliseconds
from sojourn.cli.policy_text import read_policy
from sojourn.cli.reach import Reach
from sojourn.cli.releases import Release, code_block, read_release
from sojourn.core.agent.approvals import Approvers
from sojourn.core.agent.capabilities import Capabilities
from sojourn.core.agent.eligibility import Budget, Eligibility, Status
from sojourn.core.agent.governance import (
    Document,
    Governance,
    Officers,
    SignedDocument,
    issuer_id,
)
from sojourn.core.agent.lineage import Lineage
from sojourn.core.agent.memory.blocks import NewBlocks, NoBlocks
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.agent.record import AgentRecord, Custody
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.agent.trust import Trust, TrustedIssuer
from sojourn.core.base.digests import ZERO
from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.errors import Misused, Refused, Rejected, SojournError
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.core.base.limits import RECORD_BYTES_MAX
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.policy.memo import Memo
from sojourn.core.protocol.assessment import Assessment, assess
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Evidence, Proposal
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.validate import slot_for
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.runtime.agent_side.code import collect_source
from sojourn.runtime.clients.drive import ended
from sojourn.runtime.clients.zone_client import Bring, Stalled, ZoneClient
from sojourn.runtime.host_side.dealing import Dealt, Keyring, encrypt, give_shares
from sojourn.runtime.processes import clock
from sojourn.runtime.processes.spool import Spool
from sojourn.runtime.typed import to_plain

__all__ = ["Launch", "Officer", "born", "doubts_of", "launch", "prepare_launch", "readiness"]

_PAUSES_S: Final = (0.1, 0.2, 0.4, 0.8, 1.6)
"""After a no that may pass, such as that of anchors that have just started, it is asked again after these."""
_PATIENCE_S: Final = 0.5
"""How long an upload goes on for the others when a quorum of anchors has all of it."""


@dataclass(frozen=True, slots=True)
class Officer:
    """A key that signs, and the local name it has."""

    name: str
    key: KeyPair


@dataclass(frozen=True, slots=True)
class Launch:
    """A genesis that is ready to be proposed: everything it names is in `blocks`, its keys were `dealt`.

    `findings` are what a replay of its code could not repeat, which is for people to look into.
    """

    proposal: Proposal
    blocks: NewBlocks
    documents: tuple[Document, ...]
    outside: tuple[OutsideStep, ...]
    dealt: tuple[Dealt, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def record(self) -> AgentRecord:
        """The genesis record."""
        return self.proposal.transition.record


def prepare_launch(
    home: Home,
    path: Path,
    zone: ZoneManifest,
    officers: Sequence[Officer],
    memory: Sequence[str] = (),
    release_file: Path | None = None,
) -> Launch:
    """Return the genesis of the agent in a file, to be born in `zone`, signed by `officers`.

    The first officer is its author, and its publisher unless `release_file` names a release. `memory` names files
    that compartments begin with, in place of what the agent's file says (`with_files`). Raises `Misused` for whatever
    in the file, the policies or the code is wrong.
    """
    file = with_files(read_agent_file(path), memory)
    release = None if release_file is None else read_release(release_file)
    source = _source(file, path, release)
    outside = outside_steps(source)
    now_ms = clock.wall_ms()
    approvers = declared_approvers(home, file.approvers)
    signed = _documents(file, path, officers, now_ms, approvers, is_outside=bool(outside))
    blocks, keys = _spooled(), Keyring(zone)
    record = AgentRecord(
        realm=zone.realm,
        agent=ZERO,
        version=0,
        parent=secrets.token_bytes(len(ZERO)),
        custody=Custody(zone=zone.zone_id, term=0, binding=0, host=None),
        migration=None,
        governance=Governance(
            documents=tuple(blocks.add(encode(item.document)) for item in signed),
            version=1,
            issuer=issuer_id(signed[0].document),
        ),
        memory=_memory(file, blocks, keys, path.parent),
        lineage=Lineage(),
        eligibility=Eligibility(
            status=Status.ACTIVE,
            budgets={name: Budget(limit=limit) for name, limit in file.budgets.items()},
        ),
        trust=_trust(home, file, officers[0]),
        capabilities=Capabilities(
            requires=file.capabilities.requires.requirements(),
            code=blocks.add(code_block(source)),
            entry=file.agent.entry,
            publisher=officers[0].key.public if release is None else release.vouched.signer,
            offers=file.capabilities.offers,
            vouched=UNSET if release is None else release.vouched,
        ),
    )
    _check_bounds(record)
    return Launch(
        proposal=_genesis(record, signed, officers, now_ms),
        blocks=blocks,
        documents=tuple(item.document for item in signed),
        outside=outside,
        dealt=keys.dealt,
        findings=_findings(source, file.agent.entry),
    )


def _findings(source: dict[str, bytes], entry: str) -> tuple[Finding, ...]:
    try:
        return check_source(source, entry).findings
    except Misused:  # the class is made some other way than by `class`: only loading it can tell
        return ()


def _check_bounds(record: AgentRecord) -> None:
    """Send the record through the door that the anchors take it by: what is out of bounds shows here."""
    try:
        decode(encode(record), AgentRecord, what="agent", limit=RECORD_BYTES_MAX)
    except Rejected as error:
        problem = f"that makes no agent: {error.problem} ({error.where})"
        raise Misused(problem, remedy="Correct the agent's file") from None


def _source(file: AgentFile, path: Path, release: Release | None) -> dict[str, bytes]:
    """Return the code that lies beside an agent's file, or that of a release with the entry that the file names."""
    if release is None:
        return collect_source(file.agent.entry, path.parent)
    if release.entry != file.agent.entry:
        problem = f"the release is of {release.entry}, and {path} names {file.agent.entry}"
        raise Misused(problem, remedy="Give both the same entry, and sign the release again")
    return release.source


# --- governance --------------------------------------------------------------------------------------


def _documents(
    file: AgentFile,
    path: Path,
    officers: Sequence[Officer],
    now_ms: int,
    approvers: dict[str, Approvers],
    *,
    is_outside: bool,
) -> tuple[SignedDocument, ...]:
    """Return the agent's documents: those already signed as they are, Cedar text signed now."""
    found = []
    for named in file.governance.policies:
        policy = path.parent / named
        if policy.suffix == SIGNED_SUFFIX:
            found.append(read_founding(policy))
        else:
            found.append(
                _signed_now(file, policy, officers, now_ms, approvers, is_outside=is_outside)
            )
    first = found[0].document.officers
    count = len({officer.key.public for officer in officers} & set(first.keys))
    if count < len(officers) or count < first.amend:
        problem = (
            f"{file.governance.policies[0]} lets {first.amend} of its officers launch; {count} sign"
        )
        raise Misused(problem, remedy="Give their keys, and no other, with --key")
    return tuple(found)


def _signed_now(
    file: AgentFile,
    policy: Path,
    officers: Sequence[Officer],
    now_ms: int,
    approvers: dict[str, Approvers],
    *,
    is_outside: bool,
) -> SignedDocument:
    governance = file.governance
    until = _begins(governance.until) if governance.until else None
    document = Document(
        issuer=governance.issuer or officers[0].name,
        name=policy.stem,
        version=1,
        officers=Officers(keys=tuple(officer.key.public for officer in officers)),
        cedar=read_policy(policy, governance.actions, approvers),
        not_before_ms=now_ms,
        not_after_ms=milliseconds(until),
        actions=governance.actions,
        outside_effects=is_outside,
        approvers=approvers,
    )
    return sign_document(document, [officer.key for officer in officers])


def _genesis(
    record: AgentRecord,
    signed: tuple[SignedDocument, ...],
    officers: Sequence[Officer],
    now_ms: int,
) -> Proposal:
    transition = Transition(
        kind=TransitionKind.GENESIS,
        parent=ZERO,
        record=record,
        author=officers[0].key.public,
        at_ms=now_ms,
    )
    covered = statement(Kind.TRANSITION, Role.ISSUER, transition.digest)
    seals = tuple(
        Seal(signer=officer.key.public, signature=officer.key.sign(covered)) for officer in officers
    )
    return Proposal(transition=transition, seals=seals, evidence=Evidence(documents=signed))


# --- the other fields --------------------------------------------------------------------------------


def _trust(home: Home, file: AgentFile, first: Officer) -> Trust:
    """Return whom the agent relies on: who its file says, or else the issuer of its own policies."""
    if file.trust is None:
        return Trust(issuers=(TrustedIssuer(name=first.name, key=first.key.public),))
    return Trust(
        issuers=tuple(_issuer(home, item) for item in file.trust.issuers),
        minimum=file.trust.minimum,
    )


def _issuer(home: Home, given: str | IssuerSection) -> TrustedIssuer:
    section = IssuerSection(key=given) if isinstance(given, str) else given
    key = home.public_key(section.key)
    is_hex = len(section.key) == 2 * len(key)
    name = section.name or (key_text(key) if is_hex else section.key)
    return TrustedIssuer(
        name=name,
        key=key,
        level=section.level,
        depth=section.depth,
        operations=section.operations,
        not_after_ms=milliseconds(_begins(section.until)) if section.until else None,
    )


def _begins(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _spooled() -> NewBlocks:
    """Return room for what is made of files, which may be larger than memory."""
    return NewBlocks(NoBlocks(), Spool())


def _memory(file: AgentFile, blocks: NewBlocks, keys: Keyring, folder: Path) -> Memory:
    compartments = {}
    for name, section in file.memory.items():
        if not section.encrypted:
            compartments[name] = _compartment(name, section, blocks, folder)
            continue
        plain = NewBlocks(NoBlocks()) if section.file is None else _spooled()
        made = _compartment(name, section, plain, folder)
        dealt = keys.key(name if section.encrypted is True else section.encrypted)
        root = encrypt(dealt, made.root, plain, blocks)
        compartments[name] = replace(made, root=root, encryption=dealt.encryption)
    return Memory(compartments=compartments)


def _compartment(name: str, section: MemorySection, blocks: NewBlocks, folder: Path) -> Compartment:
    before, form = blocks.made_bytes, section.chosen_form
    values = to_plain(section.values, what=f"the values of compartment {name!r}")
    if section.file is not None:
        form, root = import_memory(name, section, folder / section.file, blocks)
    elif section.chosen_form is Form.MAPPING:
        mapping = Mapping.load(ZERO, blocks)
        for key, value in (values or {}).items():
            mapping = mapping.put(key, value)
        root = mapping.commit(blocks).root
    else:
        root = Log.load(ZERO, blocks).extend(values or ()).commit(blocks).root
    return Compartment(
        form=form,
        root=root,
        labels=section.labels,
        residency=section.residency,
        size=blocks.made_bytes - before,
    )


# --- the zone ----------------------------------------------------------------------------------------


async def _upload(
    client: ZoneClient, roots: Sequence[bytes], blocks: NewBlocks, bring: Bring | None
) -> None:
    """Store blocks with the anchors, until a quorum has them and the others have had a moment more.

    One that cannot be reached now is asked again, and given the blocks, by the proposal.
    """
    uploads = {
        asyncio.create_task(client.upload(anchor, roots, blocks, bring))
        for anchor in range(client.n)
    }
    waiting, stored = uploads, 0
    try:
        while waiting:
            timeout_s = None if stored < client.quorum else _PATIENCE_S
            first = asyncio.FIRST_COMPLETED
            done, waiting = await asyncio.wait(waiting, timeout=timeout_s, return_when=first)
            if not done:
                return
            stored += sum(upload.exception() is None for upload in done)
    finally:
        await ended(uploads)


async def launch(reach: Reach, zone: ZoneManifest, prepared: Launch) -> Certified:
    """Store what the genesis names with a zone's anchors, its keys in shares, and have it decided.

    A no that may pass is asked again for a while. Raises as `Reach.decide` and `give_shares`.
    """
    await give_shares(reach.zone(zone), prepared.record.agent_id, prepared.dealt)
    return await born(reach, zone, prepared.proposal, prepared.blocks)


async def born(
    reach: Reach,
    zone: ZoneManifest,
    proposal: Proposal,
    blocks: NewBlocks,
    bring: Bring | None = None,
) -> Certified:
    """Store what a genesis names with a zone's anchors, and have it decided. Raises as `Reach.decide`.

    A no that may pass is asked again for a while. `bring` puts blocks that anchors lack into `blocks`.
    """
    record = proposal.transition.record
    roots = (
        *record.governance.named,
        *record.memory.roots(),
        record.capabilities.code,
        *record.proofs,
    )
    await _upload(reach.zone(zone), roots, blocks, bring)
    slot = slot_for(None, proposal.transition, zone)
    for pause_s in _PAUSES_S:
        proposer = Proposer(proposal, slot, zone)
        try:
            return await reach.decide(zone, proposer, blocks, bring)
        except (Refused, Stalled):
            if not proposer.may_pass:
                raise
            await asyncio.sleep(pause_s)
    return await reach.decide(zone, Proposer(proposal, slot, zone), blocks, bring)


async def readiness(
    reach: Reach, zone: ZoneManifest, record: AgentRecord, documents: Sequence[Document]
) -> Assessment | None:
    """Return an agent's own judgement of the zone where it was born; None if that cannot be asked now."""
    try:
        news = await reach.news(zone)
    except SojournError:
        return None
    now_ms = clock.wall_ms()
    envelopes = {
        item.envelope.host: item.envelope
        for item in news.envelopes
        if item.envelope.zone == zone.zone_id and item.envelope.expires_ms > now_ms
    }
    return assess(record, documents, zone, envelopes, news.endorsements, zone, Memo(), now_ms)


def doubts_of(judged: Assessment | None) -> tuple[str, ...]:
    """Return why an agent would not execute where it is, if that is so."""
    if judged is None:
        return ()
    findings = (judged.governance, judged.capability, judged.trust)
    return tuple(reason for each in findings if not each.passes for reason in each.reasons)
