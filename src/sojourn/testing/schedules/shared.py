"""What anchors have among their blocks: one table for all, and who stores what of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set

from sojourn.core.agent.governance import Document
from sojourn.core.base.encoding import digest_of
from sojourn.core.protocol.custody import Chapter
from sojourn.testing.schedules.scene import Scene

__all__ = ["Shared", "Stored", "lacking"]


class Shared:
    """What anchors find among their blocks, by digest: one table for all; who stores what, each knows itself."""

    def __init__(self, scene: Scene) -> None:
        """Begin with the scene's one policy document."""
        text = scene.document.document
        self.documents = {digest_of(text): text}
        self.chapters: dict[bytes, Chapter] = {}


class Stored(Mapping[bytes, Document]):
    """Those things of a table that an anchor has stored."""

    def __init__(self, table: Mapping[bytes, Document], blocks: set[bytes]) -> None:
        self._table, self._blocks = table, blocks

    def __getitem__(self, named: bytes) -> Document:
        if named not in self._blocks:
            raise KeyError(named)
        return self._table[named]

    def __iter__(self) -> Iterator[bytes]:
        return (named for named in self._table if named in self._blocks)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def lacking(blocks: Set[bytes], given: Sequence[bytes]) -> Callable[[Sequence[bytes]], list[bytes]]:
    """Return what tells which blocks are neither stored nor given."""
    return lambda named: [each for each in named if each not in blocks and each not in given]
