"""Listeners that hold an anchor's real identity key, prove it in a real TLS handshake, and then talk nonsense.

They write bytes, not frames: what `liars` say in well-formed frames, these do to the stream itself.
"""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sojourn.anchor.folder import AnchorFolder
from sojourn.core.base.encoding import encode
from sojourn.core.protocol.messages import Applied
from sojourn.transports.frames import ERROR, NOTICE, REPLY, REQUEST, header
from sojourn.transports.identity import Credentials

__all__ = ["MANNERS", "impostor"]

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_BODY: Final = encode(Applied())


async def never_answers(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        pass


async def hangs_up(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    return


async def sends_random_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    chance = random.Random(0)
    while await reader.read(65_536):
        writer.write(chance.randbytes(1000))


async def sends_half_frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begins an answer to the first request and never ends it; or, by halves, hangs up in the middle."""
    await reader.read(65_536)
    writer.write(header(REPLY, 1, 1000) + bytes(500))
    if random.random() < 0.5:
        await never_answers(reader, writer)


async def announces_gigabytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        writer.write(b"\xff\xff\xff\xff\x01\x02\0\0\0\x01" + bytes(100_000))


async def speaks_a_later_version(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await reader.read(65_536)
    writer.write(header(REPLY, 1, len(_BODY)).replace(b"\x01\x02", b"\x02\x02", 1) + _BODY)
    await never_answers(reader, writer)


async def answers_what_nobody_asked(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Frames of every type under numbers that are not under way."""
    while await reader.read(65_536):
        for kind in (REPLY, ERROR, NOTICE, REQUEST):
            writer.write(header(kind, 0x7FFFFFFF, len(_BODY)) + _BODY)


async def calls_instead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Asks, instead of answering, and floods with notices."""
    correlation = 0
    while await reader.read(65_536):
        for _ in range(50):
            correlation += 1
            writer.write(header(REQUEST, correlation, len(_BODY)) + _BODY)
            writer.write(header(NOTICE, 0, len(_BODY)) + _BODY)


MANNERS: Final[dict[str, Talk]] = {
    talk.__name__: talk
    for talk in (
        never_answers,
        hangs_up,
        sends_random_bytes,
        sends_half_frames,
        announces_gigabytes,
        speaks_a_later_version,
        answers_what_nobody_asked,
        calls_instead,
    )
}


@asynccontextmanager
async def impostor(folder: Path, talk: Talk) -> AsyncIterator[list[int]]:
    """Listen in the place of the dead anchor of a folder; give a list that grows with each caller.

    At the end all connections break: whoever stands there next is called anew.
    """
    anchor = AnchorFolder(folder)
    callers: list[int] = []
    talking: set[asyncio.StreamWriter] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(1)
        talking.add(writer)
        try:
            await talk(reader, writer)
            await writer.drain()
        except (ConnectionError, ssl.SSLError):
            return
        finally:
            talking.discard(writer)
            writer.close()

    place = anchor.listen
    server = await asyncio.start_server(
        meet, place.address, place.port, ssl=_context(anchor, folder)
    )
    try:
        yield callers
    finally:
        server.close()
        for writer in talking:
            writer.transport.abort()


def _context(anchor: AnchorFolder, folder: Path) -> ssl.SSLContext:
    """Return the TLS context of whoever has stolen the anchor's identity key."""
    credentials = Credentials(anchor.identity().seed, "spiffe://test/anchor/0")
    stolen = folder / "stolen.pem"
    stolen.write_bytes(
        credentials.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + credentials.certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(stolen)
    return context
