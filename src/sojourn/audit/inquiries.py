"""What the agent's code asked people, and who answered it under which seal."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sojourn.audit import proving
from sojourn.audit.evidence import Evidence
from sojourn.audit.report import InquiryLine
from sojourn.core.agent.inquiries import (
    Inquiry,
    SignedAnswer,
    asked_of,
    check_may_say,
    decode_value,
)
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import key_text
from sojourn.runtime.records import Answered, Inquired, Withdrawn

__all__ = ["inquiry_lines"]


def inquiry_lines(evidence: Evidence) -> Iterator[InquiryLine]:
    """Yield what was asked, oldest first, each with what came of it as far as the journal tells."""
    closed: dict[bytes, tuple[int, Answered | Withdrawn | None]] = {}
    asked: list[tuple[int, Inquiry]] = []
    for index, record in enumerate(evidence.journal):
        match record:
            case Inquired():
                asked.append((index, record.inquiry))
            case Answered() | Withdrawn() if record.inquiry is not None:
                closed[record.inquiry] = (index, record)
    for number, (index, inquiry) in enumerate(asked, 1):
        at, came = closed.get(digest_of(inquiry), (index, None))
        line = f"inquiry-{number}"
        yield InquiryLine(
            line=line,
            question=inquiry.question,
            asked_of=asked_of(inquiry),
            asked_ms=inquiry.asked_ms,
            **_outcome(inquiry, came),
            proof=proving.by_journal(line, evidence, at),
        )


def _outcome(inquiry: Inquiry, came: Answered | Withdrawn | None) -> Mapping[str, Any]:
    if came is None:
        return {"outcome": "open"}
    if isinstance(came, Withdrawn):
        return {"outcome": "withdrawn"}
    if came.answer is None:
        return {"outcome": "unanswered"}
    said = came.answer.answer
    return {
        "outcome": "answered",
        "answer": _spelled(said.body),
        "answered_by": key_text(said.by),
        "answered_ms": said.answered_ms,
        "is_sealed": _is_sealed(inquiry, came.answer),
    }


def _spelled(body: bytes) -> str:
    try:
        return json.dumps(decode_value(body, where="answer"), ensure_ascii=False, default=str)
    except Rejected as error:
        return f"(it cannot be read: {error.problem})"


def _is_sealed(inquiry: Inquiry, signed: SignedAnswer) -> bool:
    """Tell whether the person whom an answer names sealed just this, and had a say in it then."""
    try:
        check_may_say(inquiry, signed, signed.answer.answered_ms)
    except Rejected:
        return False
    return True
