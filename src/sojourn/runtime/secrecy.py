"""Secrets: handed to a step while it runs, and found wherever else they turn up.

`secret` is what an author calls. `Secrecy` knows the values that were handed out, and finds them in bytes and texts
that are to be stored or said: as they are, as JSON, URLs and base64 write them, and line by line. It finds what is
there by oversight; code that disguises a value it does not see through (protocol §10.28).
"""

import base64
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Final, TextIO
from urllib.parse import quote

from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import SECRET_CHARS_MAX, SECRET_CHARS_MIN

__all__ = ["NAME", "RedactedStream", "Secrecy", "check_value", "handed", "secret"]

NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")
"""What a secret's name looks like."""
LINE_CHARS_MAX: Final = 65_536

handed: ContextVar[Mapping[str, str] | None] = ContextVar("handed", default=None)
"""Within a step, the secrets that it was handed. They are gone when it ends."""


def secret(name: str) -> str:
    """Return a secret, in a step that declares it: `@step(..., secrets=("openai",))`.

    It is there while the step runs, and is to go nowhere but to whom the step speaks. A result that holds it is
    refused; texts of exceptions and logged lines are rid of it. Raises `Misused` outside a step, and for a name that
    the step does not declare.
    """
    held = handed.get()
    if held is None:
        problem = f"secret {name!r} was asked for outside a step"
        remedy = (
            "Use it in a step that declares it; in a test of the class, with testing.given_secrets"
        )
        raise Misused(problem, remedy=remedy)
    if name not in held:
        problem = f"secret {name!r} was asked for in a step that is not handed it, or has ended"
        remedy = f'Declare it: @step(..., secrets=("{name}",)), and use it before the step returns'
        raise Misused(problem, remedy=remedy)
    return held[name]


def check_value(name: str, value: str) -> None:
    """Raise `Misused` for a value that cannot be kept out of what is stored, without showing it."""
    if not SECRET_CHARS_MIN <= len(value) <= SECRET_CHARS_MAX:
        problem = f"secret {name!r} has {len(value)} characters"
        remedy = (
            f"Use {SECRET_CHARS_MIN} to {SECRET_CHARS_MAX}: what is shorter is found everywhere"
        )
        raise Misused(problem, remedy=remedy)


class Secrecy:
    """Values that are to turn up nowhere. May be used from any thread."""

    def __init__(self) -> None:
        """Begin with none."""
        self._forms: dict[bytes, str] = {}

    def add(self, secrets: Mapping[str, str]) -> None:
        """Look for these from now on."""
        found = {form: name for name, value in secrets.items() for form in _forms(value)}
        if not found.keys() <= self._forms.keys():  # replaced whole: another thread may be looking
            self._forms = {**self._forms, **found}

    def find(self, data: bytes) -> str | None:
        """Return the name of a secret that is in these bytes, None if there is none."""
        return next((name for form, name in self._forms.items() if form in data), None)

    def check(self, data: bytes, what: str) -> None:
        """Raise `Misused` if a secret is in the bytes of `what`."""
        name = self.find(data)
        if name is not None:
            problem = (
                f"{what} contains secret {name!r}, which is handed to a step and stored nowhere"
            )
            raise Misused(
                problem, remedy="Use it in the step alone, and return what it was needed for"
            )

    def redacted(self, text: str) -> str:
        """Return a text in which each secret is replaced by its name."""
        if self._forms and self.find(text.encode(errors="replace")) is not None:
            for form, name in sorted(self._forms.items(), key=lambda item: -len(item[0])):
                text = text.replace(form.decode(), f"[secret {name}]")
        return text


def _forms(value: str) -> Iterator[bytes]:
    """Yield how a value may be written, and each line of it that tells something."""
    lines = [line.strip() for line in value.splitlines()]
    telling = (ln for ln in lines if len(ln) >= SECRET_CHARS_MIN and not ln.startswith("-----"))
    for each in dict.fromkeys((value, *telling)):
        raw = each.encode()
        yield raw
        yield from (
            json.dumps(each, ensure_ascii=is_ascii)[1:-1].encode() for is_ascii in (True, False)
        )
        yield quote(each, safe="").encode()
        yield repr(each)[1:-1].encode()
        yield from _encoded(raw)


def _encoded(raw: bytes) -> Iterator[bytes]:
    """Yield what all base64 of anything with these bytes in it has, wherever in it they begin."""
    for before in range(3):
        padded = b"\0" * before + raw
        whole = base64.b64encode(padded[: len(padded) // 3 * 3])
        inner = whole[4:] if before else whole
        if len(inner) >= SECRET_CHARS_MIN:
            yield inner
            yield inner.replace(b"+", b"-").replace(b"/", b"_")


class RedactedStream:
    """A text stream to which nothing is written but whole lines, rid of secrets; all else is the stream's."""

    def __init__(self, stream: TextIO, secrecy: Secrecy) -> None:
        """Write to `stream` what `secrecy` leaves of it."""
        self._stream, self._secrecy = stream, secrecy
        self._rest = ""
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """Write all lines that are complete by this."""
        with self._lock:
            whole, newline, self._rest = (self._rest + text).rpartition("\n")
            if len(self._rest) > LINE_CHARS_MAX:
                whole, newline, self._rest = whole + newline + self._rest, "", ""
            if whole or newline:
                self._stream.write(self._secrecy.redacted(whole) + newline)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
