"""A disk that makes writes durable a while after they were made, in their order, and forgets the rest in a crash.

A write is atomic, as a commit of the store is. What waits while the disk is being forced becomes the next group.
"""

from collections.abc import Callable
from typing import NamedTuple

from sojourn.core.protocol.custody import Chapter
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.quorum.votes import Vote
from sojourn.testing.schedules.simulator import Node

__all__ = ["Content", "Disk", "Write"]


class Content:
    """What a disk holds of an anchor: dossiers, chapters, the names of blocks, what it saw, and its counter."""

    __slots__ = ("blocks", "chapters", "counter", "dossiers", "seen")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.dossiers: dict[bytes, Dossier] = {}
        self.chapters: dict[tuple[bytes, int], Chapter] = {}
        self.blocks: set[bytes] = set()
        self.seen: dict[int, Vote] = {}
        self.counter = 0

    def copy(self) -> "Content":
        """Return a copy that later writes do not change."""
        copied = Content()
        copied.dossiers, copied.chapters = dict(self.dossiers), dict(self.chapters)
        copied.blocks, copied.seen = set(self.blocks), dict(self.seen)
        copied.counter = self.counter
        return copied

    def take(self, write: "Write") -> None:
        """Apply a write."""
        if write.dossier is not None:
            self.dossiers[write.dossier.agent] = write.dossier
        for chapter in write.chapters:
            record = chapter.opened.record
            self.chapters[record.agent_id, record.custody.term] = chapter
        self.blocks.update(write.blocks)
        self.counter = max(self.counter, write.counter)


class Write(NamedTuple):
    """What is made durable at once, and what is done then."""

    dossier: Dossier | None
    chapters: tuple[Chapter, ...]
    blocks: tuple[bytes, ...]
    counter: int
    then: Callable[[], None]


class Disk:
    """The disk of one node."""

    def __init__(self, node: Node, content: Content) -> None:
        """Begin with some content, all of it durable."""
        self.node, self.content = node, content
        self.force_ms = (0.5, 2.0)
        self.copies: list[Content] = []
        """Old copies that somebody made."""
        self._waiting: list[Write] = []
        self._is_forcing = False

    def write(self, write: Write) -> None:
        """Make a write; `then` is called once it is durable, if the process lives so long."""
        self._waiting.append(write)
        if not self._is_forcing:
            self._force()

    def _force(self) -> None:
        group, self._waiting = self._waiting, []
        self._is_forcing = True
        least, most = self.force_ms
        delay_ms = least + (most - least) * self.node.luck()
        self.node.after(delay_ms, lambda: self._forced(group))
        self._under_way = group

    def _forced(self, group: list[Write]) -> None:
        for write in group:
            self.content.take(write)
        self._is_forcing, self._under_way = False, []
        if self._waiting:
            self._force()
        for write in group:
            write.then()

    _under_way: list[Write] = []

    def crash(self) -> None:
        """Lose what is not durable: of the writes under way, the first so many got through."""
        under_way = [*self._under_way, *self._waiting]
        for write in under_way[: self.node.chance.randint(0, len(under_way))]:
            self.content.take(write)
        self._waiting, self._under_way, self._is_forcing = [], [], False

    def keep_copy(self) -> None:
        """Have somebody copy the disk."""
        self.copies.append(self.content.copy())

    def restore(self) -> None:
        """Put an old copy in the place of what is there."""
        self.content = self.copies[-1].copy()
