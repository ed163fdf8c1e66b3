"""What the host's side adds to the intent of a message; code that is bound to a place sends none."""

from collections.abc import Iterable

import msgspec

from sojourn.core.agent.memory.marks import Marks, described, home_of
from sojourn.core.base.digests import parse_cid_text
from sojourn.core.base.errors import Denied
from sojourn.core.base.limits import LABELS_MAX
from sojourn.core.protocol.letters import MESSAGE
from sojourn.core.protocol.querying import QUERY
from sojourn.runtime.ports import Custodian, Intent
from sojourn.runtime.records import Received, Record

__all__ = ["addressed", "answered_in"]


def answered_in(records: Iterable[Record]) -> tuple[str, ...]:
    """Return the letters whose answers have reached the code, by their effect keys, as records say."""
    received = (record for record in records if isinstance(record, Received))
    return tuple(each.mark.answers for each in received if each.mark and each.mark.answers)


async def addressed(intent: Intent, marks: Marks, custodian: Custodian) -> Intent:
    """Return the intent of a message with the letter that it follows; any other intent as it is.

    A question is bound like a message.

    Raises `Denied` if `marks`, of what the code has used, bind it to a place: a message goes wherever its receiver
    does, or if it would have too many labels. `Rejected` for one to nobody.
    """
    if intent.action not in (MESSAGE, QUERY):
        return intent
    if home_of(marks) != ():
        raise Denied(
            f"its agent has used {described(marks)}, and a message goes wherever its receiver does",
            remedy="Send before that is used, or behind a restart point",
        )
    if len(intent.labels) > LABELS_MAX:
        raise Denied(
            f"its agent has used data with {len(intent.labels)} labels, and a message has {LABELS_MAX} at most",
            remedy="Send in a turn of its own, where less has been used",
        )
    if intent.action == QUERY:  # it comes in no order with letters
        return intent
    newest = await custodian.newest_letter(parse_cid_text(intent.counterpart))
    return msgspec.structs.replace(intent, follows=newest)
