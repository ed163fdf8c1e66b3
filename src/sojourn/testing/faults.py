"""Random faults: what may befall a world, how often, and the storm that lets it happen by the seed."""

import random
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from sojourn.core.base.limits import CLOCK_DRIFT
from sojourn.testing.disks import DiskCopy
from sojourn.testing.processes import AnchorProcess, Process
from sojourn.testing.timeline import NS_PER_S, Timer

if TYPE_CHECKING:
    from sojourn.testing.world import World
    from sojourn.testing.zones import Zone

__all__ = ["Faults", "Storm"]

_MINUTE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How many of each fault a virtual minute brings on average, in the whole world; but for the last fields.

    No fault goes beyond what Sojourn promises to stand: clocks keep to `CLOCK_DRIFT`, and at most f anchors of a
    zone ever lose what they had made durable.
    """

    kills: float = 0.0
    """A process dies, and is started again."""
    power_cuts: float = 0.0
    """A machine goes silent, and comes back."""
    pauses: float = 0.0
    """A process stands still, often for longer than a lease."""
    partitions: float = 0.0
    """One or several machines are cut off, both ways or one way."""
    slow_links: float = 0.0
    """The ways between two machines take up to fifty times as long."""
    clock_jumps: float = 0.0
    """A wall clock is set, by up to ten seconds."""
    full_disks: float = 0.0
    """A disk has no room; the anchor ends, room is made, and it is started again."""
    sync_failures: float = 0.0
    """A sync fails; the anchor ends, and is started again."""
    slow_disks: float = 0.0
    """Syncs take up to fifty times as long."""
    damaged_blocks: float = 0.0
    """A bit of a stored block is flipped, at one of the f anchors of a zone that may lose something."""
    restored_copies: float = 0.0
    """A disk is put back to an older copy, at one of those f anchors."""
    breaks: float = 0.0
    """The probability that a write breaks its connection."""
    drift: float = 0.0
    """The largest rate error of a clock: `CLOCK_DRIFT` is what Sojourn stands."""
    longest_s: float = 6.0
    """How long a fault lasts at most."""

    @classmethod
    def storm(cls) -> "Faults":
        """Return some of everything: about one fault every two seconds."""
        return cls(
            kills=8,
            power_cuts=2,
            pauses=4,
            partitions=6,
            slow_links=3,
            clock_jumps=1,
            full_disks=0.5,
            sync_failures=0.5,
            slow_disks=1,
            damaged_blocks=0.5,
            restored_copies=0.3,
            breaks=0.001,
            drift=CLOCK_DRIFT,
        )


class Storm:
    """Lets faults happen to a world until it is calmed."""

    def __init__(self, world: "World", faults: Faults, chance: random.Random) -> None:
        """Begin at once."""
        self._world, self._faults, self._chance = world, faults, chance
        kinds: dict[str, Callable[[], None]] = {
            "kills": self._kill,
            "power_cuts": self._cut_power,
            "pauses": self._pause,
            "partitions": self._partition,
            "slow_links": self._slow_link,
            "clock_jumps": self._jump,
            "full_disks": self._fill_disk,
            "sync_failures": self._fail_sync,
            "slow_disks": self._slow_disk,
            "damaged_blocks": self._damage_block,
            "restored_copies": self._restore,
        }
        given = {field.name: getattr(faults, field.name) for field in fields(faults)}
        self._kinds = [(action, given[name]) for name, action in kinds.items() if given[name]]
        self._lossy: dict[str, list[AnchorProcess]] = {}
        self._copies: dict[str, DiskCopy] = {}
        self._timer: Timer | None = None
        world.network.breaks = faults.breaks
        self._plan_next()

    def end(self) -> None:
        """Let no more faults happen. What is under way is undone by the world."""
        if self._timer is not None:
            self._timer.cancel()
        self._kinds = []
        self._world.network.breaks = 0.0

    def _plan_next(self) -> None:
        total = sum(rate for _, rate in self._kinds)
        if total:
            wait_s = self._chance.expovariate(total / _MINUTE_S)
            self._timer = self._world.timeline.after(round(wait_s * NS_PER_S), self._strike)

    def _strike(self) -> None:
        actions, rates = zip(*self._kinds, strict=True)
        action: Callable[[], None] = self._chance.choices(actions, rates)[0]
        action()
        self._plan_next()

    # --- whom, and how long ---------------------------------------------------------------------------

    def _later(self, action: Callable[[], None]) -> None:
        delay_s = self._chance.uniform(0.05, self._faults.longest_s)
        self._world.timeline.after(round(delay_s * NS_PER_S), action)

    def _anyone(self) -> Process:
        return self._chance.choice(self._world.processes())

    def _any_anchor(self) -> AnchorProcess:
        return self._chance.choice(self._world.honest_anchors())

    def _one_that_may_lose(self) -> AnchorProcess | None:
        """Return one of the f anchors of some zone that may lose what they had made durable."""
        zone: Zone = self._chance.choice(self._world.zones())
        lossy = self._lossy.get(zone.name)
        if lossy is None:
            liars = [anchor for anchor in zone.anchors if not anchor.is_honest]
            honest = [anchor for anchor in zone.anchors if anchor.is_honest]
            count = max(0, zone.manifest.f - len(liars))
            lossy = self._lossy[zone.name] = self._chance.sample(honest, count)
        return self._chance.choice(lossy) if lossy else None

    # --- the faults -----------------------------------------------------------------------------------

    def _kill(self) -> None:
        victim = self._anyone()
        victim.kill()
        self._later(victim.start)

    def _cut_power(self) -> None:
        victim = self._anyone()
        victim.power_off()
        self._later(victim.start)

    def _pause(self) -> None:
        self._anyone().pause(self._chance.uniform(0.05, self._faults.longest_s))

    def _partition(self) -> None:
        machines = self._world.processes()
        count = self._chance.choice((1, 1, 1, 2, 3, len(machines) // 2))
        some = self._chance.sample(machines, min(count, len(machines) - 1))
        rest = [machine for machine in machines if machine not in some]
        here, there = (some, rest) if self._chance.random() < 0.5 else (rest, some)
        one_way = self._chance.random() < 0.4
        self._later(self._world.partition(here, there, one_way=one_way))

    def _slow_link(self) -> None:
        near, far = self._chance.sample(self._world.processes(), 2)
        self._world.slow(near, far, self._chance.uniform(2, 50))
        self._later(lambda: self._world.slow(near, far, 1.0))

    def _jump(self) -> None:
        self._anyone().shift_wall_clock(self._chance.uniform(-10, 10))

    def _fill_disk(self) -> None:
        victim = self._any_anchor()
        victim.note("the disk is full")
        victim.disk.fill()

        def make_room() -> None:
            victim.disk.make_room()
            victim.start()

        self._later(make_room)

    def _fail_sync(self) -> None:
        victim = self._any_anchor()
        victim.note("the next sync will fail")
        victim.disk.fail_sync()
        self._later(victim.start)

    def _slow_disk(self) -> None:
        disk = self._any_anchor().disk
        disk.slowness = self._chance.uniform(2, 50)

        def hurry() -> None:
            disk.slowness = 1.0

        self._later(hurry)

    def _damage_block(self) -> None:
        victim = self._one_that_may_lose()
        blocks = sorted(victim.disk.copy().blocks) if victim else []
        if victim and blocks:
            named = self._chance.choice(blocks)
            victim.note(f"block {named.hex()[:12]} is damaged")
            victim.disk.damage_block(named)

    def _restore(self) -> None:
        """Copy a disk the first time, and put the copy back the second."""
        victim = self._one_that_may_lose()
        if victim is None:
            return
        copy = self._copies.pop(victim.name, None)
        if copy is None:
            victim.note("its disk is copied")
            self._copies[victim.name] = victim.disk.copy()
            return
        victim.kill()
        victim.note("its disk is put back to the copy")
        victim.disk.put_back(copy)
        self._later(victim.start)
