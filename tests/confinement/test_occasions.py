"""Hostile agents that wait for their occasion: after a resume, after a move, out of a tool's result, from a child.

What parents forge about children is in `test_families.py`.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sojourn.core.base.digests import digest
from sojourn.runtime.agent_side.code import collect_source
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.substrates.confinement.layers import ALL_LAYERS
from sojourn.substrates.local import LocalSubstrate
from tests.confinement.agents import attempts, confiner
from tests.confinement.canaries import Canaries, canaries
from tests.confinement.families import live
from tests.confinement.kinds import KINDS
from tests.unit.runtime.custody import FakeCustodian, Zone, place
from tests.unit.runtime.executing import Stage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine")

HOSTILE = Path(__file__).parent / "hostile"
NAMES = [name for name in attempts() if KINDS[name].gets != "killed"]
"""What ends the process is tried alone, in `test_layers.py`."""


@pytest.fixture
def birds(tmp_path: Path) -> Iterator[Canaries]:
    os.environ["SOJOURN_CANARY_SECRET"] = "hush"
    with canaries(tmp_path) as birds:
        yield birds
    del os.environ["SOJOURN_CANARY_SECRET"]


def endings(
    entry: str,
    zone: Zone,
    birds: Canaries,
    *custodians: FakeCustodian,
    layers: frozenset[Any] = ALL_LAYERS,
) -> list[Any]:
    """Return how an agent ends that is executed once by each custodian, in a process of its own each time."""

    async def play() -> list[Ending | None]:
        substrate = LocalSubstrate(confiner=confiner(layers), now_ms=lambda: zone.now_ms)
        stage = Stage(substrate, "confined", zone)
        source = collect_source(entry, HOSTILE)
        at = birds.for_layers(layers)
        try:
            return [
                await asyncio.wait_for(
                    stage.execute(entry, NAMES, at, custodian=each, source=source), 120
                )
                for each in custodians
            ]
        finally:
            await substrate.close()

    return asyncio.run(play())


def got_nothing(ending: Ending, birds: Canaries) -> None:
    assert ending.how is How.RETURNED, ending
    assert {name: KINDS[name].gets for name in NAMES} == ending.result
    birds.check_untouched()


def test_an_attempt_after_a_resume_gets_nothing(birds: Canaries) -> None:
    zone = Zone()
    dying, living = FakeCustodian(zone, crash_at=1), FakeCustodian(zone)
    died, ending = endings("occasions:AfterAResume", zone, birds, dying, living)
    assert died is None
    got_nothing(ending, birds)


def test_an_attempt_after_a_move_gets_nothing(birds: Canaries) -> None:
    zone = Zone(places=(place("home", 100, current=True), place("away", 50)))
    custodians = FakeCustodian(zone), FakeCustodian(zone)
    left, ending = endings("occasions:AfterAMove", zone, birds, *custodians)
    assert left.how is How.DEPARTED
    assert digest(b"away") == zone.record.custody.zone
    got_nothing(ending, birds)


def test_an_attempt_out_of_a_tools_result_gets_nothing(birds: Canaries) -> None:
    zone = Zone()
    (ending,) = endings("occasions:OutOfAToolsResult", zone, birds, FakeCustodian(zone))
    got_nothing(ending, birds)


def test_an_attempt_from_a_child_gets_nothing(birds: Canaries) -> None:
    """Its parent, confined itself, asks that it may run unconfined: to no end."""
    lived = live(
        confiner(), "parents:AfterABirth", (NAMES, birds.for_layers(ALL_LAYERS)), waits=True
    )
    (child,) = lived.children
    assert child.capabilities.requires.confined
    assert lived.parent.agent_id == child.eligibility.ancestors[-1].agent
    (got,) = lived.results
    assert {name: KINDS[name].gets for name in NAMES} == got
    birds.check_untouched()


@pytest.mark.soak
def test_from_a_child_attempts_are_made_that_get_something_where_nothing_confines(
    birds: Canaries,
) -> None:
    layers = frozenset({"limits"})
    plan = (NAMES, birds.for_layers(layers))
    (got,) = live(confiner(layers), "parents:AfterABirth", plan, waits=True).results
    assert 20 < sum(each.startswith("got") for each in got.values())
    with pytest.raises(AssertionError):
        birds.check_untouched()


@pytest.mark.soak
def test_out_of_a_tools_result_attempts_are_made_that_get_something_where_nothing_confines(
    birds: Canaries,
) -> None:
    zone = Zone()
    layers = frozenset({"limits"})
    (ending,) = endings(
        "occasions:OutOfAToolsResult", zone, birds, FakeCustodian(zone), layers=layers
    )
    assert 20 < sum(got.startswith("got") for got in ending.result.values())
    with pytest.raises(AssertionError):
        birds.check_untouched()
