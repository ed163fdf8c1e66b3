"""What a proposal follows and when it was made, with and without a lock under it (protocol §4; §3 rule 6)."""

import pytest
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Refused, Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.base.seals import Role
from sojourn.core.protocol.messages import Proposal
from sojourn.core.protocol.missing import Missing
from sojourn.core.protocol.validate import check_proposal
from tests.rulings import World
from tests.unit.core.protocol.asking import resealed


class Stepping:
    """An agent at home in one zone, and a step that its host proposes."""

    def __init__(self) -> None:
        world = World("a")
        [self.a] = world.zones
        self.head = world.launch(self.a)
        self.step = world.step_proposal(self.a, self.head)
        self.memory = replace(self.head.record.memory, journal=digest(b"not here"))
        self.further = world.step_proposal(self.a, self.head, memory=self.memory)

    def check(self, proposal: Proposal, *, is_locked: bool = False) -> None:
        """Have an anchor that has its lease judge a proposal."""
        anchor, slot = self.a.anchors[0], self.a.slot(proposal, self.head)
        check_proposal(
            anchor.dossier(slot.agent), proposal, slot, anchor.view(), is_locked=is_locked
        )

    def changed(self, **changes: object) -> Proposal:
        """Return the step with its transition changed, under its host's seal."""
        return resealed(self.step, self.a.hosts[0], role=Role.HOST, **changes)


@pytest.mark.parametrize("sign", [-1, 1])
def test_rule_6_clocks_may_differ_by_so_much_and_do_not_count_under_a_lock(sign: int) -> None:
    s = Stepping()
    at_ms = s.step.transition.at_ms
    s.check(s.changed(at_ms=at_ms + sign * CLOCK_SKEW_MS))
    too_far = s.changed(at_ms=at_ms + sign * (CLOCK_SKEW_MS + 1))
    with pytest.raises(Refused):
        s.check(too_far)
    s.check(too_far, is_locked=True)


@pytest.mark.parametrize("is_locked", [False, True])
def test_section_4_the_parent_that_was_sealed_is_the_head_here(is_locked: bool) -> None:
    """Its record names the head; what its author put their seal to names another."""
    s = Stepping()
    other = s.changed(parent=digest(b"another head"))
    assert s.head.record.digest == other.transition.record.parent
    with pytest.raises(Rejected) as caught:
        s.check(other, is_locked=is_locked)
    assert ("wrong-parent", "transition.parent") == (caught.value.reason, caught.value.where)


@pytest.mark.parametrize("is_locked", [False, True])
def test_trap_23_a_locked_value_is_not_voted_for_without_its_blocks_either(is_locked: bool) -> None:
    s = Stepping()
    s.check(s.step, is_locked=is_locked)
    with pytest.raises(Missing) as lacking:
        s.check(s.further, is_locked=is_locked)
    assert ("blocks", (s.memory.journal,)) == (lacking.value.what, lacking.value.digests)
