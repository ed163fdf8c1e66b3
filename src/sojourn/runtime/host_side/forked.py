"""The journal of a fork: that of the agent it goes on from, up to a version, and a record that says so.

    the origin's records …   forked   the fork's own records …

A stretch of the run that an origin began says so (`Segment.origins`): the record may be behind it.

Up to that record a replay is as the origin was: it has its identifier, and draws what it drew. Behind it all is the
fork's own: its identifier, chance, messages and effects. What the origin had under way is not taken up. An effect
that was permitted has an uncertain outcome, since it is the origin's to have it; people are asked anew, in the fork's
name (protocol §8.17).
"""

import msgspec

from sojourn.core.base.errors import Misused
from sojourn.runtime.host_side.journal import Journal, Saved, at_hand, plain_record
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
    if await journal.is_blank(reader):  # what kept it from running was told of the origin
        return Journal.begin(reader, resume).save(())
    segments = tuple(
        msgspec.structs.replace(each, origins=(*(each.origins or ()), record.agent_id))
        for each in resume.segments
    )
    resume = msgspec.structs.replace(resume, segments=segments)
    fork = plain_record(Forked(agent=record.agent_id, version=record.version))
    return await at_hand(reader, lambda: journal.append([fork], resume).save(()))
