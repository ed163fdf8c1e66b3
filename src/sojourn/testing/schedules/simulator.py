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
from functools import cached_property
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
        self.ways: dict[Node, list[int]] = {}
        """The ways from here to others: the number of each, and how many messages took it."""
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
        self.simulator.send(Message(self, target, body, about, False, None, self.life))

    def answer(self, message: Message, body: object) -> None:
        """Answer a message."""
        asker, about, asked = message.source, message.about, message.body
        self.simulator.send(Message(self, asker, body, about, True, asked, message.life))

    def crash(self) -> None:
        """End the process: whatever it was about to do, it does not do any more."""
        self.life += 1
        self.is_up = False


def mixed(salt: int, number: int, count: int) -> int:
    """Return 60 bits that look random and depend on nothing else: tuples of integers hash alike everywhere."""
    return hash((hash((salt, number, count)), salt))


class _Kinds(dict[type, tuple[str, int]]):
    """The names of kinds of messages, and what stands for each in numbers."""

    def __missing__(self, kind: type) -> tuple[str, int]:
        found = self[kind] = kind.__name__, zlib.crc32(kind.__name__.encode())
        return found


_KINDS: Final = _Kinds()


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
        self._queue: list[tuple[float, int, Callable[[], None] | Message, Node | None, int]] = []
        """What is to come: actions, as whom and in which life; and messages on their way, which are nobody's."""
        self._sequence = 0

    # --- time -----------------------------------------------------------------------------------------

    def at(self, true_ms: float, action: Callable[[], None], node: Node | None = None) -> None:
        """Do something at a true time, as a node if one is given: then only if it lives on until then."""
        self._push(true_ms, action, node)

    def _push(
        self, true_ms: float, what: Callable[[], None] | Message, node: Node | None = None
    ) -> None:
        self._sequence += 1
        life = node.life if node is not None else 0
        heapq.heappush(self._queue, (true_ms, self._sequence, what, node, life))

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
                self._push(node.held_until_ms, action, node)
                return True
            self.events += 1
        try:
            if isinstance(action, Message):
                self._arrive(action)
            else:
                action()
        except Ended:
            pass
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
        way = source.ways.get(target)
        if way is None:
            way = source.ways[target] = self._way(source.name, target.name)
        way[1] += 1
        salt = self.salt
        luck = hash((hash((salt, way[0], way[1])), salt))
        if weather.cut and weather.is_cut(source, target):
            self._disturb(message, "cut off")
            return
        is_bad = weather.loss or weather.repeat or weather.slow
        how = weather.disturbance(luck) if is_bad else ""
        if weather.chosen:
            how = weather.chosen.get((source.name, target.name, way[1]), how)
        if how:
            self.disturbed.append((source.name, target.name, way[1], how))
            self._disturb(message, how)
            if how == "lost":
                return
        least, most = weather.delay_ms
        delay_ms = least + (most - least) * (luck >> 48 & 0x3FFF) / 0x4000
        self._carry(message, delay_ms * _LATE if how == "late" else delay_ms)
        if how == "repeated":
            again_ms = least + (most - least) * (mixed(luck, 1, 1) & 0x3FFF) / 0x4000
            self._carry(message, again_ms)

    def _way(self, source: str, target: str) -> list[int]:
        """Return the way from name to name, which a liar's twin has in common with it."""
        known = self._ways.get((source, target))
        if known is None:
            known = [zlib.crc32(f"{source}>{target}".encode()), 0]
            self._ways[source, target] = known
        return known

    def _carry(self, message: Message, delay_ms: float) -> None:
        # On its way a message belongs to nobody; whether the target lives is seen when it arrives.
        self._sequence += 1
        heapq.heappush(self._queue, (self.now_ms + delay_ms, self._sequence, message, None, 0))

    def _arrive(self, message: Message) -> None:
        target = message.target
        if not target.is_up or (message.is_reply and message.life != target.life):
            self._disturb(message, "to nobody")
            return
        if target.held_until_ms > self.now_ms:
            self._push(target.held_until_ms, message)
            return
        self.events += 1
        kind, number = _KINDS[type(message.body)]
        self.counts[kind] += 1
        passed = (self.digest, self.now_ms, message.source.number, target.number, number)
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
