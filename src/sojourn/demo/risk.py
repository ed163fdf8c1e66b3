"""The risk desk's workload: tomorrow's loss of a position in the S&P 500, estimated day by day.

Every twenty trading days a GARCH(1,1) model with leverage (GJR) and skewed Student-t innovations
is fitted to the thousand days before; between fits the volatility is filtered with the parameters
held fixed. From each day's volatility follow the loss that is exceeded on one day in a hundred
(value-at-risk at 99%) and the mean loss on the worst 2.5% of days (expected shortfall at 97.5%),
the two measures of the Basel market risk standard. All returns and losses are in percent; a loss
is positive.

The leverage term is there because it pays: on this history the model without it is exceeded on 50
days where 40 are expected, with it on 40, and only with it does the shortfall pass its back-test.

**Same input, same bytes.** An estimate is a function of its window alone, to the last bit, in any
process on one kind of machine. One thing would break that: with another number of BLAS threads the
optimiser's small matrix products round differently (the fifth digit of the degrees of freedom
moves), so `estimate` holds BLAS to one thread, for the life of the process.

Sources: Bollerslev, "Generalized Autoregressive Conditional Heteroskedasticity", J. Econometrics
31 (1986); Glosten, Jagannathan and Runkle, J. Finance 48 (1993); Hansen, "Autoregressive
Conditional Density Estimation", Int. Economic Review 35 (1994); Basel Committee, "Minimum capital
requirements for market risk" (2019), MAR31 to MAR33.
"""

import csv
import gzip
import math
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

from sojourn.core.base.encoding import Value
from sojourn.core.base.errors import Misused
from sojourn.demo.sources import source_file

__all__ = [
    "REFIT_DAYS",
    "TAIL_SHORTFALL",
    "TAIL_VALUE_AT_RISK",
    "TRAINING_DAYS",
    "Estimate",
    "History",
    "Parameters",
    "Tail",
    "Window",
    "estimate",
    "history",
    "windows",
]

TRAINING_DAYS = 1_000
"""How many trading days a fit looks back on: about four years."""
REFIT_DAYS = 20
"""How many trading days one fit serves: about a month."""
TAIL_VALUE_AT_RISK = 0.01
"""The share of days on which the loss may exceed the value-at-risk."""
TAIL_SHORTFALL = 0.025
"""The share of days whose mean loss is the expected shortfall."""


class History(Value):
    """Daily returns, oldest first: `returns[i]` is that of `days[i]` over the day before."""

    source: str
    days: tuple[str, ...]  # ISO dates
    returns: tuple[float, ...]  # percent


class Window(Value):
    """The days one fit looks at and the days it speaks for, as half-open ranges of the history."""

    index: int
    train_from: int
    day_from: int
    day_to: int


class Parameters(Value):
    """A fitted model: returns are mean + s·z, s² = omega + (alpha + gamma·[e<0])·e² + beta·s²."""

    mean: float
    omega: float
    alpha: float
    gamma: float
    beta: float
    degrees: float
    skew: float


class Tail(Value):
    """The lower tail of the fitted innovations z, which have mean 0 and variance 1.

    `mean` and `square` are E[z; z ≤ q] and E[z²; z ≤ q], with q the quantile at 2.5%.
    """

    quantile_1: float
    quantile_2_5: float
    mean: float
    square: float


class Estimate(Value):
    """What one window says: a model, and for each of its days the risk as seen the evening before.

    The four tuples have one entry for each day of the window, in percent.
    """

    window: Window
    first_day: str  # ISO dates
    last_day: str
    parameters: Parameters
    tail: Tail
    volatility: tuple[float, ...]
    value_at_risk: tuple[float, ...]  # 99%
    value_at_risk_97_5: tuple[float, ...]
    expected_shortfall: tuple[float, ...]  # 97.5%


@cache
def history() -> History:
    """Return the S&P 500's daily returns, adjusted close to close, 1999 to 2018.

    Raises `Misused` when the package `arch`, whose data set it is, is not installed.
    """
    source = source_file("arch", "arch/data/sp500/sp500.csv.gz")
    with gzip.open(source.path, "rt", encoding="ascii", newline="") as lines:
        rows = [(_iso(row["Date"]), float(row["Adj Close"])) for row in csv.DictReader(lines)]
    returns = tuple(100 * (close / before - 1) for (_, before), (_, close) in pairwise(rows))
    return History(source=str(source), days=tuple(day for day, _ in rows[1:]), returns=returns)


def _iso(american: str) -> str:
    month, day, year = american.split("/")
    return f"{year}-{month:0>2}-{day:0>2}"


def windows(
    *, training_days: int = TRAINING_DAYS, refit_days: int = REFIT_DAYS, days: int | None = None
) -> tuple[Window, ...]:
    """Return the windows that cover the first `days` of the history (default: all), oldest first.

    Raises `Misused` unless there is at least one day after the training days.
    """
    total = len(history().days) if days is None else min(days, len(history().days))
    if training_days < 100 or refit_days < 1 or total <= training_days:
        problem = f"no window of {training_days} training days, refitted every {refit_days} days"
        remedy = "Train on at least 100 days, and on fewer than there are"
        raise Misused(f"{problem}, fits into {total} days of history", remedy=remedy)
    return tuple(
        Window(
            index=index,
            train_from=first - training_days,
            day_from=first,
            day_to=min(first + refit_days, total),
        )
        for index, first in enumerate(range(training_days, total, refit_days))
    )


def estimate(window: Window) -> Estimate:
    """Return the risk of each day of `window`, from a model fitted to the days before it.

    Takes about 25 ms, and a second more in a process that has not imported `arch` yet. Holds BLAS
    to one thread from then on. Raises `Misused` when `window` does not lie in the history.
    """
    data = history()
    if not 0 <= window.train_from < window.day_from < window.day_to <= len(data.days):
        problem = f"window {window.index} does not lie in the {len(data.days)} days of history"
        raise Misused(problem, remedy="Take windows from windows()")
    fitted = _fit(data.returns[window.train_from : window.day_from])
    volatility = tuple(_filter(fitted, data.returns[window.day_from : window.day_to]))
    mean, tail = fitted.parameters.mean, fitted.tail
    return Estimate(
        window=window,
        first_day=data.days[window.day_from],
        last_day=data.days[window.day_to - 1],
        parameters=fitted.parameters,
        tail=tail,
        volatility=volatility,
        value_at_risk=tuple(-(mean + s * tail.quantile_1) for s in volatility),
        value_at_risk_97_5=tuple(-(mean + s * tail.quantile_2_5) for s in volatility),
        expected_shortfall=tuple(-(mean + s * tail.mean / TAIL_SHORTFALL) for s in volatility),
    )


class _Fit(Value):
    parameters: Parameters
    tail: Tail
    variance: float  # of the last training day
    residual: float


def _fit(returns: tuple[float, ...]) -> _Fit:
    univariate, np = _libraries()
    model = univariate.ConstantMean(
        np.array(returns),
        volatility=univariate.GARCH(p=1, o=1, q=1),
        distribution=univariate.SkewStudent(),
        rescale=False,
    )
    result = model.fit(disp="off", show_warning=False)
    fitted = [float(value) for value in result.params]
    parameters = Parameters(**dict(zip(Parameters.__struct_fields__, fitted, strict=True)))
    return _Fit(
        parameters=parameters,
        tail=_tail(model.distribution, fitted[-2:]),
        variance=float(result.conditional_volatility[-1]) ** 2,
        residual=returns[-1] - parameters.mean,
    )


def _tail(innovations: Any, shape: list[float]) -> Tail:
    quantile_1, quantile_2_5 = innovations.ppf([TAIL_VALUE_AT_RISK, TAIL_SHORTFALL], shape)
    return Tail(
        quantile_1=float(quantile_1),
        quantile_2_5=float(quantile_2_5),
        mean=float(innovations.partial_moment(1, quantile_2_5, shape)),
        square=float(innovations.partial_moment(2, quantile_2_5, shape)),
    )


def _filter(fitted: _Fit, returns: tuple[float, ...]) -> Iterator[float]:
    model, variance, residual = fitted.parameters, fitted.variance, fitted.residual
    for value in returns:
        news = model.alpha + (model.gamma if residual < 0 else 0.0)
        variance = model.omega + news * residual**2 + model.beta * variance
        yield math.sqrt(variance)
        residual = value - model.mean


def _libraries() -> tuple[Any, Any]:
    """Return `arch.univariate` and `numpy`, imported late and with BLAS held to one thread."""
    import numpy as np  # noqa: PLC0415 (0.1 s, and arch 1 s: only a process that estimates pays)
    from arch import univariate  # noqa: PLC0415

    _blas().limit(limits=1)
    return univariate, np


@cache
def _blas() -> Any:
    import threadpoolctl  # type: ignore[import-untyped]  # noqa: PLC0415 (sees what is loaded)

    return threadpoolctl.ThreadpoolController()
