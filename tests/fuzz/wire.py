"""One real anchor behind real TLS, on a real store; its peers only say what they saw of its votes.

The test holds the keys of everybody else: of hosts, and of the three other anchors, whose votes it signs as it
likes. That is beyond the fault bound, and no agent is safe there. What must hold all the same is what concerns
this anchor alone: it stays up, answers whoever is honest, never votes twice differently, and its store is sound.
"""

import asyncio
import secrets
from pathlib import Path
from typing import Any, Final

from sojourn.anchor.server import Anchor
from sojourn.anchor.shelf import Shelf
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Failed, Rejected, SojournError
from sojourn.core.base.keys import KeyPair
from sojourn.core.protocol import exchange
from sojourn.core.protocol.anchor import declined
from sojourn.core.protocol.exchange import (
    AskStatus,
    AskWatermark,
    Watermark,
    decode_reply,
    decode_request,
)
from sojourn.core.protocol.messages import RoundVoted, Voted
from sojourn.core.quorum.votes import Ballot, check_vote
from sojourn.runtime.processes import clock
from sojourn.runtime.transport import Connection, Listener, PeerIdentity
from sojourn.stores.sqlite import SqliteStore
from sojourn.transports.connection import FramedConnection
from sojourn.transports.loopback import LoopbackNetwork, LoopbackTransport
from sojourn.transports.pool import ConnectionPool
from sojourn.transports.tls import TlsTransport
from tests import samples
from tests.fuzz.target import Finding

__all__ = ["Ballots", "Wire"]

ANSWER_S: Final = 20.0
"""Within which an honest client is answered, on a machine that many share."""
_NAME: Final = "spiffe://wire/someone"


class Ballots:
    """Every ballot that the anchor signed and let out: one for each slot, round and phase, for ever."""

    def __init__(self, zone: samples.SampleZone) -> None:
        self._committee = zone.manifest.committee
        self._seen: dict[tuple[Any, ...], tuple[Any, ...]] = {}

    def note(self, reply: exchange.AnyReply) -> None:
        """Take down the vote in a reply. Raises `Finding` for one that contradicts another, or is none."""
        if isinstance(reply, RoundVoted):
            reply.vote.check(self._committee)
            self._note(reply.vote.vote.ballot)
        elif isinstance(reply, Voted):
            check_vote(reply.vote, self._committee)
            self._note(reply.vote.ballot)

    def _note(self, ballot: Ballot) -> None:
        said = (ballot.value, ballot.justification)
        known = self._seen.setdefault((ballot.slot, ballot.round, ballot.phase), said)
        if known != said:
            where = f"{ballot.slot.describe()}, round {ballot.round}"
            raise Finding(f"two different {ballot.phase} votes in {where}")

    def __len__(self) -> int:
        return len(self._seen)


class Shifted:
    """This machine's clocks, some milliseconds ahead."""

    def __init__(self) -> None:
        self.ahead_ms = 0
        self._boot_id = clock.boot_id()
        self._wall_ms, self._boot_ms = clock.wall_ms(), clock.boot_ms()

    def wall_ms(self) -> int:
        """Return wall time: it stands still but for what passes on purpose."""
        return self._wall_ms + self.ahead_ms

    def boot_ms(self) -> int:
        """Return the time since the machine booted."""
        return self._boot_ms + self.ahead_ms

    def boot_id(self) -> bytes:
        """Return 32 bytes that name this boot."""
        return self._boot_id


class Wire:
    """The anchor, its listener, and connections of strangers to it by their keys."""

    def __init__(self, folder: Path) -> None:
        self.zone = samples.found("wire", 4)
        self.ballots = Ballots(self.zone)
        self.clock = Shifted()
        self.requests = 0
        self.found: list[BaseException] = []
        self._folder = folder
        self._network = LoopbackNetwork()
        self._peers: list[Listener] = []
        self._connections: dict[bytes, FramedConnection] = {}
        self._pool: ConnectionPool
        self._listener: Listener
        self.anchor: Anchor

    # --- life -----------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Start the anchor on a new store, and what stands for its peers."""
        asyncio.get_running_loop().set_exception_handler(self._note_unhandled)
        SqliteStore.open(self._folder, create=True).close()
        for index in range(1, 4):
            identity = self.zone.identity(index)
            transport = LoopbackTransport(self._network, PeerIdentity(identity.public, _NAME))
            self._peers.append(await transport.listen("wire", 1000 + index, on_request=_as_peer))
        await self._start()

    async def _start(self) -> None:
        identity = self.zone.identity(0)
        outward = LoopbackTransport(self._network, PeerIdentity(identity.public, _NAME))
        self._pool = ConnectionPool(outward)
        self._store = SqliteStore.open(self._folder)
        self.anchor = Anchor(
            self.zone.signed, 0, identity, self.zone.vote_key(0), self._store, self._pool
        )
        transport = TlsTransport(identity.seed, "spiffe://wire/anchor/0")
        self._listener = await transport.listen("127.0.0.1", 0, on_request=self._serve)
        self.anchor.start()

    async def _stop(self) -> None:
        for connection in self._connections.values():
            await connection.close()
        self._connections.clear()
        await self._listener.close()
        await self.anchor.stop()
        await self._pool.close()
        self._store.close()

    async def restart(self) -> None:
        """Stop the anchor and start it again from its store, which is audited on the way."""
        await self._stop()
        await self._start()

    async def close(self) -> None:
        """Stop everything; the store must be sound and every dossier in it readable. Raises `Finding`."""
        await self._stop()
        for peer in self._peers:
            await peer.close()
        try:
            store = SqliteStore.open(self._folder)
            list(Shelf(store).every_dossier())
            store.close()
        except SojournError as error:
            raise Finding(f"the store is not sound: {error}") from error

    async def _serve(self, connection: Connection, body: bytes) -> bytes:
        self.requests += 1
        try:
            return await self.anchor.serve(connection, body)
        except SojournError:
            raise
        except Exception as error:
            self.found.append(error)
            raise

    def _note_unhandled(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.found.append(context.get("exception") or Finding(str(context["message"])))

    # --- who asks -------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """Where the anchor listens."""
        return self._listener.port

    async def connect(self, key: KeyPair | None = None) -> FramedConnection:
        """Return a new connection to the anchor, under this key or a stranger's."""
        transport = TlsTransport(key.seed if key else secrets.token_bytes(32), _NAME)
        expected = self.zone.identity(0).public
        connection = await transport.connect("127.0.0.1", self.port, expected)
        assert isinstance(connection, FramedConnection)
        return connection

    async def ask(self, body: bytes, key: KeyPair) -> exchange.AnyReply | None:
        """Send bytes as the body of a request; return the reply, None if it is rejected.

        Raises `Finding` if it contradicts an earlier one or is no reply.
        """
        connection = self._connections.get(key.public)
        if connection is None:
            connection = self._connections[key.public] = await self.connect(key)
        try:
            reply = decode_reply(await connection.call(body, timeout_s=ANSWER_S))
        except Rejected:
            return None
        except Failed as error:
            raise Finding(f"the anchor did not answer: {error}") from error
        self.ballots.note(reply)
        return reply

    async def check(self) -> None:
        """Raise `Finding` unless the anchor is up and answers an honest client on a new connection."""
        if self.found:
            first, self.found = self.found[0], []
            raise Finding(f"an error went astray: {first!r}") from first
        if self.anchor.failed.done():
            raise Finding("the anchor has given up")
        try:
            async with asyncio.timeout(ANSWER_S):
                connection = await self.connect()
                reply = decode_reply(await connection.call(encode(AskStatus()), timeout_s=ANSWER_S))
                await connection.close()
        except (SojournError, TimeoutError) as error:
            raise Finding(f"an honest client is not answered: {error}") from error
        if not isinstance(reply, exchange.AnchorStatus):
            raise Finding(f"an honest client is told {reply}")


async def _as_peer(_connection: Connection, body: bytes) -> bytes:
    """Answer as a peer that has seen no vote, and has nothing else to say."""
    if isinstance(decode_request(body), AskWatermark):
        return encode(Watermark())
    return encode(declined(Failed("this peer is silent")))
