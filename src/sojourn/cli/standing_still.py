"""Why an agent's code gets nowhere, or how its run has ended, if the last record of its journal says so."""

from sojourn.cli.finding import Found
from sojourn.cli.journal_lines import failure_text, newest_records, value_text
from sojourn.cli.reach import Reach
from sojourn.cli.remote_blocks import RemoteBlocks
from sojourn.core.base.errors import SojournError
from sojourn.runtime.records import Barred, Parted, Raised, Record, Returned

__all__ = ["said_of", "stands"]


async def stands(reach: Reach, found: Found) -> str:
    """Return why the code of an agent is not run, what it was stopped for, or how it ended; nothing if it goes on.

    Nothing, too, if no anchor gives the journal's blocks now: the rest of the agent can be shown all the same.
    """
    blocks = RemoteBlocks()
    blocks.ask(reach.zone(found.zone))
    try:
        async for record in newest_records(blocks, found.record.memory.journal):
            return said_of(record)
    except SojournError:
        return ""
    return ""


def said_of(record: Record) -> str:
    """Return what the last record of a journal says of an agent that goes no further; nothing of one that does."""
    match record:
        case Barred(reason=reason):
            return f"it may not be run: {reason}"
        case Parted(text=text):
            return text
        case Raised(failure=failure):
            return f"its run has ended: it raised {failure_text(failure)}"
        case Returned(result=result):
            return f"its run has ended: it returned {value_text(result)}"
    return ""
