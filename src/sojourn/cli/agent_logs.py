"""`sojourn agent watch` and `logs`: what an agent does as it becomes final, and what its journal holds."""

import click

from sojourn.cli.home import Home
from sojourn.cli.journal_lines import JournalLine
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import emit, say, say_json, when
from sojourn.cli.reach import perform, reaching
from sojourn.cli.watching import Seen, Watch, read_journal

__all__ = ["logs", "watch"]


@click.command()
@click.argument("name")
@click.option("--from-now", is_flag=True, help="Leave out what is final already.")
@json_option
@with_home
def watch(home: Home, *, name: str, from_now: bool, as_json: bool) -> None:
    """Watch the agent NAME live: what it does, where and why, as it becomes final.

    It is followed from zone to zone. Ends when the agent has finished, or with Ctrl-C. With --json each event
    is one JSON document on a line of its own.

    Example:
      sojourn agent watch risk-desk
    """

    async def work() -> None:
        async with reaching() as reach:
            async for seen in Watch(reach, home, name, from_now=from_now).seen():
                _print_seen(seen, as_json)

    perform(work())


@click.command()
@click.argument("name")
@click.option(
    "--follow", is_flag=True, help="Go on with what is added, until the agent has finished."
)
@json_option
@with_home
def logs(home: Home, *, name: str, follow: bool, as_json: bool) -> None:
    """Show the journal of the agent NAME: its steps, log lines, messages and considerations.

    With --json it is a list, or with --follow one JSON document for each record on a line of its own.

    Example:
      sojourn agent logs risk-desk --follow
    """

    async def work() -> None:
        async with reaching() as reach:
            if not follow:
                emit(await read_journal(reach, home, name), as_json, _render_journal)
                return
            async for seen in Watch(reach, home, name, from_now=False).seen():
                if seen.journal is not None and as_json:
                    say_json(seen.journal)
                elif seen.journal is not None:
                    _render_journal([seen.journal])

    perform(work())


def _print_seen(seen: Seen, as_json: bool) -> None:
    if as_json:
        say_json(seen)
    else:
        say(f"{when(seen.at_ms)}  {seen.zone_name}  v{seen.version:<4} {seen.kind:<10} {seen.text}")


def _render_journal(lines: list[JournalLine]) -> None:
    for line in lines:
        say(f"{line.index:>6}  {line.kind:<10} {line.text}")
