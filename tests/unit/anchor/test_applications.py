"""Applications for entry at one anchor: forgotten where room is short, and nothing else with them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sojourn.core.base.limits import APPLICATION_KEPT_MS
from sojourn.core.protocol import promises
from sojourn.core.protocol.messages import Arrive, Head
from sojourn.runtime.processes import clock
from tests.unit.anchor.standing_in import until
from tests.village import Village, village


def run(test: Callable[[Village], Awaitable[None]]) -> None:
    async def main() -> None:
        async with village("a", "b", n=1) as v:
            await test(v)

    asyncio.run(main())


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let no room be free; return what lets so much time pass that applications may be forgotten."""
    monkeypatch.setattr(promises, "_CROWDED", 0)
    now_ms = clock.boot_ms

    def pass_time() -> None:
        monkeypatch.setattr(clock, "boot_ms", lambda: now_ms() + APPLICATION_KEPT_MS)

    return pass_time


def test_trap_50_an_application_that_nothing_followed_is_forgotten_from_the_store(
    later: Callable[[], None],
) -> None:
    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        head = await v.launch(a)
        await v.visa(a, b, await v.application(a, b, head))
        anchor, agent = b.anchors[0], head.record.agent_id
        await anchor.forget_expired()
        assert anchor.shelf.dossier(agent).application is not None
        assert 1 == anchor.shelf.count()
        later()
        await anchor.forget_expired()
        assert anchor.shelf.dossier(agent).application is None
        assert 0 == anchor.shelf.count()
        await v.visa(a, b, await v.application(a, b, head))  # and it may apply again
        assert 1 == anchor.shelf.count()

    run(test)


def test_section_5_the_source_applies_again_where_its_application_was_forgotten(
    later: Callable[[], None],
) -> None:
    """Else nobody at the target could check the departure, and the agent would be parked for ever."""

    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        here = await v.move(b, a, await v.launch(b))
        ask = await v.application(a, b, here)
        visa = await v.visa(a, b, ask)
        later()
        anchor, agent = b.anchors[0], here.record.agent_id
        await anchor.forget_expired()
        assert anchor.shelf.dossier(agent).application is None
        await v.renew(a, here)
        gone = await v.decide(a, v.departure(a, b, here, visa), here)
        await until(lambda: anchor.shelf.dossier(agent).arrival is not None)
        assert ask.terms == anchor.shelf.dossier(agent).promised
        assert 2 == (await v.arrive(b, gone, visa, ask)).record.custody.term

    run(test)


def test_trap_21_the_high_term_outlives_a_forgotten_application(later: Callable[[], None]) -> None:
    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        here = await v.move(a, b, await v.launch(a))
        back = await v.move(b, a, here)
        await v.visa(a, b, await v.application(a, b, back))
        anchor, agent = b.anchors[0], back.record.agent_id
        before = anchor.shelf.dossier(agent)
        later()
        await anchor.forget_expired()
        await v.close(b, 0)
        await v.open(b)
        after = b.anchors[0].shelf.dossier(agent)
        assert (None, True) == (after.application, before.application is not None)
        assert (1, True) == (after.high_term, after.held)
        assert before.head == after.head

    run(test)


def test_what_has_arrived_is_not_forgotten(later: Callable[[], None]) -> None:
    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        gone, visa, ask = await v.depart(a, b, await v.launch(a))
        assert isinstance(await v.client(b).call(0, Arrive(departure=gone, visa=visa)), Head)
        later()
        await b.anchors[0].forget_expired()
        assert ask == b.anchors[0].shelf.dossier(gone.record.agent_id).application

    run(test)
