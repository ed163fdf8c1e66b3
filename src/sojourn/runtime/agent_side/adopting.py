"""Adopting: other code takes up an agent at a restart point, and its memory with it (protocol §8.16).

    old code ─► restart point, and it leaves ─► new code, tried: its upgrade step, or a replay of what is before
      ▲                                             │
      └──────────── it fails: nothing has changed ◄─┴─► adopted, with the first step that it makes final

Code whose memory is to be another declares an upgrade step, a plain function that is given memory and has nothing
else: it is done in one piece, in the transition that adopts the code, or not at all.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.course import Arguments
from sojourn.runtime.agent_side.memory import Compartments
from sojourn.runtime.agent_side.run import Restarting, Run
from sojourn.runtime.frames import Start
from sojourn.runtime.typed import to_plain

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["Adoption", "check_goes_on", "upgrade"]

F = TypeVar("F", bound=Callable[..., Any])

_MARK: Final = "_sojourn_upgrades_from"
_REMEDY: Final = "The agent goes on with the code that it has: mend the new one, and order it anew"


def upgrade(*, from_: str | Sequence[str] | None = None) -> Callable[[F], F]:
    """Declare an upgrade step: `def name(self, memory)`, once, when an agent that lives is given this code.

    `memory` is what `ctx.memory` is in `run`. After it `run` begins anew, with the arguments that it had, or those
    that the step returns: a dict of them by name. `from_` says from which code, by its digest as `sojourn agent show`
    prints it, one or several; without it, from any. Code without such a step goes on at the agent's restart point.
    Raises `Misused` for a coroutine.
    """
    codes = (from_,) if isinstance(from_, str) else from_

    def mark(function: F) -> F:
        if inspect.iscoroutinefunction(function):
            problem = f"the upgrade step {function.__qualname__} is a coroutine"
            raise Misused(problem, remedy="Write a plain def: it changes memory and calls nothing")
        setattr(function, _MARK, None if codes is None else frozenset(codes))
        return function

    return mark


class Adoption:
    """What a session has to do with an upgrade: nothing, to leave for it, or to be what is tried."""

    def __init__(self, form: type[Agent], start: Start) -> None:
        self.is_due = start.leaves
        self.is_tried = start.replaces is not None
        self.is_fresh = start.fresh
        self._form, self._replaces = form, start.replaces or b""

    @property
    def changes_memory(self) -> bool:
        """Whether the code is tried, and declares an upgrade step. Raises `Misused` as `_step`."""
        return self.is_tried and self._step() is not None

    def _step(self) -> Callable[[Agent, Compartments], Any] | None:
        """Return the step that this code declares from the old one. Raises `Misused` if it declares only others."""
        declared = [
            each
            for name in dir(self._form)
            if hasattr(each := inspect.getattr_static(self._form, name), _MARK)
        ]
        replaced = cid_text(self._replaces)
        for each in sorted(declared, key=lambda each: getattr(each, _MARK) is None):
            codes = getattr(each, _MARK)
            if codes is None or replaced in codes:
                found: Callable[[Agent, Compartments], Any] = each
                return found
        if declared:
            problem = f"the new code declares no upgrade step from {replaced}"
            raise Misused(problem, remedy=_REMEDY)
        return None

    def run(self, session: "Session") -> Run:
        """Return the run of the upgrade step, to be driven once, on the memory of a session."""
        step = self._step()
        assert step is not None, "only code that changes memory runs a step"

        async def code() -> Any:
            return step(self._form(), Compartments(session))

        return Run(code)

    def arguments(self, run: Run, before: Arguments) -> Any:
        """Return what `run` begins with after the step: plain values. Raises `Misused` if the step failed."""
        check_goes_on(run, "its upgrade step")
        if run.result is None:
            return before
        if not isinstance(run.result, dict):
            what = type(run.result).__qualname__
            problem = f"the upgrade step returned a {what}, and not the arguments of run"
            raise Misused(problem, remedy="Return a dict of them by name, or None for the same")
        return to_plain(((), run.result), what="what the upgrade step returned")


def check_goes_on(run: Run, what: str = "it") -> None:
    """Raise `Misused` if code that is tried has raised, before anything of it is final."""
    error = run.error
    if error is not None and not isinstance(error, Restarting):
        problem = f"the new code is not adopted: {what} raised {type(error).__qualname__}: {error}"
        raise Misused(problem, remedy=_REMEDY)
