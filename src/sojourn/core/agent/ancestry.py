"""Ancestry: what an agent that was spawned has from its parent, and what binds it for good.

Nothing here is more than the parent had. A child is ruled by the documents that rule its parent, all of them, and by
what cools beside them; it relies on whom its parent relies on, and has counted what that has counted; it runs the
same code, wherever in it, and no less confined; its budgets were its parent's, which has spent what it gave away.
What officers order of an ancestor is noted beside what they order of the child, so that neither lifts the other
(protocol §2, §8.13).
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from sojourn.core.agent.eligibility import ACTING, Ancestor, Eligibility, Status
from sojourn.core.agent.governance import Matter
from sojourn.core.agent.orders import MATTERS, Act
from sojourn.core.agent.record import AgentRecord, Custody
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CHILDREN_MAX, SPAWN_DEPTH_MAX

__all__ = [
    "BINDING",
    "ancestors_of_child",
    "carried_out_about",
    "check_ancestors",
    "check_child",
    "check_may_spawn",
    "given",
    "ordered_about",
    "ordered_ms_of",
    "why_unforkable",
]

BINDING: Final[Mapping[Act, Mapping[str, object]]] = {
    Act.SUSPEND: {"is_suspended": True},
    Act.RESUME: {"is_suspended": False},
    Act.QUARANTINE: {"is_quarantined": True},
    Act.LIFT: {"is_quarantined": False},
    Act.RETIRE: {},
    Act.REVOKE: {},
}
"""Acts that bind whoever descends from the agent that they are ordered of, with what they set of the ancestor."""
_SET: Final[Mapping[Matter, frozenset[str]]] = {
    matter: frozenset[str]().union(*(BINDING[act] for act in BINDING if MATTERS[act] is matter))
    for matter in Matter
}
"""What orders of each matter set of an ancestor."""
_ENDING: Final = {Act.RETIRE: Status.RETIRED, Act.REVOKE: Status.REVOKED}


# --- being born --------------------------------------------------------------------------------------


def given(child: AgentRecord) -> dict[str, int]:
    """Return what a child's budgets hold at its birth, by name: its parent has spent that."""
    return {name: budget.limit for name, budget in child.eligibility.budgets.items()}


def ancestors_of_child(parent: AgentRecord, *, outlives: bool) -> tuple[Ancestor, ...]:
    """Return the ancestors that a child of `parent` has.

    One that may outlive its parent may outlive whoever its parent goes with.
    """
    above = (
        msgspec.structs.replace(each, outlives=each.outlives or outlives)
        for each in parent.eligibility.ancestors
    )
    ordered_ms = parent.governance.ordered_ms
    return (*above, Ancestor(agent=parent.agent_id, outlives=outlives, ordered_ms=ordered_ms))


def check_may_spawn(parent: AgentRecord) -> None:
    """Raise `Rejected` if an agent is too deep in its family, or has too many children, to have another."""
    depth, children = len(parent.eligibility.ancestors), parent.eligibility.children
    if depth >= SPAWN_DEPTH_MAX:
        problem = f"it has {depth} ancestors, and a child would have more than {SPAWN_DEPTH_MAX}"
        raise Rejected(problem, reason="too-many", where="eligibility.ancestors")
    if children >= CHILDREN_MAX:
        problem = f"it has had {children} children, and {CHILDREN_MAX} are the limit"
        raise Rejected(problem, reason="too-many", where="eligibility.children")


def check_child(parent: AgentRecord, child: AgentRecord, *, where: str = "child") -> None:
    """Raise `Rejected` unless `child`, a genesis, has nothing that `parent` did not have.

    `parent` is the record that spawned it, with what it gave spent already. Which budgets it was charged, only who
    has the record before can tell (`core.agent.budgets`).
    """
    ancestors = child.eligibility.ancestors
    outlives = bool(ancestors) and ancestors[-1].outlives
    for part, found, expected in (
        ("realm", child.realm, parent.realm),
        ("parent", child.parent, parent.parent),
        ("custody", child.custody, _custody(parent)),
        ("governance", child.governance, msgspec.structs.replace(parent.governance, ordered_ms={})),
        ("trust", child.trust, parent.trust),
        ("eligibility.ancestors", ancestors, ancestors_of_child(parent, outlives=outlives)),
        ("capabilities.code", child.capabilities.code, parent.capabilities.code),
        ("capabilities.publisher", child.capabilities.publisher, parent.capabilities.publisher),
        ("capabilities.vouched", child.capabilities.vouched, parent.capabilities.vouched),
    ):
        if found != expected:
            raise _wider(f"its {part} is not what its parent's gives", f"{where}.{part}")
    if any(each.encryption is not None for each in child.memory.compartments.values()):
        raise _wider(
            "keys are dealt at a launch alone, and its memory names one", f"{where}.memory"
        )
    if parent.capabilities.requires.confined and not child.capabilities.requires.confined:
        raise _wider("its parent requires to be confined", f"{where}.capabilities.requires")
    _check_budgets(parent, child, where)


def _custody(parent: AgentRecord) -> Custody:
    return Custody(zone=parent.custody.zone, term=0, binding=0, host=None)


def _check_budgets(parent: AgentRecord, child: AgentRecord, where: str) -> None:
    budgets = child.eligibility.budgets
    for name, budget in parent.eligibility.budgets.items():
        place = f"{where}.eligibility.budgets.{name}"
        if name not in budgets:
            raise _wider(f"its parent has a budget of {name}, and it has none", place)
        if budgets[name].limit > budget.spent:
            problem = f"it has {budgets[name].limit} of {name}, its parent spent {budget.spent}"
            raise _wider(problem, place)


def _wider(problem: str, where: str) -> Rejected:
    return Rejected(problem, reason="no-child", where=where)


# --- what is ordered of ancestors ---------------------------------------------------------------------


def carried_out_about(
    act: Act, eligibility: Eligibility, ancestor: bytes, issued_ms: int
) -> Eligibility:
    """Return eligibility after what was ordered of an ancestor at `issued_ms` was carried out here as well.

    Raises `Rejected` ("wrong-agent") for an agent that is none, ("bad-status") where it changes nothing: it is so
    already, binds nobody else, or has retired one that this agent may outlive.
    """
    of = next((each for each in eligibility.ancestors if each.agent == ancestor), None)
    if of is None:
        raise Rejected("no ancestor is ordered about", reason="wrong-agent", where="order.agent")
    after = _noted(act, of)
    is_kept = act is Act.RETIRE and of.outlives
    if eligibility.status not in ACTING or is_kept or (act not in _ENDING and after == of):
        problem = f"there is nothing to {act}: the agent is {eligibility.describe()}"
        raise Rejected(problem, reason="bad-status", where="eligibility.status")
    after = msgspec.structs.replace(after, ordered_ms={**of.ordered_ms, MATTERS[act]: issued_ms})
    ancestors = tuple(after if each is of else each for each in eligibility.ancestors)
    changed = msgspec.structs.replace(eligibility, ancestors=ancestors)
    if act in _ENDING:
        return msgspec.structs.replace(changed, status=_ENDING[act], wake=())
    return changed


def _noted(act: Act, ancestor: Ancestor) -> Ancestor:
    return msgspec.structs.replace(ancestor, **BINDING.get(act, {}))


def ordered_about(old: Eligibility, new: Eligibility) -> tuple[Ancestor, Ancestor] | None:
    """Return the ancestor of whom something was ordered from one eligibility to the next, as it was and as it is."""
    pairs = zip(old.ancestors, new.ancestors, strict=False)
    changed = ((before, after) for before, after in pairs if after.ordered_ms != before.ordered_ms)
    return next(changed, None)


def ordered_ms_of(record: AgentRecord, agent: bytes, matter: Matter) -> int | None:
    """Return when the newest order of a matter about `agent` that was carried out on `record` was issued.

    Milliseconds since 1970; None if it is neither the agent itself nor one that it descends from.
    """
    if agent == record.agent_id:
        return record.governance.last_ordered_ms(matter)
    ancestors = (each for each in record.eligibility.ancestors if each.agent == agent)
    return next((each.last_ordered_ms(matter) for each in ancestors), None)


def check_ancestors(old: Eligibility, new: Eligibility) -> None:
    """Raise `Rejected` unless `new`, of any version after `old`, has the same ancestors, and no fewer children.

    What was ordered of one of them changes by later orders of its matter alone.
    """
    where = "eligibility.ancestors"
    if len(old.ancestors) != len(new.ancestors) or new.children < old.children:
        raise Rejected("its family has changed", reason="bad-change", where=where)
    for before, after in zip(old.ancestors, new.ancestors, strict=True):
        if _as_ordered(before, after) != before:
            raise Rejected("its family has changed", reason="bad-change", where=where)
        for matter in before.ordered_ms:
            was_ms, is_ms = before.last_ordered_ms(matter), after.last_ordered_ms(matter)
            if is_ms < was_ms:
                problem = f"an order about {matter} issued at {was_ms} was carried out before one of {is_ms}"
                raise Rejected(problem, reason="rollback", where=where)


def _as_ordered(before: Ancestor, after: Ancestor) -> Ancestor:
    """Return an ancestor as it is `after`, but what orders of other times may have set of it since as it was."""
    matters = {m for m in Matter if before.last_ordered_ms(m) != after.last_ordered_ms(m)}
    kept = {name: getattr(before, name) for matter in matters for name in _SET[matter]}
    return msgspec.structs.replace(after, ordered_ms=before.ordered_ms, **kept)


# --- being forked -------------------------------------------------------------------------------------


def why_unforkable(newest: AgentRecord) -> str:
    """Return why an agent with this newest record is not forked, by what officers ordered; nothing if it may be.

    What was ordered of an ancestor binds a fork as it binds the agent itself (protocol §8.17).
    """
    eligibility = newest.eligibility
    if any(Matter.END in each.ordered_ms for each in eligibility.ancestors):
        return "an agent that it descends from was retired or revoked, and it with that one"
    if eligibility.status is Status.REVOKED:
        return "its officers revoked the agent, and nothing goes on from it"
    if eligibility.is_quarantined:
        return "the agent is in quarantine, and has no forks meanwhile"
    if eligibility.is_alone:
        return "an agent that it descends from is in quarantine, and it has no forks meanwhile"
    return ""
