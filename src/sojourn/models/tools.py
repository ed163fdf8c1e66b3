"""Conversations with tools: the model asks for steps of the agent, which are gated like any other.

model ─► wants tools ─► each is a step: decision, intent, effect, outcome ─► model ─► ... ─► its last word

What a model asks for is never authority: a tool that policies deny is not called, and the model is told so.
"""

import inspect
import typing
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from sojourn.core.base.encoding import shown
from sojourn.core.base.errors import Denied, Misused, Rejected
from sojourn.models.calling import ModelStep
from sojourn.models.replies import Messages, Reply, ToolCall, spoken
from sojourn.runtime.agent_side.steps import Step
from sojourn.runtime.errors import StepFailed
from sojourn.runtime.typed import to_plain

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.agent import Agent

__all__ = ["TooManyTurns", "converse", "described", "given"]


class TooManyTurns(Exception):
    """A conversation went on for longer than it may; `messages` is all that was said."""

    def __init__(self, turns: int, messages: list[dict[str, Any]]) -> None:
        super().__init__(f"the model still wanted tools after {turns} turns")
        self.messages = messages


async def converse(
    agent: "Agent",
    call: ModelStep,
    messages: Messages,
    tools: Sequence[Step[..., Any]] = (),
    *,
    turns: int = 8,
) -> Reply:
    """Talk with a model until it wants no more tools, and return its last reply. To be awaited in `run`.

    `call` and `tools` are the agent's own, named by its class: `converse(self, Desk.think, text, [Desk.balance])`. A
    tool's description is its docstring, its arguments are typed as the step's are. What a model asks for wrongly,
    what policies deny, and steps that fail are told to it as an answer. Raises `TooManyTurns`, and whatever the model
    call raises; `UncertainOutcome` of a tool is the agent's to decide.
    """
    said, named = spoken(messages), {tool.name: tool for tool in tools}
    offered = [described(tool) for tool in tools]
    for _ in range(turns):
        reply: Reply = await getattr(agent, call.name)(list(said), tools=offered)
        said.append(reply.message())
        if not reply.tool_calls:
            return reply
        for wanted in reply.tool_calls:
            content = await _answer(agent, named.get(wanted.name), wanted)
            said.append({"role": "tool", "tool_call_id": wanted.id, "content": content})
    raise TooManyTurns(turns, said)


async def _answer(agent: "Agent", tool: Step[..., Any] | None, wanted: ToolCall) -> str:
    """Return what a model is told of the tool that it wanted."""
    if tool is None:
        return f"error: there is no tool {wanted.name!r}"
    form = _form(tool)
    try:
        result = await getattr(agent, tool.name)(**given(form, wanted.arguments))
    except (Denied, StepFailed, Rejected) as error:
        return f"error: {error}"
    plain = to_plain(result, what=f"the result of tool {tool.name!r}")
    return plain if isinstance(plain, str) else msgspec.json.encode(plain).decode()


def given(form: Any, arguments: str) -> dict[str, Any]:
    """Return the arguments that a model gives to a tool whose arguments are of this form. Raises `Rejected`."""
    try:
        return msgspec.structs.asdict(msgspec.json.decode(arguments or "{}", type=form))
    except (ValueError, OverflowError, RecursionError) as error:  # of msgspec, and of its UTF-8
        problem = f"the arguments of {form.__name__} are wrong: {shown(str(error))}"
        raise Rejected(problem, reason="malformed", where="arguments") from None


def _form(tool: Step[..., Any]) -> Any:
    """Return the type of a tool's arguments. Raises `Misused` for one that takes any number of them."""
    hints = typing.get_type_hints(tool.function)
    fields: list[Any] = []
    for name, each in list(inspect.signature(tool.function).parameters.items())[1:]:
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD, each.POSITIONAL_ONLY):
            problem = f"tool {tool.name!r} has the argument {each}, which has no name or number"
            raise Misused(problem, remedy="Name each argument of a tool")
        form = hints.get(name, Any)
        fields.append((name, form) if each.default is each.empty else (name, form, each.default))
    return msgspec.defstruct(tool.name, fields, kw_only=True, forbid_unknown_fields=True)


def described(tool: Step[..., Any]) -> dict[str, Any]:
    """Return a step as OpenAI's protocol describes a tool."""
    (_, shared) = msgspec.json.schema_components([_form(tool)], ref_template="#/$defs/{name}")
    parameters = dict(shared.pop(tool.name))
    parameters.pop("title", None)
    if shared:
        parameters["$defs"] = shared
    function = {
        "name": tool.name,
        "description": inspect.cleandoc(tool.__doc__ or tool.name),
        "parameters": parameters,
    }
    return {"type": "function", "function": function}
