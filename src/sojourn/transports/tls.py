"""Framed streams over mutual TLS 1.3, on plain asyncio: the default transport.

Both ends show a self-signed certificate of their identity key. The end that connects pins the key
that it expects; the end that listens takes any well-formed certificate, and the application judges
the key. TLS proves that the key is held, each time anew: sessions are not resumed.
"""

import asyncio
import errno
import os
from collections.abc import Callable
from typing import Final, cast

import structlog

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
from sojourn.transports.identity import Credentials
from sojourn.transports.served import Served
from sojourn.transports.tls_stream import TlsStream, tls_context

__all__ = ["TlsTransport"]

_log = structlog.get_logger(__name__)

_NO_PLACE: Final = (OSError, ValueError)
"""What comes of an address that is no place: names are as hostile as any bytes."""


class TlsTransport(Transport):
    """Connects and listens under one identity key."""

    def __init__(self, seed: bytes, spiffe: str, limits: WireLimits | None = None) -> None:
        """Use the Ed25519 key of `seed` (32 bytes) under the name `spiffe`.

        Raises `Misused` for a name that is not a SPIFFE one.
        """
        credentials = Credentials(seed, spiffe)
        self._identity = credentials.identity
        self._context = tls_context(credentials)
        self._limits = limits or WireLimits()

    @property
    def identity(self) -> PeerIdentity:
        """Who this end is to others."""
        return self._identity

    async def _listen(self, host: str, port: int, handlers: Handlers) -> Listener:
        def accept() -> TlsStream:
            return TlsStream(self._context, self._limits, handlers)

        listener = _TlsListener(accept, self._limits.connections_max)
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(listener.admit, host, port)
        except _NO_PLACE as error:
            raise _cannot_listen(host, port, error) from None
        listener.serve(server)
        _log.info("listening", host=host, port=listener.port, identity=str(self._identity))
        return listener

    async def _connect(
        self, host: str, port: int, expected_key: bytes, handlers: Handlers
    ) -> Connection:
        stream = TlsStream(self._context, self._limits, handlers, expected_key)
        try:
            connection = await self._open(stream, host, port)
        except BaseException:
            stream.abort()
            raise
        _log.info("connected", peer=str(connection.peer), host=host, port=port)
        return connection

    async def _open(self, stream: TlsStream, host: str, port: int) -> Connection:
        try:
            async with asyncio.timeout(self._limits.handshake_s):
                await asyncio.get_running_loop().create_connection(lambda: stream, host, port)
                return await stream.opened
        except TimeoutError:
            limit = f"{self._limits.handshake_s:g} s"
            raise Unreachable(f"no connection to {host}:{port} within {limit}") from None
        except _NO_PLACE as error:
            raise Unreachable(f"nobody answers at {host}:{port}: {_words(error)}") from None


class _TlsListener(Listener):
    """The server's socket, the streams that shake hands, and the connections that it serves."""

    def __init__(self, accept: Callable[[], TlsStream], connections_max: int) -> None:
        self._accept = accept
        self._connections_max = connections_max
        self._shaking_hands: set[TlsStream] = set()
        self._served = Served()
        self._server: asyncio.Server
        self._port: int

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    def serve(self, server: asyncio.Server) -> None:
        """Take charge of the socket."""
        self._server = server
        self._port = server.sockets[0].getsockname()[1]

    def admit(self) -> asyncio.Protocol:
        """Return what handles a connection just accepted: the handshake, or the door."""
        if len(self._shaking_hands) + len(self._served) >= self._connections_max:
            _log.warning("connection turned away", connections_max=self._connections_max)
            return _TurnedAway()
        stream = self._accept()
        self._shaking_hands.add(stream)
        stream.opened.add_done_callback(lambda opened: self._admitted(stream, opened))
        return stream

    async def close(self) -> None:
        """Stop accepting, then close every connection gracefully (`Listener.close`)."""
        self._server.close()
        for stream in self._shaking_hands:
            stream.abort()
        if self._shaking_hands:
            await asyncio.wait({stream.opened for stream in self._shaking_hands})
        await self._served.close()

    def _admitted(self, stream: TlsStream, opened: asyncio.Future[FramedConnection]) -> None:
        self._shaking_hands.discard(stream)
        if error := opened.exception():
            _log.warning("handshake failed", address=stream.address, error=str(error))
            return
        self._served.add(opened.result())
        _log.info("connection opened", peer=str(opened.result().peer), address=stream.address)


class _TurnedAway(asyncio.Protocol):
    """Ends a connection at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()


def _cannot_listen(host: str, port: int, error: Exception) -> Misused:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        remedy = "Stop the process that listens there, or choose another port"
        return Misused(f"port {port} on {host} is in use", remedy=remedy)
    remedy = "Choose an address of this machine, and a port that this user may open"
    return Misused(f"cannot listen at {host}:{port}: {_words(error)}", remedy=remedy)


def _words(error: Exception) -> str:
    """Return what the system calls the error, without asyncio's preface."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(error)
