"""What a record looks like after a transition that leaves no choice: bound, departed, admitted, returned, amended.

Host, target and anchors all compute these the same way, so that the new record is determined by the old one
and the evidence, and a vote is a comparison.
"""

from collections.abc import Collection, Sequence

import msgspec

from sojourn.core.agent.ancestry import carried_out_about
from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.events import Events, with_broken_lease, with_liars, with_refusal
from sojourn.core.agent.governance import Document
from sojourn.core.agent.memory.field import Compartment, Memory, may_travel
from sojourn.core.agent.orders import Order, carried_out_on
from sojourn.core.agent.record import AgentRecord, Custody, Migration
from sojourn.core.agent.transition import next_lineage
from sojourn.core.agent.trust import Trust
from sojourn.core.base.seals import Seal
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.visa import Visa
from sojourn.core.quorum.votes import Slot
from sojourn.core.zone.manifest import ZoneManifest

__all__ = [
    "accused",
    "admitted",
    "amended",
    "bound",
    "child",
    "departed",
    "memory_in",
    "ordered",
    "returned",
]


def child(parent: AgentRecord, slot: Slot, **changes: object) -> AgentRecord:
    """Return the next version of `parent`, which was decided in `slot`, with some fields replaced."""
    return msgspec.structs.replace(
        parent,
        agent=parent.agent_id,
        version=parent.version + 1,
        parent=parent.digest,
        lineage=next_lineage(parent, slot),
        **changes,
    )


def bound(head: Certified, host: bytes) -> AgentRecord:
    """Return the record after `host` bound the agent: the binding rises by one, and a broken lease is counted.

    A lease is broken if somebody else's ran out while it had the agent at work, as far as a record tells: it is
    active, and what was decided last was by that very host. One that lost its lease by an order of officers, or
    was given the agent back by its zone, is not held to have failed it.
    """
    parent, before = head.record, head.record.custody
    custody = msgspec.structs.replace(before, binding=before.binding + 1, host=host)
    was_at_work = parent.eligibility.status is Status.ACTIVE
    is_broken = was_at_work and before.host not in (None, host)
    trust = parent.trust
    if is_broken and head.transition.author == before.host:
        trust = _counting(trust, with_broken_lease(trust.events, before.zone))
    return child(parent, head.certificate.slot, custody=custody, trust=trust)


def departed(parent: AgentRecord, slot: Slot, visa: Visa, target: ZoneManifest) -> AgentRecord:
    """Return the departed record: memory unchanged, so that what was copied before stays exact."""
    migration = Migration(
        to_zone=visa.terms.to_zone,
        to_manifest=target.digest,
        visa=visa.digest,
        next_term=visa.terms.term,
    )
    return child(parent, slot, migration=migration, eligibility=_with(parent, Status.DEPARTED))


def admitted(gone: AgentRecord, slot: Slot, target: ZoneManifest, host: bytes) -> AgentRecord:
    """Return the record of `gone` admitted into `target` on `host`.

    A compartment that may not reside there, or is encrypted, stays with the zone the agent came from; one that this
    zone holds is at home again.
    """
    assert gone.migration is not None
    custody = Custody(zone=target.zone_id, term=gone.migration.next_term, binding=0, host=host)
    return child(
        gone,
        slot,
        custody=custody,
        migration=None,
        eligibility=_with(gone, Status.ACTIVE),
        memory=memory_in(gone, target),
    )


def returned(gone: AgentRecord, slot: Slot) -> AgentRecord:
    """Return the record of `gone` back at its source: same host, a term beyond the refused one.

    That its target gave a visa and did not honour it is counted: an agent that is denied one never departs.
    """
    assert gone.migration is not None
    custody = msgspec.structs.replace(gone.custody, term=gone.migration.next_term + 1, binding=0)
    return child(
        gone,
        slot,
        custody=custody,
        migration=None,
        eligibility=_with(gone, Status.ACTIVE),
        trust=_counting(gone.trust, with_refusal(gone.trust.events, gone.migration.to_zone)),
    )


def ordered(
    parent: AgentRecord, slot: Slot, order: Order, seals: tuple[Seal, ...] = ()
) -> AgentRecord:
    """Return the record after an order was carried out. Raises `Rejected` if it cannot be in this status.

    The order is about the agent, or about one that it descends from; of an upgrade the record keeps its `seals`.
    """
    if order.agent != parent.agent_id:
        about = carried_out_about(order.act, parent.eligibility, order.agent, order.issued_ms)
        return child(parent, slot, eligibility=about)
    governance = parent.governance.ordered(order.matter, order.issued_ms)
    eligibility, trust = carried_out_on(order.act, parent.eligibility, parent.trust, order.grants)
    return child(
        parent,
        slot,
        governance=governance,
        eligibility=eligibility,
        trust=trust,
        memory=order.erased_from(parent.memory),
        capabilities=order.upgraded(parent.capabilities, seals),
    )


def accused(
    parent: AgentRecord, slot: Slot, zone: bytes, liars: Collection[int], tolerated: int
) -> AgentRecord:
    """Return the record after anchors of a zone, which tolerates so many, were proved to have lied.

    Raises `Rejected` as `with_liars`.
    """
    events = with_liars(parent.trust.events, zone, liars, tolerated)
    return child(parent, slot, trust=_counting(parent.trust, events))


def _counting(trust: Trust, events: dict[str, Events]) -> Trust:
    return msgspec.structs.replace(trust, events=events)


def amended(
    parent: AgentRecord, slot: Slot, old: Document, run: Sequence[Document], at_ms: int
) -> AgentRecord:
    """Return the record after the last of a run of successors took the place of `old` at `at_ms`.

    Raises `Rejected` if more earlier policies would cool than there is room for.
    """
    return child(parent, slot, governance=parent.governance.amended(old, run, at_ms))


def _with(record: AgentRecord, status: Status) -> object:
    return msgspec.structs.replace(record.eligibility, status=status)


def memory_in(record: AgentRecord, target: ZoneManifest) -> Memory:
    """Return the memory field as it is once the agent has moved to `target`: who holds what is told by name."""
    compartments = {
        name: _placed(compartment, record.custody.zone, target)
        for name, compartment in record.memory.compartments.items()
    }
    return msgspec.structs.replace(record.memory, compartments=compartments)


def _placed(compartment: Compartment, source: bytes, target: ZoneManifest) -> Compartment:
    holder = compartment.held_by
    if holder == target.zone_id:
        holder = None
    elif holder is None and not may_travel(compartment, target.attributes.jurisdiction):
        holder = source
    return msgspec.structs.replace(compartment, held_by=holder)
