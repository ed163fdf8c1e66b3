"""What follows from a run's facts: the figures and groups that page and terminal both show."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from sojourn.demo.backtest import BackTest, Light, Score
from sojourn.demo.report.data import AssessmentRow, Finding, ReportData

__all__ = [
    "AssessmentGroup",
    "BackTestLine",
    "Step",
    "assessment_groups",
    "back_test_lines",
    "exposure",
    "format_bytes",
    "format_count",
    "format_moment",
    "format_percent",
    "format_seconds",
    "format_usd",
    "mean_price",
    "price_steps",
    "questions",
    "short",
]

ALARM = 0.05
"""Below this p-value a back-test is said to fail (the customary level)."""


class Step(NamedTuple):
    """A price in micro-USD an hour, from `start` to `end` in seconds since launch."""

    start: float
    end: float
    price: int


class AssessmentGroup(NamedTuple):
    """Assessments of one place that came out alike: the first, how many, and until when.

    `news` are the reasons in it that the assessment before of that place did not give already.
    """

    first: AssessmentRow
    times: int
    last_s: float
    price_low: int | None
    price_high: int | None
    news: frozenset[str]


class BackTestLine(NamedTuple):
    """One line of the back-test: what was asked, the figures, and whether the model passes."""

    question: str
    figures: str
    light: Light


def assessment_groups(data: ReportData) -> list[AssessmentGroup]:
    """Return the assessments of a place that came out alike one after another as one, in order."""
    found: list[AssessmentGroup] = []
    for zone in data.zones:
        told: frozenset[str] = frozenset()
        entries = (entry for entry in data.assessments if entry.zone == zone.name)
        for _, alike in groupby(entries, key=_answers):
            group = list(alike)
            reasons = frozenset(finding.text for finding in questions(group[0]).values())
            found.append(_group(group, reasons - told))
            told = reasons
    return sorted(found, key=lambda group: group.first.at_s)


def questions(entry: AssessmentRow) -> dict[str, Finding]:
    """Return the three questions with their answers, in the order in which they are asked."""
    return {
        "Governance": entry.governance,
        "Capability": entry.capability,
        "Trust": entry.trust,
    }


def _answers(entry: AssessmentRow) -> tuple[str, ...]:
    return (entry.outcome, *(finding.answer for finding in questions(entry).values()))


def _group(group: list[AssessmentRow], news: frozenset[str]) -> AssessmentGroup:
    prices = [entry.price_micros for entry in group if entry.price_micros is not None]
    return AssessmentGroup(
        first=group[0],
        times=len(group),
        last_s=group[-1].at_s,
        price_low=min(prices, default=None),
        price_high=max(prices, default=None),
        news=news,
    )


def price_steps(data: ReportData, zone: str) -> list[Step]:
    """Return what `zone` asked over the whole run, in order; nothing while it named no price."""
    points = [point for point in data.prices if point.zone == zone]
    ends = [point.at_s for point in points[1:]] + [data.duration_s]
    return [
        Step(point.at_s, end, point.price_micros)
        for point, end in zip(points, ends, strict=True)
        if point.price_micros is not None
    ]


def exposure(data: ReportData) -> list[Step]:
    """Return what the agent's place asked over the whole run, in order."""
    return [
        Step(max(step.start, stay.from_s), min(step.end, stay.to_s), step.price)
        for stay in data.stays
        for step in price_steps(data, stay.zone)
        if max(step.start, stay.from_s) < min(step.end, stay.to_s)
    ]


def mean_price(steps: Sequence[Step]) -> float | None:
    """Return the mean of a price over time, in micro-USD an hour; None if it is never known."""
    total = sum(step.end - step.start for step in steps)
    return sum((step.end - step.start) * step.price for step in steps) / total if total else None


def back_test_lines(backtest: BackTest) -> Iterator[BackTestLine]:
    """Yield the lines of a back-test: four tests and the supervisors' traffic light."""
    yield BackTestLine(
        "Is the value-at-risk exceeded as often as it should be? (Kupiec)",
        f"{backtest.violations} of {backtest.days:,} days, {backtest.violations_expected:.1f} "
        f"expected; {_p(backtest.coverage)}",
        _passes(backtest.coverage),
    )
    yield BackTestLine(
        "Do exceptions come alone, not in runs? (Christoffersen)",
        _p(backtest.independence),
        _passes(backtest.independence),
    )
    yield BackTestLine(
        "Both at once, conditional coverage (Christoffersen)",
        _p(backtest.conditional_coverage),
        _passes(backtest.conditional_coverage),
    )
    yield BackTestLine(
        "Are the worst losses as large as the expected shortfall says? (Acerbi–Székely)",
        f"Z₂ = {_signed(backtest.shortfall.statistic)}; {_p(backtest.shortfall)}",
        _passes(backtest.shortfall),
    )
    yield BackTestLine(
        "Supervisors' traffic light, last 250 days (Basel)",
        f"{backtest.violations_last_year} exceptions",
        backtest.light_last_year,
    )
    yield BackTestLine(
        "Supervisors' traffic light, worst 250 days (Basel)",
        f"{backtest.violations_worst_year} exceptions",
        backtest.light_worst_year,
    )


def _signed(value: float, places: int = 3) -> str:
    sign = "−" if value < 0 else "+" if value > 0 else ""
    return f"{sign}{abs(value):.{places}f}"


def _p(score: Score) -> str:
    return f"p = {score.p_value:.3f}"


def _passes(score: Score) -> Light:
    return "green" if score.p_value >= ALARM else "red"


def format_usd(micro: float | None, places: int = 4) -> str:
    """Return a price for people, such as "$0.0960"; "unknown" for None."""
    return "unknown" if micro is None else f"${micro / 1_000_000:.{places}f}"


def format_percent(value: float, places: int) -> str:
    """Return a percentage with its sign, such as "+5%" or "−8.8%"."""
    return f"{_signed(value, places)}%"


def format_bytes(size: int) -> str:
    """Return a size for people, such as "1.4 MB" or "412 kB", in powers of ten."""
    if size < 1_000:
        return f"{size} B"
    unit, scale = next((u, s) for u, s in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)) if size < 1e3 * s)
    return f"{size / scale:.{1 if size < 10 * scale and size % scale else 0}f} {unit}"


def format_moment(seconds: float) -> str:
    """Return a time since launch for people, such as "12.4 s"."""
    return f"{seconds:.1f} s"


def format_seconds(seconds: float) -> str:
    """Return a duration for people, such as "240 ms" or "12.4 s"."""
    return f"{seconds * 1_000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def format_count(count: int) -> str:
    """Return a small number in words, as running text has it."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return words[count] if count < len(words) else f"{count:,}"


def short(identifier: str) -> str:
    """Return the end of a digest or identifier, which is where they differ: enough to compare."""
    return identifier if len(identifier) <= 16 else f"…{identifier[-12:]}"
