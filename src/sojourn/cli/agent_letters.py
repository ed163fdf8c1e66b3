"""`sojourn agent letters`: what an agent wrote to other agents, and what became of each message."""

from collections.abc import Sequence
from typing import Final

import click
import msgspec

from sojourn.cli.finding import find_named
from sojourn.cli.home import Home
from sojourn.cli.journal_lines import newest_records
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import emit, say
from sojourn.cli.reach import Reach, perform, reaching
from sojourn.cli.remote_blocks import RemoteBlocks
from sojourn.core.protocol.letters import MESSAGE
from sojourn.runtime.records import Denial, Intended, Outcome, Received, Record

__all__ = ["LetterShown", "letters", "letters_in"]


_DEAD: Final = ("undeliverable", "unread")


class LetterShown(msgspec.Struct, frozen=True, kw_only=True):
    """A message that an agent wrote: to whom, under which effect key, and what became of it.

    `state` is "on its way", "delivered", "undeliverable", "failed", or "denied" by the gate, then without a key; or,
    once its receiver has ended and the sender was told, "unread".
    `index` is the place in the journal of what says so.
    """

    index: int
    to: str
    key: str
    state: str
    problem: str = ""


@click.command()
@click.argument("name")
@click.option("--dead", is_flag=True, help="Show those alone that will never be read.")
@json_option
@with_home
def letters(home: Home, *, name: str, dead: bool, as_json: bool) -> None:
    """Show what the agent NAME wrote to other agents: delivered, on its way, denied, or undeliverable, with why.

    Example:
      sojourn agent letters risk-desk --dead
    """

    async def work() -> list[LetterShown]:
        async with reaching() as reach:
            return letters_in(await _journal(reach, home, name))

    found = [each for each in perform(work()) if not dead or each.state in _DEAD]
    emit(found, as_json, lambda shown: _render(name, shown))


async def _journal(reach: Reach, home: Home, name: str) -> list[Record]:
    found = await find_named(reach, home, name)
    blocks = RemoteBlocks()
    blocks.ask(reach.zone(found.zone))
    newest = newest_records(blocks, found.record.memory.journal)
    return [record async for record in newest][::-1]


def letters_in(journal: Sequence[Record]) -> list[LetterShown]:
    """Return the messages that a journal tells of, oldest first, by what it said of each last."""
    shown: list[LetterShown] = []
    open_calls: dict[int, int] = {}
    for index, record in enumerate(journal):
        if isinstance(record, Intended) and record.action == MESSAGE:
            open_calls[record.call] = len(shown)
            on_its_way = LetterShown(
                index=index, to=record.counterpart, key=record.key, state="on its way"
            )
            shown.append(on_its_way)
        elif isinstance(record, Denial) and record.action == MESSAGE:
            denied = LetterShown(index=index, to="", key="", state="denied", problem=record.reason)
            shown.append(denied)
        elif isinstance(record, Received) and record.mark is not None and record.mark.unread:
            _note_unread(shown, index, record.mark.letter)
        elif isinstance(record, Outcome) and record.call in open_calls:
            at = open_calls.pop(record.call)
            if shown[at].state == "unread":
                continue  # its receiver had ended before the sender knew that it was delivered
            state, problem = _became(record)
            shown[at] = msgspec.structs.replace(
                shown[at], index=index, state=state, problem=problem
            )
    return shown


def _note_unread(shown: list[LetterShown], index: int, letter: str) -> None:
    """Note that a message was delivered and not read."""
    for at, each in enumerate(shown):
        if each.key == letter:
            problem = "its receiver has ended, and did not read it"
            shown[at] = msgspec.structs.replace(each, index=index, state="unread", problem=problem)


def _became(outcome: Outcome) -> tuple[str, str]:
    if outcome.failure is None:
        return "delivered", ""
    is_lost = outcome.failure.cause == "undeliverable"
    return ("undeliverable" if is_lost else "failed"), outcome.failure.message


def _render(name: str, found: list[LetterShown]) -> None:
    if not found:
        say(f"{name} wrote to no agent.")
    for each in found:
        why = f": {' '.join(each.problem.split())}" if each.problem else ""
        say(f"{each.index:>6}  {each.state:<13} {each.to or '-'}{why}")
