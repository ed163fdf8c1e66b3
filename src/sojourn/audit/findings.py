"""What a reader should look into: acts that the policies do not permit, data where it may not be, gaps."""

from collections.abc import Collection, Iterator

from sojourn.audit import proving
from sojourn.audit.report import (
    ActionLine,
    CapsuleLine,
    CoverageLine,
    FindingLine,
    HoldingLine,
    InquiryLine,
    OrderLine,
)

__all__ = ["finding_lines"]


def finding_lines(
    capsule: CapsuleLine,
    coverage: tuple[CoverageLine, ...],
    holdings: tuple[HoldingLine, ...],
    actions: tuple[ActionLine, ...],
    orders: tuple[OrderLine, ...],
    inquiries: tuple[InquiryLine, ...],
    lacking: Collection[int] = (),
) -> Iterator[FindingLine]:
    """Yield one finding for each kind that there is, naming the lines that it is about, the gravest first.

    `lacking` are the places in the journal of the acts that were judged by fewer labels than it says (`marking`).
    """
    denied = [each.line for each in actions if each.permits is False]
    outside = [each.line for each in holdings if not each.is_within]
    word = [each.line for each in actions if each.attested == "host"]
    unmarked = [each.line for each in actions if each.proof.index in lacking]
    gaps = [each.line for each in coverage if not each.is_whole]
    unsealed = [each.line for each in inquiries if each.is_sealed is False]
    unsigned = [each.line for each in orders if not each.signed_by]
    cut = [capsule.line] if capsule.journal_problem else []
    kinds = (
        (denied, "were done though the policies, asked again, do not permit them"),
        (outside, "put data where its residency does not allow it"),
        (
            unmarked,
            "were judged by fewer labels than those of what the journal says the code was told",
        ),
        (cut, "says that the journal cannot be read to its end"),
        (gaps, "leave versions out: export with --history, while the zones it was in answer"),
        (word, "rest on the host's word that it was this action: no transition shown attests it"),
        (unsealed, "were answered by nobody who may have: the seal, or the say, is missing"),
        (unsigned, "were carried out, and who signed them is not shown"),
    )
    number = 0
    for lines, what in kinds:
        if lines:
            number += 1
            line = f"finding-{number}"
            named = tuple(lines)
            yield FindingLine(line=line, what=what, proof=proving.by_lines(line, named))
