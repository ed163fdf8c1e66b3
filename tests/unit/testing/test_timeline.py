"""Virtual time, loops and threads: order, leaps, holding up, ending."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

import pytest

from sojourn.core.base.errors import Unreachable
from sojourn.runtime.processes import clock
from sojourn.testing.agents_loop import AgentsLoop
from sojourn.testing.life import Life, Machine, current
from sojourn.testing.timeline import NS_PER_MS, NS_PER_S, Timeline

HOUR_NS = 3600 * NS_PER_S


def complain(what: str, error: BaseException | None) -> None:
    if error is not None:  # else that a task was dropped, which these tests do at their end
        raise AssertionError(what) from error


def a_life(timeline: Timeline, name: str = "a/host/0", drift: float = 0.0) -> Life:
    return Life(Machine(name, timeline, "seed", drift), complain)


def on(life: Life, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    def begin() -> None:
        life.main = life.loop.create_task(work())

    life.post(begin)


def run(timeline: Timeline, seconds: float) -> None:
    timeline.run(lambda: False, timeline.now_ns + round(seconds * NS_PER_S))


def test_time_leaps_and_sleeps_are_as_long_as_they_say() -> None:
    timeline = Timeline(random.Random(1))
    life, woken = a_life(timeline), []

    async def sleep() -> None:
        began_s, began_ms = life.loop.time(), clock.boot_ms()
        await asyncio.sleep(1800)
        woken.append((round(life.loop.time() - began_s, 6), clock.boot_ms() - began_ms))

    began = time.monotonic()
    on(life, sleep)
    run(timeline, 3600)
    assert time.monotonic() - began < 10
    assert [(1800.0, 1_800_000)] == woken
    assert HOUR_NS == timeline.now_ns


@pytest.mark.parametrize("drift", [0.0, 1e-3, -1e-3, 0.5, -0.9])
def test_a_clock_that_drifts_makes_timers_that_are_never_early(drift: float) -> None:
    timeline = Timeline(random.Random(2))
    life = a_life(timeline, drift=drift)
    early = []

    async def sleep() -> None:
        chance = random.Random(3)
        for _ in range(200):
            due = life.loop.time() + chance.random()
            await asyncio.sleep(due - life.loop.time())
            early.extend([due] if life.loop.time() < due else [])

    on(life, sleep)
    run(timeline, 3600)
    assert early == []
    local_s = life.loop.time() * 1.0
    run(timeline, 100)
    assert abs((life.loop.time() - local_s) / 100 - (1 + drift)) < 1e-6


def test_the_order_within_a_process_is_asyncios_and_between_processes_the_seeds() -> None:
    def order(seed: int) -> list[str]:
        timeline = Timeline(random.Random(seed))
        said: list[str] = []

        def talk(name: str) -> Life:
            life = a_life(timeline, name)

            async def say(number: int) -> None:
                for _ in range(3):
                    said.append(f"{name}{number}")
                    await asyncio.sleep(0)

            async def talkers() -> None:
                await asyncio.gather(say(1), say(2))

            on(life, talkers)
            return life

        lives = [talk("x"), talk("y")]
        run(timeline, 1)
        assert len(lives) == 2
        return said

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(20)}) > 1
    for name in "xy":
        mine = [word for word in order(5) if word[0] == name]
        assert [f"{name}1", f"{name}2"] * 3 == mine


def test_a_process_that_stands_still_does_nothing_and_its_clock_goes_on() -> None:
    timeline = Timeline(random.Random(4))
    life = a_life(timeline)
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            await asyncio.sleep(1)
            ticks.append(timeline.now_ms)

    on(life, tick)
    run(timeline, 2.5)
    life.pause()
    run(timeline, 10)
    assert len(ticks) == 2
    life.resume()
    run(timeline, 0.1)
    assert len(ticks) == 3  # the one that was due long ago, late
    assert 12_500 <= ticks[2]


def test_what_has_ended_unwinds_and_does_nothing_more() -> None:
    timeline = Timeline(random.Random(5))
    life = a_life(timeline)
    unwound, after = [], []

    async def inner() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            unwound.append(current.get() is life and life.has_ended)
            await asyncio.sleep(1)
            after.append("slept in finally")

    async def outer() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(inner())
            group.create_task(asyncio.sleep(0.01))
            never = asyncio.get_running_loop().create_future()
            try:
                await never
            finally:
                asyncio.get_running_loop().call_soon(after.append, "called")
                asyncio.get_running_loop().create_task(inner())

    on(life, outer)
    run(timeline, 1)
    life.end()
    run(timeline, 2000)
    assert [True] == unwound
    assert after == []


def test_a_process_may_end_by_its_own_doing() -> None:
    timeline = Timeline(random.Random(6))
    life = a_life(timeline)
    after: list[str] = []

    async def end() -> None:
        life.end()
        after.append("the callback goes on to its next wait")
        await asyncio.sleep(0)
        after.append("and no further")

    on(life, end)
    run(timeline, 1)
    assert ["the callback goes on to its next wait"] == after


def test_something_that_spins_is_found() -> None:
    timeline = Timeline(random.Random(7))
    life = a_life(timeline)

    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    on(life, spin)
    with pytest.raises(RuntimeError, match="something spins"):
        run(timeline, 1)
    life.end()


# --- callbacks that wait -----------------------------------------------------------------------------


class Scene:
    """A process whose agents' loop waits for answers, and others that go on meanwhile."""

    def __init__(self, seed: int) -> None:
        self.timeline = Timeline(random.Random(seed))
        self.life = a_life(self.timeline)
        self.said: list[str] = []
        self.loop = AgentsLoop(self.timeline, self.life.machine.clock, complain)  # type: ignore[abstract]
        self.life.add_loop(self.loop)

    def ask(self, name: str, after_ms: int, then: Callable[[], None] = lambda: None) -> None:
        """Wait in a callback for an answer that comes after so many milliseconds."""

        def wait() -> None:
            self.said.append(f"{name} asks")
            future: Future[Any] = Future()
            self.timeline.after(after_ms * NS_PER_MS, future.set_result, name)
            try:
                answer = self.loop.wait_for(future)
            except Unreachable:
                self.said.append(f"{name} is unreachable")
            else:
                self.said.append(f"{answer} hears at {self.timeline.now_ms:.0f}")
            then()

        self.loop.call_soon(wait)


def test_a_callback_may_wait_while_everything_else_goes_on() -> None:
    scene = Scene(8)
    beats: list[float] = []

    async def beat() -> None:
        while True:
            beats.append(scene.timeline.now_ms)
            await asyncio.sleep(0.01)

    on(scene.life, beat)
    scene.ask("one", 95)
    scene.ask("two", 5)  # of the same loop: it comes when the first is done
    run(scene.timeline, 0.2)
    assert ["one asks", "one hears at 95", "two asks", "two hears at 100"] == scene.said
    assert 20 <= len(beats)
    scene.timeline.crew.close()


def test_an_answer_that_has_come_when_the_process_ends_is_nobodys() -> None:
    scene = Scene(8)
    scene.ask("one", 5)
    run(scene.timeline, 0.001)
    scene.timeline.at(5 * NS_PER_MS, scene.life.end)  # at once behind the answer, before its turn
    run(scene.timeline, 0.1)
    assert ["one asks", "one is unreachable"] == scene.said
    scene.timeline.crew.close()


def test_callbacks_of_several_processes_wait_at_the_same_time_and_again() -> None:
    timeline = Timeline(random.Random(9))
    scenes = [Scene(9) for _ in range(3)]
    for number, scene in enumerate(scenes):
        scene.timeline = timeline
        scene.loop._timeline = timeline
        scene.ask("first", 100 - 10 * number)
        scene.ask("second", 50)
    run(timeline, 1)
    for number, scene in enumerate(scenes):
        at_ms = 100 - 10 * number
        expected = [f"first hears at {at_ms}", "second asks", f"second hears at {at_ms + 50}"]
        assert ["first asks", *expected] == scene.said
    timeline.crew.close()


def test_what_waits_when_its_process_ends_is_unwound() -> None:
    scene = Scene(10)
    scene.ask("one", 500)
    run(scene.timeline, 0.1)
    scene.life.end()  # by the test, while time stands
    assert ["one asks", "one is unreachable"] == scene.said
    run(scene.timeline, 1)
    assert len(scene.said) == 2
    scene.timeline.crew.close()


def test_what_waits_may_be_ended_by_an_event_of_the_world() -> None:
    scene = Scene(11)
    scene.ask("one", 500)
    scene.timeline.after(100 * NS_PER_MS, scene.life.end)
    run(scene.timeline, 1)
    assert ["one asks", "one is unreachable"] == scene.said
    scene.timeline.crew.close()


def test_an_error_after_a_wait_reaches_the_test() -> None:
    scene = Scene(12)

    def fail() -> None:
        raise KeyboardInterrupt

    scene.ask("one", 50, then=fail)
    with pytest.raises(KeyboardInterrupt):
        run(scene.timeline, 1)
    scene.life.end()
    scene.timeline.crew.close()
