"""Eligibility: whether the agent may act now, what wakes it, and what it may still spend.

Spending only rises and never passes its limit; both are checked by every anchor on every transition.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from sojourn.core.agent.governance import Matter
from sojourn.core.base.encoding import Count, Digest, Name, Value
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CHILDREN_MAX, PETITIONS_MAX, SPAWN_DEPTH_MAX

__all__ = [
    "ACTING",
    "ENDED",
    "RUNNING",
    "Ancestor",
    "Budget",
    "Eligibility",
    "Pending",
    "Status",
    "Wake",
    "check_budgets",
    "check_petitions",
]


class Status(StrEnum):
    """What an agent is (architecture §4)."""

    ACTIVE = "active"
    DORMANT = "dormant"
    DEPARTED = "departed"
    RETIRED = "retired"
    REVOKED = "revoked"


ACTING = frozenset({Status.ACTIVE, Status.DORMANT})
"""Statuses in which the bound host may take steps, unless officers suspended the agent."""
ENDED = frozenset({Status.RETIRED, Status.REVOKED})
"""Statuses that nothing follows."""


RUNNING: Final = ("steps", "wall_ms")
"""Budgets that run out beneath an agent: without them it takes no step (`core.agent.budgets`)."""


class Wake(Value):
    """One trigger that makes a dormant agent active: a time, any message, or an answer to what it asks people.

    Or a message that calls a method of its code, `on_call`, which is absent from the bytes where none does.
    """

    at_ms: Count | None = None
    on_message: bool = False
    on_answer: bool = False
    on_call: bool | UnsetType = UNSET


class Budget(Value):
    """A limit and what is spent of it, in the unit that its name ends in (`calls`, `cost_micros`)."""

    limit: Count
    spent: Count = 0

    @property
    def left(self) -> int:
        """What may still be spent."""
        return self.limit - self.spent


class Pending(Value):
    """A petition that waits for an approval, by its digest, and when it is answered no (ms since 1970)."""

    petition: Digest
    expires_ms: Count


class Ancestor(Value):
    """An agent that this one descends from, and what officers ordered of it, as far as that was carried out here.

    `outlives` says that this agent may go on when the ancestor has retired. `ordered_ms` is when the newest order of
    each matter about the ancestor that was carried out here was issued (milliseconds since 1970); a matter of which
    none was is left out.
    """

    agent: Digest
    outlives: bool = False
    ordered_ms: dict[Matter, Count] = {}
    is_suspended: bool = False
    is_quarantined: bool = False

    def last_ordered_ms(self, matter: Matter) -> int:
        """Return when the newest order of a matter that was carried out here was issued; 0 if none was."""
        return self.ordered_ms.get(matter, 0)


Ancestors = Annotated[tuple[Ancestor, ...], Meta(max_length=SPAWN_DEPTH_MAX)]


class Eligibility(Value):
    """The field: status, wake triggers, budgets by name, the digest of the last decision, and pending petitions.

    Beside the status stands what officers ordered: a suspended agent takes no step; one in quarantine takes steps,
    and neither acts on anything nor goes anywhere. It goes on with its status when the order is lifted.
    `uncharged_since_ms` is from when on its time is to be charged to its budget `wall_ms`; None without such a
    budget, or while its time does not count. `ancestors` are those it descends from, the first that was launched
    and its own parent last; `children` is how many it has spawned.
    """

    status: Status
    is_suspended: bool = False
    is_quarantined: bool = False
    wake: Annotated[tuple[Wake, ...], Meta(max_length=16)] = ()
    budgets: Annotated[dict[Name, Budget], Meta(max_length=32)] = {}
    uncharged_since_ms: Count | None = None
    last_decision: Digest | None = None
    petitions: Annotated[tuple[Pending, ...], Meta(max_length=PETITIONS_MAX)] = ()
    ancestors: Ancestors = ()
    children: Annotated[int, Meta(ge=0, le=CHILDREN_MAX)] = 0

    @property
    def is_still(self) -> bool:
        """Whether officers have suspended it, or an agent that it descends from."""
        return self.is_suspended or any(each.is_suspended for each in self.ancestors)

    @property
    def is_alone(self) -> bool:
        """Whether officers have put it in quarantine, or an agent that it descends from."""
        return self.is_quarantined or any(each.is_quarantined for each in self.ancestors)

    @property
    def is_acting(self) -> bool:
        """Whether the bound host may take steps. One whose steps or time are used up may still lie down."""
        is_laid_down = self.is_exhausted and self.status is not Status.ACTIVE
        return self.status in ACTING and not self.is_still and not is_laid_down

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left of its steps or its time, so that it goes on only when it is granted more."""
        return any(name in self.budgets and not self.budgets[name].left for name in RUNNING)

    @property
    def is_held(self) -> bool:
        """Whether officers have suspended it or put it in quarantine, or an agent that it descends from."""
        return self.is_still or self.is_alone

    def describe(self) -> str:
        """Return, for people, the status and what holds it up, such as `active, in quarantine`."""
        suspended = _told("suspended", self.is_suspended, self.is_still)
        quarantined = _told("in quarantine", self.is_quarantined, self.is_alone)
        used_up = [
            f"{name} used up"
            for name in RUNNING
            if self.status in ACTING and name in self.budgets and not self.budgets[name].left
        ]
        return ", ".join([self.status, *suspended, *quarantined, *used_up])


def check_petitions(old: Sequence[Pending], new: Sequence[Pending], *, asks: bool) -> None:
    """Raise `Rejected` unless pending petitions were only dropped; or, if it `asks`, one was added to them."""
    if asks:
        is_next = len(new) == len(old) + 1 and tuple(new[:-1]) == tuple(old) and new[-1] not in old
    else:
        is_next = tuple(each for each in old if each in new) == tuple(new)
    if not is_next:
        problem = "to ask adds one petition, and nothing else adds any"
        raise Rejected(problem, reason="bad-change", where="eligibility.petitions")


def _told(what: str, is_own: bool, is_any: bool) -> list[str]:
    return [what] if is_own else [f"an ancestor {what}"] if is_any else []


def check_budgets(
    old: Mapping[str, Budget], new: Mapping[str, Budget], *, may_raise: bool = False
) -> None:
    """Raise `Rejected` unless limits are kept, spending did not fall, and none is overspent.

    Limits may rise if `may_raise`; none ever falls.
    """
    if old.keys() != new.keys():
        raise Rejected(
            "budgets appeared or vanished", reason="bad-change", where="eligibility.budgets"
        )
    for name, budget in new.items():
        where = f"eligibility.budgets.{name}"
        is_raised = may_raise and budget.limit > old[name].limit
        if budget.limit != old[name].limit and not is_raised:
            raise Rejected(f"the limit of {name} changed", reason="bad-change", where=where)
        if budget.spent < old[name].spent:
            raise Rejected(f"spending of {name} fell", reason="bad-change", where=where)
        if budget.spent > budget.limit:
            problem = f"{budget.spent} of {name} spent, the limit is {budget.limit}"
            raise Rejected(problem, reason="over-budget", where=where)
