"""The checks of this folder find bugs: each of these is planted in a process of ours, and found."""

from pathlib import Path
from random import Random

import pytest

from sojourn.core.base.errors import SojournError
from tests.crash.killing import Enumerator, fail_once
from tests.crash.power import Verdicts, record
from tests.crash.test_failing_disk import cut_short
from tests.crash.zygote import Zygote

IMAGES = 200
KILLS = 40


@pytest.mark.parametrize(
    ("plant", "found_as"),
    [
        ("answer before sync", "counter fell"),
        ("synchronous normal", "log breaks off"),
        ("synchronous off", "damaged"),
        ("vote forgotten", "vote is forgotten"),
        ("share unsynced", "share is lost"),
        ("share unlinked", "share that was destroyed"),
    ],
)
def test_trap_5_power_cuts_find(zygote: Zygote, tmp_path: Path, plant: str, found_as: str) -> None:
    verdicts = Verdicts()
    verdicts.take(record(Enumerator(zygote, tmp_path, plants=[plant])), Random(5), IMAGES)
    assert any(found_as in verdict for verdict in verdicts.counts), verdicts.counts


@pytest.mark.parametrize("plant", ["answer before sync", "vote forgotten"])
def test_trap_5_kills_find(zygote: Zygote, tmp_path: Path, plant: str) -> None:
    enumerator = Enumerator(zygote, tmp_path, plants=[plant])
    with pytest.raises((AssertionError, SojournError), match=r"fell|two|back|Need|Nack"):
        kill_many(enumerator)


def kill_many(enumerator: Enumerator) -> None:
    """Kill at every eighth point, up to some."""
    for point in range(30, 30 + 8 * KILLS, 8):
        enumerator.killed(point)


def test_trap_6_a_failing_disk_finds_that_an_error_is_logged_and_answered(
    zygote: Zygote, tmp_path: Path
) -> None:
    enumerator = Enumerator(zygote, tmp_path, plants=["error logged"])
    with pytest.raises((AssertionError, SojournError)):
        assert cut_short(enumerator, fail_once, list(range(60, 120, 5))) >= 12
