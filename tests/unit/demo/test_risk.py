"""The workload: deterministic to the byte, in any process."""

import math
import os
import subprocess
import sys

import pytest

from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.errors import Misused
from sojourn.demo.risk import (
    TAIL_SHORTFALL,
    TAIL_VALUE_AT_RISK,
    Estimate,
    Window,
    estimate,
    history,
    windows,
)

PRINT_DIGEST = """
from hashlib import sha256
from sojourn.core.base.encoding import encode
from sojourn.demo.risk import estimate, windows
chosen = windows()[5::60]
print(sha256(b"".join(encode(estimate(window)) for window in chosen)).hexdigest())
"""


@pytest.fixture(scope="module")
def first() -> Estimate:
    return estimate(windows()[0])


def test_history_is_the_data_set_of_arch() -> None:
    from arch.data import sp500

    expected = 100 * sp500.load()["Adj Close"].pct_change().dropna()
    data = history()
    assert [str(day.date()) for day in expected.index] == list(data.days)
    assert list(expected) == pytest.approx(list(data.returns), abs=1e-9)


def test_windows_cover_every_day_after_the_training_once() -> None:
    found = windows()
    assert 200 <= len(found) <= 260
    covered = [day for window in found for day in range(window.day_from, window.day_to)]
    assert list(range(1_000, len(history().days))) == covered
    assert {1_000} == {window.day_from - window.train_from for window in found}


def test_windows_of_part_of_the_history() -> None:
    assert [(0, 300, 310), (10, 310, 315)] == [
        (window.train_from, window.day_from, window.day_to)
        for window in windows(training_days=300, refit_days=10, days=315)
    ]


@pytest.mark.parametrize(
    "settings",
    [{"training_days": 99}, {"refit_days": 0}, {"training_days": 5_030}, {"days": 1_000}],
)
def test_windows_that_do_not_fit_are_misused(settings: dict[str, int]) -> None:
    with pytest.raises(Misused, match="no window of"):
        windows(**settings)


@pytest.mark.parametrize("ends", [(-1, 10, 20), (0, 20, 20), (20, 20, 30), (0, 1_000, 5_031)])
def test_window_outside_the_history_is_misused(ends: tuple[int, int, int]) -> None:
    train_from, day_from, day_to = ends
    window = Window(index=0, train_from=train_from, day_from=day_from, day_to=day_to)
    with pytest.raises(Misused, match="does not lie in"):
        estimate(window)


def test_estimate_survives_encoding_exactly(first: Estimate) -> None:
    assert first == decode(encode(first), Estimate, what="estimate", limit=10_000)


def test_estimate_speaks_for_each_day_of_its_window(first: Estimate) -> None:
    data = history()
    assert (data.days[1_000], data.days[1_019]) == (first.first_day, first.last_day)
    assert {20} == {
        len(first.volatility),
        len(first.value_at_risk),
        len(first.value_at_risk_97_5),
        len(first.expected_shortfall),
    }


def test_volatility_follows_the_recursion_of_gjr_garch(first: Estimate) -> None:
    model, data = first.parameters, history()
    for offset in range(1, 20):
        residual = data.returns[1_000 + offset - 1] - model.mean
        news = (model.alpha + model.gamma * (residual < 0)) * residual**2
        variance = model.omega + news + model.beta * first.volatility[offset - 1] ** 2
        assert math.sqrt(variance) == pytest.approx(first.volatility[offset], rel=1e-12)


def test_first_day_agrees_with_the_forecast_of_arch(first: Estimate) -> None:
    import numpy as np
    from arch.univariate import GARCH, ConstantMean, SkewStudent

    model = ConstantMean(np.array(history().returns[:1_000]), rescale=False)
    model.volatility, model.distribution = GARCH(p=1, o=1, q=1), SkewStudent()
    forecast = model.fix(list(_numbers(first))).forecast(horizon=1)
    assert forecast.variance.iloc[-1, 0] == pytest.approx(first.volatility[0] ** 2, rel=1e-9)


def test_tail_agrees_with_the_density(first: Estimate) -> None:
    """The tail's moments, by adding up Hansen's density (1994, equation 10) numerically."""
    eta, skew = first.parameters.degrees, first.parameters.skew
    c = math.exp(math.lgamma((eta + 1) / 2) - math.lgamma(eta / 2)) / math.sqrt(math.pi * (eta - 2))
    a = 4 * skew * c * (eta - 2) / (eta - 1)
    b = math.sqrt(1 + 3 * skew**2 - a**2)

    def density(z: float) -> float:
        side = 1 - skew if z < -a / b else 1 + skew
        return b * c * (1 + ((b * z + a) / side) ** 2 / (eta - 2)) ** (-(eta + 1) / 2)

    def moment(order: int, upper: float) -> float:
        step = 1e-3
        points = (upper - step * (index + 0.5) for index in range(40_000))
        return step * math.fsum(z**order * density(z) for z in points)

    tail = first.tail
    assert pytest.approx(TAIL_VALUE_AT_RISK, abs=1e-6) == moment(0, tail.quantile_1)
    assert pytest.approx(TAIL_SHORTFALL, abs=1e-6) == moment(0, tail.quantile_2_5)
    assert pytest.approx(tail.mean, abs=1e-5) == moment(1, tail.quantile_2_5)
    assert pytest.approx(tail.square, abs=1e-5) == moment(2, tail.quantile_2_5)


def test_shortfall_is_the_mean_loss_of_the_tail(first: Estimate) -> None:
    mean, tail = first.parameters.mean, first.tail
    for s, risk, shortfall in zip(
        first.volatility, first.value_at_risk, first.expected_shortfall, strict=True
    ):
        assert -(mean + s * tail.quantile_1) == risk
        assert -(mean + s * tail.mean / TAIL_SHORTFALL) == shortfall
        assert shortfall > 0


def test_same_bytes_in_any_process() -> None:
    """Neither the hash seed, nor the number of BLAS threads, nor what came before may matter."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", before + PRINT_DIGEST],
            env={**os.environ, "PYTHONHASHSEED": seed, **_threads(threads)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed, threads, before in [
            ("1", "1", ""),
            ("2", "2", "import numpy, scipy.linalg; numpy.ones((900, 900)) @ numpy.ones((900, 9))"),
            ("3", None, "from sojourn.demo.risk import *; estimate(windows()[0])"),
        ]
    ]
    digests = {process.communicate(timeout=60)[0] for process in processes}
    assert [0, 0, 0] == [process.returncode for process in processes]
    assert 1 == len(digests)


def test_importing_the_workload_imports_nothing_heavy() -> None:
    code = (
        "import sys, sojourn.demo.risk, sojourn.demo.backtest;"
        "sys.exit(any(name in sys.modules for name in ('arch', 'numpy', 'pandas', 'scipy')))"
    )
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def _numbers(found: Estimate) -> list[float]:
    model = found.parameters
    return [getattr(model, field) for field in model.__struct_fields__]


def _threads(count: str | None) -> dict[str, str]:
    return {} if count is None else {"OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count}
