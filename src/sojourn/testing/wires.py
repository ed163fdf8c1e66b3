"""The ends of simulated wires: streams of bytes that take time, and may be cut, broken or left behind by a death."""

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sojourn.runtime.transport import WireLimits
from sojourn.testing.life import Life
from sojourn.testing.timeline import NS_PER_MS, Timer
from sojourn.transports.connection import FramedConnection

if TYPE_CHECKING:
    from sojourn.testing.network import Network

__all__ = ["End"]

_AGAIN_NS_MAX: Final = 1_000 * NS_PER_MS
"""How long after a cut is healed a sender may take to notice."""
_SPLITS: Final = 0.1
"""This part of all writes arrives in two pieces."""


@dataclass(slots=True, eq=False)
class _Piece:
    """Bytes on their way, or the end of the stream if None. Without a timer they wait for a cut to be healed."""

    data: bytes | None
    timer: Timer | None = None


class End:
    """One end of a wire: a `ByteStream` whose bytes arrive at `other`."""

    other: "End"
    owner: FramedConnection
    number: int

    def __init__(self, network: "Network", life: Life, limits: WireLimits) -> None:
        self._network, self.life = network, life
        self._write_bytes_max = limits.write_bytes_max
        self._on_way: deque[_Piece] = deque()
        self._bytes_on_way = 0
        self._last_ns = 0
        self._arrived: deque[bytes | None] = deque()
        self._is_owned = False
        self._is_reading_paused = False
        self._is_writing_paused = False
        self._is_closing = False
        self.is_lost = False

    @property
    def way(self) -> tuple[str, str]:
        """From which machine to which its bytes go."""
        return self.life.name, self.other.life.name

    def own(self, connection: FramedConnection) -> None:
        """Let a connection have what arrives, and what has arrived."""
        self.owner = connection
        self._is_owned = True
        self.life.loop.call_soon(self._deliver)

    # --- writing, by the owner ------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self.is_lost or self._is_closing or self.life.has_ended:
            return
        self._network.on_sent(*self.way, data)
        chance = self._network.chance
        if len(data) > 1 and chance.random() < _SPLITS:
            at = chance.randrange(1, len(data))
            self._send(data[:at])
            self._send(data[at:])
        else:
            self._send(data)
        if self._network.breaks and chance.random() < self._network.breaks:
            self._network.timeline.after(
                self._network.delay_ns(*self.way) * chance.randrange(2), self.reset
            )
        if self._bytes_on_way > self._write_bytes_max and not self._is_writing_paused:
            self._is_writing_paused = True
            self.owner.pause_writing()

    def pause_reading(self) -> None:
        """Deliver nothing more for now."""
        self._is_reading_paused = True

    def resume_reading(self) -> None:
        """Deliver again."""
        self._is_reading_paused = False
        self.life.loop.call_soon(self._deliver)

    def close(self) -> None:
        """End the stream behind what was sent."""
        if not self._is_closing and not self.life.has_ended:
            self._is_closing = True
            self._send(None)

    def abort(self) -> None:
        """End the wire now; the other end hears of it if it can be reached."""
        if self.life.has_ended:
            return
        self._drop()
        self._tell_other("the other end broke it off")
        self.life.loop.call_soon(self._lose, "this end broke it off")

    # --- on the way -----------------------------------------------------------------------------------

    def _send(self, data: bytes | None) -> None:
        piece = _Piece(data)
        self._on_way.append(piece)
        self._bytes_on_way += len(data or b"")
        if self._network.is_open(*self.way):
            self._dispatch(piece, self._network.delay_ns(*self.way))

    def _dispatch(self, piece: _Piece, delay_ns: int) -> None:
        timeline = self._network.timeline
        self._last_ns = max(self._last_ns, timeline.now_ns + delay_ns)
        piece.timer = timeline.at(self._last_ns, self._reach_other)

    def send_again(self) -> None:
        """Send what waited for the way to be open."""
        late_ns = self._network.chance.randrange(_AGAIN_NS_MAX)
        for piece in self._on_way:
            if piece.timer is None:
                self._dispatch(piece, late_ns + self._network.delay_ns(*self.way))

    def _reach_other(self) -> None:
        if not self._network.is_open(*self.way):  # cut while it was on its way
            self._on_way[0].timer = None
            for piece in self._on_way:
                if piece.timer is not None:
                    piece.timer.cancel()
                    piece.timer = None
            return
        piece = self._on_way.popleft()
        other = self.other
        if other.is_lost:
            self._hear_nothing()
        elif not other.life.has_ended:
            other.life.post(other._arrive, piece.data)

    def _hear_nothing(self) -> None:
        """Nobody knows this wire at the other end, and says so if there is a machine to say it."""
        machine = self._network.machines[self.other.life.name]
        if not machine.is_off and self._network.is_open(*self.other.way):
            delay_ns = self._network.delay_ns(*self.other.way)
            self._network.timeline.after(
                delay_ns, self.life.post, self._lose, "nobody knows it there any more"
            )

    def _arrive(self, data: bytes | None) -> None:
        if self.is_lost:
            return
        self._arrived.append(data)
        self._deliver()

    def _deliver(self) -> None:
        while self._arrived and self._is_owned and not self._is_reading_paused and not self.is_lost:
            data = self._arrived.popleft()
            if data is None:
                self._lose("the other end closed it")
                self._tell_other("this end closed it")
            else:
                self.other._was_read(len(data))
                self.owner.data_received(data)

    def _was_read(self, size: int) -> None:
        self._bytes_on_way -= size
        if self._is_writing_paused and self._bytes_on_way <= self._write_bytes_max:
            self._is_writing_paused = False
            if not self.life.has_ended:
                self.life.post(self._go_on_writing)

    def _go_on_writing(self) -> None:
        if not self.is_lost:
            self.owner.resume_writing()

    # --- the end --------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Break the wire: each end may still get the beginning of what was on its way."""
        for end in (self, self.other):
            rest = b"".join(piece.data for piece in end._on_way if piece.data)
            end._drop()
            other = end.other
            if other.is_lost or other.life.has_ended:
                continue
            if rest:
                cut = self._network.chance.randrange(len(rest))
                other.life.post(other._arrive, rest[:cut])
            other.life.post(other._lose, "the connection was reset")

    def die(self, *, silently: bool) -> None:
        """End with the process; unless it is silently, the stream ends behind what was sent."""
        self.is_lost = True
        if silently or self.other.is_lost:
            return
        if self._on_way:
            self._on_way.append(_Piece(None))
            if self._network.is_open(*self.way):
                self._dispatch(self._on_way[-1], self._network.delay_ns(*self.way))
        else:
            self._tell_other("the other end has died")

    def _drop(self) -> None:
        for piece in self._on_way:
            if piece.timer is not None:
                piece.timer.cancel()
        self._on_way.clear()

    def _tell_other(self, problem: str) -> None:
        other = self.other
        if not other.is_lost and self._network.is_open(*self.way):
            delay_ns = self._network.delay_ns(*self.way)
            self._network.timeline.after(delay_ns, other.life.post, other._lose, problem)

    def _lose(self, problem: str) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        self._network.forget(self)
        if self._is_owned:
            self.owner.connection_lost(problem)
