"""What each transition must spend of budgets with a fixed meaning: worked out from the record, never claimed.

    steps        steps of the code whose outcome became final, and considerations: at least one for a STEP that
                 changes memory
    calls        acts in the world: one for each INTEND
    cost_micros  what an intent says it will cost, in millionths of the currency unit, and what more it was said
                 to have cost
    tokens       the same, of a model's tokens
    wall_ms      time during which the agent was active and bound to a host, and not suspended
    hops         departures: one for each

What a child is given of any of them its parent has spent, by the SPAWN that made it.

Any other name is the application's own: anchors know only that its spending does not fall, and stays within its
limit. An agent without a budget of a name counts nothing by it.

The host that proposes and the anchors that judge ask the same function, `charged`: a record is as it must be if it
charges nothing more. Where it runs out: an act or a departure that would pass a limit is not made. Steps and time
run out beneath an agent instead: the last step that is paid for may lay it to rest, with all that came of what was
under way (`Eligibility.is_exhausted`), and nothing follows until its officers grant more (protocol §2).
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from sojourn.core.agent.eligibility import RUNNING, Budget, Status
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind, check_change
from sojourn.core.base.errors import BudgetExhausted, Rejected
from sojourn.core.quorum.votes import Slot

__all__ = [
    "CALLS",
    "COST_MICROS",
    "COUNTED",
    "HOPS",
    "PRICED",
    "STEPS",
    "TOKENS",
    "WALL_MS",
    "charged",
    "check_affordable",
    "check_follows",
    "check_transition",
    "lacking",
    "spend",
]

STEPS: Final = "steps"
CALLS: Final = "calls"
COST_MICROS: Final = "cost_micros"
TOKENS: Final = "tokens"
WALL_MS: Final = "wall_ms"
HOPS: Final = "hops"

COUNTED: Final = frozenset({STEPS, CALLS, WALL_MS, HOPS})
"""Names of budgets that no code may say it spends: they are counted."""
PRICED: Final = frozenset({COST_MICROS, TOKENS})
"""Names of budgets that an intent declares, and of which more may be told when the act is done."""
_EXACT: Final = frozenset({CALLS, WALL_MS, HOPS})
"""Of them, those of which the record and the transition say all: a host may not even waste them."""
_STEPS: Final = frozenset({TransitionKind.STEP, TransitionKind.ADOPT})
"""Transitions that make a batch of the journal final."""
_CLAIMING: Final = _STEPS | {TransitionKind.INTEND}
"""Transitions whose author may say that more was spent."""
_PAID: Final = _CLAIMING | {TransitionKind.ASK, TransitionKind.SPAWN, TransitionKind.DEPART}
"""Transitions that a budget may prevent. Orders, binds and what ends a journey never wait for one."""
_NOTHING: Final[Mapping[str, int]] = {}


def charged(
    kind: TransitionKind,
    old: AgentRecord,
    new: AgentRecord,
    at_ms: int,
    declared: Mapping[str, int] = _NOTHING,
) -> AgentRecord:
    """Return `new`, which follows `old` at `at_ms`, with all charged that it must spend.

    `declared` is what an intent says it will spend (`cost_micros`, `tokens`), or what a child is given. What `new`
    says that was spent beyond `old` is kept where its author may say so. May pass a limit: `check_budgets` finds
    that.
    """
    before, after = old.eligibility, new.eligibility
    if not before.budgets or after.budgets.keys() != before.budgets.keys():
        return new
    due = _due(kind, old, new, at_ms, declared)
    budgets = {
        name: _charge(kind, name, budget, after.budgets[name], due.get(name, 0))
        for name, budget in before.budgets.items()
    }
    since = _uncharged_since(old, new, at_ms) if WALL_MS in budgets else None
    if budgets == after.budgets and since == after.uncharged_since_ms:
        return new
    eligibility = msgspec.structs.replace(after, budgets=budgets, uncharged_since_ms=since)
    return msgspec.structs.replace(new, eligibility=eligibility)


def check_transition(
    transition: Transition,
    old: AgentRecord,
    slot: Slot,
    declared: Mapping[str, int] = _NOTHING,
) -> None:
    """Raise `Rejected` unless a transition may follow `old`, decided in `slot`, and is charged what it must be.

    `declared` as for `charged`. `Denied` as `check_change` says.
    """
    kind, new = transition.kind, transition.record
    check_change(kind, old, new, slot)
    if kind is TransitionKind.REFUSE:
        return
    _check_may_run(kind, old, new)
    due = charged(kind, old, new, transition.at_ms, declared)
    if due is not new:
        _find_miscounted(kind, new, due)


def check_follows(transition: Transition, old: AgentRecord, expected: AgentRecord) -> None:
    """Raise `Rejected` unless a transition's record is `expected`, with all charged that it must spend.

    For transitions that leave no choice: `expected` follows from `old` and the evidence, before it is charged.
    """
    if transition.record != charged(transition.kind, old, expected, transition.at_ms):
        raise Rejected(
            "the record is not the one that follows", reason="bad-change", where="record"
        )


def check_affordable(
    kind: TransitionKind, record: AgentRecord, declared: Mapping[str, int] = _NOTHING
) -> None:
    """Raise `BudgetExhausted` if it would pass a limit to act, spawn or depart: asked before anything is proposed."""
    due = {**declared, CALLS: 1} if kind is TransitionKind.INTEND else {HOPS: 1}
    if kind is TransitionKind.SPAWN:
        due = dict(declared)
    for name, amount in due.items():
        budget = record.eligibility.budgets.get(name)
        if budget is not None and amount > budget.left:
            raise lacking(name, amount, f"{budget.spent} of {budget.limit} are spent")


def lacking(name: str, amount: int, known: str) -> BudgetExhausted:
    """Return the error for `amount` that a budget does not hold. `known` says what is known of it."""
    remedy = f"The agent's officers may grant more: sojourn agent grant AGENT {name}=+{amount}"
    return BudgetExhausted(f"{amount} of budget {name!r} needed, {known}", remedy=remedy)


def spend(budgets: Mapping[str, Budget], amounts: Mapping[str, int]) -> dict[str, Budget]:
    """Return budgets after code spent `amounts`, before what is due is charged.

    What has happened already may have cost more than was left: that much is not passed, but used up.
    """
    spent = {}
    for name, budget in budgets.items():
        amount = amounts.get(name, 0)
        if name == STEPS or name in PRICED:
            amount = min(amount, budget.left)
        spent[name] = msgspec.structs.replace(budget, spent=budget.spent + amount)
    return spent


def _due(
    kind: TransitionKind,
    old: AgentRecord,
    new: AgentRecord,
    at_ms: int,
    declared: Mapping[str, int],
) -> dict[str, int]:
    """Return what a transition must spend at least, by name."""
    budgets = old.eligibility.budgets
    due: dict[str, int] = {}
    if kind is TransitionKind.INTEND:
        due = {**declared, CALLS: 1}
    elif kind is TransitionKind.SPAWN:
        due = dict(declared)
    elif kind is TransitionKind.DEPART:
        due = {HOPS: 1}
    elif kind in _STEPS and STEPS in budgets and new.memory != old.memory:
        due = {STEPS: min(1, budgets[STEPS].left)}
    since = old.eligibility.uncharged_since_ms
    if WALL_MS in budgets and since is not None:
        to_give = due.get(WALL_MS, 0)
        passed_ms = min(max(0, at_ms - since), max(0, budgets[WALL_MS].left - to_give))
        due[WALL_MS] = to_give + passed_ms
    return due


def _charge(kind: TransitionKind, name: str, before: Budget, after: Budget, due: int) -> Budget:
    spent = before.spent + due
    if kind in _CLAIMING and name not in _EXACT:
        spent = max(spent, after.spent)
    return msgspec.structs.replace(after, spent=spent)


def _uncharged_since(old: AgentRecord, new: AgentRecord, at_ms: int) -> int | None:
    """Return from when on time is to be charged by the next transition; None while it does not count.

    No earlier than before: whoever's clock is behind would have the same time charged twice.
    """
    eligibility = new.eligibility
    is_counting = (
        eligibility.status is Status.ACTIVE
        and not eligibility.is_still
        and new.custody.host is not None
    )
    return max(at_ms, old.eligibility.uncharged_since_ms or 0) if is_counting else None


def _check_may_run(kind: TransitionKind, old: AgentRecord, new: AgentRecord) -> None:
    """Check that an agent whose steps or time are used up does no more than lie down."""
    if kind not in _PAID or not old.eligibility.is_exhausted:
        return
    before, after = old.eligibility.status, new.eligibility.status
    if kind in _STEPS and (before, after) == (Status.ACTIVE, Status.DORMANT):
        return
    name = next(
        n for n in RUNNING if n in old.eligibility.budgets and not old.eligibility.budgets[n].left
    )
    problem = f"no {kind}: its {name} are used up, and its last step lays an agent to rest"
    raise Rejected(problem, reason="over-budget", where=f"eligibility.budgets.{name}")


def _find_miscounted(kind: TransitionKind, new: AgentRecord, due: AgentRecord) -> None:
    """Raise for the first budget that is not charged as it must be."""
    for name, budget in due.eligibility.budgets.items():
        stated, where = new.eligibility.budgets[name].spent, f"eligibility.budgets.{name}"
        if budget.spent > budget.limit:
            problem = f"{kind} needs {budget.spent} of {name} spent, the limit is {budget.limit}"
            raise Rejected(problem, reason="over-budget", where=where)
        if stated != budget.spent:
            problem = f"{kind} says that {stated} of {name} are spent, and {budget.spent} are"
            raise Rejected(problem, reason="miscounted", where=where)
    where = "eligibility.uncharged_since_ms"
    problem = f"{kind} charges time from another moment on than its own"
    raise Rejected(problem, reason="miscounted", where=where)
