"""Calls: correlation, turns, time-outs, and replies to nothing."""

import asyncio
import gc
from typing import Any

import pytest

from sojourn.core.base.errors import Failed, Unreachable
from sojourn.transports.calls import Calls
from sojourn.transports.frames import CORRELATION_MAX


def test_turns_are_taken_in_the_order_asked_for() -> None:
    taken: list[int] = []

    async def main() -> None:
        calls = Calls(1)
        await calls.take_turn()

        async def wait(number: int) -> None:
            await calls.take_turn()
            taken.append(number)
            calls.give_turn_back()

        waiting = [asyncio.create_task(wait(number)) for number in range(5)]
        await asyncio.sleep(0)
        calls.give_turn_back()
        await asyncio.gather(*waiting)
        assert list(range(5)) == taken

    asyncio.run(main())


def test_a_turn_handed_to_one_who_is_cancelled_is_not_lost() -> None:
    async def main() -> None:
        calls = Calls(1)
        await calls.take_turn()
        waiting = asyncio.create_task(calls.take_turn())
        await asyncio.sleep(0)
        calls.give_turn_back()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(calls.take_turn(), 1)

    asyncio.run(main())


def test_one_who_gives_up_waiting_is_passed_by() -> None:
    async def main() -> None:
        calls = Calls(1)
        await calls.take_turn()
        impatient = asyncio.create_task(calls.take_turn())
        patient = asyncio.create_task(calls.take_turn())
        await asyncio.sleep(0)
        impatient.cancel()
        calls.give_turn_back()
        await patient

    asyncio.run(main())


def test_failing_raises_for_all_also_for_one_cancelled_at_that_moment() -> None:
    async def main() -> None:
        calls = Calls(1)
        await calls.take_turn()
        _, answer = calls.open()
        cancelled, waiting = (asyncio.create_task(calls.take_turn()) for _ in range(2))
        await asyncio.sleep(0)
        calls.fail("gone")
        cancelled.cancel()
        for each in (answer, waiting):
            with pytest.raises(Unreachable, match="gone"):
                await each
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert not calls.awaited

    asyncio.run(main())


def test_failing_a_call_that_nobody_awaits_is_no_noise() -> None:
    unhandled: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: unhandled.append(context))
        calls = Calls(1)
        calls.open()
        calls.fail("gone")
        gc.collect()

    asyncio.run(main())
    assert [] == unhandled


def test_answers_go_to_their_calls_once() -> None:
    async def main() -> None:
        calls = Calls(2)
        (first, one), (second, two) = calls.open(), calls.open()
        assert {one, two} == calls.awaited
        assert calls.answer(second, b"two")
        assert calls.answer(first, Failed("one"))
        assert not calls.answer(first, b"again")
        assert await two == b"two"
        with pytest.raises(Failed, match="one"):
            await one

    asyncio.run(main())


def test_an_answer_that_nobody_waits_for_is_known_but_dropped() -> None:
    async def main() -> None:
        calls = Calls(1)
        await calls.take_turn()
        correlation, answer = calls.open()
        answer.cancel()
        assert not calls.awaited
        assert calls.answer(correlation, b"late")
        await asyncio.wait_for(calls.take_turn(), 1)

    asyncio.run(main())


def test_correlations_start_over_and_leave_out_those_in_use() -> None:
    async def main() -> None:
        calls = Calls(4)
        first, _ = calls.open()
        assert 1 == first
        calls._last = CORRELATION_MAX - 1
        last, _ = calls.open()
        after, _ = calls.open()
        assert (CORRELATION_MAX, 2) == (last, after)

    asyncio.run(main())
