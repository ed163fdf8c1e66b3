"""The inbox of one agent on this host: messages from the anchors, in order, each taken exactly once.

What was consumed is remembered in the agent's own memory, by the message's digest, so that it travels with the
agent and a message that is offered again, by whoever, is not taken again.

    offered by anchors ─► taken here, by index ─► given to the code ─► consumed by a final step ─► dropped there
"""

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.memory.field import Memory
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.base.limits import MESSAGES_WAITING_MAX
from sojourn.core.protocol.exchange import (
    AnyReply,
    AskMessages,
    Consumed,
    Messages,
    SignedMessage,
    decode_body,
)
from sojourn.runtime import ports

if TYPE_CHECKING:
    from sojourn.host.custody import AgentCustody
    from sojourn.host.server import Host

__all__ = ["Inbox"]

_POLL_S: Final = 5.0
"""Anchors tell a host of a message at once; this is for when that notice was lost."""
_ASK_S: Final = 2.0


class Inbox:
    """The messages of one agent, by the order in which it takes them."""

    def __init__(self, host: "Host", custody: "AgentCustody", mail: asyncio.Event) -> None:
        """Continue after what the agent in `custody` has consumed. `mail` is set when there may be more."""
        self._host, self._custody, self._mail = host, custody, mail
        self._taken: list[SignedMessage] = []
        self._first: int | None = None

    async def message(self, index: int) -> ports.Message:
        """Wait for the message with this index; the same index gives the same message.

        Raises `Rejected` for one that is consumed: its content is gone.
        """
        while (place := index - await self._count()) >= len(self._taken):
            if not await self._look():
                await self._wait()
        if place < 0:
            raise Rejected(f"message {index} is consumed", reason="out-of-turn", where="inbox")
        message = self._taken[place].message
        return ports.Message(
            index=index,
            sender=key_text(message.sender),
            body=decode_body(message.body),
            sent_ms=message.sent_ms,
        )

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_POLL_S):
                await self._mail.wait()
        except TimeoutError:
            return

    async def _count(self) -> int:
        """Return the index of the first message taken: how many are consumed for good."""
        if self._first is None:
            self._first = len(await self._consumed())
        return self._first

    async def _consumed(self) -> Mapping:
        root, blocks = self._custody.record.memory.inbox, self._host.blocks
        return await blocks.read(lambda: Mapping.load(root, blocks))

    async def _look(self) -> bool:
        """Ask the anchors for messages; tell whether there were new ones."""
        self._mail.clear()  # whoever sets it from now on has something that this look may miss
        if len(self._taken) >= MESSAGES_WAITING_MAX:
            return False
        offered = await self._offered()
        consumed = await self._consumed()
        fresh: list[SignedMessage] = []
        stale: list[SignedMessage] = []
        for signed in offered.values():
            (stale if await self._is_in(consumed, signed) else fresh).append(signed)
        if stale:
            self._drop(stale)
        known = {signed.digest for signed in self._taken}
        fresh = [signed for signed in fresh if signed.digest not in known]
        self._taken += sorted(fresh, key=lambda s: (s.message.sent_ms, s.digest))
        return bool(fresh)

    async def _is_in(self, consumed: Mapping, signed: SignedMessage) -> bool:
        return await self._host.blocks.read(lambda: signed.digest.hex() in consumed)

    async def _offered(self) -> dict[bytes, SignedMessage]:
        """Return messages that anchors offer and that are not taken, checked: at once if a quorum offers some."""
        known = {signed.digest for signed in self._taken}
        offered: dict[bytes, SignedMessage] = {}
        answers = 0

        def take(_anchor: int, reply: AnyReply) -> bool:
            nonlocal answers
            if isinstance(reply, Messages):
                answers += 1
                new = {signed.digest: signed for signed in reply.messages}
                for digest in new.keys() - known - offered.keys():
                    self._check(new[digest])
                    offered[digest] = new[digest]
            return bool(offered) and answers >= self._host.zone.quorum

        ask = AskMessages(agent=self._custody.agent)
        await self._host.zone.ask_each(ask, take, timeout_s=_ASK_S)
        return offered

    def _check(self, signed: SignedMessage) -> None:
        if signed.message.agent != self._custody.agent:
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
                mapping = mapping.put(signed.digest.hex(), index)
            root = mapping.commit(new).root
            return root, tuple(new.made.values())

        root, made = await blocks.read(remember)
        return msgspec.structs.replace(memory, inbox=root), made

    def forget(self, before: int) -> None:
        """Let go of the messages before an index, which are part of final memory now."""
        if self._first is None or before <= self._first:
            return
        count = before - self._first
        done, self._taken = self._taken[:count], self._taken[count:]
        self._first = before
        self._drop(done)
        self._mail.set()  # where not all were offered at once there may be more

    def _drop(self, messages: list[SignedMessage]) -> None:
        """Tell the anchors that messages are consumed; one that misses it offers them again, and is told again."""
        digests = tuple(signed.digest for signed in messages)
        self._host.zone.tell_all(Consumed(agent=self._custody.agent, messages=digests))
