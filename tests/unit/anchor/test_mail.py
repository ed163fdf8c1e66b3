"""Mail: kept once, read in parts that fit a reply, dropped for good, and found again after a restart."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sojourn.anchor.mail import Mail
from sojourn.anchor.scribe import Scribe
from sojourn.core.agent.eligibility import Eligibility, Status, Wake
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Refused
from sojourn.core.base.limits import MESSAGE_BYTES_MAX, MESSAGES_WAITING_MAX
from sojourn.core.protocol.exchange import Messages
from sojourn.stores.memory import MemoryStore
from tests.unit.anchor.letters import letter
from tests.village import key

AGENT, OTHER = digest(b"agent"), digest(b"other")


def opened(store: MemoryStore) -> Mail:
    return Mail(store, Scribe(store, key("vote")))


def run(test: Callable[[MemoryStore, Mail], Awaitable[None]]) -> None:
    async def main() -> None:
        store = MemoryStore()
        await test(store, opened(store))

    asyncio.run(main())


def test_messages_are_read_oldest_first_and_kept_once() -> None:
    async def test(store: MemoryStore, mail: Mail) -> None:
        for number in (3, 1, 2):
            assert await mail.keep(letter(AGENT, number))
        assert not await mail.keep(letter(AGENT, 2))
        assert [1, 2, 3] == [m.message.sent_ms for m in mail.read(AGENT)]
        assert mail.waits_for(AGENT)
        assert not mail.waits_for(OTHER)

    run(test)


def test_what_is_read_at_once_fits_a_reply() -> None:
    async def test(store: MemoryStore, mail: Mail) -> None:
        for number in range(100):
            await mail.keep(letter(AGENT, number, size=60_000))
        read = mail.read(AGENT)
        assert len(encode(Messages(messages=read))) < MESSAGE_BYTES_MAX
        assert 30 <= len(read) < 100

    run(test)


def test_too_many_are_refused() -> None:
    async def test(store: MemoryStore, mail: Mail) -> None:
        letters = [letter(AGENT, number) for number in range(MESSAGES_WAITING_MAX + 1)]
        await asyncio.gather(*(mail.keep(each) for each in letters[:-1]))
        with pytest.raises(Refused, match="1000 messages are waiting"):
            await mail.keep(letters[-1])
        assert await mail.keep(letter(OTHER, 1))

    run(test)


def test_what_is_dropped_is_gone_after_a_restart_too_and_the_rest_is_not() -> None:
    async def test(store: MemoryStore, mail: Mail) -> None:
        letters = [letter(AGENT, number) for number in range(3)]
        for each in letters:
            await mail.keep(each)
        await mail.keep(letter(OTHER, 7))
        await mail.drop(AGENT, [letters[0].digest, digest(b"unknown")])
        for after in (mail, opened(store)):
            assert (letters[1], letters[2]) == after.read(AGENT)
            assert {AGENT, OTHER} == set(after.agents())

    run(test)


def test_one_that_comes_while_the_last_is_dropped_is_not_lost_from_sight() -> None:
    async def test(store: MemoryStore, mail: Mail) -> None:
        first, second = letter(AGENT, 1), letter(AGENT, 2)
        await mail.keep(first)
        await asyncio.gather(
            mail.drop(AGENT, [first.digest]), mail.keep(second), mail.drop(AGENT, [first.digest])
        )
        assert mail.waits_for(AGENT)
        assert (second,) == mail.read(AGENT)
        await mail.drop(AGENT, [second.digest])
        assert [] == list(mail.agents())

    run(test)


def test_a_call_wakes_who_waits_for_calls_and_no_other_message_does() -> None:
    async def test(store: MemoryStore, mail: Mail) -> None:
        def wakes(mail: Mail, wake: Wake) -> bool:
            return mail.wakes(AGENT, Eligibility(status=Status.DORMANT, wake=(wake,)))

        called, deaf = Wake(at_ms=5, on_call=True), Wake(at_ms=5)
        await mail.keep(letter(AGENT, 1))
        assert not wakes(mail, called)
        assert wakes(mail, Wake(on_message=True))
        await mail.keep(letter(AGENT, 2, is_call=True))
        for after in (mail, opened(store)):
            assert wakes(after, called)
            assert not wakes(after, deaf)
        await mail.drop(AGENT, [letter(AGENT, 2, is_call=True).digest])
        assert not wakes(mail, called)

    run(test)
