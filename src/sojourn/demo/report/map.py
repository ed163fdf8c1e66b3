"""The map: where the agent went, among the zones it knew."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sojourn.demo.report.coast import shores
from sojourn.demo.report.data import Migration, ReportData, ZoneRow
from sojourn.demo.report.figures import format_usd
from sojourn.demo.report.globe import Globe, distance_km, middle, shortest_path
from sojourn.pages.markup import Markup, element, join, number

__all__ = ["draw_map"]

VIEW_DEGREES = 5.6
"""How far the map reaches north and south of its middle at least, so that it shows a region."""
MARGIN_WIDE, MARGIN_NARROW = 150, 64
"""Pixels kept free on either side of the outermost zone, for its label."""


class _Pin(NamedTuple):
    zone: ZoneRow
    colour: int
    x: float
    y: float


class _Arc(NamedTuple):
    """A curved way between two pins: a quadratic Bézier curve, see `at`."""

    number: int
    move: Migration
    start: _Pin
    end: _Pin
    bend_x: float
    bend_y: float

    def at(self, share: float) -> tuple[float, float]:
        rest = 1 - share
        a, b, c = rest * rest, 2 * rest * share, share * share
        return (
            a * self.start.x + b * self.bend_x + c * self.end.x,
            a * self.start.y + b * self.bend_y + c * self.end.y,
        )


class _Box(NamedTuple):
    """A label's place: its text's anchor and first baseline, and the room it takes."""

    x: float
    baseline: float
    anchor: str
    left: float
    right: float

    def covers(self, x: float, y: float) -> bool:
        above, below = self.baseline - 24, self.baseline + 28
        return self.left - 12 < x < self.right + 12 and above < y < below

    def is_within(self, width: int, height: int) -> bool:
        return self.left > 4 and self.right < width - 4 and 20 < self.baseline < height - 30


def draw_map(data: ReportData, width: int) -> Markup:
    """Return the map of the visited region as SVG, `width` pixels wide.

    A zone outside the region's frame is shown on a globe in the corner.
    """
    height = 440 if width > 600 else 380
    globe = _region_view(data, width, height)
    pins = _pins(data.zones, globe)
    inside = [pin for pin in pins if 0 < pin.x < width and 0 < pin.y < height]
    outside = [pin.zone for pin in pins if pin not in inside]
    arcs = _arcs(data.migrations, {pin.zone.name: pin for pin in inside})
    frame, arrow = f"map-frame-{width}", f"map-arrow-{width}"
    return element(
        "svg",
        element("title", "Map of the zones and of the agent's way between them"),
        element("defs", _frame(frame, width, height), _arrow(arrow)),
        element("g", _earth(globe, 5, 30), clip_path=f"url(#{frame})"),
        (_draw_arc(arc, arrow) for arc in arcs),
        _labels(data, inside, arcs, width, height),
        _corner(data, outside, width, height) if outside else "",
        element("rect", class_="frame", width=width - 1, height=height - 1, x=0.5, y=0.5, rx=10),
        viewBox=f"0 0 {width} {height}",
        class_="map",
        role="img",
    )


def _region_view(data: ReportData, width: int, height: int) -> Globe:
    """Return the view that shows every visited zone, from not too near."""
    visited = {stay.zone for stay in data.stays} or {data.zones[0].name}
    positions = [(zone.latitude, zone.longitude) for zone in data.zones if zone.name in visited]
    north, east = middle(positions)
    unit = Globe(north, east, 1, 0, 0)
    placed = [unit.place(position) for position in positions]
    reach_x = max(abs(x) for x, _, _ in placed) or 1e-9
    reach_y = max(abs(y) for _, y, _ in placed) or 1e-9
    margin = MARGIN_WIDE if width > 600 else MARGIN_NARROW
    radius = min(
        (width / 2 - margin) / reach_x,
        (height / 2 - 70) / reach_y,
        height / 2 / math.sin(math.radians(VIEW_DEGREES)),
    )
    return Globe(north, east, radius, width / 2, height / 2)


def _pins(zones: Sequence[ZoneRow], globe: Globe) -> list[_Pin]:
    """Return where each zone's dot is; zones at one place are drawn side by side."""
    pins: list[_Pin] = []
    for index, zone in enumerate(zones):
        x, y, near = globe.place((zone.latitude, zone.longitude))
        if not near:
            x = y = -1.0
        while any(math.hypot(x - pin.x, y - pin.y) < 18 for pin in pins):
            x += 20
        pins.append(_Pin(zone, index % 8, x, y))
    return pins


def _frame(name: str, width: int, height: int) -> Markup:
    return element("clipPath", element("rect", width=width, height=height, rx=10), id=name)


def _arrow(name: str) -> Markup:
    return element(
        "marker",
        element("path", class_="arrowhead", d="M0 0L9 4.5L0 9Z"),
        id=name,
        markerWidth=9,
        markerHeight=9,
        refX=6,
        refY=4.5,
        orient="auto",
        markerUnits="userSpaceOnUse",
    )


def _earth(globe: Globe, step: int, reach: int) -> Markup:
    land = "".join(map(globe.area, shores()))
    return join(
        (
            element("circle", class_="sea", cx=globe.x, cy=globe.y, r=globe.radius),
            element("path", class_="land", d=land),
            element("path", class_="graticule", d=globe.graticule(step, reach)),
        )
    )


def _arcs(migrations: Sequence[Migration], pins: dict[str, _Pin]) -> list[_Arc]:
    """Return the ways between pins; each further one from a zone to another bulges more."""
    arcs: list[_Arc] = []
    for number_, move in enumerate(migrations, 1):
        start, end = pins.get(move.from_zone), pins.get(move.to_zone)
        if move.refusal or start is None or end is None:
            continue
        before = sum(arc.start is start and arc.end is end for arc in arcs)
        length = math.hypot(end.x - start.x, end.y - start.y) or 1
        bulge = 0.26 + 52 * before / length
        bend_x = (start.x + end.x) / 2 + (end.y - start.y) * bulge
        bend_y = (start.y + end.y) / 2 - (end.x - start.x) * bulge
        arcs.append(_Arc(number_, move, start, end, bend_x, bend_y))
    return arcs


def _draw_arc(arc: _Arc, arrow: str) -> Markup:
    stop = 1 - 12 / (math.hypot(arc.end.x - arc.start.x, arc.end.y - arc.start.y) + 12)
    bend_x = arc.start.x + (arc.bend_x - arc.start.x) * stop
    bend_y = arc.start.y + (arc.bend_y - arc.start.y) * stop
    (tip_x, tip_y), (x, y) = arc.at(stop), arc.at(0.5)
    start, bend = (
        f"{number(arc.start.x)} {number(arc.start.y)}",
        f"{number(bend_x)} {number(bend_y)}",
    )
    text = f"{arc.number}: {arc.move.from_zone} to {arc.move.to_zone}. {arc.move.why}"
    return element(
        "g",
        element("title", text),
        element(
            "path",
            class_="arc",
            d=f"M{start}Q{bend} {number(tip_x)} {number(tip_y)}",
            marker_end=f"url(#{arrow})",
        ),
        element("circle", class_="badge", cx=x, cy=y, r=10),
        element("text", str(arc.number), class_="badge-text", x=x, y=y + 4),
    )


def _labels(
    data: ReportData, pins: Sequence[_Pin], arcs: Sequence[_Arc], width: int, height: int
) -> list[Markup]:
    """Return each pin with its label on the side where the label hides the least."""
    visited = {stay.zone for stay in data.stays}
    taken = [arc.at(step / 24) for arc in arcs for step in range(25)]
    taken += [arc.at(0.5) for arc in arcs for _ in range(9)]  # a badge weighs more than a line
    taken += [(pin.x, pin.y) for pin in pins for _ in range(9)]
    drawn: list[Markup] = []
    for pin in pins:
        boxes = list(_boxes(pin, width))
        inside = [box for box in boxes if box.is_within(width, height)] or boxes
        best = min(inside, key=lambda box: sum(box.covers(x, y) for x, y in taken))
        middle_x = (best.left + best.right) / 2
        edges = (best.left, middle_x, best.right)
        taken += [(x, best.baseline + dy) for x in edges for dy in (0, 15) for _ in range(20)]
        drawn.append(_label(pin, best, pin.zone.name in visited))
    return drawn


def _boxes(pin: _Pin, width: int) -> Iterator[_Box]:
    """Yield where a pin's label can stand: right, left, above, below."""
    room = 7.8 * max(len(pin.zone.name), 0.86 * len(_facts(pin.zone)))
    over = max(min(pin.x - room / 2, width - room - 6), 6.0)
    yield _Box(pin.x + 15, pin.y - 2, "start", pin.x + 15, pin.x + 15 + room)
    yield _Box(pin.x - 15, pin.y - 2, "end", pin.x - 15 - room, pin.x - 15)
    yield _Box(over + room / 2, pin.y - 30, "middle", over, over + room)
    yield _Box(over + room / 2, pin.y + 26, "middle", over, over + room)


def _facts(zone: ZoneRow) -> str:
    return f"{zone.location} · {format_usd(zone.list_price_micros)}/h"


def _label(pin: _Pin, box: _Box, visited: bool) -> Markup:
    place: dict[str, str | float] = {"x": box.x, "text_anchor": box.anchor}
    return element(
        "g",
        element("circle", cx=pin.x, cy=pin.y, r=7),
        element("text", pin.zone.name, class_="label", y=box.baseline, **place),
        element("text", _facts(pin.zone), class_="sub", y=box.baseline + 15, **place),
        class_=f"pin zone-{pin.colour}" + ("" if visited else " unvisited"),
    )


def _corner(data: ReportData, outside: Sequence[ZoneRow], width: int, height: int) -> Markup:
    """Return the small globe with all zones, naming those that the region does not show."""
    radius = 92 if width > 600 else 62
    home = data.zones[0]
    north, east = middle([(zone.latitude, zone.longitude) for zone in (home, *outside)])
    globe = Globe(north, east, radius, radius + 20, height - radius - 20)
    ways = [
        globe.track(shortest_path((home.latitude, home.longitude), (zone.latitude, zone.longitude)))
        for zone in outside
    ]
    dots = [
        element("circle", class_=f"dot zone-{index % 8}", cx=x, cy=y, r=4)
        for index, zone in enumerate(data.zones)
        for x, y, near in [globe.place((zone.latitude, zone.longitude))]
        if near
    ]
    return element(
        "g",
        element("circle", class_="halo", cx=globe.x, cy=globe.y, r=radius + 5),
        _earth(globe, 15, 90),
        element("path", class_="way", d="".join(ways)),
        join(dots),
        join(_far_label(data, zone, row, globe) for row, zone in enumerate(outside)),
        class_="globe",
    )


def _far_label(data: ReportData, zone: ZoneRow, row: int, globe: Globe) -> Markup:
    home = data.zones[0]
    distance = distance_km((home.latitude, home.longitude), (zone.latitude, zone.longitude))
    visited = any(stay.zone == zone.name for stay in data.stays)
    x, y = globe.x + globe.radius + 26, globe.y + globe.radius - 18 - 38 * row
    facts = f"{distance:,.0f} km from home · {format_usd(zone.list_price_micros)}/h"
    return element(
        "g",
        element("circle", cx=x, cy=y - 5, r=6),
        element(
            "text",
            zone.name + ("" if visited else ": never entered"),
            class_="label",
            x=x + 14,
            y=y,
        ),
        element("text", facts, class_="sub", x=x + 14, y=y + 15),
        class_=f"pin zone-{data.zones.index(zone) % 8}",
    )
