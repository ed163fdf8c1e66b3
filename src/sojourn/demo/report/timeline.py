"""The timeline: what each zone asked, where the agent was, and how large its memory grew."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from sojourn.demo.report.data import Loss, ReportData, Stay
from sojourn.demo.report.figures import Step, exposure, format_bytes, format_usd, price_steps
from sojourn.demo.report.scale import Scale, line, spread, ticks
from sojourn.pages.markup import Markup, element, join, number

__all__ = ["draw_timeline"]

PRICE_TOP, PRICE_BOTTOM = 52, 280
RIBBON_TOP, RIBBON_BOTTOM = 306, 340
MEMORY_TOP, MEMORY_BOTTOM = 376, 456
HEIGHT = 500


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
    most = max((point.price_micros or 0 for point in data.prices), default=0) or 1
    price = Scale(0, 1.12 * most, PRICE_BOTTOM, PRICE_TOP)
    marks = [(value, format_usd(value, 2)) for value in ticks(0, price.high, 5)]
    paid = (
        f"M{number(time(step.start))} {number(price(step.price))}H{number(time(step.end))}"
        for step in exposure(data)
    )
    return join(
        (
            _title("US dollars an hour", time, PRICE_TOP - 36),
            *_rules(price, time, marks),
            element("path", class_="paid", d="".join(paid)),
            *(_price_line(data, zone.name, time, price) for zone in data.zones),
            *(_price_labels(data, time, price) if labelled else ()),
        )
    )


def _price_line(data: ReportData, zone: str, time: Scale, price: Scale) -> Markup:
    """Return one zone's price as steps; dotted while the zone takes no agent."""
    steps = price_steps(data, zone)
    paths = {"": "", "full ": ""}
    for step in steps:
        for start, end, is_full in _split_by_capacity(data, zone, step):
            piece = f"M{number(time(start))} {number(price(step.price))}H{number(time(end))}"
            paths["full " if is_full else ""] += piece
    for before, step in pairwise(steps):
        if before.end == step.start:
            rise = f"{number(price(before.price))}V{number(price(step.price))}"
            paths[""] += f"M{number(time(step.start))} {rise}"
    kind = f"zone-{_index(data, zone)}"
    return join(element("path", class_=f"price {key}{kind}", d=d) for key, d in paths.items())


def _split_by_capacity(
    data: ReportData, zone: str, step: Step
) -> Iterator[tuple[float, float, bool]]:
    """Yield the parts of a step, each with whether the zone takes no agent then."""
    is_full, at = False, step.start
    for point in data.capacities:
        if point.zone != zone or point.at_s >= step.end:
            continue
        if point.at_s > at:
            yield at, point.at_s, is_full
            at = point.at_s
        is_full = point.agents == 0
    yield at, step.end, is_full


def _price_labels(data: ReportData, time: Scale, price: Scale) -> Iterator[Markup]:
    """Yield the zones' names at the ends of their lines, so that no legend has to be matched."""
    ends = {zone.name: price_steps(data, zone.name)[-1:] for zone in data.zones}
    last = {name: steps[0].price for name, steps in ends.items() if steps}
    heights = spread([price(asked) for asked in last.values()], 32, PRICE_TOP, PRICE_BOTTOM)
    for (name, asked), y in zip(last.items(), heights, strict=True):
        here = " · here at the end" if data.stays and data.stays[-1].zone == name else ""
        x = time.end + 10
        yield element(
            "g",
            element("text", name, class_="label", x=x, y=y),
            element("text", f"{format_usd(asked)}/h{here}", class_="sub", x=x, y=y + 14),
            class_=f"pin zone-{_index(data, name)}",
        )


def _losses(losses: Sequence[Loss], time: Scale) -> Markup:
    """Return a mark through all panels for each process that was killed."""
    wanted = [time(loss.at_s) for loss in losses]
    places = spread(wanted, 112, time.start + 48, time.end - 48)
    return join(
        element(
            "g",
            element("title", f"{loss.name} of {loss.zone} killed. {loss.note}"),
            element("path", d=f"M{number(x)} {PRICE_TOP - 8}V{MEMORY_BOTTOM}"),
            element("text", f"✕ {loss.what} killed", x=label, y=PRICE_TOP - 12),
            class_="loss",
        )
        for loss, x, label in zip(losses, wanted, places, strict=True)
    )


def _ribbon(data: ReportData, time: Scale) -> Markup:
    moves = [
        _badge(index, time(move.at_s))
        for index, move in enumerate(data.migrations, 1)
        if not move.refusal
    ]
    return join((*(_stay(data, stay, time) for stay in data.stays), *moves))


def _stay(data: ReportData, stay: Stay, time: Scale) -> Markup:
    x, breadth = time(stay.from_s), max(time(stay.to_s) - time(stay.from_s), 0)
    windows = f"{stay.window_to - stay.window_from} windows"
    lines = ((stay.zone, RIBBON_TOP + 15), (windows, RIBBON_TOP + 28))
    return element(
        "g",
        element("title", f"{stay.zone}, {windows}"),
        element(
            "rect",
            class_=f"stay zone-{_index(data, stay.zone)}",
            x=x,
            y=RIBBON_TOP,
            width=breadth,
            height=RIBBON_BOTTOM - RIBBON_TOP,
        ),
        join(
            element("text", text, class_="on-stay", x=x + 8, y=y)
            for text, y in lines
            if breadth > 7.2 * len(text) + 12
        ),
    )


def _badge(index: int, x: float) -> Markup:
    return join(
        (
            element("circle", class_="badge", cx=x, cy=RIBBON_TOP - 10, r=9),
            element("text", str(index), class_="badge-text", x=x, y=RIBBON_TOP - 6),
        )
    )


def _memory(data: ReportData, time: Scale) -> Markup:
    most = max((point.size for point in data.memory), default=1)
    size = Scale(0, 1.1 * most, MEMORY_BOTTOM, MEMORY_TOP)
    marks = [(value, format_bytes(round(value))) for value in ticks(0, most, 2)]
    points = [(time(point.at_s), size(point.size)) for point in data.memory]
    ground = [(x, float(MEMORY_BOTTOM)) for x, _ in (points[-1:] + points[:1])]
    return join(
        (
            _title("size of its memory", time, MEMORY_TOP - 12),
            *_rules(size, time, marks),
            element("path", class_="memory", d=line([*points, *ground])),
            element("path", class_="memory-edge", d=line(points)),
        )
    )


def _title(text: str, time: Scale, y: float) -> Markup:
    return element("text", text, class_="axis-title", x=time.start, y=y)


def _rules(scale: Scale, time: Scale, marks: Sequence[tuple[float, str]]) -> Iterator[Markup]:
    """Yield the horizontal rules of a panel, each with its value on the left."""
    for value, text in marks:
        y = scale(value)
        way = f"M{number(time.start)} {number(y)}H{number(time.end)}"
        yield element("path", class_="rule", d=way)
        yield element("text", text, class_="tick", x=time.start - 8, y=y + 4, text_anchor="end")


def _seconds(time: Scale, most: int) -> Markup:
    y = HEIGHT - 22
    marks = (
        element("text", f"{value:g} s", class_="tick", x=time(value), y=y, text_anchor="middle")
        for value in ticks(time.low, time.high, most)
    )
    return join((*marks, _title("since launch", time, HEIGHT - 4)))


def _index(data: ReportData, zone: str) -> int:
    return [row.name for row in data.zones].index(zone) % 8
