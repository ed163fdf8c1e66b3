"""The timeline: what each zone asked, where the agent was, and how large its memory grew."""

from collections.abc import Iterator, Sequence

from sojourn.demo.report.data import Loss, ReportData
from sojourn.demo.report.figures import exposure, format_bytes, format_usd, price_steps
from sojourn.demo.report.markup import Markup, element, join, number
from sojourn.demo.report.scale import Scale, line, spread, ticks

__all__ = ["draw_timeline"]

PRICE_TOP, PRICE_BOTTOM = 40, 270
RIBBON_TOP, RIBBON_BOTTOM = 296, 330
MEMORY_TOP, MEMORY_BOTTOM = 366, 446
HEIGHT = 490


def draw_timeline(data: ReportData, width: int) -> Markup:
    """Return prices, places and memory over the seconds of the run, as SVG `width` pixels wide."""
    wide = width > 600
    left, right = (64, width - 180) if wide else (48, width - 14)
    time = Scale(0, data.duration_s, left, right)
    return element(
        "svg",
        element("title", "Prices, the agent's place and the size of its memory over time"),
        _stay_bands(data, time),
        _prices(data, time, labelled=wide),
        _losses(data.losses, time),
        _ribbon(data, time),
        _memory(data, time),
        _seconds(time, 10 if wide else 5),
        viewBox=f"0 0 {width} {HEIGHT}",
        class_="chart",
        role="img",
    )


def _stay_bands(data: ReportData, time: Scale) -> Markup:
    return join(
        element(
            "rect",
            class_=f"band zone-{_index(data, stay.zone)}",
            x=time(stay.from_s),
            y=PRICE_TOP,
            width=max(time(stay.to_s) - time(stay.from_s), 0),
            height=PRICE_BOTTOM - PRICE_TOP,
        )
        for stay in data.stays
    )


def _prices(data: ReportData, time: Scale, *, labelled: bool) -> Markup:
    known = [point.price for point in data.prices if point.price is not None]
    price = Scale(0, 1.12 * max(known, default=1), PRICE_BOTTOM, PRICE_TOP)
    paid = [
        (time(at), price(micro))
        for start, end, micro in exposure(data)
        if micro is not None
        for at in (start, end)
    ]
    return join(
        (
            element(
                "text", "US dollars an hour", class_="axis-title", x=time.start, y=PRICE_TOP - 22
            ),
            *_rules(
                price, time, [(value, format_usd(value, 2)) for value in ticks(0, price.high, 5)]
            ),
            element("path", class_="paid", d=line(paid)),
            *(_price_line(data, zone.name, time, price) for zone in data.zones),
            *(_price_labels(data, time, price) if labelled else ()),
        )
    )


def _price_line(data: ReportData, zone: str, time: Scale, price: Scale) -> Markup:
    """Return one zone's price as steps; dotted while the zone takes no agent."""
    open_path, full_path, before = [], [], None
    for start, end, micro in price_steps(data, zone):
        if micro is None:
            before = None
            continue
        y = number(price(micro))
        if before is not None:
            open_path.append(f"M{number(time(start))} {before}V{y}")
        for a, b, is_full in _split_by_capacity(data, zone, start, end):
            (full_path if is_full else open_path).append(
                f"M{number(time(a))} {y}H{number(time(b))}"
            )
        before = y
    index = _index(data, zone)
    return join(
        (
            element("path", class_=f"price zone-{index}", d="".join(open_path)),
            element("path", class_=f"price full zone-{index}", d="".join(full_path)),
        )
    )


def _split_by_capacity(
    data: ReportData, zone: str, start: float, end: float
) -> Iterator[tuple[float, float, bool]]:
    """Yield the parts of [start, end], each with whether the zone takes no agent then."""
    is_full, at = False, start
    for point in data.capacities:
        if point.zone != zone or point.at_s >= end:
            continue
        if point.at_s > at:
            yield at, point.at_s, is_full
            at = point.at_s
        is_full = point.agents == 0
    yield at, end, is_full


def _price_labels(data: ReportData, time: Scale, price: Scale) -> Iterator[Markup]:
    """Yield the zones' names at the ends of their lines, so that no legend has to be matched."""
    last = {zone.name: price_steps(data, zone.name)[-1:] for zone in data.zones}
    ends = [
        (name, steps[0][2]) for name, steps in last.items() if steps and steps[0][2] is not None
    ]
    heights = spread(
        [price(micro) for _, micro in ends if micro is not None], 30, PRICE_TOP + 8, PRICE_BOTTOM
    )
    for (name, micro), y in zip(ends, heights, strict=True):
        here = " · here at the end" if data.stays and data.stays[-1].zone == name else ""
        yield element(
            "g",
            element("text", name, class_="label", x=time.end + 10, y=y),
            element("text", format_usd(micro) + here, class_="sub", x=time.end + 10, y=y + 13),
            class_=f"pin zone-{_index(data, name)}",
        )


def _losses(losses: Sequence[Loss], time: Scale) -> Markup:
    """Return a mark through all panels for each process that was killed."""
    wanted = [time(loss.at_s) for loss in losses]
    places = spread(wanted, 96, time.start + 40, time.end - 40)
    return join(
        element(
            "g",
            element("title", f"{loss.what} {loss.name} of {loss.zone} killed. {loss.note}"),
            element("path", d=f"M{number(x)} {PRICE_TOP - 8}V{MEMORY_BOTTOM}"),
            element("text", f"✕ {loss.what} killed", x=label, y=PRICE_TOP - 12),
            class_="loss",
        )
        for loss, x, label in zip(losses, wanted, places, strict=True)
    )


def _ribbon(data: ReportData, time: Scale) -> Markup:
    drawn: list[Markup] = []
    for stay in data.stays:
        x, breadth = time(stay.from_s), max(time(stay.to_s) - time(stay.from_s), 0)
        drawn.append(
            element(
                "rect",
                element("title", f"{stay.zone}, windows {stay.window_from} to {stay.window_to}"),
                class_=f"stay zone-{_index(data, stay.zone)}",
                x=x,
                y=RIBBON_TOP,
                width=breadth,
                height=RIBBON_BOTTOM - RIBBON_TOP,
            )
        )
        name, windows = stay.zone, f"{stay.window_to - stay.window_from} windows"
        for text, y in ((name, RIBBON_TOP + 15), (windows, RIBBON_TOP + 28)):
            if breadth > 7 * len(text):
                drawn.append(element("text", text, class_="on-stay", x=x + 8, y=y))
    moves = [move for move in data.migrations if not move.refusal]
    for index, move in enumerate(data.migrations, 1):
        if move in moves:
            x = time(move.at_s)
            drawn.append(element("circle", class_="badge", cx=x, cy=RIBBON_TOP - 10, r=9))
            drawn.append(element("text", str(index), class_="badge-text", x=x, y=RIBBON_TOP - 6))
    return join(drawn)


def _memory(data: ReportData, time: Scale) -> Markup:
    most = max((point.size for point in data.memory), default=1)
    size = Scale(0, 1.1 * most, MEMORY_BOTTOM, MEMORY_TOP)
    points = [(time(point.at_s), size(point.size)) for point in data.memory]
    if points:
        points.append((time.end, points[-1][1]))
    shape = (
        line([(points[0][0], MEMORY_BOTTOM), *points, (time.end, MEMORY_BOTTOM)]) if points else ""
    )
    return join(
        (
            element(
                "text", "size of its memory", class_="axis-title", x=time.start, y=MEMORY_TOP - 12
            ),
            *_rules(
                size, time, [(value, format_bytes(round(value))) for value in ticks(0, most, 2)]
            ),
            element("path", class_="memory", d=shape),
            element("path", class_="memory-edge", d=line(points)),
        )
    )


def _rules(scale: Scale, time: Scale, marks: Sequence[tuple[float, str]]) -> Iterator[Markup]:
    """Yield the horizontal rules of a panel, each with its value on the left."""
    for value, text in marks:
        y = scale(value)
        yield element(
            "path", class_="rule", d=f"M{number(time.start)} {number(y)}H{number(time.end)}"
        )
        yield element("text", text, class_="tick", x=time.start - 8, y=y + 4, text_anchor="end")


def _seconds(time: Scale, most: int) -> Markup:
    marks = [
        element(
            "text",
            f"{value:g} s",
            class_="tick",
            x=time(value),
            y=HEIGHT - 22,
            text_anchor="middle",
        )
        for value in ticks(time.low, time.high, most)
    ]
    title = element("text", "since launch", class_="axis-title", x=time.start, y=HEIGHT - 4)
    return join((*marks, title))


def _index(data: ReportData, zone: str) -> int:
    return [row.name for row in data.zones].index(zone) % 8
