"""Departures and admissions, from a host's side (protocol §5).

The source's host asks for a visa, copies ahead what the target lacks, has the departure decided and shows it to
the target; the target's host has the admission decided. Between the last step there and the first one here
stand just those two decisions and the way between.
"""

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from sojourn.core.agent.memory.field import travelling_roots
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Denied, Refused, SojournError, Unreachable
from sojourn.core.base.limits import RANK_STEP_MS, VISA_DEADLINE_MS
from sojourn.core.base.seals import Kind, Role, statement
from sojourn.core.protocol.admission import admitted, departed
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import AskPast, Past, WorkItem
from sojourn.core.protocol.messages import (
    Arrive,
    AskVisa,
    Declined,
    Evidence,
    Head,
    Need,
    Proposal,
    Voted,
)
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.validate import slot_for
from sojourn.core.protocol.visa import Visa, VisaTerms, visa_slot, visa_terms
from sojourn.core.quorum.certificates import certify
from sojourn.core.quorum.votes import Phase, Tally, Vote, check_vote
from sojourn.runtime import clock
from sojourn.runtime.zone_client import Overtaken, Stalled, ZoneClient

if TYPE_CHECKING:
    from sojourn.host.custody import AgentCustody
    from sojourn.host.server import Host

__all__ = ["Departure", "admit"]

log = structlog.get_logger("host")

_RETRY_S: Final = 0.2
_ARRIVE_S: Final = 5.0
_HELP_MAX: Final = 3


class Departure:
    """One agent's move to one zone, until the departure is decided and the target knows of it."""

    def __init__(self, host: "Host", custody: "AgentCustody", zone: bytes) -> None:
        """Prepare to move the agent in `custody` to `zone`."""
        self._host, self._custody, self._zone = host, custody, zone

    async def go(self) -> None:
        """Move. Raises `Refused` or `Denied`, with why, if the agent stays; `LeaseLost`."""
        place = next((a for a in await self._custody.places() if a.zone == self._zone), None)
        target = self._host.places.manifests.get(self._zone)
        if place is None or target is None or place.host is None:
            raise Refused("no host of that zone offers anything now")
        client = ZoneClient(target, self._host.connections)
        record = self._custody.record
        terms = visa_terms(record, target, place.host, self._size(record), VISA_DEADLINE_MS)
        ask = await self._application(terms)
        await self._copy_ahead(client, record, target.zone_id)
        visa = await self._visa(client, ask)
        gone = await self._custody.decide(
            TransitionKind.DEPART,
            departed(record, self._custody.head.certificate.slot, visa, target),
            evidence=Evidence(visa=visa),
        )
        log.info("departed", agent=self._custody.agent.hex()[:12], to=target.name)
        await self._show(client, Arrive(departure=gone, visa=visa))

    @staticmethod
    def _size(record: AgentRecord) -> int:
        return sum(c.size for c in record.memory.compartments.values())

    async def _application(self, terms: VisaTerms) -> AskVisa:
        """Gather the chain of custody from this zone's anchors, and the manifests it is proved with."""
        replies = await self._host.zone.ask_all(AskPast(agent=terms.agent), Past)
        chapters = max((reply.chapters for reply in replies.values()), key=len, default=())
        if not chapters:
            raise Unreachable("no anchor of this zone knows the agent's chain of custody")
        zones = dict.fromkeys(c.opened.record.custody.zone for c in chapters)
        refusals = [c.refusal.certificate.slot.group for c in chapters if c.refusal is not None]
        manifests = []
        for zone in dict.fromkeys((*zones, *refusals)):
            signed = self._host.places.signed_manifest(zone)
            if signed is None:
                raise Refused("this host does not know a zone of the agent's chain of custody")
            manifests.append(signed)
        return AskVisa(
            terms=terms,
            head=self._custody.head,
            chapters=chapters,
            manifests=tuple(manifests),
        )

    async def _copy_ahead(self, client: ZoneClient, record: AgentRecord, zone: bytes) -> None:
        """Store what the target lacks with each of its anchors; a quorum of them is enough."""
        away = set(self._host.left_behind(record, client.manifest))
        roots = [
            *record.governance.documents,
            record.capabilities.code,
            *(root for root in travelling_roots(record.memory, zone) if root not in away),
        ]
        copies = (
            client.upload(anchor, roots, self._host.blocks, self._host.fetch)
            for anchor in range(client.n)
        )
        results = await asyncio.gather(*copies, return_exceptions=True)
        failed = [r for r in results if isinstance(r, BaseException)]
        if client.n - len(failed) < client.manifest.committee.quorum:
            raise Refused(f"{client.manifest.name} cannot take the memory: {failed[0]}")
        sent = max(r for r in results if isinstance(r, int))
        log.info("copied ahead", agent=self._custody.agent.hex()[:12], sent=sent)

    async def _visa(self, client: ZoneClient, ask: AskVisa) -> Visa:
        """Collect visa votes from the target's anchors. Raises `Denied` or `Refused`, with their reasons."""
        committee = client.manifest.committee
        tally = Tally(committee, visa_slot(ask.terms), 0, Phase.VISA)
        value = digest_of(ask.terms)
        problems: list[tuple[int, Declined]] = []
        replies = await client.ask_all(ask, object)
        for anchor, reply in replies.items():
            vote = await self._vote(client, anchor, ask, reply, problems)
            if vote is not None:
                check_vote(vote, committee)
                tally.add(vote)
        votes = tally.votes_for(value)
        if len(votes) >= committee.quorum:
            return Visa(terms=ask.terms, certificate=certify(votes, committee))
        silent = client.n - len(replies)
        reasons = [f"anchor {anchor}: {reply.problem}" for anchor, reply in problems]
        reasons += [f"{silent} anchors do not answer"] if silent else []
        problem = f"{client.manifest.name} gives no visa: {'; '.join(reasons) or tally.describe()}"
        if sum(reply.reason == "denied" for _, reply in problems) > client.manifest.f:
            raise Denied(problem)
        raise Refused(problem)

    async def _vote(
        self,
        client: ZoneClient,
        anchor: int,
        ask: AskVisa,
        reply: object,
        problems: list[tuple[int, Declined]],
    ) -> Vote | None:
        """Return an anchor's visa vote, giving it the blocks it says it lacks."""
        for _ in range(_HELP_MAX):
            match reply:
                case Voted():
                    return reply.vote
                case Need(what="blocks"):
                    await client.upload(anchor, reply.digests, self._host.blocks, self._host.fetch)
                    reply = await client.call(anchor, ask)
                case Declined():
                    problems.append((anchor, reply))
                    return None
                case _:
                    return None
        return None

    async def _show(self, client: ZoneClient, arrive: Arrive) -> None:
        """Show the departure to the target; if that fails, the source's anchors go on showing it."""
        try:
            await client.ask_all(arrive, Head, timeout_s=_ARRIVE_S)
        except SojournError as error:
            log.info("the target was not told", problem=str(error))


async def admit(host: "Host", item: WorkItem) -> Certified | None:
    """Have the admission of an arrival decided; return it, or None if it was refused or came too late."""
    arrive, application = item.arrive, item.application
    if arrive is None or application is None:
        return None
    gone, manifest = arrive.departure, host.manifest
    record = admitted(gone.record, gone.certificate.slot, manifest, host.key.public)
    deadline_ms = clock.boot_ms() + arrive.visa.terms.deadline_ms
    if arrive.visa.terms.host != host.key.public:
        await asyncio.sleep(
            host.rank(gone.record) * RANK_STEP_MS / 1000
        )  # the named host is silent
    while clock.boot_ms() < deadline_ms:
        proposal = await _admission(host, arrive, record)
        slot = slot_for(gone, proposal.transition, manifest)
        proposer = Proposer(proposal, slot, manifest, parent=gone, application=application)
        try:
            return await host.zone.decide(proposer, host.blocks, until_applied=True)
        except Overtaken as overtaken:
            decided = overtaken.decided
            return decided if decided.record == record else None
        except Stalled as stalled:
            host.note_stall(record.agent_id, str(stalled))
            await asyncio.sleep(_RETRY_S)
    return None


async def _admission(host: "Host", arrive: Arrive, record: AgentRecord) -> Proposal:
    transition = Transition(
        kind=TransitionKind.ADMIT,
        parent=arrive.departure.record.digest,
        record=record,
        author=host.key.public,
        at_ms=clock.wall_ms(),
    )
    covered = statement(Kind.TRANSITION, Role.HOST, transition.digest)
    seal = await host.signer.seal(covered)
    evidence = Evidence(departure=arrive.departure, visa=arrive.visa)
    return Proposal(transition=transition, seals=(seal,), evidence=evidence)
