"""A disk that fails or is full: the anchor ends with one line that says so, and has answered nothing that is lost."""

from collections.abc import Callable

import pytest

from tests.crash.killing import Enumerator, fail_once, full_from, slice_of
from tests.crash.power import Recording
from tests.crash.talk import Ended, Judge

STORE_FAILED = 74


def ended_clearly(ended: Ended) -> None:
    """Check that a process ended by itself and said in one line why, and what to do."""
    assert ended.code in (1, 2, STORE_FAILED), ended
    assert ended.said.startswith("sojourn: "), ended
    assert any(word in ended.said for word in ("disk", "store", "No space", "Input/output")), ended


def cut_short(enumerator: Enumerator, judge: Callable[[int], Judge], points: list[int]) -> int:
    """Let the disk fail at points, one run for each; return how many runs it ended."""
    deaths = [enumerator.cut_short(judge(point), ended_clearly) for point in points]
    for death in deaths:
        if death is not None:
            death.bury()
    return sum(death is not None for death in deaths)


@pytest.mark.parametrize("judge", [fail_once, full_from])
def test_trap_6_a_change_that_fails_ends_the_anchor_and_loses_no_answer(
    enumerator: Enumerator, recording: Recording, judge: Callable[[int], Judge]
) -> None:
    points = slice_of(recording.changes, every=300)[::2]
    assert cut_short(enumerator, judge, points) >= len(points) // 2


@pytest.mark.soak
@pytest.mark.parametrize("judge", [fail_once, full_from])
@pytest.mark.parametrize("part", range(5))
def test_trap_6_every_change_that_fails(
    enumerator: Enumerator,
    recording: Recording,
    tell: Callable[[str], None],
    judge: Callable[[int], Judge],
    part: int,
) -> None:
    count = len(recording.changes)
    points = list(range(1 + part, count + 1, 5))
    ended = cut_short(enumerator, judge, points)
    tell(f"{len(points)} changes failed, {ended} of them ended the process")
    assert ended >= len(points) // 2
