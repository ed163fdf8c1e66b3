"""The print at the end of a run: the same facts as the page, for a terminal."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sojourn.demo.report.data import AssessmentRow, Finding, ReportData
from sojourn.demo.report.figures import (
    assessment_groups,
    back_test_lines,
    format_bytes,
    format_moment,
    format_seconds,
    format_usd,
    questions,
    short,
)

__all__ = ["render_terminal"]

STYLES = {"yes": "green", "later": "yellow", "no": "red"}
SIGNS = {"yes": "✓", "later": "◔", "no": "✕"}
OUTCOMES = {"here": "", "chosen": "bold green", "passed over": "dim", "not eligible": "red"}

_ROOM = (8, 4, 5, 4)
"""How the reasons share what room there is: most of what there is to say is about governance."""


def render_terminal(data: ReportData) -> RenderableType:
    """Return the end-of-run print: itinerary, assessments, losses, certificates, back-test, capsule.

    Nothing of the run is read as console markup.
    """
    return Group(
        _itinerary(data),
        _assessments(data),
        _losses(data),
        _certificates(data),
        _back_test(data),
        _capsule(data),
        Text(f"{data.schedule_note}.", style="dim"),
    )


def _itinerary(data: ReportData) -> Table:
    table = _table("Itinerary", "", "Zone", "From", "Windows", "Why", "No step for", "Travelled")
    moves = [move for move in data.migrations if not move.refusal]
    for index, stay in enumerate(data.stays):
        windows = f"{stay.window_from}–{stay.window_to - 1}" if stay.window_to else ""
        start = format_moment(stay.from_s)
        if 0 < index <= len(moves):
            move = moves[index - 1]
            travelled = format_bytes(move.sent)
            pause = format_seconds(move.blackout_s)
            cells = [str(index), stay.zone, start, windows, move.why, pause, travelled]
        else:
            cells = ["", stay.zone, start, windows, "launched here", "", ""]
        _row(table, *cells)
    for move in data.migrations:
        if move.refusal:
            start = format_moment(move.at_s)
            _row(table, "✕", move.to_zone, start, "", f"refused: {move.refusal}", "", "")
    return table


def _assessments(data: ReportData) -> Table:
    title = "Places considered"
    table = _table(title, "At", "Zone", "Asked", "Governance", "Capability", "Trust", "The agent")
    table.expand = True
    for column, ratio in zip(table.columns[3:], _ROOM, strict=True):
        column.ratio = ratio
    for group in assessment_groups(data):
        first = group.first
        _row(
            table,
            format_moment(first.at_s) + (f" ×{group.times}" if group.times > 1 else ""),
            first.zone,
            format_usd(first.price_micros),
            *(_finding(finding, group.news) for finding in questions(first).values()),
            _outcome(first),
        )
    return table


def _finding(finding: Finding, news: frozenset[str]) -> Text:
    text = Text(f"{SIGNS[finding.answer]} {finding.answer}", style=STYLES[finding.answer])
    return text.append(f"\n{finding.text}", style="dim") if finding.text in news else text


def _outcome(entry: AssessmentRow) -> Text:
    text = Text(entry.outcome, style=OUTCOMES[entry.outcome])
    return text.append(f"\n{entry.why}", style="dim") if entry.why else text


def _losses(data: ReportData) -> Table:
    table = _table("Killed on the way", "At", "What", "Zone", "Went on after", "")
    for loss in data.losses:
        recovered = "" if loss.recovered_s is None else format_seconds(loss.recovered_s)
        _row(table, format_moment(loss.at_s), loss.name, loss.zone, recovered, loss.note)
    return table


def _certificates(data: ReportData) -> Table:
    table = _table(
        "Certificates", "At", "Decision", "Zone", "Term", "Version", "Signed by", "Digest"
    )
    for entry in data.certificates:
        signers = ", ".join(str(index) for index in entry.signers)
        _row(
            table,
            format_moment(entry.at_s),
            entry.kind,
            entry.zone,
            str(entry.term),
            str(entry.version),
            f"{signers} of {entry.anchors}",
            short(entry.digest),
        )
    return table


def _back_test(data: ReportData) -> Table:
    styles = {"green": "green", "yellow": "yellow", "red": "red"}
    words = {"green": "passes", "yellow": "watch", "red": "fails"}
    table = _table("Back-test", "Question", "Result", "Verdict")
    for line in back_test_lines(data.backtest):
        verdict = Text(words[line.light], style=styles[line.light])
        _row(table, line.question, line.figures, verdict)
    return table


def _capsule(data: ReportData) -> Text:
    capsule = data.capsule
    state = "verified with no network" if capsule.verified else "did NOT verify"
    style = "green" if capsule.verified else "bold red"
    text = Text("Capsule ", style="bold").append(capsule.file, style="default")
    text.append(f" ({format_bytes(capsule.size)}, {short(capsule.digest)}) ", style="default")
    text.append(state, style=style)
    return text.append("".join(f"\n  {check}" for check in capsule.checks), style="default")


def _table(title: str, *heads: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def _row(table: Table, *cells: str | Text) -> None:
    """Add a row; strings become text, so that no name is read as console markup."""
    table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in cells))
