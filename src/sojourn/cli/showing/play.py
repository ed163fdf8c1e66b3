"""Playing a schedule against a running agent: what is due happens, and what happened is written down."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sojourn.cli.showing.follow import Follower
from sojourn.cli.showing.stage import Stage
from sojourn.core.agent.eligibility import Status
from sojourn.core.base.errors import Failed, SojournError
from sojourn.demo.schedule import CapacityChange, Change, Kill, PriceChange, split_due

__all__ = ["Killed", "Play", "Priced", "Sized"]

_LOOK_S: Final = 0.1
_PATIENCE_S: Final = 60.0
"""How long the agent may make no progress before the play is given up."""
_PROGRESS: Final = "risk"
"""The compartment whose length says how many windows are done."""


@dataclass(frozen=True, slots=True)
class Priced:
    """A zone's price from a moment on (seconds since the launch)."""

    at_s: float
    zone: str
    price_micros: int
    why: str


@dataclass(frozen=True, slots=True)
class Sized:
    """A zone's capacity from a moment on."""

    at_s: float
    zone: str
    agents: int
    why: str


@dataclass(frozen=True, slots=True)
class Killed:
    """A process that was killed."""

    at_s: float
    zone: str
    what: str
    name: str
    why: str


@dataclass(slots=True)
class Play:
    """One run of the agent under a schedule."""

    stage: Stage
    follower: Follower
    say: Callable[[str], None]
    changes: tuple[Change, ...]
    prices: list[Priced] = field(default_factory=list)
    sizes: list[Sized] = field(default_factory=list)
    kills: list[Killed] = field(default_factory=list)
    progress: list[tuple[float, int]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def at_s(self) -> float:
        """Seconds since the launch."""
        return time.monotonic() - self.started

    async def run(self) -> None:
        """Follow the agent to its end, performing what is due. Raises `Failed` if it stops advancing."""
        left = self.changes
        moved_on = self.at_s
        zone = self.follower.zone.name
        self.say(f"{self.at_s:5.1f} s  launched in {zone}")
        while True:
            before = self.follower.newest.record.version
            head = await self.follower.look()
            if head.record.version > before:
                moved_on = self.at_s
            elif self.at_s - moved_on > _PATIENCE_S:
                raise Failed(f"the agent made no progress for {_PATIENCE_S:.0f} s, in {zone}")
            if self.follower.zone.name != zone:
                zone = self.follower.zone.name
                self.say(f"{self.at_s:5.1f} s  moved to {zone} (term {head.record.custody.term})")
            done = await self._windows()
            due, left = split_due(left, windows_done=done, seconds=self.at_s)
            for change in due:
                self._perform(change)
            if (
                head.record.eligibility.status is Status.DORMANT
                and not head.record.eligibility.wake
            ):
                self.say(
                    f"{self.at_s:5.1f} s  finished: {done} windows, version {head.record.version}"
                )
                return
            await asyncio.sleep(_LOOK_S)

    async def _windows(self) -> int:
        try:
            done = await self.follower.length(_PROGRESS)
        except SojournError:
            return self.progress[-1][1] if self.progress else 0
        if not self.progress or self.progress[-1][1] != done:
            self.progress.append((self.at_s, done))
        return done

    def _perform(self, change: Change) -> None:
        told = [self._performed(event, change.why) for event in change.events]
        self.stage.publish()  # one offer for all of a change: no one sees half of it
        self.say(f"{self.at_s:5.1f} s  {', '.join(told)} ({change.why})")

    def _performed(self, event: PriceChange | CapacityChange | Kill, why: str) -> str:
        match event:
            case PriceChange(zone=zone, price_micros=price):
                self.stage.price(zone, price)
                self.prices.append(Priced(self.at_s, zone, price, why))
                return f"{zone} now asks ${price / 1e6:.4f} an hour"
            case CapacityChange(zone=zone, agents=agents):
                self.stage.capacity(zone, agents)
                self.sizes.append(Sized(self.at_s, zone, agents, why))
                return f"{zone} now takes {agents} agents"
            case Kill():
                return self._kill(event, why)

    def _kill(self, event: Kill, why: str) -> str:
        zone, host = self.follower.zone.name, self.follower.newest.record.custody.host
        if event.anchor is not None:
            name = self.stage.kill_anchor(zone, event.anchor)
            self.kills.append(Killed(self.at_s, zone, "anchor", f"anchor-{event.anchor}", why))
        else:
            assert host is not None
            name = self.stage.kill_host(zone, host)
            self.kills.append(Killed(self.at_s, zone, "host", name.partition(" of ")[0], why))
        return f"SIGKILL to {name}"
