"""The risk chart: what the desk announced for each day, and what happened."""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from sojourn.demo.report.data import ReportData
from sojourn.demo.report.figures import format_percent
from sojourn.demo.report.scale import Scale, line, ticks
from sojourn.pages.markup import Markup, element, join, number

__all__ = ["draw_risk"]

TOP = 16
RIBBON_HEIGHT = 12
ANNOTATED = 4
"""How many of the worst exceptions are named in the chart."""
ROOM = 132
"""Pixels that the name of an exception needs."""


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
    date = Scale(0, len(days), 44, width - 12)
    deepest = max((day.shortfall for day in days), default=1.0)
    highest = max((day.value for day in days), default=1.0)
    percent = Scale(-1.2 * deepest, 1.1 * highest, bottom, TOP)
    return element(
        "svg",
        element("title", "Daily returns against value-at-risk and expected shortfall"),
        _rules(percent, date),
        _years(days, date, bottom + 20, most=16 if width > 600 else 6),
        element("path", class_="shortfall", d=_risk_area(days, date, percent)),
        element("path", class_="returns", d=_bars(days, date, percent)),
        element("path", class_="var", d=line(_deepest(days, date, percent, "value_at_risk"))),
        _exceptions(days, date, percent),
        _ribbon(data, days, date, bottom + 32),
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


def _risk_area(days: Sequence[_Day], date: Scale, percent: Scale) -> str:
    edge = list(_deepest(days, date, percent, "shortfall"))
    zero = percent(0)
    return line([(edge[0][0], zero), *edge, (edge[-1][0], zero)])


def _deepest(
    days: Sequence[_Day], date: Scale, percent: Scale, field: str
) -> Iterator[tuple[float, float]]:
    for x, column in _columns(days, date):
        yield x, percent(-max(float(getattr(day, field)) for day in column))


def _exceptions(days: Sequence[_Day], date: Scale, percent: Scale) -> Markup:
    found = [day for day in days if day.is_exception]
    dots = [
        element(
            "circle",
            element("title", _told(day)),
            class_="exception",
            cx=date(day.order),
            cy=percent(day.value),
            r=3,
        )
        for day in found
    ]
    return join((*_annotations(days, date, percent), *dots))


def _told(day: _Day) -> str:
    announced = format_percent(-day.value_at_risk, 2)
    return f"{day.date}: {format_percent(day.value, 2)}, announced {announced}"


def _annotations(days: Sequence[_Day], date: Scale, percent: Scale) -> Iterator[Markup]:
    """Yield the dates of the days furthest beyond what was announced, where they have room.

    A date stands below the risk drawn there, on the side where that is shallower.
    """
    taken: list[float] = []
    found = sorted((day for day in days if day.is_exception), key=_excess, reverse=True)
    for day in found[:ANNOTATED]:
        x = date(day.order)
        sides = [middle for middle in (x - ROOM / 2, x + ROOM / 2) if _is_free(middle, taken, date)]
        if sides:
            depth, middle = min((_depth(days, date, side), side) for side in sides)
            taken.append(middle)
            yield _annotation(day, x, middle, percent(day.value), percent(-depth) + 22)


def _excess(day: _Day) -> float:
    return -day.value - day.value_at_risk


def _is_free(middle: float, taken: Sequence[float], date: Scale) -> bool:
    inside = date.start + ROOM / 2 < middle < date.end - ROOM / 2
    return inside and all(abs(middle - other) > ROOM for other in taken)


def _depth(days: Sequence[_Day], date: Scale, middle: float) -> float:
    near = (day for day in days if abs(date(day.order) - middle) < ROOM / 2)
    return max(max(day.shortfall, -day.value) for day in near)


def _annotation(day: _Day, x: float, middle: float, dot: float, y: float) -> Markup:
    side, shift = ("end", -5) if middle < x else ("start", 5)
    text = f"{day.date}  {format_percent(day.value, 1)}"
    return join(
        (
            element("path", class_="leader", d=f"M{number(x)} {number(dot)}V{number(y)}"),
            element("text", text, class_="note", x=x + shift, y=y, text_anchor=side),
        )
    )


def _rules(percent: Scale, date: Scale) -> Iterator[Markup]:
    for value in ticks(percent.low, percent.high, 7):
        y = percent(value)
        kind = "rule" if value else "rule zero"
        yield element("path", class_=kind, d=f"M{date.start} {number(y)}H{date.end}")
        text = format_percent(value, 0)
        yield element("text", text, class_="tick", x=date.start - 6, y=y + 4, text_anchor="end")


def _years(days: Sequence[_Day], date: Scale, y: float, most: int) -> Iterator[Markup]:
    first = [day for before, day in pairwise(days) if day.date[:4] != before.date[:4]]
    for day in first[:: -(-len(first) // most) or 1]:
        yield element("text", day.date[:4], class_="tick", x=date(day.order), y=y)


def _ribbon(data: ReportData, days: Sequence[_Day], date: Scale, y: float) -> Iterator[Markup]:
    """Yield the strip that says in which zone each day's risk was computed."""
    names = [zone.name for zone in data.zones]
    for stay in data.stays:
        own = [day.order for day in days if stay.window_from <= day.window < stay.window_to]
        if own:
            start, end = date(own[0]), date(own[-1] + 1)
            yield element(
                "rect",
                element("title", f"computed in {stay.zone}"),
                class_=f"stay zone-{names.index(stay.zone) % 8}",
                x=start,
                y=y,
                width=end - start,
                height=RIBBON_HEIGHT,
            )
