"""`sojourn zone init` and `zone assemble`: from keys to a manifest that every anchor has signed."""

from datetime import datetime
from pathlib import Path

import click

from sojourn.anchor.folder import read_public
from sojourn.cli.founding import (
    PERMIT_ALL,
    Plan,
    assemble,
    found_from_parts,
    found_locally,
    read_seal,
)
from sojourn.cli.help import Command
from sojourn.cli.home import Home
from sojourn.cli.options import is_number, json_option, milliseconds, until_option, with_home
from sojourn.cli.output import counted, emit, say
from sojourn.cli.policy_text import read_policy
from sojourn.cli.zone_view import ZoneShown, zone_shown
from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import ANCHORS_MAX, HOST_LEASE_MS
from sojourn.core.zone.manifest import Attributes
from sojourn.runtime.processes.keyfile import Purpose, read_public_key

__all__ = ["assemble_zone", "init"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_COUNTRY_UNKNOWN = "ZZ"
"""What ISO 3166-1 leaves to users."""


@click.command(cls=Command)
@click.argument("name")
@click.option("--local", type=click.IntRange(1, ANCHORS_MAX), help="Make so many anchors here.")
@click.option(
    "--hosts", type=click.IntRange(0), default=1, show_default=True, help="Hosts, with --local."
)
@click.option(
    "--slots",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Agents that each host takes, with --local.",
)
@click.option(
    "--anchor-public",
    "publics",
    multiple=True,
    type=_FILE,
    help="An anchor's anchor.public; one for each.",
)
@click.option(
    "--host-public",
    "enrolled",
    multiple=True,
    type=_FILE,
    help="A host's host.public; one for each.",
)
@click.option("--provider", help="Who runs the machines, such as aws or onprem.")
@click.option("--region", help="The provider's name for the place, such as eu-west-1.")
@click.option("--country", help="ISO 3166-1 code, such as IE.")
@click.option(
    "--jurisdiction",
    "jurisdictions",
    multiple=True,
    help="A law it stands under, such as EU; may be repeated.",
)
@click.option(
    "--certification", "certifications", multiple=True, help="Such as iso27001; may be repeated."
)
@click.option(
    "--accelerator", "accelerators", multiple=True, help="Such as nvidia-a100; may be repeated."
)
@click.option(
    "--price",
    type=click.FloatRange(0),
    default=0.0,
    help="List price of an hour; 0 means not stated.",
)
@click.option(
    "--policy", type=_FILE, help="The zone's own policy, in Cedar.  [default: permit everything]"
)
@click.option(
    "--action",
    "actions",
    multiple=True,
    help="An application's own action that the policy names; may be repeated.",
)
@click.option(
    "--realm", default="test", show_default=True, help="The network that the zone belongs to."
)
@click.option(
    "--f",
    "tolerate",
    default="auto",
    show_default=True,
    help="Anchors that may lie or fail; auto is (n-1)/3.",
)
@click.option(
    "--lease-ms",
    type=click.IntRange(100),
    default=HOST_LEASE_MS,
    show_default=True,
    help="How long a host's lease is.",
)
@until_option("When the manifest expires.")
@json_option
@with_home
def init(
    home: Home,
    *,
    name: str,
    local: int | None,
    hosts: int,
    slots: int,
    publics: tuple[Path, ...],
    enrolled: tuple[Path, ...],
    provider: str | None,
    region: str | None,
    country: str | None,
    jurisdictions: tuple[str, ...],
    certifications: tuple[str, ...],
    accelerators: tuple[str, ...],
    price: float,
    policy: Path | None,
    actions: tuple[str, ...],
    realm: str,
    tolerate: str,
    lease_ms: int,
    until: datetime | None,
    as_json: bool,
) -> None:
    r"""Found the zone NAME.

    With --local N all of it is made on this machine, on free loopback ports. Otherwise give the public part of
    each anchor, as `sojourn anchor init` wrote it where that anchor is to run; each then signs the draft there
    with `sojourn anchor sign`, and `sojourn zone assemble` puts the seals together.

    Examples:
      sojourn zone init home --local 4 --hosts 2
      sojourn zone init aws-eu --provider aws --region eu-west-1 --country IE --jurisdiction EU \
          --price 0.096 --policy zone.cedar --realm production --host-public h0.public \
          --anchor-public a0.public --anchor-public a1.public \
          --anchor-public a2.public --anchor-public a3.public
    """
    if (local is None) == (not publics):
        problem = "a zone has either --local anchors or --anchor-public parts"
        raise Misused(problem, remedy="Give one of the two")
    if local is None and not (provider and region and country):
        problem = "a zone on several machines says where it is"
        raise Misused(problem, remedy="Give --provider, --region and --country")
    attributes = Attributes(
        provider=provider or "local",
        region=region or name,
        country=country or _COUNTRY_UNKNOWN,
        jurisdiction=jurisdictions,
        certifications=certifications,
        accelerators=accelerators,
        price_micros=round(price * 1e6),
    )
    plan = Plan(
        name=name,
        realm=realm,
        attributes=attributes,
        policy=read_policy(policy, actions) if policy else PERMIT_ALL,
        policy_actions=actions,
        lease_ms=lease_ms,
        not_after_ms=milliseconds(until),
        f=_tolerated(tolerate),
    )
    if local is not None:
        signed = found_locally(home, plan, anchors=local, hosts=hosts, slots=slots)
        emit(zone_shown(signed.manifest, signed=True), as_json, _render_founded)
        return
    entries = [read_public(path) for path in publics]
    keys = [read_public_key(path, Purpose.HOST) for path in enrolled]
    draft = found_from_parts(home, plan, entries, keys)
    file = home.zone(name).draft
    emit(zone_shown(draft, signed=False), as_json, lambda shown: _render_draft(shown, file))


def _tolerated(text: str) -> int | None:
    if text == "auto":
        return None
    if not is_number(text):
        raise Misused(f"--f is {text[:40]!r}", remedy="Give a number, or auto")
    return int(text)


def _render_founded(shown: ZoneShown) -> None:
    say(f"{shown.name} is founded: zone {shown.zone}")
    decides = "s" if shown.quorum == 1 else ""
    say(
        f"  {counted(len(shown.anchors), 'anchor')}, {shown.quorum} decide{decides}; {shown.f} may lie or fail"
    )
    say(f"Start it with `sojourn zone up {shown.name}`.")


def _render_draft(shown: ZoneShown, file: Path) -> None:
    say(f"{shown.name} has a draft: {file}")
    say("Take it to each anchor, look at it with `sojourn zone show --draft`, and have it sign:")
    for anchor in shown.anchors:
        say(f"  {anchor.place}: sojourn anchor sign FOLDER draft")
    say(f"Then bring the seals here: `sojourn zone assemble {shown.name} --seal …`.")


@click.command("assemble", cls=Command)
@click.argument("name")
@click.option(
    "--seal",
    "seals",
    multiple=True,
    required=True,
    type=_FILE,
    help="An anchor's seal; one for each.",
)
@json_option
@with_home
def assemble_zone(home: Home, *, name: str, seals: tuple[Path, ...], as_json: bool) -> None:
    """Put the seals of all anchors of NAME together: the draft becomes its manifest.

    Example:
      sojourn zone assemble aws-eu --seal a0.seal --seal a1.seal --seal a2.seal --seal a3.seal
    """
    folder = home.zone(name)
    signed = assemble(folder, [read_seal(path) for path in seals])

    def render(shown: ZoneShown) -> None:
        say(f"{shown.name} is founded: zone {shown.zone}")
        say(
            f"Take {folder.manifest} to each anchor: `sojourn anchor run FOLDER --zone-manifest FILE`."
        )
        for path in sorted(folder.memberships.glob("*")):
            say(
                f"Take it and {path} to that host: `sojourn host run FOLDER --zone-manifest FILE "
                "--membership FILE`."
            )

    emit(zone_shown(signed.manifest, signed=True), as_json, render)
