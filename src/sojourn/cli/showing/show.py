"""The whole show: zones up, agent launched, schedule played, evidence gathered, capsule verified."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from sojourn.cli.home import Home
from sojourn.cli.launching import Officer, launch, prepare_launch
from sojourn.cli.reach import reaching
from sojourn.cli.showing.evidence import gather
from sojourn.cli.showing.follow import Follower
from sojourn.cli.showing.play import Play
from sojourn.cli.showing.stage import Stage
from sojourn.core.base.digests import cid_text, digest
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.demo import risk
from sojourn.demo.report import data as report
from sojourn.demo.schedule import Schedule
from sojourn.runtime import clock
from sojourn.runtime.keyfile import Purpose, make_key, write_public_key

__all__ = ["AGENT_FILE", "show"]

AGENT_FILE: Final = Path(risk.__file__).parent / "risk_desk" / "risk_desk.toml"
_ISSUER: Final = "acme-compliance"


async def show(
    home: Home,
    schedule: Schedule,
    say: Callable[[str], None],
    *,
    agent_file: Path = AGENT_FILE,
    capsule_file: Path | None = None,
) -> report.ReportData:
    """Run the agent in `agent_file` under a schedule, and return what the run proves."""
    async with reaching() as reach:
        stage = Stage(home, schedule, reach)
        stage.found()
        say(f"{len(schedule.zones)} zones founded: {', '.join(stage.manifests)}")
        try:
            await stage.raise_all()
            issuer = make_key(home.keys / f"{_ISSUER}.key", Purpose.OFFICER)
            write_public_key(home.keys / f"{_ISSUER}.pub", issuer.public, Purpose.OFFICER)
            await stage.endorse_all(issuer)
            first = stage.manifests[schedule.home]
            say("all processes answer; the issuer has endorsed the zones")
            prepared = prepare_launch(home, agent_file, first, [Officer(_ISSUER, issuer)])
            started_ms = clock.wall_ms()
            born = await launch(reach, first, prepared)
            manifests = {manifest.zone_id: manifest for manifest in stage.manifests.values()}
            follower = Follower(reach, manifests, born)
            play = Play(stage, follower, say, schedule.changes)
            await play.run()
            target = capsule_file or home.path / "risk-desk.car"
            capsule = report.Capsule(file=str(target), size=0, digest="", verified=False, checks=())
            return await gather(stage, play, follower, started_ms, capsule)
        finally:
            stage.lower()
