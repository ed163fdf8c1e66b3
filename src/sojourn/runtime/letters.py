"""Messages as the code gets them: of the type that it asks for, or an error that names who sent what."""

from typing import Any, Final

import msgspec

from sojourn.core.base.errors import Misused
from sojourn.runtime.errors import Unanswered, WrongMessage
from sojourn.runtime.ports import Message
from sojourn.runtime.typed import from_plain, kind_of

__all__ = ["read_body", "unanswered"]

_REMEDY: Final = (
    "Catch WrongMessage, whose .message has it as it came; or receive it as another type"
)


def read_body(message: Message, form: Any) -> Message:
    """Return a message whose body is of type `form`. Raises `WrongMessage` for one that is not."""
    if form is Any:
        return message
    sender = message.sender[-16:]
    what = f"message {message.index} from …{sender} ({kind_of(message.body)})"
    try:
        return msgspec.structs.replace(message, body=from_plain(message.body, form, what=what))
    except Misused as error:
        raise WrongMessage(error.problem, message, remedy=_REMEDY) from None


def unanswered(letter: str, waits: str) -> Unanswered:
    """Return the error for a request that nobody has answered in time; `waits` says who waits for whom."""
    if not waits:
        problem = f"no answer came in time to {letter}"
        return Unanswered(problem, letter=letter, remedy="Ask again, or give it more time")
    problem = f"no answer can come, for agents wait for each other: {waits} waits for the first"
    remedy = "Receive while you wait (asyncio.gather), or send what needs no answer"
    return Unanswered(problem, letter=letter, is_cycle=True, remedy=remedy)
