"""Heartbeats: how a host gets leases for all its agents at once, and knows how long they hold (protocol §6)."""

import asyncio

import structlog

from sojourn.core.agent.record import Fence
from sojourn.core.base.errors import SojournError
from sojourn.core.protocol.binding import Claim, Heartbeat, HeartbeatReply, HostLease
from sojourn.runtime import clock
from sojourn.runtime.zone_client import ZoneClient

__all__ = ["Leases"]

log = structlog.get_logger("host")

_BEATS_PER_LEASE = 4


class Leases:
    """The leases of one host: claims, heartbeats to every anchor, and who may act until when."""

    def __init__(self, host: bytes, zone: ZoneClient) -> None:
        """Claim nothing yet."""
        committee = zone.manifest.committee
        self._host, self._zone = host, zone
        self._lease = HostLease(zone.manifest.lease_ms, committee.n, committee.quorum)
        self._claims: dict[bytes, Fence] = {}
        self._sequence = clock.wall_ms()
        self._beat_now = asyncio.Event()
        self._changed = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()

    def is_held(self, agent: bytes, fence: Fence) -> bool:
        """Tell whether this host may act for an agent at this very moment."""
        return self._lease.is_held(agent, fence, clock.boot_ms())

    async def hold(self, agent: bytes, fence: Fence) -> None:
        """Claim an agent, and wait until a quorum of anchors has granted the lease."""
        self._claims[agent] = fence
        while not self.is_held(agent, fence):
            self._beat_now.set()
            changed = self._changed
            try:
                async with asyncio.timeout(self._interval_s):
                    await changed.wait()
            except TimeoutError:
                continue

    def release(self, agent: bytes) -> None:
        """Claim an agent no longer; its lease runs out by itself at the anchors."""
        self._claims.pop(agent, None)
        self._lease.forget(agent)

    @property
    def _interval_s(self) -> float:
        return self._zone.manifest.lease_ms / 1000 / _BEATS_PER_LEASE

    async def run(self) -> None:
        """Send heartbeats for ever: several in each lease, and one at once for every new claim."""
        try:
            while True:
                self._beat_now.clear()
                if self._claims:
                    self._beat()
                try:
                    async with asyncio.timeout(self._interval_s):
                        await self._beat_now.wait()
                except TimeoutError:
                    continue
        finally:
            for call in self._calls:
                call.cancel()

    def _beat(self) -> None:
        self._sequence += 1
        claims = tuple(
            Claim(agent=agent, term=term, binding=binding)
            for agent, (term, binding) in self._claims.items()
        )
        beat = Heartbeat(host=self._host, sequence=self._sequence, claims=claims)
        self._lease.sent(beat, clock.boot_ms())  # counted from before it leaves
        for anchor in range(self._zone.n):
            call = asyncio.create_task(self._send(anchor, beat))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _send(self, anchor: int, beat: Heartbeat) -> None:
        try:
            reply = await self._zone.call(anchor, beat, timeout_s=2 * self._interval_s)
        except SojournError as error:
            log.debug("no answer to a heartbeat", anchor=anchor, problem=str(error))
            return
        if isinstance(reply, HeartbeatReply):
            self._lease.acknowledged(anchor, reply)
            self._changed.set()
            self._changed = asyncio.Event()
