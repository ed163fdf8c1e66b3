"""An agent's history: what was decided, version by version, and what its journal holds since each."""

from typing import Final

import msgspec

from sojourn.cli.exporting import evidence_of
from sojourn.cli.finding import Found, find_named
from sojourn.cli.gathering import gather_versions
from sojourn.cli.home import Home
from sojourn.cli.journal_lines import JournalLine, journal_length, journal_lines
from sojourn.cli.reach import Reach
from sojourn.cli.remote_blocks import RemoteBlocks
from sojourn.cli.watching import told_of
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Misused, Unreachable
from sojourn.core.protocol.custody import Certified
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["PAGE_MAX", "Page", "VersionShown", "history_page"]

PAGE_MAX: Final = 10_000
"""Versions that are asked for at once."""


class VersionShown(msgspec.Struct, frozen=True, kw_only=True):
    """One certified version, and the records that the journal has since it, and had not before.

    `at_ms` is its author's time (milliseconds since 1970). `journal` says how long the journal is from then on, None
    if no anchor that was asked gives its blocks any more; then there are no records.
    """

    version: int
    kind: str
    at_ms: int
    zone: str
    zone_name: str
    term: int
    binding: int
    record: str
    text: str
    journal: int | None = None
    records: tuple[JournalLine, ...] = ()


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some versions, oldest first, and the newest of all. The next page begins at `next`, if there is one."""

    agent: str
    newest: int
    versions: tuple[VersionShown, ...]
    next: int | None


async def history_page(reach: Reach, home: Home, name: str, first: int, limit: int) -> Page:
    """Return up to `limit` versions of the agent with a local name from version `first` on, as zones certified them.

    A version that no anchor tells of is left out. Raises as `find`, `Misused` for a version that is none yet.
    """
    found = await find_named(reach, home, name)
    newest = found.record.version
    if first > newest:
        problem = f"{name} has no version {first}"
        raise Misused(problem, remedy=f"Its newest is {newest}")
    last = min(newest, first + limit - 1)
    evidence = await evidence_of(reach, home, found, with_history=False)
    decided = await gather_versions(reach, evidence, max(0, first - 1), last)
    zones = {signed.manifest.zone_id: signed.manifest for signed in evidence.manifests}
    pages = _Journals(reach, found, zones)
    shown = await pages.shown(decided)
    return Page(
        agent=cid_text(found.record.agent_id),
        newest=newest,
        versions=tuple(each for each in shown if each.version >= first),
        next=last + 1 if last < newest else None,
    )


class _Journals:
    """The journal of each version, read from whoever has its blocks."""

    def __init__(self, reach: Reach, found: Found, zones: dict[bytes, ZoneManifest]) -> None:
        self._found, self._zones = found, zones
        self._blocks = RemoteBlocks()
        for zone in (*zones.values(), found.zone):
            self._blocks.ask(reach.zone(zone))

    async def shown(self, decided: list[Certified]) -> list[VersionShown]:
        """Return versions with the records that are new in each. Of the first, only those of a genesis are known."""
        made: list[VersionShown] = []
        before = 0 if decided and decided[0].record.version == 0 else None
        for done in decided:
            length = await self._length(done)
            records: list[JournalLine] = []
            if before is not None and length is not None and length > before:
                records = await self._lines(before, length)
            before = length if length is not None else before
            made.append(self._version(done, length, tuple(records)))
        return made

    async def _length(self, done: Certified) -> int | None:
        try:
            return await journal_length(self._blocks, done.record.memory.journal)
        except Unreachable:
            return None

    async def _lines(self, start: int, stop: int) -> list[JournalLine]:
        try:
            return await journal_lines(self._blocks, self._found.record, start, stop)
        except Unreachable:
            return []

    def _version(
        self, done: Certified, length: int | None, records: tuple[JournalLine, ...]
    ) -> VersionShown:
        record, zone = done.record, done.certificate.slot.group
        return VersionShown(
            version=record.version,
            kind=str(done.transition.kind),
            at_ms=done.transition.at_ms,
            zone=cid_text(zone),
            zone_name=self._zones[zone].name,
            term=record.custody.term,
            binding=record.custody.binding,
            record=record.digest.hex(),
            text=told_of(done),
            journal=length,
            records=records,
        )
