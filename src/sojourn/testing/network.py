"""The network between simulated machines: it delays, cuts, slows and breaks; what arrives is what was sent.

A connection is a wire with two ends. Each direction is a stream: bytes arrive in order or not at all, in pieces
that need not be those that were written. What befalls it:

    cut        what is sent one way, or both, does not arrive; it waits, as a sender's kernel repeats it, until
               the cut is healed or the sender gives the connection up. Connecting comes to nothing meanwhile.
    slow       everything takes so many times as long
    break      a wire is reset, in the middle of a frame if there is one: both ends lose it
    death      of a process: what it had sent still arrives, then the wire ends; of a machine: the wire is
               silent, and whoever writes to it hears nothing, or that nobody knows it once the machine is back

Messages are lost, doubled and overtaken only across wires: who has no answer asks again on another.
"""

import asyncio
import itertools
import random
from collections.abc import Callable, Iterable
from typing import Final

from sojourn.core.base.errors import Misused, Unreachable
from sojourn.runtime.transport import (
    Connection,
    Handlers,
    Listener,
    PeerIdentity,
    Transport,
    WireLimits,
)
from sojourn.testing.life import Life, Machine
from sojourn.testing.timeline import NS_PER_MS, Timeline
from sojourn.testing.wires import End
from sojourn.transports.connection import FramedConnection
from sojourn.transports.identity import wrong_key
from sojourn.transports.served import Served

__all__ = ["Network", "SimulatedTransport"]

_NEAR_NS: Final = (NS_PER_MS // 5, NS_PER_MS)
"""One way within a zone, at least and usually at most."""
_FAR_NS: Final = (5 * NS_PER_MS, 40 * NS_PER_MS)
"""One way between zones."""
_JITTER: Final = 0.2
_TAIL: Final = 0.01
"""This part of all pieces takes several times as long."""

Sent = Callable[[str, str, bytes], None]
_Place = tuple[str, int]


class Network:
    """Who listens where, and what the ways between machines are like."""

    def __init__(self, timeline: Timeline, chance: random.Random, on_sent: Sent) -> None:
        """Begin with nobody; `on_sent` is told who sent what to whom."""
        self.timeline, self.chance, self.on_sent = timeline, chance, on_sent
        self.breaks = 0.0
        """The probability that a write breaks its wire."""
        self.machines: dict[str, Machine] = {}
        self.listeners: dict[_Place, _Listener] = {}
        self._ports: dict[_Place, str] = {}
        self._cuts: dict[tuple[str, str], int] = {}
        self._slow: dict[tuple[str, str], float] = {}
        self._usual_ns: dict[tuple[str, str], int] = {}
        self._wires: dict[int, tuple[End, End]] = {}
        self._numbers = itertools.count()

    def add(self, machine: Machine, place: _Place | None = None) -> None:
        """Let a machine be on the network, and be found at a place."""
        self.machines[machine.name] = machine
        if place is not None:
            self._ports[place] = machine.name

    def free_port(self, host: str) -> int:
        """Return a port at `host` where nobody listens."""
        return next(port for port in range(49152, 65536) if (host, port) not in self.listeners)

    # --- ways -----------------------------------------------------------------------------------------

    def cut(self, source: str, target: str) -> None:
        """Let nothing arrive that one machine sends to another, until it is healed as often as it was cut."""
        self._cuts[source, target] = self._cuts.get((source, target), 0) + 1

    def heal(self, source: str, target: str) -> None:
        """Undo a cut; what was sent meanwhile arrives before long."""
        left = self._cuts.get((source, target), 0) - 1
        if left > 0:
            self._cuts[source, target] = left
            return
        if self._cuts.pop((source, target), None) is not None:
            for end in self._ends():
                if end.way == (source, target):
                    end.send_again()

    def heal_all(self) -> None:
        """Undo every cut, and let every way be as fast as usual."""
        self._slow.clear()
        for way in list(self._cuts):
            self._cuts[way] = 1
            self.heal(*way)

    def slow(self, source: str, target: str, times: float) -> None:
        """Let what one machine sends to another take so many times as long as usual."""
        self._slow[source, target] = times

    def is_open(self, source: str, target: str) -> bool:
        """Tell whether what one machine sends to another arrives."""
        return (source, target) not in self._cuts

    def delay_ns(self, source: str, target: str) -> int:
        """Return how long a piece takes that is sent now."""
        usual = self._usual_ns.get((source, target))
        if usual is None:
            usual = self._usual_ns[source, target] = self._draw_usual(source, target)
        chance = self.chance.random()
        times = 1 + _JITTER * chance if chance > _TAIL else 1 + 400 * chance
        return round(usual * times * self._slow.get((source, target), 1.0))

    def _draw_usual(self, source: str, target: str) -> int:
        is_near = source.partition("/")[0] == target.partition("/")[0]
        return self.chance.randint(*(_NEAR_NS if is_near else _FAR_NS))

    # --- wires ----------------------------------------------------------------------------------------

    def machine_at(self, place: _Place) -> Machine | None:
        """Return the machine that is found at a place."""
        name = self._ports.get(place)
        return self.machines.get(name) if name else None

    def join(self, near: End, far: End) -> None:
        """Make a wire of two ends."""
        number = near.number = far.number = next(self._numbers)
        near.other, far.other = far, near
        self._wires[number] = (near, far)

    def forget(self, end: End) -> None:
        """Forget a wire of which no end is left."""
        if end.is_lost and end.other.is_lost:
            self._wires.pop(end.number, None)

    def _ends(self) -> "Iterable[End]":
        return [end for wire in list(self._wires.values()) for end in wire]

    def break_wires(self, of: Life) -> None:
        """Break all wires of a process that lives on."""
        for end in self._ends():
            if end.life is of:
                end.reset()

    def end_wires(self, of: Life, *, silently: bool) -> None:
        """End all wires of a process that has died; silently if its machine is off."""
        self.listeners = {p: one for p, one in self.listeners.items() if one.life is not of}
        for end in self._ends():
            if end.life is of:
                end.die(silently=silently)


class SimulatedTransport(Transport):
    """Connects and listens for one process, as the identity that it is given."""

    def __init__(
        self,
        network: Network,
        life: Life,
        identity: PeerIdentity,
        limits: WireLimits | None = None,
    ) -> None:
        """Be `identity`: nothing proves it here."""
        self._network, self._life, self._identity = network, life, identity
        self._limits = limits or WireLimits()

    async def _listen(self, host: str, port: int, handlers: Handlers) -> Listener:
        place = (host, port or self._network.free_port(host))
        if place in self._network.listeners:
            raise Misused(f"port {port} on {host} is in use", remedy="Choose another port")
        self._network.add(self._life.machine, place)
        listener = _Listener(
            self._network, place, self._life, self._identity, self._limits, handlers
        )
        self._network.listeners[place] = listener
        return listener

    async def _connect(
        self, host: str, port: int, expected_key: bytes, handlers: Handlers
    ) -> Connection:
        attempt = _Attempt(self._network, self._life, (host, port), self._identity, self._limits)
        try:
            async with asyncio.timeout(self._limits.handshake_s):
                near, seen = await attempt.answer
        except TimeoutError:
            raise Unreachable(f"nobody answers at {host}:{port}") from None
        finally:
            attempt.is_over = True
        if seen.public_key != expected_key:
            near.abort()
            raise wrong_key(f"{host}:{port}", expected=expected_key, seen=seen.public_key)
        near.own(FramedConnection(near, seen, self._limits, handlers))
        return near.owner


class _Attempt:
    """An attempt to connect: there, accepted, and back."""

    def __init__(
        self,
        network: Network,
        life: Life,
        place: _Place,
        identity: PeerIdentity,
        limits: WireLimits,
    ) -> None:
        self._network, self._life, self._place = network, life, place
        self._identity, self._limits = identity, limits
        self.answer: asyncio.Future[tuple[End, PeerIdentity]] = life.loop.create_future()
        self.is_over = False
        machine = network.machine_at(place)
        if machine is not None and network.is_open(life.name, machine.name):
            network.timeline.after(network.delay_ns(life.name, machine.name), self._arrive, machine)

    def _arrive(self, machine: Machine) -> None:
        if machine.is_off or not self._network.is_open(machine.name, self._life.name):
            return
        listener = self._network.listeners.get(self._place)
        if listener is None or listener.is_full:
            self._back(machine, self._refuse)
        else:
            listener.life.post(self._accept, listener, machine)

    def _accept(self, listener: "_Listener", machine: Machine) -> None:
        near = End(self._network, self._life, self._limits)
        far = End(self._network, listener.life, listener.limits)
        self._network.join(near, far)
        far.own(listener.accept(far, self._identity))
        self._back(machine, self._welcome, near, listener.identity)

    def _back(self, machine: Machine, action: Callable[..., None], *arguments: object) -> None:
        delay_ns = self._network.delay_ns(machine.name, self._life.name)
        self._network.timeline.after(delay_ns, self._life.post, action, *arguments)

    def _refuse(self) -> None:
        if not self.answer.done():
            host, port = self._place
            self.answer.set_exception(Unreachable(f"nobody answers at {host}:{port}"))

    def _welcome(self, near: End, identity: PeerIdentity) -> None:
        if self.is_over or self.answer.done():
            near.abort()
        else:
            self.answer.set_result((near, identity))


class _Listener(Listener):
    def __init__(
        self,
        network: Network,
        place: _Place,
        life: Life,
        identity: PeerIdentity,
        limits: WireLimits,
        handlers: Handlers,
    ) -> None:
        self._network, self._place, self.life = network, place, life
        self.identity, self.limits, self._handlers = identity, limits, handlers
        self._served = Served()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._place[1]

    @property
    def is_full(self) -> bool:
        """Whether it takes no more connections."""
        return len(self._served) >= self.limits.connections_max

    def accept(self, stream: End, peer: PeerIdentity) -> FramedConnection:
        """Return the listening end of a new connection."""
        connection = FramedConnection(stream, peer, self.limits, self._handlers)
        self._served.add(connection)
        return connection

    async def close(self) -> None:
        """Stop accepting, then close every connection gracefully (`Listener.close`)."""
        if self._network.listeners.get(self._place) is self:
            del self._network.listeners[self._place]
        await self._served.close()
