"""What the code of a session may call, and when: in `run` alone, and some things with nothing beside them."""

import asyncio

from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.calls import Calls
from sojourn.runtime.agent_side.course import Course
from sojourn.runtime.agent_side.loop import AgentLoop
from sojourn.runtime.agent_side.run import Run
from sojourn.runtime.agent_side.turns import Loops

__all__ = ["CallChecks"]


class CallChecks:
    """The part of a `Session` that admits calls and numbers them."""

    is_over: bool
    course: Course
    loops: Loops
    _run: Run
    _calls: Calls

    @property
    def loop(self) -> AgentLoop:
        """The loop of the code."""
        return self._run.loop

    @property
    def is_stopped(self) -> bool:
        """Whether the code is merely being unwound: what it still does changes nothing."""
        return self.is_over or self._run.is_unwinding

    def check_in_run(self) -> None:
        """Raise `Misused` anywhere but in `run` and what it calls; cancel code that is stopped."""
        if self.is_stopped:
            raise asyncio.CancelledError
        if not self.loop.is_running():
            raise Misused(
                "ctx, memory and steps were used outside run",
                remedy="A step and rank work on their arguments alone: use these in run",
            )

    def _check_call(self) -> None:
        self.check_in_run()
        if self.loops.is_iterating:
            raise Misused(
                "what ctx.turns iterates over called a step or ctx",
                remedy="Iterate over what is known when the loop begins, and call steps in its turns",
            )

    def next_call(self) -> int:
        """Return the number of the call that the code makes now. Raises `Misused` where it may not."""
        self._check_call()
        return self.course.next_call()

    def next_sole_call(self, what: str) -> int:
        """Do the same for a call beside which no other may be under way. Raises `Misused` if one is."""
        self._check_call()
        if self._calls.keep_from(what):
            raise Misused(f"{what} came while {self._calls.doing()}", remedy="Await that first")
        return self.course.next_call()
