"""Departures and admissions, from a host's side (protocol §5).

The source's host asks for a visa, copies ahead what the target lacks, has the departure decided and shows it to
the target; the target's host has the admission decided. Between the last step there and the first one here
stand just those two decisions and the way between.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from sojourn.core.agent.memory.field import may_travel, travelling_roots
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Denied, Refused, Rejected, SojournError
from sojourn.core.base.limits import RANK_STEP_MS, VISA_DEADLINE_MS
from sojourn.core.protocol.admission import admitted, departed
from sojourn.core.protocol.assessment import Assessment
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import WorkItem
from sojourn.core.protocol.messages import (
    Arrive,
    AskVisa,
    Declined,
    Evidence,
    Need,
    Voted,
)
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.validate import slot_for
from sojourn.core.protocol.visa import Visa, VisaTerms, visa_slot, visa_terms
from sojourn.core.quorum.certificates import certify
from sojourn.core.quorum.votes import Phase, Tally, Vote, check_vote
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.host.binding import rank
from sojourn.host.past import proved_past
from sojourn.runtime.clients.drive import ended
from sojourn.runtime.clients.zone_client import Overtaken, Stalled, ZoneClient
from sojourn.runtime.processes import clock

if TYPE_CHECKING:
    from sojourn.host.custody import AgentCustody
    from sojourn.host.server import Host

__all__ = ["Departure", "admit"]

log = structlog.get_logger("host")

_RETRY_S: Final = 0.2
_RETRY_S_MAX: Final = 2.0
_ARRIVE_S: Final = 5.0
_VISA_S: Final = 5.0
_COPY_GRACE_S: Final = 0.25
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
        _check_eligible(place)
        client = self._host.peer(target)
        record = self._custody.record
        terms = visa_terms(record, target, place.host, self._size(record), VISA_DEADLINE_MS)
        ask = await self._application(terms)
        along = (*self._along(record, target), *ask.documents, *ask.chapters)
        await self._copy_ahead(client, along)
        visa = await self._visa(client, ask, along)
        after = departed(record, self._custody.head.certificate.slot, visa, target)
        try:
            gone = await self._custody.decide(
                TransitionKind.DEPART, after, evidence=Evidence(visa=visa)
            )
        except Rejected as error:
            raise Refused(f"the departure was rejected: {error}") from None
        log.info("departed", agent=self._custody.agent.hex()[:12], to=target.name)
        # Whom this does not reach the source's anchors go on telling (protocol §5, step 5).
        client.tell_all(Arrive(departure=gone, visa=visa), timeout_s=_ARRIVE_S)

    @staticmethod
    def _size(record: AgentRecord) -> int:
        return sum(c.size for c in record.memory.compartments.values())

    async def _application(self, terms: VisaTerms) -> AskVisa:
        """Return what the agent applies with. Raises `Refused` if no chain of custody holds."""
        past = await proved_past(self._host, self._custody.head)
        return AskVisa(
            terms=terms,
            head=self._custody.head,
            chapters=past.digests,
            manifests=past.manifests,
            documents=past.documents,
        )

    @staticmethod
    def _along(record: AgentRecord, target: ZoneManifest) -> tuple[bytes, ...]:
        """Return the roots of all that is copied to the target, and of nothing that must stay (protocol §10.10)."""
        compartments = {
            name: compartment
            for name, compartment in record.memory.compartments.items()
            if compartment.held_by is None
            and may_travel(compartment, target.attributes.jurisdiction)
        }
        memory = msgspec.structs.replace(record.memory, compartments=compartments)
        roots = travelling_roots(memory, target.zone_id)
        return (*record.governance.named, *record.capabilities.codes, *record.proofs, *roots)

    async def _copy_ahead(self, client: ZoneClient, along: Sequence[bytes]) -> None:
        """Store what the target lacks with each of its anchors; a quorum of them is enough."""
        copies = (
            client.upload(anchor, along, self._host.blocks, self._host.blocks.fetch)
            for anchor in range(client.n)
        )
        sent: list[int] = []
        failed: list[SojournError] = []
        copying = [asyncio.ensure_future(copy) for copy in copies]
        try:
            for copied in asyncio.as_completed(copying):
                try:
                    sent.append(await copied)
                except SojournError as error:
                    failed.append(error)
                if len(sent) >= client.quorum:
                    break
            # A slow anchor has a moment more; a silent one is not waited for.
            await asyncio.wait(copying, timeout=_COPY_GRACE_S)
        finally:
            await ended(copying)
        if len(sent) < client.quorum:
            raise Refused(f"{client.manifest.name} cannot take the memory: {failed[0]}")
        log.info("copied ahead", agent=self._custody.agent.hex()[:12], sent=max(sent))

    async def _visa(self, client: ZoneClient, ask: AskVisa, along: Collection[bytes]) -> Visa:
        """Collect visa votes from the target's anchors. Raises `Denied` or `Refused`, with their reasons."""
        committee = client.manifest.committee
        tally = Tally(committee, visa_slot(ask.terms), 0, Phase.VISA)
        value = digest_of(ask.terms)
        problems: dict[int, Declined] = {}
        asking = [
            asyncio.create_task(self._vote(client, anchor, ask, along, problems))
            for anchor in range(client.n)
        ]
        try:
            for answer in asyncio.as_completed(asking):
                vote = await answer
                if vote is not None:
                    tally.add(vote)
                votes = tally.votes_for(value)
                if len(votes) >= committee.quorum:
                    return Visa(terms=ask.terms, certificate=certify(votes, committee))
        finally:
            await ended(asking)
        reasons = [f"anchor {anchor}: {p.problem}" for anchor, p in sorted(problems.items())]
        problem = f"{client.manifest.name} gives no visa: {'; '.join([tally.describe(), *reasons])}"
        if sum(each.reason == "denied" for each in problems.values()) > client.manifest.f:
            raise Denied(problem)
        raise Refused(problem)

    async def _vote(
        self,
        client: ZoneClient,
        anchor: int,
        ask: AskVisa,
        along: Collection[bytes],
        problems: dict[int, Declined],
    ) -> Vote | None:
        """Return an anchor's visa vote, giving it what it lacks of what goes along; None if it gives none."""
        try:
            for _ in range(_HELP_MAX):
                match await client.call(anchor, ask, timeout_s=_VISA_S):
                    case Voted(vote=vote):
                        check_vote(vote, client.manifest.committee)
                        ballot = vote.ballot
                        said = (ballot.anchor, ballot.slot, ballot.round, ballot.phase)
                        asked = (anchor, visa_slot(ask.terms), 0, Phase.VISA)
                        return vote if said == asked else None
                    case Need(what="blocks", digests=digests) if set(digests) <= set(along):
                        await client.upload(
                            anchor, digests, self._host.blocks, self._host.blocks.fetch
                        )
                    case Declined() as declined:
                        problems[anchor] = declined
                        return None
                    case _:
                        return None
        except SojournError as error:
            log.info("no visa vote", anchor=anchor, problem=str(error))
        return None


def _check_eligible(place: Assessment) -> None:
    """Raise unless the agent may go to a place, could run there and trusts it, as far as is known here.

    The anchors of both zones judge the journey too, but the target's are asked when the agent's memory is already
    with them. Raises `Denied`, or `Refused` for a want of capability, which may pass.
    """
    if place.current:
        raise Refused("the agent is there already")
    for finding, error in (
        (place.governance, Denied),
        (place.trust, Denied),
        (place.capability, Refused),
    ):
        if not finding.passes:
            raise error(f"not to {place.name}: {'; '.join(finding.reasons)}")


async def admit(host: "Host", item: WorkItem) -> Certified | None:
    """Have the admission of an arrival decided; return it, or None if it was refused or came too late."""
    arrive = item.arrive
    if arrive is None or item.application is None or not _may_arrive(host, arrive):
        return None
    deadline_ms = clock.boot_ms() + arrive.visa.terms.deadline_ms
    if arrive.visa.terms.host != host.key.public:  # the host that is named is silent
        if host.outlook.lacks(arrive.departure.record):
            return None
        await asyncio.sleep(rank(host, arrive.departure.record) * RANK_STEP_MS / 1000)
    pause_s, stall = _RETRY_S, ""
    while clock.boot_ms() < deadline_ms:
        proposer = await _admission(host, arrive, item.application)
        try:
            return await host.zone.decide(
                proposer, host.blocks, bring=host.blocks.fetch, until_applied=True
            )
        except Overtaken as overtaken:
            decided = overtaken.decided
            return decided if decided.record.custody.host == host.key.public else None
        except Stalled as stalled:
            if stall != str(stalled):
                stall = str(stalled)
                agent = arrive.departure.record.agent_id.hex()[:12]
                log.warning("not admitted", agent=agent, problem=stall)
            if sum(not d.for_now for d in stalled.declined.values()) > host.manifest.f:
                return None  # at least one correct anchor will never vote for it
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _RETRY_S_MAX)
    return None


def _may_arrive(host: "Host", arrive: Arrive) -> bool:
    """Tell whether an arrival is what it says, as far as can be told here: one anchor may make it up."""
    gone, terms = arrive.departure.record, arrive.visa.terms
    migration = gone.migration
    if migration is None or migration.to_zone != host.zone_id:
        return False
    return arrive.visa.digest == migration.visa and terms.deadline_ms <= VISA_DEADLINE_MS


async def _admission(host: "Host", arrive: Arrive, application: AskVisa) -> Proposer:
    """Return a proposer of the admission on this host, at this moment."""
    gone = arrive.departure
    record = admitted(gone.record, gone.certificate.slot, host.manifest, host.key.public)
    evidence = Evidence(departure=gone, visa=arrive.visa)
    proposal = await host.signer.proposal(TransitionKind.ADMIT, gone, record, evidence)
    slot = slot_for(gone, proposal.transition, host.manifest)
    return Proposer(proposal, slot, host.manifest, parent=gone, application=application)
