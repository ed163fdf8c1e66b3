"""The transport inside one process, for tests: the same frames, limits and errors, no sockets.

A `LoopbackNetwork` is the set of places where something listens. Bytes cross it on the event loop's
next turn, in order, and no more of them wait than `write_bytes_max` allows.
"""

import asyncio

from sojourn.core.base.errors import Misused, Unreachable
from sojourn.runtime.transport import (
    Connection,
    Handlers,
    Listener,
    PeerIdentity,
    Transport,
    WireLimits,
)
from sojourn.transports.connection import FramedConnection
from sojourn.transports.identity import wrong_key
from sojourn.transports.served import Served

__all__ = ["LoopbackNetwork", "LoopbackTransport"]


class LoopbackNetwork:
    """Who listens where."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.listeners: dict[tuple[str, int], _LoopbackListener] = {}

    def free_port(self, host: str) -> int:
        """Return a port at `host` where nobody listens."""
        return next(port for port in range(49152, 65536) if (host, port) not in self.listeners)


class LoopbackTransport(Transport):
    """Connects and listens on a `LoopbackNetwork` as the identity that it is given."""

    def __init__(
        self, network: LoopbackNetwork, identity: PeerIdentity, limits: WireLimits | None = None
    ) -> None:
        """Be `identity`: nothing proves it here."""
        self._network = network
        self._identity = identity
        self._limits = limits or WireLimits()

    async def _listen(self, host: str, port: int, handlers: Handlers) -> Listener:
        place = (host, port or self._network.free_port(host))
        if place in self._network.listeners:
            remedy = "Close the listener there, or choose another port"
            raise Misused(f"port {port} on {host} is in use", remedy=remedy)
        listener = _LoopbackListener(self._network, place, self._identity, self._limits, handlers)
        self._network.listeners[place] = listener
        return listener

    async def _connect(
        self, host: str, port: int, expected_key: bytes, handlers: Handlers
    ) -> Connection:
        await asyncio.sleep(0)
        listener = self._network.listeners.get((host, port))
        if listener is None or listener.is_full:
            raise Unreachable(f"nobody answers at {host}:{port}")
        seen = listener.identity.public_key
        if seen != expected_key:
            raise wrong_key(f"{host}:{port}", expected=expected_key, seen=seen)
        near, far = _LoopbackStream(self._limits), _LoopbackStream(listener.limits)
        near.other, far.other = far, near
        near.owner = FramedConnection(near, listener.identity, self._limits, handlers)
        far.owner = listener.accept(far, self._identity)
        return near.owner


class _LoopbackListener(Listener):
    def __init__(
        self,
        network: LoopbackNetwork,
        place: tuple[str, int],
        identity: PeerIdentity,
        limits: WireLimits,
        handlers: Handlers,
    ) -> None:
        self._network = network
        self._place = place
        self.identity = identity
        self.limits = limits
        self._handlers = handlers
        self._served = Served()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._place[1]

    @property
    def is_full(self) -> bool:
        """Whether it takes no more connections."""
        return len(self._served) >= self.limits.connections_max

    def accept(self, stream: "_LoopbackStream", peer: PeerIdentity) -> FramedConnection:
        """Return the listening end of a new connection."""
        connection = FramedConnection(stream, peer, self.limits, self._handlers)
        self._served.add(connection)
        return connection

    async def close(self) -> None:
        """Stop accepting, then close every connection gracefully (`Listener.close`)."""
        self._network.listeners.pop(self._place, None)
        await self._served.close()


class _LoopbackStream:
    """One end of a byte stream; what is written here arrives at `other.owner`."""

    other: "_LoopbackStream"
    owner: FramedConnection

    def __init__(self, limits: WireLimits) -> None:
        self._loop = asyncio.get_running_loop()
        self._write_bytes_max = limits.write_bytes_max
        self._arrived: list[bytes] = []
        self._arrived_bytes = 0
        self._is_reading_paused = False
        self._is_writing_paused = False
        self._is_closing = False
        self._is_lost = False

    def write(self, data: bytes) -> None:
        """Let bytes arrive at the other end on the loop's next turn."""
        self.other._arrive(data)
        if self.other._arrived_bytes > self._write_bytes_max and not self._is_writing_paused:
            self._is_writing_paused = True
            self.owner.pause_writing()

    def pause_reading(self) -> None:
        """Deliver nothing more for now."""
        self._is_reading_paused = True

    def resume_reading(self) -> None:
        """Deliver again."""
        self._is_reading_paused = False
        self._loop.call_soon(self._deliver)

    def close(self) -> None:
        """End the stream when the other end has read what was written."""
        self._is_closing = True
        self._loop.call_soon(self.other._deliver)

    def abort(self) -> None:
        """End the stream now."""
        for end, problem in (
            (self, "this end broke it off"),
            (self.other, "the other end broke it off"),
        ):
            end._arrived.clear()
            self._loop.call_soon(end._lose, problem)

    def _arrive(self, data: bytes) -> None:
        if not self._arrived:
            self._loop.call_soon(self._deliver)
        self._arrived.append(data)
        self._arrived_bytes += len(data)

    def _deliver(self) -> None:
        if self._is_reading_paused or self._is_lost:
            return
        data = b"".join(self._arrived)
        self._arrived.clear()
        self._arrived_bytes = 0
        self.other._go_on_writing()
        if data:
            self.owner.data_received(data)
        if self.other._is_closing and not self._arrived:
            self._lose("the other end closed it")
            self.other._lose("this end closed it")

    def _go_on_writing(self) -> None:
        if self._is_writing_paused:
            self._is_writing_paused = False
            self.owner.resume_writing()

    def _lose(self, problem: str) -> None:
        if not self._is_lost:
            self._is_lost = True
            self.owner.connection_lost(problem)
