"""A family: an agent in zone a that spawns, and zones where its children may go."""

from typing import Any

from msgspec.structs import replace

from sojourn.core.agent.eligibility import Budget, Eligibility, Status
from sojourn.core.agent.governance import SignedDocument
from sojourn.core.agent.memory.field import Memory
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.protocol.custody import Certified, proving
from sojourn.core.protocol.messages import AskVisa, Evidence, Proposal
from sojourn.core.protocol.parentage import Parentage, parentage_block
from sojourn.core.protocol.spawning import Gift, begotten, bringing, spawned
from tests.rulings import STRANGER, PureZone, World
from tests.samples import document

SPAWNING = document(actions=("order.place",))
BUDGETS = {"steps": Budget(limit=100), "cost_micros": Budget(limit=1_000)}
HALF = Gift(entry="agent:Child", budgets={"steps": 40, "cost_micros": 500})


class Family:
    """Zones, and an agent in the first that was launched with budgets."""

    def __init__(self, *zones: str, documents: tuple[SignedDocument, ...] = (SPAWNING,)) -> None:
        self.world = World(*(zones or ("a",)))
        self.a: PureZone = self.world.zones[0]
        eligibility = Eligibility(status=Status.ACTIVE, budgets=BUDGETS)
        self.parent: Certified = self.world.launch(self.a, *documents, eligibility=eligibility)

    def parentage(self, zone: PureZone, parent: Certified) -> bytes:
        """Store what proves a parent with the anchors of a zone, and return its name."""
        chapters = zone.anchors[0].past(parent.record.agent_id)
        named = self.world.shown(chapters, zone)
        documents = (
            *parent.record.governance.documents,
            *proving(chapters[0], chapters[-1], parent.record),
        )
        proof = Parentage(
            chapters=named,
            documents=tuple(dict.fromkeys(documents)),
            above=parent.record.lineage.parentage,
        )
        root = digest(parentage_block(proof))
        self.world.known.parentages[root] = proof
        zone.give(root)
        return root

    def child(self, zone: PureZone, parent: Certified, gift: Gift = HALF) -> AgentRecord:
        """Return the genesis of the child that a parent is to have next."""
        memory, parentage = Memory(compartments={}), self.parentage(zone, parent)
        return begotten(parent.record, gift, memory, parentage)

    def spawn_proposal(
        self, zone: PureZone, parent: Certified, child: AgentRecord, **more: Any
    ) -> Proposal:
        """Return the bound host's proposal to spawn."""
        memory = replace(parent.record.memory, journal=digest(child.digest))
        zone.give(memory.journal)
        record = spawned(parent.record, parent.certificate.slot, child, memory)
        evidence, host = Evidence(child=child), self.world.host_of(zone, parent)
        return self.world.propose(
            TransitionKind.SPAWN, parent, record, host, evidence=evidence, **more
        )

    def spawn(self, zone: PureZone, parent: Certified, gift: Gift = HALF) -> Certified:
        """Have a SPAWN decided, and return it."""
        child = self.child(zone, parent, gift)
        return self.world.decide(zone, self.spawn_proposal(zone, parent, child), parent)

    def born(self, zone: PureZone, spawn: Certified, child: AgentRecord) -> Certified:
        """Have the child of a SPAWN born, and bound to a host."""
        proposal = bringing(child, spawn, STRANGER, at_ms=self.world.clock.wall_ms)
        return self.world.bind(zone, self.world.decide(zone, proposal))

    def have(
        self, zone: PureZone, parent: Certified, gift: Gift = HALF
    ) -> tuple[Certified, Certified]:
        """Return a parent after it spawned, and its child, born and bound."""
        child = self.child(zone, parent, gift)
        done = self.world.decide(zone, self.spawn_proposal(zone, parent, child), parent)
        return done, self.born(zone, done, child)

    def application(self, source: PureZone, target: PureZone, head: Certified) -> AskVisa:
        """Return what a child applies with; what proves its ancestors is in the target's store."""
        ask = self.world.application(source, target, head)
        zones = set[bytes]()
        root = head.record.lineage.parentage
        while root is not None:
            proof = self.world.known.parentages[root]
            target.give(root, *proof.chapters, *proof.documents)
            chapters = [self.world.known.chapters[named] for named in proof.chapters]
            zones |= {each.opened.record.custody.zone for each in chapters}
            root = proof.above
        zones |= {signed.manifest.zone_id for signed in ask.manifests}
        shown = (each.sample.signed for each in self.world.zones if each.zone in zones)
        return replace(ask, manifests=tuple(shown))

    def move(self, source: PureZone, target: PureZone, head: Certified) -> Certified:
        """Move a child, from visa to admission."""
        ask = self.application(source, target, head)
        visa = self.world.visa(target, ask)
        gone = self.world.decide(
            source, self.world.depart_proposal(source, target, head, visa), head
        )
        return self.world.arrive(target, gone, visa, ask)
