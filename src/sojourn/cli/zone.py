"""`sojourn zone`: found, start, stop and introduce zones."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Final

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
from sojourn.cli.home import Home
from sojourn.cli.introducing import Endorsed, Told, endorse, introduce, manifest_from
from sojourn.cli.options import json_option, milliseconds, until_option, with_home
from sojourn.cli.output import duration, emit, note, say, table
from sojourn.cli.policytext import read_policy
from sojourn.cli.processes import end, processes_of
from sojourn.cli.raising import raise_zone
from sojourn.cli.reach import perform, reaching
from sojourn.cli.standing import ZoneStanding, standing_of
from sojourn.cli.zoneshown import ZoneShown, render_zone, zone_shown
from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import HOST_LEASE_MS
from sojourn.core.zone.manifest import Attributes
from sojourn.runtime.files import write_atomically
from sojourn.runtime.keyfile import Purpose, read_public_key

__all__ = ["zone"]

_UP_TIMEOUT_S: Final = 30.0
_STALLED: Final = 5

existing_file = click.Path(dir_okay=False, path_type=Path)


@click.group()
def zone() -> None:
    """Found, start, stop and introduce zones.

    A zone is a committee of anchors, one policy, and hosts that run agents. Its identifier is the digest of its
    first manifest; the names used here count on this machine alone.
    """


@zone.command()
@click.argument("name")
@click.option("--local", "local", type=click.IntRange(1, 31), help="Make so many anchors here.")
@click.option("--hosts", type=click.IntRange(0), default=1, show_default=True, help="With --local: hosts here.")
@click.option("--slots", type=click.IntRange(1), default=64, show_default=True, help="With --local: agents per host.")
@click.option("--anchor-public", "anchors", multiple=True, type=existing_file, help="An anchor's anchor.public (repeat).")
@click.option("--host-public", "enrolled", multiple=True, type=existing_file, help="A host's host.public (repeat).")
@click.option("--provider", help="Who runs the machines, such as aws or onprem.")
@click.option("--region", help="The provider's name for the place, such as eu-west-1.")
@click.option("--country", help="ISO 3166-1 code, such as IE.")
@click.option("--jurisdiction", multiple=True, help="A law it stands under, such as EU (repeat).")
@click.option("--certification", multiple=True, help="Such as iso27001 (repeat).")
@click.option("--accelerator", multiple=True, help="Such as nvidia-a100 (repeat).")
@click.option("--price", type=click.FloatRange(0), default=0.0, help="List price of a host-hour; 0: not stated.")
@click.option("--policy", type=existing_file, help="The zone's own policy. [default: permit everything]")
@click.option("--action", "actions", multiple=True, help="An application's action that the policy names (repeat).")
@click.option("--realm", default="test", show_default=True, help="The network the zone belongs to.")
@click.option("--f", "f", default="auto", show_default=True, help="Faulty anchors to tolerate; auto: (n-1)/3.")
@click.option("--lease-ms", type=click.IntRange(100), default=HOST_LEASE_MS, show_default=True, help="A host's lease.")
@until_option("When the manifest expires.")
@json_option
@with_home
def init(home: Home, name: str, as_json: bool, **given: object) -> None:
    """Found the zone NAME.

    With --local N all of it is made on this machine, on free loopback ports. Otherwise give the public part of
    every anchor, as `sojourn anchor init` wrote it where each runs; each then signs the draft.

    \b
    Examples:
      sojourn zone init home --local 4 --hosts 2
      sojourn zone init aws-eu-west-1 --provider aws --region eu-west-1 --country IE \\
          --jurisdiction EU --price 0.096 --policy zone.cedar --realm production \\
          --anchor-public a0.public --anchor-public a1.public \\
          --anchor-public a2.public --anchor-public a3.public --host-public h0.public
    """
