"""A host that confines: strangers' code, let in on that condition alone, runs to its end, and changes memory."""

import asyncio
import sys

import pytest

from sojourn.core.agent.capabilities import Capabilities, Offer, Requirements
from sojourn.core.base.encoding import encode
from sojourn.core.protocol.gossip import News
from sojourn.host.run import AgentRun
from sojourn.host.server import Host
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.processes import clock
from sojourn.substrates.confinement.confiner import Confiner
from sojourn.substrates.local import LocalSubstrate
from tests.confinement.agents import confiner
from tests.samples import ISSUER, PERMIT_ALL, envelope
from tests.unit.host.hosting import hosted
from tests.village import House, village

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine")

STRANGER = b"""
import os, socket
from sojourn import Agent, step

class Stranger(Agent):
    @step
    def look_around(self) -> list:
        try:
            socket.create_connection(("127.0.0.1", 1))
        except PermissionError:
            return [os.path.exists("/etc/passwd"), sorted(os.listdir("/tmp"))]
        return ["a network"]

    async def run(self, ctx) -> list:
        return await self.look_around()
"""
IF_CONFINED = (
    PERMIT_ALL
    + 'forbid (principal, action == Action::"execute", resource) unless { context.confined };'
)


def offer_confinement(house: House) -> None:
    """Have the anchors know that the hosts of this zone confine, as those would state it."""
    now_ms = clock.wall_ms()
    offer = Offer(cpu_millis=1000, memory_mib=1024, slots=100, confines=True)
    stated = tuple(
        envelope(house.sample, host, now_ms, offer=offer, sequence=now_ms + 1)
        for host in house.hosts
    )
    for anchor in house.anchors.values():
        anchor.learn(News(envelopes=stated))


def ending(confining: Confiner | None, requires: Requirements, cedar: str) -> Ending | None:
    """Return how a stranger's agent ends on a host of a zone; None if it may not execute there."""

    async def play() -> Ending | None:
        substrate = LocalSubstrate(confiner=confining)
        async with village("a", lease_ms=60_000) as v:
            house = v.houses["a"]
            offer_confinement(house)
            code = v.blocks.add(encode({"stranger.py": STRANGER}))
            head = await v.launch(
                house,
                cedar=cedar,
                capabilities=Capabilities(
                    requires=requires,
                    code=code,
                    entry="stranger:Stranger",
                    publisher=ISSUER.public,
                ),
            )
            async with hosted(v, house, substrate=substrate) as host:
                known = house.anchors[0].places.lacking_in(host.places.summary())
                host.places.learn(known, clock.wall_ms())
                return await execute(host, AgentRun(host, head, asyncio.Event()))

    async def execute(host: Host, run: AgentRun) -> Ending | None:
        host._begin(host.leases.run)
        try:
            return await run._execute_once()
        finally:
            await host.substrate.close()

    return asyncio.run(asyncio.wait_for(play(), 60))


@pytest.mark.parametrize(
    ("requires", "cedar"),
    [(Requirements(), IF_CONFINED), (Requirements(confined=True), PERMIT_ALL)],
    ids=["the-policy-wants-it", "the-agent-wants-it"],
)
def test_a_stranger_runs_confined(requires: Requirements, cedar: str) -> None:
    got = ending(confiner(), requires, cedar)
    assert got is not None
    assert (How.RETURNED, [False, []]) == (got.how, got.result)


def test_where_nothing_confines_a_stranger_does_not_run() -> None:
    assert ending(None, Requirements(), IF_CONFINED) is None
