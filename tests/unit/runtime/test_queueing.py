"""Steps in queues of the host's: let in one by one, timed from then on, and given back whatever happens."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from sojourn import step
from sojourn.core.base.errors import Misused, Rejected
from sojourn.host.queues import Queues
from sojourn.runtime.agent_side.queueing import PlacesHeld
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.host_side.turnstile import Limit
from sojourn.runtime.ports import Mode
from sojourn.runtime.questions import Enter
from tests.unit.runtime import outside
from tests.unit.runtime.custody import FakeCustodian, Zone
from tests.unit.runtime.executing import Stage, on_stage


@pytest.fixture(autouse=True)
def a_new_world() -> Iterator[None]:
    outside.forget()
    yield
    outside.forget()


class Counted(Queues):
    """Queues that know how many were in one at most, and in all."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(lambda: {"gpu": limit})
        self.inside = self.most = self.entered = 0

    async def enter(self, agent: bytes, queue: str) -> Callable[[], None]:
        give_back = await super().enter(agent, queue)
        self.inside += 1
        self.entered += 1
        self.most = max(self.most, self.inside)

        def left() -> None:
            self.inside -= 1
            give_back()

        return left


MANY = """
    class Desk(Agent):
        @step(queue="gpu")
        async def look(self, number: int) -> int:
            await asyncio.sleep({pace_s})
            return number

        async def run(self, ctx) -> list:
            return await asyncio.gather(*(self.look(number) for number in range({count})))
"""


def many(count: int, queues: Queues, mode: Mode = "inside", pace_s: float = 0.0) -> None:
    async def act(stage: Stage) -> Ending | None:
        custodian = FakeCustodian(stage.zone, queues=queues)
        return await stage.execute_desk(
            MANY.format(count=count, pace_s=pace_s), custodian=custodian
        )

    ending = on_stage(act, mode=mode)
    assert ending.how is How.RETURNED, ending.text
    assert list(range(count)) == ending.result


@pytest.mark.parametrize("mode", ["inside", "process"])
def test_no_more_are_in_than_the_host_lets_in(mode: Mode) -> None:
    queues = Counted(Limit(at_once=2))
    many(5, queues, mode, pace_s=0.01)
    assert (2, 5, 0) == (queues.most, queues.entered, queues.inside)


def test_more_calls_than_questions_wait_in_the_agent() -> None:
    queues = Counted(Limit(at_once=7))
    many(300, queues)
    assert (7, 300, 0) == (queues.most, queues.entered, queues.inside)


LATE = """
    class Desk(Agent):
        @step(queue="gpu", timeout_s=0.1, attempts=1)
        async def look(self) -> str:
            return "looked"

        async def run(self, ctx) -> str:
            return await self.look()
"""


def test_the_time_of_an_attempt_begins_when_it_is_let() -> None:
    async def act(stage: Stage) -> Ending | None:
        queues = Queues(lambda: {"gpu": Limit(at_once=1)})
        give_back = await queues.enter(b"somebody else", "gpu")
        asyncio.get_running_loop().call_later(0.3, give_back)
        return await stage.execute_desk(LATE, custodian=FakeCustodian(stage.zone, queues=queues))

    ending = on_stage(act)
    assert (How.RETURNED, "looked") == (ending.how, ending.result), ending.text


HANGS = """
    import threading
    import time


    class Desk(Agent):
        @step(queue="gpu", timeout_s=0.05, attempts=2, backoff_s=0)
        def hang(self) -> None:
            outside.happen("hangs")
            self.gate.wait(20)
            outside.happen("ended")

        @step(queue="gpu")
        def look(self) -> None:
            outside.happen("looks")

        @step
        def let_go(self) -> None:
            time.sleep(0.2)
            outside.happen("lets go")
            self.gate.set()

        async def run(self, ctx) -> int:
            self.gate = threading.Event()
            try:
                await self.hang()
            except StepFailed as error:
                attempts = error.attempts
            await asyncio.gather(self.look(), self.let_go())
            return attempts
"""


def test_a_function_that_has_timed_out_keeps_its_place_until_it_has_ended() -> None:
    async def act(stage: Stage) -> Ending | None:
        queues = Queues(lambda: {"gpu": Limit(at_once=1)})
        return await stage.execute_desk(HANGS, custodian=FakeCustodian(stage.zone, queues=queues))

    ending = on_stage(act)
    assert (How.RETURNED, 2) == (ending.how, ending.result), ending.text
    assert ["hangs", "lets go", "ended", "looks"] == outside.effects


EFFECTS = """
    class Desk(Agent):
        @step(effect="idempotent", action="order.place", queue="gpu")
        async def place(self, number: int) -> int:
            outside.happen(self.effect_key)
            return number

        async def run(self, ctx) -> list:
            return await asyncio.gather(*(self.place(number) for number in range(3)))
"""


@pytest.mark.parametrize("crash_at", range(1, 14, 2))
def test_an_execution_that_is_over_has_given_all_places_back(crash_at: int) -> None:
    zone, queues = Zone(), Counted(Limit(at_once=1))

    async def act(stage: Stage) -> Ending | None:
        custodian = FakeCustodian(zone, crash_at=crash_at, queues=queues)
        await stage.execute_desk(EFFECTS, custodian=custodian)
        assert 0 == queues.inside
        return await stage.execute_desk(EFFECTS, custodian=FakeCustodian(zone, queues=queues))

    ending = on_stage(act, zone=zone)
    assert (How.RETURNED, [0, 1, 2]) == (ending.how, ending.result), ending.text
    assert 3 == len(set(outside.effects))
    assert (1, 0) == (queues.most, queues.inside)


def test_a_side_that_asks_twice_by_one_number_is_refused() -> None:
    async def act() -> None:
        queues = Counted(Limit(at_once=1))
        held = PlacesHeld(FakeCustodian(Zone(), queues=queues))
        await held.enter(Enter(ask=1, queue="gpu"))
        with pytest.raises(Rejected, match="question 1 has a place"):
            await held.enter(Enter(ask=1, queue="gpu"))
        waiting = asyncio.ensure_future(held.enter(Enter(ask=2, queue="gpu")))
        await asyncio.sleep(0)
        with pytest.raises(Rejected, match="question 2 has a place"):
            await held.enter(Enter(ask=2, queue="gpu"))
        held.leave(2)
        await asyncio.wait((waiting,))
        assert waiting.cancelled()
        held.leave(2)
        held.leave(1)
        held.leave(1)
        assert 0 == queues.inside
        await held.enter(Enter(ask=2, queue="gpu"))
        held.close()
        assert 0 == queues.inside

    asyncio.run(act())


def test_a_limit_that_is_lifted_lets_in_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sojourn.host.queues._LOOK_AGAIN_S", 0.01)

    async def act() -> None:
        limits = {"gpu": Limit(at_once=1)}
        queues = Queues(lambda: limits)
        await queues.enter(b"a", "gpu")
        waiting = asyncio.ensure_future(queues.enter(b"b", "gpu"))
        await asyncio.sleep(0.03)
        assert not waiting.done()
        limits.clear()
        await asyncio.wait_for(waiting, 5)

    asyncio.run(act())


@pytest.mark.parametrize("name", ["Gpu", "a b", "g" * 65, 3, None, ("gpu",)])
def test_a_queue_has_a_name_that_an_offer_can_have(name: object) -> None:
    with pytest.raises(Misused, match="a step is declared with queue="):
        step(queue=name)  # type: ignore[arg-type]
