"""The page: one HTML file that needs nothing else, for people who decide."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from statistics import median

from sojourn.demo.report.data import Migration, ReportData
from sojourn.demo.report.figures import (
    exposure,
    format_bytes,
    format_count,
    format_percent,
    format_seconds,
    format_usd,
    mean_price,
    price_steps,
    short,
)
from sojourn.demo.report.map import draw_map
from sojourn.demo.report.risk_chart import draw_risk
from sojourn.demo.report.tables import (
    assessment_table,
    back_test_table,
    certificate_table,
    loss_table,
    migration_list,
    zone_table,
)
from sojourn.demo.report.timeline import draw_timeline
from sojourn.pages.markup import Markup, document, element, join, style

__all__ = ["render_report"]

WIDE, NARROW = 1_100, 420
"""Pixels; every chart is drawn for both, and the reader's screen picks one."""


def render_report(data: ReportData) -> str:
    """Return the report of a run as one self-contained HTML page.

    It names nothing outside itself, runs no script, follows the reader's light or dark setting, and
    prints. Whatever comes from the run is escaped.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{data.agent}: report of a run"),
        style(_sheet()),
    )
    body = element(
        "body",
        element("main", _header(data), _way(data), _reasons(data), _result(data), _proof(data)),
        _footer(data),
    )
    return document(element("html", head, body, lang="en"))


@cache
def _sheet() -> str:
    return files("sojourn.demo.report").joinpath("page.css").read_text(encoding="utf-8")


def _header(data: ReportData) -> Markup:
    moves = len(_moves(data))
    times = "once" if moves == 1 else f"{format_count(moves)} times"
    title = f"{data.agent} moved {times}, each time of its own accord" if moves else data.agent
    return element(
        "header",
        element("p", "Sojourn · report of a run", class_="brand"),
        element("h1", title),
        element("p", _summary(data), class_="lead"),
        element("div", join(_tiles(data)), class_="tiles"),
    )


def _summary(data: ReportData) -> str:
    days = data.backtest.days
    text = (
        f"In {format_seconds(data.duration_s)} the agent estimated the tail risk of an S&P 500 "
        f"position for {days:,} trading days, judging the zones it knew by its own policy "
        f"({data.policy}) and moving with its memory to where law and price allow."
    )
    if data.losses:
        counts = Counter(loss.what for loss in data.losses)
        killed = " and ".join(_counted(count, what) for what, count in counts.items())
        text += f" On the way {killed} were killed without warning; it went on."
    for zone in _never_eligible(data):
        cheapest = "the cheapest of all, " if zone == _cheapest(data) else ""
        text += f" It never entered {zone}, {cheapest}because its policy forbids it."
    return text


def _counted(count: int, what: str) -> str:
    return f"{format_count(count)} {what}{'' if count == 1 else 's'}"


def _never_eligible(data: ReportData) -> list[str]:
    """Return the zones that the agent's own governance kept it from at every look."""
    answers: dict[str, set[str]] = {}
    for entry in data.assessments:
        answers.setdefault(entry.zone, set()).add(entry.governance.answer)
    return [zone for zone, given in answers.items() if given == {"no"}]


def _cheapest(data: ReportData) -> str:
    means = {zone.name: mean_price(price_steps(data, zone.name)) for zone in data.zones}
    known = {name: price for name, price in means.items() if price is not None}
    return min(known, key=known.__getitem__, default="")


def _tiles(data: ReportData) -> Iterator[Markup]:
    moves = _moves(data)
    if moves:
        pause = format_seconds(median(move.blackout_s for move in moves))
        yield _tile(str(len(moves)), "migrations", f"{pause} without a step, median")
    recoveries = [loss.recovered_s for loss in data.losses if loss.recovered_s is not None]
    slowest = f"went on within {format_seconds(max(recoveries))}" if recoveries else "it went on"
    yield _tile(str(len(data.losses)), "processes killed", slowest)
    yield _tile(
        str(len(data.estimates)), "windows computed", f"{data.backtest.days:,} trading days"
    )
    expected = f"{data.backtest.violations_expected:.1f} expected"
    yield _tile(str(data.backtest.violations), "exceptions to the 99% risk", expected)
    yield from _price_tile(data)
    state = "verified offline" if data.capsule.verified else "NOT verified"
    facts = f"{len(data.capsule.checks)} checks, {format_bytes(data.capsule.size)}"
    yield _tile("✓" if data.capsule.verified else "✕", f"capsule {state}", facts)


def _price_tile(data: ReportData) -> Iterator[Markup]:
    paid = mean_price(exposure(data))
    home = mean_price(price_steps(data, data.zones[0].name))
    if paid is not None and home:
        change = f"{format_percent(100 * (paid / home - 1), 0)} against staying at home"
        yield _tile(format_usd(paid, 3), "mean price an hour", change)


def _tile(figure: str, what: str, note: str) -> Markup:
    return element(
        "div", element("b", figure), element("span", what), element("small", note), class_="tile"
    )


def _moves(data: ReportData) -> list[Migration]:
    return [move for move in data.migrations if not move.refusal]


def _way(data: ReportData) -> Markup:
    return _section(
        "Where it went",
        "Numbers are moves in order. Shores are drawn by hand, for orientation.",
        element("figure", _both(draw_map, data)),
        migration_list(data),
    )


def _reasons(data: ReportData) -> Markup:
    return _section(
        "Why it moved",
        data.schedule_note + ". List prices are real; the agent did not know the schedule.",
        element(
            "figure",
            _zone_legend(data),
            _both(draw_timeline, data),
            element(
                "figcaption",
                "The broad line is what the agent's place asked. Dotted: the zone was full.",
            ),
        ),
        element("h3", "Every place it considered, and its three questions"),
        element(
            "p",
            "Does this zone meet my governance? Does it meet my capability requirements? Is my "
            "trust in it enough for this operation? Looks that came out alike are one row.",
        ),
        assessment_table(data),
    )


def _result(data: ReportData) -> Markup:
    first, last = data.estimates[0].first_day, data.estimates[-1].last_day
    return _section(
        "What it computed",
        f"Value-at-risk (99%) and expected shortfall (97.5%) of the S&P 500, {first} to {last}; "
        "GJR-GARCH(1,1) with skewed Student-t innovations, fitted anew for each window.",
        element(
            "figure",
            element(
                "p",
                _key("returns", "daily return"),
                _key("var", "value-at-risk, 99%"),
                _key("shortfall", "expected shortfall, 97.5%"),
                _key("exception", "exception: a loss beyond the value-at-risk"),
                class_="legend",
            ),
            _both(draw_risk, data),
            element("figcaption", "The strip below: in which zone each day's risk was computed."),
        ),
        element("h3", "Back-test"),
        back_test_table(data),
    )


def _proof(data: ReportData) -> Markup:
    capsule = data.capsule
    state = "verified with no network" if capsule.verified else "did NOT verify"
    what = f"{capsule.file}, {format_bytes(capsule.size)}, digest {short(capsule.digest)}"
    return _section(
        "What proves it",
        "Each decision stands on the signatures of a quorum of a zone's anchors. "
        f"The exported agent ({what}) {state}.",
        element(
            "ul",
            join(element("li", check) for check in capsule.checks),
            class_=f"checks{'' if capsule.verified else ' failed'}",
        ),
        element("h3", "Certificates"),
        certificate_table(data),
        element("h3", "Killed on the way"),
        loss_table(data),
        element("h3", "Zones"),
        zone_table(data),
    )


def _footer(data: ReportData) -> Markup:
    lines = (
        f"Agent {data.agent} {data.agent_identifier}",
        f"Started {data.started}; {data.software}; {data.machine}",
        f"Returns: {data.history.source}. Regions and prices: see the table of zones.",
        data.schedule_note,
    )
    return element("footer", join(element("p", text) for text in lines))


def _section(title: str, lead: str, *content: Markup) -> Markup:
    return element("section", element("h2", title), element("p", lead), *content)


def _both(draw: Callable[[ReportData, int], Markup], data: ReportData) -> Markup:
    return join(
        (
            element("div", draw(data, WIDE), class_="wide"),
            element("div", draw(data, NARROW), class_="narrow"),
        )
    )


def _zone_legend(data: ReportData) -> Markup:
    names = (
        element("span", zone.name, class_=f"zone-name zone-{index % 8}")
        for index, zone in enumerate(data.zones)
    )
    return element("p", join(names), class_="legend narrow")


def _key(kind: str, text: str) -> Markup:
    return element("span", element("i", class_=f"key {kind}"), text)
