"""The TLS transport on real sockets, against peers that mean harm. `ssl` plays them: another stack."""

import asyncio
import contextlib
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
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
    """Listen, and afterwards prove that whatever happened harmed no other connection."""
    transport = TlsTransport(ANCHOR.seed, "spiffe://zone/anchor/1", limits)
    async with asyncio.timeout(SOON_S):
        listener = await transport.listen(HOST, 0, on_request=on_request)
        witness = await desk().connect(HOST, listener.port, ANCHOR.public)
        assert await witness.call(b"before", timeout_s=SOON_S) == b"before"
        yield listener
        assert await witness.call(b"after", timeout_s=SOON_S) == b"after"
        await witness.close()
        await listener.close()


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
    authority = ed25519_key(b"c" * 32)
    key = ed25519_key()
    issued = certificate(key, signer=authority, issuer="authority")
    identity = write_pem(tmp_path, key, issued, certificate(authority, is_authority=True))

    async def main() -> None:
        async with anchor() as listener:
            with capture_logs() as logs:
                async with stranger(listener.port, client_context(identity)) as (reader, _):
                    assert await read_to_end(reader) == b""
                entry = await log_entry(logs, "handshake failed")
            assert "bad-certificate" in entry["error"]

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
    async def main() -> None:
        session: ssl.SSLSession | None = None

        def visit(port: int) -> bool:
            nonlocal session
            with contextlib.closing(ssl.socket(), ) if False else contextlib.ExitStack():
                return False

        async with anchor() as listener:
            visit(listener.port)

    asyncio.run(main())
