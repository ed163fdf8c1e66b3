"""What answer a question expects: a type of the author's, or choices; as a JSON schema for whoever answers.

The schema is for people and their tools. What an answer means the agent's own code says, by the type itself: no
answer reaches it that is none of that type.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec

from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import EXPECTED_CHARS_MAX
from sojourn.runtime.models import is_model_form
from sojourn.runtime.typed import from_plain, to_plain

__all__ = ["CHOICES_MAX", "Expectation"]

CHOICES_MAX: Final = 256
_MOMENT: Final = Annotated[datetime, msgspec.Meta(tz=True)]
"""When something is, wherever the agent is by then: without a time zone nobody could tell."""
_TELLING: Final = (
    "Expect str, bool, int, float, an Enum, a Literal, a dataclass, a struct or a pydantic model"
)


class Expectation:
    """The type of an answer, or the choices there are."""

    def __init__(self, form: Any, choices: Sequence[Any] | None) -> None:
        """Expect a value of type `form`, or one of `choices`. Raises `Misused` for what nobody could be asked for."""
        self._form: Any = _MOMENT if form is datetime else form
        self._choices: list[tuple[Any, Any]] | None = None
        if choices is not None:
            self._choices = [(_plain_choice(each), each) for each in choices]
            _check_choices([plain for plain, _ in self._choices])
        self.schema = json.dumps(self._schema(), ensure_ascii=False, separators=(",", ":"))
        if len(self.schema) > EXPECTED_CHARS_MAX:
            problem = f"what ctx.ask expects takes {len(self.schema)} characters to say"
            raise Misused(problem, remedy=f"At most {EXPECTED_CHARS_MAX}: ask for less at once")

    def _schema(self) -> Any:
        if self._choices is not None:
            return {"enum": [plain for plain, _ in self._choices]}
        try:
            is_model = is_model_form(self._form)
            schema = self._form.model_json_schema() if is_model else msgspec.json.schema(self._form)
        except (TypeError, ValueError, RuntimeError, RecursionError) as error:
            raise Misused(
                f"ctx.ask cannot expect {self._form!r}: {error}", remedy=_TELLING
            ) from None
        if "contentEncoding" in json.dumps(schema):
            problem = f"ctx.ask expects {self._form!r}, and nobody can type bytes"
            raise Misused(problem, remedy=_TELLING)
        return schema

    def read(self, plain: Any) -> Any:
        """Return the value that an answer gives. Raises `Misused` if it is none that was expected."""
        if self._choices is None:
            return from_plain(plain, self._form, what="the answer")
        for each, choice in self._choices:
            if type(each) is type(plain) and each == plain:
                return choice
        known = ", ".join(json.dumps(each, ensure_ascii=False) for each, _ in self._choices)
        raise Misused(f"the answer is none of {known}", remedy="Choose one of them")


def _plain_choice(choice: Any) -> Any:
    plain = to_plain(choice, what="a choice of ctx.ask")
    if not isinstance(plain, str | bool | int | float | None):
        problem = f"a choice of ctx.ask is a {type(choice).__qualname__}"
        raise Misused(problem, remedy="Offer text, numbers or members of an Enum")
    return plain


def _check_choices(choices: Sequence[Any]) -> None:
    if not 1 <= len(choices) <= CHOICES_MAX:
        problem = f"ctx.ask was given {len(choices)} choices"
        raise Misused(problem, remedy=f"Offer 1 to {CHOICES_MAX}")
    if len({(type(each), each) for each in choices}) < len(choices):
        raise Misused("a choice of ctx.ask is there twice", remedy="Offer each once")
