"""Streams: output that an agent writes piece by piece, and that readers follow and resume by index.

A stream is a log of the agent's memory. So a piece is final with the step that it was written beside, stands there
once and in order however often the code is replayed, goes where the agent goes, and is proved as all memory is.
"""

from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.logs import LogCompartment
from sojourn.runtime.typed import kind_of

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["PIECE_CHARS_MAX", "Stream"]

PIECE_CHARS_MAX: Final = 256 * 1024
"""Text or bytes in one piece: what is longer is written in several."""
_PROBLEM_CHARS_MAX: Final = 1024


class Stream:
    """`async with ctx.stream("name") as out`, and in it `await out.write(...)`. Ends when its body does."""

    def __init__(self, session: "Session", name: str) -> None:
        """Write to the log `name` of the agent's memory. Raises `Misused` if it is none."""
        self._session = session
        self._log: LogCompartment[Any] = LogCompartment(session.memory, name, Any)
        self._name = name
        self._is_open = False

    async def __aenter__(self) -> "Stream":
        """Open it: it goes on behind whatever was written to it before."""
        self._session.check_in_run()
        self._is_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it, for its readers: well, or with the error that ended its body. Stopped code ends nothing."""
        self._is_open = False
        if self._session.is_stopped or isinstance(error, GeneratorExit):
            return
        problem = "" if error is None else f"{type(error).__qualname__}: {error}"
        self._log.append({"end": problem.encode(errors="replace").decode()[:_PROBLEM_CHARS_MAX]})

    async def write(self, piece: Any) -> int:
        """Write a piece, text, bytes or any other value that memory can keep; return its index.

        Text and bytes that are empty are written all the same. Raises `Misused` for what cannot be kept, for a piece
        of more than 262,144 characters or bytes, and once the stream has ended.
        """
        self._session.check_in_run()
        if not self._is_open:
            problem = f"a piece was written to stream {self._name!r}, which is not open"
            raise Misused(problem, remedy="Write within `async with ctx.stream(...) as out`")
        if isinstance(piece, str | bytes | bytearray) and len(piece) > PIECE_CHARS_MAX:
            problem = f"a piece of stream {self._name!r} is a {kind_of(piece)}"
            raise Misused(problem, remedy=f"Write at most {PIECE_CHARS_MAX} at once")
        index = len(self._log)
        self._log.append({"piece": piece})
        return index
