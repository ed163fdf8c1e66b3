"""Crowds: any number of agents under one issuer in a village, whose officers publish an amendment in one place.

Anchors are production's, but for their rounds of gossip, which are idle: what is counted is what the amendment
alone has caused.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch

from msgspec.structs import replace

from sojourn.anchor.gossiping import Gossip
from sojourn.core.agent.eligibility import Status, Wake
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.gossip import Exchange, News, Tell
from sojourn.core.protocol.messages import Applied
from sojourn.runtime.clients.zone_client import ZoneClient
from tests.samples import PERMIT_ALL, document, key, successor
from tests.unit.anchor.standing_in import until
from tests.village import House, Village

__all__ = ["Crowd", "Met", "met"]

NEXT: Final = successor(document(), cedar=PERMIT_ALL + " // 2")
_ZONES: Final = ("publishers", "b", "c", "d")
_BEDS: Final = "beds"
_AWAKE_LEASE_MS: Final = 3_600_000
_ASLEEP_LEASE_MS: Final = 500
_AT_ONCE: Final = 16
_SLEEPERS_PART: Final = 50
"""One in so many sleeps."""


@dataclass(frozen=True)
class Met:
    """How a crowd met an amendment. Times are seconds since it was published, and of a busy machine."""

    agents: int
    messages: int
    """Messages that told of the amendment,"""
    bytes_told: int
    """and their size, all together;"""
    summary_bytes: int
    """the size of what an anchor begins a round of gossip with, once it knows."""
    known_s: float
    """Until every anchor knew, though there is no round of gossip;"""
    all_met_s: float
    """until every agent that is awake stood under it;"""
    transitions: Counter[int]
    """and how many transitions agents took for it. Those of sleepers count from when they were woken."""
    sleepers: int

    def __str__(self) -> str:
        return (
            f"{self.agents:,} agents, {self.sleepers:,} of them asleep: {self.messages} messages of "
            f"{self.bytes_told:,} bytes told of it, a round's summary has {self.summary_bytes:,}; every anchor "
            f"knew after {self.known_s:.2f} s, without a round; all that are awake stood under it after "
            f"{self.all_met_s:.1f} s; transitions: {dict(self.transitions)}"
        )


class Crowd:
    """Agents of one issuer in several zones: every other one in one of them, sleepers in one of their own."""

    def __init__(self, village: Village, houses: dict[str, House]) -> None:
        """Begin with nobody."""
        self._village, self._houses = village, houses
        self.awake: list[tuple[House, Certified]] = []
        self.asleep: list[tuple[House, Certified]] = []

    async def gather(self, count: int) -> None:
        """Launch so many agents, at least one of them asleep."""
        sleepers = max(1, count // _SLEEPERS_PART)
        awake = count - sleepers
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(house: House, number: int) -> tuple[House, Certified]:
            async with room:
                nonce = digest(b"agent %d" % number)
                if house is self._houses[_BEDS]:
                    return house, await self._sleeper(house, nonce)
                proposal = self._village.genesis(house, parent=nonce)
                return house, await self._village.decide(house, proposal, timeout_s=60)

        beds = self._houses[_BEDS]
        self.asleep = await asyncio.gather(*(one(beds, awake + i) for i in range(sleepers)))
        self.awake = await asyncio.gather(*(one(self._home(i), i) for i in range(awake)))
        await asyncio.sleep(2 * _ASLEEP_LEASE_MS / 1000)  # nobody holds a lease of who sleeps

    def _home(self, number: int) -> House:
        """Return where an agent lives: every other one in one zone, so that there are many in one place."""
        spread = _ZONES[2:]
        name = _ZONES[1] if number % 2 else spread[number // 2 % len(spread)]
        return self._houses[name]

    async def _sleeper(self, house: House, nonce: bytes) -> Certified:
        head = await self._village.launch(house, parent=nonce)
        asleep = replace(
            head.record.eligibility, status=Status.DORMANT, wake=(Wake(on_message=True),)
        )
        return await self._village.step(house, head, eligibility=asleep)

    async def wake(self) -> None:
        """Have a host take over everybody who sleeps."""
        for house, head in self.asleep:
            await self._village.bind(house, head, host=1)


def record(house: House, head: Certified) -> AgentRecord:
    """Return the newest record of an agent that its zone's first anchor knows."""
    known = house.anchors[0].shelf.dossier(head.record.agent_id).head
    assert known is not None
    return known.record


def _is_amended(house: House, head: Certified) -> bool:
    return record(house, head).governance.version == 2


async def _wait_amended(crowd: list[tuple[House, Certified]], timeout_s: float) -> None:
    left = list(crowd)

    def all_are() -> bool:
        while left and _is_amended(*left[-1]):
            left.pop()
        return not left

    await until(all_are, timeout_s=timeout_s)


@contextmanager
def _telling() -> Iterator[list[int]]:
    """Yield a list that takes the size of each message that tells of documents."""
    sizes: list[int] = []
    call = ZoneClient.call

    async def noted(self: ZoneClient, index: int, request: Any, **more: Any) -> Any:
        if isinstance(request, Tell) and request.news.documents:
            sizes.append(len(encode(request)))
        return await call(self, index, request, **more)

    with patch.object(ZoneClient, "call", noted):
        yield sizes


@asynccontextmanager
async def _village() -> AsyncIterator[tuple[Village, dict[str, House]]]:
    """Run zones of one anchor each, which do not gossip by rounds."""

    async def idle(_: Gossip) -> None:
        return None

    village, houses = Village(), dict[str, House]()
    with patch.object(Gossip, "run", idle):
        try:
            for name in (*_ZONES, _BEDS):
                lease_ms = _ASLEEP_LEASE_MS if name == _BEDS else _AWAKE_LEASE_MS
                houses[name] = village.found(name, 1, lease_ms=lease_ms)
                await village.open(houses[name])
            village.introduce()
            yield village, houses
        finally:
            await village.shut()


async def met(count: int, timeout_s: float = 60.0) -> Met:
    """Have so many agents meet an amendment that their officers publish where none of them is."""
    async with _village() as (village, houses):
        crowd = Crowd(village, houses)
        await crowd.gather(count)
        before = {head.record.agent_id: record(house, head).version for house, head in crowd.awake}
        publisher = houses[_ZONES[0]]
        with _telling() as sizes:
            client = village.client(publisher, key("a command"))
            began_s = time.monotonic()
            told = await client.call(0, Tell(news=News(documents=(NEXT,))))
            assert Applied() == told, told
            await until(lambda: all(map(_knows, houses.values())), timeout_s=timeout_s)
            known_s = time.monotonic() - began_s
            await _wait_amended(crowd.awake, timeout_s)
            all_met_s = time.monotonic() - began_s
            steps = Counter(
                record(house, head).version - before[head.record.agent_id]
                for house, head in crowd.awake
            )
            assert not any(_is_amended(*each) for each in crowd.asleep), "they sleep on"
            await crowd.wake()
            await _wait_amended(crowd.asleep, timeout_s)
            woken = (
                record(house, head).version - head.record.version for house, head in crowd.asleep
            )
            steps.update(by - 1 for by in woken)  # the first one bound it to who woke it
            await until(lambda: not any(map(_is_telling, houses.values())))
            first, *_ = sizes  # the officers' own word
        return Met(
            agents=count,
            messages=len(sizes) - 1,
            bytes_told=sum(sizes) - first,
            summary_bytes=len(encode(Exchange(summary=publisher.anchors[0].summary()))),
            known_s=known_s,
            all_met_s=all_met_s,
            transitions=steps,
            sleepers=len(crowd.asleep),
        )


def _is_telling(house: House) -> bool:
    return house.anchors[0]._heralding._edicts.is_telling


def _knows(house: House) -> bool:
    """Tell whether an anchor of a zone knows the amendment, durably."""
    rows = house.stores[0].scan("successor", limit=10)
    return digest_of(NEXT) in {named for named, _ in rows}
