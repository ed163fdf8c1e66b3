"""Children, from a host's side (protocol §8.13): their genesis, the SPAWN that names it, and their birth."""

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from sojourn.core.agent.ancestry import given
from sojourn.core.agent.budgets import check_affordable
from sojourn.core.agent.memory.field import Memory
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Denied, Refused, Rejected, SojournError
from sojourn.core.policy.decision import Verdict
from sojourn.core.protocol import permission
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import AskPast, Past
from sojourn.core.protocol.messages import Evidence
from sojourn.core.protocol.parentage import Parentage, parentage_block
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.spawning import Gift, begotten, bringing, spawn_context, spawned
from sojourn.core.protocol.validate import slot_for
from sojourn.host.past import proved_past
from sojourn.runtime import ports
from sojourn.runtime.clients.zone_client import Overtaken, Stalled
from sojourn.runtime.errors import LeaseLost
from sojourn.runtime.processes import clock

if TYPE_CHECKING:
    from sojourn.host.custody import AgentCustody
    from sojourn.host.server import Host

__all__ = ["Nursery"]

log = structlog.get_logger("host")

_RETRY_S: Final = 0.1
_RETRY_S_MAX: Final = 1.0


class Nursery:
    """The children of one agent, while this host has custody of it."""

    def __init__(self, host: "Host", custody: "AgentCustody") -> None:
        """Have children of the agent in `custody`."""
        self._host, self._custody = host, custody

    async def beget(self, gift: Gift, memory: Memory) -> AgentRecord:
        """Return the genesis of the next child; what proves its family is at hand as blocks. Raises `Denied`."""
        head = self._custody.head
        try:
            past = await proved_past(self._host, head)
            documents = (*head.record.governance.documents, *past.documents)
            block = parentage_block(
                Parentage(
                    chapters=past.digests,
                    documents=tuple(dict.fromkeys(documents)),
                    above=head.record.lineage.parentage,
                )
            )
            child = begotten(head.record, gift, memory, digest(block))
        except (Refused, Rejected) as error:
            raise Denied(f"no child: {error}") from None
        self._host.blocks.add([block])
        return child

    async def spawn(self, child: AgentRecord, draft: ports.Draft) -> Verdict:
        """Ask the gate here, then the anchors; return what the policies said once the SPAWN is final."""
        custody = self._custody
        verdict = await self._ask_gate(child)
        record = custody.record
        memory = custody.journaled(draft)
        after = spawned(record, custody.head.certificate.slot, child, memory)
        self._host.blocks.add(draft.blocks.values())
        await custody.decide(
            TransitionKind.SPAWN,
            after,
            blocks=tuple(draft.blocks.values()),
            evidence=Evidence(child=child),
        )
        log.info("spawned", agent=custody.agent.hex()[:12], child=child.digest.hex()[:12])
        return verdict

    async def _ask_gate(self, child: AgentRecord) -> Verdict:
        """Judge a SPAWN as the anchors will: budgets, policies of agent and zone, then trust."""
        host, record, now_ms = self._host, self._custody.record, clock.wall_ms()
        check_affordable(TransitionKind.SPAWN, record, given(child))
        governing = await host.outlook.governing(record, now_ms)
        here, context = host.manifest, spawn_context(child)
        verdict = permission.ask(record, governing, "spawn", here, here, context, host.memo)
        permission.check_permitted(verdict)
        endorsements = host.places.endorsements
        permission.check_trusted(record, host.zone_id, "spawn", endorsements, now_ms)
        return verdict

    async def bear(self, child: AgentRecord, version: int) -> None:
        """Have a child born. Raises `Denied` if it will never be, `LeaseLost` if this host may not act any more."""
        spawn = await self._spawn_of(child, version)
        pause_s = _RETRY_S
        while True:
            try:
                return await self._propose(child, spawn)
            except Stalled as stalled:
                hopeless = [d for d in stalled.declined.values() if not d.for_now]
                if len(hopeless) > self._host.manifest.f:
                    raise Denied(hopeless[0].problem) from None
            except (
                SojournError
            ) as error:  # anchors that are away, or blocks that are not at hand yet
                log.warning("not born", child=child.digest.hex()[:12], problem=str(error))
            if not self._custody.lease_valid():
                raise LeaseLost("the lease ran out before the child was born")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _RETRY_S_MAX)

    async def _propose(self, child: AgentRecord, spawn: Certified) -> None:
        host = self._host
        proposal = bringing(child, spawn, host.key, at_ms=clock.wall_ms())
        proposer = Proposer(
            proposal, slot_for(None, proposal.transition, host.manifest), host.manifest
        )
        try:
            async with host.deciding:
                await host.zone.decide(proposer, host.blocks, bring=host.blocks.fetch)
        except Overtaken:
            return  # it was born before: nothing else can be decided under its name

    async def _spawn_of(self, child: AgentRecord, version: int) -> Certified:
        """Return the certified SPAWN of a child: the head, or from what the anchors remember. Raises `Denied`."""
        head = self._custody.head
        if _names(head, child):
            return head
        ask = AskPast(agent=self._custody.agent, from_term=None, from_version=version, limit=1)
        for anchor in range(self._host.zone.n):
            try:
                reply = await self._host.zone.call(anchor, ask)
            except SojournError:
                continue
            for done in reply.history if isinstance(reply, Past) else ():
                if _names(done, child) and _is_certified(done, self._host):
                    return done
        raise Denied("no anchor remembers the SPAWN that names it")


def _names(done: Certified, child: AgentRecord) -> bool:
    is_spawn = done.transition.kind is TransitionKind.SPAWN
    return is_spawn and done.record.eligibility.last_decision == child.digest


def _is_certified(done: Certified, host: "Host") -> bool:
    try:
        done.check({host.zone_id: host.manifest})
    except Rejected:
        return False
    return True
