"""The inbox: messages wait at the anchors until a final step has consumed them, each exactly once.

What was consumed is remembered in the agent's own memory, by the message's digest, so that it travels with the
agent and a message that is offered again, by whoever, is not taken again.
"""

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.memory.field import Memory
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.errors import Rejected, SojournError
from sojourn.core.base.keys import key_text
from sojourn.core.protocol.exchange import AskMessages, Consumed, Messages, SignedMessage
from sojourn.runtime import ports

if TYPE_CHECKING:
    from sojourn.host.server import Host

__all__ = ["Inbox"]

_POLL_S: Final = 5.0
"""Anchors tell a host of a message at once; this is for when that notice was lost."""


class Inbox:
    """The messages of one agent, by the order in which it takes them."""

    def __init__(self, host: "Host", record: AgentRecord) -> None:
        """Continue after what `record` has consumed."""
        self._host = host
        self._agent = record.agent_id
        self._root = record.memory.inbox
        self._taken: list[SignedMessage] = []
        self._first: int | None = None

    async def message(self, index: int) -> ports.Message:
        """Wait for the message with this index; the same index gives the same message."""
        first = await self._count()
        while index - first >= len(self._taken):
            arrived = self._host.arrival_of(self._agent)
            if await self._look():
                continue
            try:
                async with asyncio.timeout(_POLL_S):
                    await arrived.wait()
            except TimeoutError:
                continue
        message = self._taken[index - first].message
        return ports.Message(
            index=index,
            sender=key_text(message.sender),
            body=message.body,
            sent_ms=message.sent_ms,
        )

    async def _count(self) -> int:
        if self._first is None:
            self._first = len(await self._consumed_set())
        return self._first

    async def _consumed_set(self) -> Mapping:
        return await self._host.with_blocks(lambda: Mapping.load(self._root, self._host.blocks))

    async def _look(self) -> bool:
        """Ask the anchors for messages; tell whether there were new ones."""
        waiting: dict[bytes, SignedMessage] = {}
        replies = await self._host.zone.ask_all(AskMessages(agent=self._agent), Messages)
        for reply in replies.values():
            for signed in reply.messages:
                waiting[signed.digest] = signed
        known = {signed.digest for signed in self._taken}
        consumed = await self._consumed_set()
        fresh = []
        for digest, signed in waiting.items():
            if digest in known or await self._is_consumed(consumed, digest):
                continue
            try:
                signed.check()
            except Rejected:
                continue  # an anchor lies; the others' copies count
            if signed.message.agent == self._agent:
                fresh.append(signed)
        self._taken += sorted(fresh, key=lambda s: (s.message.sent_ms, s.digest))
        return bool(fresh)

    async def _is_consumed(self, consumed: Mapping, digest: bytes) -> bool:
        return await self._host.with_blocks(lambda: digest.hex() in consumed)

    async def consumed(self, memory: Memory, before: int) -> tuple[Memory, tuple[bytes, ...]]:
        """Return memory in which every message before an index is consumed, and the new blocks for it."""
        first = await self._count() if before else 0
        done = self._taken[: max(0, before - first)]
        if not done:
            return msgspec.structs.replace(memory, inbox=self._root), ()

        def remember() -> tuple[bytes, tuple[bytes, ...]]:
            new = NewBlocks(self._host.blocks)
            mapping = Mapping.load(self._root, self._host.blocks)
            for index, signed in enumerate(done):
                mapping = mapping.put(signed.digest.hex(), first + index)
            root = mapping.commit(new).root
            return root, tuple(new.made.values())

        root, blocks = await self._host.with_blocks(remember)
        return msgspec.structs.replace(memory, inbox=root), blocks

    async def forget(self, before: int) -> None:
        """Tell the anchors which messages are part of final memory now."""
        first = await self._count() if before else 0
        done = self._taken[: max(0, before - first)]
        if not done:
            return
        digests = tuple(signed.digest for signed in done)
        self._taken = self._taken[len(done) :]
        self._first = first + len(done)
        self._root = self._host.record_of(self._agent).memory.inbox
        try:
            await self._host.zone.ask_all(
                Consumed(agent=self._agent, messages=digests), object, timeout_s=2
            )
        except SojournError:
            return
