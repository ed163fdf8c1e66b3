"""Ordering an agent about: an order of its officers, carried to the zone where it is."""

import secrets
from collections.abc import Sequence
from typing import Final

import msgspec

from sojourn.cli.finding import Found, find_named
from sojourn.cli.home import Home
from sojourn.cli.reach import Reach
from sojourn.core.agent.eligibility import ACTING, Status
from sojourn.core.agent.memory.blocks import NoBlocks
from sojourn.core.agent.orders import Act, Order, SignedOrder, is_carried_out_on
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Refused
from sojourn.core.base.keys import KeyPair
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.ordering import carrying, sealed
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.validate import slot_for
from sojourn.runtime import clock
from sojourn.runtime.zone_client import Overtaken, Stalled

__all__ = ["Ordered", "order"]

_TRIES: Final = 20
"""The agent's next step may be decided first; then the order is put before its successor."""
_LASTS_MS: Final = 60 * 60 * 1000
"""An order that was not carried out by then, to an agent that could not be reached, has lapsed."""


class Ordered(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is after an order, and where. `before` says that it was so already."""

    agent: str
    status: str
    version: int
    zone: str
    before: bool


async def order(
    reach: Reach, home: Home, name: str, act: Act, officers: Sequence[KeyPair], reason: str
) -> Ordered:
    """Have an act done to the agent with a local name, by order of its officers. Raises as `find` and `decide`.

    Raises `Refused` for one that is between zones, or that has ended.
    """
    found = await find_named(reach, home, name)
    signed = _signed(found.record.agent_id, act, officers)
    bearer = KeyPair(secrets.token_bytes(32))
    problem: Overtaken | Stalled | None = None
    for _ in range(_TRIES):
        if is_carried_out_on(act, found.record.eligibility, found.record.trust):
            return _told(found.head, found, before=True)
        _check_reachable(name, act, found)
        proposal = carrying(signed, found.head, bearer, at_ms=clock.wall_ms(), reason=reason)
        slot = slot_for(found.head, proposal.transition, found.zone)
        proposer = Proposer(proposal, slot, found.zone, parent=found.head)
        try:
            done = await reach.decide(found.zone, proposer, NoBlocks())
            return _told(done, found, before=False)
        except (Overtaken, Stalled) as error:
            problem = error
        found = await find_named(reach, home, name)
    assert problem is not None
    raise problem


def _check_reachable(name: str, act: Act, found: Found) -> None:
    status = found.record.eligibility.status
    if status is Status.DEPARTED:
        problem = f"{name} has left {found.zone.name} and not arrived yet"
        raise Refused(problem, remedy=f"{act.capitalize()} it when it has arrived")
    if status not in ACTING:
        raise Refused(f"{name} is {status}: nothing follows", remedy="Launch another")


def _signed(agent: bytes, act: Act, officers: Sequence[KeyPair]) -> SignedOrder:
    now_ms = clock.wall_ms()
    given = Order(agent=agent, act=act, issued_ms=now_ms, expires_ms=now_ms + _LASTS_MS)
    return sealed(given, officers)


def _told(head: Certified, found: Found, *, before: bool) -> Ordered:
    return Ordered(
        agent=cid_text(head.record.agent_id),
        status=head.record.eligibility.describe(),
        version=head.record.version,
        zone=found.zone.name,
        before=before,
    )
