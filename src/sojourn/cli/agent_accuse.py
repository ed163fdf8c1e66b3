"""`sojourn agent accuse`: have an agent count lies of anchors, proved by capsules that contradict each other."""

from pathlib import Path

import click

from sojourn.cli.accusing import Accused, accuse
from sojourn.cli.capsule import read_capsule
from sojourn.cli.help import Command
from sojourn.cli.home import Home
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import emit, say
from sojourn.cli.reach import perform, reaching

__all__ = ["accuse_zones"]


@click.command("accuse", cls=Command)
@click.argument("name")
@click.argument(
    "files", metavar="CAPSULE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--reason", default="", help="Why, for its lineage.")
@json_option
@with_home
def accuse_zones(
    home: Home, *, name: str, files: tuple[Path, ...], reason: str, as_json: bool
) -> None:
    """Have the agent NAME count lies of anchors that CAPSULEs prove, and trust their zones less.

    Two capsules of one agent, of any agent, that contradict each other prove that anchors of a zone signed both.
    Nobody's permission is needed: what is proved is proved.

    Example:
      sojourn agent accuse risk-desk one.car other.car
    """
    capsules = [read_capsule(file).capsule for file in files]

    async def work() -> list[Accused]:
        async with reaching() as reach:
            return await accuse(reach, home, name, capsules, reason)

    def render(done: list[Accused]) -> None:
        for each in done:
            liars = ", ".join(map(str, each.liars))
            say(
                f"{name} counts against {each.zone_name}, from version {each.version} on: anchors {liars} lied"
            )

    emit(perform(work()), as_json, render)
