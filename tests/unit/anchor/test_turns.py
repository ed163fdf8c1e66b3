"""Turns: one at a time for each agent, in order, and nothing is kept of those who are gone."""

import asyncio

import pytest

from sojourn.anchor.turns import Turns


def test_those_who_wait_for_one_agent_come_one_after_the_other_in_order() -> None:
    order: list[str] = []

    async def run() -> None:
        turns = Turns()

        async def take(agent: bytes, name: str) -> None:
            async with turns.of(agent):
                order.append(f"{name} begins")
                await asyncio.sleep(0)
                order.append(f"{name} ends")

        await asyncio.gather(take(b"a", "1"), take(b"a", "2"), take(b"b", "3"))
        assert 0 == len(turns)

    asyncio.run(run())
    assert ["1 begins", "3 begins", "1 ends", "3 ends", "2 begins", "2 ends"] == order


def test_nothing_is_kept_after_an_error_or_a_cancellation() -> None:
    async def run() -> None:
        turns = Turns()
        with pytest.raises(ValueError, match="planted"):
            async with turns.of(b"a"):
                raise ValueError("planted")
        async with turns.of(b"a"):

            async def wait() -> None:
                async with turns.of(b"a"):
                    raise AssertionError

            waiting = asyncio.create_task(wait())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert 1 == len(turns)
        assert 0 == len(turns)

    asyncio.run(run())
