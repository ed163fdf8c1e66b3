"""Retiring an agent: its officers' order, put before the zone where it is."""

import secrets
from collections.abc import Sequence
from typing import Final

import msgspec

from sojourn.cli.finding import Found, find_named
from sojourn.cli.home import Home
from sojourn.cli.reach import Reach
from sojourn.cli.remote_blocks import NoBlocks
from sojourn.core.agent.eligibility import ENDED, Status
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Refused
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.admission import child
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Evidence, Order, Proposal, SignedOrder
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.validate import slot_for
from sojourn.runtime import clock
from sojourn.runtime.zone_client import Overtaken, Stalled

__all__ = ["Retired", "retire"]

_TRIES: Final = 20
"""The agent's next step may be decided first; then the order is put before its successor."""


class Retired(msgspec.Struct, frozen=True, kw_only=True):
    """An agent that has ended, and where. `before` says that it had ended already."""

    agent: str
    status: str
    version: int
    zone: str
    before: bool


async def retire(
    reach: Reach, home: Home, name: str, officers: Sequence[KeyPair], reason: str
) -> Retired:
    """Have the agent with a local name retired, by order of its officers. Raises as `find` and `decide`.

    Raises `Refused` for one that is between zones.
    """
    found = await find_named(reach, home, name)
    order = _order(found.record.agent_id, officers)
    problem: Overtaken | Stalled | None = None
    for _ in range(_TRIES):
        status = found.record.eligibility.status
        if status in ENDED:
            return _retired(found.head, found, before=True)
        if status is Status.DEPARTED:
            remedy = "Retire it when it has arrived"
            raise Refused(f"{name} has left {found.zone.name} and not arrived yet", remedy=remedy)
        proposal = _proposal(found.head, order, reason)
        slot = slot_for(found.head, proposal.transition, found.zone)
        proposer = Proposer(proposal, slot, found.zone, parent=found.head)
        try:
            done = await reach.decide(found.zone, proposer, NoBlocks())
            return _retired(done, found, before=False)
        except (Overtaken, Stalled) as error:
            problem = error
        found = await find_named(reach, home, name)
    assert problem is not None
    raise problem


def _order(agent: bytes, officers: Sequence[KeyPair]) -> SignedOrder:
    order = Order(agent=agent, act="retire", issued_ms=clock.wall_ms())
    covered = statement(Kind.ORDER, Role.ISSUER, digest_of(order))
    seals = tuple(Seal(signer=key.public, signature=key.sign(covered)) for key in officers)
    return SignedOrder(order=order, seals=seals)


def _proposal(head: Certified, order: SignedOrder, reason: str) -> Proposal:
    """Return the proposal. Whoever carries an order signs for carrying it: any key will do."""
    bearer = KeyPair(secrets.token_bytes(32))
    ended = msgspec.structs.replace(head.record.eligibility, status=Status.RETIRED, wake=())
    transition = Transition(
        kind=TransitionKind.RETIRE,
        parent=head.record.digest,
        record=child(head.record, head.certificate.slot, eligibility=ended),
        author=bearer.public,
        at_ms=clock.wall_ms(),
        reason=reason,
    )
    covered = statement(Kind.TRANSITION, Role.PERSON, transition.digest)
    seal = Seal(signer=bearer.public, signature=bearer.sign(covered))
    return Proposal(transition=transition, seals=(seal,), evidence=Evidence(order=order))


def _retired(head: Certified, found: Found, *, before: bool) -> Retired:
    return Retired(
        agent=cid_text(head.record.agent_id),
        status=str(head.record.eligibility.status),
        version=head.record.version,
        zone=found.zone.name,
        before=before,
    )
