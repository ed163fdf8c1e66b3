"""The back-test, against values computed independently."""

import random
from statistics import NormalDist, fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from scipy import stats

from sojourn.core.base.errors import Misused
from sojourn.demo.backtest import Score, backtest, christoffersen, exceptions, kupiec, light
from sojourn.demo.risk import Estimate, Parameters, Tail, Window

NORMAL = NormalDist()


def normal_estimate(days: int, first: int = 0) -> Estimate:
    """An estimate that says: returns are standard normal."""
    low, lower = NORMAL.inv_cdf(0.01), NORMAL.inv_cdf(0.025)
    height = NORMAL.pdf(lower)
    return Estimate(
        window=Window(index=0, train_from=0, day_from=first, day_to=first + days),
        first_day="2000-01-03",
        last_day="2000-12-29",
        parameters=Parameters(mean=0, omega=1, alpha=0, gamma=0, beta=0, degrees=500, skew=0),
        tail=Tail(quantile_1=low, quantile_2_5=lower, mean=-height, square=0.025 - lower * height),
        volatility=(1.0,) * days,
        value_at_risk=(-low,) * days,
        value_at_risk_97_5=(-lower,) * days,
        expected_shortfall=(height / 0.025,) * days,
    )


def normal_returns(days: int, seed: int, scale: float = 1.0) -> list[float]:
    source = random.Random(seed)
    return [source.gauss(0, scale) for _ in range(days)]


@given(st.integers(1, 5_000), st.data())
def test_kupiec_is_the_binomial_likelihood_ratio(days: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, days))
    ratio = 2 * (stats.binom.logpmf(hits, days, hits / days) - stats.binom.logpmf(hits, days, 0.01))
    score = kupiec(days, hits, 0.01)
    assert pytest.approx(ratio, abs=1e-6, rel=1e-9) == score.statistic
    assert pytest.approx(stats.chi2.sf(score.statistic, 1), rel=1e-9) == score.p_value


def test_kupiec_by_hand() -> None:
    """Ten exceptions in 250 days: 2·ln(0.96^240·0.04^10 / (0.99^240·0.01^10)) = 12.9555."""
    score = kupiec(250, 10, 0.01)
    assert pytest.approx(12.9555, abs=1e-4) == score.statistic
    assert pytest.approx(0.000319, abs=1e-6) == score.p_value


@pytest.mark.parametrize(("days", "hits"), [(0, 0), (10, 11), (10, -1)])
def test_kupiec_refuses_impossible_counts(days: int, hits: int) -> None:
    with pytest.raises(Misused):
        kupiec(days, hits, 0.01)


def test_christoffersen_by_hand() -> None:
    """Transitions 00: 5, 01: 2, 10: 2, 11: 1: the two-by-two table's likelihood ratio."""
    hits = [bool(int(letter)) for letter in "00001100010"]
    table = stats.contingency.crosstab(hits[:-1], hits[1:]).count
    expected = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
    score = christoffersen(hits)
    assert [[5, 2], [2, 1]] == table.tolist()
    assert pytest.approx(expected.statistic, abs=1e-12) == score.statistic
    assert pytest.approx(expected.pvalue, rel=1e-9) == score.p_value


def test_christoffersen_finds_runs() -> None:
    scattered = [index % 40 == 0 for index in range(800)]
    in_runs = [index % 400 < 10 for index in range(800)]
    assert sum(scattered) == sum(in_runs)
    assert christoffersen(scattered).p_value > 0.2
    assert christoffersen(in_runs).p_value < 1e-6


@pytest.mark.parametrize("hits", [[], [True], [False] * 9, [True] * 9])
def test_christoffersen_says_nothing_without_both_kinds_of_days(hits: list[bool]) -> None:
    assert Score(statistic=0.0, p_value=1.0) == christoffersen(hits)


def test_right_model_passes_and_p_values_are_spread_evenly() -> None:
    estimate = normal_estimate(2_500)
    found = [backtest([estimate], normal_returns(2_500, seed)) for seed in range(60)]
    assert 0.4 < fmean(one.shortfall.p_value for one in found) < 0.6
    assert 0.4 < fmean(one.conditional_coverage.p_value for one in found) < 0.65
    assert sum(one.shortfall.p_value < 0.05 for one in found) <= 8
    assert pytest.approx(0, abs=0.05) == fmean(one.shortfall.statistic for one in found)


def test_understated_risk_fails() -> None:
    result = backtest([normal_estimate(2_500)], normal_returns(2_500, seed=1, scale=1.3))
    assert result.coverage.p_value < 1e-6
    assert result.shortfall.statistic < -0.5
    assert result.shortfall.p_value < 1e-6
    assert "red" == result.light_worst_year


def test_shortfall_has_the_authors_critical_value() -> None:
    """Acerbi and Székely's 5% point of Z2 for 250 normal days is -0.70, by simulation."""
    estimate = normal_estimate(250)
    found = [backtest([estimate], normal_returns(250, seed)).shortfall for seed in range(400)]
    below = [score for score in found if score.statistic < -0.70]
    assert 0.02 < len(below) / len(found) < 0.09
    assert all(score.p_value < 0.05 for score in below)


def test_exceptions_are_losses_strictly_beyond_the_risk() -> None:
    estimate = replace(normal_estimate(3), value_at_risk=(2.0, 2.0, 2.0))
    assert (False, True, False) == exceptions([estimate], [-2.0, -2.01, 5.0])


def test_backtest_counts_the_last_and_the_worst_year() -> None:
    returns = [0.0] * 100 + [-9.0] * 5 + [0.0] * 260 + [-9.0] * 3
    result = backtest([normal_estimate(len(returns))], returns)
    assert (8, 3, "green", 5, "yellow") == (
        result.violations,
        result.violations_last_year,
        result.light_last_year,
        result.violations_worst_year,
        result.light_worst_year,
    )


def test_windows_of_a_short_history_are_one_year() -> None:
    result = backtest([normal_estimate(20)], [-9.0] + [0.0] * 19)
    assert (1, 1) == (result.violations_last_year, result.violations_worst_year)


@pytest.mark.parametrize(
    ("hits", "expected"),
    [(0, "green"), (4, "green"), (5, "yellow"), (9, "yellow"), (10, "red"), (250, "red")],
)
def test_light(hits: int, expected: str) -> None:
    assert expected == light(hits)


def test_estimates_with_a_gap_are_misused() -> None:
    for estimates in ([], [normal_estimate(5), normal_estimate(5, first=6)]):
        with pytest.raises(Misused, match="consecutive"):
            backtest(estimates, [0.0] * 20)
    with pytest.raises(Misused, match="consecutive"):
        backtest([normal_estimate(21)], [0.0] * 20)
