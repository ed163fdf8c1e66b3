"""What proves an agent's ancestors, from among the blocks that come with it, such as those of a capsule.

A block that names others comes before them (`core.protocol.capsule`), so that each is known for what it is when it
comes.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from sojourn.core.agent.governance import Document
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import decode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CHAPTER_BYTES_MAX, CHAPTERS_MAX, DOCUMENT_BYTES_MAX
from sojourn.core.protocol.chains import ChainMemo
from sojourn.core.protocol.custody import Chapter
from sojourn.core.protocol.kinship import Kin, Parent, family_zones, parents_of
from sojourn.core.protocol.parentage import Parentage, read_parentage
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["KinBlocks"]

T = TypeVar("T")


class KinBlocks:
    """The parentages, chapters and documents of one agent's ancestors; nothing for one that was launched."""

    def __init__(self, record: AgentRecord) -> None:
        """Wait for the blocks of what proves the agent of `record`."""
        self._awaited = set(record.proofs)
        self._parentages: dict[bytes, Parentage] = {}
        self._chapters: dict[bytes, Chapter | None] = {}
        self._documents: dict[bytes, Document | None] = {}

    @property
    def documents(self) -> dict[bytes, Document]:
        """The documents that have come, by digest."""
        return {named: item for named, item in self._documents.items() if item is not None}

    def take(self, named: bytes, data: bytes) -> Sequence[bytes]:
        """Take a block if it is part of it; return what it names that is. Raises `Rejected` for one that is none."""
        if named in self._awaited:
            parentage = self._parentages[named] = read_parentage(data)
            above = () if parentage.above is None else (parentage.above,)
            self._awaited.update(above)
            self._chapters |= dict.fromkeys(parentage.chapters)
            self._documents |= dict.fromkeys(parentage.documents)
            return (*parentage.chapters, *parentage.documents, *above)
        if named in self._chapters:
            self._chapters[named] = decode(data, Chapter, what="chapter", limit=CHAPTER_BYTES_MAX)
        elif named in self._documents:
            limit = DOCUMENT_BYTES_MAX
            self._documents[named] = decode(data, Document, what="document", limit=limit)
        return ()

    def among(self, manifests: Mapping[bytes, ZoneManifest], *, most: int = CHAPTERS_MAX) -> Kin:
        """Return where the proof is looked for, with the manifests of its zones; so many chapters at once."""
        return Kin(
            parentage=lambda named: _found(self._parentages, named),
            chapter=lambda named: _found(self._chapters, named),
            manifests=manifests,
            chains=ChainMemo(),
            most=most,
        )

    def parents(self, first: Chapter) -> list[Parent]:
        """Return the ancestors of the agent whose life `first` opened. Raises `Rejected` as `check_family`."""
        return parents_of(first, self.among({}))

    def zones(self, first: Chapter) -> set[bytes]:
        """Return the zones that decided what proves them."""
        return family_zones(first, self.among({}))


def _found(known: Mapping[bytes, T | None], named: bytes) -> T:
    found = known.get(named)
    if found is None:
        problem = f"block {cid_text(named)}, which proves an ancestor, is missing"
        raise Rejected(problem, reason="truncated", where="parentage")
    return found
