"""Budgets in families (protocol §2): whatever tree of children is made, all of it has what officers granted."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.agent import budgets
from sojourn.core.agent.budgets import charged, check_transition, spend
from sojourn.core.agent.eligibility import Budget, Eligibility, Status
from sojourn.core.agent.memory.field import Memory
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Denied, Rejected
from sojourn.core.protocol.admission import child as next_version
from sojourn.core.protocol.spawning import Gift, begotten, spawned
from tests.samples import found, genesis
from tests.unit.core.agent.records import slot_of

HOME = found("home")
LIMITS = {"steps": 100, "cost_micros": 1_000, "tasks": 7}
Moves = list[tuple[int, bool, dict[str, int]]]


def launched() -> AgentRecord:
    eligibility = Eligibility(
        status=Status.ACTIVE, budgets={name: Budget(limit=limit) for name, limit in LIMITS.items()}
    )
    born = genesis(HOME, eligibility=eligibility).transition.record
    host = HOME.hosts[0].public
    return next_version(born, slot_of(born), custody=replace(born.custody, binding=1, host=host))


class Tree:
    """A family, and what its members' steps have used up."""

    def __init__(self) -> None:
        self.members = [launched()]
        self.used = dict.fromkeys(LIMITS, 0)

    def grow(self, moves: Moves) -> "Tree":
        """Make moves: each time a member spawns or spends, as far as it is let."""
        for number, (who, spawns, amounts) in enumerate(moves):
            index = who % len(self.members)
            try:
                self._move(index, amounts, number, spawns=spawns)
            except (Rejected, Denied):
                continue
        return self

    def _move(self, index: int, amounts: Mapping[str, int], number: int, *, spawns: bool) -> None:
        before = self.members[index]
        if spawns:
            self.members[index], newborn = had(before, amounts, number)
            self.members.append(newborn)
            return
        after = self.members[index] = spent(before, amounts, number)
        for name, budget in after.eligibility.budgets.items():
            self.used[name] += budget.spent - before.eligibility.budgets[name].spent

    def in_all(self, name: str) -> int:
        """Return what was used up of a budget, with what all members have left."""
        left = sum(agent.eligibility.budgets[name].left for agent in self.members)
        return self.used[name] + left


def had(
    parent: AgentRecord, given_to: Mapping[str, int], number: int
) -> tuple[AgentRecord, AgentRecord]:
    """Return a parent after it spawned, as anchors let it, and its child, bound."""
    gift = Gift(entry="agent:Child", budgets=dict(given_to))
    newborn = begotten(parent, gift, Memory(compartments={}), digest(b"proof"))
    memory = replace(parent.memory, journal=digest(str(number).encode()))
    after = spawned(parent, slot_of(parent), newborn, memory)
    declared = {name: budget.limit for name, budget in newborn.eligibility.budgets.items()}
    after = charged(TransitionKind.SPAWN, parent, after, 0, declared)
    check(TransitionKind.SPAWN, parent, after, declared)
    host = HOME.hosts[0].public
    custody = replace(newborn.custody, binding=1, host=host)
    return after, next_version(newborn, slot_of(newborn), custody=custody)


def spent(agent: AgentRecord, amounts: Mapping[str, int], number: int) -> AgentRecord:
    """Return an agent after a step that spent so much."""
    after = next_version(
        agent,
        slot_of(agent),
        memory=replace(agent.memory, journal=digest(str(number).encode())),
        eligibility=replace(agent.eligibility, budgets=spend(agent.eligibility.budgets, amounts)),
    )
    after = charged(TransitionKind.STEP, agent, after, 0)
    check(TransitionKind.STEP, agent, after, {})
    return after


def check(
    kind: TransitionKind, old: AgentRecord, new: AgentRecord, declared: Mapping[str, int]
) -> None:
    made = Transition(
        kind=kind, parent=old.digest, record=new, author=HOME.hosts[0].public, at_ms=0
    )
    check_transition(made, old, slot_of(old), declared)


amounts = st.fixed_dictionaries({name: st.integers(0, 60) for name in LIMITS})
moves = st.lists(st.tuples(st.integers(0, 9), st.booleans(), amounts), max_size=14)


@given(moves)
@settings(max_examples=150, deadline=None)
def test_section_2_a_family_never_has_more_than_was_granted(made: Moves) -> None:
    tree = Tree().grow(made)
    assert {name: tree.in_all(name) for name in LIMITS} == LIMITS
    budgets_of = [b for agent in tree.members for b in agent.eligibility.budgets.values()]
    assert all(budget.spent <= budget.limit for budget in budgets_of)


HALVES: Moves = [(0, True, {"steps": 50}), (1, True, {"steps": 25}), (2, False, {"steps": 10})]


def test_the_plant_that_copies_budgets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given is not charged: so each child makes the family richer."""
    tree = Tree().grow(HALVES)
    assert (len(tree.members), tree.in_all("steps")) == (3, LIMITS["steps"])
    honest: Any = budgets._due

    def copying(kind: TransitionKind, *rest: Any) -> dict[str, int]:
        return {} if kind is TransitionKind.SPAWN else honest(kind, *rest)

    monkeypatch.setattr(budgets, "_due", copying)
    assert Tree().grow(HALVES).in_all("steps") == LIMITS["steps"] + 50 + 25
