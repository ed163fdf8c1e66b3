"""Collecting: an anchor's blocks that only old versions of memory name, where its operator wants no more of them.

    mark      what the dossiers name, the newest versions, the blocks that are loose, and all below them
    find      the others: parents first, as many as there is room to remember, and only what is memory alone
    let go    they are loose from then on (`anchor.loose`), and go when nobody has asked for them for a while

Nothing of it is durable but what was removed. While it goes on, whatever is put, named or asked for is kept, with
all below it; what cannot be read stops it. What a resume needs is named by the newest version: the journal links to
memory as it was at the restart points.
"""

import asyncio
import secrets
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Iterable, Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import structlog

from sojourn.anchor.loose import Unnamed, roots_of
from sojourn.anchor.sweep import unhurried
from sojourn.core.agent.memory.blocks import links
from sojourn.core.agent.memory.kinds import is_memory_alone
from sojourn.core.base.errors import Failed
from sojourn.core.base.limits import LOOSE_KEPT_MS
from sojourn.core.protocol.dossier import Dossier
from sojourn.runtime.processes import clock

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Collecting"]

log = structlog.get_logger("anchor")

_FIRST_S: Final = LOOSE_KEPT_MS / 1000
"""After the start: who was putting blocks when the anchor stopped has put or asked for them again by then."""
_EVERY_S: Final = 24 * 3600.0
_FOUND_MAX: Final = 100_000
"""Blocks that one round lets go of: so many are remembered, some 300 bytes each."""
_MEANWHILE_MAX: Final = 1_000_000
"""Blocks that may be put, named or asked for in one round: more of them, and it is given up."""
_AT_ONCE: Final = 32
"""Blocks read in one turn of the event loop: two milliseconds or so."""
_BETWEEN_S: Final = 0.005
_PAGE: Final = 1024
_VERSIONS_AT_ONCE: Final = 64
_HISTORY_BYTES: Final = 4 * 1024 * 1024


class _Digests:
    """Digests, eight bytes of each by a secret hash: two that nobody can choose are taken for one in 2**64 cases."""

    def __init__(self) -> None:
        self._hashes, self._key = array("Q"), secrets.token_bytes(16)

    def _hash(self, named: bytes) -> int:
        hashed = blake2b(named, digest_size=8, key=self._key).digest()
        return int.from_bytes(hashed, "big")

    def add(self, digests: Iterable[bytes]) -> None:
        """Add digests. Call `sort` before `count`."""
        self._hashes.extend(map(self._hash, digests))

    def sort(self) -> None:
        """Be ready to count."""
        self._hashes = array("Q", sorted(self._hashes))

    def count(self, named: bytes) -> int:
        """Return how often a digest was added."""
        hashed = self._hash(named)
        return bisect_right(self._hashes, hashed) - bisect_left(self._hashes, hashed)


class Collecting:
    """What one anchor lets go of, if it is to keep but the newest `keep_versions` of each agent's memory."""

    def __init__(self, anchor: "Anchor", keep_versions: int | None) -> None:
        """Keep everything where `keep_versions` is None."""
        self._anchor, self._keep_versions = anchor, keep_versions
        self._reads, self._watched = 0, set[bytes]()

    async def run(self) -> None:
        """Collect, some while after the start and then once a day; sooner if there is more, for ever."""
        if self._keep_versions is None:
            return
        await asyncio.sleep(_FIRST_S)
        while True:
            has_more = await self._try()
            await asyncio.sleep(_FIRST_S if has_more else _EVERY_S)

    async def _try(self) -> bool:
        try:
            found = await self.round()
        except Failed as failure:
            log.warning("old memory is not collected now", problem=str(failure))
            return False
        log.info("let go of blocks that only old versions name", blocks=found)
        return found >= _FOUND_MAX

    async def round(self) -> int:
        """Let go of blocks that nothing names which is to be kept; return how many.

        Raises `StoreFailed`, and `Failed` for a block that is damaged: what is below it is not known; and where more
        is put and named meanwhile than can be remembered.
        """
        loose = self._anchor.shelf.loose
        with loose.watching() as watched:
            self._watched = watched
            live = await self._mark()
            found = await self._find(live)
            while watched:
                async for named in self._below(_drained(watched), but=live):
                    found.pop(named, None)
            loose.take_back(found.values(), clock.boot_ms())
        return len(found)

    # --- marking --------------------------------------------------------------------------------------

    async def _mark(self) -> _Digests:
        """Return what is named by what is to be kept, and all blocks that may be something else than memory."""
        live, shelf = _Digests(), self._anchor.shelf
        async for dossier in unhurried(shelf):
            live.add([named async for named in self._below(await self._roots(dossier))])
        others = [*shelf.loose, *self._anchor.mail.proofs()]
        live.add([named async for named in self._below(others)])
        live.sort()
        apart = [
            named
            async for named, data in self._others(live)
            if not is_memory_alone(data)  # protocol §14, trap 46: it may be named from anywhere
        ]
        live.add([named async for named in self._below(apart)])
        live.sort()
        return live

    async def _roots(self, dossier: Dossier) -> set[bytes]:
        roots = roots_of(dossier)
        assert self._keep_versions is not None
        head = dossier.head.record.version if dossier.head else 0
        version = max(0, head - self._keep_versions + 1)
        while version < head:
            past = self._anchor.shelf.history(
                dossier.agent, version, _VERSIONS_AT_ONCE, _HISTORY_BYTES
            )
            roots.update(root for each in past for root in each.record.memory.roots())
            if not past:
                break
            version = past[-1].record.version + 1
            await asyncio.sleep(_BETWEEN_S)
        return roots

    async def _below(
        self, roots: Iterable[bytes], but: _Digests | None = None
    ) -> AsyncIterator[bytes]:
        """Yield what is stored of some blocks and of all below them, but what is marked already."""
        seen, waiting = set[bytes](), list(roots)
        while waiting:
            named = waiting.pop()
            if named in seen or (but is not None and but.count(named)):
                continue
            seen.add(named)
            data = self._read(named)
            if data is not None:  # another zone has it, or it is on its way here
                yield named
                waiting += links(data)
                await self._pause()

    def _read(self, named: bytes) -> bytes | None:
        data = self._anchor.shelf.block(named)
        if data is None and self._anchor.shelf.is_damaged(named):
            problem = f"block {named.hex()} is damaged"
            raise Failed(problem, remedy="It is had again from the other anchors")
        return data

    async def _pause(self) -> None:
        self._reads += 1
        if len(self._watched) > _MEANWHILE_MAX:
            problem = f"more than {_MEANWHILE_MAX} blocks were put or named in one round"
            raise Failed(problem, remedy="It is tried again when the zone is less busy")
        if self._reads % _AT_ONCE == 0:
            await asyncio.sleep(_BETWEEN_S)

    # --- finding --------------------------------------------------------------------------------------

    async def _others(self, live: _Digests) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield the blocks that are not among those marked."""
        after = b""
        while page := self._anchor.shelf.block_names(after, _PAGE):
            for named in page:
                if not live.count(named) and (data := self._read(named)) is not None:
                    yield named, data
                    await self._pause()
            after = page[-1]
            await asyncio.sleep(0)

    async def _find(self, live: _Digests) -> dict[bytes, Unnamed]:
        """Return blocks that may go, those that link to others before these: with each all that links to it."""
        linked = _Digests()
        async for _, data in self._others(live):
            linked.add(links(data))
        linked.sort()
        found: dict[bytes, Unnamed] = {}
        met: dict[bytes, int] = {}
        async for top, _ in self._others(live):
            waiting = [] if linked.count(top) else [top]
            while waiting and len(found) < _FOUND_MAX:
                named = waiting.pop()
                stored = self._read(named)
                if stored is not None:
                    found[named] = Unnamed(named, len(stored), tuple(links(stored)))
                    waiting += self._ready(found[named].links, live, linked, met)
                    await self._pause()
        return found

    @staticmethod
    def _ready(
        below: Iterable[bytes], live: _Digests, linked: _Digests, met: dict[bytes, int]
    ) -> Iterator[bytes]:
        """Yield the blocks below one that was found of which all that links to them is found by now."""
        for named in below:
            if not live.count(named):
                met[named] = met.get(named, 0) + 1
                if met[named] == linked.count(named):
                    del met[named]
                    yield named


def _drained(watched: set[bytes]) -> list[bytes]:
    taken = list(watched)
    watched.clear()
    return taken
