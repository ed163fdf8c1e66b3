"""What an anchor asks of the others when it was away, and what it takes from those that lie."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.protocol.applying import is_behind
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import AskPast, Past
from tests.unit.anchor.standing_in import stand_in, until
from tests.village import House, Village, village

LATE = 3


def run(test: Callable[[Village], Awaitable[None]], *names: str) -> None:
    async def main() -> None:
        async with village(*names) as v:
            await test(v)

    asyncio.run(asyncio.wait_for(main(), 30))


async def shown_a_step(v: Village, house: House, head: Certified) -> Certified:
    """Start the late anchor, and let it hear of the agent by a step."""
    await v.open(house, [LATE])
    v.introduce()
    await until(lambda: _all_answer(v, house, head))
    done = await v.step(house, head)
    await until(lambda: house.anchors[LATE].shelf.dossier(head.record.agent_id).head == done)
    return done


async def _all_answer(v: Village, house: House, head: Certified) -> bool:
    return len(await v.renew(house, head)) == len(house.anchors)


def is_caught_up(house: House, agent: bytes) -> bool:
    """Tell whether the late anchor knows what the first one does."""
    late, first = (house.anchors[index].shelf for index in (LATE, 0))
    return not is_behind(late.dossier(agent)) and late.chapters(agent) == first.chapters(agent)


def test_section_3_an_anchor_that_never_heard_of_an_agent_learns_how_it_came_to_be() -> None:
    """It has nothing of it, not even the documents whose officers sealed its genesis."""

    async def test(v: Village) -> None:
        a = v.houses["a"]
        await v.close(a, LATE)
        head = await shown_a_step(v, a, await v.launch(a))
        agent, documents = head.record.agent_id, head.record.governance.documents
        assert is_behind(a.anchors[LATE].shelf.dossier(agent))
        await until(lambda: is_caught_up(a, agent))
        assert [] == a.anchors[LATE].shelf.lacking(documents)

    run(test, "a")


LIES: dict[str, Callable[[Past], Any]] = {
    "nothing": lambda _told: Past(chapters=()),
    "the end of the chain": lambda told: replace(told, chapters=told.chapters[1:]),
    "the chain upside down": lambda told: replace(told, chapters=told.chapters[::-1]),
    "no officers' seals": lambda told: replace(
        told, chapters=(replace(told.chapters[0], warrant=None), *told.chapters[1:])
    ),
    "what is no reply": lambda _told: b"\xff",
}


@pytest.mark.parametrize("lie", LIES)
def test_section_3_one_anchor_that_lies_about_the_past_keeps_nobody_from_the_truth(
    lie: str,
) -> None:
    async def test(v: Village) -> None:
        a, b = v.houses.values()
        head = await v.launch(a)
        await v.close(b, LATE)
        head = await v.move(a, b, head)

        async def answer(_request: Any, honest: Any) -> Any:
            return LIES[lie](honest) if isinstance(honest, Past) else honest

        await stand_in(v, b, 0, answer)
        head = await shown_a_step(v, b, head)
        await until(lambda: is_caught_up(b, head.record.agent_id))

    run(test, "a", "b")


def test_an_anchor_that_missed_nothing_asks_nobody_for_the_past() -> None:
    asked: list[AskPast] = []

    async def note(request: Any, honest: Any) -> Any:
        asked.extend([request] if isinstance(request, AskPast) else [])
        return honest

    async def test(v: Village) -> None:
        a, b = v.houses.values()
        await stand_in(v, b, 0, note)
        head = await v.move(a, b, await v.launch(a))
        head = await v.step(b, head)
        await until(
            lambda: all(
                anchor.shelf.dossier(head.record.agent_id).head for anchor in b.anchors.values()
            )
        )
        assert not any(anchor._caretaker._catching_up._agents for anchor in b.anchors.values())
        assert [] == asked

    run(test, "a", "b")


def test_an_anchor_that_starts_takes_up_what_it_had_not_caught_up_with() -> None:
    async def test(v: Village) -> None:
        a = v.houses["a"]
        await v.close(a, LATE)
        agent = (await shown_a_step(v, a, await v.launch(a))).record.agent_id
        await v.close(a, LATE)
        await v.open(a, [LATE])
        await until(lambda: is_caught_up(a, agent))

    run(test, "a")
