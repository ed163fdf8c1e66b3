"""An agent as it was at an older version: what its zone certified then, and blocks of what it had."""

from collections.abc import Mapping, Sequence

from sojourn.cli.finding import Found
from sojourn.cli.gathering import gather_versions
from sojourn.cli.reach import Reach
from sojourn.cli.remote_blocks import RemoteBlocks
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.errors import Misused, Unreachable
from sojourn.core.protocol.capsule import Capsule
from sojourn.core.protocol.custody import Certified
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["RemoteReader", "blocks_of", "version_at"]

_BYTES_MAX = 1024 * 1024 * 1024
"""Blocks at hand at once: what a replay reads, or what is brought to another zone."""


class RemoteReader:
    """A record of an agent, and its blocks as anchors give them; each is asked for once."""

    def __init__(self, record: AgentRecord, blocks: RemoteBlocks) -> None:
        self.record, self.blocks = record, blocks

    async def fetch(self, digests: Sequence[bytes]) -> None:
        """Bring blocks to hand. Raises `Unreachable` for one that no anchor has."""
        for named in digests:
            await self.blocks.read(lambda named=named: self.blocks.get(named))  # type: ignore[misc]


async def version_at(reach: Reach, name: str, evidence: Capsule, version: int) -> Certified:
    """Return what was decided as a version of an agent, as its zone certified it.

    `evidence` is of its newest version. Raises `Misused` for a version that it has not; `Unreachable` if no anchor
    tells of that one any more.
    """
    newest = evidence.head
    if version > newest.record.version:
        problem = f"{name} has no version {version}"
        raise Misused(problem, remedy=f"Its newest is {newest.record.version}")
    for done in await gather_versions(reach, evidence, version, version):
        if done.record.version == version:
            return done
    problem = f"no anchor that was asked tells of version {version} of {name}"
    raise Unreachable(problem, remedy="Name another one: `sojourn agent history` lists them")


def blocks_of(reach: Reach, found: Found, zones: Mapping[bytes, ZoneManifest]) -> RemoteBlocks:
    """Return blocks of an agent, asked of the zone where it is, and then of others where it was."""
    blocks = RemoteBlocks(_BYTES_MAX)
    for zone in (*zones.values(), found.zone):
        blocks.ask(reach.zone(zone))
    return blocks
