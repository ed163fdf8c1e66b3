"""Following one agent from outside, by certificates: where it is, how far it is, what it remembers."""

from collections.abc import Callable
from typing import TypeVar

from sojourn.cli.reach import ASK_TIMEOUT_S, Reach
from sojourn.core.agent.memory.blocks import MissingBlock
from sojourn.core.agent.memory.log import Log
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import SojournError, Unreachable
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import AskPast, Past
from sojourn.core.protocol.messages import AskHead, Head
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["Follower"]

T = TypeVar("T")


class Follower:
    """One agent, found again by the admission certificates of the zones it passed through."""

    def __init__(
        self, reach: Reach, manifests: dict[bytes, ZoneManifest], first: Certified
    ) -> None:
        """Begin where the agent was launched. `manifests` are those of the zones it may be in."""
        self._reach, self._manifests = reach, manifests
        self.newest = first
        self.agent = first.record.agent_id
        self._blocks: dict[bytes, bytes] = {}

    @property
    def zone(self) -> ZoneManifest:
        """Where the agent was last known to be."""
        return self._manifests[self.newest.record.custody.zone]

    async def look(self) -> Certified:
        """Return the newest certified transition, following the agent if it has moved."""
        for _ in range(len(self._manifests) + 1):
            heads = await self._reach.zone(self.zone).ask_all(
                AskHead(agent=self.agent), Head, timeout_s=ASK_TIMEOUT_S
            )
            moved = False
            for head in heads.values():
                moved = self._take(head.certified) | self._take(head.onward) | moved
            if not moved:
                break
        return self.newest

    def _take(self, certified: Certified | None) -> bool:
        """Take a transition that proves to be newer; tell whether it names another zone."""
        if certified is None or certified.record.version <= self.newest.record.version:
            return False
        try:
            certified.check(self._manifests)
        except SojournError:
            return False
        before, self.newest = self.zone, certified
        return self.zone is not before

    async def length(self, compartment: str) -> int:
        """Return how many values a log compartment of the newest record has."""
        root = self.newest.record.memory.compartments[compartment].root
        return len(await self.with_blocks(lambda: Log.load(root, self)))

    def get(self, named: bytes) -> bytes:
        """Return a block that was fetched. Raises `MissingBlock`."""
        if named not in self._blocks:
            raise MissingBlock(named)
        return self._blocks[named]

    async def with_blocks(self, read: Callable[[], T]) -> T:
        """Return what `read` gives, fetching what it misses from wherever the agent is or was."""
        while True:
            try:
                return read()
            except MissingBlock as missing:
                await self._fetch(missing.digest)

    async def _fetch(self, named: bytes) -> None:
        for manifest in (self.zone, *self._manifests.values()):
            try:
                found = await self._reach.zone(manifest).fetch([named])
            except SojournError:
                continue
            self._blocks |= {digest(data): data for data in found}
            if named in self._blocks:
                return
        raise Unreachable(f"no zone has block {named.hex()[:16]}…")

    async def history(self) -> list[Certified]:
        """Return every decided transition that any zone still has, by version."""
        found: dict[int, Certified] = {}
        for manifest in self._manifests.values():
            client = self._reach.zone(manifest)
            start = 0
            while True:
                ask = AskPast(agent=self.agent, from_version=start, limit=256)
                pasts = await client.ask_all(ask, Past, timeout_s=ASK_TIMEOUT_S)
                page = max((past.history for past in pasts.values()), key=len, default=())
                found |= {item.record.version: item for item in page}
                if len(page) < ask.limit:
                    break
                start = page[-1].record.version + 1
        return [found[version] for version in sorted(found)]
