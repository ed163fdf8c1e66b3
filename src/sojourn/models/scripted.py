"""A model for tests: it answers what its script says, the same however often it is asked."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from sojourn.core.base.errors import Misused
from sojourn.models.replies import Messages, Reply, ToolCall, spoken

__all__ = ["ScriptedModel"]

Answer: TypeAlias = str | Reply | ToolCall


class ScriptedModel:
    """Stands in for a model call: `world.stand_in("think", ScriptedModel(["first answer", "second"]))`.

    A script is a list, or a function of the messages. Of a list it gives the answer whose turn it is by the messages
    alone, after those that the model has given already: so a call that is repeated gets the same.
    """

    def __init__(self, script: Sequence[Answer] | Callable[[list[dict[str, Any]]], Answer]) -> None:
        """Answer by this script; `asked` is what was said to it, newest last."""
        self._script = script
        self.asked: list[list[dict[str, Any]]] = []

    def __call__(self, messages: Messages, tools: Sequence[Mapping[str, Any]] = ()) -> Reply:
        """Answer. Raises `Misused` when the script is over."""
        said = spoken(messages)
        self.asked.append(said)
        if callable(self._script):
            answer = self._script(said)
        else:
            turn = sum(each["role"] == "assistant" for each in said)
            if turn >= len(self._script):
                problem = f"answer {turn + 1} was asked of a script with {len(self._script)}"
                raise Misused(problem, remedy="Write more answers, or end the conversation")
            answer = self._script[turn]
        if isinstance(answer, ToolCall):
            return Reply(text="", tool_calls=(answer,), model="scripted", finish="tool_calls")
        return answer if isinstance(answer, Reply) else Reply(text=answer, model="scripted")
