"""The journal of an agent of simulated zones, replayed in a test against its code, and against changed code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sojourn import Agent, Context
from sojourn.core.base.errors import Misused, Rejected
from sojourn.runtime.records import Outcome
from sojourn.testing import LaunchedAgent, ReplayMismatch, World, replay, simulate
from tests.unit.audit.scene import exported
from tests.unit.testing.actors import Desk, Petitioner, Sleeper

MEMORY: Mapping[str, Any] = {"book": {}, "unsure": None}


def launched(world: World, agent: type[Agent], **options: Any) -> LaunchedAgent:
    world.stand_in("place", lambda amount: amount + 1)
    world.stand_in("pay", lambda amount: None)
    return world.launch(agent, world.zone("a"), **options)


@pytest.fixture(scope="module")
def ended() -> bytes:
    """Return the capsule of a desk that has ended."""
    with simulate(seed=3) as world:
        agent = launched(world, Desk, memory=MEMORY)
        assert [] == agent.result()
        return exported(world, agent, with_history=False)


@pytest.fixture(scope="module")
def resting() -> bytes:
    """Return the capsule of a sleeper that sleeps."""
    with simulate(seed=4) as world:
        agent = launched(world, Sleeper)
        agent.rests()
        return exported(world, agent, with_history=False)


def test_the_code_that_wrote_a_journal_repeats_it(ended: bytes, resting: bytes) -> None:
    replayed = replay(ended, Desk)
    assert [] == replayed.result
    assert replayed.failure is None
    last_turn = [each.step for each in replayed.records if isinstance(each, Outcome)]
    assert [] == last_turn, "a resume replays nothing from before the last restart point"
    assert ["sleeping", "now"] == sorted(
        (type(each).__name__.lower() for each in replay(resting, Sleeper).records), reverse=True
    )


def test_a_file_is_as_good_as_its_bytes(ended: bytes, tmp_path: Path) -> None:
    file = tmp_path / "desk.capsule"
    file.write_bytes(ended)
    assert replay(ended, Desk).records == replay(file, Desk).records
    folder = Path(__file__).parent
    assert [] == replay(file, "actors:Desk", folder=folder).result


class Early(Sleeper):
    """Sleeps before it looks at the clock."""

    async def run(self, ctx: Context) -> list[Any]:
        await ctx.sleep(5)
        return []


class Hasty(Sleeper):
    """Does not sleep at all."""

    async def run(self, ctx: Context) -> list[Any]:
        ctx.now()
        return []


class Greedy(Desk):
    """Returns something else."""

    async def run(self, ctx: Context, orders: int = 3) -> list[int]:
        return [*await super().run(ctx, orders), 7]


class Forger(Desk):
    """Writes something else at its end."""

    async def run(self, ctx: Context, orders: int = 3) -> list[int]:
        unsure = await super().run(ctx, orders)
        ctx.memory["book"]["forged"] = 1
        return unsure


def test_code_that_has_changed_parts_from_it_where_it_is_shown(
    ended: bytes, resting: bytes
) -> None:
    with pytest.raises(
        ReplayMismatch, match=r"journal  now of call 0\n  then .*\n  code     sleeping of call 0"
    ):
        replay(resting, Early)
    with pytest.raises(
        ReplayMismatch, match="journal  sleeping of call 1\n  code     run returned"
    ):
        replay(resting, Hasty)
    with pytest.raises(ReplayMismatch, match=r"journal  returned\n  code     run returned \[7\]"):
        replay(ended, Greedy)
    with pytest.raises(
        ReplayMismatch, match=r"run returned \[\], with another content of memory: book"
    ):
        replay(ended, Forger)
    with pytest.raises(ReplayMismatch, match="code     call 0: step pay"):
        replay(ended, Petitioner)


def test_what_is_no_capsule_is_said_to_be_none(ended: bytes, tmp_path: Path) -> None:
    with pytest.raises(Rejected):
        replay(ended[:-1], Desk)
    with pytest.raises(Rejected):
        replay(b"", Desk)
    with pytest.raises(Misused, match="cannot be read: No such file"):
        replay(tmp_path / "nothing", Desk)
    with pytest.raises(Misused, match="is no agent"):
        replay(ended, int)  # type: ignore[arg-type]
