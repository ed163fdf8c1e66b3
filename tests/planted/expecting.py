"""Bugs in what agents wait for (protocol §10): people, time, queues, and effects that nobody waits for any more."""

from typing import Any, Final

from sojourn.core.agent import inquiries as answers
from sojourn.core.agent.inquiries import SignedAnswer
from sojourn.host import inquiries
from sojourn.runtime.agent_side.calls import Calls
from sojourn.runtime.agent_side.operations import Operation, WaitForTime
from sojourn.runtime.host_side.turnstile import Limit, Turnstile
from sojourn.runtime.questions import Rest
from tests.planted.plant import Plant, Planting, in_place_of, instead, nothing
from tests.planted.vehicles import Test

__all__ = ["PLANTS"]

EARLY_MS: Final = 5_000


def plant(name: str, fault: str, node: str, planted: Planting) -> Plant:
    """Return a plant that one test notices."""
    return Plant(name, 0, fault, Test(f"tests/unit/{node}"), "fails", planted)


def _forgets(calls: Calls, operation: Operation) -> None:
    """Give a call up whatever it may have done by now."""
    calls.close(operation)
    operation.abandon()


def _makes_no_carried(calls: Calls) -> None:
    """Begin again what the code waits for alone."""
    calls._made = list(calls._open.values())


def _too_early(right: Any) -> Any:
    def made(operation: WaitForTime, session: Any, call: int, until_ms: int) -> None:
        right(operation, session, call, until_ms - EARLY_MS)

    return made


def _without_time(right: Any) -> Any:
    """Lie down for what people and messages bring, and leave the time out."""
    return lambda operations, now_ms, *, calls: Rest(until_ms=None, listening=True, calls=calls)


def _one_more(turnstile: Turnstile, limit: Limit) -> bool:
    return limit.at_once is None or len(turnstile._inside) <= limit.at_once


def _stays_in(turnstile: Turnstile, agent: bytes, ticket: int) -> None:
    waiting = turnstile._waiting.get(agent, ())
    if ticket in waiting:
        turnstile._waiting[agent].remove(ticket)
        if not turnstile._waiting[agent]:
            del turnstile._waiting[agent]


def _all_that_was_said(said: Any) -> tuple[SignedAnswer, ...]:
    """Take what one person says twice for what two say."""
    return tuple(sorted(said, key=lambda each: each.sent_ms))


PLANTS: Final = (
    plant(
        "given-up-effect-forgotten",
        "a call that is cancelled after its intent was asked for is forgotten",
        "testing/test_cancelled.py"
        "::test_protocol_10_23_an_effect_that_is_given_up_is_carried_through",
        in_place_of(Calls, "let_go", _forgets),
    ),
    plant(
        "carried-through-by-no-next-host",
        "what was given up is not carried through by the host that takes over",
        "testing/test_cancelled.py::test_protocol_10_23_so_it_is_wherever_the_host_dies",
        in_place_of(Calls, "make_again", _makes_no_carried),
    ),
    plant(
        "timer-early",
        "an agent is woken five seconds before its time",
        "testing/test_timers.py"
        "::test_section_10_27_a_sleeper_whose_clock_is_set_wakes_late_at_worst_and_once",
        instead(WaitForTime, "__init__", _too_early),
    ),
    plant(
        "timer-lost",
        "an agent that lies down does not say when it wakes",
        "testing/test_timers.py::test_a_shift_with_nothing_wrong",
        instead(Calls, "rest", _without_time),
    ),
    plant(
        "queue-lets-one-more-in",
        "a queue is full only when one more than its limit is in",
        "runtime/test_turnstile.py::test_any_order_of_coming_and_leaving_keeps_the_limits",
        in_place_of(Turnstile, "_has_room", _one_more),
    ),
    plant(
        "place-never-given-back",
        "who leaves a queue that it was in keeps its place",
        "runtime/test_turnstile.py::test_any_order_of_coming_and_leaving_keeps_the_limits",
        in_place_of(Turnstile, "leave", _stays_in),
    ),
    plant(
        "answer-by-anybody",
        "who answered is not held against who was asked",
        "testing/test_inquiries.py"
        "::test_section_10_what_does_not_fit_or_comes_from_a_stranger_is_passed_over",
        in_place_of(inquiries, "check_may_say", nothing),
    ),
    plant(
        "answer-counted-twice",
        "what one person says twice is taken for what two people say",
        "testing/test_inquiries.py::test_section_10_as_many_as_a_group_needs_say_the_same",
        in_place_of(answers, "newest", _all_that_was_said),
    ),
)
