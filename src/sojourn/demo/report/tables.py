"""The page's tables: assessments, migrations, certificates, losses, back-test."""

from collections.abc import Iterable, Iterator, Sequence

from sojourn.demo.report.data import AssessmentRow, CertificateRow, Finding, ReportData
from sojourn.demo.report.figures import (
    AssessmentGroup,
    assessment_groups,
    back_test_lines,
    format_bytes,
    format_moment,
    format_seconds,
    format_usd,
    questions,
    short,
)
from sojourn.pages.markup import Markup, element, join

__all__ = [
    "assessment_table",
    "back_test_table",
    "certificate_table",
    "loss_table",
    "migration_list",
    "zone_table",
]

SIGNS = {"yes": "✓", "later": "◔", "no": "✕"}
LIGHTS = {"green": "passes", "yellow": "watch", "red": "fails"}


def assessment_table(data: ReportData) -> Markup:
    """Return every place the agent assessed, with the three findings and their reasons.

    A reason that is the same as in the row before of that place is not told again.
    """
    rows = [_assessment_row(data, group) for group in assessment_groups(data)]
    heads = ("When", "Place", "Asked", "Governance", "Capability", "Trust", "The agent")
    return _table(heads, rows, "assessments")


def migration_list(data: ReportData) -> Markup:
    """Return the itinerary as a list: launch, then each move with its reason."""
    home = data.zones[0]
    launch = element("b", home.name), element("span", f"launched here, {home.country}")
    items = [element("li", *launch, class_="launch")]
    for move in data.migrations:
        end = f"refused: {move.refusal}" if move.refusal else f"term {move.term}"
        facts = (
            f"at {format_moment(move.at_s)}; {format_seconds(move.blackout_s)} without a step; "
            f"{format_bytes(move.sent)} had to travel; {end}"
        )
        items.append(
            element(
                "li",
                element("b", move.to_zone),
                element("span", move.why),
                element("small", facts),
                class_="refused" if move.refusal else None,
            )
        )
    return element("ol", join(items), class_="itinerary")


def zone_table(data: ReportData) -> Markup:
    """Return the zones with what they are and where their facts come from."""
    rows = [
        element(
            "tr",
            _cell("Zone", _zone_name(data, zone.name)),
            _cell("Place", f"{zone.location}, {zone.country}"),
            _cell("Law", ", ".join(zone.jurisdictions)),
            _cell("Anchors, hosts", f"{zone.anchors}, {zone.hosts}"),
            _cell(
                "List price",
                format_usd(zone.list_price_micros),
                element("small", zone.price_source),
            ),
            _cell("Position from", element("small", zone.position_source)),
            _cell("Identifier", _code(zone.identifier)),
        )
        for zone in data.zones
    ]
    heads = ("Zone", "Place", "Law", "Anchors, hosts", "List price", "Position from", "Identifier")
    return _table(heads, rows, "zones")


def certificate_table(data: ReportData) -> Markup:
    """Return the quorum decisions, with who signed each."""
    rows = [
        element(
            "tr",
            _cell("When", format_moment(entry.at_s)),
            _cell("Decision", element("b", entry.kind)),
            _cell("Zone", _zone_name(data, entry.zone)),
            _cell("Term, version", f"{entry.term}, {entry.version}"),
            _cell("Signed by", _signers(entry)),
            _cell("Digest", _code(entry.digest)),
        )
        for entry in data.certificates
    ]
    return _table(("When", "Decision", "Zone", "Term, version", "Signed by", "Digest"), rows)


def loss_table(data: ReportData) -> Markup:
    """Return what was killed on the way, and how the run went on."""
    rows = [
        element(
            "tr",
            _cell("When", format_moment(loss.at_s)),
            _cell("Killed", element("b", loss.name)),
            _cell("Zone", _zone_name(data, loss.zone)),
            _cell("Went on after", _recovery(loss.recovered_s)),
            _cell("What happened", loss.note),
        )
        for loss in data.losses
    ]
    return _table(("When", "Killed", "Zone", "Went on after", "What happened"), rows)


def back_test_table(data: ReportData) -> Markup:
    """Return the back-test's questions and answers."""
    rows = [
        element(
            "tr",
            _cell("Question", line.question),
            _cell("Result", line.figures),
            _cell("Verdict", element("span", LIGHTS[line.light], class_=f"light {line.light}")),
        )
        for line in back_test_lines(data.backtest)
    ]
    return _table(("Question", "Result", "Verdict"), rows)


def _assessment_row(data: ReportData, group: AssessmentGroup) -> Markup:
    first = group.first
    return element(
        "tr",
        _cell("When", *_when(group)),
        _cell("Place", _zone_name(data, first.zone)),
        _cell("Asked", _price_range(group)),
        (
            _cell(question, _finding(finding, group.news))
            for question, finding in questions(first).items()
        ),
        _cell("The agent", _outcome(first)),
        class_=first.outcome.replace(" ", "-"),
    )


def _when(group: AssessmentGroup) -> Iterable[Markup]:
    start, end = group.first.at_s, group.last_s
    span = format_moment(start) if start == end else f"{start:.1f}–{end:.1f} s"
    times = "once" if group.times == 1 else f"{group.times} times alike"
    return element("span", span), element("small", times)


def _price_range(group: AssessmentGroup) -> str:
    low, high = group.price_low, group.price_high
    return format_usd(low) if low == high else f"{format_usd(low)}–{format_usd(high)}"


def _finding(finding: Finding, news: frozenset[str]) -> Iterator[Markup]:
    text = f"{SIGNS[finding.answer]} {finding.answer}"
    yield element("span", text, class_=f"chip {finding.answer}")
    if finding.text in news:
        yield element("small", finding.text)


def _outcome(entry: AssessmentRow) -> Markup:
    return join((element("b", entry.outcome), element("small", entry.why)))


def _signers(entry: CertificateRow) -> Markup:
    """Return one box for each anchor, filled if it signed."""
    boxes = (
        element("i", class_="signed" if index in entry.signers else None)
        for index in range(entry.anchors)
    )
    return element(
        "span",
        element("span", join(boxes), class_="signers"),
        f" {len(entry.signers)} of {entry.anchors}",
    )


def _recovery(seconds: float | None) -> str:
    return "nothing to recover" if seconds is None else format_seconds(seconds)


def _zone_name(data: ReportData, name: str) -> Markup:
    index = [zone.name for zone in data.zones].index(name) % 8
    return element("span", name, class_=f"zone-name zone-{index}")


def _code(identifier: str) -> Markup:
    return element("code", short(identifier), title=identifier)


def _cell(label: str, *content: str | Iterable[Markup]) -> Markup:
    return element("td", *content, data_label=label)


def _table(heads: Sequence[str], rows: Iterable[Markup], class_: str | None = None) -> Markup:
    head = element("thead", element("tr", join(element("th", text) for text in heads)))
    return element("table", head, element("tbody", join(rows)), class_=class_)
