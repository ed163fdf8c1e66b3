"""Driving a proposer: its messages out, the anchors' replies in, until there is an outcome.

The core's `Proposer` says what to send and what a reply means. The tasks, the queue and the limit are here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Protocol

import structlog

from sojourn.core.agent.memory.blocks import BlockSource
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Rejected, SojournError
from sojourn.core.protocol.exchange import AnyReply, AnyRequest
from sojourn.core.protocol.messages import Reply
from sojourn.core.protocol.proposer import Proposer, Send, Upload

__all__ = ["Anchors", "Bring", "Drive", "ended"]

log = structlog.get_logger("zone")

Bring = Callable[[Sequence[bytes]], Awaitable[None]]
"""Puts blocks into the source that an upload reads from. Raises `MissingBlock` for one that nobody has."""


class Anchors(Protocol):
    """What a drive needs of a client of a zone's anchors."""

    async def send(self, anchor: int, body: bytes) -> AnyReply:
        """Send an encoded request to an anchor and return its reply. Raises `SojournError`."""
        ...

    async def upload(
        self, anchor: int, roots: Sequence[bytes], blocks: BlockSource, bring: Bring | None
    ) -> int:
        """Store with an anchor what it lacks under these roots; return how many bytes that took."""
        ...


class Drive:
    """One attempt: a task for each message under way, and a queue of what came back."""

    def __init__(
        self, client: Anchors, proposer: Proposer, blocks: BlockSource, bring: Bring | None
    ) -> None:
        """Prepare to send through `client`; `bring` puts into `blocks` what anchors turn out to lack."""
        self._client, self._proposer = client, proposer
        self._blocks, self._bring = blocks, bring
        self._heard: asyncio.Queue[tuple[int, AnyReply | None]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup

    async def run(self, timeout_s: float) -> Sequence[Send | Upload]:
        """Send and hear until there is an outcome or the time is up; return what is to be sent after it."""
        try:
            async with asyncio.timeout(timeout_s), asyncio.TaskGroup() as self._group:
                try:
                    return await self._converse()
                finally:
                    for task in self._tasks:
                        task.cancel()
        except TimeoutError:
            return ()

    async def _converse(self) -> Sequence[Send | Upload]:
        following: Sequence[Send | Upload] = self._proposer.start()
        while not self._proposer.is_over:
            self._perform(following)
            anchor, reply = await self._heard.get()
            following = self._take(anchor, reply)
        return following

    def _take(self, anchor: int, reply: AnyReply | None) -> Sequence[Send | Upload]:
        if isinstance(reply, Reply):
            try:
                return self._proposer.heard(anchor, reply)
            except Rejected as error:
                log.warning("a false answer", anchor=anchor, problem=str(error))
        self._proposer.silent(anchor)
        return ()

    def _perform(self, steps: Sequence[Send | Upload]) -> None:
        """Send; several messages to one anchor go in their order, one message to many is encoded once."""
        by_anchor: dict[int, list[Send | Upload]] = {}
        for step in steps:
            by_anchor.setdefault(step.anchor, []).append(step)
        encoded: list[tuple[AnyRequest, bytes]] = []
        for anchor, mine in by_anchor.items():
            bodies = [_encoded_once(_request(step), encoded) for step in mine]
            task = self._group.create_task(self._send(anchor, mine, bodies))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(
        self, anchor: int, steps: Sequence[Send | Upload], bodies: Sequence[bytes]
    ) -> None:
        try:
            for step, body in zip(steps, bodies, strict=True):
                if isinstance(step, Upload):
                    await self._client.upload(anchor, step.digests, self._blocks, self._bring)
                reply = await self._client.send(anchor, body)
        except SojournError as error:
            log.debug("no answer", anchor=anchor, problem=str(error))
            self._heard.put_nowait((anchor, None))
        else:
            self._heard.put_nowait((anchor, reply))


def _request(step: Send | Upload) -> AnyRequest:
    return step.then if isinstance(step, Upload) else step.request


def _encoded_once(request: AnyRequest, encoded: list[tuple[AnyRequest, bytes]]) -> bytes:
    """Return a request's bytes, those of an equal one in `encoded` if there is one."""
    for known, body in encoded:
        if known is request or known == request:
            return body
    body = encode(request)
    encoded.append((request, body))
    return body


async def ended(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """Cancel what has not ended, and wait until it has."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
