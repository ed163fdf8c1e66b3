"""Mishaps: what goes wrong on purpose, when, and for how long; and how all of it is made good again."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from sojourn.core.base.limits import CLOCK_DRIFT
from sojourn.testing.schedules import midway
from sojourn.testing.schedules.anchor import AnchorNode
from sojourn.testing.schedules.host import HostNode
from sojourn.testing.schedules.plan import Mishap, Plan, generator
from sojourn.testing.schedules.simulator import Node

if TYPE_CHECKING:
    from sojourn.testing.schedules.schedule import Schedule

__all__ = ["KINDS", "Mishaps"]


class Mishaps:
    """All that goes wrong in one schedule."""

    def __init__(self, schedule: "Schedule", plan: Plan) -> None:
        """Let the weather, the clocks and the mishaps be what the plan says."""
        self._schedule, self._simulator = schedule, schedule.simulator
        self.is_calm = False
        weather = self._simulator.weather
        weather.loss, weather.repeat, weather.slow = plan.loss, plan.repeat, plan.slow
        weather.chosen = {(d.source, d.target, d.count): d.how for d in plan.disturbed}
        if plan.drifts:
            chance = generator(plan.seed, "clocks")
            for node in schedule.nodes:
                node.clock.drift = chance.uniform(-CLOCK_DRIFT, CLOCK_DRIFT)
        for mishap in plan.mishaps:
            happening = _Happening(self, schedule, mishap)
            self.at(mishap.at_ms, happening.begin)

    def at(self, true_ms: float, action: Callable[[], None]) -> None:
        """Do something at a time, unless it is calm by then."""

        def happen() -> None:
            if not self.is_calm:
                action()

        self._simulator.at(true_ms, happen)

    def calm(self) -> None:
        """Make everything good: from now on nothing goes wrong. Liars go on lying; who is retired stays so."""
        self.is_calm = True
        weather = self._simulator.weather
        weather.loss = weather.repeat = weather.slow = 0.0
        weather.cut.clear()
        for node in self._schedule.nodes:
            node.clock.skew_ms = 0
            node.held_until_ms = min(node.held_until_ms, self._simulator.now_ms)
        for anchor in self._schedule.anchors:
            anchor.disk.force_ms = (0.5, 2.0)
            anchor.restart()
        for host in self._schedule.hosts:
            host.restart()


class _Happening:
    """One mishap as it happens, with a generator of its own: leaving out another changes nothing here."""

    def __init__(self, mishaps: Mishaps, schedule: "Schedule", mishap: Mishap) -> None:
        self._mishaps, self._schedule, self._simulator = mishaps, schedule, schedule.simulator
        self._kind = mishap.kind
        self._chance = generator(schedule.plan.seed, mishap.index)

    def begin(self) -> None:
        """Go wrong."""
        self._simulator.counts[f"mishap: {self._kind}"] += 1
        KINDS[self._kind](self)

    def _later(self, least_ms: float, most_ms: float, action: Callable[[], None]) -> None:
        """Make something good after a while, unless all is made good before."""
        at_ms = self._simulator.now_ms + self._chance.uniform(least_ms, most_ms)
        self._mishaps.at(at_ms, action)

    # --- processes ------------------------------------------------------------------------------------

    def _crash(self, node: AnchorNode | HostNode, *, for_ms: tuple[float, float]) -> None:
        if node.is_up:
            self._simulator.fault(f"{_noun(node)} crash", node.name)
            node.crash()
            self._later(*for_ms, node.restart)

    def anchor_crash(self) -> None:
        anchor = self._chance.choice(self._schedule.honest_anchors)
        self._crash(anchor, for_ms=self._chance.choice([(1, 20), (100, 5_000)]))

    def host_crash(self) -> None:
        host = self._busy_host()
        self._crash(host, for_ms=self._chance.choice([(1, 50), (3_000, 30_000)]))

    def zone_crash(self) -> None:
        """Crash all of a zone at once, or all but some."""
        name = self._chance.choice(self._schedule.scene.names)
        everybody: list[AnchorNode | HostNode] = [
            *self._schedule.honest_anchors,
            *self._schedule.hosts,
        ]
        for node in everybody:
            if node.place == name and self._chance.random() < 0.9:
                self._crash(node, for_ms=(10, 500))

    def _pause(self, node: Node, for_ms: float) -> None:
        self._simulator.fault(f"{_noun(node)} pause", f"{node.name} {for_ms:.0f} ms")
        node.held_until_ms = self._simulator.now_ms + for_ms

    def _busy_host(self) -> HostNode:
        busy = [host for host in self._schedule.hosts if host.is_up and host.runs]
        return self._chance.choice(busy or self._schedule.hosts)

    def host_pause(self) -> None:
        self._pause(self._busy_host(), self._pause_ms())

    def host_midway(self) -> None:
        """Stop a host that works while it says something to all anchors."""
        self._midway(self._busy_host())

    def anchor_midway(self) -> None:
        """Stop an anchor while it leads, or tells the others of a decision."""
        self._midway(self._chance.choice(self._schedule.honest_anchors))

    def _midway(self, node: AnchorNode | HostNode) -> None:
        chance = self._chance
        kind, count = chance.choice(midway.KINDS), chance.randint(0, 5)
        for_ms = chance.choice([(1, 50), (3_000, 9_000)])

        def stop() -> None:
            if chance.random() < 0.5:
                self._crash(node, for_ms=for_ms)
            else:
                self._pause(node, self._pause_ms())

        midway.stop_midway(node, kind, count, stop, lambda: self._mishaps.is_calm)

    def anchor_pause(self) -> None:
        self._pause(self._chance.choice(self._schedule.honest_anchors), self._pause_ms())

    def _pause_ms(self) -> float:
        """Return a pause: of a moment, about a lease, or longer."""
        return self._chance.choice([50.0, 2_600.0, 3_100.0, 9_000.0]) * self._chance.uniform(
            0.9, 1.1
        )

    # --- the network ----------------------------------------------------------------------------------

    def _cut(self, pairs: list[tuple[str, str]], what: str) -> None:
        self._simulator.fault(what, " ".join(f"{one}|{other}" for one, other in pairs))
        cut = self._simulator.weather.cut
        cut.update(pairs)
        self._later(50, 8_000, lambda: cut.difference_update(pairs))

    def zones_cut(self) -> None:
        one, other = self._two_zones()
        self._cut([(one, other), (other, one)], "zones cut")

    def zones_cut_one_way(self) -> None:
        self._cut([self._two_zones()], "zones cut one way")

    def _two_zones(self) -> tuple[str, str]:
        """Return two zones; where there is but one, it is cut off from itself."""
        names = self._schedule.scene.names
        one, other = self._chance.sample(names if len(names) > 1 else names * 2, 2)
        return one, other

    def node_cut(self) -> None:
        """Cut a node off from its zone: both ways, or only what it says, or only what it hears."""
        node = self._chance.choice(self._schedule.nodes)
        there, back = (node.name, node.place), (node.place, node.name)
        self._cut(self._chance.choice([[there], [back], [there, back]]), "node cut")

    # --- clocks and disks -----------------------------------------------------------------------------

    def clock_jump(self) -> None:
        """Let wall time jump. Boot time never does: that is what a lease leans on."""
        node = self._chance.choice(self._schedule.nodes)
        node.clock.skew_ms = self._chance.choice([-60_000, -5_000, 5_000, 60_000])
        self._simulator.fault("clock jump", f"{node.name} {node.clock.skew_ms} ms")

    def slow_disk(self) -> None:
        anchor = self._chance.choice(self._schedule.honest_anchors)
        anchor.disk.force_ms = (20.0, 400.0)
        self._simulator.fault("slow disk", anchor.name)

    def disk_failure(self) -> None:
        """Let a write fail, or find no room: the process ends (protocol §13.3)."""
        anchor = self._chance.choice(self._schedule.honest_anchors)
        if anchor.is_up:
            self._simulator.fault("disk failure", anchor.name)
            anchor.crash()
            self._later(100, 5_000, anchor.restart)

    def old_copy(self) -> None:
        """Put an old copy of its disk under an anchor: as many in a zone as may lie, liars counted."""
        allowed = self._schedule.spare_anchors()
        if not allowed:
            return
        anchor = self._chance.choice(allowed)
        anchor.disk.keep_copy()

        def restore() -> None:
            self._simulator.fault("old copy", anchor.name)
            anchor.crash()
            anchor.disk.restore()
            self._later(10, 200, anchor.restart)

        anchor.is_honest = False  # from now on: it may forget what it said
        self._later(50, 1_000, restore)


KINDS: Final[Mapping[str, Callable[[_Happening], None]]] = {
    "anchor crash": _Happening.anchor_crash,
    "host crash": _Happening.host_crash,
    "host pause": _Happening.host_pause,
    "anchor pause": _Happening.anchor_pause,
    "host stops midway": _Happening.host_midway,
    "anchor stops midway": _Happening.anchor_midway,
    "zones cut": _Happening.zones_cut,
    "zones cut one way": _Happening.zones_cut_one_way,
    "node cut": _Happening.node_cut,
    "clock jump": _Happening.clock_jump,
    "slow disk": _Happening.slow_disk,
    "disk failure": _Happening.disk_failure,
    "old copy": _Happening.old_copy,
    "zone crash": _Happening.zone_crash,
}
"""The kinds of mishaps there are, and what each does."""


def _noun(node: Node) -> str:
    return "anchor" if isinstance(node, AnchorNode) else "host"
