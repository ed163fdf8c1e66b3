"""The shelf: an anchor's dossiers, chapters, history and places, as rows of its store.

dossier      agent                      Dossier
chapter      agent, term                Chapter
history      agent, version             Certified
place        zone                       SignedManifest
endorsement  digest                     SignedEndorsement
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

import structlog

from sojourn.core.agent.governance import Document
from sojourn.core.agent.memory.blocks import links
from sojourn.core.agent.trust import SignedEndorsement
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.errors import Rejected, SojournError, StoreFailed
from sojourn.core.base.limits import CAPSULE_BYTES_MAX, DOCUMENT_BYTES_MAX
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.dossier import Dossier, Ruling
from sojourn.core.protocol.gossip import News
from sojourn.core.zone.manifest import SignedManifest
from sojourn.runtime.store import Change, DeleteBlock, Put, PutBlock, Store

__all__ = ["Shelf", "StoredDocuments", "load_row", "row_key"]

log = structlog.get_logger("anchor")

_DOSSIERS_CACHED_MAX: Final = 4096
_DOCUMENTS_CACHED_MAX: Final = 512
_PAGE: Final = 128
"""Rows read at once."""

T = TypeVar("T")


class StoredDocuments(Mapping[bytes, Document]):
    """Policy documents by digest, found among the blocks."""

    def __init__(self, shelf: "Shelf") -> None:
        self._shelf = shelf
        self._cache: OrderedDict[bytes, Document] = OrderedDict()

    def __getitem__(self, named: bytes) -> Document:
        known = self._cache.get(named)
        if known is None:
            data = self._shelf.block(named)
            if data is None:
                raise KeyError(named)
            known = decode(data, Document, what="document", limit=DOCUMENT_BYTES_MAX)
            self._cache[named] = known
            if len(self._cache) > _DOCUMENTS_CACHED_MAX:
                self._cache.popitem(last=False)
        return known

    def __contains__(self, named: object) -> bool:
        return named in self._cache or (
            isinstance(named, bytes) and self._shelf.block(named) is not None
        )

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._cache)

    def __len__(self) -> int:
        return len(self._cache)


class Shelf:
    """Typed reads, and the changes that a ruling makes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._dossiers: OrderedDict[bytes, Dossier] = OrderedDict()
        self._replacing: dict[bytes, Dossier] = {}
        self._damaged: set[bytes] = set()
        self.documents = StoredDocuments(self)

    # --- dossiers -------------------------------------------------------------------------------------

    def dossier(self, agent: bytes) -> Dossier:
        """Return what is known of an agent: an empty dossier if nothing is.

        While the next one is being written it is that one: nobody acts any more on what a ruling has changed.
        """
        replacing = self._replacing.get(agent)
        if replacing is not None:
            return replacing
        known = self._dossiers.get(agent)
        if known is None:
            data = self._store.get("dossier", agent)
            if data is None:
                return Dossier(agent=agent)  # not kept: strangers may ask about anything
            known = load_row(data, Dossier)
        self._keep(known)
        return known

    @contextmanager
    def replacing(self, dossier: Dossier) -> Iterator[None]:
        """Make this the dossier that is read from now on; while the block runs it is being written.

        If that fails it never counted. Who is cancelled waiting for it recalls nothing.
        """
        self._replacing[dossier.agent] = dossier
        is_written = True
        try:
            yield
        except SojournError:
            is_written = False
            raise
        finally:
            del self._replacing[dossier.agent]
            if is_written:
                self._keep(dossier)

    def _keep(self, dossier: Dossier) -> None:
        self._dossiers[dossier.agent] = dossier
        self._dossiers.move_to_end(dossier.agent)
        if len(self._dossiers) > _DOSSIERS_CACHED_MAX:
            self._dossiers.popitem(last=False)

    def dossiers(self, *, after: bytes = b"", limit: int = 1000) -> list[Dossier]:
        """Return dossiers in the order of their agents, from the store."""
        rows = self._store.scan("dossier", after=after, limit=limit)
        return [load_row(data, Dossier) for _, data in rows]

    def every_dossier(self) -> Iterator[Dossier]:
        """Yield all dossiers, in the order of their agents, a few at a time."""
        after = b""
        while page := self.dossiers(after=after, limit=_PAGE):
            yield from page
            after = page[-1].agent

    def count(self) -> int:
        """Return how many agents this anchor has ever known."""
        return self._store.count("dossier")

    # --- the past -------------------------------------------------------------------------------------

    def chapters(self, agent: bytes) -> list[Chapter]:
        """Return the chapters known of an agent, from genesis on."""
        rows = self._store.scan("chapter", prefix=agent, limit=100_000)
        return [load_row(data, Chapter) for _, data in rows]

    def history(
        self, agent: bytes, from_version: int, limit: int, bytes_max: int
    ) -> list[Certified]:
        """Return decided transitions from a version on, oldest first: as many as fit, at least one."""
        found: list[Certified] = []
        key = row_key(agent, from_version - 1) if from_version else agent
        while len(found) < limit:
            page = min(_PAGE, limit - len(found))
            rows = self._store.scan("history", prefix=agent, after=key, limit=page)
            for _, data in rows:
                bytes_max -= len(data)
                if found and bytes_max < 0:
                    return found
                found.append(load_row(data, Certified))
            if len(rows) < page:
                break
            key = rows[-1][0]
        return found

    # --- blocks ---------------------------------------------------------------------------------------

    def lacking(self, digests: Sequence[bytes]) -> list[bytes]:
        """Return which blocks are not stored; a stored block has all it links to."""
        missing = self._store.missing_blocks(digests)
        return [*missing, *(named for named in digests if named in self._damaged)]

    def block(self, named: bytes) -> bytes | None:
        """Return a block's bytes, verified; None if it is not stored.

        One that is damaged is not stored any more, and is taken in again from whoever puts it.
        """
        try:
            block = self._store.get_block(named)
        except StoreFailed as failure:
            if self._store.failed is not None:
                raise
            self._damaged.add(named)
            log.warning("a block is damaged", problem=str(failure))
            return None
        return block.data if block else None

    def block_changes(self, blocks: Sequence[bytes]) -> list[PutBlock | DeleteBlock]:
        """Return the changes that store these blocks, those that are stored left out.

        Raises `Rejected` if one comes before what it links to.
        """
        given: dict[bytes, bytes] = {}
        parents: dict[bytes, bytes] = {}
        for data in blocks:
            own = digest(data)
            parents |= {child: own for child in links(data) if child not in given}
            given[own] = data
        absent = self.lacking(list(parents))
        if absent:
            parent, child = parents[absent[0]].hex(), absent[0].hex()
            problem = f"block {parent[:16]}… links to {child[:16]}…, which is not stored"
            raise Rejected(problem, reason="missing-children", where="blocks")
        mended = self._damaged & given.keys()
        puts = [PutBlock(named, "dag-cbor", given[named]) for named in self.lacking(list(given))]
        self._damaged -= mended
        return [*map(DeleteBlock, mended), *puts]

    # --- what is written ------------------------------------------------------------------------------

    def changes_of(self, ruling: Ruling) -> list[Change]:
        """Return what a ruling writes."""
        changes: list[Change] = []
        if ruling.dossier is not None:
            changes.append(Put("dossier", ruling.dossier.agent, encode(ruling.dossier)))
        for chapter in ruling.chapters:
            record = chapter.opened.record
            key = row_key(record.agent_id, record.custody.term)
            changes.append(Put("chapter", key, encode(chapter)))
        if ruling.history is not None:
            record = ruling.history.record
            if ruling.history.certificate.slot.version == record.version:
                key = row_key(record.agent_id, record.version)
                changes.append(Put("history", key, encode(ruling.history)))
        return changes

    def places(self) -> News:
        """Return the manifests and endorsements kept from before."""
        manifests = self._store.scan("place", limit=100_000)
        endorsements = self._store.scan("endorsement", limit=100_000)
        return News(
            manifests=tuple(load_row(data, SignedManifest) for _, data in manifests),
            endorsements=tuple(load_row(data, SignedEndorsement) for _, data in endorsements),
        )

    def place_changes(self, news: News) -> list[Change]:
        """Return the changes that keep what was learned of places; envelopes expire and are not kept."""
        manifests = [Put("place", m.manifest.zone_id, encode(m)) for m in news.manifests]
        endorsed = [
            Put("endorsement", digest_of(e.endorsement), encode(e)) for e in news.endorsements
        ]
        return [*manifests, *endorsed]


def row_key(agent: bytes, number: int) -> bytes:
    """Return the key of an agent's row with a number: they stand in the order of the numbers."""
    return agent + number.to_bytes(8, "big")


def load_row(data: bytes, form: type[T]) -> T:
    """Return what a row of our own says. What cannot be decoded is damage, not a stranger's mistake."""
    try:
        return decode(data, form, what=form.__name__.lower(), limit=CAPSULE_BYTES_MAX)
    except Rejected as error:
        raise StoreFailed(f"a stored {form.__name__} cannot be read: {error}") from None
