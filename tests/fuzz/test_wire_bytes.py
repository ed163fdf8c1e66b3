"""Byte-level: garbage before the handshake, in it and after it, frames cut and changed anywhere, in any pieces.

One anchor takes all of it; after every burst it must answer an honest client, and at the end its store be sound.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from sojourn.core.base.encoding import encode
from sojourn.core.protocol.exchange import AskStatus, AskWork
from sojourn.transports import frames, tls_stream
from sojourn.transports.frames import ERROR, NOTICE, REPLY, REQUEST, header
from sojourn.transports.identity import Credentials
from tests import samples
from tests.fuzz.found_certificates import NAME_OF_A_WRONG_TYPE, NAME_THAT_IS_NO_ASCII
from tests.fuzz.target import Finding
from tests.fuzz.targets import by_name
from tests.fuzz.wire import Wire

pytestmark = pytest.mark.usefixtures("hushed")

QUICK: Final = settings(max_examples=60, suppress_health_check=list(HealthCheck))
SOAK: Final = settings(max_examples=5_000, suppress_health_check=list(HealthCheck))
CANARY: Final = settings(QUICK, max_examples=2_000, database=None, phases=[Phase.generate])
BODIES: Final = [
    encode(AskStatus()),
    encode(AskWork(host=samples.key("stranger").public)),
    *by_name["request"].seeds[:20],
]


def client_hello() -> bytes:
    """Return how a client begins: what a burst before the handshake is made from."""
    credentials = Credentials(samples.key("stranger").seed, "spiffe://test/stranger")
    tls = SSL.Connection(tls_stream.tls_context(credentials))
    tls.set_connect_state()
    with contextlib.suppress(SSL.WantReadError):
        tls.do_handshake()
    return tls.bio_read(1 << 16)


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Return bytes that are cut, doubled, or changed in some places; now and then left as they are."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(
            st.integers(0, max(0, min(len(data) - 1, 40)) if draw(st.booleans()) else len(data))
        )
        change = draw(st.sampled_from(["set", "cut", "insert", "double"]))
        if change == "set":
            data[at : at + 1] = bytes([draw(st.sampled_from([0, 1, 5, 6, 0x7F, 0x80, 0xFF]))])
        elif change == "cut":
            del data[at : at + draw(st.integers(1, 8))]
        elif change == "insert":
            data[at:at] = draw(st.binary(max_size=8))
        else:
            data += data[at:]
    return bytes(data)


LENGTHS: Final = st.sampled_from([0, 1, 5, 6, 7, 255, 256, 2**16, 4 << 20, 2**31, 2**32 - 1])
"""What a header may say of how long its frame is."""


@st.composite
def framed(draw: st.DrawFn) -> bytes:
    """Return some frames, one after the other, with bodies that are requests or are not."""
    stream = b""
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from([REQUEST, REQUEST, REPLY, ERROR, NOTICE, 0, 9, 255]))
        body = draw(st.one_of(st.sampled_from(BODIES), st.binary(max_size=64)))
        head = bytearray(header(kind, draw(st.integers(0, 2**32 - 1)), len(body)))
        if draw(st.integers(0, 3)) == 0:
            head[:4] = draw(LENGTHS).to_bytes(4, "big")
        stream += bytes(head) + body
    return stream


@st.composite
def pieces(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> list[bytes]:
    """Return bytes in pieces, as a network might bring them."""
    data = draw(whole)
    size = draw(st.sampled_from([1, 3, 7, 64, 1 << 16])) if len(data) < 512 else 1 << 16
    return [data[at : at + size] for at in range(0, len(data), size)]


BEFORE: Final = pieces(st.one_of(damaged(st.just(client_hello())), st.binary(max_size=200)))
AFTER: Final = pieces(damaged(framed()))


class Bursts:
    """One anchor, and what it is sent; whatever breaks it raises `Finding`."""

    def __init__(self, folder: Path) -> None:
        self.wire = Wire(folder)
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self.wire.open())
        self.sent = 0

    def close(self) -> None:
        """Stop the anchor and look at its store."""
        self.loop.run_until_complete(self.wire.close())
        self.loop.close()

    def send(self, before: list[bytes] | None, after: list[bytes]) -> None:
        """Send a burst on a plain socket, or behind a handshake; then somebody honest asks."""
        self.sent += 1
        self.loop.run_until_complete(self._send(before, after))

    async def _send(self, before: list[bytes] | None, after: list[bytes]) -> None:
        if before is not None:
            await self._plain(before)
        else:
            connection = await self.wire.connect()
            for piece in after:
                connection._stream.write(piece)
                await asyncio.sleep(0)
            connection._stream.close()
            await connection.wait_closed()
        await self.wire.check()

    async def _plain(self, sent: list[bytes]) -> None:
        """Send, say that nothing follows, and read to the end: the anchor hangs up, or answers with an alert."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.wire.port)
        with contextlib.suppress(OSError):
            for piece in sent:
                writer.write(piece)
                await asyncio.sleep(0)
            writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
            await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.fixture
def bursts(tmp_path: Path) -> Iterator[Bursts]:
    made = Bursts(tmp_path / "store")
    yield made
    made.close()


def tried(bursts: Bursts, profile: settings) -> None:
    """Send many bursts of both kinds."""

    @profile
    @given(st.booleans(), BEFORE, AFTER)
    def search(is_plain: bool, before: list[bytes], after: list[bytes]) -> None:
        bursts.send(before if is_plain else None, after)

    search()


def test_an_anchor_survives_garbage_before_and_after_the_handshake(bursts: Bursts) -> None:
    tried(bursts, QUICK)
    print(f"{bursts.sent} bursts, of which {bursts.wire.requests} requests came")
    assert bursts.sent >= 50 and bursts.wire.requests > bursts.sent  # each check is one


@pytest.mark.parametrize("der", [NAME_OF_A_WRONG_TYPE, NAME_THAT_IS_NO_ASCII])
def test_a_certificate_that_was_found_ends_its_own_handshake_alone(
    bursts: Bursts, der: bytes
) -> None:
    """It is read while hands are shaken: before anybody knows who has come."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate(x509.load_der_x509_certificate(der))
    context.use_privatekey(Ed25519PrivateKey.from_private_bytes(samples.key("someone").seed))
    tls = SSL.Connection(context, socket.socket())

    def shake() -> None:
        with contextlib.closing(tls), contextlib.suppress(SSL.Error):
            tls.connect(("127.0.0.1", bursts.wire.port))
            tls.do_handshake()
            tls.recv(1)

    async def run() -> None:
        await asyncio.to_thread(shake)
        await bursts.wire.check()

    bursts.loop.run_until_complete(run())


@pytest.mark.soak
def test_an_anchor_survives_garbage_at_length(bursts: Bursts) -> None:
    tried(bursts, SOAK)
    print(f"{bursts.sent} bursts, of which {bursts.wire.requests} requests came")


def test_a_planted_bug_of_the_frames_is_found(
    bursts: Bursts, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = frames._lost

    def careless(version: int, length: int) -> Any:
        """The end of a frame that is shorter than its header is looked up behind its beginning."""
        if length < 6 and version == 1:
            raise IndexError(length)
        return lost(version, length)

    monkeypatch.setattr(frames, "_lost", careless)
    with pytest.raises((Finding, BaseExceptionGroup), match="went astray"):
        tried(bursts, CANARY)
    print(f"found within {bursts.sent} bursts")


def test_a_planted_bug_of_the_handshake_is_found(
    bursts: Bursts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(_address: str, error: SSL.Error) -> Any:
        """OpenSSL's error queue is taken for one that has an entry."""
        raise KeyError(str(error))

    monkeypatch.setattr(tls_stream, "_no_handshake", careless)
    with pytest.raises((Finding, BaseExceptionGroup), match="went astray"):
        tried(bursts, CANARY)
    print(f"found within {bursts.sent} bursts")
