"""What follows from a run's facts: the figures and groups that page and terminal both show."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from sojourn.demo.backtest import BackTest, Light, Score
from sojourn.demo.report.data import Consideration, PricePoint, ReportData

__all__ = [
    "Finding",
    "Judgement",
    "exposure",
    "findings",
    "format_bytes",
    "format_seconds",
    "format_usd",
    "judgements",
    "mean_price",
    "price_steps",
    "short",
]

ALARM = 0.05
"""Below this p-value a back-test is said to fail (the customary level)."""


class Judgement(NamedTuple):
    """Considerations of one place that came out alike: the first, how many, and until when."""

    first: Consideration
    times: int
    last_s: float
    price_low: int | None
    price_high: int | None


class Finding(NamedTuple):
    """One line of the back-test: what was asked, the figures, and whether the model passes."""

    question: str
    figures: str
    light: Light


def judgements(data: ReportData) -> list[Judgement]:
    """Return the considerations with equal verdicts on the same place in a row as one, in order."""
    groups: dict[str, list[list[Consideration]]] = {}
    for entry in data.considerations:
        of_zone = groups.setdefault(entry.zone, [])
        if of_zone and _is_alike(of_zone[-1][-1], entry):
            of_zone[-1].append(entry)
        else:
            of_zone.append([entry])
    found = [_judgement(group) for of_zone in groups.values() for group in of_zone]
    return sorted(found, key=lambda judgement: judgement.first.at_s)


def _is_alike(one: Consideration, other: Consideration) -> bool:
    return _answers(one) == _answers(other)


def _answers(entry: Consideration) -> tuple[str, ...]:
    verdicts = (entry.governance, entry.capability, entry.trust)
    return (*(verdict.answer for verdict in verdicts), entry.outcome)


def _judgement(group: list[Consideration]) -> Judgement:
    prices = [entry.price for entry in group if entry.price is not None]
    return Judgement(
        first=group[0],
        times=len(group),
        last_s=group[-1].at_s,
        price_low=min(prices, default=None),
        price_high=max(prices, default=None),
    )


def price_steps(data: ReportData, zone: str) -> list[tuple[float, float, int | None]]:
    """Return the price of `zone` as (from_s, to_s, price), without gaps, over the whole run."""
    points = [point for point in data.prices if point.zone == zone]
    ends = PricePoint(at_s=data.duration_s, zone=zone, price=None)
    return [(point.at_s, after.at_s, point.price) for point, after in pairwise([*points, ends])]


def exposure(data: ReportData) -> list[tuple[float, float, int | None]]:
    """Return the price where the agent was, as (from_s, to_s, price), over the whole run."""
    return [
        (max(start, stay.from_s), min(end, stay.to_s), price)
        for stay in data.stays
        for start, end, price in price_steps(data, stay.zone)
        if max(start, stay.from_s) < min(end, stay.to_s)
    ]


def mean_price(steps: list[tuple[float, float, int | None]]) -> float | None:
    """Return the mean of a price over time, in micro-USD an hour; None if it is never known."""
    known = [(end - start, price) for start, end, price in steps if price is not None]
    total = sum(length for length, _ in known)
    return sum(length * price for length, price in known) / total if total else None


def findings(backtest: BackTest) -> Iterator[Finding]:
    """Yield the lines of a back-test: four tests and the supervisors' traffic light."""
    yield Finding(
        "Is the value-at-risk exceeded as often as it should be? (Kupiec)",
        f"{backtest.violations} of {backtest.days:,} days, {backtest.violations_expected:.1f} "
        f"expected; {_p(backtest.coverage)}",
        _passes(backtest.coverage),
    )
    yield Finding(
        "Do exceptions come alone, not in runs? (Christoffersen)",
        _p(backtest.independence),
        _passes(backtest.independence),
    )
    yield Finding(
        "Both at once, conditional coverage (Christoffersen)",
        _p(backtest.conditional_coverage),
        _passes(backtest.conditional_coverage),
    )
    yield Finding(
        "Are the worst losses as large as the expected shortfall says? (Acerbi–Székely)",
        f"Z₂ = {backtest.shortfall.statistic:+.3f}; {_p(backtest.shortfall)}",
        _passes(backtest.shortfall),
    )
    yield Finding(
        "Supervisors' traffic light, last 250 days (Basel)",
        f"{backtest.violations_last_year} exceptions",
        backtest.light_last_year,
    )
    yield Finding(
        "Supervisors' traffic light, worst 250 days (Basel)",
        f"{backtest.violations_worst_year} exceptions",
        backtest.light_worst_year,
    )


def _p(score: Score) -> str:
    return f"p = {score.p_value:.3f}"


def _passes(score: Score) -> Light:
    return "green" if score.p_value >= ALARM else "red"


def format_usd(micro: float | None, places: int = 4) -> str:
    """Return a price for people, such as "$0.0960"; "unknown" for None."""
    return "unknown" if micro is None else f"${micro / 1_000_000:.{places}f}"


def format_bytes(size: int) -> str:
    """Return a size for people, such as "1.4 MB", in powers of ten."""
    if size < 1_000:
        return f"{size} B"
    for unit, scale in (("kB", 1e3), ("MB", 1e6)):
        if size < scale * 1_000:
            return f"{size / scale:.1f} {unit}"
    return f"{size / 1e9:.1f} GB"


def format_seconds(seconds: float) -> str:
    """Return a duration for people, such as "240 ms" or "12.4 s"."""
    return f"{seconds * 1_000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def short(identifier: str) -> str:
    """Return the end of a digest or identifier, which is where they differ: enough to compare."""
    return identifier if len(identifier) <= 16 else f"…{identifier[-12:]}"
