"""Asking one anchor for a lock vote, with proposals resealed as a test likes."""

from typing import Any

from msgspec.structs import replace

from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import (
    Declined,
    Proposal,
    Propose,
    Reply,
)
from tests.rulings import World
from tests.samples import key, seal

EVE = key("eve")


def proposed(world: World, proposal: Proposal, parent: Certified | None = None) -> Reply | None:
    """Ask one anchor of the first zone for a lock vote; the policies it names are there."""
    a = world.zones[0]
    a.give(*proposal.transition.record.governance.documents)
    return a.ask(0, Propose(slot=a.slot(proposal, parent), round=0, proposal=proposal))


def reason_of(reply: Reply | None) -> str:
    assert isinstance(reply, Declined), reply
    return reply.reason


def resealed(proposal: Proposal, *by: Any, role: Role = Role.ISSUER, **changes: Any) -> Proposal:
    """Return a proposal with its transition changed, under the seals of `by`."""
    transition = replace(proposal.transition, **changes)
    seals = tuple(seal(pair, Kind.TRANSITION, role, transition.digest) for pair in by)
    return replace(proposal, transition=transition, seals=seals)
