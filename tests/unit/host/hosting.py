"""Hosts of a village, with real leases; a test starts of them what it needs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sojourn.core.agent.capabilities import Offer
from sojourn.core.protocol.custody import Certified
from sojourn.host.custody import AgentCustody
from sojourn.host.server import Host
from sojourn.runtime.ports import Draft, Substrate
from sojourn.runtime.transport import Connection, PeerIdentity
from sojourn.transports.loopback import LoopbackTransport
from sojourn.transports.pool import ConnectionPool
from tests.village import House, Village

__all__ = ["NoSubstrate", "draft_of", "hosted", "taken_up"]

OFFER = Offer(cpu_millis=1000, memory_mib=1024, slots=100)


class NoSubstrate(Substrate):
    """Starts nothing."""

    async def start(self, source: Any, entry: str, mode: Any, *, log: Any) -> Any:
        """Fail the test."""
        raise AssertionError("nothing is to be executed here")

    async def close(self) -> None:
        """Do nothing."""


@asynccontextmanager
async def hosted(
    village: Village,
    house: House,
    index: int = 0,
    *,
    substrate: Substrate | None = None,
    offer: Offer = OFFER,
) -> AsyncIterator[Host]:
    """Give a host of a zone, not started, that is told of work by the anchors."""
    pair = house.hosts[index]

    async def on_notice(connection: Connection, body: bytes) -> None:
        await host.on_notice(connection, body)

    transport = LoopbackTransport(village.network, PeerIdentity(pair.public, "spiffe://test/host"))
    pool = ConnectionPool(transport, on_notice=on_notice)
    host = Host(
        house.signed,
        pair,
        house.memberships[pair.public],
        pool,
        substrate or NoSubstrate(),
        lambda: (offer, 1000),
    )
    try:
        yield host
    finally:
        await host.stop()
        await pool.close()


async def taken_up(host: Host, head: Certified) -> tuple[AgentCustody, asyncio.Event]:
    """Take up custody of an agent that is bound to `host`, under a lease that is renewed."""
    mail = asyncio.Event()
    host._begin(host.leases.run)
    await host.leases.hold(head.record.agent_id, head.record.custody.fence)
    return AgentCustody(host, head, mail), mail


def draft_of(custody: AgentCustody, *, inbox: int = 0, **fields: Any) -> Draft:
    """Return a draft of a step that changes nothing but what is given."""
    return Draft(memory=custody.record.memory, blocks={}, records=0, inbox=inbox, **fields)
