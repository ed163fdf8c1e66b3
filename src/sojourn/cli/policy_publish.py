"""`sojourn policy publish`: what officers signed, to whatever anchors are known."""

from pathlib import Path

import click

from sojourn.cli.home import Home
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import emit, say
from sojourn.cli.publishing import Published, read_edict, render_told
from sojourn.cli.publishing import publish as give
from sojourn.cli.reach import perform, reaching

__all__ = ["publish"]


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--zone",
    "zones",
    multiple=True,
    help="Give them to this zone's anchors; repeatable.  [default: every zone known here]",
)
@json_option
@with_home
def publish(home: Home, *, files: tuple[Path, ...], zones: tuple[str, ...], as_json: bool) -> None:
    """Give signed policies, heads and orders in FILES to anchors, whoever signed them and wherever the agents are.

    From there they spread by themselves. A policy takes the place of the one that it succeeds in every agent under
    that, as they come by it; an order is carried out once it reaches its agent, if it has not lapsed by then. Nobody
    has to know where agents are. Files of orders are made with --output of `sojourn agent suspend`, `retire` and so
    on.

    Examples:
      sojourn policy sign eu-finance-2.cedar --previous eu-finance.signed
      sojourn policy publish eu-finance-2.signed
      sojourn agent suspend risk-desk --output stop.order && sojourn policy publish stop.order
    """
    edicts = [read_edict(file) for file in files]

    async def work() -> Published:
        async with reaching() as reach:
            return await give(reach, home, edicts, zones)

    def render(done: Published) -> None:
        render_told(done)
        say("It is carried out wherever it reaches an agent that it is about.")

    emit(perform(work()), as_json, render)
