"""The demo's claim: whatever is moved and killed on the way, the figures are those of an undisturbed run.

Real processes, real kills. A seed says when an anchor and the running host are killed, and where; the two runs
are compared byte for byte: every estimate, and what the agent returned.
"""

import asyncio
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from sojourn.cli.home import Home
from sojourn.cli.reach import reaching
from sojourn.cli.showing.evidence import journal_of, values_of
from sojourn.cli.showing.follow import Follower
from sojourn.cli.showing.show import AGENT_FILE, Shown, play_through
from sojourn.core.base.encoding import encode_block
from sojourn.demo.schedule import Schedule, parse_schedule
from sojourn.runtime.records import Returned

WINDOWS = 390
"""So many that the agent hears of each price before the next, and is not done then: word of one takes seconds."""
_ZONE = """
[[zone]]
name = "{name}"
provider = "{provider}"
region = "{region}"
anchors = {anchors}
hosts = {hosts}
capacity = 8
"""
_MOVE = """
[[change]]
after_windows = {after}
zone = "{zone}"
price_factor = {factor}
why = "so that the agent moves there"
"""
_KILL = """
[[change]]
after_windows = {after}
kill = "{what}"
{anchor}
why = "seed {seed}"
"""


def agent_file(folder: Path) -> Path:
    """Return the risk desk's file, with shorter windows, and fewer days of work."""
    copy = folder / "agent"
    shutil.copytree(AGENT_FILE.parent, copy)
    file = copy / AGENT_FILE.name
    text = file.read_text()
    assert "days = 5_030" in text
    assert "refit_days = 20" in text
    text = text.replace("days = 5_030", f"days = {1000 + 10 * WINDOWS}")
    file.write_text(text.replace("refit_days = 20", "refit_days = 10"))
    return file


def disturbed(seed: int) -> Schedule:
    """Return a schedule of three zones in which the agent moves three times and two processes are killed."""
    chance = random.Random(seed)
    text = 'title = "seed"\nhome = "dublin"\n'
    for name, provider, region in (
        ("dublin", "aws", "eu-west-1"),
        ("amsterdam", "azure", "westeurope"),
        ("frankfurt", "aws", "eu-central-1"),
    ):
        text += _ZONE.format(name=name, provider=provider, region=region, anchors=4, hosts=2)
    for after, zone, factor in (
        (10, "amsterdam", 0.6),
        (140, "frankfurt", 0.3),
        (270, "dublin", 0.1),
    ):
        text += _MOVE.format(after=after, zone=zone, factor=factor)
    anchor = f"anchor = {chance.randrange(4)}"
    kills = [(chance.randrange(2, 360), "anchor", anchor), (chance.randrange(2, 360), "host", "")]
    for after, what, which in kills:
        text += _KILL.format(after=after, what=what, anchor=which, seed=seed)
    return parse_schedule(text, name=f"seed-{seed}")


def undisturbed() -> Schedule:
    """Return a schedule of one zone in which nothing happens."""
    text = 'title = "alone"\nhome = "dublin"\n'
    text += _ZONE.format(name="dublin", provider="aws", region="eu-west-1", anchors=1, hosts=1)
    return parse_schedule(text, name="alone")


async def figures(folder: Path, schedule: Schedule) -> tuple[bytes, bytes, Shown]:
    """Run the agent; return its estimates and its result as bytes, and the run."""
    said: list[str] = []
    async with reaching() as reach:
        home = Home(folder / "home")
        async with play_through(reach, home, schedule, said.append, agent_file(folder)) as shown:
            follower: Follower = shown.follower
            estimates: list[Any] = await values_of(follower, "risk")
            journal = await journal_of(follower)
            result = [record.result for record in journal if isinstance(record, Returned)]
            assert len(estimates) == WINDOWS, "\n".join(said)
            return encode_block(estimates), encode_block(result), shown


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """The figures of the undisturbed run: estimates and result, as bytes."""
    return asyncio.run(figures(tmp_path_factory.mktemp("alone"), undisturbed()))[:2]


def check_seed(seed: int, tmp_path: Path, alone: tuple[bytes, bytes]) -> None:
    """Assert that a seed's figures are those of the undisturbed run, after three moves and two kills."""
    run = asyncio.run(figures(tmp_path, disturbed(seed)))
    assert run[:2] == alone
    assert len(run[2].play.kills) == 2
    assert run[2].follower.newest.record.custody.term >= 3


def test_kills_leave_the_figures_as_they_are(tmp_path: Path, alone: tuple[bytes, bytes]) -> None:
    check_seed(0, tmp_path, alone)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 20))
def test_more_seeds_of_kills_leave_the_figures_as_they_are(
    seed: int, tmp_path: Path, alone: tuple[bytes, bytes]
) -> None:
    check_seed(seed, tmp_path, alone)
