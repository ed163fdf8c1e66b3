"""`sojourn anchor`: make one anchor where it is to run, have it sign its zone's manifest, run it."""

import asyncio
from pathlib import Path

import click
import msgspec

from sojourn.anchor.folder import AnchorFolder, Settings, make_anchor
from sojourn.anchor.process import run_anchor
from sojourn.cli.founding import read_draft, sign_draft
from sojourn.cli.help import Group
from sojourn.cli.options import json_option
from sojourn.cli.output import emit, say
from sojourn.cli.zone_view import render_zone, zone_shown
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import encode
from sojourn.runtime.processes.files import read_manifest, write_atomically

__all__ = ["anchor"]

_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


class AnchorMade(msgspec.Struct, frozen=True):
    """A new anchor. Keys are hexadecimal."""

    folder: str
    operator: str
    place: str
    identity: str
    vote_key: str
    public: str


class AnchorSigned(msgspec.Struct, frozen=True):
    """A draft that an anchor signed, and where the seal is."""

    zone: str
    name: str
    index: int
    seal: str


@click.group(cls=Group)
def anchor() -> None:
    """Make and run one anchor of a zone.

    An anchor makes its own keys where it runs, and they never leave. `sojourn zone init --local` and `sojourn
    zone up` do all of this for a zone on one machine.
    """


@anchor.command()
@click.argument("folder", type=_FOLDER)
@click.option(
    "--operator", required=True, help="Who runs it: the failure domain that others judge by."
)
@click.option("--listen", required=True, metavar="HOST:PORT", help="Where its socket is.")
@click.option(
    "--reached", metavar="HOST:PORT", help="Where others reach it.  [default: as --listen]"
)
@json_option
def init(folder: Path, operator: str, listen: str, reached: str | None, as_json: bool) -> None:
    """Make a new anchor in FOLDER: its keys, its settings, and anchor.public for `sojourn zone init`.

    Example:
      sojourn anchor init a0 --operator acme --listen 10.0.0.7:7400
    """
    settings = Settings(operator=operator, listen=listen, reached=reached or listen)
    entry = make_anchor(folder, settings)
    made = AnchorMade(
        folder=str(folder),
        operator=operator,
        place=settings.reached,
        identity=entry.identity.hex(),
        vote_key=entry.vote_key.hex(),
        public=str(AnchorFolder(folder).public),
    )
    text = f"The anchor is made. Give {made.public} to whoever founds the zone."
    emit(made, as_json, lambda _: say(text))


@anchor.command()
@click.argument("folder", type=_FOLDER)
@click.argument("draft", type=_FILE)
@click.option(
    "--output", type=_FILE, help="Where to write the seal.  [default: FOLDER/manifest.seal]"
)
@json_option
def sign(folder: Path, draft: Path, output: Path | None, as_json: bool) -> None:
    """Sign the manifest DRAFT of a zone with the anchor in FOLDER, which it must name exactly.

    What is signed is shown. The seal goes back to whoever founds the zone.

    Example:
      sojourn anchor sign a0 draft --output a0.seal
    """
    owner, manifest = AnchorFolder(folder), read_draft(draft)
    target = output or folder / "manifest.seal"
    write_atomically(target, encode(sign_draft(owner, manifest)))
    signed = AnchorSigned(
        cid_text(manifest.zone_id), manifest.name, owner.index_in(manifest), str(target)
    )

    def render(_: AnchorSigned) -> None:
        render_zone(zone_shown(manifest, signed=False))
        say(f"\nSigned as anchor {signed.index}: {signed.seal}")

    emit(signed, as_json, render)


@anchor.command()
@click.argument("folder", type=_FOLDER)
@click.option(
    "--zone-manifest",
    type=_FILE,
    help="The zone's signed manifest, when it runs for the first time.",
)
def run(folder: Path, zone_manifest: Path | None) -> None:
    """Run the anchor in FOLDER until it is told to end (SIGTERM or Ctrl-C).

    It logs to its standard error: for people if that is a terminal, else as JSON lines. Ends with exit code 74
    if its store fails.

    Example:
      sojourn anchor run a0 --zone-manifest aws-eu.manifest
    """
    if zone_manifest is not None:
        AnchorFolder(folder).join(read_manifest(zone_manifest))
    asyncio.run(run_anchor(folder))
