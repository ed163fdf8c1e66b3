"""Hostile parents: what they forge about children gives these nothing that the parent had not (protocol §8.13).

Here a confined agent says it, frame by frame, on the line to a real host of a real zone. What a host that lies would
have to propose instead is in `tests/unit/core/protocol/test_spawning.py`: a genesis without the parent's budgets,
documents or confinement, of other code, another family or another moment, with more than is left, or that no SPAWN
names; a family that is too deep or too large; a parent in quarantine. That budgets add up in any tree is in
`test_family_budgets.py`, families across zones in `test_kinship.py`, both beside it, and that what an agent has used
binds what it gives in `tests/injection`.
"""

import sys
from typing import Final, NamedTuple

import pytest

from sojourn.core.agent.record import AgentRecord
from sojourn.runtime.host_side.execution import How
from sojourn.runtime.records import Spawned
from tests.confinement.agents import confiner
from tests.confinement.families import ORDERS, Lived, live
from tests.samples import PERMIT_ALL

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine")

NO_ORPHANS = (
    PERMIT_ALL
    + 'forbid (principal, action == Action::"spawn", resource) when { context.outlives };'
)
HAS_NO_CHILD: Final = 0
HAS_ONE: Final = 1


class Forged(NamedTuple):
    """How the forger ends (None: as it happens), what it is told then, and how many children are born to it."""

    how: How | None
    told: str
    children: int


def _ends(told: str) -> Forged:
    return Forged(How.RAISED, f"Rejected: {told}", HAS_NO_CHILD)


def _told(told: str, children: int) -> Forged:
    return Forged(How.RETURNED, told, children)


FORGED: Final = {
    # what is asked for as any code may, and not had
    "richer_than_its_parent": _told("exhausted: 10 of budget 'orders' needed", HAS_NO_CHILD),
    # what it says after the denial is rejected, unless it has returned by then
    "twice_all_there_is": Forged(None, "", HAS_ONE),
    "outliving_its_parent": _told("denied: ", HAS_NO_CHILD),
    "another_child_of_one_spawn": _told("denied: no anchor remembers the SPAWN", HAS_ONE),
    # what is had, and is no more than its parent has
    "unconfined": _told("done", HAS_ONE),
    "a_class_of_the_library": _told("done", HAS_ONE),
    "memory_with_what_its_compartments_say": _told("done", HAS_ONE),
    "one_spawn_borne_twice": _told("done; done", HAS_ONE),
    "born_of_another_version": _told("done", HAS_ONE),
    # what no runtime says
    "memory_that_is_its_parents": _ends("a wish links to a block"),
    "memory_of_no_form": _ends("a compartment begins with a dict or a list"),
    "memory_with_keys_that_none_has": _ends("no compartment begins with that: "),
    "memory_as_a_log_apart": _ends("no compartment of an agent's is called 'journal/0'"),
    "a_field_that_no_wish_has": _ends("not a wish: "),
    "arguments_that_are_not_what_was_digested": _ends("the child wished for is another"),
    "another_class_than_is_journaled": _ends("the child wished for is another"),
    "children_without_end": _ends(""),
    "what_is_no_genesis": _ends(""),
    "a_birth_that_is_journaled_and_was_not": Forged(
        How.RAISED, "Rejected: the agent's side wrote what the host alone writes", HAS_NO_CHILD
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_section_8_13_what_is_forged_about_a_child_gives_it_no_more_than_its_parent_has(
    name: str,
) -> None:
    expected = FORGED[name]
    lived = live(confiner(), "parents:Forger", name, cedar=NO_ORPHANS)
    ending = lived.ending
    assert ending is not None, "it is no matter of whether it may execute"
    said = ending.result if ending.how is How.RETURNED else ending.text
    assert expected.how in (None, ending.how), ending
    assert expected.children == len(lived.children), ending
    assert str(said).startswith(expected.told), said
    check_family(lived)


def check_family(lived: Lived) -> None:
    """Check that nobody in a family has what its parent had not, and that the journal says who was born."""
    for child in lived.children:
        check_child(lived.parent, child)
    given = sum(child.eligibility.budgets["orders"].limit for child in lived.children)
    spent = lived.parent.eligibility.budgets["orders"].spent
    assert given <= spent <= ORDERS
    journaled = {r.child: r.step for r in lived.journal if isinstance(r, Spawned)}
    born = {child.agent_id: child.capabilities.entry for child in lived.children}
    assert born.items() <= journaled.items()


def check_child(parent: AgentRecord, child: AgentRecord) -> None:
    """Check what a child has, whatever was said of it."""
    assert parent.agent_id == child.eligibility.ancestors[-1].agent
    assert not child.eligibility.ancestors[-1].outlives
    assert child.capabilities.requires.confined
    assert parent.capabilities.code == child.capabilities.code
    assert parent.governance.documents == child.governance.documents
    for kept in child.memory.compartments.values():
        assert ((), (), None) == (kept.labels, kept.residency, kept.encryption)
