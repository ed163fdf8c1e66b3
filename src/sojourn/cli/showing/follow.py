"""Following one agent from outside, by certificates: where it is, how far it is, what it remembers."""

from collections.abc import Callable
from typing import Final, TypeVar

from sojourn.cli.reach import ASK_TIMEOUT_S, Reach
from sojourn.core.agent.memory.blocks import MissingBlock
from sojourn.core.agent.memory.log import Log
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Rejected, SojournError, Unreachable
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import AskPast, Past
from sojourn.core.protocol.messages import AskHead, Head
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["Follower"]

_PAGE: Final = 256

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
            client = self._reach.zone(self.zone)
            heads = await client.ask_all(
                AskHead(agent=self.agent), Head, timeout_s=ASK_TIMEOUT_S, enough=client.quorum
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
        if certified.record.agent_id != self.agent:
            return False
        try:
            certified.check(self._manifests)
        except Rejected:
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
        """Return every decided transition that any zone still has, by version; what holds, of what is shown."""
        found: dict[int, Certified] = {}
        for manifest in self._manifests.values():
            start: int | None = 0
            while start is not None:
                start = await self._add_page(manifest, start, found)
        return [found[version] for version in sorted(found)]

    async def _add_page(
        self, manifest: ZoneManifest, start: int, found: dict[int, Certified]
    ) -> int | None:
        """Add what a zone's anchors show from a version on; return from where to ask on, None at the end.

        Each has missed other decisions, and one reply does not hold all: so from where the shortest one ended.
        """
        ends: list[int] = []

        def take(_anchor: int, reply: object) -> bool:
            if isinstance(reply, Past):
                for item in reply.history:
                    self._check_own(item, manifest)
                    found[item.record.version] = item
                ends.extend(item.record.version for item in reply.history[-1:])
            return False

        ask = AskPast(agent=self.agent, from_term=None, from_version=start, limit=_PAGE)
        await self._reach.zone(manifest).ask_each(ask, take, timeout_s=ASK_TIMEOUT_S)
        return max(min(ends), start) + 1 if ends else None

    def _check_own(self, item: Certified, manifest: ZoneManifest) -> None:
        """Raise `Rejected` unless a zone has decided this about this agent."""
        if item.record.agent_id != self.agent:
            raise Rejected("a transition of another agent", reason="wrong-agent", where="history")
        item.check({manifest.zone_id: manifest})
