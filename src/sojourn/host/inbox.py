"""The inbox of one agent on this host: messages from the anchors, in order, each taken exactly once.

What was consumed is remembered in the agent's own memory, so that it travels with the agent and a message that is
offered again, by whoever, is not taken again: of people each message by its digest; of each agent the version that
sent its newest letter, since letters of one agent are taken in the order in which they were sent (protocol §10.26).

    offered by anchors ─► waits here ─► taken, by index ─► given to the code ─► consumed, finally ─► dropped there
                              └──◄── put back, where code that waits for calls alone was given none of it ◄┘

    digest              the index of a person's message that was consumed
    "from/" agent       the version that sent the newest letter of an agent
    "count"             how many messages were consumed
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET

from sojourn.core.agent.inquiries import SignedAnswer
from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.memory.field import Memory
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.base.limits import CLOCK_SKEW_MS, MESSAGES_WAITING_MAX
from sojourn.core.protocol.calling import Queued, queued
from sojourn.core.protocol.exchange import (
    AnyMessage,
    AnyReply,
    AskMessages,
    Consumed,
    Mailed,
    Messages,
    SignedMessage,
    decode_body,
)
from sojourn.core.protocol.letters import Letter
from sojourn.core.protocol.unread import Unread
from sojourn.host.inquiries import Inquiries
from sojourn.runtime import ports
from sojourn.runtime.processes import clock

if TYPE_CHECKING:
    from sojourn.host.custody import AgentCustody
    from sojourn.host.server import Host

__all__ = ["Inbox"]

_POLL_S: Final = 5.0
"""Anchors tell a host of a message at once; this is for when that notice was lost."""
_ASK_S: Final = 2.0
PATIENCE_MS: Final = 24 * 3_600_000
"""How long a letter waits for the one before it: for ever, it would fill the room of those that come in order."""
_COUNT: Final = "count"


class Inbox:
    """The messages of one agent, by the order in which it takes them."""

    def __init__(
        self, host: "Host", custody: "AgentCustody", mail: asyncio.Event, inquiries: Inquiries
    ) -> None:
        """Continue after what the agent in `custody` has consumed. `mail` is set when there may be more.

        `inquiries` get the answers that come with them.
        """
        self._host, self._custody, self._mail = host, custody, mail
        self._inquiries = inquiries
        self._waiting: dict[bytes, AnyMessage] = {}
        self._taken: list[AnyMessage] = []
        self._queued: dict[bytes, Queued] = {}
        self._newest_before: dict[bytes, int] = {}
        self._takes_calls = 0
        self._answers: dict[bytes, AnyMessage] = {}
        self._versions: dict[bytes, int] = {}
        self._first: int | None = None
        self._news = asyncio.Event()

    async def message(self, index: int, *, calls: bool = False) -> ports.Message:
        """Wait for the message with this index; the same index gives the same message.

        Where code waits for `calls` alone it is one: another that was taken and not consumed waits on, since its code
        has given up waiting for it. Raises `Rejected` for one that is consumed: its content is gone.
        """
        self._takes_calls += calls
        try:
            while (place := index - await self._count()) >= len(self._taken) or (
                calls and self._is_put_back(place)
            ):
                is_news = self._take_next(calls=calls) or await self.look()
                if not is_news and not self._take_next(calls=calls):  # another may have looked
                    await self._wait()
        finally:
            self._takes_calls -= calls
        if place < 0:
            raise Rejected(f"message {index} is consumed", reason="out-of-turn", where="inbox")
        return _told(self._taken[place], index)

    def _is_put_back(self, place: int) -> bool:
        """Let what was taken from there on wait again if the first of it is no call; tell whether it does."""
        if place < 0 or self._queued[self._taken[place].digest].is_call:
            return False
        while len(self._taken) > place:
            signed = self._taken.pop()
            self._waiting[signed.digest] = signed
            if isinstance(signed, Letter):
                self._versions[signed.sender] = self._newest_before.pop(signed.digest)
        return True

    async def answer(self, letter: str, by: bytes) -> ports.Message:
        """Wait for the answer of an agent to a letter, by that one's effect key; the same key gives the same answer.

        What others say that it answers is passed over: keys are no secret, and a fork of who was asked has them.
        """
        while True:
            for signed in self._answers.values():
                if _answers(signed) == letter and _said_by(signed) == by:
                    return _told(signed, 0)
            if not await self.look():
                await self._wait()

    async def cycle(self, asked: bytes) -> None:
        """Wait until what has come says that agents wait for each other."""
        while not self.waits(asked):
            await self._news.wait()

    def waits(self, asked: bytes | None) -> str:
        """Return who waits for whom, if a letter that waits here asks on behalf of this agent: "" if none does.

        With `asked` this agent waits for that one.
        """
        now_ms = clock.wall_ms()
        for signed in self._waiting.values():
            if self._takes_calls and self._queued[signed.digest].is_call:
                continue  # it is taken while this agent waits
            if isinstance(signed, Letter) and signed.said.asks > now_ms:
                way = self._way(signed)
                if len(way) > 1 and asked in (None, way[1]):
                    return " waits for ".join(map(cid_text, way))
        return ""

    def _way(self, request: Letter) -> tuple[bytes, ...]:
        """Return who waits for whom from this agent to who sent a request, as far as that says.

        Who asks nobody's behalf may be the very one that this agent asks.
        """
        me, behind = self._custody.agent, request.said.waiting
        return (*(behind[behind.index(me) :] if me in behind else (me,)), request.sender)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_POLL_S):
                await self._mail.wait()
        except TimeoutError:
            return

    async def _count(self) -> int:
        """Return the index of the first message taken: how many are consumed for good."""
        if self._first is None:
            self._first = _count_of(await self._consumed())
        return self._first

    async def _consumed(self) -> Mapping:
        root, blocks = self._custody.record.memory.inbox, self._host.blocks
        return await blocks.read(lambda: Mapping.load(root, blocks))

    def _take_next(self, *, calls: bool = False) -> bool:
        """Take the oldest message that waits and whose turn it is; tell whether there was one. Or the oldest call."""
        now_ms = clock.wall_ms()
        for signed in sorted(self._waiting.values(), key=lambda each: (each.sent_ms, each.digest)):
            if calls and not self._queued[signed.digest].is_call:
                continue
            if isinstance(signed, Letter):
                newest = self._versions[signed.sender]
                is_first = not any(
                    isinstance(other, Letter)
                    and other.sender == signed.sender
                    and other.version < signed.version
                    for other in self._waiting.values()
                )
                is_due = newest >= signed.intent.follows or now_ms > signed.sent_ms + PATIENCE_MS
                if not is_due or not is_first:
                    continue  # the one before it is on its way
                self._newest_before[signed.digest] = newest
                self._versions[signed.sender] = signed.version
            del self._waiting[signed.digest]
            self._taken.append(signed)
            return True
        return False

    async def look(self) -> bool:
        """Ask the anchors for messages and answers; tell whether there were new messages."""
        self._mail.clear()  # whoever sets it from now on has something that this look may miss
        offered = await self._offered()
        if len(self._taken) + len(self._waiting) + len(self._answers) >= MESSAGES_WAITING_MAX:
            return False
        consumed = await self._consumed()
        stale: list[AnyMessage] = []
        known = {signed.digest for signed in self._taken}
        is_new = False
        for signed in offered.values():
            if _answers(signed):
                if _asked_until_ms(signed) + CLOCK_SKEW_MS < clock.wall_ms():
                    stale.append(signed)  # nobody waits for it any more
                else:
                    self._answers[signed.digest] = signed
                    is_new = True
            elif await self._is_in(consumed, signed):
                stale.append(signed)
            elif signed.digest not in known and not await self._is_overtaken(consumed, signed):
                self._waiting[signed.digest] = signed
                self._queued[signed.digest] = queued(signed)
                is_new = True
        if stale:
            self._drop(stale)
        if is_new:
            self._news.set()  # whoever waits for it looks through all that has come
            self._news = asyncio.Event()
        return is_new

    async def _is_in(self, consumed: Mapping, signed: AnyMessage) -> bool:
        """Tell whether a message is consumed, or will never be: one that its sender sent later was."""

        def look() -> bool:
            if not isinstance(signed, Letter):
                return signed.digest.hex() in consumed
            return signed.version <= _version_of(consumed, signed.sender)

        return await self._host.blocks.read(look)

    async def _is_overtaken(self, consumed: Mapping, signed: AnyMessage) -> bool:
        """Tell whether a letter was overtaken by what was taken, which may not be consumed yet."""
        if not isinstance(signed, Letter):
            return False
        if signed.sender not in self._versions:
            newest = await self._host.blocks.read(lambda: _version_of(consumed, signed.sender))
            self._versions[signed.sender] = newest
        return signed.version <= self._versions[signed.sender]

    async def _offered(self) -> dict[bytes, AnyMessage]:
        """Return messages that anchors offer and that are not known, checked: at once if a quorum offers some.

        A person's message proves itself. That a letter is its sender's an anchor has checked: one alone may make it
        up, f+1 do not.
        """
        known = {signed.digest for signed in self._taken}
        known |= self._waiting.keys() | self._answers.keys()
        offered: dict[bytes, AnyMessage] = {}
        offers: Counter[bytes] = Counter()
        given: dict[bytes, SignedAnswer] = {}
        answers = 0

        def is_sure(signed: AnyMessage) -> bool:
            is_sealed = isinstance(signed, SignedMessage)
            return is_sealed or offers[signed.digest] > self._host.manifest.f

        def take(_anchor: int, reply: AnyReply) -> bool:
            nonlocal answers
            if isinstance(reply, Messages):
                answers += 1
                for signed in reply.messages:
                    if isinstance(signed, SignedAnswer):
                        self._check(signed)
                        given[signed.digest] = signed
                        continue
                    offers[signed.digest] += 1
                    if signed.digest not in known and signed.digest not in offered:
                        self._check(signed)
                        offered[signed.digest] = signed
            is_some = bool(offered or given) and _all(offered, is_sure)
            return is_some and answers >= self._host.zone.quorum

        ask = AskMessages(agent=self._custody.agent)
        await self._host.zone.ask_each(ask, take, timeout_s=_ASK_S)
        self._inquiries.take(list(given.values()))
        return {named: signed for named, signed in offered.items() if is_sure(signed)}

    def _check(self, signed: Mailed) -> None:
        if signed.agent != self._custody.agent:
            raise Rejected("a message for another agent", reason="wrong-agent", where="message")
        signed.check()

    async def consumed(self, memory: Memory, before: int) -> tuple[Memory, tuple[bytes, ...]]:
        """Return memory in which every message before an index is consumed, and the new blocks for it.

        Raises `Rejected` if there are messages among them that were never taken.
        """
        first = await self._count()
        done = self._taken[: max(0, before - first)]
        if before - first > len(done):
            problem = f"{before} messages consumed, of {first + len(done)} that came"
            raise Rejected(problem, reason="out-of-turn", where="inbox")
        if not done:
            return memory, ()
        blocks = self._host.blocks

        def remember() -> tuple[bytes, tuple[bytes, ...]]:
            new = NewBlocks(blocks)
            mapping = Mapping.load(memory.inbox, blocks)
            for index, signed in enumerate(done, first):
                mapping = _remembered(mapping, signed, index)
            root = mapping.put(_COUNT, first + len(done)).commit(new).root
            return root, tuple(new.made.values())

        root, made = await blocks.read(remember)
        return msgspec.structs.replace(memory, inbox=root), made

    def forget(self, before: int, answered: Collection[str] = ()) -> None:
        """Let go of the messages before an index, and answers to letters, which are part of final memory now."""
        taken = [signed for signed in self._answers.values() if _answers(signed) in answered]
        for signed in taken:
            del self._answers[signed.digest]
        if taken:
            self._drop(taken)
        if self._first is None or before <= self._first:
            return
        count = before - self._first
        done, self._taken = self._taken[:count], self._taken[count:]
        for signed in done:
            del self._queued[signed.digest]
            self._newest_before.pop(signed.digest, None)
        self._first = before
        self._drop(done)
        self._mail.set()  # where not all were offered at once there may be more

    def _drop(self, messages: Sequence[AnyMessage]) -> None:
        """Tell the anchors that messages are consumed; one that misses it offers them again, and is told again."""
        digests = tuple(signed.digest for signed in messages)
        self._host.zone.tell_all(Consumed(agent=self._custody.agent, messages=digests))


def _all(offered: dict[bytes, AnyMessage], is_sure: Callable[[AnyMessage], bool]) -> bool:
    return all(is_sure(signed) for signed in offered.values())


def _answers(signed: AnyMessage) -> str:
    """Return which letter is answered by a message, or was never read and asked: its effect key; "" for none."""
    if isinstance(signed, Unread):
        return signed.answers
    return signed.said.answers if isinstance(signed, Letter) else ""


def _said_by(signed: AnyMessage) -> bytes:
    """Return the agent that a message which answers a letter is of: of word that none comes, who was asked."""
    if isinstance(signed, Unread):
        return signed.letter.agent
    return signed.sender if isinstance(signed, Letter) else b""


def _asked_until_ms(answer: AnyMessage) -> int:
    """Return until when somebody waits for what answers a letter."""
    letter = answer.letter if isinstance(answer, Unread) else answer
    return letter.said.asks if isinstance(letter, Letter) else 0


def _told_unread(unread: Unread, index: int) -> ports.Message:
    """Return word of a letter that was not read, as the runtime gets it: from its receiver, with what it said."""
    letter = unread.letter
    mark = ports.Postmark(
        agent=letter.agent,
        zone=unread.zone,
        letter=letter.intent.key,
        key=letter.said.key,
        answers=unread.answers,
        unread=True,
        labels=letter.intent.labels or UNSET,
    )
    return ports.Message(
        index=index,
        sender=cid_text(letter.agent),
        body=letter.said.value,
        sent_ms=unread.sent_ms,
        mark=mark,
    )


def _told(signed: AnyMessage, index: int) -> ports.Message:
    """Return a message as the code gets it."""
    if isinstance(signed, Unread):
        return _told_unread(signed, index)
    if isinstance(signed, Letter):
        said = signed.said
        mark = ports.Postmark(
            agent=signed.sender,
            zone=signed.zone,
            letter=signed.intent.key,
            key=said.key,
            asks=said.asks,
            waiting=said.waiting,
            answers=said.answers,
            labels=signed.intent.labels or UNSET,
        )
        sender, body = cid_text(signed.sender), said.value
    else:
        mark, sender = None, key_text(signed.message.sender)
        body = decode_body(signed.message.body)
    return ports.Message(index=index, sender=sender, body=body, sent_ms=signed.sent_ms, mark=mark)


def _count_of(consumed: Mapping) -> int:
    """Return how many messages were consumed: as many as there are digests, before letters were counted."""
    return int(consumed.get(_COUNT, len(consumed)))


def _version_of(consumed: Mapping, sender: bytes) -> int:
    return int(consumed.get(f"from/{sender.hex()}", 0))


def _remembered(consumed: Mapping, signed: AnyMessage, index: int) -> Mapping:
    """Return what is remembered once a message is consumed."""
    if not isinstance(signed, Letter):
        return consumed.put(signed.digest.hex(), index)
    return consumed.put(f"from/{signed.sender.hex()}", signed.version)
