"""Bugs in calls, and in letters that are cancelled (protocol §10.26, §10.39): each is noticed by one test."""

from collections.abc import Iterable
from typing import Any, Final

from sojourn.anchor import mail
from sojourn.core.protocol.calling import Queued
from sojourn.runtime.agent_side.handling import Handling
from sojourn.runtime.agent_side.operations import Operation
from sojourn.runtime.agent_side.sending import SendLetter
from tests.planted.plant import Plant, Planting, in_place_of
from tests.planted.vehicles import Test

__all__ = ["PLANTS"]


def plant(name: str, fault: str, node: str, planted: Planting) -> Plant:
    """Return a plant that one test notices."""
    return Plant(name, 0, fault, Test(f"tests/unit/testing/{node}"), "fails", planted)


async def _waits_for_nothing(handling: Handling, what: str, *, within: bool = False) -> None:
    """Let a restart point come whatever runs."""


def _any_message(waiting: Iterable[Queued]) -> bool:
    return any(True for _ in waiting)


def _behind_nothing(letter: SendLetter, carried: Operation) -> bool:
    return False


def _is_always_ready(handling: Any) -> bool:
    return bool(handling._has_methods)


PLANTS: Final = (
    plant(
        "call-across-a-restart-point",
        "a restart point comes while a method runs that a message has called",
        "test_handlers.py::test_section_10_39_no_restart_point_comes_while_a_method_runs",
        in_place_of(Handling, "still", _waits_for_nothing),
    ),
    plant(
        "call-disturbs",
        "a call is handled while the code is not to be disturbed",
        "test_handlers.py::test_section_10_39_what_runs_undisturbed_is_not_changed_in_between",
        in_place_of(Handling, "is_ready", property(_is_always_ready)),
    ),
    plant(
        "sleeper-woken-by-anything",
        "an agent that waits for calls is woken by a message that it does not take",
        "test_handled_anywhere.py"
        "::test_section_10_39_a_sleeper_is_woken_by_a_call_alone_and_lies_down_until_the_same_time",
        in_place_of(mail, "has_call", _any_message),
    ),
    plant(
        "letter-passed",
        "a letter is sent while one to the same agent is carried through that was cancelled",
        "test_cancelled_letters.py"
        "::test_a_cancelled_letter_that_cannot_be_delivered_yet_is_passed_by_none[711]",
        in_place_of(SendLetter, "is_behind", _behind_nothing),
    ),
)
