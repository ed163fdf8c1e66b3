"""Gathering what was decided of an agent, version by version, from the zones that decided it.

A zone knows what it decided itself. One that does not answer leaves a gap, and so does an anchor that was away:
what is missing shows in the versions, and an auditor is told of it.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sojourn.cli.reach import ASK_TIMEOUT_S, Reach
from sojourn.core.agent.governance import Document
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected, SojournError
from sojourn.core.protocol.capsule import Capsule
from sojourn.core.protocol.custody import Certified, Chapter, check_head
from sojourn.core.protocol.decided import decided, order_behind
from sojourn.core.protocol.exchange import AskPast, Past
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["gather_history", "gather_versions"]

_PAGE: Final = 512


async def gather_history(
    reach: Reach, capsule: Capsule, documents: Sequence[Document]
) -> tuple[list[Certified], list[SignedOrder]]:
    """Return what was decided between the ends of an agent's terms, and the orders carried out, oldest first.

    Only what is certified, and sealed by enough officers, is taken; what no anchor knows, or says, is left out.
    """
    by_digest = {digest_of(document): document for document in documents}
    manifests = {signed.manifest.zone_id: signed.manifest for signed in capsule.manifests}
    history: list[Certified] = []
    orders: list[SignedOrder] = []
    for chapter in capsule.chapters:
        term = _Term(reach, manifests, chapter, chapter.closed or capsule.head)
        await term.ask()
        history += term.decided
        behind = (order_behind(done, term.orders, by_digest) for done in (*term.decided, term.last))
        orders += [order for order in behind if order is not None]
    return history, orders


async def gather_versions(reach: Reach, capsule: Capsule, first: int, last: int) -> list[Certified]:
    """Return what was decided of an agent from version `first` to `last`, oldest first, as far as zones say so.

    Only what is certified is taken.
    """
    manifests = {signed.manifest.zone_id: signed.manifest for signed in capsule.manifests}
    history: list[Certified] = []
    for chapter in capsule.chapters:
        term = _Term(reach, manifests, chapter, chapter.closed or capsule.head)
        if chapter.opened.record.version <= last and term.last.record.version >= first:
            await term.ask(first, last)
            history += term.decided
    found = decided(capsule.chapters, history, capsule.head)
    return [each for each in found if first <= each.record.version <= last]


class _Term:
    """What a zone decided between the ends of one term of custody; `last` is the end."""

    def __init__(
        self,
        reach: Reach,
        manifests: Mapping[bytes, ZoneManifest],
        chapter: Chapter,
        last: Certified,
    ) -> None:
        """Know nothing yet of what lies between the opening of `chapter` and `last`."""
        self._reach, self._manifests, self._chapter = reach, manifests, chapter
        self._zone = manifests[chapter.opened.record.custody.zone]
        self._found: dict[int, Certified] = {}
        self.last = last
        self.orders: list[SignedOrder] = []

    @property
    def decided(self) -> list[Certified]:
        """What was found, oldest first."""
        return [self._found[version] for version in sorted(self._found)]

    async def ask(self, first: int = 0, last: int | None = None) -> None:
        """Ask all anchors, page after page, for as long as one of them knows more of versions `first` to `last`."""
        opened, end = self._chapter.opened.record.version, self.last.record.version
        from_version: int | None = max(opened + 1, first)
        until = end if last is None else min(end, last)
        while from_version is not None and from_version <= until:
            from_version = await self._page(from_version)

    async def _page(self, from_version: int) -> int | None:
        """Take in what the anchors say from a version on; return where the next page begins, if there is one."""
        ask = AskPast(
            agent=self.last.record.agent_id,
            from_term=None,
            from_version=from_version,
            limit=_PAGE,
        )
        client = self._reach.zone(self._zone)
        try:
            replies = await client.ask_all(ask, Past, timeout_s=ASK_TIMEOUT_S)
        except SojournError:
            return None
        furthest = from_version - 1
        for past in replies.values():
            self.orders += past.orders
            valid = [item.record.version for item in past.history if self._take(item, from_version)]
            furthest = max(furthest, max(valid, default=0))
        return furthest + 1 if furthest >= from_version else None

    def _take(self, item: Certified, from_version: int) -> bool:
        """Tell whether an item belongs into the term, from a version on; keep it if it lies between the ends."""
        version = item.record.version
        known = self._found.get(version)
        if known is None and version != self.last.record.version:
            try:
                check_head(self._chapter, item, self._manifests)
            except Rejected:
                return False
            if version < self.last.record.version:
                self._found[version] = item
        return version >= from_version
