"""Errors as bytes: what an error frame carries, and the error that its receiver raises.

An error crosses as its class, not its exact type: a caller must know whether the other end calls
its bytes malformed, its wish forbidden or the world broken. What it must not be told is that *it*
is unreachable or that *its* store failed, so every kind of `Failed` crosses as `Failed`.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta

from sojourn.core.base.encoding import Value, decode, encode
from sojourn.core.base.errors import Denied, Failed, Misused, Refused, Rejected, SojournError

__all__ = ["FAULT_BYTES_MAX", "decode_fault", "encode_fault"]

FAULT_BYTES_MAX: Final = 32 * 1024
_SLUG_LENGTH_MAX: Final = 64
_LENGTH_MAX: Final = 2048

_Slug = Annotated[str, Meta(max_length=_SLUG_LENGTH_MAX)]
_Sentence = Annotated[str, Meta(max_length=_LENGTH_MAX)]

_CLASSES: Final = {
    "denied": Denied,
    "refused": Refused,
    "misused": Misused,
    "failed": Failed,
}


class Fault(Value):
    """The body of an error frame. `reason` and `where` are empty unless `code` is "rejected"."""

    code: Literal["rejected", "denied", "refused", "misused", "failed"]
    reason: _Slug
    where: _Sentence
    problem: _Sentence
    remedy: _Sentence


def encode_fault(error: SojournError) -> bytes:
    """Return the bytes of `error`, its texts cut to what a fault may hold."""
    rejected = error if isinstance(error, Rejected) else None
    fault = Fault(
        code="rejected" if rejected else _code(error),
        reason=_cut(rejected.reason, _SLUG_LENGTH_MAX) if rejected else "",
        where=_cut(rejected.where) if rejected else "",
        problem=_cut(error.problem),
        remedy=_cut(error.remedy),
    )
    return encode(fault)


def decode_fault(body: bytes) -> SojournError:
    """Return the error that `body` carries, or if it carries none, the `Rejected` that says so.

    Characters that could steer a terminal are replaced: the other end writes these texts.
    """
    try:
        fault = decode(body, Fault, what="fault", limit=FAULT_BYTES_MAX)
    except Rejected as error:
        return error
    problem, remedy = _printable(fault.problem), _printable(fault.remedy)
    if fault.code == "rejected":
        reason, where = _printable(fault.reason), _printable(fault.where)
        return Rejected(problem, reason=reason, where=where, remedy=remedy)
    return _CLASSES[fault.code](problem, remedy=remedy)


def _code(error: SojournError) -> Literal["denied", "refused", "misused", "failed"]:
    match error:
        case Denied():
            return "denied"
        case Refused():
            return "refused"
        case Misused():
            return "misused"
        case _:
            return "failed"


def _cut(text: str, length_max: int = _LENGTH_MAX) -> str:
    # It may quote hostile bytes, and then hold what cannot be encoded.
    return text[:length_max].encode("utf-8", "replace").decode()


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
