"""Schedules: the default one, and every way of writing one wrong."""

from pathlib import Path

import pytest

from sojourn.core.base.errors import Misused
from sojourn.demo.schedule import (
    FILE_SIZE_MAX,
    CapacityChange,
    Kill,
    PriceChange,
    default_schedule,
    load_schedule,
    parse_schedule,
    split_due,
)
from tests.unit.demo.sample_run import SampleRun

ZONES = """\
title = "Two zones"
home = "here"

[[zone]]
name = "here"
provider = "aws"
region = "eu-west-1"

[[zone]]
name = "there"
provider = "on-premises"
region = "cellar"
anchors = 1

[zone.site]
location = "Lyon"
country = "France"
country_code = "FR"
latitude = 45.76
longitude = 4.84
cost_usd_hour = 0.2
assumption = "a cellar"
"""


def changed(lines: str) -> str:
    return f"{ZONES}\n[[change]]\n{lines}\n"


def test_default_schedule_has_three_zones_inside_and_one_out() -> None:
    schedule = default_schedule()
    assert [True, True, True, False] == [
        "EU" in plan.place.jurisdictions for plan in schedule.zones
    ]
    assert {(4, 2)} == {(plan.anchors, plan.hosts) for plan in schedule.zones}
    assert all(plan.place.price is not None for plan in schedule.zones)
    assert "recorded schedule" in schedule.note


def test_default_schedule_kills_an_anchor_and_a_running_host() -> None:
    events = [event for change in default_schedule().changes for event in change.events]
    assert [Kill(anchor=2), Kill(anchor=None)] == [
        event for event in events if isinstance(event, Kill)
    ]


@pytest.mark.parametrize("windows", [202, 260])
def test_agent_that_follows_the_price_moves_at_least_three_times(windows: int) -> None:
    run = SampleRun(default_schedule(), windows)
    run.play()
    assert len(run.migrations) >= 3
    assert {"aws-us-east-1"} == {plan.name for plan in run.schedule.zones} - {
        stay.zone for stay in run.stays
    }


def test_zone_outside_the_union_is_cheapest_at_every_moment() -> None:
    run = SampleRun(default_schedule(), 0)
    for change in (None, *run.schedule.changes):
        for event in change.events if change else ():
            run._apply(event, "", 0)
        assert "aws-us-east-1" == min(run.prices, key=lambda zone: run.prices[zone] or 0)


def test_site_of_ones_own_is_marked_as_assumed() -> None:
    here, there = parse_schedule(ZONES, name="zones.toml").zones
    assert ("", "a cellar") == (here.assumption, there.assumption)
    assert ("EEA", "EU", "FR") == there.place.jurisdictions
    assert there.place.price is not None
    assert 200_000 == there.place.price.price_micros
    assert "assumption: a cellar" == there.place.position_source


def test_factor_multiplies_the_real_list_price() -> None:
    text = changed('after_windows = 3\nzone = "here"\nprice_factor = 0.5\ncapacity = 0\nwhy = "x"')
    (change,) = parse_schedule(text, name="s").changes
    assert (3, None, "x") == (change.after_windows, change.at_seconds, change.why)
    assert (
        PriceChange(zone="here", price_micros=48_000),
        CapacityChange(zone="here", agents=0),
    ) == change.events


def test_changes_are_sorted_by_progress_then_time() -> None:
    capacity = 'zone = "here"\ncapacity = 1'
    whens = ("at_seconds = 9.5", "after_windows = 7", "at_seconds = 2", "after_windows = 3")
    text = ZONES + "".join(f"\n[[change]]\n{when}\n{capacity}\n" for when in whens)
    assert [(3, None), (7, None), (None, 2.0), (None, 9.5)] == [
        (change.after_windows, change.at_seconds)
        for change in parse_schedule(text, name="s").changes
    ]


def test_split_due_by_progress_and_by_time() -> None:
    capacity = 'zone = "here"\ncapacity = 1'
    text = ZONES + "".join(
        f"\n[[change]]\n{when}\n{capacity}\n" for when in ("after_windows = 3", "at_seconds = 5")
    )
    first, second = changes = parse_schedule(text, name="s").changes
    assert ((), changes) == split_due(changes, windows_done=2, seconds=4.9)
    assert ((first,), (second,)) == split_due(changes, windows_done=3, seconds=4.9)
    assert ((second,), (first,)) == split_due(changes, windows_done=2, seconds=5.0)
    assert (changes, ()) == split_due(changes, windows_done=9, seconds=9.0)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('zone = "here"\ncapacity = 1', "either after_windows or at_seconds"),
        ('after_windows = 1\nat_seconds = 1\nzone = "here"\ncapacity = 1', "either after_windows"),
        ('after_windows = -1\nzone = "here"\ncapacity = 1', ">= 0 (at after_windows)"),
        ("after_windows = 1\ncapacity = 1", "names no zone, no kill"),
        ('after_windows = 1\nzone = "mars"\ncapacity = 1', "no zone named 'mars'"),
        ('after_windows = 1\nzone = "here"', "neither price nor capacity"),
        ('after_windows = 1\nzone = "here"\nprice_factor = 0', "(at price_factor)"),
        ('after_windows = 1\nzone = "here"\nprice = 1', "unknown field `price`"),
        ('after_windows = 1\nzone = "here"\ncapacity = "all"', "(at capacity)"),
        ('after_windows = 1\nzone = "here"\nprice_factor = 1\nprice_usd_hour = 1', "either price"),
        ('after_windows = 1\nzone = "here"\ncapacity = 1\nanchor = 1', "anchor goes with kill"),
        ('after_windows = 1\nkill = "anchor"', "names which anchor"),
        ('after_windows = 1\nkill = "host"\nanchor = 1', "names which anchor"),
        ('after_windows = 1\nkill = "anchor"\nanchor = 1', "only anchors 0 to 0"),
        (
            'after_windows = 1\nkill = "anchor"\nanchor = 0\nzone = "here"',
            "strikes where the agent",
        ),
        ('after_windows = 1\nkill = "zone"', "(at kill)"),
    ],
)
def test_wrong_change_is_named_with_its_line(lines: str, problem: str) -> None:
    with pytest.raises(Misused) as caught:
        parse_schedule(changed(lines), name="mine.toml")
    assert "the schedule mine.toml, change 1 (line 24): " in caught.value.problem
    assert problem in caught.value.problem
    assert "schedule.py" in caught.value.remedy


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ('title = "Two zones"\n', "", "missing required field `title`"),
        ('home = "here"', 'home = "mars"', "home is 'mars'"),
        ('name = "there"', 'name = "here"', "zone 2 (line 9): a second zone named 'here'"),
        ('name = "here"', 'name = "Here!"', "zone 1 (line 4): "),
        (
            'region = "eu-west-1"',
            'region = "eu-west-9"',
            "zone 1 (line 4): the provider aws has no",
        ),
        ('provider = "aws"', 'provider = "hetzner"', "has no provider 'hetzner'"),
        ("anchors = 1", "anchors = 3", "zone 2 (line 9): 3 anchors: take 3f+1"),
        ("latitude = 45.76", "latitude = 95", "zone 2 (line 9): "),
        ('country_code = "FR"\n', "", "missing required field `country_code` (at site)"),
        ("latitude = 45.76", "latitude = ", "it is not TOML: Invalid value (at line 19"),
        ("anchors = 1", "ancors = 1", "unknown field `ancors`"),
    ],
)
def test_wrong_zone_is_named_with_its_line(before: str, after: str, problem: str) -> None:
    assert 1 == ZONES.count(before)
    with pytest.raises(Misused) as caught:
        parse_schedule(ZONES.replace(before, after), name="mine.toml")
    assert problem in caught.value.problem


def test_price_factor_needs_a_known_price() -> None:
    text = ZONES.replace('"eu-west-1"', '"eu-south-1"')
    change = '\n[[change]]\nafter_windows = 1\nzone = "here"\n'
    with pytest.raises(Misused, match="no known list price"):
        parse_schedule(f"{text}{change}price_factor = 0.5\n", name="s")
    (priced,) = parse_schedule(f"{text}{change}price_usd_hour = 0.05\n", name="s").changes
    assert (PriceChange(zone="here", price_micros=50_000),) == priced.events


def test_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(ZONES, encoding="utf-8")
    assert "here" == load_schedule(path).zone("here").name
    with pytest.raises(KeyError):
        load_schedule(path).zone("mars")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot read the schedule"),
        (b"title = '\xff'", "is not text in UTF-8 (byte 9)"),
        (b"#" * (FILE_SIZE_MAX + 1), "more than 1,000,000 bytes"),
        (b"", "missing required field"),
    ],
)
def test_file_that_is_no_schedule(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Misused) as caught:
        load_schedule(path)
    assert problem in caught.value.problem
