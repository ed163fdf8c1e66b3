"""Judges risk estimates by what happened: as many bad days as announced, and as bad ones.

Four tests, each with the probability of a result at least as bad if the model were right (a
p-value; below 0.05 is the customary alarm), and the supervisors' traffic light.

- **Coverage** (Kupiec): is the value-at-risk exceeded as often as it should be?
- **Independence** (Christoffersen): do exceptions come alone, or in runs?
- **Conditional coverage** (Christoffersen): the two at once.
- **Shortfall** (Acerbi and Székely, their second test): are losses beyond the value-at-risk as
  large as the expected shortfall says? Expected value 0; negative means that risk is understated.

Sources: Kupiec, "Techniques for Verifying the Accuracy of Risk Measurement Models", J. Derivatives
3 (1995); Christoffersen, "Evaluating Interval Forecasts", Int. Economic Review 39 (1998); Acerbi
and Székely, "Backtesting Expected Shortfall", Risk (December 2014); Basel Committee, "Supervisory
framework for the use of 'backtesting'" (1996) and MAR32 (2019).
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from sojourn.core.base.encoding import Value
from sojourn.core.base.errors import Misused
from sojourn.demo.risk import TAIL_SHORTFALL, TAIL_VALUE_AT_RISK, Estimate

__all__ = [
    "BackTest",
    "Light",
    "Score",
    "backtest",
    "christoffersen",
    "exceptions",
    "kupiec",
    "light",
]

Light = Literal["green", "yellow", "red"]

SUPERVISED_DAYS = 250
"""How many trading days the supervisors' traffic light looks at (MAR32: twelve months)."""


class Score(Value):
    """A test's statistic, and the probability of one at least as bad under a right model."""

    statistic: float
    p_value: float


class BackTest(Value):
    """How estimates compare with what happened, over all days that they speak for."""

    days: int
    violations: int  # days on which the loss exceeded the value-at-risk at 99%
    violations_expected: float
    coverage: Score
    independence: Score
    conditional_coverage: Score
    shortfall: Score
    violations_last_year: int  # of the last 250 days
    light_last_year: Light
    violations_worst_year: int  # of any 250 days in a row
    light_worst_year: Light


def backtest(estimates: Sequence[Estimate], returns: Sequence[float]) -> BackTest:
    """Return the back-test of `estimates` against `returns` (percent, the whole history).

    Raises `Misused` unless the estimates speak for consecutive days of the history, at least one.
    """
    _check_consecutive(estimates, returns)
    hits = exceptions(estimates, returns)
    coverage = kupiec(len(hits), sum(hits), TAIL_VALUE_AT_RISK)
    independence = christoffersen(hits)
    both = coverage.statistic + independence.statistic
    last = sum(hits[-SUPERVISED_DAYS:])
    worst = _worst_run(hits, SUPERVISED_DAYS)
    return BackTest(
        days=len(hits),
        violations=sum(hits),
        violations_expected=len(hits) * TAIL_VALUE_AT_RISK,
        coverage=coverage,
        independence=independence,
        conditional_coverage=Score(statistic=both, p_value=math.exp(-both / 2)),  # chi-squared, 2
        shortfall=_shortfall(estimates, returns),
        violations_last_year=last,
        light_last_year=light(last),
        violations_worst_year=worst,
        light_worst_year=light(worst),
    )


def exceptions(estimates: Sequence[Estimate], returns: Sequence[float]) -> tuple[bool, ...]:
    """Return for each estimated day whether its loss exceeded the value-at-risk at 99%."""
    return tuple(
        -value > risk
        for estimate in estimates
        for value, risk in zip(_realised(estimate, returns), estimate.value_at_risk, strict=True)
    )


def kupiec(days: int, violations: int, expected_share: float) -> Score:
    """Return Kupiec's likelihood ratio of `violations` in `days` against `expected_share`."""
    if not 0 <= violations <= days or days == 0:
        problem = f"{violations} violations in {days} days"
        raise Misused(problem, remedy="Count violations among at least one day")
    observed = _log_likelihood(days - violations, violations, violations / days)
    ratio = 2 * (observed - _log_likelihood(days - violations, violations, expected_share))
    return _chi_squared_1(ratio)


def christoffersen(hits: Sequence[bool]) -> Score:
    """Return Christoffersen's likelihood ratio of independence against a Markov chain."""
    counts = dict.fromkeys(((False, False), (False, True), (True, False), (True, True)), 0)
    for pair in pairwise(hits):
        counts[pair] += 1
    calm, calm_hit = counts[False, False], counts[False, True]
    hit_calm, hit_hit = counts[True, False], counts[True, True]
    alike = _best_log_likelihood(calm + hit_calm, calm_hit + hit_hit)
    apart = _best_log_likelihood(calm, calm_hit) + _best_log_likelihood(hit_calm, hit_hit)
    return _chi_squared_1(2 * (apart - alike))


def light(violations: int) -> Light:
    """Return the supervisors' verdict on `violations` of the 99% value-at-risk in 250 days."""
    if violations <= 4:
        return "green"
    return "yellow" if violations <= 9 else "red"


def _check_consecutive(estimates: Sequence[Estimate], returns: Sequence[float]) -> None:
    gap = any(a.window.day_to != b.window.day_from for a, b in pairwise(estimates))
    if not estimates or gap or estimates[-1].window.day_to > len(returns):
        problem = f"{len(estimates)} estimates do not speak for consecutive days of the history"
        raise Misused(problem, remedy="Give the estimates of windows() in order, without a gap")


def _realised(estimate: Estimate, returns: Sequence[float]) -> Sequence[float]:
    return returns[estimate.window.day_from : estimate.window.day_to]


def _shortfall(estimates: Sequence[Estimate], returns: Sequence[float]) -> Score:
    """Return Acerbi and Székely's Z2, with a p-value from its normal limit.

    Z2 is one less the mean over T days of X = L·[L > VaR]/(a·ES), where L is the loss and a is
    2.5%. Under the model each X has mean 1 and a second moment that the fitted tail gives in
    closed form, and X - 1 is a martingale difference, so that Z2 is asymptotically normal. At T =
    250 this puts the 5% point where the authors find it by simulation, near -0.70.
    """
    terms: list[float] = []
    variances: list[float] = []
    for estimate in estimates:
        days = zip(
            _realised(estimate, returns),
            estimate.volatility,
            estimate.value_at_risk_97_5,
            estimate.expected_shortfall,
            strict=True,
        )
        mean, tail = estimate.parameters.mean, estimate.tail
        for value, s, threshold, shortfall in days:
            scale = TAIL_SHORTFALL * shortfall
            square = mean**2 * TAIL_SHORTFALL + 2 * mean * s * tail.mean + s**2 * tail.square
            terms.append(-value / scale if -value > threshold else 0.0)
            variances.append(square / scale**2 - 1)
    z2 = 1 - math.fsum(terms) / len(terms)
    deviation = math.sqrt(math.fsum(variances)) / len(terms)
    return Score(statistic=z2, p_value=math.erfc(-z2 / deviation / math.sqrt(2)) / 2)


def _worst_run(hits: Sequence[bool], length: int) -> int:
    ends = range(min(length, len(hits)), len(hits) + 1)
    return max(sum(hits[max(end - length, 0) : end]) for end in ends)


def _chi_squared_1(ratio: float) -> Score:
    statistic = max(ratio, 0.0)  # a ratio of likelihoods is at least 1; rounding may not be
    return Score(statistic=statistic, p_value=math.erfc(math.sqrt(statistic / 2)))


def _best_log_likelihood(misses: int, hits: int) -> float:
    return _log_likelihood(misses, hits, hits / max(misses + hits, 1))


def _log_likelihood(misses: int, hits: int, share: float) -> float:
    return _times_log(misses, 1 - share) + _times_log(hits, share)


def _times_log(count: int, share: float) -> float:
    return count * math.log(share) if count else 0.0
