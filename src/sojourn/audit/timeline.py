"""The time line of a report: where the agent was, and where each compartment of its data, as bars over time."""

from typing import Final, NamedTuple

from sojourn.audit.report import Report
from sojourn.audit.wording import listed, when
from sojourn.pages.markup import Markup, element

__all__ = ["draw_timeline"]

_WIDTH: Final = 1100
_LEFT: Final = 230
_RIGHT: Final = 24
_ROW: Final = 34
_TOP: Final = 44
_ROWS_MAX: Final = 60
_LEGEND: Final = 44
_LEGEND_MAX: Final = 8
_NAME_CHARS_MAX: Final = 30


class _Bar(NamedTuple):
    """One bar: whose row, which zone, from when to when (None: still), and what it says when pointed at."""

    row: str
    zone: str
    from_ms: int
    until_ms: int | None
    title: str
    class_: str = ""


def draw_timeline(report: Report) -> Markup:
    """Return the time line as SVG: a row for the agent, then one for each compartment; zones by colour."""
    bars = [*_stays(report), *_holdings(report)]
    rows = list(dict.fromkeys(bar.row for bar in bars))[:_ROWS_MAX]
    start = min((bar.from_ms for bar in bars), default=0)
    end = max((bar.until_ms or bar.from_ms for bar in bars), default=0)
    end = max(end, report.agent.at_ms, start + 1)
    height = _TOP + _ROW * len(rows) + _LEGEND
    colours = {zone: f"zone-{n % 8}" for n, zone in enumerate(dict.fromkeys(b.zone for b in bars))}

    def x(at_ms: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (at_ms - start) / (end - start)

    return element(
        "svg",
        element("title", "Where the agent and its data were, over time"),
        _axis(start, end, height),
        (_label(row, n) for n, row in enumerate(rows)),
        (
            _draw(bar, rows, colours, x(bar.from_ms), x(bar.until_ms or end))
            for bar in bars
            if bar.row in rows
        ),
        _legend(report, colours, height),
        viewBox=f"0 0 {_WIDTH} {height}",
        class_="line",
        role="img",
    )


def _stays(report: Report) -> list[_Bar]:
    return [
        _Bar(
            "the agent",
            stay.zone_name,
            stay.from_ms,
            stay.until_ms,
            f"{stay.zone_name} ({listed(stay.jurisdiction)}), term {stay.term}, from {when(stay.from_ms)}",
        )
        for stay in report.stays
    ]


def _holdings(report: Report) -> list[_Bar]:
    bars = []
    for held in report.holdings:
        if held.how == "offered":
            continue
        law = f"{held.zone_name} ({listed(held.jurisdiction)})"
        classes = [] if held.how == "with-agent" else ["behind"]
        classes += [] if held.is_within else ["outside"]
        how = held.how.replace("-", " ")
        title = f"{held.compartment}: {law}, {how}, from {when(held.from_ms)}"
        row = f"{held.compartment} [{', '.join(held.labels)}]" if held.labels else held.compartment
        bars.append(
            _Bar(row, held.zone_name, held.from_ms, held.until_ms, title, " ".join(classes))
        )
    return sorted(bars, key=lambda bar: bar.row)


def _axis(start: int, end: int, height: int) -> Markup:
    return element(
        "g",
        element("text", when(start), class_="sub", x=_LEFT, y=22),
        element("text", when(end), class_="sub", x=_WIDTH - _RIGHT, y=22, text_anchor="end"),
        element("line", x1=_LEFT, x2=_LEFT, y1=30, y2=height - _LEGEND),
        element("line", x1=_WIDTH - _RIGHT, x2=_WIDTH - _RIGHT, y1=30, y2=height - _LEGEND),
    )


def _legend(report: Report, colours: dict[str, str], height: int) -> Markup:
    """Return which colour is which zone, and its law; beyond eight zones the bars' own titles tell."""
    laws = {stay.zone_name: listed(stay.jurisdiction) for stay in report.stays}
    shown = list(colours.items())[:_LEGEND_MAX]
    pace = (_WIDTH - _LEFT - _RIGHT) / max(len(shown), 1)
    made = []
    for number, (zone, colour) in enumerate(shown):
        x, y = _LEFT + pace * number, height - 16
        text = f"{zone} ({laws[zone]})" if zone in laws else zone
        chars = max(int(pace / 7) - 3, 4)
        text = text if len(text) <= chars else f"{text[: chars - 1]}…"
        made.append(element("rect", class_=colour, x=x, y=y - 10, width=11, height=11, rx=2))
        made.append(element("text", text, class_="sub", x=x + 17, y=y))
    return element("g", made)


def _label(row: str, number: int) -> Markup:
    text = row if len(row) <= _NAME_CHARS_MAX else f"{row[: _NAME_CHARS_MAX - 1]}…"
    y = _TOP + _ROW * number + 14
    return element("text", element("title", row), text, x=16, y=y)


def _draw(bar: _Bar, rows: list[str], colours: dict[str, str], left: float, right: float) -> Markup:
    width, y = max(right - left, 3.0), _TOP + _ROW * rows.index(bar.row)
    classes = f"{colours[bar.zone]} {bar.class_}".strip()
    return element(
        "g",
        element("title", bar.title),
        element("rect", class_=classes, x=left, y=y, width=width, height=18, rx=3),
    )
