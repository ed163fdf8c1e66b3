"""One TLS 1.3 stream: OpenSSL between a socket's bytes and a connection's.

Python's `ssl` can ask for a client's certificate only together with authorities to verify it
against, and has no hook to take an unknown self-signed one. So OpenSSL is driven through pyOpenSSL,
with memory BIOs inside an `asyncio.Protocol`. Its verify hook replaces the verdict on the
certificate's *path* alone; that the peer holds the certificate's key, the handshake goes on to
prove (RFC 8446 §4.4.3).
"""

import asyncio
import contextlib
import socket
from typing import Final, cast

from OpenSSL import SSL, crypto

from sojourn.core.base.errors import Rejected, SojournError, Unreachable
from sojourn.runtime.transport import Handlers, PeerIdentity, WireLimits
from sojourn.transports.connection import FramedConnection
from sojourn.transports.identity import Credentials, check_certificate, wrong_key

__all__ = ["TlsStream", "tls_context"]

_RECORD_BYTES: Final = 16 * 1024
"""The plaintext of one record at most (RFC 8446 §5.1), and so what one read yields."""
_RECORD_OVERHEAD_BYTES: Final = 64
"""More than a record's header, content type and tag."""
_KEEPALIVE: Final = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""A silent path is found dead in about half a minute, seconds and counts."""
_UNACKNOWLEDGED_MS_MAX: Final = 20_000
"""Sent bytes that the other machine does not acknowledge for so long end the stream (RFC 5482)."""


def tls_context(credentials: Credentials) -> SSL.Context:
    """Return the settings of both ends: TLS 1.3 alone, certificates from both, no resumption."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_max_proto_version(SSL.TLS1_3_VERSION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET)
    context.use_certificate(credentials.certificate)
    context.use_privatekey(credentials.key)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _judge)
    return context


def _judge(tls: SSL.Connection, shown: crypto.X509, _code: int, depth: int, _ok: int) -> bool:
    """Take OpenSSL's question about a certificate to the stream it was shown on.

    OpenSSL asks once for each thing it dislikes about the path and once at the end; the answer
    rests on none of them. What is raised here fails the handshake and comes out of `do_handshake`.
    """
    stream: TlsStream = tls.get_app_data()
    stream.judge_certificate(crypto.dump_certificate(crypto.FILETYPE_ASN1, shown), depth)
    return True


class TlsStream(asyncio.Protocol):
    """Shakes hands, then is the `ByteStream` of a `FramedConnection`."""

    def __init__(
        self,
        context: SSL.Context,
        limits: WireLimits,
        handlers: Handlers,
        expected_key: bytes | None = None,
    ) -> None:
        """Connect, if a key is expected of the other end; else accept."""
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._handlers = handlers
        self._expected_key = expected_key
        self._tls = SSL.Connection(context)
        self._tls.set_app_data(self)
        if expected_key is None:
            self._tls.set_accept_state()
        else:
            self._tls.set_connect_state()
        self._peer: PeerIdentity | None = None
        self._connection: FramedConnection | None = None
        self._transport: asyncio.Transport | None = None
        self._is_closing = False
        self._ended_because = ""
        self.address = ""
        self.opened: asyncio.Future[FramedConnection] = self._loop.create_future()
        """The connection, once both ends are proved; or why there is none."""

    @property
    def _socket(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    # --- events of the socket ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        # uvloop's transports have the methods of asyncio's without being of their class.
        self._transport = transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(high=self._limits.write_bytes_max)
        self.address = _address(transport.get_extra_info("peername"))
        _watch_path(transport.get_extra_info("socket"))
        self._timer = self._loop.call_later(self._limits.handshake_s, self._time_out)
        self._shake_hands()

    def data_received(self, data: bytes) -> None:
        """Decrypt what arrived and hand it on."""
        self._tls.bio_write(data)
        if self._connection is None:
            self._shake_hands()
        if self._connection is not None:
            self._read(self._connection)

    def pause_writing(self) -> None:
        """Pass on that the socket takes no more."""
        if self._connection is not None:
            self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the socket takes bytes again."""
        if self._connection is not None:
            self._connection.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the socket is gone."""
        problem = self._ended_because or (f"{exc}" if exc else "the other end broke it off")
        self._timer.cancel()
        self._tls.set_app_data(None)
        if self._connection is not None:
            self._connection.connection_lost(problem)
        else:
            self._fail(Unreachable(f"{self.address} ended the handshake: {problem}"))

    # --- the byte stream of the connection --------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Encrypt and send. Drops what comes after the stream's end."""
        if self._is_closing:
            return
        self._tls.sendall(data)
        records = len(data) // _RECORD_BYTES + 1
        self._flush(len(data) + records * _RECORD_OVERHEAD_BYTES)

    def pause_reading(self) -> None:
        """Deliver nothing more for now."""
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        """Deliver again."""
        self._socket.resume_reading()

    def close(self) -> None:
        """Say so to the other end, and close the socket when all is sent."""
        self._is_closing = True
        with contextlib.suppress(SSL.Error):
            self._tls.shutdown()
        self._flush()
        self._socket.close()

    def abort(self) -> None:
        """Close the socket now."""
        self._is_closing = True
        if self._transport is not None:
            self._transport.abort()

    # --- the handshake ----------------------------------------------------------------------------

    def judge_certificate(self, der: bytes, depth: int) -> None:
        """Set who the peer is. Raises `Rejected` for a certificate or a key that will not do."""
        if depth != 0:
            problem = "the peer shows a chain of certificates; one, self-signed, is allowed"
            raise Rejected(problem, reason="bad-certificate", where="certificate")
        peer = check_certificate(der)
        if self._expected_key is not None and peer.public_key != self._expected_key:
            raise wrong_key(self.address, expected=self._expected_key, seen=peer.public_key)
        self._peer = peer

    def _shake_hands(self) -> None:
        """Go on with the handshake as far as what arrived allows."""
        if self.opened.done():
            return
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self._flush()
        except Rejected as error:
            self._give_up(error)
        except SSL.Error as error:
            self._give_up(_no_handshake(self.address, error))
        else:
            self._flush()
            self._open()

    def _open(self) -> None:
        # Set by the verify hook: resumption, which would go round it, is off.
        assert self._peer is not None
        self._timer.cancel()
        self._connection = FramedConnection(self, self._peer, self._limits, self._handlers)
        self.opened.set_result(self._connection)

    def _time_out(self) -> None:
        problem = f"{self.address} did not finish the handshake in {self._limits.handshake_s:g} s"
        self._give_up(Unreachable(problem))

    def _give_up(self, error: SojournError) -> None:
        """Fail the handshake, with its alert to the other end."""
        self._fail(error)
        self._flush()
        self._socket.close()

    def _fail(self, error: SojournError) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)
            # Nobody may look any more: whoever connects can be cancelled.
            self.opened.exception()

    # --- records ----------------------------------------------------------------------------------

    def _read(self, connection: FramedConnection) -> None:
        """Hand on what can be decrypted, then end the stream if the other end did, or broke it."""
        records: list[bytes] = []
        try:
            while True:
                records.append(self._tls.recv(_RECORD_BYTES))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self._ended_because = "the other end closed it"
        except SSL.Error as error:
            self._ended_because = f"TLS failed: {_reason(error)}"
        if records:
            connection.data_received(b"".join(records))
        if self._ended_because:
            self._flush()
            self.close()

    def _flush(self, size: int = _RECORD_BYTES) -> None:
        """Send the ciphertext that OpenSSL has ready, about `size` bytes of it."""
        with contextlib.suppress(SSL.WantReadError):
            while True:
                ciphertext = self._tls.bio_read(size)
                self._socket.write(ciphertext)
                if len(ciphertext) < size:
                    return


def _address(name: tuple[str, int] | None) -> str:
    """Return where a peer is, for people; none if it was gone before we could ask."""
    return f"{name[0]}:{name[1]}" if name else "an address unknown"


def _watch_path(connected: socket.socket) -> None:
    """Let the kernel find out when the other machine is gone, on platforms that can."""
    options = {**_KEEPALIVE, "TCP_USER_TIMEOUT": _UNACKNOWLEDGED_MS_MAX}
    with contextlib.suppress(OSError):  # It may be gone already; whoever reads next is told.
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options.items():
            if (option := getattr(socket, name, None)) is not None:
                connected.setsockopt(socket.IPPROTO_TCP, option, value)


def _no_handshake(address: str, error: SSL.Error) -> Unreachable:
    return Unreachable(f"{address} and this end found no TLS 1.3 connection: {_reason(error)}")


def _reason(error: SSL.Error) -> str:
    """Return OpenSSL's own words: the last part of each entry of its error queue."""
    match error.args:
        case ([*entries],) if entries:
            return "; ".join(str(entry[-1]) for entry in entries)
        case _:
            return " ".join(str(part) for part in error.args) or type(error).__name__
