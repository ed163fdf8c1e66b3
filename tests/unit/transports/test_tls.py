"""The TLS transport on real sockets, against peers that mean harm.

The standard library's `ssl` plays them: another TLS stack, driven by hand.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from structlog.testing import capture_logs

from sojourn.core.base.errors import Misused, Rejected, SojournError, Unreachable
from sojourn.core.base.keys import KeyPair
from sojourn.runtime.transport import Connection, Handler, Listener, WireLimits
from sojourn.transports.frames import ERROR, REPLY, REQUEST, Frame, FrameReader, Unfit, header
from sojourn.transports.tls import TlsTransport
from tests.unit.transports.certificates import certificate, ed25519_key, rsa_key, write_pem

HOST = "127.0.0.1"
SOON_S = 10.0
ANCHOR = KeyPair(b"a" * 32)
DESK = KeyPair(b"d" * 32)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(_connection: Connection, body: bytes) -> bytes:
    return body


def desk(limits: WireLimits | None = None) -> TlsTransport:
    return TlsTransport(DESK.seed, "spiffe://zone/host/1", limits)


@contextlib.asynccontextmanager
async def anchor(
    on_request: Handler = echo, limits: WireLimits | None = None
) -> AsyncIterator[Listener]:
    """Listen, and afterwards prove that whatever happened harmed nothing else."""
    unhandled: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: unhandled.append(context))
    transport = TlsTransport(ANCHOR.seed, "spiffe://zone/anchor/1", limits)
    async with asyncio.timeout(SOON_S):
        listener = await transport.listen(HOST, 0, on_request=on_request)
        witness = await desk().connect(HOST, listener.port, ANCHOR.public)
        assert await witness.call(b"before", timeout_s=SOON_S) == b"before"
        yield listener
        assert await witness.call(b"after", timeout_s=SOON_S) == b"after"
        await witness.close()
        await listener.close()
    gc.collect()  # A task that failed unseen is reported when it is collected.
    assert [] == unhandled


@pytest.fixture(scope="module")
def rsa_identity() -> rsa.RSAPrivateKey:
    return rsa_key()


def client_context(identity: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if identity is not None:
        context.load_cert_chain(identity)
    return context


@contextlib.asynccontextmanager
async def stranger(port: int, context: ssl.SSLContext | None) -> AsyncIterator[Streams]:
    """Connect as some other program would."""
    reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.fixture
def honest(tmp_path: Path) -> ssl.SSLContext:
    """What an honest peer with another TLS stack would use."""
    key = ed25519_key()
    return client_context(write_pem(tmp_path, key, certificate(key)))


def frame(kind: int, correlation: int, body: bytes) -> bytes:
    return header(kind, correlation, len(body)) + body


async def frames_until_end(reader: asyncio.StreamReader) -> list[Frame | Unfit]:
    frames = FrameReader(10**6)
    frames.feed(await read_to_end(reader))
    return list(iter(frames.next_frame, None))


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    """Return all that comes; a stream that is cut off ends there."""
    data = b""
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            data += piece
    return data


async def log_entry(logs: list[MutableMapping[str, Any]], event: str) -> dict[str, Any]:
    """Return the first log entry of an event, once there is one."""
    while True:
        for entry in logs:
            if entry["event"] == event:
                return dict(entry)
        await asyncio.sleep(0)


# --- who may connect ------------------------------------------------------------------------------


def test_another_tls_stack_is_served(honest: ssl.SSLContext) -> None:
    async def main() -> None:
        async with anchor() as listener, stranger(listener.port, honest) as (reader, writer):
            writer.write(frame(REQUEST, 7, b"hello"))
            assert frame(REPLY, 7, b"hello") == await reader.readexactly(15)

    asyncio.run(main())


def test_a_client_without_certificate_is_refused() -> None:
    served = asyncio.Event()

    async def serve(_connection: Connection, body: bytes) -> bytes:
        if body == b"stranger":
            served.set()
        return body

    async def main() -> None:
        async with anchor(serve) as listener:
            with capture_logs() as logs:
                async with stranger(listener.port, client_context()) as (reader, writer):
                    writer.write(frame(REQUEST, 1, b"stranger"))
                    assert await read_to_end(reader) == b""
                entry = await log_entry(logs, "handshake failed")
            assert "peer did not return a certificate" in entry["error"]
            assert not served.is_set()

    asyncio.run(main())


def test_a_client_with_an_rsa_certificate_is_refused(
    tmp_path: Path, rsa_identity: rsa.RSAPrivateKey
) -> None:
    identity = write_pem(tmp_path, rsa_identity, certificate(rsa_identity))

    async def main() -> None:
        async with anchor() as listener:
            with capture_logs() as logs:
                async with stranger(listener.port, client_context(identity)) as (reader, writer):
                    writer.write(frame(REQUEST, 1, b"stranger"))
                    assert await read_to_end(reader) == b""
                entry = await log_entry(logs, "handshake failed")
            assert "wrong-key-type" in entry["error"]

    asyncio.run(main())


def test_a_client_with_a_certificate_issued_by_another_is_refused(tmp_path: Path) -> None:
    other, key = ed25519_key(b"o" * 32), ed25519_key()
    issued = certificate(key, signer=other, issuer="other")
    identity = write_pem(tmp_path, key, issued, certificate(other, subject="other"))

    async def main() -> None:
        async with anchor() as listener:
            with capture_logs() as logs:
                async with stranger(listener.port, client_context(identity)) as (reader, _):
                    assert await read_to_end(reader) == b""
                entry = await log_entry(logs, "handshake failed")
            assert "shows a chain of certificates" in entry["error"]

    asyncio.run(main())


def test_a_client_of_an_older_tls_is_refused(tmp_path: Path) -> None:
    key = ed25519_key()
    context = client_context(write_pem(tmp_path, key, certificate(key)))
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    async def main() -> None:
        async with anchor() as listener:
            with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
                async with stranger(listener.port, context):
                    pass

    asyncio.run(main())


def test_a_session_is_never_resumed(honest: ssl.SSLContext) -> None:
    def visit(port: int, session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool]:
        plain = socket.create_connection((HOST, port), timeout=SOON_S)
        with honest.wrap_socket(plain, session=session) as secured:
            secured.sendall(frame(REQUEST, 1, b"x"))
            assert frame(REPLY, 1, b"x") == secured.recv(100)
            return secured.session, bool(secured.session_reused)

    async def main() -> None:
        async with anchor() as listener:
            session, _ = await asyncio.to_thread(visit, listener.port, None)
            _, is_resumed = await asyncio.to_thread(visit, listener.port, session)
            assert session is not None
            assert not is_resumed

    asyncio.run(main())


def test_a_client_that_says_nothing_is_hung_up_on() -> None:
    async def main() -> None:
        async with (
            anchor(limits=WireLimits(handshake_s=0.05)) as listener,
            stranger(listener.port, None) as (reader, _),
        ):
            await read_to_end(reader)

    asyncio.run(main())


def test_a_listener_that_closes_does_not_wait_for_handshakes() -> None:
    async def main() -> None:
        transport = TlsTransport(ANCHOR.seed, "spiffe://zone/anchor/1")
        listener = await transport.listen(HOST, 0, on_request=echo)
        async with stranger(listener.port, None) as (reader, writer):
            writer.write(b"\x16")
            await asyncio.sleep(0)
            async with asyncio.timeout(SOON_S / 10):
                await listener.close()
                await read_to_end(reader)

    asyncio.run(main())


# --- who answers ----------------------------------------------------------------------------------


def test_a_server_with_an_rsa_certificate_is_rejected(
    tmp_path: Path, rsa_identity: rsa.RSAPrivateKey
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(write_pem(tmp_path, rsa_identity, certificate(rsa_identity)))

    async def main() -> None:
        server = await asyncio.start_server(hang_up, HOST, 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Rejected) as seen:
            await desk().connect(HOST, port, ANCHOR.public)
        assert "wrong-key-type" == seen.value.reason
        server.close()
        await server.wait_closed()

    asyncio.run(main())


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(300)], ids=["end", "HTTP", "zeros"]
)
def test_a_server_that_does_not_speak_tls_is_unreachable(answer: bytes) -> None:
    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await hang_up(_reader, writer)

    async def main() -> None:
        server = await asyncio.start_server(speak, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable, match=f"{HOST}:{port}"):
            await desk().connect(HOST, port, ANCHOR.public)
        server.close()
        await server.wait_closed()

    asyncio.run(main())


def test_a_server_that_says_nothing_is_unreachable_in_time() -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await release.wait()
            await hang_up(reader, writer)

        server = await asyncio.start_server(wait, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable, match=r"within 0\.05 s"):
            await desk(WireLimits(handshake_s=0.05)).connect(HOST, port, ANCHOR.public)
        release.set()
        server.close()
        await server.wait_closed()

    asyncio.run(main())


def test_a_connect_that_is_cancelled_leaves_nothing_open() -> None:
    greeted, hung_up = asyncio.Event(), asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        greeted.set()
        await read_to_end(reader)
        await hang_up(reader, writer)
        hung_up.set()

    async def main() -> None:
        server = await asyncio.start_server(wait, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        patient = desk(WireLimits(handshake_s=60))
        async with asyncio.timeout(SOON_S):
            connecting = asyncio.create_task(patient.connect(HOST, port, ANCHOR.public))
            await greeted.wait()
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            await hung_up.wait()
        server.close()
        await server.wait_closed()

    asyncio.run(main())


async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("host", ["a" * 64, "nul\0", "a..b"], ids=["long", "nul", "empty label"])
def test_a_host_that_cannot_be(host: str) -> None:
    async def main() -> None:
        with pytest.raises(Unreachable, match="nobody answers"):
            await desk().connect(host, 1, ANCHOR.public)
        with pytest.raises(Misused, match="cannot listen"):
            await desk().listen(host, 1, on_request=echo)

    asyncio.run(main())


def test_an_address_of_another_machine_cannot_be_listened_at() -> None:
    async def main() -> None:
        with pytest.raises(Misused, match=r"cannot listen at 192\.0\.2\.1:0"):
            await desk().listen("192.0.2.1", 0, on_request=echo)

    asyncio.run(main())


# --- bytes that are damaged -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", bytes(500), b"\xff" * 70_000], ids=["HTTP", "0", "1"]
)
def test_garbage_before_the_handshake_ends_that_connection_alone(garbage: bytes) -> None:
    async def main() -> None:
        async with anchor() as listener, stranger(listener.port, None) as (reader, writer):
            writer.write(garbage)
            await read_to_end(reader)

    asyncio.run(main())


def test_garbage_in_place_of_frames_is_refused_by_name(honest: ssl.SSLContext) -> None:
    async def main() -> None:
        async with anchor() as listener, stranger(listener.port, honest) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            (refusal,) = await frames_until_end(reader)
            assert isinstance(refusal, Frame)
            assert (ERROR, 0) == refusal[:2]
            assert b"unknown-version" in refusal.body

    asyncio.run(main())


def test_an_oversized_frame_is_refused_and_the_rest_goes_on(honest: ssl.SSLContext) -> None:
    async def main() -> None:
        async with anchor() as listener, stranger(listener.port, honest) as (reader, writer):
            size = 5 * 1024 * 1024
            writer.write(header(REQUEST, 1, size))
            refusal = await reader.readexactly(10)
            assert (ERROR, 1) == (refusal[5], int.from_bytes(refusal[6:10], "big"))
            assert b"too-large" in await reader.readexactly(refusal[3] + refusal[2] * 256 - 6)
            writer.write(bytes(size) + frame(REQUEST, 2, b"next"))
            assert frame(REPLY, 2, b"next") == await reader.readexactly(14)

    asyncio.run(main())


def test_bytes_that_are_no_tls_after_the_handshake_fail_what_is_under_way() -> None:
    asked = asyncio.Event()

    async def hold(connection: Connection, body: bytes) -> bytes:
        if body == b"hold":
            asked.set()
            await connection.wait_closed()
        return body

    async def main() -> None:
        async with anchor(hold) as listener, Relay(listener.port) as relay:
            connection = await desk().connect(HOST, relay.port, ANCHOR.public)
            call = asyncio.create_task(connection.call(b"hold", timeout_s=SOON_S))
            await asked.wait()
            relay.to_client.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            with pytest.raises(Unreachable, match="TLS failed"):
                await call
            await connection.close()

    asyncio.run(main())


@pytest.mark.parametrize("direction", ["to the server", "to the client"])
def test_a_flipped_bit_anywhere_breaks_the_connection_and_nothing_else(direction: str) -> None:
    """From the first byte of the handshake to the last of a call; never a wrong answer."""

    async def main() -> None:
        async with anchor() as listener:
            outcomes: list[str] = []
            for position in range(0, 10_000, 31):
                flip = (direction, position)
                async with Relay(listener.port, flip) as relay:
                    outcomes.append(await visit(relay.port))
                if not relay.has_flipped:
                    break
            *flipped, untouched = outcomes
            assert {"no handshake", "no answer"} == set(flipped)
            assert untouched == "answered"

    async def visit(port: int) -> str:
        limits = WireLimits(handshake_s=0.3, close_s=0.1)
        try:
            connection = await desk(limits).connect(HOST, port, ANCHOR.public)
        except SojournError:
            return "no handshake"
        try:
            for _ in range(10):
                assert await connection.call(b"x" * 100, timeout_s=0.3) == b"x" * 100
        except Unreachable:
            return "no answer"
        finally:
            await connection.close()
        return "answered"

    asyncio.run(main())


class Relay:
    """Carries bytes between a client and the server, and may flip one bit of them."""

    def __init__(self, server_port: int, flip: tuple[str, int] = ("", 0)) -> None:
        self._server_port = server_port
        self._direction, self._position = flip
        self.has_flipped = False
        self.to_client: asyncio.StreamWriter

    async def __aenter__(self) -> "Relay":
        self._ends: list[asyncio.StreamWriter] = []
        self._carriers: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._carry, HOST, 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for end in self._ends:
            end.transport.abort()
        await asyncio.gather(*self._carriers)
        await self._server.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carrier = asyncio.current_task()
        assert carrier is not None
        self._carriers.add(carrier)
        self.to_client = writer
        far_reader, far_writer = await asyncio.open_connection(HOST, self._server_port)
        self._ends += [writer, far_writer]
        await asyncio.gather(
            self._copy(reader, far_writer, "to the server"),
            self._copy(far_reader, writer, "to the client"),
        )

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str
    ) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while piece := bytearray(await reader.read(65536)):
                at = self._position - carried
                if direction == self._direction and 0 <= at < len(piece):
                    piece[at] ^= 0x10
                    self.has_flipped = True
                carried += len(piece)
                writer.write(piece)
        writer.close()


# --- peers that stop ------------------------------------------------------------------------------


def test_a_peer_that_reads_nothing_is_held_back_and_cut_off(honest: ssl.SSLContext) -> None:
    served = 0

    async def serve(_connection: Connection, body: bytes) -> bytes:
        nonlocal served
        served += 1
        return body if body else bytes(1024 * 1024)

    async def main() -> None:
        limits = WireLimits(requests_max=4, stall_s=0.2, write_bytes_max=64 * 1024)
        async with anchor(serve, limits) as listener:
            with capture_logs() as logs:
                async with stranger(listener.port, honest) as (_, writer):
                    # Asks for 400 MB, and asyncio's reader takes no more than 128 KiB of it.
                    writer.write(b"".join(frame(REQUEST, n, b"") for n in range(1, 401)))
                    entry = await log_entry(logs, "connection closed")
            assert "read too little for 0.2 s" in entry["why"]
            assert served < 50

    asyncio.run(main())


def test_a_reply_to_one_who_hung_up_is_dropped(honest: ssl.SSLContext) -> None:
    """The request and the end of the stream arrive at once, the reply comes after both."""

    async def grow(_connection: Connection, body: bytes) -> bytes:
        return body if body else bytes(100_000)

    async def main() -> None:
        async with anchor(grow) as listener, stranger(listener.port, None) as (reader, writer):
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = honest.wrap_bio(incoming, outgoing)
            is_shaking_hands = True
            while is_shaking_hands:
                try:
                    tls.do_handshake()
                    is_shaking_hands = False
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(65536))
            tls.write(frame(REQUEST, 1, b""))
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.unwrap()
            writer.write(outgoing.read())
            await read_to_end(reader)

    asyncio.run(main())


SERVER = """
import asyncio
from sojourn.transports.tls import TlsTransport

async def serve(connection, body):
    if body == b"hang":
        connection.notify(b"hanging")
        await asyncio.Event().wait()
    return body

async def main():
    transport = TlsTransport(b"a" * 32, "spiffe://zone/anchor/1")
    listener = await transport.listen("127.0.0.1", 0, on_request=serve)
    print("port", listener.port, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_calls_to_a_process_that_is_killed_are_unreachable_at_once() -> None:
    hanging = 0
    all_hang = asyncio.Event()

    async def count(_connection: Connection, _body: bytes) -> None:
        nonlocal hanging
        hanging += 1
        if hanging == 20:
            all_hang.set()

    async def main() -> None:
        async with asyncio.timeout(SOON_S), process(SERVER) as (server, port):
            connection = await desk().connect(HOST, port, ANCHOR.public, on_notice=count)
            assert await connection.call(b"alive", timeout_s=SOON_S) == b"alive"
            calls = [asyncio.create_task(connection.call(b"hang", timeout_s=60)) for _ in range(20)]
            await all_hang.wait()
            os.kill(server.pid, signal.SIGKILL)
            for error in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(error, Unreachable)
            await connection.wait_closed()

    asyncio.run(main())


@contextlib.asynccontextmanager
async def process(source: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Run a server in a process of its own; yield it and the port it says it has."""
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        source,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert running.stdout is not None
    try:
        port = 0
        while not port:
            words = (await running.stdout.readline()).split()
            port = int(words[1]) if words[:1] == [b"port"] else 0
        yield running, port
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.kill()
        await running.communicate()
