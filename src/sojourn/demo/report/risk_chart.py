"""The risk chart: what the desk announced for each day, and what happened."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from sojourn.demo.report.data import ReportData
from sojourn.demo.report.markup import Markup, element, join, number
from sojourn.demo.report.scale import Scale, line, ticks

__all__ = ["draw_risk"]

TOP = 16
RIBBON_HEIGHT = 12
ANNOTATED = 3
"""How many of the worst exceptions are named in the chart."""


class _Day(NamedTuple):
    order: int  # among the days estimated
    date: str
    value: float  # return, percent
    value_at_risk: float
    shortfall: float
    window: int

    @property
    def is_exception(self) -> bool:
        return -self.value > self.value_at_risk


def draw_risk(data: ReportData, width: int) -> Markup:
    """Return returns, value-at-risk, shortfall and exceptions as SVG, `width` pixels wide.

    Days are drawn by pixel column: of the returns in a column the lowest and highest, of the risk
    the largest. Every exception is drawn.
    """
    days = list(_days(data))
    height = 420 if width > 600 else 340
    bottom = height - 56
    date = Scale(0, max(len(days) - 1, 1), 44, width - 12)
    deepest = max((day.shortfall for day in days), default=1.0)
    percent = Scale(-1.05 * deepest, 1.1 * max((day.value for day in days), default=1), bottom, TOP)
    return element(
        "svg",
        element("title", "Daily returns against value-at-risk and expected shortfall"),
        _axes(days, date, percent, most=10 if width > 600 else 5),
        element("path", class_="returns", d=_bars(days, date, percent)),
        element("path", class_="shortfall", d=_risk_line(days, date, percent, "shortfall")),
        element("path", class_="var", d=_risk_line(days, date, percent, "value_at_risk")),
        _exceptions(days, date, percent),
        _ribbon(data, days, date, bottom + 30),
        viewBox=f"0 0 {width} {height}",
        class_="chart",
        role="img",
    )


def _days(data: ReportData) -> Iterator[_Day]:
    order = 0
    for estimate in data.estimates:
        window = estimate.window
        for offset, day in enumerate(range(window.day_from, window.day_to)):
            yield _Day(
                order=order,
                date=data.history.days[day],
                value=data.history.returns[day],
                value_at_risk=estimate.value_at_risk[offset],
                shortfall=estimate.expected_shortfall[offset],
                window=window.index,
            )
            order += 1


def _columns(days: Sequence[_Day], date: Scale) -> Iterator[tuple[int, list[_Day]]]:
    for x, column in groupby(days, key=lambda day: round(date(day.order))):
        yield x, list(column)


def _bars(days: Sequence[_Day], date: Scale, percent: Scale) -> str:
    bars: list[str] = []
    for x, column in _columns(days, date):
        low = percent(min(0.0, *(day.value for day in column)))
        high = percent(max(0.0, *(day.value for day in column)))
        bars.append(f"M{x} {number(low)}V{number(high)}")
    return "".join(bars)


def _risk_line(days: Sequence[_Day], date: Scale, percent: Scale, field: str) -> str:
    return line(
        (x, percent(-max(float(getattr(day, field)) for day in column)))
        for x, column in _columns(days, date)
    )


def _exceptions(days: Sequence[_Day], date: Scale, percent: Scale) -> Markup:
    found = [day for day in days if day.is_exception]
    dots = [
        element(
            "circle",
            element("title", f"{day.date}: {day.value:.2f}%, announced {-day.value_at_risk:.2f}%"),
            class_="exception",
            cx=date(day.order),
            cy=percent(day.value),
            r=3,
        )
        for day in found
    ]
    return join((*dots, *_annotations(found, date, percent)))


def _annotations(found: Sequence[_Day], date: Scale, percent: Scale) -> Iterator[Markup]:
    """Yield the names of the days that were furthest beyond what was announced, if they have room."""
    taken: list[float] = []
    for day in sorted(found, key=lambda day: day.value + day.value_at_risk)[:ANNOTATED]:
        x, y = date(day.order), percent(day.value)
        if any(abs(x - other) < 110 for other in taken):
            continue
        taken.append(x)
        on_left = x > date.end - 110
        text = f"{day.date}  {day.value:.1f}%"
        place = x - 8 if on_left else x + 8
        yield element(
            "text", text, class_="note", x=place, y=y + 5, text_anchor="end" if on_left else "start"
        )


def _axes(days: Sequence[_Day], date: Scale, percent: Scale, most: int) -> Markup:
    drawn: list[Markup] = []
    for value in ticks(percent.low, percent.high, 6):
        y = percent(value)
        kind = "rule zero" if value == 0 else "rule"
        drawn.append(
            element("path", class_=kind, d=f"M{date.start} {number(y)}H{number(date.end)}")
        )
        text = f"{value:+g}%" if value else "0%"
        drawn.append(
            element("text", text, class_="tick", x=date.start - 6, y=y + 4, text_anchor="end")
        )
    years = [
        day for day, before in zip(days[1:], days, strict=False) if day.date[:4] != before.date[:4]
    ]
    every = -(-len(years) // most) or 1
    for day in years[::every]:
        drawn.append(
            element("text", day.date[:4], class_="tick", x=date(day.order), y=percent.start + 20)
        )
    return join(drawn)


def _ribbon(data: ReportData, days: Sequence[_Day], date: Scale, y: float) -> Markup:
    """Return the strip that says in which zone each day's risk was computed."""
    names = [zone.name for zone in data.zones]
    drawn: list[Markup] = []
    for stay in data.stays:
        own = [day.order for day in days if stay.window_from <= day.window < stay.window_to]
        if own:
            start, end = date(own[0]), date(min(own[-1] + 1, len(days) - 1))
            drawn.append(
                element(
                    "rect",
                    element("title", f"computed in {stay.zone}"),
                    class_=f"stay zone-{names.index(stay.zone) % 8}",
                    x=start,
                    y=y,
                    width=end - start,
                    height=RIBBON_HEIGHT,
                )
            )
    return join(drawn)
