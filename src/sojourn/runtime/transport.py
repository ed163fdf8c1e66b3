"""The port to other processes: connections that carry requests, replies and notices both ways.

An adapter authenticates both ends by their identity keys before a byte reaches a handler, keeps to
`WireLimits`, and treats every byte as hostile. What it does not do is judge: it says *who* the
other end is (`Connection.peer`), and the code that handles a request says what that peer may ask.

A request is delivered at most once and its answer is the reply, or an error of the same class as
the handler raised (`Rejected`, `Denied`, `Refused`, `Misused`, `Failed`); whatever keeps an answer
from coming is `Unreachable`, and says nothing about whether the request was performed. Messages of
the protocol are made to be repeated (protocol §5), so callers repeat them.

Every adapter passes `tests/conformance/transport.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from sojourn.core.base.errors import Misused, Refused, Unreachable
from sojourn.core.base.keys import is_acceptable_key, key_text
from sojourn.core.base.limits import MESSAGE_BYTES_MAX

__all__ = [
    "Connection",
    "Handler",
    "Handlers",
    "Listener",
    "NoticeHandler",
    "PeerIdentity",
    "Transport",
    "WireLimits",
    "ignore_notices",
    "refuse_requests",
]

PORT_MAX: Final = 65_535


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """Who the other end proved to be: the holder of a key, under the name it gave itself.

    Only `public_key` (Ed25519, 32 bytes) is proved. `spiffe` is the holder's own claim, for
    instance `spiffe://<zone>/anchor/2`: it counts for what a manifest says about that key, and for
    no more.
    """

    public_key: bytes
    spiffe: str

    def __str__(self) -> str:
        return f"{self.spiffe} (key {key_text(self.public_key)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class WireLimits:
    """What one end of a connection spends on the other. Times are seconds."""

    body_bytes_max: int = MESSAGE_BYTES_MAX
    """A frame's body. Checked on the frame's header, before the body is kept."""
    requests_max: int = 256
    """Requests under way per connection and direction: a caller waits its turn, and a receiver of
    more stops reading. HTTP/2 advises servers to allow no fewer than 100 (RFC 9113 §6.5.2)."""
    bad_frames_max: int = 16
    """Ill-formed frames that one connection survives."""
    write_bytes_max: int = 1024 * 1024
    """Bytes that wait to be written before senders wait too."""
    connections_max: int = 1024
    """Connections that a listener holds open, those still shaking hands among them."""
    handshake_s: float = 5.0
    """From the start of connecting to both ends proved."""
    idle_s: float = 120.0
    """Without a frame and with nothing under way, a connection is closed."""
    stall_s: float = 30.0
    """A peer that lets us write nothing for so long is cut off."""
    close_s: float = 5.0
    """How long a graceful close waits for what is under way."""


class Connection(ABC):
    """One authenticated connection. Both ends may call and notify, many calls at a time.

    A handler may call back on the connection it serves. Handlers still running when the connection
    breaks run on to their end, so that none is torn between its write and its answer; `close` waits
    for them.
    """

    @property
    @abstractmethod
    def peer(self) -> PeerIdentity:
        """Who the other end proved to be."""

    @property
    @abstractmethod
    def is_closed(self) -> bool:
        """Whether calls can no longer be made, because it broke or this end began to close it."""

    @abstractmethod
    async def call(self, body: bytes, *, timeout_s: float) -> bytes:
        """Send a request and return its reply.

        `timeout_s` covers everything: waiting for a turn, for room to write, and for the reply.
        Cancelling a call forgets its reply; it does not stop the other end.

        Raises `Unreachable` when there is no answer in time or the connection breaks, whatever the
        other end's handler raised, and `Misused` for a body over the limit.
        """

    @abstractmethod
    def notify(self, body: bytes) -> None:
        """Send a notice: one way, at most once, unanswered.

        Raises `Unreachable` when the connection is closed or its write buffer is full (a notice
        does not wait), and `Misused` for a body over the limit.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close gracefully: nothing new begins, what is under way both ways has `close_s` to end.

        After that, calls still open fail with `Unreachable`, and handlers still running are
        cancelled.
        """

    @abstractmethod
    async def wait_closed(self) -> None:
        """Return once the connection is gone, whoever ended it, and no handler of it runs."""


Handler = Callable[[Connection, bytes], Awaitable[bytes]]
"""Answers one request. A `SojournError` it raises is the answer, and reaches the caller as its
class."""

NoticeHandler = Callable[[Connection, bytes], Awaitable[None]]
"""Takes one notice. Should hand longer work on: notices under way count towards `requests_max`."""


async def refuse_requests(_connection: Connection, _body: bytes) -> bytes:
    """Refuse a request: the handler of an end that only calls."""
    raise Refused("this end answers no requests")


async def ignore_notices(_connection: Connection, _body: bytes) -> None:
    """Drop a notice: the handler of an end that expects none."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """What serves one connection."""

    on_request: Handler = refuse_requests
    on_notice: NoticeHandler = ignore_notices


class Listener(ABC):
    """A place where others connect."""

    @property
    @abstractmethod
    def port(self) -> int:
        """The port it listens on: the one that was found free, if 0 was asked for."""

    @abstractmethod
    async def close(self) -> None:
        """Stop accepting, then close every connection gracefully (`Connection.close`)."""


class Transport(ABC):
    """Makes connections under one identity, each to the holder of a key that is given."""

    async def connect(
        self,
        host: str,
        port: int,
        expected_key: bytes,
        *,
        on_request: Handler = refuse_requests,
        on_notice: NoticeHandler = ignore_notices,
    ) -> Connection:
        """Connect to whoever holds `expected_key` (Ed25519, 32 bytes) at `host` and `port`.

        Raises `Unreachable` when nobody answers there in time, `Rejected` ("wrong-key") when the
        one who answers proves another key, `Rejected` when it proves none, and `Misused` for a key
        that no one can hold.
        """
        if not is_acceptable_key(expected_key):
            problem = f"{expected_key.hex()[:80]!r} is not an Ed25519 public key"
            raise Misused(problem, remedy="Take the key from the zone's manifest")
        if not 1 <= port <= PORT_MAX:
            # From a manifest, so not the caller's fault: a place where nobody can be.
            raise Unreachable(f"nobody answers at {host}:{port}: ports are 1 to {PORT_MAX}")
        handlers = Handlers(on_request, on_notice)
        connection = await self._connect(host, port, expected_key, handlers)
        assert connection.peer.public_key == expected_key
        return connection

    async def listen(
        self,
        host: str,
        port: int,
        *,
        on_request: Handler,
        on_notice: NoticeHandler = ignore_notices,
    ) -> Listener:
        """Listen at `host` and `port` (0: any free one); whoever proves a key is served.

        Raises `Misused` when that is not possible there, for instance because the port is in use.
        """
        if not 0 <= port <= PORT_MAX:
            problem = f"cannot listen at {host}:{port}"
            raise Misused(problem, remedy=f"Choose a port from 1 to {PORT_MAX}, or 0 for any")
        return await self._listen(host, port, Handlers(on_request, on_notice))

    @abstractmethod
    async def _connect(
        self, host: str, port: int, expected_key: bytes, handlers: Handlers
    ) -> Connection: ...

    @abstractmethod
    async def _listen(self, host: str, port: int, handlers: Handlers) -> Listener: ...
