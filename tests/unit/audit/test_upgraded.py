"""An agent that was given other code: the report says whose code it had when, and by whose order."""

import io
from pathlib import Path

from sojourn.audit.deriving import derive
from sojourn.audit.evidence import read_evidence
from sojourn.audit.verifying import check_report, to_json
from sojourn.core.base.digests import cid_text
from sojourn.testing import simulate
from sojourn.testing.founding import ISSUER
from tests.unit.audit.scene import exported

CODE = """
from sojourn import Agent, Context


class Clerk(Agent):
    async def run(self, ctx: Context) -> str:
        async for _ in ctx.turns(range(4)):
            await ctx.sleep(1)
        return "old"
"""


def test_section_8_16_code_is_registered_with_who_ordered_it(tmp_path: Path) -> None:
    for name, text in (("first", CODE), ("next", CODE.replace('"old"', '"new"'))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "clerk.py").write_text(text)
    with simulate(seed=1) as world:
        agent = world.launch("clerk:Clerk", world.zone("a", anchors=1), folder=tmp_path / "first")
        born = agent.record.capabilities.code
        agent.advances(by=4)
        named = world.upgrade(agent, "clerk:Clerk", folder=tmp_path / "next")
        assert "new" == agent.result()
        evidence = read_evidence(io.BytesIO(exported(world, agent, with_history=True)))
    report = derive(evidence)
    first, second = report.publishers
    assert [cid_text(born), cid_text(named)] == [first.code, second.code]
    assert (ISSUER.public.hex(),) == first.sealed_by == second.sealed_by
    assert second.line.startswith("publisher-v")
    assert [] == check_report(to_json(report), evidence)[1]
