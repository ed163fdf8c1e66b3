"""What is said to a model, and what it answers: plain values, which a journal keeps."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sojourn.core.base.encoding import Count, Value
from sojourn.core.base.errors import Misused

__all__ = ["Messages", "Reply", "ToolCall", "spoken"]

Messages: TypeAlias = str | Sequence[Mapping[str, Any]]
"""A question, or messages as OpenAI's protocol has them: {"role": ..., "content": ...}."""


class ToolCall(Value):
    """A model wants a tool called; `arguments` is JSON, by the model, and may be wrong."""

    id: str
    name: str
    arguments: str


class Reply(Value):
    """What a model answered, what that used, and what it cost in millionths of the currency unit."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    model: str = ""
    finish: str = ""
    input_tokens: Count = 0
    output_tokens: Count = 0
    cost_micros: Count = 0

    def message(self) -> dict[str, Any]:
        """Return it as a message of the conversation that goes on."""
        said: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.tool_calls:
            said["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in self.tool_calls
            ]
        return said


def spoken(messages: Messages) -> list[dict[str, Any]]:
    """Return messages as a list. Raises `Misused` for what is none."""
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    said = [dict(each) for each in messages]
    if not said or any("role" not in each for each in said):
        problem = f"a model was to be told {len(said)} messages, or one without a role"
        raise Misused(problem, remedy='Give text, or [{"role": "user", "content": "..."}]')
    return said
