"""`sojourn host`: make one host where it is to run, and run it."""

import asyncio
from pathlib import Path

import click
import msgspec

from sojourn.cli.help import Group
from sojourn.cli.host_check import check
from sojourn.cli.options import json_option
from sojourn.cli.output import emit, say
from sojourn.core.base.errors import Misused
from sojourn.core.base.keys import key_text
from sojourn.host.folder import HostFolder, make_host, read_membership
from sojourn.host.offer import default_settings
from sojourn.host.process import run_host
from sojourn.runtime.processes.files import read_manifest

__all__ = ["host"]

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


class HostMade(msgspec.Struct, frozen=True):
    """A new host. The key is hexadecimal."""

    folder: str
    host: str
    fingerprint: str
    public: str
    offer: str


@click.group(cls=Group)
def host() -> None:
    """Make and run one host of a zone.

    A host runs agents, under leases that its zone's anchors grant. It makes its own key where it runs. What it
    offers, and at which price, is in offer.toml in its folder, which is read again whenever it changes.
    """


@host.command()
@click.argument("folder", type=_FOLDER)
@click.option(
    "--slots", type=click.IntRange(0), default=64, show_default=True, help="Agents that it takes."
)
@click.option(
    "--price", type=click.FloatRange(0), default=0.0, help="Price of an hour; 0 is free of charge."
)
@json_option
def init(folder: Path, slots: int, price: float, as_json: bool) -> None:
    """Make a new host in FOLDER: its key, its offer, and host.public for `sojourn zone init`.

    Example:
      sojourn host init h0 --slots 8 --price 0.096
    """
    settings = default_settings(slots=slots, price_micros=round(price * 1e6))
    public = make_host(folder, settings)
    made = HostMade(
        folder=str(folder),
        host=public.hex(),
        fingerprint=key_text(public),
        public=str(HostFolder(folder).public),
        offer=str(folder / "offer.toml"),
    )

    def render(_: HostMade) -> None:
        say(f"The host is made. Give {made.public} to whoever founds the zone.")
        say(f"What it offers is in {made.offer}.")

    emit(made, as_json, render)


@host.command()
@click.argument("folder", type=_FOLDER)
@click.option("--zone-manifest", type=_FILE, help="The zone's signed manifest, the first time.")
@click.option("--membership", type=_FILE, help="The proof that it is enrolled, the first time.")
def run(folder: Path, zone_manifest: Path | None, membership: Path | None) -> None:
    """Run the host in FOLDER until it is told to end (SIGTERM or Ctrl-C).

    It logs to its standard error: for people if that is a terminal, else as JSON lines.

    Example:
      sojourn host run h0 --zone-manifest aws-eu.manifest --membership h0.membership
    """
    if (zone_manifest is None) != (membership is None):
        problem = "a host joins a zone with its manifest and a membership"
        raise Misused(problem, remedy="Give both --zone-manifest and --membership")
    if zone_manifest is not None and membership is not None:
        HostFolder(folder).join(read_manifest(zone_manifest), read_membership(membership))
    asyncio.run(run_host(folder))


host.add_command(check)
