"""What answer a question expects: its JSON schema told to people, and what they type held against it."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final
from uuid import UUID

import msgspec
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable

from sojourn.core.base.errors import Misused

__all__ = ["read_typed", "told_expected"]

_SIMPLE: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
_FORMATS: Final[dict[str, Any]] = {
    "date-time": datetime,
    "date": date,
    "time": time,
    "duration": timedelta,
    "uuid": UUID,
    "decimal": Decimal,
}
_SHOWN_CHARS_MAX: Final = 200
_YES_NO: Final = {"yes": True, "no": False}


def told_expected(schema: str) -> str:
    """Return in words what a JSON schema, as text, expects; where there are no words for it, the schema."""
    plain = _parsed(schema)
    match _followed(plain):
        case {"enum": [*choices]}:
            return "one of " + ", ".join(json.dumps(each, ensure_ascii=False) for each in choices)
        case {"type": str(kind), **rest} if kind in _SIMPLE and not rest:
            return _SIMPLE[kind]
        case {"type": "string", "format": "date-time", **rest} if not rest:
            return "a date and time with its zone, such as 2027-01-31T12:00:00+02:00"
        case {"type": "string", "format": str(form), **rest} if not rest:
            return f"text, a {form}"
    return f"JSON of this schema: {json.dumps(plain, ensure_ascii=False)}"


def _followed(schema: Any) -> Any:
    """Return what a schema that only names one of its definitions says, without what only names it."""
    match schema:
        case {"$ref": str(named), "$defs": dict(known)} if len(schema) == 2:
            schema = known.get(named.removeprefix("#/$defs/"), schema)
    if isinstance(schema, dict):
        return {key: value for key, value in schema.items() if key not in ("title", "description")}
    return schema


def read_typed(text: str, schema: str) -> Any:
    """Return the value that a person typed, as JSON or, where that is expected, as bare text.

    Raises `Misused`, with what is expected, for what it is not.
    """
    plain = _parsed(schema)
    problem = ""
    for value in _readings(text, plain):
        wrong = _wrong(value, plain)
        if not wrong:
            return value
        problem = problem or wrong
    problem = f"the answer does not fit: {problem or 'it is no JSON'}"
    raise Misused(problem, remedy=f"Expected is {told_expected(schema)}")


def _readings(text: str, schema: Any) -> list[Any]:
    """Return what a text may mean: its JSON, itself, and yes or no."""
    found: list[Any] = []
    with suppress(ValueError, RecursionError):  # then it may be meant as it stands
        found.append(json.loads(text, parse_constant=_no_constant))
    found.append(text)
    is_yes_no = schema == {"type": "boolean"} and text.lower() in _YES_NO
    return [_YES_NO[text.lower()]] if is_yes_no else found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _wrong(value: Any, schema: Any) -> str:
    """Return what is wrong with a value, in one sentence; "" if nothing is."""
    check = Draft202012Validator(schema, registry=Registry(), format_checker=_formats())
    try:
        error = next(check.iter_errors(value), None)
    except (Unresolvable, SchemaError, RecursionError) as broken:
        raise Misused(
            f"the question's schema cannot be followed: {broken}",
            remedy="Tell the agent's author: the agent expects what nobody can check",
        ) from None
    if error is None:
        return ""
    where = "".join(f"[{part!r}]" for part in error.absolute_path)
    text = str(error.cause) if isinstance(error.cause, _NoZone) else error.message
    if len(text) > _SHOWN_CHARS_MAX:
        text = f"{text[: _SHOWN_CHARS_MAX // 2]} … {text[-_SHOWN_CHARS_MAX // 2 :]}"
    return f"{where + ': ' if where else ''}{text}"


def _parsed(schema: str) -> Any:
    """Return the schema that an inquiry carries: its agent's word, so anything may stand there."""
    try:
        plain = json.loads(schema)
        Draft202012Validator.check_schema(plain)
    except (ValueError, RecursionError, SchemaError):
        problem = "the question says what it expects in no JSON schema"
        remedy = "Tell the agent's author: its code was not made with this version"
        raise Misused(problem, remedy=remedy) from None
    return plain


@cache
def _formats() -> FormatChecker:
    """Return what checks text that stands for something else, as the agent will read it."""
    checker = FormatChecker(formats=())
    for name, form in _FORMATS.items():
        checker.checks(name, raises=msgspec.ValidationError)(_reading(form))
    return checker


class _NoZone(msgspec.ValidationError):
    """A date and time that says no time zone: whose it is, nobody can tell."""


def _reading(form: Any) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        if isinstance(value, str):
            read = msgspec.convert(value, form)
            if isinstance(read, datetime) and read.tzinfo is None:
                raise _NoZone(
                    f"{value!r} says no time zone: write {value}Z for UTC, or {value}+02:00"
                )
        return True

    return check
