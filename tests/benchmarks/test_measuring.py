"""What is said of measurements."""

import pytest

from benchmarks.measuring import Case, Figure, quantile


def test_a_figure_is_the_median_with_the_extremes_beside_it() -> None:
    figure = Figure("ms", (3.0, 1.0, 2.0))
    assert (2.0, "2.00 (1.00–3.00)") == (figure.median, str(figure))
    expected = {"unit": "ms", "median": 2.0, "min": 1.0, "max": 3.0, "values": [3.0, 1.0, 2.0]}
    assert expected == figure.plain()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.01234, "0.0123"), (1.234, "1.23"), (45.678, "45.7"), (12_345.6, "12,346")],
)
def test_figures_have_about_three_digits(value: float, shown: str) -> None:
    assert shown == str(Figure("", (value, value)))


def test_quantiles_lie_between_what_was_measured() -> None:
    values = [float(value) for value in range(101)]
    assert (50.0, 99.0) == (quantile(values, 50), quantile(values, 99))
    assert 7.0 == quantile([7.0], 99)


def test_a_case_collects_each_quantity_over_its_repetitions() -> None:
    case = Case.of("one", {"rate": "1/s"}, [{"rate": 1.0, "other": 0.0}, {"rate": 3.0}])
    assert {"rate": Figure("1/s", (1.0, 3.0))} == case.figures
