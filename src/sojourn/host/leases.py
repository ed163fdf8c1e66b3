"""Heartbeats: how a host gets leases for all its agents at once, and knows how long they hold (protocol §6)."""

import asyncio
from typing import Final

import structlog

from sojourn.core.agent.record import Fence
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import SojournError
from sojourn.core.protocol.binding import Claim, Heartbeat, HeartbeatReply, HostLease
from sojourn.runtime.clients.zone_client import ZoneClient
from sojourn.runtime.errors import LeaseLost, LeaseWithheld
from sojourn.runtime.processes import clock

__all__ = ["PATIENCE_LEASES", "Leases"]

log = structlog.get_logger("host")

_BEATS_PER_LEASE: Final = 4
_CLAIMS_AT_ONCE: Final = 32
"""So few claims are sent at once, each time."""
_CLAIM_S: Final = 0.000_1
"""What a claim costs this host and its anchors, roughly."""
PATIENCE_LEASES: Final = 2
"""How many leases' time a claim may go without being granted, or of use: who waits longer claims another's."""


class Leases:
    """The leases of one host: claims, heartbeats to every anchor, and who may act until when."""

    def __init__(self, host: bytes, zone: ZoneClient) -> None:
        """Claim nothing yet."""
        self._host, self._zone = host, zone
        self._lease = HostLease(zone.manifest.lease_ms, zone.n, zone.quorum)
        self._claims: dict[bytes, Fence] = {}
        self._sequence = clock.wall_ms()
        self._beat_now = asyncio.Event()
        self._granted = asyncio.Event()

    def is_held(self, agent: bytes, fence: Fence) -> bool:
        """Tell whether this host may act for an agent at this very moment."""
        return self.left_ms(agent, fence) > 0

    def is_declined(self, agent: bytes, fence: Fence) -> bool:
        """Tell whether an anchor last declined to renew a lease: it may have begun to bind another host."""
        return self._lease.is_declined(agent, fence)

    def fence_of(self, agent: bytes) -> Fence | None:
        """Return the fence under which this host claims an agent, None if it does not."""
        return self._claims.get(agent)

    def left_ms(self, agent: bytes, fence: Fence) -> float:
        """Return how long this host may act for an agent if no heartbeat is answered any more."""
        return max(0, self._lease.until_ms(agent, fence) - clock.boot_ms())

    async def hold(self, agent: bytes, fence: Fence) -> None:
        """Claim an agent, and wait until a quorum of anchors has granted the lease.

        Raises `LeaseLost` if they do not within a few leases, `LeaseWithheld` if so many have declined; the claim
        is given up then.
        """
        self._claims[agent] = fence
        self._beat_now.set()
        try:
            async with asyncio.timeout(PATIENCE_LEASES * self._zone.manifest.lease_ms / 1000):
                while not self.is_held(agent, fence):
                    await self._granted.wait()
        except TimeoutError:
            is_withheld = self._lease.is_withheld(agent, fence)
            self.release(agent)
            problem = "the anchors do not grant the lease: they may know a later one"
            raise (LeaseWithheld if is_withheld else LeaseLost)(problem) from None

    def release(self, agent: bytes) -> None:
        """Claim an agent no longer; its lease runs out by itself at the anchors."""
        self._claims.pop(agent, None)
        self._lease.forget(agent)

    @property
    def _interval_s(self) -> float:
        return self._zone.manifest.lease_ms / 1000 / _BEATS_PER_LEASE

    @property
    def _rest_s(self) -> float:
        """How long new claims wait for each other behind a heartbeat: not at all, where it carries few.

        Each heartbeat carries all claims. One for every claim of a host that has a thousand to make, after it was
        down or has lost them all, would keep it and its anchors so busy that these leases ran out as well.
        """
        many = len(self._claims) - _CLAIMS_AT_ONCE
        return min(many * _CLAIM_S, self._interval_s) if many > 0 else 0.0

    async def run(self) -> None:
        """Send heartbeats for ever: several in each lease, and one at once for new claims."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._beat_now.clear()
                if self._claims:
                    self._beat(group)
                rest_s = self._rest_s
                if rest_s:
                    await asyncio.sleep(rest_s)
                try:
                    async with asyncio.timeout(self._interval_s - rest_s):
                        await self._beat_now.wait()
                except TimeoutError:
                    continue

    def _beat(self, group: asyncio.TaskGroup) -> None:
        self._sequence += 1
        claims = tuple(
            Claim(agent=agent, term=term, binding=binding)
            for agent, (term, binding) in self._claims.items()
        )
        beat = Heartbeat(host=self._host, sequence=self._sequence, claims=claims)
        self._lease.sent(beat, clock.boot_ms())  # counted from before it leaves
        body = encode(beat)
        for anchor in range(self._zone.n):
            group.create_task(self._send(anchor, body))

    async def _send(self, anchor: int, body: bytes) -> None:
        try:
            reply = await self._zone.send(anchor, body, 2 * self._interval_s)
        except SojournError as error:
            log.debug("no answer to a heartbeat", anchor=anchor, problem=str(error))
            return
        if isinstance(reply, HeartbeatReply):
            self._lease.acknowledged(anchor, reply)
            self._granted.set()
            self._granted = asyncio.Event()
