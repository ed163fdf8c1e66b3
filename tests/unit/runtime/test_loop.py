"""The loop of agents' code: nothing happens by itself, and everything in order."""

import asyncio

import pytest

from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side import loop as loop_module
from sojourn.runtime.agent_side.loop import new_loop


def test_nothing_runs_but_in_a_drive() -> None:
    loop = new_loop()
    seen: list[str] = []

    async def code() -> None:
        seen.append("begun")
        await future
        seen.append("ended")

    future = loop.create_future()
    task = loop.create_task(code())
    assert seen == []
    loop.drive()
    assert seen == ["begun"]
    future.set_result(None)
    assert seen == ["begun"]
    loop.drive()
    assert seen == ["begun", "ended"]
    assert task.done()


def test_it_can_be_driven_from_another_loop() -> None:
    async def outer() -> str:
        loop = new_loop()

        async def code() -> bool:
            await asyncio.sleep(0)
            return asyncio.get_running_loop() is loop

        task = loop.create_task(code())
        real = asyncio.get_running_loop()
        real.call_soon(loop.drive)
        await asyncio.sleep(0)
        assert asyncio.get_running_loop() is real
        return str(task.result())

    assert asyncio.run(outer()) == "True"


def test_asyncio_works_on_it() -> None:
    loop = new_loop()

    async def code() -> list[int]:
        queue: asyncio.Queue[int] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(queue.put(number))
        lock, event = asyncio.Lock(), asyncio.Event()
        async with lock:
            event.set()
        await event.wait()
        return [*await asyncio.gather(queue.get(), queue.get()), await queue.get()]

    task = loop.create_task(code())
    loop.drive()
    assert task.result() == [0, 1, 2]


def test_an_async_generator_that_is_left_is_closed_in_the_same_drive() -> None:
    loop = new_loop()
    closed: list[str] = []

    async def numbers() -> object:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append("closed")

    async def code() -> None:
        async for _ in numbers():
            break

    loop.create_task(code())
    loop.drive()
    assert closed == ["closed"]


@pytest.mark.parametrize("name", ["call_later", "time", "run_in_executor", "create_connection"])
def test_what_a_replay_could_not_repeat_is_refused(name: str) -> None:
    with pytest.raises(Misused, match=f"run asked its event loop for {name}"):
        getattr(new_loop(), name)()


def test_code_that_never_rests_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "CALLBACKS_MAX", 100)
    loop = new_loop()

    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    task = loop.create_task(spin())
    with pytest.raises(Misused, match="did not come to rest after 100 callbacks"):
        loop.drive()
    assert loop.cancel_all()
    loop.drive()
    assert task.cancelled()
    assert not loop.cancel_all()
