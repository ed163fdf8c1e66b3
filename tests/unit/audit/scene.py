"""A life to audit: an agent that acts, is denied, leaves data behind, is ordered about, and may not go everywhere."""

import io
import tempfile
from functools import cache
from pathlib import Path

from sojourn.audit.drill import drill
from sojourn.audit.evidence import Evidence, read_evidence
from sojourn.audit.report import Drill
from sojourn.cli.exporting import write_capsule
from sojourn.cli.finding import Found
from sojourn.cli.home import Home
from sojourn.cli.reach import Reach
from sojourn.core.protocol.gossip import News
from sojourn.testing import World, simulate
from sojourn.testing.agents import LaunchedAgent
from sojourn.testing.founding import Keep
from tests.unit.audit.desks import Census, Desk

POLICY = """
@id("what it does")
permit (principal, action, resource);
@id("orders stand")
forbid (principal, action == Action::"order.cancel", resource);
@id("not to Singapore")
forbid (principal, action == Action::"travel", resource)
when { resource.jurisdiction.contains("SG") };
"""
BOOK = Keep(values={"S&P 500": 1}, labels=("client-confidential",), residency=("EU",))
HISTORIES = Keep(values=[1.5], labels=("market-data",))


@cache
def life() -> tuple[bytes, bytes, News]:
    """Return the agent's capsule with what was decided, the same without, and what is known of places."""
    with simulate(seed=5) as world:
        home = world.zone("a", anchors=4, hosts=2)
        world.zone("b", anchors=1, jurisdiction=("US",))
        world.zone("c", anchors=1, jurisdiction=("SG",))
        memory = {"book": BOOK, "histories": HISTORIES, "done": None, "plan": {"route": ["b"]}}
        agent = world.launch(Desk, home, memory=memory, policy=POLICY)
        world.run_until(lambda: len(agent.performed("place")) == 2, "an order in b")
        world.run(5)
        world.order(agent, "suspend")
        world.order(agent, "resume")
        world.run(2)
        whole, lean = (exported(world, agent, with_history=each) for each in (True, False))
        reach = Reach(world._person.pool)
        news = world.perform(lambda: reach.news(agent.zone.manifest), "ask of places")
        return whole, lean, news


@cache
def count() -> tuple[Evidence, Evidence]:
    """Return what an agent's capsules prove that has used what is confidential: there, and when it has left that."""
    with simulate(seed=6) as world:
        home = world.zone("a", anchors=1, hosts=2)
        world.zone("b", anchors=1, jurisdiction=("US",))
        memory = {"book": BOOK, "done": [], "plan": {"route": ["b"]}}
        agent = world.launch(Census, home, memory=memory, policy=POLICY)
        world.run_until(lambda: agent.performed("total"), "a sum")
        world.run(5)
        there = exported(world, agent, with_history=True)
        world.run_until(lambda: agent.zone.name == "b", "it has left")
        world.run(5)
        left = exported(world, agent, with_history=True)
        return read_evidence(io.BytesIO(there)), read_evidence(io.BytesIO(left))


def exported(world: World, agent: LaunchedAgent, *, with_history: bool) -> bytes:
    """Return the agent's capsule, as the command line has it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "agent.car"
        found = Found(agent.head, agent.zone.founded.signed)
        reach, home = Reach(world._person.pool), Home(Path(folder))
        known = {zone.founded.signed for zone in world.zones()}
        for signed in known:
            home.keep_manifest(signed)
        world.perform(
            lambda: write_capsule(reach, home, found, file, with_history=with_history), "export it"
        )
        return file.read_bytes()


@cache
def evidence() -> Evidence:
    """Return what the whole capsule proves."""
    return read_evidence(io.BytesIO(life()[0]))


@cache
def lean_evidence() -> Evidence:
    """Return what the capsule without history proves."""
    return read_evidence(io.BytesIO(life()[1]))


@cache
def drilled() -> Drill:
    """Return the exit drill."""
    return drill(evidence(), life()[2])
