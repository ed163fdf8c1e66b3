"""`sojourn agent read`: what an agent writes to a stream, as it becomes final, from any index on."""

import sys

import click

from sojourn.cli.home import Home
from sojourn.cli.journal_lines import spoken
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import clean, note, say_json
from sojourn.cli.reach import perform, reaching
from sojourn.cli.streams import Piece, read_stream

__all__ = ["read"]


@click.command()
@click.argument("name")
@click.argument("stream")
@click.option(
    "--from", "start", type=click.IntRange(min=0), default=0, help="The first index.  [default: 0]"
)
@click.option("--follow", is_flag=True, help="Go on with what is added, until the stream ends.")
@json_option
@with_home
def read(home: Home, *, name: str, stream: str, start: int, follow: bool, as_json: bool) -> None:
    """Read STREAM, a log of the memory of the agent NAME: text as it is, and other values as JSON lines.

    All of it is final, and proved by the agent's certified record. The agent is followed from zone to zone; who was
    cut off goes on --from the index behind the last one. With --json each piece is a document on a line of its own.

    Example:
      sojourn agent read risk-desk report --from 120 --follow
    """

    async def work() -> None:
        async with reaching() as reach:
            async for piece in read_stream(reach, home, name, stream, start, follow=follow):
                _say_json(piece) if as_json else _say(piece)

    perform(work())


def _say_json(piece: Piece) -> None:
    say_json(
        {
            "index": piece.index,
            "version": piece.version,
            "end" if piece.is_end else "value": spoken(piece.value),
        }
    )


def _say(piece: Piece) -> None:
    value = piece.value
    if piece.is_end:
        if value:
            note(f"the stream ended at {piece.index}: {clean(value)}")
    elif isinstance(value, str):
        click.echo("\n".join(map(clean, value.split("\n"))), nl=False)
    elif isinstance(value, bytes) and not sys.stdout.isatty():
        click.echo(value, nl=False)
    else:
        say_json(spoken(value))
