"""The simulator: true time, what happens next, and a network between nodes.

What is left to chance is drawn from the seed and from what it is for: the n-th message from one node to another has
the same luck whatever else happens, and so has the n-th thing that a node does. Nothing is ever drawn or done in the
order of a set or of an address. So a seed and a commit replay a run, event by event; and leaving one thing out of a
run changes little of what does not depend on it.
"""

import heapq
import random
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property
from typing import Final, NamedTuple

from sojourn.testing.history import History
from sojourn.testing.schedules.clocks import Clock
from sojourn.testing.schedules.telling import Line, about, is_routine, say

__all__ = ["Ended", "Message", "Node", "Simulator", "Weather", "mixed"]

_LATE: Final = 200
"""A late message takes so many times as long."""
SOON_MS: Final = (0.5, 2.0)
"""How long a message takes in good weather, at least and at most."""


class Ended(Exception):
    """A process has ended in the middle of what it was doing: no error, it unwinds that."""


class Message(NamedTuple):
    """What one node says to another; `about` is what the receiver needs to place an answer."""

    source: "Node"
    target: "Node"
    body: object
    about: object = None
    is_reply: bool = False
    asked: object = None
    """What a reply answers."""
    life: int = 0
    """Which life of the asker's it belongs to: who has crashed since hears no answer."""

    def __str__(self) -> str:
        return f"{self.source.name} → {self.target.name}: {type(self.body).__name__}"


class Weather:
    """How the network treats messages: a chance for each mishap, and who is cut off from whom."""

    __slots__ = ("chosen", "cut", "delay_ms", "loss", "repeat", "slow")

    def __init__(self) -> None:
        """Begin with good weather."""
        self.loss, self.repeat, self.slow = 0.0, 0.0, 0.0
        self.delay_ms = SOON_MS
        self.chosen: dict[tuple[str, str, int], str] = {}
        """Messages, by source, target and their count on that way, that fare badly in good weather, too, and how."""
        self.cut: set[tuple[str, str]] = set()
        """Ordered pairs of places (a zone's or a node's name): nothing gets from the first to the second."""

    def disturbance(self, luck: int) -> str:
        """Return how a message with this luck fares: lost, repeated, late, or well ("")."""
        if (luck & 0xFFFF) < self.loss * 0x10000:
            return "lost"
        if (luck >> 16 & 0xFFFF) < self.repeat * 0x10000:
            return "repeated"
        if (luck >> 32 & 0xFFFF) < self.slow * 0x10000:
            return "late"
        return ""

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
        self.number = zlib.crc32(name.encode())
        """What stands for the name in numbers."""
        self._draws = 0

    @cached_property
    def chance(self) -> random.Random:
        """A generator of this node's own."""
        return random.Random(mixed(self.simulator.salt, self.number, -1))  # noqa: S311 - a simulation

    def luck(self) -> float:
        """Return the next of this node's numbers between 0 and 1: cheaper than a generator."""
        self._draws += 1
        return (mixed(self.simulator.salt, self.number, self._draws) & 0xFFFFFF) / 0x1000000

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
        self.simulator.send(Message(self, target, body, about, life=self.life))

    def answer(self, message: Message, body: object) -> None:
        """Answer a message."""
        asker, about, asked = message.source, message.about, message.body
        self.simulator.send(Message(self, asker, body, about, True, asked, life=message.life))

    def crash(self) -> None:
        """End the process: whatever it was about to do, it does not do any more."""
        self.life += 1
        self.is_up = False


def mixed(salt: int, number: int, count: int) -> int:
    """Return 60 bits that look random and depend on nothing else: tuples of integers hash alike everywhere."""
    return hash((hash((salt, number, count)), salt))


@cache
def _number(kind: str) -> int:
    return zlib.crc32(kind.encode())


class Simulator:
    """True time and the events to come."""

    def __init__(self, seed: int, *, tells: bool = False) -> None:
        """Begin at time 0. With `tells`, every event is written down in `trace`."""
        self.salt = seed
        """What all luck is mixed with."""
        self.now_ms = 0.0
        self.weather = Weather()
        self.history = History()
        self.overheard: Callable[[Message], None] | None = None
        """Who is told of every message that is sent, if anybody is."""
        self.counts: Counter[str] = Counter()
        """How often each kind of event, fault and rule was reached."""
        self.trace: list[Line] | None = [] if tells else None
        self.digest = 0
        """A checksum of all that happened: equal for equal runs."""
        self.events = 0
        self.disturbed: list[tuple[str, str, int, str]] = []
        """What the network did to which messages."""
        self._ways: dict[tuple[str, str], list[int]] = {}
        """Each way from name to name (a liar's twin has its name): its own number, and how many messages took it."""
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
        if node is not None:
            if node.life != life:
                return True
            if node.held_until_ms > self.now_ms:
                self.at(node.held_until_ms, action, node)
                return True
            self.events += 1
        with suppress(Ended):
            action()
        return True

    @property
    def next_ms(self) -> float | None:
        """When the next event is due, if there is one."""
        return self._queue[0][0] if self._queue else None

    # --- the network ----------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Let the network have a message: it arrives, later, once, more often, or never."""
        if self.overheard is not None:
            self.overheard(message)
        weather, source, target = self.weather, message.source, message.target
        names = source.name, target.name
        way = self._ways.get(names)
        if way is None:
            way = self._ways[names] = [zlib.crc32(">".join(names).encode()), 0]
        way[1] += 1
        luck = mixed(self.salt, way[0], way[1])
        if weather.cut and weather.is_cut(source, target):
            self._disturb(message, "cut off")
            return
        how = weather.disturbance(luck)
        if weather.chosen:
            how = weather.chosen.get((*names, way[1]), how)
        if how:
            self.disturbed.append((*names, way[1], how))
            self._disturb(message, how)
            if how == "lost":
                return
        least, most = weather.delay_ms
        delay_ms = least + (most - least) * (luck >> 48 & 0x3FFF) / 0x4000
        self._carry(message, delay_ms * _LATE if how == "late" else delay_ms)
        if how == "repeated":
            again_ms = least + (most - least) * (mixed(luck, 1, 1) & 0x3FFF) / 0x4000
            self._carry(message, again_ms)

    def _carry(self, message: Message, delay_ms: float) -> None:
        # On its way a message belongs to nobody; whether the target lives is seen when it arrives.
        self.at(self.now_ms + delay_ms, lambda: self._arrive(message))

    def _arrive(self, message: Message) -> None:
        target = message.target
        if not target.is_up or (message.is_reply and message.life != target.life):
            self._disturb(message, "to nobody")
            return
        if target.held_until_ms > self.now_ms:
            self.at(target.held_until_ms, lambda: self._arrive(message))
            return
        self.events += 1
        kind = type(message.body).__name__
        self.counts[kind] += 1
        passed = (self.digest, self.now_ms, message.source.number, target.number, _number(kind))
        self.digest = hash(passed)  # numbers only: alike in every process
        if self.trace is not None:
            self._tell(message, say(message.body))
        target.receive(message)

    # --- telling --------------------------------------------------------------------------------------

    def note(self, event: str, *, is_fault: bool = False) -> None:
        """Put an event into the checksum, and into the trace if one is kept."""
        self.digest = hash((self.digest, self.now_ms, zlib.crc32(event.encode())))
        if self.trace is not None:
            self.trace.append(Line(self.now_ms, event, is_fault=is_fault))

    def fault(self, kind: str, what: str = "") -> None:
        """Note that something went wrong on purpose."""
        self.counts[f"fault: {kind}"] += 1
        self.note(f"* {kind} {what}".rstrip(), is_fault=True)

    def _disturb(self, message: Message, how: str) -> None:
        """Note what the network did to a message."""
        self.counts[f"fault: message {how}"] += 1
        if self.trace is not None:
            self._tell(message, f"({how}) {say(message.body)}")

    def _tell(self, message: Message, text: str) -> None:
        assert self.trace is not None
        topic = about(message.body, message.asked)
        names = message.source.name, message.target.name
        routine = is_routine(message.body)
        self.trace.append(Line(self.now_ms, text, topic, *names, is_routine=routine))
