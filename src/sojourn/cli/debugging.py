"""A debugger for agents: Python's own, which stops in the agent's code alone and not in what runs it."""

import pdb
from typing import Final

from sojourn.runtime.agent_side.code import is_agents

__all__ = ["AgentDebugger"]

_SOME: Final = ("-",)
"""Without any pattern nothing is skipped at all."""


class AgentDebugger(pdb.Pdb):
    """Takes over where the agent's code goes on next; `halt` says when."""

    def __init__(self) -> None:
        super().__init__(skip=_SOME, nosigint=True)
        self.prompt = "(agent) "

    def is_skipped_module(self, module_name: str | None) -> bool:
        """Tell whether a module is none of the agent's."""
        return not is_agents(module_name or "")

    def halt(self) -> None:
        """Take over from here on."""
        self.set_trace()
