"""The charts: what they draw and what they leave out."""

import re
from itertools import pairwise

import pytest
from msgspec.structs import replace

from sojourn.demo.report.data import CapacityPoint, ReportData
from sojourn.demo.report.map import draw_map
from sojourn.demo.report.risk_chart import draw_risk
from sojourn.demo.report.timeline import draw_timeline
from tests.unit.pages.reading import Element, Page

WIDTHS = (1_100, 420)


def numbers(element: Element) -> list[float]:
    return [float(found) for found in re.findall(r"-?[\d.]+", element.attributes["d"])]


@pytest.mark.parametrize("width", WIDTHS)
def test_map_shows_every_move_and_zone(sample: ReportData, width: int) -> None:
    page = Page(draw_map(sample, width))
    assert len(sample.migrations) == len(page.having("arc")) == len(page.having("badge"))
    assert {zone.name for zone in sample.zones} <= {text.partition(":")[0] for text in page.texts}


@pytest.mark.parametrize("width", WIDTHS)
def test_map_keeps_visited_zones_in_its_frame(sample: ReportData, width: int) -> None:
    page = Page(draw_map(sample, width))
    dots = [element for element in page.elements if element.attributes.get("r") == "7"]
    assert 3 == len(dots)
    assert all(20 < float(dot.attributes["cx"]) < width - 20 for dot in dots)


def test_map_names_the_zone_outside_its_frame_with_its_distance(sample: ReportData) -> None:
    page = Page(draw_map(sample, 1_100))
    assert "aws-us-east-1: never entered" in page.texts
    assert any(re.match(r"5,\d{3} km from home · \$0.0850/h", text) for text in page.texts)


def test_map_without_far_zones_has_no_globe(sample: ReportData) -> None:
    near = replace(sample, zones=sample.zones[:3])
    assert [] == Page(draw_map(near, 1_100)).having("globe")
    assert 1 == len(Page(draw_map(sample, 1_100)).having("globe"))


def test_zones_at_one_place_are_drawn_apart(sample: ReportData) -> None:
    zones = tuple(replace(zone, latitude=50.1, longitude=8.7) for zone in sample.zones)
    page = Page(draw_map(replace(sample, zones=zones), 1_100))
    places = {
        (element.attributes["cx"], element.attributes["cy"])
        for element in page.elements
        if element.attributes.get("r") == "7"
    }
    assert 4 == len(places)


@pytest.mark.parametrize("width", WIDTHS)
def test_timeline_shows_stays_moves_and_losses(sample: ReportData, width: int) -> None:
    page = Page(draw_timeline(sample, width))
    assert len(sample.stays) == len(page.having("stay")) == len(page.having("band"))
    assert len(sample.migrations) == len(page.having("badge"))
    assert len(sample.losses) == len(page.having("loss"))
    assert {"✕ anchor killed", "✕ host killed"} <= set(page.texts)


def test_prices_are_drawn_to_scale(sample: ReportData) -> None:
    """Half the price is half the height, and a change falls where it happened."""
    points = tuple(point for point in sample.prices if point.at_s == 0)
    half = replace(points[0], at_s=sample.duration_s / 2, price_micros=48_000)
    page = Page(draw_timeline(replace(sample, prices=(*points, half), capacities=()), 1_100))
    home = next(
        element for element in page.having("price") if "zone-0" in element.attributes["class"]
    )
    x0, y0, middle, _, y1, end, _, rise_from, rise_to = numbers(home)
    ground = 280
    assert pytest.approx((x0 + end) / 2, abs=0.1) == middle
    assert pytest.approx((ground - y0) / 2, abs=0.1) == ground - y1
    assert (y0, y1) == (rise_from, rise_to)


def test_full_zone_is_dotted(sample: ReportData) -> None:
    full = CapacityPoint(at_s=1.0, zone=sample.zones[0].name, agents=0)
    free = replace(full, at_s=2.0, agents=4)
    page = Page(draw_timeline(replace(sample, capacities=(full, free)), 1_100))
    dotted = [element for element in page.having("full") if element.attributes["d"]]
    assert 1 == len(dotted)
    start, _, end = numbers(dotted[0])
    scale = (1_100 - 180 - 64) / sample.duration_s
    assert pytest.approx(scale * 1.0, abs=0.2) == end - start


@pytest.mark.parametrize("width", WIDTHS)
def test_risk_chart_shows_every_exception(sample: ReportData, width: int) -> None:
    page = Page(draw_risk(sample, width))
    assert sample.backtest.violations == len(page.having("exception"))
    assert len(sample.stays) == len(page.having("stay"))


@pytest.mark.parametrize("width", WIDTHS)
def test_risk_chart_has_one_bar_for_each_column_of_pixels(sample: ReportData, width: int) -> None:
    bars = numbers(Page(draw_risk(sample, width)).having("returns")[0])
    columns = bars[::3]
    assert sample.backtest.days > len(columns)
    assert {1.0} == {after - before for before, after in pairwise(columns)}
    assert len(columns) <= width


def test_worst_days_are_named(sample: ReportData) -> None:
    texts = Page(draw_risk(sample, 1_100)).texts
    named = [text for text in texts if re.fullmatch(r"\d{4}-\d\d-\d\d  −\d+\.\d%", text)]
    assert 2 <= len(named) <= 4
