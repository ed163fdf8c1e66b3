"""Architecture §5, resuming: killed at any point, an agent ends as if it had never been disturbed."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sojourn.runtime import batch
from sojourn.runtime.execution import Ending, How
from sojourn.runtime.ports import Mode
from tests.unit.runtime.custody import FakeCustodian, Zone
from tests.unit.runtime.executing import Stage, on_stage, roots

ENTRY = "programs:Programmed"

commands = st.one_of(
    *(
        st.tuples(st.just(name), st.integers(0, 3))
        for name in ("step", "write", "delete", "gather", "fail", "send", "chance", "sleep")
    )
)
loops = ("turns", "counted", "generated")
bodies = st.lists(commands, max_size=3)
inner = st.one_of(commands, st.tuples(st.sampled_from(loops), bodies))
programs = st.lists(
    st.one_of(commands, st.tuples(st.sampled_from(loops), st.lists(inner, max_size=3))), max_size=5
)


def run_through(crashes: list[int], program: Any, rounds: int, mode: Mode = "inside") -> tuple[Ending, Zone]:
    async def act(stage: Stage) -> tuple[Ending, Zone]:
        ending = await stage.execute_through(crashes, ENTRY, program, rounds=rounds)
        return ending, stage.zone

    return on_stage(act, mode=mode)


@pytest.fixture(autouse=True)
def every_record_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut a batch after every record, so that every one of them is a point to be killed at."""
    monkeypatch.setattr(batch, "RUN_AHEAD_RECORDS", 1)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(programs, st.integers(0, 1), st.lists(st.integers(0, 400), max_size=5))
def test_a_random_program_ends_alike_through_random_crashes(program: Any, rounds: int, crashes: list[int]) -> None:
    undisturbed, zone = run_through([], program, rounds)
    assert undisturbed.how is How.RETURNED, undisturbed
    points = zone.points
    disturbed, other = run_through([point % points for point in sorted(crashes)], program, rounds)
    assert (undisturbed, roots(zone)) == (disturbed, roots(other))
