"""`ctx.progress`: a word for people who watch, which no journal keeps."""

from typing import TYPE_CHECKING, Any

from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import PROGRESS_CHARS_MAX
from sojourn.runtime.frames import Progressed

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["tell_progress"]


def tell_progress(session: "Session", text: Any, done: Any, total: Any) -> None:
    """Tell how far the code is. Raises as `Context.progress`."""
    session.check_in_run()
    if not isinstance(text, str) or len(text) > PROGRESS_CHARS_MAX:
        problem = f"ctx.progress was given {str(text)[:40]!r} for its text"
        raise Misused(problem, remedy=f"Tell it in at most {PROGRESS_CHARS_MAX} characters")
    for name, count in (("done", done), ("total", total)):
        if count is not None and (type(count) is not int or not 0 <= count < 2**63):
            problem = f"ctx.progress was given {name}={count!r}"
            raise Misused(problem, remedy="Count in whole numbers from 0 on")
    session.memory.check_may_travel("what ctx.progress tells")
    session.tell(Progressed(text=text.encode(errors="replace").decode(), done=done, total=total))
