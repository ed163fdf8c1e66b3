"""What the host's side adds to the intent of a message; code that is bound to a place sends none."""

import msgspec

from sojourn.core.agent.memory.marks import Marks, described, home_of
from sojourn.core.base.digests import parse_cid_text
from sojourn.core.base.errors import Denied
from sojourn.core.protocol.letters import MESSAGE
from sojourn.runtime.ports import Custodian, Intent

__all__ = ["addressed"]


async def addressed(intent: Intent, marks: Marks, custodian: Custodian) -> Intent:
    """Return the intent of a message with the letter that it follows; any other intent as it is.

    Raises `Denied` if `marks`, of what the code has used, bind it to a place: a message goes wherever its receiver
    does. `Rejected` for one to nobody.
    """
    if intent.action != MESSAGE:
        return intent
    if home_of(marks) != ():
        raise Denied(
            f"its agent has used {described(marks)}, and a message goes wherever its receiver does",
            remedy="Send before that is used, or behind a restart point",
        )
    newest = await custodian.newest_letter(parse_cid_text(intent.counterpart))
    return msgspec.structs.replace(intent, follows=newest)
