"""Messages to an agent: each is taken once, in a stable order, whatever anchors offer and whenever it comes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.protocol.exchange import AskMessages, Consumed, Messages, PutMessage
from sojourn.host import inbox as inbox_module
from sojourn.host.custody import AgentCustody
from sojourn.host.server import Host
from tests.unit.anchor.letters import letter
from tests.unit.anchor.standing_in import hang, stand_in, until
from tests.unit.host.hosting import draft_of, hosted, taken_up
from tests.village import House, Village, key, village

SOON_S = 3.0


class Scene:
    """A zone of four, a host, and custody of one agent."""

    def __init__(self, v: Village, house: House, host: Host, custody: AgentCustody) -> None:
        self.v, self.house, self.host, self.custody = v, house, host, custody
        self.agent = custody.agent

    async def send(self, number: int, *anchors: int, **fields: Any) -> None:
        """Send a message to some anchors, or to all."""
        client = self.v.client(self.house, self.v.issuer)
        put = PutMessage(message=letter(self.agent, number, **fields))
        for anchor in anchors or self.house.anchors:
            await client.call(anchor, put)

    async def number(self, index: int, *, calls: bool = False) -> int:
        """Return which message has an index."""
        async with asyncio.timeout(SOON_S):
            return (await self.custody.receive(index, calls=calls)).sent_ms

    def waiting(self) -> list[int]:
        """Return how many messages wait at each anchor."""
        return [len(a.mail.read(self.agent)) for a in self.house.anchors.values()]


def run(test: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        async with village("a") as v:
            house = v.houses["a"]
            head = await v.launch(house)
            async with hosted(v, house) as host:
                custody, mail = await taken_up(host, head)
                host._mail[custody.agent] = mail
                await test(Scene(v, house, host, custody))

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_message_that_comes_after_others_were_consumed_has_the_next_index() -> None:
    """Also for who waits already while those before become final: it is neither skipped nor late."""

    async def test(s: Scene) -> None:
        await s.send(1)
        assert 1 == await s.number(0)
        waiting = asyncio.create_task(s.number(1))
        await asyncio.sleep(0.05)
        await s.custody.commit(draft_of(s.custody, inbox=1))
        await s.send(2)
        assert 2 == await waiting
        assert 2 == await s.number(1)
        await s.send(3)
        assert 3 == await s.number(2)

    run(test)


def test_a_message_says_what_its_sender_gave() -> None:
    """Not the bytes of it: an author need not know of any encoding."""

    async def test(s: Scene) -> None:
        await s.send(1, size=3)
        message = await s.custody.receive(0)
        assert ("xxx", key_text(key("sender").public)) == (message.body, message.sender)

    run(test)


def test_what_is_consumed_is_dropped_by_the_anchors_and_never_given_again() -> None:
    async def test(s: Scene) -> None:
        for number in (1, 2, 3):
            await s.send(number)
        assert [1, 2] == [await s.number(0), await s.number(1)]
        await s.custody.commit(draft_of(s.custody, inbox=2))
        await until(lambda: s.waiting() == [1, 1, 1, 1])
        assert 3 == await s.number(2)
        with pytest.raises(Rejected, match="message 0 is consumed"):
            await s.custody.receive(0)

    run(test)


def test_a_message_that_reaches_an_anchor_late_is_not_kept_there_for_ever() -> None:
    """It is consumed long since; an anchor that kept it would wake the agent for it again and again."""

    async def test(s: Scene) -> None:
        await s.send(1, 0, 1, 2)
        assert 1 == await s.number(0)
        await s.custody.commit(draft_of(s.custody, inbox=1))
        await until(lambda: s.waiting() == [0, 0, 0, 0])
        await s.send(1, 3)
        assert [0, 0, 0, 1] == s.waiting()
        waiting = asyncio.create_task(s.number(1))  # the next look hears what is offered
        await until(lambda: s.waiting() == [0, 0, 0, 0])
        await s.send(2)
        assert 2 == await waiting

    run(test)


def test_another_host_goes_on_after_what_is_final() -> None:
    async def test(s: Scene) -> None:
        for number in (1, 2, 3):
            await s.send(number)
        await s.number(2)
        await s.custody.commit(draft_of(s.custody, inbox=1))
        again = AgentCustody(s.host, s.custody.head, asyncio.Event())
        assert [2, 3] == [(await again.receive(i)).sent_ms for i in (1, 2)]
        await again.commit(draft_of(again, inbox=3))
        assert again.record.memory.inbox != s.custody.head.record.memory.inbox

    run(test)


def test_all_of_many_messages_come_although_not_all_are_offered_at_once() -> None:
    async def test(s: Scene) -> None:
        for number in range(80):
            await s.send(number, size=60_000)
        for index in range(80):
            assert index == await s.number(index)
            if index % 10 == 9:
                await s.custody.commit(draft_of(s.custody, inbox=index + 1))

    run(test)


def test_one_anchor_that_hangs_makes_no_message_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "_POLL_S", 60.0)

    async def test(s: Scene) -> None:
        gate = await hang(s.v, s.house, 0)
        waiting = asyncio.create_task(s.number(0))
        await asyncio.sleep(0.05)
        await s.send(1, 1, 2, 3)
        assert 1 == await waiting
        gate.set()

    run(test)


def test_what_an_anchor_makes_up_is_passed_over() -> None:
    async def test(s: Scene) -> None:
        forged = letter(s.agent, 0)
        forged = type(forged)(message=forged.message, seal=letter(s.agent, 9).seal)
        foreign = letter(b"x" * 32, 0)

        async def lie(request: Any, honest: Any) -> Any:
            if isinstance(request, AskMessages):
                return Messages(messages=(forged, foreign, *honest.messages))
            return honest

        await stand_in(s.v, s.house, 0, lie)
        await s.send(1)
        assert 1 == await s.number(0)

    run(test)


def test_an_agent_cannot_consume_what_never_came() -> None:
    async def test(s: Scene) -> None:
        await s.send(1)
        await s.number(0)
        with pytest.raises(Rejected, match="2 messages consumed, of 1 that came"):
            await s.custody.commit(draft_of(s.custody, inbox=2))

    run(test)


def test_an_anchor_that_does_not_hear_costs_a_step_no_time() -> None:
    async def test(s: Scene) -> None:
        await s.send(1)
        await s.number(0)
        never = asyncio.Event()

        async def deaf(request: Any, honest: Any) -> Any:
            if isinstance(request, Consumed):
                await never.wait()
            return honest

        await stand_in(s.v, s.house, 2, deaf)
        async with asyncio.timeout(1.5):
            await s.custody.commit(draft_of(s.custody, inbox=1))
        never.set()

    run(test)


def test_a_call_passes_other_messages_and_who_waits_for_calls_alone_is_given_no_other() -> None:
    """Also one that had the index already, since the code gave up waiting for it: it has a later one."""

    async def test(s: Scene) -> None:
        for number in (1, 2, 3):
            await s.send(number)
        assert [1, 2] == [await s.number(0), await s.number(1)]
        await s.custody.commit(draft_of(s.custody, inbox=1))
        waiting = asyncio.create_task(s.number(1, calls=True))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        for number in (5, 4):
            await s.send(number, is_call=True)
        s.host._mail[s.agent].set()
        assert 5 == await waiting, "of two the one that came first"
        assert 5 == await s.number(1), "it has the index from now on"
        assert [4, 2, 3] == [await s.number(2, calls=True), await s.number(3), await s.number(4)]
        await s.custody.commit(draft_of(s.custody, inbox=4))
        await until(lambda: s.waiting() == [1, 1, 1, 1])
        assert 3 == await s.number(4)

    run(test)


def test_calls_that_come_together_are_taken_in_the_order_in_which_they_were_sent() -> None:
    async def test(s: Scene) -> None:
        for number in (3, 1, 2):
            await s.send(number, is_call=number != 1)
        assert [2, 3] == [await s.number(0, calls=True), await s.number(1, calls=True)]
        assert 1 == await s.number(2)

    run(test)
