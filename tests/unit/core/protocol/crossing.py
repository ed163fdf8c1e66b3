"""An agent that is about to go from zone a to zone b, and has a visa; c is a third zone."""

from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.base.digests import digest
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import (
    Arrive,
    AskVisa,
    Declined,
    Proposal,
    Propose,
    Reply,
)
from sojourn.core.protocol.validate import slot_for
from sojourn.core.protocol.visa import Visa
from tests.rulings import PureZone, World

ROOTS = {name: digest(name.encode()) for name in ("free", "eu", "us", "journal")}
MEMORY = Memory(
    compartments={
        "free": Compartment(form=Form.LOG, root=ROOTS["free"]),
        "eu": Compartment(form=Form.LOG, root=ROOTS["eu"], residency=("EU",)),
    },
    journal=ROOTS["journal"],
)


class Crossing:
    """An agent that is about to go from a to b, and has a visa; c is a third zone."""

    def __init__(self, deadline_ms: int = 1_000) -> None:
        self.world = World("a", "b", "c")
        self.a, self.b, self.c = self.world.zones
        for zone in (self.a, self.b):
            zone.give(*ROOTS.values())
        self.head = self.world.launch(self.a, memory=MEMORY)
        self.agent = self.head.record.agent_id
        self.ask: AskVisa = self.world.application(self.a, self.b, self.head, deadline_ms)
        self.visa: Visa = self.world.visa(self.b, self.ask)

    def depart(self) -> Certified:
        proposal = self.world.depart_proposal(self.a, self.b, self.head, self.visa)
        return self.world.decide(self.a, proposal, self.head)

    def arrived(self) -> Certified:
        gone = self.depart()
        self.b.ask_all(Arrive(departure=gone, visa=self.visa))
        return gone

    def proposed(
        self, zone: PureZone, proposal: Proposal, parent: Certified, index: int = 0
    ) -> Reply | None:
        """Ask one anchor of a zone for a lock vote."""
        slot = slot_for(parent, proposal.transition, zone.manifest)
        return zone.ask(index, Propose(slot=slot, round=0, proposal=proposal))


def refused(reply: Reply | None, reason: str) -> bool:
    """Tell whether a reply, which must be a no, is one for this reason."""
    assert isinstance(reply, Declined), reply
    return reply.reason == reason
