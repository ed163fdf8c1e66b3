"""What a process takes up at its start is not looked through for garbage; what comes later is."""

import gc

import pytest

from sojourn.runtime.processes.garbage import kept_for_good


@pytest.fixture(autouse=True)
def _thawed() -> object:
    yield
    gc.unfreeze()
    gc.enable()


def is_tracked_young(thing: object) -> bool:
    """Tell whether the collector would look at a thing."""
    return any(each is thing for each in gc.get_objects())


def test_what_is_taken_up_in_the_block_is_passed_over_from_then_on() -> None:
    with kept_for_good():
        assert not gc.isenabled()
        taken: list[object] = [[]]
    later: list[object] = [[]]
    assert gc.isenabled()
    assert not is_tracked_young(taken)
    assert is_tracked_young(later)


def test_a_collector_that_was_off_stays_off_and_an_error_turns_it_on_again() -> None:
    with pytest.raises(ValueError, match="none"), kept_for_good():
        raise ValueError("none")
    assert gc.isenabled()
    gc.disable()
    with kept_for_good():
        pass
    assert not gc.isenabled()
