"""A debugger for agents: Python's own, which stops in the agent's code alone and not in what runs it."""

import linecache
import pdb
import sys
from collections.abc import Iterable
from types import FrameType, TracebackType
from typing import IO, Any, Final

from sojourn.runtime.agent_side.code import is_agents

__all__ = ["AgentDebugger"]

_SOME: Final = ("-",)
"""Without any pattern nothing is skipped at all."""


class AgentDebugger(pdb.Pdb):
    """Takes over where the agent's code goes on next; `halt` says when, and `release` that the replay is over.

    To leave it, by `quit` or the end of its input, lets the replay go on to its end.
    """

    def __init__(self, out: IO[str] | None = None) -> None:
        """Speak to the terminal; or, with `out`, there instead of to standard output."""
        super().__init__(skip=_SOME, nosigint=True, stdout=out)
        self.prompt = "(agent) "
        self._has_halted = False

    def is_skipped_module(self, module_name: str | None) -> bool:
        """Tell whether a module is none of the agent's."""
        return not is_agents(module_name or "")

    def halt(self) -> None:
        """Take over from here on."""
        self._has_halted = True
        self.set_trace()

    def release(self) -> None:
        """Never take over again."""
        if self._has_halted:
            self.clear_all_breaks()
            self.set_continue()

    # --- what it shows: the agent's frames, by the names that its files have -----------------------------

    def get_stack(
        self, f: FrameType | None, t: TracebackType | None
    ) -> tuple[list[tuple[FrameType, int]], int]:
        """Return the frames of the agent's code, oldest first, and which of them it is in."""
        stack, at = super().get_stack(f, t)
        current = stack[at][0] if stack else None
        own = [each for each in stack if is_agents(each[0].f_globals.get("__name__", ""))]
        places = [number for number, each in enumerate(own) if each[0] is current]
        return (own, places[-1]) if places else (stack, at)

    def canonic(self, filename: str) -> str:
        """Return a file's name; an agent's is in no folder of this machine."""
        return filename if filename.startswith("<agent ") else super().canonic(filename)

    def lookupmodule(self, filename: str) -> str | None:
        """Return the name of a file that a breakpoint is to be in: the agent's, by its path or its module."""
        for name, module in _agents_modules():
            path = str(module["__file__"])
            if filename in (path, path.partition(">/")[2], name.partition(".")[2]):
                linecache.lazycache(path, module)
                return path
        found: str | None = super().lookupmodule(filename)
        return found

    # --- how it is left ------------------------------------------------------------------------------------

    def do_quit(self, arg: str) -> bool:
        """Leave the debugger: the replay goes on to its end."""
        self.release()
        return True

    do_q = do_exit = do_quit

    def do_EOF(self, arg: str) -> bool:  # noqa: N802 (the name that pdb looks for)
        """Leave the debugger at the end of its input."""
        self.message("")
        return self.do_quit(arg)

    def do_run(self, arg: str) -> None:
        """Say that a replay cannot begin anew from within."""
        self.error("leave with q, and replay it again")

    do_restart = do_run


def _agents_modules() -> Iterable[tuple[str, dict[str, Any]]]:
    """Return the modules of agents' code that are loaded, the newest first."""
    loaded = [(name, vars(module)) for name, module in sys.modules.items() if is_agents(name)]
    return [each for each in reversed(loaded) if each[1].get("__file__")]
