"""Why an agent's code gets nowhere, if the last record of its journal says so."""

from sojourn.cli.finding import Found
from sojourn.cli.journal_lines import newest_records
from sojourn.cli.reach import Reach
from sojourn.cli.remote_blocks import RemoteBlocks
from sojourn.core.base.errors import SojournError
from sojourn.runtime.records import Barred, Parted

__all__ = ["stands"]


async def stands(reach: Reach, found: Found) -> str:
    """Return why the code of an agent is not run, or what it was stopped for; nothing if it goes on.

    Nothing, too, if no anchor gives the journal's blocks now: the rest of the agent can be shown all the same.
    """
    blocks = RemoteBlocks()
    blocks.ask(reach.zone(found.zone))
    try:
        async for record in newest_records(blocks, found.record.memory.journal):
            match record:
                case Barred(reason=reason):
                    return f"it may not be run: {reason}"
                case Parted(text=text):
                    return text
            return ""
    except SojournError:
        return ""
    return ""
