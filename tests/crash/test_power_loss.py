"""Whatever a disk holds after a power cut, an anchor that starts from it has lost nothing that it answered."""

import os
from collections.abc import Callable
from random import Random

import pytest

from tests.crash.disk import MANNERS, Disk
from tests.crash.killing import Enumerator
from tests.crash.power import Recording, Verdicts, record
from tests.crash.watching import Change

QUICK, LONG = 400, 10_000


def test_trap_5_no_power_cut_takes_what_was_answered(recording: Recording) -> None:
    verdicts = Verdicts()
    verdicts.take(recording, Random(5), QUICK)
    assert verdicts.counts == {"held": QUICK}, verdicts.first


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(int(os.environ.get("CRASH_SEEDS", "10"))))
def test_trap_5_no_power_cut_of_many(
    enumerator: Enumerator, tell: Callable[[str], None], seed: int
) -> None:
    """Each seed is another run of the errand, and 10,000 images of it, no two of them the same."""
    verdicts = Verdicts()
    verdicts.take(record(enumerator), Random(seed), LONG)
    tell(f"seed {seed}: {verdicts.counts.total()} different images")
    assert verdicts.counts == {"held": LONG}, verdicts.first


# The model of a disk


def images(disk: Disk, count: int = 300) -> list[dict[str, bytes | None]]:
    random = Random(1)
    return [disk.image(random, MANNERS[number % len(MANNERS)]) for number in range(count)]


@pytest.fixture
def disk(enumerator: Enumerator) -> Disk:
    root = enumerator.folder / "disk"
    root.mkdir()
    (root / "old").write_bytes(b"old")
    return Disk(root)


def do(disk: Disk, kind: str, name: str, data: bytes = b"", *, at: int = 0, to: str = "") -> None:
    other = disk.root / to if to else None
    disk.do(Change(kind, disk.root / name, data, at, other))


def test_what_was_synced_is_there(disk: Disk) -> None:
    do(disk, "make", "new")
    do(disk, "write", "new", b"a" * 2000)
    do(disk, "sync", "new")
    do(disk, "sync", "")
    assert all(image == {"old": b"old", "new": b"a" * 2000} for image in images(disk))
    assert disk.unsynced == 0


def test_a_name_is_lost_though_its_file_was_synced(disk: Disk) -> None:
    do(disk, "make", "new")
    do(disk, "write", "new", b"a")
    do(disk, "sync", "new")
    assert {"new" in image for image in images(disk)} == {True, False}
    assert {image.get("new", b"a") for image in images(disk)} == {b"a"}


def test_sectors_are_torn_and_no_smaller_thing(disk: Disk) -> None:
    do(disk, "write", "old", b"b" * 2000, at=100)
    found = {bytes(image["old"] or b"") for image in images(disk)}
    assert len(found) > 4
    for data in found:
        pieces = [data[103:512], *(data[at : at + 512] for at in range(512, 2100, 512))]
        assert all(len(set(piece)) <= 1 for piece in pieces)


def test_a_rename_is_done_or_not(disk: Disk) -> None:
    do(disk, "make", "new")
    do(disk, "sync", "new")
    do(disk, "sync", "")
    do(disk, "rename", "new", to="old")
    assert {frozenset(image) for image in images(disk)} == {
        frozenset({"old"}),
        frozenset({"old", "new"}),
    }
    assert {image["old"] for image in images(disk) if "new" not in image} == {b""}


def test_a_later_write_may_come_before_an_earlier_one(disk: Disk) -> None:
    do(disk, "write", "old", b"first", at=512)
    do(disk, "write", "old", b"second", at=1024)
    found = [bytes(image["old"] or b"") for image in images(disk)]
    assert any(b"second" in data and b"first" not in data for data in found)
    assert any(b"first" in data and b"second" not in data for data in found)
