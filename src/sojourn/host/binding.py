"""Binding: the newest head of an agent, and the next binding of one that no host acts for (protocol §6)."""

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.limits import RANK_STEP_MS
from sojourn.core.protocol.admission import bound
from sojourn.core.protocol.binding import away_ms, candidates
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import AskHead, Head
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.validate import slot_for
from sojourn.runtime.clients.zone_client import Overtaken, Stalled
from sojourn.runtime.processes import clock

if TYPE_CHECKING:
    from sojourn.host.server import Host

__all__ = ["bind_anew", "head_to_run", "newest_head", "rank"]

log = structlog.get_logger("host")

_HEAD_S: Final = 2.0


async def newest_head(host: "Host", agent: bytes) -> Certified | None:
    """Return the newest certified head of an agent that a quorum of anchors knows; None if it is not here.

    What an anchor made up is passed over.
    """
    heads: list[Certified] = []
    answers = 0

    def take(_anchor: int, reply: object) -> bool:
        nonlocal answers
        if not isinstance(reply, Head):
            return False
        head = reply.certified
        if head is not None and head.record.agent_id == agent:
            head.check({host.zone_id: host.manifest})
            heads.append(head)
        answers += 1
        return answers >= host.zone.quorum

    await host.zone.ask_each(AskHead(agent=agent), take, timeout_s=_HEAD_S)
    return max(heads, key=lambda head: head.record.version, default=None)


async def head_to_run(host: "Host", agent: bytes) -> Certified | None:
    """Return the head of an agent that is bound to this host, having bound it first if it is free."""
    head = await newest_head(host, agent)
    if head is None or not _may_bind(host, head.record):
        return _if_ours(host, head)
    await asyncio.sleep(rank(host, head.record) * RANK_STEP_MS / 1000)
    newer = await newest_head(host, agent)
    if newer is not None and newer.record == head.record and _may_bind(host, newer.record):
        with host.slot():  # others are bound meanwhile
            newer = await _bind(host, newer)
    return _if_ours(host, newer)


async def bind_anew(host: "Host", head: Certified) -> Certified | None:
    """Bind an agent to this host once more; return its newest head, None if it is another's by now.

    For a host that is bound and gets no lease, or one that is of no use (protocol §6.10). What it claimed before
    must run out at every anchor that renewed it, since until then they would refuse this bind, too. Until something
    is decided it claims `head` no more, however many tries that takes.
    """
    await asyncio.sleep(away_ms(host.manifest.lease_ms) / 1000)
    while True:
        newest = await newest_head(host, head.record.agent_id)
        if newest is not None and newest.record == head.record:
            newest = await _bind(host, newest)
        if newest is not None:
            return _if_ours(host, newest)
        await asyncio.sleep((1 + rank(host, head.record)) * RANK_STEP_MS / 1000)


def _if_ours(host: "Host", head: Certified | None) -> Certified | None:
    return head if head is not None and head.record.custody.host == host.key.public else None


def _may_bind(host: "Host", record: AgentRecord) -> bool:
    custody = record.custody
    is_another = custody.zone == host.zone_id and custody.host != host.key.public
    return is_another and record.eligibility.is_acting and not host.outlook.lacks(record)


def rank(host: "Host", record: AgentRecord) -> int:
    """Return this host's place among the candidates for the next binding (protocol §6.6).

    After all of them if it is none by its own envelope, since they do not wait for it.
    """
    envelopes = host.places.envelopes_of(host.zone_id, clock.wall_ms())
    order = list(candidates(record, envelopes))
    own = host.key.public
    return order.index(own) if own in order else len(order)


async def _bind(host: "Host", head: Certified) -> Certified | None:
    """Have a binding to this host decided; return what was decided, None if nothing was."""
    record = bound(head, host.key.public)
    proposal = await host.signer.proposal(TransitionKind.BIND, head, record)
    slot = slot_for(head, proposal.transition, host.manifest)
    proposer = Proposer(proposal, slot, host.manifest, parent=head)
    agent = head.record.agent_id.hex()[:12]
    try:
        done = await host.zone.decide(
            proposer, host.blocks, bring=host.blocks.fetch, until_applied=True
        )
    except Overtaken as overtaken:
        return overtaken.decided
    except Stalled as stalled:
        log.info("not bound", agent=agent, problem=str(stalled))
        return None
    log.info("bound", agent=agent, binding=record.custody.binding)
    return done
