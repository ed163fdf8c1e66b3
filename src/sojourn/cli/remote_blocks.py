"""Blocks of an agent's memory, read from the anchors that store them."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeVar

from sojourn.core.agent.memory.blocks import MissingBlock
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import SojournError, Unreachable
from sojourn.runtime.clients.zone_client import ZoneClient

__all__ = ["RemoteBlocks"]

T = TypeVar("T")

_BYTES_MAX: Final = 64 * 1024 * 1024


class RemoteBlocks:
    """Blocks that were fetched from zones, the least recently used dropped first; each is verified."""

    def __init__(self, bytes_max: int = _BYTES_MAX) -> None:
        """Begin with no block and no zone; keep so many bytes at most."""
        self._bytes_max = bytes_max
        self._zones: dict[bytes, ZoneClient] = {}
        self._blocks: OrderedDict[bytes, bytes] = OrderedDict()
        self._size = 0

    def ask(self, zone: ZoneClient) -> None:
        """From now on ask this zone first, and those before it after it."""
        zone_id = zone.manifest.zone_id
        others = {named: client for named, client in self._zones.items() if named != zone_id}
        self._zones = {zone_id: zone, **others}

    def get(self, named: bytes) -> bytes:
        """Return a block that is at hand. Raises `MissingBlock`."""
        data = self._blocks.get(named)
        if data is None:
            raise MissingBlock(named)
        self._blocks.move_to_end(named)
        return data

    async def read(self, what: Callable[[], T]) -> T:
        """Return what `what` returns, fetching the blocks that it misses on the way. Raises `Unreachable`."""
        while True:
            try:
                return what()
            except MissingBlock as missing:
                await self._fetch(missing.digest)

    async def _fetch(self, named: bytes) -> None:
        for zone in self._zones.values():
            try:
                found = await zone.fetch([named])
            except SojournError:
                continue
            for data in found:
                self._keep(data)
            if named in self._blocks:
                return
        raise Unreachable(
            f"no zone that was asked has block {named.hex()[:16]}…",
            remedy="It may be of a version that is older than what the zone's anchors keep",
        )

    def _keep(self, data: bytes) -> None:
        named = digest(data)
        if named not in self._blocks:
            self._blocks[named] = data
            self._size += len(data)
        while self._size > self._bytes_max and len(self._blocks) > 1:
            _, dropped = self._blocks.popitem(last=False)
            self._size -= len(dropped)
