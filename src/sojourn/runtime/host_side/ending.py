"""How executions end."""

from enum import StrEnum
from typing import Any

from sojourn.core.base.encoding import Value
from sojourn.core.base.errors import Rejected
from sojourn.runtime.failures import failure_of
from sojourn.runtime.frames import Anew, Broke, Diverged
from sojourn.runtime.holdings import LetGo
from sojourn.runtime.sought import Sought

__all__ = ["Ending", "How", "broken_by", "stopped"]


class How(StrEnum):
    """How an execution ended."""

    RETURNED = "returned"
    RAISED = "raised"
    RESTING = "resting"
    DEPARTED = "departed"
    DIVERGED = "diverged"
    LEASE_LOST = "lease-lost"
    BROKEN = "broken"
    ANEW = "anew"


class Ending(Value):
    """The end of an execution.

    `returned` (with what `run` returned, as builtins) and `raised` are final and recorded. A `resting` agent
    is dormant, and its wake triggers say when to execute it again, as does news
    of a place that it `sought`; a `departed` one is another zone's.
    `diverged` (the code does not repeat its journal; nothing is recorded) needs a person. After `lease-lost`
    another host may act. `broken` means that the agent's side is gone, its process killed perhaps: execute
    the agent again. So too after `anew`, at once: it goes on from a restart point, since less binds it behind that,
    or since it reads on in what it had begun to read before that and has replaced.
    """

    how: How
    text: str = ""
    result: Any = None
    sought: tuple[Sought, ...] = ()


def stopped(last: Anew | Diverged | None) -> Ending:
    """Return how an agent's side ended that has stopped with this."""
    match last:
        case Anew():
            return Ending(how=How.ANEW)
        case Diverged():
            return Ending(how=How.DIVERGED, text=last.text)
        case None:
            return Ending(how=How.BROKEN, text="the agent's side is gone")


def broken_by(error: Rejected) -> Anew | Broke:
    """Return what is to be done about an agent's side that said what may not be said."""
    return Anew() if isinstance(error, LetGo) else Broke(failure=failure_of(error))
