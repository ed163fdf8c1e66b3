"""Exceptions as records, and records as exceptions: raised alike live and in every replay."""

import traceback
from typing import Any, Final, Literal

import msgspec

from sojourn.core.base.errors import BudgetExhausted, Denied, Misused, SojournError
from sojourn.runtime.errors import OriginsChild, StepFailed, UncertainOutcome, Undeliverable
from sojourn.runtime.records import Failure, Raised, Returned, encode_record
from sojourn.runtime.secrecy import Secrecy
from sojourn.runtime.typed import to_plain

__all__ = ["exception_of", "failure_of", "last_record", "redacted", "refusal", "stuck"]

FRAMES_MAX: Final = 12
TRACE_CHARS_MAX: Final = 8_192
MESSAGE_CHARS_MAX: Final = 4_096
KIND_CHARS_MAX: Final = 128

_OURS: Final = __file__.rpartition("/")[0]


def failure_of(error: BaseException) -> Failure:
    """Return the record of an exception that the author's code raised, with the end of its traceback."""
    ours = error if isinstance(error, SojournError) else None
    return Failure(
        cause="failed",
        kind=type(error).__qualname__[:KIND_CHARS_MAX],
        message=_sound(ours.problem if ours else _text(error))[:MESSAGE_CHARS_MAX],
        remedy=_sound(ours.remedy if ours else "")[:MESSAGE_CHARS_MAX],
        trace=_trace(error),
    )


def refusal(cause: Literal["denied", "exhausted"], problem: str, remedy: str) -> Failure:
    """Return the record of what the gate denied, or what a budget did not afford."""
    kind = "BudgetExhausted" if cause == "exhausted" else "Denied"
    return Failure(cause=cause, kind=kind, message=problem, remedy=remedy)


def redacted(failure: Failure, secrecy: Secrecy) -> Failure:
    """Return the same failure with no secret in its texts."""
    texts = ("kind", "message", "remedy", "trace")
    said = {name: secrecy.redacted(getattr(failure, name)) for name in texts}
    return msgspec.structs.replace(failure, **said | {"kind": said["kind"][:KIND_CHARS_MAX]})


def last_record(result: Any) -> Returned | Raised:
    """Return the record of what `run` returned, or that this is nothing that can be recorded."""
    try:
        record = Returned(result=to_plain(result, what="the result of run"))
        encode_record(record, what="the result of run")
    except Misused as error:
        return Raised(failure=failure_of(error))
    return record


def _sound(text: str) -> str:
    """Return text without the lone surrogates that no encoding takes."""
    return text.encode(errors="replace").decode()


def _text(error: BaseException) -> str:
    """Return what an exception says of itself, were its `__str__` as broken as its step."""
    try:
        return str(error)
    except Exception as worse:  # anything may be in there
        return f"(its text cannot be had: {type(worse).__qualname__})"


def _trace(error: BaseException) -> str:
    """Return the end of the traceback: the author's part of it, and of paths no more than a tail.

    Frames of this runtime explain nothing to the author, and a host's folders are nobody's business.
    """
    frames = [
        f"{'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno} in {frame.name}: {frame.line}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_OURS)
    ]
    return _sound("\n".join(frames[-FRAMES_MAX:]))[-TRACE_CHARS_MAX:]


def exception_of(failure: Failure, step: str, attempts: int) -> Exception:
    """Return the exception that `run` sees for a step's failure."""
    match failure.cause:
        case "denied":
            return Denied(failure.message, remedy=failure.remedy)
        case "exhausted":
            return BudgetExhausted(failure.message, remedy=failure.remedy)
        case "uncertain":
            is_child = failure.kind == OriginsChild.__name__
            return (OriginsChild if is_child else UncertainOutcome)(step, failure.message)
        case "undeliverable":
            return Undeliverable(failure.message, remedy=failure.remedy)
        case "failed" | "timeout":
            return StepFailed(
                step,
                failure.kind,
                failure.message,
                attempts,
                remedy=failure.remedy,
                timed_out=failure.cause == "timeout",
            )


def stuck() -> Misused:
    """Return the error for code that nothing will drive again."""
    return Misused(
        "run waits for something that nothing will bring: no step, sleep or message is under way",
        remedy="Wait for a step, a message or ctx.sleep",
    )
