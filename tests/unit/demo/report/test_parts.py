"""The parts of the report: figures, map, time line."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.demo.report import figures
from sojourn.demo.report.coast import shores
from sojourn.demo.report.data import ReportData
from sojourn.demo.report.figures import Step, exposure, mean_price, price_steps
from sojourn.demo.report.globe import Globe, distance_km, middle, shortest_path
from sojourn.demo.report.scale import Scale, spread, ticks

DUBLIN, FRANKFURT, ASHBURN = (53.35, -6.27), (50.11, 8.68), (39.03, -77.46)


@given(st.floats(-1e6, 1e6), st.floats(0.01, 1e6), st.integers(1, 12))
def test_ticks_are_round_and_inside(low: float, length: float, most: int) -> None:
    high = low + length
    found = ticks(low, high, most)
    assert len(found) <= most + 1
    assert all(low - 1e-6 * length <= tick <= high + 1e-6 * length for tick in found)


def test_ticks_by_hand() -> None:
    assert [0, 5, 10, 15] == ticks(0, 17, 5)
    assert [-10, 0, 10] == ticks(-15, 12, 3)
    assert [4] == ticks(4, 4, 5)


def test_scale_maps_its_ends() -> None:
    scale = Scale(10, 20, 300, 100)
    assert (300, 200, 100) == (scale(10), scale(15), scale(20))


@given(st.lists(st.floats(0, 500), max_size=8))
def test_spread_keeps_order_distance_and_bounds(wanted: list[float]) -> None:
    placed = spread(wanted, 20, 0, 500)
    for one, first in zip(wanted, placed, strict=True):
        for other, second in zip(wanted, placed, strict=True):
            assert one >= other or first < second
    assert all(b - a >= 20 - 1e-9 for a, b in pairwise(sorted(placed)))
    assert all(0 <= place <= 500 for place in placed)


def test_distance_of_known_places() -> None:
    assert pytest.approx(1_087, abs=10) == distance_km(DUBLIN, FRANKFURT)
    assert pytest.approx(5_450, abs=30) == distance_km(DUBLIN, ASHBURN)
    assert 0 == distance_km(DUBLIN, DUBLIN)


def test_globe_puts_its_centre_in_the_middle_and_the_far_side_on_the_rim() -> None:
    globe = Globe(*DUBLIN, 100, 200, 150)
    x, y, near = globe.place(DUBLIN)
    assert (pytest.approx(200), pytest.approx(150), True) == (x, y, near)
    x, y, near = globe.place((-40, 170))
    assert not near
    assert pytest.approx(100) == math.hypot(x - 200, y - 150)


def test_north_is_up_and_east_is_right() -> None:
    globe = Globe(*DUBLIN, 100, 0, 0)
    assert globe.place((60, -6.27))[1] < 0
    assert globe.place((53.35, 0))[0] > 0


def test_shortest_path_is_as_long_as_the_distance() -> None:
    path = list(shortest_path(DUBLIN, ASHBURN))
    length = sum(distance_km(a, b) for a, b in pairwise(path))
    assert pytest.approx(distance_km(DUBLIN, ASHBURN), rel=1e-6) == length
    assert pytest.approx(DUBLIN) == path[0]
    assert pytest.approx(ASHBURN) == path[-1]
    assert {DUBLIN} == set(shortest_path(DUBLIN, DUBLIN))


def test_middle_of_places_across_the_date_line() -> None:
    assert (pytest.approx(0), pytest.approx(180)) == middle([(0, 170), (0, -170)])


def test_track_is_interrupted_on_the_far_side() -> None:
    globe = Globe(0, 0, 100, 0, 0)
    equator = [(0.0, float(lam)) for lam in range(-180, 181, 10)]
    assert 1 == globe.track(equator).count("M")
    assert 2 == globe.track([*equator[9:], *equator[:28]]).count("M")
    assert "" == globe.track([(0.0, 180.0), (0.0, 170.0)])


def test_shores_lie_on_the_earth_and_cities_on_the_right_side_of_them() -> None:
    assert all(
        -90 <= north <= 90 and -180 <= east <= 180 for shore in shores() for north, east in shore
    )
    for north, east in [(53.3, -7.0), (52.0, 5.5), FRANKFURT, ASHBURN, (48.9, 2.4), (52.0, -1.0)]:
        assert any(_is_inside((north, east), shore) for shore in shores())
    for north, east in [(50.0, -30.0), (54.0, 3.0), (45.0, -5.0), (40.0, 5.5), (58.0, 20.0)]:
        assert not any(_is_inside((north, east), shore) for shore in shores())


def _is_inside(place: tuple[float, float], shore: tuple[tuple[float, float], ...]) -> bool:
    """Whether a ray to the east crosses the shore an odd number of times (flat, as it is drawn)."""
    north, east = place
    crossed = False
    for (n1, e1), (n2, e2) in zip(shore, (*shore[1:], shore[0]), strict=True):
        if abs(e1 - e2) < 180 and (n1 > north) != (n2 > north):
            crossed ^= east < (e2 - e1) * (north - n1) / (n2 - n1) + e1
    return crossed


def test_price_steps_cover_the_run_and_exposure_follows_the_agent(sample: ReportData) -> None:
    steps = price_steps(sample, "azure-westeurope")
    assert (0, sample.duration_s) == (steps[0].start, steps[-1].end)
    assert all(a.end == b.start for a, b in pairwise(steps))
    paid = exposure(sample)
    stayed = sum(stay.to_s - stay.from_s for stay in sample.stays)
    assert pytest.approx(stayed) == sum(step.end - step.start for step in paid)
    assert (mean_price(paid) or 0) < (mean_price(price_steps(sample, "aws-eu-west-1")) or 0)


def test_mean_price_by_hand() -> None:
    assert 250 == mean_price([Step(0, 1, 100), Step(2, 5, 300)])
    assert mean_price([]) is None


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1 kB"),
        (1_440, "1.4 kB"),
        (412_345, "412 kB"),
        (5_000_000, "5 MB"),
        (64_500_000_000, "64 GB"),
    ],
)
def test_format_bytes(size: int, text: str) -> None:
    assert text == figures.format_bytes(size)


def test_formats_for_people() -> None:
    assert ("$0.0960", "$0.10", "unknown") == (
        figures.format_usd(96_000),
        figures.format_usd(96_000, 2),
        figures.format_usd(None),
    )
    assert ("240 ms", "12.4 s", "0.0 s") == (
        figures.format_seconds(0.24),
        figures.format_seconds(12.44),
        figures.format_moment(0),
    )
    assert ("−8.8%", "+5%", "0%") == (
        figures.format_percent(-8.81, 1),
        figures.format_percent(5, 0),
        figures.format_percent(0, 0),
    )
    assert ("no", "four", "1,200") == tuple(map(figures.format_count, (0, 4, 1_200)))
    assert ("short", "…vwxyzabcdefg") == (
        figures.short("short"),
        figures.short("bafyrei0123456vwxyzabcdefg"),
    )
