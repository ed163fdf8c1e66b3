"""The genesis of an agent that is rehearsed."""

from collections.abc import Mapping
from typing import Any

from sojourn.core.agent.capabilities import Capabilities, Requirements
from sojourn.core.agent.eligibility import Budget, Eligibility, Status
from sojourn.core.agent.governance import Governance
from sojourn.core.agent.lineage import Lineage
from sojourn.core.agent.memory.blocks import NewBlocks, NoBlocks
from sojourn.core.agent.memory.field import Memory
from sojourn.core.agent.record import AgentRecord, Custody
from sojourn.core.agent.trust import Trust
from sojourn.core.base.digests import ZERO, digest
from sojourn.testing.founding import Keep, person_key
from sojourn.testing.rehearsals.custody import HOST, RULES, Stored
from sojourn.testing.rehearsals.keys import Keyring
from sojourn.testing.rehearsals.places import Place

__all__ = ["first_record"]


def first_record(
    seed: str,
    entry: str,
    home: Place,
    memory: Mapping[str, Any],
    budgets: Mapping[str, int],
    stored: Stored,
    keys: Keyring,
) -> AgentRecord:
    """Return the genesis of an agent, its memory stored."""
    blocks = NewBlocks(NoBlocks())
    kept = {name: _kept(values) for name, values in memory.items()}
    compartments = {name: keys.compartment(name, keep, blocks) for name, keep in kept.items()}
    stored.by_digest.update(blocks.made)
    return AgentRecord(
        realm="rehearsed",
        agent=ZERO,
        version=0,
        parent=digest(seed.encode()),
        custody=Custody(zone=home.zone, term=0, binding=0, host=HOST),
        migration=None,
        governance=Governance(documents=(RULES,), version=1),
        memory=Memory(compartments=compartments),
        lineage=Lineage(),
        eligibility=Eligibility(
            status=Status.ACTIVE,
            budgets={name: Budget(limit=limit) for name, limit in budgets.items()},
        ),
        trust=Trust(),
        capabilities=Capabilities(
            requires=Requirements(), code=RULES, entry=entry, publisher=person_key("publisher")
        ),
    )


def _kept(values: Any) -> Keep:
    if isinstance(values, Keep):
        return values
    return Keep(values=() if values is None else values)
