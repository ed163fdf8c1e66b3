"""Protocol §10: A forwards later arrivals. A message follows its agent, wherever it was left."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.anchor import forwarding
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import Messages, PutMessage
from sojourn.core.protocol.messages import Applied, Head
from tests.unit.anchor.letters import letter
from tests.unit.anchor.standing_in import stand_in, until
from tests.village import House, Village, village


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "_PAUSE_S", 0.05)


def run(test: Callable[[Village], Awaitable[None]], *names: str) -> None:
    async def main() -> None:
        async with village(*names) as v:
            await test(v)

    asyncio.run(asyncio.wait_for(main(), 30))


async def put(v: Village, house: House, agent: bytes, number: int) -> list[Any]:
    """Send a message to all anchors of a zone; return what they say."""
    message = PutMessage(message=letter(agent, number))
    return list((await v.client(house).ask_all(message, object)).values())


def waiting(house: House, agent: bytes) -> list[list[int]]:
    """Return the messages that wait at each anchor, by number."""
    return [
        [message.message.sent_ms for message in anchor.mail.read(agent)]
        for anchor in house.anchors.values()
    ]


async def departed(v: Village, a: House, b: House) -> tuple[Certified, Any, Any]:
    return await v.depart(a, b, await v.launch(a))


def test_section_10_messages_from_before_and_during_a_move_follow_the_agent() -> None:
    async def test(v: Village) -> None:
        a, b = v.houses.values()
        head = await v.launch(a)
        agent = head.record.agent_id
        assert [Applied()] * 4 == await put(v, a, agent, 1)
        gone, visa, ask = await v.depart(a, b, head)
        assert [Applied()] * 4 == await put(v, a, agent, 2)  # where it goes is not certain yet
        await v.arrive(b, gone, visa, ask)
        await until(lambda: waiting(b, agent) == [[1, 2]] * 4)
        await until(lambda: waiting(a, agent) == [[]] * 4)

    run(test, "a", "b")


def test_section_10_who_sends_to_where_an_agent_was_is_told_where_it_went() -> None:
    async def test(v: Village) -> None:
        a, b = v.houses.values()
        done = await v.move(a, b, await v.launch(a))
        agent = done.record.agent_id
        await until(lambda: all(x.shelf.dossier(agent).onward for x in a.anchors.values()))
        for reply in await put(v, a, agent, 1):
            assert isinstance(reply, Head)
            assert done == reply.onward
        assert [[]] * 4 == waiting(a, agent)

    run(test, "a", "b")


def test_section_10_a_message_follows_an_agent_that_has_gone_further() -> None:
    async def test(v: Village) -> None:
        a, b, c = v.houses.values()
        gone, visa, ask = await departed(v, a, b)
        agent = gone.record.agent_id
        for anchor in a.anchors.values():
            anchor._caretaker._pressed[agent] = 2  # they hear of the admission later
        head = await v.arrive(b, gone, visa, ask)
        done = await v.move(b, c, head)
        await until(lambda: all(x.shelf.dossier(agent).onward == done for x in b.anchors.values()))
        late = [x for x in a.anchors.values() if x.shelf.dossier(agent).onward is None]
        for anchor in late or a.anchors.values():
            await anchor.mail.keep(letter(agent, 1))
            await anchor.note_onward(agent, head)
        await until(lambda: waiting(c, agent) == [[1]] * 4)
        await until(lambda: waiting(a, agent) == [[]] * 4)

    run(test, "a", "b", "c")


def test_a_message_is_dropped_only_when_a_quorum_over_there_keeps_it() -> None:
    async def test(v: Village) -> None:
        a, b = v.houses.values()
        done = await v.move(a, b, await v.launch(a))
        agent = done.record.agent_id
        anchor = a.anchors[0]
        await until(lambda: anchor.shelf.dossier(agent).onward is not None)
        refused: list[int] = []
        is_full = True

        async def decline(request: Any, honest: Any) -> Any:
            if isinstance(request, PutMessage) and is_full:
                refused.append(1)
                return Messages(messages=())
            return honest

        await stand_in(v, b, 0, decline)
        await stand_in(v, b, 1, decline)
        await anchor.mail.keep(letter(agent, 1))
        anchor.announce_mail(agent)
        await until(lambda: len(refused) >= 2)
        assert anchor.mail.waits_for(agent)
        is_full = False
        await until(lambda: not anchor.mail.waits_for(agent))

    run(test, "a", "b")


def test_what_waited_when_an_anchor_stopped_is_forwarded_when_it_starts() -> None:
    async def test(v: Village) -> None:
        a, b = v.houses.values()
        done = await v.move(a, b, await v.launch(a))
        agent = done.record.agent_id
        await until(lambda: a.anchors[2].shelf.dossier(agent).onward is not None)
        await a.anchors[2].mail.keep(letter(agent, 1))
        await v.close(a, 2)
        assert [[]] * 4 == waiting(b, agent)
        await v.open(a, [2])
        await until(lambda: waiting(b, agent) == [[1]] * 4)

    run(test, "a", "b")


def test_a_lie_about_where_an_agent_went_leads_nowhere() -> None:
    async def test(v: Village) -> None:
        a, b, c = v.houses.values()
        other = await v.launch(c)
        done = await v.move(a, b, await v.launch(a))
        agent = done.record.agent_id
        anchor = a.anchors[0]
        await until(lambda: anchor.shelf.dossier(agent).onward is not None)

        async def lie(request: Any, honest: Any) -> Any:
            return Head(certified=None, onward=other) if isinstance(request, PutMessage) else honest

        await stand_in(v, b, 0, lie)
        await anchor.mail.keep(letter(agent, 1))
        anchor.announce_mail(agent)
        await until(lambda: waiting(b, agent)[1:] == [[1]] * 3)
        await until(lambda: not anchor.mail.waits_for(agent))

    run(test, "a", "b", "c")


def test_section_10_7_an_admission_that_answers_no_departure_leads_nowhere() -> None:
    """Any zone may certify that it admitted an agent which it was never given, and would take its messages."""

    async def test(v: Village) -> None:
        a, b, c = v.houses.values()
        done = await v.move(a, b, await v.launch(a))
        agent, anchor = done.record.agent_id, a.anchors[0]
        await until(lambda: anchor.shelf.dossier(agent).onward is not None)
        custody = replace(done.record.custody, zone=c.zone, term=done.record.custody.term + 1)
        claimed = replace(done.transition, record=replace(done.record, custody=custody))
        onward, lured = c.sample.certified(claimed), list[Any]()

        async def lie(request: Any, honest: Any) -> Any:
            return (
                Head(certified=done, onward=onward) if isinstance(request, PutMessage) else honest
            )

        async def steal(request: Any, honest: Any) -> Any:
            lured.extend([request] if isinstance(request, PutMessage) else [])
            return Applied() if isinstance(request, PutMessage) else honest

        await stand_in(v, b, 0, lie)
        await v.close(b, 1)
        for index in range(4):
            await stand_in(v, c, index, steal)
        await anchor.mail.keep(letter(agent, 1))
        anchor.announce_mail(agent)
        await until(lambda: waiting(b, agent)[-1] == [1])
        await asyncio.sleep(0.3)
        assert [] == lured
        assert anchor.mail.waits_for(agent)

    run(test, "a", "b", "c")
