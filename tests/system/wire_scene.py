"""What the tests of bad input share: a zone of real anchors, its agents, and what strangers could send it."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sojourn.cli.reach import reaching
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.encoding import encode
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import MESSAGE_BYTES_MAX
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.admission import child
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import (
    AnchorStatus,
    AnyReply,
    AskPast,
    AskStatus,
    Past,
    decode_reply,
)
from sojourn.core.protocol.messages import AskHead, Head, Proposal, Propose, ShowCommit
from sojourn.core.protocol.validate import slot_for
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest
from sojourn.host.folder import HostFolder
from sojourn.runtime.processes import clock
from sojourn.runtime.transport import Connection, WireLimits
from sojourn.transports.connection import FramedConnection
from sojourn.transports.tls import TlsTransport
from tests.system.ground import LEASE_MS, Ground, quiet
from tests.village import seal

__all__ = ["Scene", "State", "build", "raise_scene"]

State = tuple[object, ...]
_RESTING = {"plan": {"turns": 2, "pause_ms": 0}, "times": None}
_LIMITS = WireLimits(body_bytes_max=2 * MESSAGE_BYTES_MAX)
"""What a stranger may send is for the anchor to say."""


@dataclass(frozen=True)
class Scene:
    """A zone `a` with two agents at rest, a zone `b` with one, and the keys of whoever is to be malicious."""

    ground: Ground
    host: KeyPair
    past: tuple[Certified, ...]
    other: Certified
    foreign: Certified

    @property
    def zone(self) -> ZoneManifest:
        """The zone whose anchor is asked."""
        return self.ground.manifests["a"]

    @property
    def signed(self) -> SignedManifest:
        """Its manifest with its seals."""
        return self.ground.home.manifest("a")

    @property
    def head(self) -> Certified:
        """The newest transition of the agent that most requests are about."""
        return self.past[-1]

    # --- what could be sent ---------------------------------------------------------------------------

    def record(self, **changes: object) -> AgentRecord:
        """Return a record that may follow the head, with some fields changed."""
        made = child(self.head.record, self.head.certificate.slot)
        return msgspec.structs.replace(made, **changes)

    def proposal(
        self,
        record: AgentRecord | None = None,
        *,
        author: KeyPair | None = None,
        signer: KeyPair | None = None,
        **changes: object,
    ) -> Proposal:
        """Return a step on the head, by the bound host unless another author is given."""
        author = author or self.host
        transition = Transition(
            kind=TransitionKind.STEP,
            parent=self.head.record.digest,
            record=record or self.record(),
            author=author.public,
            at_ms=clock.wall_ms(),
        )
        transition = msgspec.structs.replace(transition, **changes)
        sealed = seal(signer or author, Kind.TRANSITION, Role.HOST, transition.digest)
        return Proposal(transition=transition, seals=(sealed,))

    def propose(self, proposal: Proposal | None = None, **slot: object) -> Propose:
        """Return the request for a lock vote, in the slot that is next or another."""
        proposal = proposal or self.proposal()
        named = slot_for(self.head, self.proposal().transition, self.zone)
        return Propose(slot=msgspec.structs.replace(named, **slot), round=0, proposal=proposal)

    def decided(self, **changes: object) -> ShowCommit:
        """Return the head's certificate put onto the next slot and a step there, with some fields changed."""
        proposal = self.proposal()
        moved = msgspec.structs.replace(
            self.head.certificate,
            slot=slot_for(self.head, proposal.transition, self.zone),
            value=proposal.transition.digest,
        )
        certificate = msgspec.structs.replace(moved, **changes)
        return ShowCommit(certificate=certificate, proposal=proposal)

    @staticmethod
    def show(known: Certified) -> ShowCommit:
        """Return the request to apply what was decided."""
        shown = Proposal(transition=known.transition, seals=())
        return ShowCommit(certificate=known.certificate, proposal=shown)

    # --- who asks -------------------------------------------------------------------------------------

    @asynccontextmanager
    async def connected(self, key: KeyPair | None = None) -> AsyncIterator[FramedConnection]:
        """Give a connection to anchor 0, under a stranger's key or the given one."""
        with quiet():
            seed = key.seed if key else secrets.token_bytes(32)
            transport = TlsTransport(seed, "spiffe://test/stranger", _LIMITS)
            entry = self.zone.anchors[0]
            place = entry.endpoint
            connection = await transport.connect(place.address, place.port, entry.identity)
            assert isinstance(connection, FramedConnection)
            try:
                yield connection
            finally:
                await connection.close()

    async def state(self, connection: Connection) -> State:
        """Return what the anchor says of itself and of each agent: all that bad input could have changed."""
        status = await ask(connection, encode(AskStatus()))
        assert isinstance(status, AnchorStatus)
        heads = []
        for known in (self.head, self.other, self.foreign):
            head = await ask(connection, encode(AskHead(agent=known.record.agent_id)))
            assert isinstance(head, Head)
            heads.append(encode(head))
        return (status.agents, status.places, status.votes, *heads)


async def ask(connection: Connection, body: bytes) -> AnyReply:
    """Return the reply to a request."""
    return decode_reply(await connection.call(body, timeout_s=10))


async def build(folder: Path) -> Scene:
    """Raise the zones and launch the agents; the processes run on."""
    with quiet():
        async with reaching() as reach:
            g = Ground(folder, reach)
            try:
                g.found("a")
                g.found("b", anchors=1)
                await g.up("a", "b")
                agents = [await g.launch(zone, "sleeper:Sleeper", _RESTING) for zone in "aab"]
                await asyncio.gather(*(g.resting(agent) for agent in agents))
                await asyncio.sleep(2 * LEASE_MS / 1000)  # nobody holds a lease any more
                ask_past = AskPast(agent=agents[0].agent, limit=1000)
                client = reach.zone(g.manifests["a"])
                past = await client.ask_any(ask_past, Past)
                host = HostFolder(g.place("host", "a", 0).folder).key()
            except BaseException:
                g.down()
                raise
    return Scene(g, host, past.history, agents[1].newest, agents[2].newest)


def raise_scene(folder: Path) -> Scene:
    """Do the same from where no loop runs."""
    return asyncio.run(build(folder))
