"""The simulator: true time, what happens next, and a network between nodes.

Everything that is left to chance is drawn from one generator, in the order in which things happen, and nothing is
ever drawn or done in the order of a set or of an address: a seed and a commit replay a run, event by event.
"""

import heapq
import random
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from sojourn.testing.history import History
from sojourn.testing.schedules.clocks import Clock

__all__ = ["Message", "Node", "Simulator", "Weather"]

SOON_MS: Final = (0.5, 2.0)
"""How long a message takes in good weather, at least and at most."""


class Message(NamedTuple):
    """What one node says to another; `about` is what the receiver needs to place an answer."""

    source: "Node"
    target: "Node"
    body: object
    about: object = None
    is_reply: bool = False

    def __str__(self) -> str:
        return f"{self.source.name} → {self.target.name}: {type(self.body).__name__}"


class Weather:
    """How the network treats messages: a chance for each mishap, and who is cut off from whom."""

    __slots__ = ("cut", "delay_ms", "loss", "repeat", "slow")

    def __init__(self) -> None:
        """Begin with good weather."""
        self.loss, self.repeat, self.slow = 0.0, 0.0, 0.0
        self.delay_ms = SOON_MS
        self.cut: set[tuple[str, str]] = set()
        """Ordered pairs of places (a zone's or a node's name): nothing gets from the first to the second."""

    def is_cut(self, source: "Node", target: "Node") -> bool:
        """Tell whether nothing gets from one node to another."""
        if not self.cut:
            return False
        return any(
            (one, other) in self.cut
            for one in (source.name, source.place)
            for other in (target.name, target.place)
        )


class Node:
    """A process: it has a name, a place (its zone), clocks, and a life that ends with each crash."""

    def __init__(self, simulator: "Simulator", name: str, place: str) -> None:
        """Begin, up and running."""
        self.simulator, self.name, self.place = simulator, name, place
        self.clock = Clock()
        self.life = 0
        self.is_up = True
        self.held_until_ms = 0.0
        """Until when the process stands still; its clocks go on."""

    def receive(self, message: Message) -> None:
        """Take a message. To be overridden."""
        raise NotImplementedError

    # --- what nodes do --------------------------------------------------------------------------------

    def boot_ms(self) -> int:
        """Return boot time on this node's clock."""
        return self.clock.boot_ms(self.simulator.now_ms)

    def wall_ms(self) -> int:
        """Return wall time on this node's clock."""
        return self.clock.wall_ms(self.simulator.now_ms)

    def after(self, delay_ms: float, action: Callable[[], None]) -> None:
        """Do something after some true time, unless the process has crashed by then."""
        self.simulator.at(self.simulator.now_ms + delay_ms, action, self)

    def when_boot(self, boot_ms: float, action: Callable[[], None]) -> None:
        """Do something when this node's boot clock reads a time; at once if it did."""
        true_ms = max(self.clock.true_ms(boot_ms), self.simulator.now_ms)
        self.simulator.at(true_ms, action, self)

    def say(self, target: "Node", body: object, about: object = None) -> None:
        """Send a message."""
        self.simulator.send(Message(self, target, body, about))

    def answer(self, message: Message, body: object) -> None:
        """Answer a message."""
        self.simulator.send(Message(self, message.source, body, message.about, is_reply=True))

    def crash(self) -> None:
        """End the process: whatever it was about to do, it does not do any more."""
        self.life += 1
        self.is_up = False


class Simulator:
    """True time and the events to come."""

    def __init__(self, seed: int, *, tells: bool = False) -> None:
        """Begin at time 0. With `tells`, every event is written down in `trace`."""
        self.seed = seed
        self.chance = random.Random(seed)  # noqa: S311 - a simulation; nothing secret
        self.now_ms = 0.0
        self.weather = Weather()
        self.history = History()
        self.counts: Counter[str] = Counter()
        """How often each kind of event, fault and rule was reached."""
        self.trace: list[str] | None = [] if tells else None
        self.digest = 0
        """A checksum of all that happened: equal for equal runs."""
        self.events = 0
        self._queue: list[tuple[float, int, Callable[[], None], Node | None, int]] = []
        self._sequence = 0

    # --- time -----------------------------------------------------------------------------------------

    def at(self, true_ms: float, action: Callable[[], None], node: Node | None = None) -> None:
        """Do something at a true time, as a node if one is given: then only if it lives on until then."""
        self._sequence += 1
        life = node.life if node is not None else 0
        heapq.heappush(self._queue, (true_ms, self._sequence, action, node, life))

    def step(self) -> bool:
        """Let the next event happen; tell whether there was one."""
        if not self._queue:
            return False
        true_ms, _, action, node, life = heapq.heappop(self._queue)
        self.now_ms = max(self.now_ms, true_ms)
        if node is None:
            action()
        elif node.life != life:
            return True
        elif node.held_until_ms > self.now_ms:
            self.at(node.held_until_ms, action, node)
        else:
            self.events += 1
            action()
        return True

    @property
    def next_ms(self) -> float | None:
        """When the next event is due, if there is one."""
        return self._queue[0][0] if self._queue else None

    # --- the network ----------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Let the network have a message: it arrives, later, once, more often, or never."""
        weather, chance = self.weather, self.chance
        if weather.loss and chance.random() < weather.loss:
            self.counts["fault: message lost"] += 1
            return
        if weather.is_cut(message.source, message.target):
            self.counts["fault: message cut off"] += 1
            return
        copies = 1
        if weather.repeat and chance.random() < weather.repeat:
            self.counts["fault: message repeated"] += 1
            copies = 2
        for _ in range(copies):
            self._carry(message)

    def _carry(self, message: Message) -> None:
        chance, (least, most) = self.chance, self.weather.delay_ms
        delay_ms = least + (most - least) * chance.random()
        if self.weather.slow and chance.random() < self.weather.slow:
            self.counts["fault: message late"] += 1
            delay_ms *= 200
        # On its way a message belongs to nobody; whether the target lives is seen when it arrives.
        self.at(self.now_ms + delay_ms, lambda: self._arrive(message))

    def _arrive(self, message: Message) -> None:
        target = message.target
        if not target.is_up:
            self.counts["fault: nobody there"] += 1
            return
        if target.held_until_ms > self.now_ms:
            self.at(target.held_until_ms, lambda: self._arrive(message))
            return
        self.events += 1
        kind = type(message.body).__name__
        self.counts[kind] += 1
        self.note(f"{message.source.name}>{message.target.name}:{kind}")
        target.receive(message)

    # --- telling --------------------------------------------------------------------------------------

    def note(self, event: str) -> None:
        """Put an event into the checksum, and into the trace if one is kept."""
        self.digest = zlib.crc32(event.encode(), self.digest)
        if self.trace is not None:
            self.trace.append(f"{self.now_ms:>9.1f} ms  {event}")

    def fault(self, kind: str, what: str = "") -> None:
        """Note that something went wrong on purpose."""
        self.counts[f"fault: {kind}"] += 1
        self.note(f"* {kind} {what}".rstrip())
