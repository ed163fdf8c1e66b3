"""The map: where the agent went, among the zones it knew."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from sojourn.demo.report.coast import shores
from sojourn.demo.report.data import Migration, ReportData, ZoneRow
from sojourn.demo.report.figures import format_usd
from sojourn.demo.report.globe import Globe, distance_km, middle, shortest_path
from sojourn.demo.report.markup import Markup, element, join, number
from sojourn.demo.report.scale import spread

__all__ = ["draw_map"]

VIEW_DEGREES = 7.0
"""How far the map reaches north and south of its middle at least, so that it shows a region."""
MARGIN = 110
"""Pixels kept free on either side of the outermost zone, for its label."""
LABEL_GAP = 36
"""Pixels between the labels of zones on one side."""


class _Pin(NamedTuple):
    zone: ZoneRow
    colour: int
    x: float
    y: float


def draw_map(data: ReportData, width: int) -> Markup:
    """Return the map of the visited region as SVG, `width` pixels wide.

    A zone outside the region's frame is shown on a globe in the corner.
    """
    height = 440 if width > 600 else 380
    globe = _region_view(data, width, height)
    pins = _pins(data.zones, globe)
    inside = [pin for pin in pins if 0 < pin.x < width and 0 < pin.y < height]
    outside = [zone for zone in data.zones if zone not in [pin.zone for pin in inside]]
    frame = f"map-frame-{width}"
    return element(
        "svg",
        element("title", "Map of the zones and of the agent's way between them"),
        element(
            "defs",
            element("clipPath", _frame(width, height), id=frame),
            _arrow(f"arrow-{width}"),
        ),
        element("g", _earth(globe, 5), clip_path=f"url(#{frame})"),
        join(_arcs(data.migrations, {pin.zone.name: pin for pin in inside}, f"arrow-{width}")),
        join(_labels(data, inside, width, height)),
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
    radius = min(
        (width / 2 - MARGIN) / reach_x,
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
        pins.append(_Pin(zone, index, x, y))
    return pins


def _frame(width: int, height: int) -> Markup:
    return element("rect", width=width, height=height, rx=10)


def _earth(globe: Globe, step: int) -> Markup:
    land = "".join(map(globe.area, shores()))
    return join(
        (
            element("circle", class_="sea", cx=globe.x, cy=globe.y, r=globe.radius),
            element("path", class_="land", d=land),
            element("path", class_="graticule", d=globe.graticule(step)),
        )
    )


def _arrow(name: str) -> Markup:
    head = element("path", class_="arrowhead", d="M0 0L8 4L0 8Z")
    return element(
        "marker",
        head,
        id=name,
        markerWidth=8,
        markerHeight=8,
        refX=6,
        refY=4,
        orient="auto",
        markerUnits="userSpaceOnUse",
    )


def _arcs(migrations: Sequence[Migration], pins: dict[str, _Pin], arrow: str) -> list[Markup]:
    arcs: list[Markup] = []
    seen: dict[frozenset[str], int] = {}
    for index, move in enumerate(migrations, 1):
        if move.refusal or move.from_zone not in pins or move.to_zone not in pins:
            continue
        pair = frozenset((move.from_zone, move.to_zone))
        seen[pair] = seen.get(pair, 0) + 1
        arcs.append(_arc(index, move, pins[move.from_zone], pins[move.to_zone], seen[pair], arrow))
    return arcs


def _arc(index: int, move: Migration, start: _Pin, end: _Pin, turn: int, arrow: str) -> Markup:
    """Return a curved arrow with its number; each further way between two zones bulges more."""
    dx, dy = end.x - start.x, end.y - start.y
    length = math.hypot(dx, dy) or 1
    bulge = 0.16 * length + 26 * turn
    bend_x = (start.x + end.x) / 2 + dy / length * bulge
    bend_y = (start.y + end.y) / 2 - dx / length * bulge
    stop = 1 - 11 / (length + bulge)
    tip_x, tip_y = _on_curve(start.x, bend_x, end.x, stop), _on_curve(start.y, bend_y, end.y, stop)
    turn_x = start.x + (bend_x - start.x) * stop
    turn_y = start.y + (bend_y - start.y) * stop
    path = (
        f"M{number(start.x)} {number(start.y)}"
        f"Q{number(turn_x)} {number(turn_y)} {number(tip_x)} {number(tip_y)}"
    )
    middle_x = _on_curve(start.x, bend_x, end.x, 0.5)
    middle_y = _on_curve(start.y, bend_y, end.y, 0.5)
    return element(
        "g",
        element("title", f"{index}: {move.from_zone} to {move.to_zone}. {move.why}"),
        element("path", class_="arc", d=path, marker_end=f"url(#{arrow})"),
        element("circle", class_="badge", cx=middle_x, cy=middle_y, r=10),
        element("text", str(index), class_="badge-text", x=middle_x, y=middle_y + 4),
    )


def _on_curve(start: float, bend: float, end: float, share: float) -> float:
    rest = 1 - share
    return rest * rest * start + 2 * rest * share * bend + share * share * end


def _labels(data: ReportData, pins: Sequence[_Pin], width: int, height: int) -> list[Markup]:
    """Return each zone's dot and label; labels stand on the outer side, apart from each other."""
    visited = {stay.zone for stay in data.stays}
    drawn: list[Markup] = []
    for on_left in (True, False):
        side = [pin for pin in pins if (pin.x < width / 2 - 1) == on_left]
        heights = spread([pin.y for pin in side], LABEL_GAP, 24, height - 24)
        for pin, y in zip(side, heights, strict=True):
            drawn.append(_label(pin, y, -16 if on_left else 16, pin.zone.name in visited))
    return drawn


def _label(pin: _Pin, y: float, offset: int, visited: bool) -> Markup:
    anchor = "end" if offset < 0 else "start"
    zone = pin.zone
    price = f"{zone.location} · {format_usd(zone.list_price)}/h"
    classes = f"pin zone-{pin.colour % 8}" + ("" if visited else " unvisited")
    return element(
        "g",
        element("circle", cx=pin.x, cy=pin.y, r=7),
        element("text", zone.name, class_="label", x=pin.x + offset, y=y, text_anchor=anchor),
        element("text", price, class_="sub", x=pin.x + offset, y=y + 15, text_anchor=anchor),
        class_=classes,
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
        _earth(globe, 15),
        element("path", class_="way", d="".join(ways)),
        join(dots),
        join(_far_label(data, zone, row, globe, width) for row, zone in enumerate(outside)),
        class_="globe",
    )


def _far_label(data: ReportData, zone: ZoneRow, row: int, globe: Globe, width: int) -> Markup:
    home = data.zones[0]
    distance = distance_km((home.latitude, home.longitude), (zone.latitude, zone.longitude))
    visited = any(stay.zone == zone.name for stay in data.stays)
    x = globe.x + globe.radius + 14
    y = globe.y + globe.radius - 18 - 36 * row
    facts = f"{distance:,.0f} km from home · {format_usd(zone.list_price)}/h"
    index = data.zones.index(zone)
    state = "" if visited else " · never entered"
    return element(
        "g",
        element("text", zone.name + state, class_="label", x=x, y=y),
        element("text", facts, class_="sub", x=x, y=y + 15),
        class_=f"pin zone-{index % 8}",
    )
