"""Blocks that were put and that no record names yet: whose they are, and when they may go (protocol §10.11).

Anybody may put blocks: who moves or launches an agent puts them first, and is asked for who they are later. So
what nothing names has a share of the room for each who puts, and goes when nobody has asked for it for a while.

A block is loose only from a put by which it came to be stored. Whatever links to it was put after it (children go
first), so all its parents are known here:

    put ─► loose ─► named by a record, or linked to by a block that came with one: kept for good, with all below it
              └───► asked for by nobody, linked to by nothing: collected, and then what only it linked to

What was named and is no more may be loose again (`anchor.collecting`): with all that links to it.

Nothing of this is durable: what is loose when an anchor stops is kept, until it is collected as what old versions
name.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

from sojourn.core.agent.memory.blocks import links
from sojourn.core.base.errors import Refused
from sojourn.core.base.limits import LOOSE_KEPT_MS
from sojourn.core.protocol.dossier import Dossier
from sojourn.runtime.store import PutBlock

__all__ = ["Loose", "Share", "Unnamed", "roots_of"]

_OLD: Final = b"old"
"""The share of what was named once: it counts towards nobody's room."""
_WEIGHT_MIN: Final = 4096
"""What the smallest block counts for: to remember it costs memory as well."""


class Share(NamedTuple):
    """Whose share of the room loose blocks take, and how much of it there is."""

    name: bytes
    bytes_max: int


class Unnamed(NamedTuple):
    """A stored block that nothing names any more: its size in bytes, and what it links to."""

    digest: bytes
    size: int
    links: tuple[bytes, ...]


@dataclass(slots=True)
class _Block:
    share: bytes
    weight: int
    children: tuple[bytes, ...]
    asked_ms: int
    parents: int = 0


class Loose:
    """The loose blocks of one anchor, on the boot clock, the one asked for longest ago first."""

    def __init__(self) -> None:
        """Begin with none."""
        self._blocks: dict[bytes, _Block] = {}
        self._used: Counter[bytes] = Counter()
        self._watched: set[bytes] | None = None

    @contextmanager
    def watching(self) -> Iterator[set[bytes]]:
        """Have all that is put, named or asked for in the meantime be in a set, which may be emptied at any time."""
        assert self._watched is None, "one at a time"
        self._watched = set()
        try:
            yield self._watched
        finally:
            self._watched = None

    def _watch(self, digests: Iterable[bytes]) -> None:
        if self._watched is not None:
            self._watched.update(digests)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._blocks)

    def __len__(self) -> int:
        return len(self._blocks)

    def __contains__(self, named: object) -> bool:
        return named in self._blocks

    def check_room(self, puts: Sequence[PutBlock], share: Share) -> None:
        """Raise `Refused` if a share has no room for these blocks."""
        wanted, used = sum(_weight(put) for put in puts), self._used[share.name]
        if used + wanted > share.bytes_max:
            problem = f"{used} bytes of blocks that no record names are kept for those like you"
            raise Refused(f"{problem}, and {wanted} more are over the limit of {share.bytes_max}")

    def add(self, puts: Iterable[PutBlock], share: Share, now_ms: int) -> None:
        """Note blocks that are stored by this put and were not before, children first."""
        for put in puts:
            below = links(put.data)
            self._watch((put.digest, *below))
            if put.digest not in self._blocks:
                self._add(put.digest, share.name, _weight(put), below, now_ms)

    def take_back(self, unnamed: Iterable[Unnamed], now_ms: int) -> None:
        """Take in blocks that nothing else names or links to, parents first, as if they had just been put.

        They take nobody's share of the room.
        """
        for block in reversed(list(unnamed)):
            if block.digest not in self._blocks:
                self._add(block.digest, _OLD, block.size, block.links, now_ms)

    def _add(
        self, named: bytes, share: bytes, weight: int, below: Iterable[bytes], now_ms: int
    ) -> None:
        children = tuple(child for child in set(below) if child in self._blocks)
        for child in children:
            self._blocks[child].parents += 1
        self._blocks[named] = _Block(share, weight, children, now_ms)
        self._used[share] += weight

    def note_asked(self, digests: Iterable[bytes], now_ms: int) -> None:
        """Note that somebody was told that these blocks are stored, and may count on them now."""
        for named in digests:
            self._watch((named,))
            block = self._blocks.pop(named, None)
            if block is not None:
                block.asked_ms = now_ms
                self._blocks[named] = block

    def keep(self, roots: Iterable[bytes]) -> None:
        """Keep blocks for good, with all below them: a record names them from now on."""
        waiting = list(roots) if self._blocks or self._watched is not None else []
        self._watch(waiting)
        while waiting:
            block = self._blocks.pop(waiting.pop(), None)
            if block is not None:
                self._used[block.share] -= block.weight
                waiting.extend(block.children)

    def keep_below(self, puts: Iterable[PutBlock]) -> None:
        """Keep for good what blocks that came with a record link to."""
        if self._blocks or self._watched is not None:
            for put in puts:
                self._watch((put.digest,))
                self.keep(links(put.data))

    def due(self, now_ms: int, most: int) -> list[bytes]:
        """Return blocks that nothing links to and nobody has asked for in a long time."""
        found: list[bytes] = []
        for named, block in self._blocks.items():
            if len(found) == most or block.asked_ms + LOOSE_KEPT_MS > now_ms:
                break
            if not block.parents:
                found.append(named)
        return found

    def remove(self, digests: Iterable[bytes]) -> None:
        """Forget blocks that are being collected: nothing links to them, and they link to nothing any more."""
        for named in digests:
            block = self._blocks.pop(named)
            assert not block.parents, "whatever links to a block is stored"
            self._used[block.share] -= block.weight
            for child in block.children:
                if child in self._blocks:
                    self._blocks[child].parents -= 1


def _weight(put: PutBlock) -> int:
    return max(len(put.data), _WEIGHT_MIN)


def roots_of(dossier: Dossier) -> set[bytes]:
    """Return the blocks that a dossier names: of its records the policies, the code, and the roots of memory.

    The head, with what proves its policies, what is voted on or pending, what applies, with its chapters, and what
    has arrived (trap 46).
    """
    records = [dossier.head.record] if dossier.head else []
    records += [p.transition.record for p in dossier.open.proposals] if dossier.open else []
    records += [dossier.application.head.record] if dossier.application else []
    records += [dossier.arrival.arrive.departure.record] if dossier.arrival else []
    found = set[bytes]()
    if dossier.chapter:
        found.update(each.document for each in dossier.chapter.succession)
    if dossier.application:
        found.update(dossier.application.chapters, dossier.application.documents)
    for record in records:
        found.update(record.governance.named, record.memory.roots(), record.proofs)
        found.update(record.capabilities.codes)
    return found
