"""An anchor killed at any change it makes to a file has lost nothing that it answered, and goes on."""

from collections.abc import Callable

import pytest

from tests.crash.killing import Enumerator, slice_of
from tests.crash.power import Recording
from tests.crash.shares import KEY

EXPECTED = {
    ("make", "pid"), ("write", "pid"), ("make", "store.sqlite-wal"), ("write", "store.sqlite-wal"),
    ("sync", "store.sqlite-wal"), ("write", "store.sqlite"), ("sync", "store.sqlite"), ("make", "store.sqlite-shm"),
    ("write", "store.mark"), ("unlink", "store.sqlite-wal"), ("unlink", "store.sqlite-shm"), ("sync", "store"),
    ("make", ".new"), ("write", ".new"), ("sync", ".new"), ("rename", ".new"), ("sync", "shares"),
    ("write", KEY.key.hex()), ("sync", KEY.key.hex()), ("unlink", KEY.key.hex()),
}  # fmt: skip


def check_killed(enumerator: Enumerator, points: list[int]) -> int:
    """Kill at points; return at how many."""
    deaths = [enumerator.killed(point) for point in points]
    for death in deaths:
        if death is not None:
            death.bury()
    return sum(death is not None for death in deaths)


def test_trap_5_an_anchor_killed_at_a_change_of_a_file_has_lost_no_answer(
    enumerator: Enumerator, recording: Recording
) -> None:
    changes = recording.changes
    assert {(change.kind, change.path.name) for change in changes} >= EXPECTED
    points = slice_of(changes, every=250)
    assert check_killed(enumerator, points) >= len(points) - 3  # the last ones are not always there


def test_an_anchor_killed_while_it_recovers_recovers_all_the_same(
    enumerator: Enumerator, recording: Recording
) -> None:
    changes = recording.changes
    copying = next(n for n, c in enumerate(changes, 1) if n > 60 and c.path.suffix == ".sqlite")
    death = enumerator.killed(copying + 2)
    assert death is not None
    assert enumerator.killed_again(death, every=5) >= 2


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_every_kill_point(
    enumerator: Enumerator, recording: Recording, tell: Callable[[str], None], part: int
) -> None:
    """A tenth of all points."""
    count = len(recording.changes)
    killed = check_killed(enumerator, list(range(1 + part, count + 1, 10)))
    tell(f"{killed} of {count} kill points")
    assert killed >= count // 10 - 5
