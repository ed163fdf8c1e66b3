"""An audit report in a terminal: its summary, and how one was held against a capsule."""

from collections.abc import Iterator, Sequence
from typing import Any

from sojourn.audit.report import Drill, Proof, Report, proofs_in
from sojourn.audit.verifying import Difference
from sojourn.audit.wording import brief, listed, proof_text, when
from sojourn.cli.output import clean, counted, say, table

__all__ = ["render_audited", "render_held"]


def render_audited(report: Report) -> None:
    """Print what a report says, in short: places, data, acts, denials, answers and orders, each with its proof."""
    agent = report.agent
    say(f"agent {agent.agent}")
    say(
        clean(
            f"  {agent.status} in {agent.zone_name}, version {agent.version}, at {when(agent.at_ms)}"
        )
    )
    for finding in report.findings:
        say(clean(f"  look into {listed(finding.proof.lines)}: {finding.what}"))
    for title, columns, rows in _tables(report):
        say("")
        if rows:
            table((title, *columns), rows)
        else:
            say(f"{title}: none")
    if report.drill is not None:
        _render_drill(report.drill)
    say(f"\n{counted(len(proofs_in(report)), 'line')}, each with its proof; not proved:")
    for sentence in report.not_proved:
        say(clean(f"  - {sentence}"))


_Table = tuple[str, tuple[str, ...], list[tuple[Any, ...]]]
"""A table: what its first column names, the other columns, the rows."""


def _tables(report: Report) -> Iterator[_Table]:
    yield _places(report)
    yield _labels(report)
    yield _actions(report)
    yield _denials(report)
    yield _inquiries(report)
    yield _orders(report)


def _places(report: Report) -> _Table:
    rows = [
        (
            stay.zone_name,
            listed(stay.jurisdiction),
            stay.provider,
            when(stay.from_ms),
            when(stay.until_ms),
            proof_text(stay.proof),
        )
        for stay in report.stays
    ]
    return "place", ("law", "provider", "from", "until", "proof"), rows


def _labels(report: Report) -> _Table:
    rows = [
        (each.label, listed(each.compartments), listed(each.zone_names), listed(each.jurisdictions))
        for each in report.labels
    ]
    return "label", ("compartments", "zones", "under the law of"), rows


def _actions(report: Report) -> _Table:
    rows = [
        (
            each.action or "not told",
            each.zone_name,
            when(each.at_ms),
            listed(each.documents),
            _ANSWERS[each.permits],
            each.outcome,
            proof_text(each.proof),
        )
        for each in report.actions
    ]
    return "action", ("in", "at", "ruled by", "asked again", "outcome", "proof"), rows


def _denials(report: Report) -> _Table:
    rows = [
        (each.what, each.zone_name, when(each.at_ms), brief(each.reason), proof_text(each.proof))
        for each in report.denials
    ]
    return "denied", ("in", "at", "why", "proof"), rows


def _inquiries(report: Report) -> _Table:
    rows = [
        (
            brief(each.question),
            each.asked_of,
            each.outcome,
            brief(each.answer) or "–",
            each.answered_by or "–",
            when(each.answered_ms),
            proof_text(each.proof),
        )
        for each in report.inquiries
    ]
    return "asked", ("of", "outcome", "answer", "by", "at", "proof"), rows


def _orders(report: Report) -> _Table:
    rows = [
        (
            each.act,
            when(each.at_ms),
            each.zone_name,
            listed(tuple(key[:12] for key in each.signed_by), "not shown"),
            each.reason,
            proof_text(each.proof),
        )
        for each in report.orders
    ]
    return "order", ("at", "in", "signed by", "reason", "proof"), rows


_ANSWERS = {True: "permitted", False: "NOT permitted", None: "not known"}


def _render_drill(drill: Drill) -> None:
    say(f"\nexit drill, as of {when(drill.at_ms)}; nothing was moved")
    for sentence in drill.transcript:
        say(clean(f"  {sentence}"))
    say("it does not show:")
    for sentence in drill.does_not_show:
        say(f"  - {sentence}")


def render_held(report: Report, line: str | None, differing: Sequence[Difference]) -> None:
    """Print how a report was held against a capsule."""
    if differing:
        rows = ((each.line, each.place, each.says, each.derived) for each in differing)
        table(("line", "place", "the report says", "the capsule proves"), rows)
    elif line is None:
        say(f"verified: all {len(proofs_in(report))} lines are what the capsule proves")
        say(f"          agent {report.agent.agent}, version {report.agent.version}")
    else:
        say(f"verified: line {line} is what the capsule proves")
        for name, text in _facts(proofs_in(report)[line]):
            say(f"  {name:<9} {text}")


def _facts(proof: Proof) -> Iterator[tuple[str, str]]:
    yield "by", proof.by
    if proof.digest:
        yield "digest", proof.digest
    if proof.zone:
        yield "zone", proof.zone
    if proof.version is not None:
        yield "slot", f"term {proof.term}, version {proof.version}"
        yield "anchors", listed(tuple(map(str, proof.anchors)))
    if proof.index is not None:
        yield "record", f"{proof.index} of the journal"
    if proof.lines:
        yield "lines", listed(proof.lines)
