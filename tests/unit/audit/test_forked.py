"""A fork: its report says what it was made from and by whom, and claims nothing that its origin did."""

import io
from pathlib import Path

import pytest

from sojourn.audit.deriving import derive
from sojourn.audit.evidence import read_evidence
from sojourn.audit.page import render_page
from sojourn.audit.verifying import check_report, to_json
from sojourn.core.base.digests import cid_text
from sojourn.runtime.records import Intended
from sojourn.testing import simulate
from sojourn.testing.founding import ISSUER
from tests.unit.audit.scene import exported

CODE = """
from sojourn import Agent, Context, step


class Clerk(Agent):
    @step(effect="idempotent", action="book.enter")
    def enter(self, number: int) -> int:
        return number

    async def run(self, ctx: Context) -> str:
        for number in range(4):
            await self.enter(number)
            await ctx.sleep(1)
        return "done"
"""


@pytest.mark.parametrize("with_history", [True, False])
def test_section_8_17_a_report_on_a_fork_says_what_it_was_made_from(
    tmp_path: Path, *, with_history: bool
) -> None:
    (tmp_path / "clerk.py").write_text(CODE)
    with simulate(seed=1) as world:
        agent = world.launch("clerk:Clerk", world.zone("a", anchors=1), folder=tmp_path)
        agent.wait(lambda it: len(it.performed("enter")) == 2, "has entered two")
        agent.rests()
        at = agent.version
        fork = world.fork(agent, at)
        fork.result()
        told = [each.key for each in fork.journal() if isinstance(each, Intended)]
        evidence = read_evidence(io.BytesIO(exported(world, fork, with_history=with_history)))
    report = derive(evidence)
    [origin] = report.family
    assert ("origin", cid_text(agent.id), at) == (origin.relation, origin.agent, origin.version)
    assert (ISSUER.public.hex(),) == origin.authorised_by
    assert [] == check_report(to_json(report), evidence)[1]
    entered = [each.key for each in report.actions if each.action == "book.enter"]
    own = [key for key in told if key.startswith(cid_text(fork.id))]
    assert (4, 2) == (len(told), len(own))
    assert own == entered
    assert f"forked by {ISSUER.public.hex()}" in render_page(report)


FAMILY = """
from sojourn import Agent, Context


class Child(Agent):
    async def run(self, ctx: Context) -> str:
        await ctx.sleep(5)
        return "done"


class Parent(Agent):
    async def run(self, ctx: Context) -> str:
        await ctx.spawn(Child)
        await ctx.sleep(60)
        return "done"
"""


@pytest.mark.parametrize("with_history", [True, False])
def test_section_8_17_a_report_on_a_fork_of_a_child_proves_whom_it_descends_from(
    tmp_path: Path, *, with_history: bool
) -> None:
    (tmp_path / "family.py").write_text(FAMILY)
    with simulate(seed=2) as world:
        agent = world.launch("family:Parent", world.zone("a", anchors=1), folder=tmp_path)
        agent.wait(lambda it: it.children(), "has a child")
        [child] = agent.children()
        child.rests()
        fork = world.fork(child, child.version)
        fork.result()
        evidence = read_evidence(io.BytesIO(exported(world, fork, with_history=with_history)))
    report = derive(evidence)
    origin, ancestor = report.family
    assert ("origin", cid_text(child.id)) == (origin.relation, origin.agent)
    assert ("ancestor", cid_text(agent.id)) == (ancestor.relation, ancestor.agent)
    assert (ISSUER.public.hex(),) == origin.authorised_by
    assert "launch" in [each.action for each in report.actions]
    assert [] == check_report(to_json(report), evidence)[1]
