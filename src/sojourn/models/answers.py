"""What a client library returns, as a `Reply`: a completion in OpenAI's form, or its chunks one after another."""

from typing import Any, Final

from sojourn.models.replies import Reply, ToolCall
from sojourn.runtime.errors import RetryableError

__all__ = ["Gathering", "reply_of"]

_TOKENS_MAX: Final = 1 << 40


def reply_of(answer: Any, model: str) -> Reply:
    """Return an answer as a value, without its cost. Raises `RetryableError` for one that says nothing."""
    if not answer.choices:
        raise RetryableError(f"{model} answered with no choice")
    said, usage = answer.choices[0].message, answer.usage
    return Reply(
        text=_sound(said.content),
        tool_calls=tuple(
            ToolCall(
                id=_sound(call.id),
                name=_sound(call.function.name),
                arguments=_sound(call.function.arguments),
            )
            for call in said.tool_calls or ()
        ),
        model=_sound(answer.model) or model,
        finish=_sound(answer.choices[0].finish_reason),
        input_tokens=_count(usage.prompt_tokens) if usage else 0,
        output_tokens=_count(usage.completion_tokens) if usage else 0,
    )


class Gathering:
    """An answer that comes in chunks."""

    def __init__(self, model: str) -> None:
        self._model = self._asked = model
        self._text: list[str] = []
        self._calls: dict[int, list[str]] = {}
        self._finish = ""
        self._used = (0, 0)

    def add(self, chunk: Any) -> str:
        """Take a chunk, and return the text in it."""
        self._model = chunk.model or self._model
        if chunk.usage:
            used = (_count(chunk.usage.prompt_tokens), _count(chunk.usage.completion_tokens))
            self._used = (max(self._used[0], used[0]), max(self._used[1], used[1]))
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        self._finish = choice.finish_reason or self._finish
        for call in choice.delta.tool_calls or ():
            kept = self._calls.setdefault(call.index, ["", "", ""])
            kept[0] = call.id or kept[0]
            if call.function is not None:
                kept[1] = call.function.name or kept[1]
                kept[2] += call.function.arguments or ""
        piece = _sound(choice.delta.content)
        self._text.append(piece)
        return piece

    def reply(self) -> Reply:
        """Return all of it. Raises `RetryableError` for one that broke off."""
        if not self._finish:
            raise RetryableError(f"the answer of {self._asked} broke off")
        calls = (self._calls[index] for index in sorted(self._calls))
        return Reply(
            text="".join(self._text),
            tool_calls=tuple(
                ToolCall(id=_sound(named), name=_sound(name), arguments=_sound(arguments))
                for named, name, arguments in calls
            ),
            model=_sound(self._model),
            finish=_sound(self._finish),
            input_tokens=self._used[0],
            output_tokens=self._used[1],
        )


def _count(number: Any) -> int:
    """Return a number of tokens: none where an endpoint says what cannot be, for what was reserved is paid anyway."""
    return number if type(number) is int and 0 <= number <= _TOKENS_MAX else 0


def _sound(text: str | None) -> str:
    """Return text without the lone surrogates that JSON may hold and no record takes."""
    return (text or "").encode(errors="replace").decode()
