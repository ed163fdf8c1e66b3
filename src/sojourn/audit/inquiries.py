"""What the agent's code asked people, and who answered it under which seal."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sojourn.audit import proving
from sojourn.audit.evidence import Evidence
from sojourn.audit.report import InquiryLine
from sojourn.core.agent.inquiries import (
    Inquiry,
    SignedAnswer,
    agreeing,
    asked_of,
    check_may_say,
    decode_value,
    newest,
)
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import key_text
from sojourn.runtime.agent_side.inquiring import said_to
from sojourn.runtime.records import Answered, Inquired, Withdrawn

__all__ = ["inquiry_lines"]


def inquiry_lines(evidence: Evidence) -> Iterator[InquiryLine]:
    """Yield what was asked, oldest first, each with what came of it as far as the journal tells."""
    closed: dict[bytes, tuple[int, Answered | Withdrawn | None]] = {}
    asked: list[tuple[int, Inquiry]] = []
    said = said_to(evidence.journal)
    for index, record in evidence.own_records():
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
            **_outcome(inquiry, came, said.get(digest_of(inquiry), ())),
            proof=proving.by_journal(line, evidence, at),
        )


def _outcome(
    inquiry: Inquiry, came: Answered | Withdrawn | None, said: Sequence[SignedAnswer]
) -> Mapping[str, Any]:
    if came is None:
        return {"outcome": "open"}
    if isinstance(came, Withdrawn):
        return {"outcome": "withdrawn"}
    if came.answer is None:
        return {"outcome": "unanswered"}
    last = came.answer
    sealed = [each for each in newest((*said, last)) if _is_sealed(inquiry, each)]
    agreed = agreeing(inquiry, sealed)
    is_sealed = last in agreed
    by = [each.answer.by for each in agreed] if is_sealed else [last.answer.by]
    return {
        "outcome": "answered",
        "answer": _spelled(last.answer.body),
        "answered_by": ", ".join(map(key_text, by)),
        "answered_ms": last.answer.answered_ms,
        "is_sealed": is_sealed,
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
