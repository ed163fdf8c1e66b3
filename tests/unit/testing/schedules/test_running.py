"""Running many seeds in one process: nothing of one schedule is left for the next."""

import gc

from sojourn.testing.schedules.running import run_seeds


def test_a_schedule_leaves_no_garbage_behind() -> None:
    """Found in a long run: what was still named when garbage was looked for was never looked for again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        run_seeds("besieged", range(20))
        before = len(gc.get_objects())
        run_seeds("besieged", range(20, 40))
        assert len(gc.get_objects()) - before < 5_000, "each that stays is some 700 objects"
    finally:
        if was_enabled:
            gc.enable()
