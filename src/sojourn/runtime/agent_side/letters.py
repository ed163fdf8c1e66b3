"""Messages as the code gets them: of the type that it asks for, or an error that names who sent what."""

import inspect
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sojourn.core.base.errors import Misused
from sojourn.runtime.errors import Unanswered, WrongMessage
from sojourn.runtime.ports import Message
from sojourn.runtime.typed import from_plain, kind_of

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.context import Context

__all__ = ["read_body", "told_unread", "unanswered"]

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


def unanswered(letter: str, waits: str, unread_by: str = "", *, is_own: bool = True) -> Unanswered:
    """Return the error for a request that nobody has answered in time; `waits` says who waits for whom.

    Or that nobody will: for the agent `unread_by`, which was asked, has ended and not read it, or for it is not the
    agent's own, but of the one that it was forked from.
    """
    if not is_own:
        problem = f"{letter} was sent by the agent that this one was forked from: the answer is its"
        return Unanswered(problem, letter=letter, remedy="Ask again, in the fork's own name")
    if unread_by:
        problem = f"{unread_by} has ended, and did not read {letter}"
        return Unanswered(problem, letter=letter, remedy="Ask another agent")
    if not waits:
        problem = f"no answer came in time to {letter}"
        return Unanswered(problem, letter=letter, remedy="Ask again, or give it more time")
    problem = f"no answer can come, for agents wait for each other: {waits} waits for the first"
    remedy = "Receive while you wait (asyncio.gather), or send what needs no answer"
    return Unanswered(problem, letter=letter, is_cycle=True, remedy=remedy)


async def told_unread(agent: Any, context: "Context", message: Message) -> bool:
    """Tell an agent that a message of its own was not read; return whether this is word of that."""
    if message.mark is None or not message.mark.unread:
        return False
    told = agent.on_unread(context, message)
    if inspect.isawaitable(told):
        await told
    return True
