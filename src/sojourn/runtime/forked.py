"""The journal of a fork: that of the agent it goes on from, up to a version, and a record that says so.

    the origin's records …   forked   the fork's own records …

Up to that record a replay is as the origin was: it has its identifier, and draws what it drew. Behind it all is the
fork's own: its identifier, chance, messages and effects. What the origin had under way is not taken up. An effect
that was permitted has an uncertain outcome, since it is the origin's to have it; people are asked anew, in the fork's
name (protocol §8.17).
"""

import msgspec

from sojourn.core.base.errors import Misused
from sojourn.runtime.journal import Journal, Saved, at_hand, plain_record
from sojourn.runtime.ports import Reader
from sojourn.runtime.records import Forked

__all__ = ["forked_journal"]


async def forked_journal(reader: Reader) -> Saved | None:
    """Return the journal that a fork begins with of an agent at a version; None if it had none yet.

    Raises `Misused` if its run had ended there: nothing would be left to run.
    """
    record = reader.record
    journal = await Journal.load(reader)
    if journal is None:
        return None
    if journal.resume.ended is not None:
        problem = f"the agent's run had {journal.resume.ended} by version {record.version}: nothing is left to run"
        remedy = "Fork it at an earlier one: `sojourn agent history` lists them"
        raise Misused(problem, remedy=remedy)
    resume = msgspec.structs.replace(journal.resume, inbox=0)
    is_bare = len(resume.segments) == 1 and await journal.is_at_restart_point(reader)
    fork = Forked(agent=record.agent_id, version=record.version)
    records = [] if is_bare else [plain_record(fork)]
    return await at_hand(reader, lambda: journal.append(records, resume).save(()))
