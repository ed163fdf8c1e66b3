"""What a record looks like after a transition that leaves no choice: bound, departed, admitted, returned, ordered.

Host, target and anchors all compute these the same way, so that the new record is determined by the old one
and the evidence, and a vote is a comparison.
"""

import msgspec

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.memory.field import Compartment, Memory, may_reside
from sojourn.core.agent.orders import Order, carried_out
from sojourn.core.agent.record import AgentRecord, Custody, Migration
from sojourn.core.agent.transition import next_lineage
from sojourn.core.protocol.visa import Visa
from sojourn.core.quorum.votes import Slot
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["admitted", "bound", "child", "departed", "memory_in", "ordered", "returned"]


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


def bound(parent: AgentRecord, slot: Slot, host: bytes) -> AgentRecord:
    """Return the record after `host` bound the agent: the binding rises by one."""
    custody = msgspec.structs.replace(parent.custody, binding=parent.custody.binding + 1, host=host)
    return child(parent, slot, custody=custody)


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

    A compartment that may not reside there stays with the zone the agent came from; one that this zone holds
    is at home again.
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
    """Return the record of `gone` back at its source: same host, a term beyond the refused one."""
    assert gone.migration is not None
    custody = msgspec.structs.replace(gone.custody, term=gone.migration.next_term + 1, binding=0)
    return child(
        gone, slot, custody=custody, migration=None, eligibility=_with(gone, Status.ACTIVE)
    )


def ordered(parent: AgentRecord, slot: Slot, order: Order) -> AgentRecord:
    """Return the record after an order was carried out. Raises `Rejected` if it cannot be in this status."""
    governance = msgspec.structs.replace(parent.governance, ordered_ms=order.issued_ms)
    eligibility = carried_out(order.act, parent.eligibility, order.grants)
    return child(parent, slot, governance=governance, eligibility=eligibility)


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
    elif holder is None and not may_reside(compartment, target.attributes.jurisdiction):
        holder = source
    return msgspec.structs.replace(compartment, held_by=holder)
