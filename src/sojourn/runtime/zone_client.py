"""One zone's anchors as a peer: calls to each, decisions by all, blocks in and out.

Hosts, clients and leading anchors use it. It performs what the core's `Proposer` says: it sends, hears, and
sends again, and holds no rule of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from sojourn.core.agent.memory.blocks import BlockSource, missing_levels
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Failed, Refused, Rejected, SojournError, Unreachable
from sojourn.core.base.limits import CALL_TIMEOUT_S
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import (
    AnyReply,
    AnyRequest,
    AskBlocks,
    AskMissing,
    Blocks,
    Missing,
    PutBlocks,
    decode_reply,
)
from sojourn.core.protocol.messages import Declined, Reply
from sojourn.core.protocol.proposer import Progress, Proposer, Send, Upload
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.runtime.transport import Connection

__all__ = ["Connections", "Overtaken", "Stalled", "ZoneClient"]

_BATCH_BYTES: Final = 1024 * 1024
_ASK_DIGESTS_MAX: Final = 16_384

R = TypeVar("R")


class Connections(Protocol):
    """Open connections by place and key, such as a `transports.pool.ConnectionPool`."""

    async def connection(self, host: str, port: int, expected_key: bytes) -> Connection:
        """Return the open connection to this peer. Raises `Unreachable`."""


class Stalled(Failed):
    """No quorum: too many anchors are unreachable, or decline. Nothing is lost; ask again later."""

    code = "stalled"

    def __init__(self, problem: str, *, declined: Mapping[int, Declined]) -> None:
        super().__init__(problem, remedy="Nothing was decided; it can be asked again")
        self.declined = declined


class Overtaken(Refused):
    """Another value was decided in this slot, or a later one: `decided` says which."""

    code = "overtaken"

    def __init__(self, decided: Certified) -> None:
        super().__init__(f"another transition was decided: {decided.transition.kind}")
        self.decided = decided


class ZoneClient:
    """Connections to the anchors of one zone, by index."""

    def __init__(self, manifest: ZoneManifest, pool: Connections) -> None:
        """Use `pool`, whose connections pin each anchor's identity key."""
        self.manifest = manifest
        self._pool = pool
        self._spreading: set[asyncio.Task[None]] = set()

    @property
    def n(self) -> int:
        """How many anchors there are."""
        return len(self.manifest.anchors)

    async def connection(self, anchor: int) -> Connection:
        """Return the open connection to an anchor. Raises `Unreachable`."""
        entry = self.manifest.anchors[anchor]
        return await self._pool.connection(
            entry.endpoint.address, entry.endpoint.port, entry.identity
        )

    async def call(
        self, anchor: int, request: AnyRequest, *, timeout_s: float = CALL_TIMEOUT_S
    ) -> AnyReply:
        """Return one anchor's reply. Raises `Unreachable`; `Rejected` for a reply that makes no sense."""
        connection = await self.connection(anchor)
        return decode_reply(await connection.call(encode(request), timeout_s=timeout_s))

    async def ask_all(
        self, request: AnyRequest, kind: type[R], *, timeout_s: float = CALL_TIMEOUT_S
    ) -> dict[int, R]:
        """Return the replies of that kind, by anchor; anchors that fail or answer otherwise are left out."""
        calls = (self.call(anchor, request, timeout_s=timeout_s) for anchor in range(self.n))
        replies = await asyncio.gather(*calls, return_exceptions=True)
        return {i: reply for i, reply in enumerate(replies) if isinstance(reply, kind)}

    async def ask_any(
        self, request: AnyRequest, kind: type[R], *, timeout_s: float = CALL_TIMEOUT_S
    ) -> R:
        """Return the first reply of that kind, asking one anchor after another. Raises `Unreachable`."""
        problems = []
        for anchor in range(self.n):
            try:
                reply = await self.call(anchor, request, timeout_s=timeout_s)
            except SojournError as error:
                problems.append(f"anchor {anchor}: {error}")
                continue
            if isinstance(reply, kind):
                return reply
            problems.append(f"anchor {anchor} answered {type(reply).__name__}")
        raise Unreachable(f"no anchor of {self.manifest.name} answered: {'; '.join(problems)}")

    async def decide(
        self,
        proposer: Proposer,
        blocks: BlockSource,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        until_applied: bool = False,
    ) -> Certified:
        """Drive a proposer to its outcome and return what was decided.

        The certificate is spread to all anchors in the background; with `until_applied` this waits until a
        quorum has applied it, as whoever needs a lease on the new fence next must. Raises `Overtaken` if
        another value won, `Stalled` if a quorum is out of reach or the time is up.
        """
        drive = _Drive(self, proposer, blocks, timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                await drive.run()
        except TimeoutError:
            pass
        finally:
            drive.stop()
        if proposer.progress is Progress.WON and proposer.decided is not None:
            spread = [self._spread(step) for step in drive.rest if isinstance(step, Send)]
            if until_applied:
                await self._applied(spread, timeout_s)
            return proposer.decided
        if proposer.progress is Progress.OVERTAKEN and proposer.decided is not None:
            raise Overtaken(proposer.decided)
        problem = f"{self.manifest.name} could not decide: {proposer.describe()}"
        raise Stalled(problem, declined=dict(proposer.declined))

    def _spread(self, step: Send) -> asyncio.Task[None]:
        task = asyncio.create_task(self._quietly(step))
        self._spreading.add(task)
        task.add_done_callback(self._spreading.discard)
        return task

    async def _applied(self, spread: list[asyncio.Task[None]], timeout_s: float) -> None:
        """Wait until all but f of the anchors have answered, or the time is up."""
        waiting = set(spread)
        deadline = asyncio.get_running_loop().time() + timeout_s
        while len(waiting) > self.manifest.f:
            left_s = deadline - asyncio.get_running_loop().time()
            done, waiting = await asyncio.wait(
                waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                return

    async def _quietly(self, step: Send) -> None:
        """Spread a decision; an anchor that misses it learns of it with the next proposal."""
        try:
            await self.call(step.anchor, step.request)
        except SojournError:
            return

    async def upload(
        self,
        anchor: int,
        roots: Iterable[bytes],
        blocks: BlockSource,
        bring: Callable[[Sequence[bytes]], Awaitable[None]] | None = None,
    ) -> int:
        """Store all blocks under `roots` with an anchor, children first; return how many bytes it lacked.

        `bring`, if given, is asked to put blocks into `blocks` before they are read.
        """
        sent = 0
        for root in roots:
            sent += await self._upload(anchor, root, blocks, bring)
        return sent

    async def _upload(
        self,
        anchor: int,
        root: bytes,
        blocks: BlockSource,
        bring: Callable[[Sequence[bytes]], Awaitable[None]] | None,
    ) -> int:
        search = missing_levels(root, blocks)
        level = next(search)
        while True:
            lacking = await self._missing(anchor, level)
            if bring is not None:
                await bring(lacking)
            try:
                level = search.send(set(level) - set(lacking))
            except StopIteration as done:
                found: Sequence[bytes] = done.value
                return await self.put(anchor, map(blocks.get, found))

    async def _missing(self, anchor: int, digests: Sequence[bytes]) -> list[bytes]:
        found: list[bytes] = []
        for start in range(0, len(digests), _ASK_DIGESTS_MAX):
            part = tuple(digests[start : start + _ASK_DIGESTS_MAX])
            reply = await self.call(anchor, AskMissing(digests=part))
            found += _expect(reply, Missing).digests
        return found

    async def put(self, anchor: int, blocks: Iterable[bytes]) -> int:
        """Store blocks, children first, with an anchor; return how many bytes they have."""
        batch: list[bytes] = []
        total = size = 0
        for data in blocks:
            if size and size + len(data) > _BATCH_BYTES:
                await self._put_batch(anchor, batch)
                batch, size = [], 0
            batch.append(data)
            size += len(data)
            total += len(data)
        if batch:
            await self._put_batch(anchor, batch)
        return total

    async def _put_batch(self, anchor: int, batch: list[bytes]) -> None:
        reply = await self.call(anchor, PutBlocks(blocks=tuple(batch)), timeout_s=60)
        if isinstance(reply, Declined):
            raise Refused(f"anchor {anchor} of {self.manifest.name}: {reply.problem}")

    async def fetch(self, digests: Sequence[bytes]) -> list[bytes]:
        """Return blocks from whichever anchors have them. Raises `Unreachable` if some are nowhere.

        What comes back is not verified here: whoever stores a block checks its digest.
        """
        found: list[bytes] = []
        for start in range(0, len(digests), 64):
            part = tuple(digests[start : start + 64])
            found += await self._fetch(part)
        return found

    async def _fetch(self, digests: tuple[bytes, ...]) -> list[bytes]:
        for anchor in range(self.n):
            try:
                reply = await self.call(anchor, AskBlocks(digests=digests))
            except SojournError:
                continue
            if isinstance(reply, Blocks) and reply.blocks:
                return list(reply.blocks)
        raise Unreachable(f"no anchor of {self.manifest.name} has block {digests[0].hex()[:16]}…")

    async def close(self) -> None:
        """Wait until what is being spread has arrived or failed."""
        if self._spreading:
            await asyncio.wait(self._spreading, timeout=CALL_TIMEOUT_S)


class _Drive:
    """One attempt: a task for each message under way, and a queue of what came back."""

    def __init__(
        self, client: ZoneClient, proposer: Proposer, blocks: BlockSource, timeout_s: float
    ) -> None:
        self._client, self._proposer, self._blocks = client, proposer, blocks
        self._timeout_s = timeout_s
        self._heard: asyncio.Queue[tuple[int, AnyReply | SojournError]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self.rest: Sequence[Send | Upload] = ()

    async def run(self) -> None:
        self._perform(self._proposer.start())
        while not self._proposer.is_over:
            anchor, reply = await self._heard.get()
            following = self._take(anchor, reply)
            if self._proposer.progress is Progress.WON:
                self.rest = following
                return
            self._perform(following)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _take(self, anchor: int, reply: AnyReply | SojournError) -> Sequence[Send | Upload]:
        if isinstance(reply, SojournError):
            self._proposer.silent(anchor)
            return ()
        try:
            return self._proposer.heard(anchor, _expect(reply, Reply))
        except Rejected:
            self._proposer.silent(anchor)
            return ()

    def _perform(self, steps: Sequence[Send | Upload]) -> None:
        """Send; several messages to one anchor go in their order."""
        by_anchor: dict[int, list[Send | Upload]] = {}
        for step in steps:
            by_anchor.setdefault(step.anchor, []).append(step)
        for anchor, mine in by_anchor.items():
            self._start(self._send(anchor, mine))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, anchor: int, steps: list[Send | Upload]) -> None:
        try:
            for step in steps:
                if isinstance(step, Upload):
                    await self._client.upload(anchor, step.digests, self._blocks)
                request = step.then if isinstance(step, Upload) else step.request
                reply = await self._client.call(anchor, request, timeout_s=self._timeout_s)
                if step is steps[-1]:
                    self._heard.put_nowait((anchor, reply))
        except SojournError as error:
            self._heard.put_nowait((anchor, error))


def _expect(reply: AnyReply, kind: Any) -> Any:
    """Return a reply of that kind. Raises `Refused` for a decline, `Rejected` for anything else."""
    if isinstance(reply, kind):
        return reply
    if isinstance(reply, Declined):
        raise Refused(reply.problem)
    raise Rejected(f"answered with a {type(reply).__name__}", reason="wrong-kind", where="reply")
