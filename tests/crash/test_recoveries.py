"""An anchor that is killed, or cut off from power, while it recovers from a kill, recovers all the same."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.crash.killing import Enumerator
from tests.crash.power import Recording
from tests.crash.recovering import Recoveries, Start, starts
from tests.crash.talk import Ended
from tests.crash.zygote import Zygote


def all_held(recoveries: Recoveries) -> None:
    """Check that nothing was lost on any disk that was opened; those that processes recovered from were judged."""
    for verdicts in (recoveries.opened, recoveries.cut_off):
        assert verdicts.counts.keys() == {"held"}, verdicts.first


def told(recoveries: Recoveries, disks: Sequence[Start]) -> str:
    """Say how much was done."""
    opened, cut_off = (each.counts.total() for each in (recoveries.opened, recoveries.cut_off))
    return (
        f"{len(disks)} disks after one kill: {len(recoveries.changes)} kinds recovered from, {recoveries.kills} "
        f"of them left by a kill during recovery; {opened} disks opened, and {cut_off} after a power cut during it"
    )


def test_trap_5_a_recovery_that_is_cut_short_loses_nothing(
    enumerator: Enumerator, recording: Recording, tell: Callable[[str], None]
) -> None:
    recoveries, disks = Recoveries(enumerator, recording), list(starts(recording))
    recoveries.follow(disks[100::400], every=6)
    tell(told(recoveries, disks))
    all_held(recoveries)
    assert recoveries.kills >= 2
    assert recoveries.cut_off.counts.total() >= 20


@pytest.mark.soak
def test_trap_5_every_point_of_every_recovery(
    enumerator: Enumerator, recording: Recording, tell: Callable[[str], None]
) -> None:
    recoveries, disks = Recoveries(enumerator, recording), list(starts(recording))
    recoveries.follow(disks)
    tell(told(recoveries, disks))
    all_held(recoveries)
    assert recoveries.kills >= len(disks)


def test_kills_find_a_log_that_is_written_anew(
    zygote: Zygote, recording: Recording, tmp_path: Path
) -> None:
    recoveries = Recoveries(Enumerator(zygote, tmp_path, plants=["log written anew"]), recording)
    with pytest.raises(Ended, match="damaged"):
        recoveries.follow(list(starts(recording))[300:301])


def test_trap_5_power_cuts_find_a_recovery_that_syncs_nothing(
    zygote: Zygote, recording: Recording, tmp_path: Path
) -> None:
    unsynced = Enumerator(zygote, tmp_path, plants=["start unsynced"])
    recoveries = Recoveries(unsynced, recording, cuts=8)
    recoveries.follow(list(starts(recording))[300::200], every=100)
    assert recoveries.opened.counts.keys() == {"held"}
    assert recoveries.cut_off.counts.keys() > {"held"}
