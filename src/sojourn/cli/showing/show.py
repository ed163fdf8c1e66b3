"""The whole show: zones up, agent launched, schedule played, evidence gathered, capsule verified."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from sojourn.cli.capsule_view import CapsuleShown
from sojourn.cli.exporting import Exported, write_capsule
from sojourn.cli.finding import Found
from sojourn.cli.home import Home
from sojourn.cli.launching import Officer, launch, prepare_launch
from sojourn.cli.reach import Reach, reaching
from sojourn.cli.showing.evidence import gather
from sojourn.cli.showing.follow import Follower
from sojourn.cli.showing.play import Play
from sojourn.cli.showing.stage import Stage
from sojourn.core.base.errors import Failed
from sojourn.demo import risk
from sojourn.demo.report import data as report
from sojourn.demo.schedule import Schedule
from sojourn.runtime.processes import clock
from sojourn.runtime.processes.keyfile import Purpose, make_key, write_public_key

__all__ = ["AGENT_FILE", "Shown", "play_through", "show"]

AGENT_FILE: Final = Path(risk.__file__).parent / "risk_desk" / "risk_desk.toml"
_ISSUER: Final = "acme-compliance"
_VERIFY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Shown:
    """A run that has been played to its end, while its zones are still up."""

    stage: Stage
    play: Play
    follower: Follower
    started_ms: int


@asynccontextmanager
async def play_through(
    reach: Reach, home: Home, schedule: Schedule, say: Callable[[str], None], agent_file: Path
) -> AsyncIterator[Shown]:
    """Bring the zones of a schedule up, and run the agent in `agent_file` to its end under it."""
    stage = Stage(home, schedule, reach)
    stage.found()
    say(f"{len(schedule.zones)} zones founded: {', '.join(stage.manifests)}")
    try:
        await stage.raise_all()
        issuer = make_key(home.keys / f"{_ISSUER}.key", Purpose.OFFICER)
        write_public_key(home.keys / f"{_ISSUER}.pub", issuer.public, Purpose.OFFICER)
        await stage.endorse_all(issuer)
        say("all processes answer; the issuer has endorsed the zones")
        first = stage.manifests[schedule.home]
        prepared = prepare_launch(home, agent_file, first, [Officer(_ISSUER, issuer)])
        started_ms = clock.wall_ms()
        born = await launch(reach, first, prepared)
        manifests = {manifest.zone_id: manifest for manifest in stage.manifests.values()}
        follower = Follower(reach, manifests, born)
        play = Play(stage, follower, say, schedule.changes)
        await play.run()
        yield Shown(stage, play, follower, started_ms)
    finally:
        stage.lower()


async def show(
    home: Home,
    schedule: Schedule,
    say: Callable[[str], None],
    *,
    agent_file: Path = AGENT_FILE,
    capsule_file: Path | None = None,
) -> report.ReportData:
    """Run the agent in `agent_file` under a schedule, and return what the run proves."""
    async with (
        reaching() as reach,
        play_through(reach, home, schedule, say, agent_file) as shown,
    ):
        follower, play = shown.follower, shown.play
        found = Found(follower.newest, home.manifest(follower.zone.name))
        exported = await write_capsule(
            reach, home, found, capsule_file or home.path / "risk-desk.car"
        )
        capsule = await asyncio.to_thread(_verified, exported)
        say(f"{play.at_s:5.1f} s  exported {exported.size} bytes; verified offline")
        return await gather(shown.stage, play, follower, shown.started_ms, capsule)


def _verified(exported: Exported) -> report.Capsule:
    """Verify a capsule as anyone would: by the offline command, in a process of its own.

    Raises `Failed` with what the command said if it does not hold.
    """
    command = [sys.executable, "-P", "-m", "sojourn", "capsule", "verify", exported.file, "--json"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=_VERIFY_S)  # noqa: S603
    if done.returncode:
        raise Failed(f"the capsule does not verify: {done.stderr.decode(errors='replace').strip()}")
    shown = msgspec.json.decode(done.stdout, type=CapsuleShown)
    return report.Capsule(
        file=exported.file,
        size=exported.size,
        digest=exported.digest,
        verified=True,
        checks=shown.proved,
    )
