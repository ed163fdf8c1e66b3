"""Eligibility: whether the agent may act now, what wakes it, and what it may still spend.

Spending only rises and never passes its limit; both are checked by every anchor on every transition.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from sojourn.core.base.encoding import Count, Digest, Name, Value
from sojourn.core.base.errors import Rejected

__all__ = ["ACTING", "ENDED", "Budget", "Eligibility", "Status", "Wake", "check_budgets"]


class Status(StrEnum):
    """What an agent is (architecture §4)."""

    ACTIVE = "active"
    DORMANT = "dormant"
    SUSPENDED = "suspended"
    QUARANTINED = "quarantined"
    DEPARTED = "departed"
    RETIRED = "retired"
    REVOKED = "revoked"


ACTING = frozenset({Status.ACTIVE, Status.DORMANT, Status.QUARANTINED})
"""Statuses in which the bound host may take steps."""
ENDED = frozenset({Status.RETIRED, Status.REVOKED})
"""Statuses that nothing follows."""


class Wake(Value):
    """One trigger that makes a dormant agent active: a time, or any message."""

    at_ms: Count | None = None
    on_message: bool = False


class Budget(Value):
    """A limit and what is spent of it, in the unit that its name ends in (`calls`, `cost_micros`)."""

    limit: Count
    spent: Count = 0


class Eligibility(Value):
    """The field: status, wake triggers, budgets by name, and the digest of the last decision."""

    status: Status
    wake: Annotated[tuple[Wake, ...], Meta(max_length=16)] = ()
    budgets: Annotated[dict[Name, Budget], Meta(max_length=32)] = {}
    last_decision: Digest | None = None


def check_budgets(old: Mapping[str, Budget], new: Mapping[str, Budget]) -> None:
    """Raise `Rejected` unless limits are kept, spending did not fall, and none is overspent."""
    if old.keys() != new.keys():
        raise Rejected(
            "budgets appeared or vanished", reason="bad-change", where="eligibility.budgets"
        )
    for name, budget in new.items():
        where = f"eligibility.budgets.{name}"
        if budget.limit != old[name].limit:
            raise Rejected(f"the limit of {name} changed", reason="bad-change", where=where)
        if budget.spent < old[name].spent:
            raise Rejected(f"spending of {name} fell", reason="bad-change", where=where)
        if budget.spent > budget.limit:
            problem = f"{budget.spent} of {name} spent, the limit is {budget.limit}"
            raise Rejected(problem, reason="over-budget", where=where)
