"""What an agent's side is told first: who it is, its memory, and where `run` resumes."""

from msgspec import UNSET

from sojourn.core.agent.record import AgentRecord
from sojourn.runtime.apart import is_here, of_the_agent
from sojourn.runtime.frames import Shelf, Start
from sojourn.runtime.records import Resume

__all__ = ["shelves_of", "start_of"]


def start_of(
    record: AgentRecord, resume: Resume, length: int, *, fresh: bool, adopts: bool = False
) -> Start:
    """Return the first frame for an agent at a record, whose journal has so many records.

    With `adopts` its code is tried that officers ordered to follow.
    """
    capabilities, ancestors = record.capabilities, record.eligibility.ancestors
    return Start(
        agent=record.agent_id,
        zone=record.custody.zone,
        shelves=shelves_of(record),
        resume=resume,
        length=length,
        budgets={n: b.limit - b.spent for n, b in record.eligibility.budgets.items()},
        fresh=fresh,
        parent=ancestors[-1].agent if ancestors else None,
        is_fork=record.lineage.forked is not UNSET,
        replaces=capabilities.code if adopts else None,
        leaves=capabilities.upgrade is not UNSET and not adopts,
    )


def shelves_of(record: AgentRecord) -> dict[str, Shelf]:
    """Return the agent's own compartments as its side sees them."""
    return {
        name: Shelf(
            form=c.form,
            root=c.root,
            held_by=None if is_here(c, record) else c.held_by,
            key=c.key,
            is_erased=c.is_erased,
            labels=c.labels,
            residency=c.residency,
        )
        for name, c in of_the_agent(record.memory.compartments).items()
    }
