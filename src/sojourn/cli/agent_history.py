"""`sojourn agent history`: every version of an agent, and what its journal has since each."""

import click

from sojourn.cli.help import Command
from sojourn.cli.history import PAGE_MAX, Page, history_page
from sojourn.cli.home import Home
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import clean, emit, note, say, when
from sojourn.cli.reach import perform, reaching

__all__ = ["history"]


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "--from",
    "first",
    type=click.IntRange(0, 2**53),
    default=0,
    help="The version to begin with.  [default: 0]",
)
@click.option(
    "--limit",
    type=click.IntRange(1, PAGE_MAX),
    default=100,
    help="How many versions.  [default: 100]",
)
@json_option
@with_home
def history(home: Home, *, name: str, first: int, limit: int, as_json: bool) -> None:
    """List the history of the agent NAME: versions, calls and records, with their times.

    Each version is one that a quorum of its zone certified; below it stand the records that its journal has since
    then, by their index: `sojourn agent replay --until` takes it.

    Example:
      sojourn agent history risk-desk --from 100 --limit 20
    """

    async def work() -> Page:
        async with reaching() as reach:
            return await history_page(reach, home, name, first, limit)

    emit(perform(work()), as_json, _render)


def _render(page: Page) -> None:
    for each in page.versions:
        place = f"{each.zone_name} {each.term}.{each.binding}"
        what = clean(f"{each.kind:<10} {each.text}").rstrip()
        say(f"{each.version:>6}  {when(each.at_ms)}  {place:<16} {what}")
        for line in each.records:
            say(f"        {line.index:>6}  {line.kind:<10} {line.text}")
        if each.journal is None:
            say("                its journal is at no anchor that was asked")
    if page.next is not None:
        note(f"The newest is {page.newest}. Go on with --from {page.next}")
