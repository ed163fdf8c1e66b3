"""One zone's anchors as a peer: calls to each, decisions by all, blocks in and out.

Hosts, clients and leading anchors use it. It performs what the core's `Proposer` says: it sends, hears, and
sends again (`drive`), and holds no rule of its own. Any one anchor may be dead, hang or lie. So whoever needs
many answers takes them as they come and goes on when there are enough; what one anchor says is checked, or not
relied on.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import msgspec
import structlog

from sojourn.core.agent.memory.blocks import BlockSource
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Failed, Refused, Rejected, SojournError, Unreachable
from sojourn.core.base.limits import CALL_TIMEOUT_S, CHAPTERS_MAX
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.exchange import (
    AnyReply,
    AnyRequest,
    AskBlocks,
    AskMissing,
    AskPast,
    Blocks,
    Missing,
    Past,
    PutBlocks,
    ShowVotes,
    decode_reply,
)
from sojourn.core.protocol.messages import Applied, Declined, Need
from sojourn.core.protocol.proposer import Progress, Proposer, Send
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.runtime.clients.drive import Bring, Drive, ended
from sojourn.runtime.clients.fetching import Fetching
from sojourn.runtime.clients.uploading import Uploading
from sojourn.runtime.transport import Connection

__all__ = ["Bring", "Connections", "Overtaken", "Stalled", "ZoneClient"]

log = structlog.get_logger("zone")

_BATCH_BYTES: Final = 1024 * 1024
_BATCH_BLOCKS: Final = 2048
"""Half of what a store takes in one commit."""
_PUT_TIMEOUT_S: Final = 60.0
_PAST_TIMEOUT_S: Final = 60.0
"""For all pages of one anchor: the longest life has some 130 MB of chapters."""
_FETCH_BLOCKS: Final = 64
_FETCH_TIMEOUT_S: Final = 3.0
_ASK_DIGESTS_MAX: Final = 16_384
_SHUN_S: Final = 0.5
_SHUN_S_MAX: Final = 5.0
_DOUBLINGS_MAX: Final = 10
_LINGER_S: Final = 1.0
"""How long `close` waits for what is still being told."""

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
        self._telling: set[asyncio.Task[bool]] = set()
        self._reader = 0
        self._shunned: dict[int, tuple[int, float]] = {}

    @property
    def n(self) -> int:
        """How many anchors there are."""
        return len(self.manifest.anchors)

    @property
    def quorum(self) -> int:
        """How many of them decide: as many as can be waited for."""
        return self.manifest.committee.quorum

    async def connection(self, anchor: int) -> Connection:
        """Return the open connection to an anchor. Raises `Unreachable`."""
        entry = self.manifest.anchors[anchor]
        return await self._pool.connection(
            entry.endpoint.address, entry.endpoint.port, entry.identity
        )

    # --- asking ---------------------------------------------------------------------------------------

    async def call(
        self, anchor: int, request: AnyRequest, *, timeout_s: float = CALL_TIMEOUT_S
    ) -> AnyReply:
        """Return one anchor's reply. Raises `Unreachable`; `Rejected` for a reply that makes no sense."""
        return await self.send(anchor, encode(request), timeout_s)

    async def send(self, anchor: int, body: bytes, timeout_s: float = CALL_TIMEOUT_S) -> AnyReply:
        """Do the same for a request that is encoded already."""
        self._check_sensible(anchor)
        try:
            async with asyncio.timeout(timeout_s):  # to get a connection may take long, too
                connection = await self.connection(anchor)
                answer = await connection.call(body, timeout_s=timeout_s)
        except TimeoutError:
            problem = f"anchor {anchor} of {self.manifest.name} did not answer in {timeout_s:g} s"
            raise Unreachable(problem) from None
        try:
            return decode_reply(answer)
        except Rejected:
            self._shun(anchor)
            raise

    def _check_sensible(self, anchor: int) -> None:
        """Raise `Unreachable` while an anchor is shunned."""
        _, until = self._shunned.get(anchor, (0, 0.0))
        left_s = until - asyncio.get_running_loop().time()
        if left_s > 0:
            name = self.manifest.name
            raise Unreachable(
                f"anchor {anchor} of {name} answers nonsense; asked in {left_s:.1f} s"
            )

    def _shun(self, anchor: int) -> None:
        """Ask an anchor whose answer was no reply ever more rarely: to look at nonsense costs time."""
        times, _ = self._shunned.get(anchor, (0, 0.0))
        pause_s = min(_SHUN_S * 2 ** min(times, _DOUBLINGS_MAX), _SHUN_S_MAX)
        self._shunned[anchor] = (times + 1, asyncio.get_running_loop().time() + pause_s)

    async def ask_each(
        self,
        request: AnyRequest,
        take: Callable[[int, AnyReply], bool],
        *,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        """Ask all anchors at once and give each reply to `take` as it comes, until that returns True: enough.

        Whoever fails, or answers what is no reply, is passed over; so is a reply that `take` raises a
        `SojournError` for: one anchor lied. Cancels what is not answered by then.
        """
        body = encode(request)
        calls = (self._answer(anchor, body, timeout_s) for anchor in range(self.n))
        await self._hear_each(calls, take)

    async def ask_past(
        self,
        agent: bytes,
        take: Callable[[int, Past], bool],
        *,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        """Do the same for an agent's past, of which each anchor tells all chapters, page after page.

        The timeout is for each page. An anchor whose pages make no sense, or have no end, is passed over.
        """
        calls = (self._past_in_time(anchor, agent, timeout_s) for anchor in range(self.n))
        await self._hear_each(calls, take)

    async def _past_in_time(
        self, anchor: int, agent: bytes, timeout_s: float
    ) -> tuple[int, Past | None]:
        """Return what an anchor tells of an agent's past; None if it does not come to an end."""
        try:
            async with asyncio.timeout(_PAST_TIMEOUT_S):
                return await self._past(anchor, agent, timeout_s)
        except TimeoutError:
            return anchor, None

    async def _past(self, anchor: int, agent: bytes, timeout_s: float) -> tuple[int, Past | None]:
        """Return what an anchor tells of an agent's past, all chapters in one; None if that makes no sense."""
        chapters: list[Chapter] = []
        term = 0
        while True:
            body = encode(AskPast(agent=agent, from_term=term))
            _, reply = await self._answer(anchor, body, timeout_s)
            if not isinstance(reply, Past):
                return anchor, None
            chapters += reply.chapters
            if reply.next_term is None:
                return anchor, msgspec.structs.replace(reply, chapters=tuple(chapters))
            if not reply.chapters or reply.next_term <= term or len(chapters) > CHAPTERS_MAX:
                return anchor, None
            term = reply.next_term

    async def _hear_each(
        self,
        asking: Iterable[Coroutine[Any, Any, tuple[int, Any]]],
        take: Callable[[int, Any], bool],
    ) -> None:
        calls = [asyncio.create_task(asked) for asked in asking]
        try:
            for call in asyncio.as_completed(calls):
                anchor, reply = await call
                if reply is not None and self._takes(take, anchor, reply):
                    return
        finally:
            await ended(calls)

    async def _answer(
        self, anchor: int, body: bytes, timeout_s: float
    ) -> tuple[int, AnyReply | None]:
        try:
            return anchor, await self.send(anchor, body, timeout_s)
        except SojournError as error:
            log.debug("no answer", zone=self.manifest.name, anchor=anchor, problem=str(error))
            return anchor, None

    def _takes(self, take: Callable[[int, Any], bool], anchor: int, reply: AnyReply) -> bool:
        try:
            return take(anchor, reply)
        except SojournError as error:
            log.warning(
                "a false answer", zone=self.manifest.name, anchor=anchor, problem=str(error)
            )
            return False

    async def ask_all(
        self,
        request: AnyRequest,
        kind: type[R],
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        enough: int | None = None,
    ) -> dict[int, R]:
        """Return the replies of that kind, by anchor; anchors that fail or answer otherwise are left out.

        With `enough`, returns as soon as there are so many: then one that hangs costs no time.
        """
        replies: dict[int, R] = {}

        def take(anchor: int, reply: AnyReply) -> bool:
            if isinstance(reply, kind):
                replies[anchor] = reply
            return len(replies) == enough

        await self.ask_each(request, take, timeout_s=timeout_s)
        return dict(sorted(replies.items()))

    async def ask_any(
        self, request: AnyRequest, kind: type[R], *, timeout_s: float = CALL_TIMEOUT_S
    ) -> R:
        """Return the first reply of that kind, asking one anchor after another. Raises `Unreachable`.

        Nobody vouches for it: ask so only for what proves itself, or may be false without harm.
        """
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

    def tell_all(self, request: AnyRequest, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        """Tell all anchors, in the background. One that misses it must be able to learn of it otherwise."""
        body = encode(request)
        for anchor in range(self.n):
            self._tell(self._told(anchor, body, timeout_s))

    async def _told(self, anchor: int, body: bytes, timeout_s: float) -> bool:
        _, reply = await self._answer(anchor, body, timeout_s)
        return isinstance(reply, Applied)

    def _tell(self, work: Coroutine[Any, Any, bool]) -> asyncio.Task[bool]:
        task = asyncio.create_task(work)
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
        return task

    async def close(self) -> None:
        """Give what is being told a moment to arrive, then let go of it."""
        if self._telling:
            await asyncio.wait(self._telling, timeout=_LINGER_S)
            await ended(self._telling)

    # --- deciding -------------------------------------------------------------------------------------

    async def decide(
        self,
        proposer: Proposer,
        blocks: BlockSource,
        *,
        bring: Bring | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
        until_applied: bool = False,
    ) -> Certified:
        """Drive a proposer to its outcome and return what was decided.

        Anchors that lack blocks are given them from `blocks`, into which `bring` puts what is not at hand. The
        certificate is spread to all anchors in the background; with `until_applied` this waits until a quorum
        has applied it, as whoever needs a lease on the new fence next must. Raises `Overtaken` if another value
        won, `Stalled` if a quorum is out of reach or the time is up; votes that were given in vain are shown to all
        anchors then, for one of them may have voted for something else as well.
        """
        following = await Drive(self, proposer, blocks, bring).run(timeout_s)
        decided = proposer.decided
        if proposer.progress is Progress.WON and decided is not None:
            shown = [
                self._tell(self._show(proposer, step))
                for step in following
                if isinstance(step, Send)
            ]
            if until_applied:
                await self._is_quorum(shown, timeout_s)
            return decided
        if proposer.in_vain:
            self.tell_all(ShowVotes(votes=proposer.in_vain))
        if proposer.progress is Progress.OVERTAKEN and decided is not None:
            raise Overtaken(decided)
        problem = f"{self.manifest.name} could not decide: {proposer.describe()}"
        raise Stalled(problem, declined=dict(proposer.declined))

    async def _show(self, proposer: Proposer, step: Send) -> bool:
        """Show a decision to an anchor, and what it lacks to apply it; tell whether it has."""
        _, reply = await self._answer(step.anchor, encode(step.request), CALL_TIMEOUT_S)
        if isinstance(reply, Need):
            for more in proposer.heard(step.anchor, reply):
                assert isinstance(more, Send)
                body = encode(more.request)
                _, reply = await self._answer(step.anchor, body, CALL_TIMEOUT_S)
        return isinstance(reply, Applied)

    async def _is_quorum(self, telling: Collection[asyncio.Task[bool]], timeout_s: float) -> bool:
        """Wait until a quorum has done as it was told, and no longer; tell whether it has, in time."""
        count = 0
        try:
            for done in asyncio.as_completed(telling, timeout=timeout_s):
                count += await done
                if count >= self.quorum:
                    return True
        except TimeoutError:
            pass
        return False

    # --- blocks ---------------------------------------------------------------------------------------

    async def upload(
        self,
        anchor: int,
        roots: Iterable[bytes],
        blocks: BlockSource,
        bring: Bring | None = None,
    ) -> int:
        """Store all blocks under `roots` with an anchor, children first; return how many bytes it lacked.

        `bring`, if given, is asked to put blocks into `blocks` before they are read.
        """
        uploading = Uploading(
            partial(self._missing, anchor),
            partial(self.put, anchor),
            blocks,
            bring,
            batch_bytes=_BATCH_BYTES,
        )
        return await uploading.run(roots)

    async def _missing(self, anchor: int, digests: Sequence[bytes]) -> list[bytes]:
        """Return which of these blocks an anchor lacks."""
        lacking: set[bytes] = set()
        for start in range(0, len(digests), _ASK_DIGESTS_MAX):
            part = tuple(digests[start : start + _ASK_DIGESTS_MAX])
            reply = await self.call(anchor, AskMissing(digests=part))
            lacking.update(_expect(reply, Missing).digests)
        return [named for named in digests if named in lacking]

    async def put(self, anchor: int, blocks: Iterable[bytes]) -> int:
        """Store blocks, children first, with an anchor; return how many bytes they have."""
        batch: list[bytes] = []
        total = size = 0
        for data in blocks:
            if batch and (size + len(data) > _BATCH_BYTES or len(batch) == _BATCH_BLOCKS):
                await self._put_batch(anchor, batch)
                batch, size = [], 0
            batch.append(data)
            size += len(data)
            total += len(data)
        if batch:
            await self._put_batch(anchor, batch)
        return total

    async def put_all(self, blocks: Sequence[bytes]) -> None:
        """Store blocks, children first, with all anchors; return when a quorum has them.

        The others get them in the background. Raises `Failed` if a quorum cannot take them.
        """
        telling = [self._tell(self._is_put(anchor, blocks)) for anchor in range(self.n)]
        if not await self._is_quorum(telling, _PUT_TIMEOUT_S):
            raise Failed(f"too few anchors of {self.manifest.name} take the memory")

    async def _is_put(self, anchor: int, blocks: Sequence[bytes]) -> bool:
        try:
            await self.put(anchor, blocks)
        except SojournError as error:
            log.warning("blocks not stored", anchor=anchor, problem=str(error))
            return False
        return True

    async def _put_batch(self, anchor: int, batch: list[bytes]) -> None:
        put = PutBlocks(blocks=tuple(batch))
        reply = await self.call(anchor, put, timeout_s=_PUT_TIMEOUT_S)
        if not isinstance(reply, Applied):
            said = reply.problem if isinstance(reply, Declined) else type(reply).__name__
            raise Refused(f"anchor {anchor} of {self.manifest.name} takes no blocks: {said}")

    async def fetch(self, digests: Sequence[bytes]) -> list[bytes]:
        """Return blocks from whichever anchors have them, each one that was asked for.

        What no reply had room for is left out: ask again. Raises `Unreachable` if some are nowhere.
        """
        found: list[bytes] = []
        for start in range(0, len(digests), _FETCH_BLOCKS):
            found += await self._fetch(digests[start : start + _FETCH_BLOCKS])
        return found

    async def _fetch(self, digests: Sequence[bytes]) -> list[bytes]:
        """Ask anchors in turn for what those before did not give, beginning with the last that gave some."""
        fetching = Fetching(digests, self._ask_blocks)
        await fetching.run([(self._reader + turn) % self.n for turn in range(self.n)])
        if fetching.giver is None:
            named = digests[0].hex()[:16]
            raise Unreachable(f"no anchor of {self.manifest.name} has block {named}…")
        self._reader = fetching.giver
        return list(fetching.found.values())

    async def _ask_blocks(self, anchor: int, digests: tuple[bytes, ...]) -> dict[bytes, bytes]:
        """Return blocks of one anchor, those that are what was asked for."""
        body = encode(AskBlocks(digests=digests))
        _, reply = await self._answer(anchor, body, _FETCH_TIMEOUT_S)
        given = reply.blocks if isinstance(reply, Blocks) else ()
        named = {digest(data): data for data in given}
        return {key: data for key, data in named.items() if key in digests}


def _expect(reply: AnyReply, kind: type[R]) -> R:
    """Return a reply of that kind. Raises `Refused` for a decline, `Rejected` for anything else."""
    if isinstance(reply, kind):
        return reply
    if isinstance(reply, Declined):
        raise Refused(reply.problem)
    raise Rejected(f"answered with a {type(reply).__name__}", reason="wrong-kind", where="reply")
