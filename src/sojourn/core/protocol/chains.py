"""Chains of custody that were checked before: a chapter is checked once, not for each visa of a life (protocol §5).

Whether a chain holds depends on whose it is, on its chapters, and on the manifests of the zones that decided them;
on nothing else. So the agent and the digests of the chapters name what was checked, and the manifests are kept
beside: with others it is checked again.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CHAPTERS_AT_ONCE
from sojourn.core.protocol.custody import Chapter, check_chapters, zones_in
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["ChainMemo", "check_onward"]

_BEGINNINGS_MAX: Final = 4096

Manifests = Mapping[bytes, ZoneManifest]


class ChainMemo:
    """Remembers the beginnings of chains that were checked, the `limit` used last (a few hundred bytes each).

    Not for use from several threads at once.
    """

    def __init__(self, limit: int = _BEGINNINGS_MAX) -> None:
        assert limit > 0
        self._limit = limit
        self._held: OrderedDict[bytes, Manifests] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, beginning: bytes) -> Manifests | None:
        """Return the manifests that a beginning of a chain was checked with, if it was."""
        known = self._held.get(beginning)
        if known is not None:
            self._held.move_to_end(beginning)
        return known

    def put(self, beginning: bytes, manifests: Manifests) -> None:
        """Remember a beginning that was checked, and forget the one unused for longest if there are too many."""
        self._held[beginning] = manifests
        self._held.move_to_end(beginning)
        if len(self._held) > self._limit:
            self._held.popitem(last=False)


def check_onward(
    agent: bytes,
    digests: Sequence[bytes],
    chapter: Callable[[int], Chapter],
    manifests: Manifests,
    memo: ChainMemo,
    *,
    most: int = CHAPTERS_AT_ONCE,
) -> bool:
    """Check up to `most` chapters beyond those known to hold; tell whether the whole chain does now.

    `digests` name the chapters, `chapter` returns one by its place. Raises `Rejected` as `check_chain` does, and
    what `chapter` raises.
    """
    if not digests:
        raise Rejected("the chain of custody is empty", reason="truncated", where="chapters")
    names = _beginnings(agent, digests)
    known, used = _known(names, manifests, memo)
    end = min(known + most, len(digests))
    if known < end:
        before = chapter(known - 1) if known else None
        part = [chapter(index) for index in range(known, end)]
        check_chapters(agent, before, part, manifests, start=known)
        used = {**used, **{zone: manifests[zone] for zone in zones_in(part)}}
        if (
            known < end - 1
        ):  # the last term is still open: when it is closed, its chapter is another
            memo.put(names[end - 1], used)
        memo.put(names[end], used)
    return end == len(digests)


def _beginnings(agent: bytes, digests: Sequence[bytes]) -> list[bytes]:
    """Return the name of each beginning of a chain, by how many chapters it has."""
    names = [digest(b"chain/1" + agent)]
    for named in digests:
        names.append(digest(names[-1] + named))
    return names


def _known(names: Sequence[bytes], manifests: Manifests, memo: ChainMemo) -> tuple[int, Manifests]:
    """Return how many chapters were checked with these manifests, and which of those it took."""
    for count in range(len(names) - 1, 0, -1):
        used = memo.get(names[count])
        if used is not None and all(manifests.get(zone) == used[zone] for zone in used):
            return count, used
    return 0, {}
