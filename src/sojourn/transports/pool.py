"""One open connection per peer, made when it is first needed and made anew when it is gone.

Nothing runs in the background. Whoever needs a connection after it broke starts the next attempt;
attempts that fail are spaced by exponential back-off with jitter, and whoever asks in between is
told at once.
"""

import asyncio
import random
from dataclasses import dataclass
from typing import Final

from sojourn.core.base.errors import SojournError, Unreachable
from sojourn.runtime.transport import (
    Connection,
    Handler,
    NoticeHandler,
    Transport,
    ignore_notices,
    refuse_requests,
)

__all__ = ["ConnectionPool"]

BACKOFF_BASE_S: Final = 0.05
BACKOFF_MAX_S: Final = 5.0
_DOUBLINGS_MAX: Final = 10
"""The n-th failure is followed by half to all of base * 2^(n-1), at most this ("equal jitter")."""
STEADY_S: Final = 5.0
"""A connection that lived shorter than this counts as a failed attempt: a peer that accepts and
then hangs up must not be called in a tight loop."""
PEERS_MAX: Final = 4096
_CLOSING: Final = "this end is closing its connections"

_Place = tuple[str, int, bytes]


class ConnectionPool:
    """Connections of one transport, by host, port and key, all served by the same handlers."""

    def __init__(
        self,
        transport: Transport,
        *,
        on_request: Handler = refuse_requests,
        on_notice: NoticeHandler = ignore_notices,
        jitter: random.Random | None = None,
    ) -> None:
        """Connect through `transport`; `jitter` is the source of randomness for back-off."""
        self._transport = transport
        self._on_request = on_request
        self._on_notice = on_notice
        self._jitter = jitter or random.SystemRandom()
        self._peers: dict[_Place, _Peer] = {}
        self._is_closed = False

    async def connection(self, host: str, port: int, expected_key: bytes) -> Connection:
        """Return the open connection to this peer, making one if there is none.

        All who ask while an attempt is under way share it.

        Raises what `Transport.connect` raises, and `Unreachable` while the next attempt is not yet
        due.
        """
        place = (host, port, expected_key)
        peer = self._peers.get(place) or self._add(place)
        if peer.connection and not peer.connection.is_closed:
            return peer.connection
        if peer.attempt is None:
            self._check_due(host, port, peer)
            peer.attempt = asyncio.create_task(self._connect(place, peer))
            peer.attempt.add_done_callback(peer.end_attempt)
        return await self._shared(peer.attempt)

    async def close(self) -> None:
        """Close every connection gracefully, and make no more."""
        self._is_closed = True
        attempts = [peer.attempt for peer in self._peers.values() if peer.attempt]
        for attempt in attempts:
            attempt.cancel()
        if attempts:
            await asyncio.wait(attempts)
        connections = [peer.connection for peer in self._peers.values() if peer.connection]
        await asyncio.gather(*(connection.close() for connection in connections))

    def _add(self, place: _Place) -> "_Peer":
        if len(self._peers) >= PEERS_MAX:
            self._peers = {known: peer for known, peer in self._peers.items() if peer.is_in_use}
        if len(self._peers) >= PEERS_MAX:
            raise Unreachable(f"{PEERS_MAX} peers are connected, which is the limit")
        return self._peers.setdefault(place, _Peer())

    def _check_due(self, host: str, port: int, peer: "_Peer") -> None:
        if self._is_closed:
            raise Unreachable(_CLOSING)
        now = asyncio.get_running_loop().time()
        if peer.connection:
            peer.connection = None
            if now - peer.opened_at >= STEADY_S:
                peer.failures = 0
            else:
                self._back_off(peer, "the last connection broke at once", since=peer.opened_at)
        if now < peer.due_at:
            problem = f"{host}:{port} is tried again in {peer.due_at - now:.2f} s: {peer.problem}"
            raise Unreachable(problem)

    async def _shared(self, attempt: asyncio.Task[Connection]) -> Connection:
        try:
            return await asyncio.shield(attempt)
        except asyncio.CancelledError:
            asking = asyncio.current_task()
            if attempt.cancelled() and asking is not None and not asking.cancelling():
                # By `close`: the attempt was cancelled, not the one who asked for it.
                raise Unreachable(_CLOSING) from None
            raise

    async def _connect(self, place: _Place, peer: "_Peer") -> Connection:
        try:
            connection = await self._transport.connect(
                *place, on_request=self._on_request, on_notice=self._on_notice
            )
        except SojournError as error:
            self._back_off(peer, str(error), since=asyncio.get_running_loop().time())
            raise
        peer.connection = connection
        peer.opened_at = asyncio.get_running_loop().time()
        return connection

    def _back_off(self, peer: "_Peer", problem: str, *, since: float) -> None:
        delay_s = min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2 ** min(peer.failures, _DOUBLINGS_MAX))
        peer.failures += 1
        peer.problem = problem
        peer.due_at = since + delay_s * self._jitter.uniform(0.5, 1.0)


@dataclass(slots=True)
class _Peer:
    """What is known of one peer. Times are the event loop's, in seconds."""

    connection: Connection | None = None
    attempt: asyncio.Task[Connection] | None = None
    opened_at: float = 0.0
    failures: int = 0
    due_at: float = 0.0
    problem: str = ""

    def end_attempt(self, attempt: asyncio.Task[Connection]) -> None:
        """Make room for the next attempt."""
        self.attempt = None
        if not attempt.cancelled():
            # Looked at here, because the one who asked may be cancelled before it fails.
            attempt.exception()

    @property
    def is_in_use(self) -> bool:
        """Whether forgetting it would lose a connection, or an attempt at one."""
        return self.attempt is not None or (
            self.connection is not None and not self.connection.is_closed
        )
