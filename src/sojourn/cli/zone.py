"""`sojourn zone`: found, start, stop and introduce zones."""

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import Final

import click
import msgspec

from sojourn.cli.founding import read_draft
from sojourn.cli.help import Group
from sojourn.cli.home import Home
from sojourn.cli.introducing import Endorsed, Told, endorse, introduce, manifest_from
from sojourn.cli.options import json_option, until_option, with_home
from sojourn.cli.output import counted, duration, emit, note, say, table
from sojourn.cli.processes import end, processes_of
from sojourn.cli.proved import proofs
from sojourn.cli.raising import raise_zone
from sojourn.cli.reach import perform, reaching
from sojourn.cli.standing import AnchorStanding, ZoneStanding, standing_of
from sojourn.cli.zone_init import assemble_zone, init
from sojourn.cli.zone_view import price_text, render_zone, zone_shown
from sojourn.core.base.errors import Misused
from sojourn.runtime.processes.files import write_atomically
from sojourn.runtime.processes.keyfile import Purpose

__all__ = ["zone"]

_UP_TIMEOUT_S: Final = 30.0
_STALLED: Final = 5
"""The exit code of a status that shows a zone which cannot decide."""


@click.group(cls=Group)
def zone() -> None:
    """Found, start, stop and introduce zones.

    A zone is a committee of anchors, hosts that run agents, and one policy. Its identifier is the digest of its
    first manifest; the names used here count on this machine alone.
    """


zone.add_command(init)
zone.add_command(assemble_zone)
zone.add_command(proofs)


@zone.command()
@click.argument("name")
@click.option(
    "--timeout",
    type=click.FloatRange(0),
    default=_UP_TIMEOUT_S,
    show_default=True,
    help="Seconds to wait for all to answer.",
)
@click.option("--keep", is_flag=True, help="Leave running what has started, though another cannot.")
@json_option
@with_home
def up(home: Home, *, name: str, timeout: float, keep: bool, as_json: bool) -> None:
    """Start the anchors and hosts of NAME that belong on this machine, and wait until they answer.

    They run in the background, each with a log in its folder. What runs already is left alone, so this may be
    repeated. If one of them cannot start or does not answer, all that this has started is ended again.

    Example:
      sojourn zone up home
    """

    async def work() -> ZoneStanding:
        async with reaching() as reach:
            return await raise_zone(reach, home, name, timeout_s=timeout, keep=keep)

    emit(perform(work()), as_json, _render_standing)


class Stopped(msgspec.Struct, frozen=True):
    """Which processes of a zone were ended."""

    name: str
    ended: tuple[str, ...]


@zone.command()
@click.argument("name")
@json_option
@with_home
def down(home: Home, *, name: str, as_json: bool) -> None:
    """End the anchors and hosts of NAME on this machine, gracefully.

    Only the processes that hold the zone's folders are signalled. Agents stay where they are, and go on when
    the zone is up again.

    Example:
      sojourn zone down home
    """
    places = processes_of(home.zone(name))
    hosts_first = sorted(places, key=lambda place: place.noun, reverse=True)
    ended = tuple(str(place) for place in end(hosts_first))
    text = (
        f"{name} is down: {counted(len(ended), 'process', 'processes')} ended"
        if ended
        else f"nothing of {name} ran here"
    )
    emit(Stopped(name, ended), as_json, lambda _: say(text))


@zone.command()
@click.argument("name", required=False)
@json_option
@with_home
def status(home: Home, *, name: str | None, as_json: bool) -> int:
    """Show how NAME stands, or every zone known here: who answers, how many more may fail, what hosts offer.

    Ends with exit code 5 if one of the zones cannot decide anything.

    Examples:
      sojourn zone status
      sojourn zone status home --json
    """
    names = [name] if name else home.known_zones()

    async def work() -> list[ZoneStanding]:
        async with reaching() as reach:
            return await asyncio.gather(*(standing_of(reach, home, each) for each in names))

    standings = perform(work())
    if as_json:
        emit(standings[0] if name else standings, as_json, lambda _: None)
    else:
        _render_standings(standings)
    return _STALLED if any(each.may_fail < 0 for each in standings) else 0


@zone.command()
@click.argument("name", required=False)
@click.option(
    "--draft",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Show a draft that is not signed yet.",
)
@json_option
@with_home
def show(home: Home, *, name: str | None, draft: Path | None, as_json: bool) -> None:
    """Show the manifest of NAME (a zone known here, or a file), or of a draft.

    Examples:
      sojourn zone show home
      sojourn zone show --draft draft
    """
    if (name is None) == (draft is None):
        raise Misused("there is one thing to show", remedy="Give a zone's NAME or a --draft")
    shown = (
        zone_shown(read_draft(draft), signed=False)
        if draft is not None
        else zone_shown(manifest_from(home, name or "").manifest, signed=True)
    )
    emit(shown, as_json, render_zone)


@zone.command("list")
@json_option
@with_home
def list_zones(home: Home, *, as_json: bool) -> None:
    """List the zones known here, founded or met, without asking them.

    Example:
      sojourn zone list
    """
    found = [
        msgspec.structs.replace(zone_shown(signed.manifest, signed=True), name=name)
        for name, signed in home.manifests().items()
    ]

    def render(_: object) -> None:
        if not found:
            say("No zones are known here. Found one with `sojourn zone init NAME --local 1`.")
            return
        rows = [
            (z.name, f"{z.attributes.provider} {z.attributes.region}", len(z.anchors), z.zone)
            for z in found
        ]
        table(("zone", "place", "anchors", "identifier"), rows)

    emit(found, as_json, render)


@zone.command()
@click.argument("name")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file."
)
@with_home
def export(home: Home, *, name: str, output: Path | None) -> None:
    """Write the signed manifest of NAME, for other zones to meet it.

    Example:
      sojourn zone export home > home.manifest
    """
    data = home.manifest(name).to_bytes()
    if output is not None:
        write_atomically(output, data)
    elif sys.stdout.isatty():
        raise Misused(
            "a manifest is no text for a terminal", remedy="Redirect it, or give --output"
        )
    else:
        sys.stdout.buffer.write(data)


@zone.command()
@click.argument("name")
@click.argument("manifest")
@json_option
@with_home
def meet(home: Home, *, name: str, manifest: str, as_json: bool) -> None:
    """Introduce NAME and the zone in the file MANIFEST to each other.

    Each one's anchors are given the other's signed manifest; from then on they gossip. MANIFEST may also be the
    name of a zone known here. Nothing follows from having met: agents still judge the other zone.

    Example:
      sojourn zone meet home aws-eu.manifest
    """
    other = manifest_from(home, manifest)

    async def work() -> tuple[Told, Told]:
        async with reaching() as reach:
            return await introduce(reach, home, name, other)

    emit(perform(work()), as_json, _render_told)


@zone.command("endorse")
@click.argument("name")
@click.option("--issuer", help="The officer's key that endorses.  [default: the only one here]")
@click.option(
    "--level",
    type=click.IntRange(0, 10),
    required=True,
    help="How far it is trusted: 0 not at all, 10 the most.",
)
@click.option(
    "--operations", default="", help="For these operations only, with commas.  [default: all]"
)
@click.option(
    "--tell", multiple=True, help="Tell this zone's anchors; may be repeated.  [default: NAME's]"
)
@until_option("When the endorsement ends.")
@json_option
@with_home
def endorse_zone(
    home: Home,
    *,
    name: str,
    issuer: str | None,
    level: int,
    operations: str,
    tell: tuple[str, ...],
    until: datetime | None,
    as_json: bool,
) -> None:
    """Endorse the zone NAME: agents that trust the issuer may then rely on it.

    The endorsement is given to anchors and spreads by gossip among the zones that have met.

    Examples:
      sojourn zone endorse home --issuer acme-compliance --level 5
      sojourn zone endorse aws-eu --level 2 --operations execute,travel --until 2027-01-31
    """
    key = home.key(issuer, Purpose.OFFICER)
    acts = tuple(part.strip() for part in operations.split(",") if part.strip())

    async def work() -> Endorsed:
        async with reaching() as reach:
            return await endorse(
                reach,
                home,
                name,
                key,
                level=level,
                operations=acts,
                until=until,
                tell=tell or (name,),
            )

    def render(done: Endorsed) -> None:
        for_what = ", ".join(done.operations) or "everything"
        say(f"{name} is endorsed at level {done.level} for {for_what}")
        _render_told(done.told)

    emit(perform(work()), as_json, render)


# --- for people --------------------------------------------------------------------------------------


def _render_told(told: tuple[Told, ...]) -> None:
    for each in told:
        problem = f": {each.problem}" if each.problem else ""
        say(f"{each.name}: {each.took} of {each.anchors} anchors know it{problem}")


def _render_standings(standings: list[ZoneStanding]) -> None:
    if not standings:
        note("No zones are known here. Found one with `sojourn zone init NAME --local 1`.")
    for number, standing in enumerate(standings):
        if number:
            say("")
        _render_standing(standing)


def _render_standing(standing: ZoneStanding) -> None:
    say(f"{standing.name} {standing.sentence()}")
    say("")
    table(
        ("anchor", "place", "operator", "answers", "agents", "zones known", "votes", "process"),
        [_anchor_row(anchor) for anchor in standing.anchors],
    )
    if standing.hosts:
        say("")
        rows = [
            (
                host.fingerprint,
                price_text(host.price_micros),
                host.slots,
                f"{host.cpu_millis / 1000:g}",
                f"{host.memory_mib} MiB",
                host.gpus,
            )
            for host in standing.hosts
        ]
        table(("host", "price", "free slots", "cores", "memory", "GPUs"), rows)


def _anchor_row(anchor: AnchorStanding) -> tuple[object, ...]:
    answers = f"for {duration(anchor.up_ms)}" if anchor.answers else f"no: {anchor.problem}"
    counts = (anchor.agents, anchor.places, anchor.votes) if anchor.answers else ("", "", "")
    return (anchor.index, anchor.place, anchor.operator, answers, *counts, anchor.process or "")
