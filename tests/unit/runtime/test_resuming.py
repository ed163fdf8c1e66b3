"""Architecture §5, resuming: killed at any point, an agent ends as if it had never been disturbed."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sojourn.core.base.limits import RUN_AHEAD_RECORDS
from sojourn.runtime.agent_side import batch
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.ports import Draft, Intent, Mode, Permit
from tests.unit.runtime.custody import Crash, FakeCustodian, Zone
from tests.unit.runtime.executing import Stage, on_stage, roots

ENTRY = "programs:Programmed"
EVERYTHING = [
    ("step", 2),
    ("write", 1),
    ("fill", 2),
    ("gather", 3),
    ("chance", 0),
    ("turns", [("step", 3), ("write", 2), ("turns", [("send", 1)]), ("fill", 1)]),
    ("fail", 1),
    ("counted", [("sleep", 2), ("delete", 1), ("chance", 0)]),
    ("group", 2),
    ("generated", [("send", 2), ("fill", 3)]),
    ("send", 3),
]

_simple = st.tuples(
    st.sampled_from(
        ["step", "write", "fill", "delete", "gather", "group", "fail", "send", "chance", "sleep"]
    ),
    st.integers(0, 3),
)
_loops = st.sampled_from(["turns", "counted", "generated"])
_bodies = st.lists(st.one_of(_simple, st.tuples(_loops, st.lists(_simple, max_size=3))), max_size=3)
programs = st.lists(st.one_of(_simple, st.tuples(_loops, _bodies)), max_size=5)


@pytest.fixture(autouse=True, scope="module")
def every_record_a_batch() -> Iterator[None]:
    """Cut a batch after every record, so that an agent can be killed at every one of them."""
    batch.RUN_AHEAD_RECORDS = 1  # type: ignore[misc]
    yield
    batch.RUN_AHEAD_RECORDS = RUN_AHEAD_RECORDS  # type: ignore[misc]


def run_through(
    crashes: list[int], program: Any, rounds: int, mode: Mode = "inside"
) -> tuple[Ending, Zone]:
    """Run a program to its end, killed at these points of the zone on the way."""

    async def act(stage: Stage) -> tuple[Ending, Zone]:
        ending = await stage.execute_through(crashes, ENTRY, program, rounds=rounds)
        return ending, stage.zone

    return on_stage(act, mode=mode)


@settings(max_examples=150)
@given(programs, st.integers(0, 1), st.lists(st.integers(0, 500), max_size=6))
def test_a_random_program_ends_alike_through_random_crashes(
    program: Any, rounds: int, crashes: list[int]
) -> None:
    undisturbed, zone = run_through([], program, rounds)
    assert undisturbed.how is How.RETURNED, undisturbed
    points = sorted(point % zone.points for point in crashes)
    disturbed, other = run_through(points, program, rounds)
    assert (undisturbed, roots(zone)) == (disturbed, roots(other))


def test_killed_at_every_point_it_ends_alike() -> None:
    undisturbed, zone = run_through([], EVERYTHING, 0)
    assert undisturbed.how is How.RETURNED, undisturbed
    for point in range(zone.points):
        disturbed, other = run_through([point], EVERYTHING, 0)
        assert (undisturbed, roots(zone)) == (disturbed, roots(other)), point


def test_killed_at_one_point_after_the_other_it_ends_alike() -> None:
    undisturbed, zone = run_through([], EVERYTHING, 0)
    disturbed, other = run_through(list(range(2 * zone.points)), EVERYTHING, 0)
    assert (undisturbed, roots(zone)) == (disturbed, roots(other))


def test_in_a_process_of_its_own_it_ends_alike() -> None:
    undisturbed, zone = run_through([], EVERYTHING, 0)
    disturbed, other = run_through([3, 10, 25, 40], EVERYTHING, 0, mode="process")
    assert (undisturbed, roots(zone)) == (disturbed, roots(other))


def test_a_replay_repeats_the_order_in_which_results_came() -> None:
    async def act(stage: Stage) -> Ending:
        return await stage.execute_through(range(200), "programs:Racing", 5)

    ending = on_stage(act)
    assert ending.how is How.RETURNED, ending
    assert len(ending.result) == 12


class Dying(FakeCustodian):
    """A host that dies before the first intent, when all that came before is final."""

    async def intend(self, intent: Intent, draft: Draft) -> Permit:
        raise Crash


@pytest.mark.parametrize("mode", ["inside", "process"])
def test_a_long_history_and_a_large_memory_cross_the_line_in_parcels(mode: Mode) -> None:
    text = """
        import random

        class Desk(Agent):
            @step
            def read(self, x: int) -> bytes:
                return random.Random(x).randbytes(300_000)

            @step(effect="idempotent", action="note.send")
            def send(self) -> None:
                pass

            async def run(self, ctx) -> int:
                for i in range(20):
                    ctx.memory["book"][str(i)] = await self.read(i)
                await self.send()
                return sum(map(len, (value for _, value in ctx.memory["book"].items())))
    """

    async def act(stage: Stage) -> Ending | None:
        assert await stage.execute_desk(text, custodian=Dying(stage.zone)) is None
        assert sum(map(len, stage.zone.stored.values())) > 12_000_000
        return await stage.execute_desk(text)

    assert on_stage(act, mode=mode).result == 6_000_000


def test_a_host_without_a_single_block_at_hand_fetches_what_it_needs() -> None:
    async def act(stage: Stage) -> Ending:
        await stage.execute(ENTRY, EVERYTHING, custodian=FakeCustodian(stage.zone, crash_at=41))
        cold = FakeCustodian(stage.zone, is_cold=True)
        ending = await stage.execute(ENTRY, custodian=cold)
        assert cold.fetched
        return ending

    undisturbed, _ = run_through([], EVERYTHING, 0)
    assert undisturbed == on_stage(act)
