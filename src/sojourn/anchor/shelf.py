"""The shelf: an anchor's dossiers, chapters, history, places and orders, as rows of its store.

dossier      agent                      Dossier
slip         agent                      Slip (`anchor.slips`)
chapter      agent, term                Chapter
history      agent, version             Certified
order        agent, version             SignedOrder
place        zone                       SignedManifest
endorsement  digest                     SignedEndorsement
order        digest                     SignedOrder
successor    digest                     SignedDocument
head         digest                     SignedHead
revocation   digest                     SignedRevocation
proof        culprit                    Fraud
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from typing import Any, Final, TypeVar, overload

import structlog

from sojourn.anchor.loose import Loose, Share, roots_of
from sojourn.anchor.slips import Slip, agents_with_slips, slip_changes
from sojourn.anchor.stored import KnownStored, StoredBlocks
from sojourn.core.agent.governance import Document, SignedDocument
from sojourn.core.agent.heads import SignedHead
from sojourn.core.agent.memory.blocks import links
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.revocations import SignedRevocation
from sojourn.core.agent.trust import SignedEndorsement
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import Value, decode, digest_of, encode
from sojourn.core.base.errors import Rejected, SojournError, StoreFailed
from sojourn.core.base.limits import (
    CAPSULE_BYTES_MAX,
    CHAPTER_BYTES_MAX,
    CHAPTERS_MAX,
    DOCUMENT_BYTES_MAX,
)
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.dossier import Dossier, Ruling
from sojourn.core.protocol.gossip import News
from sojourn.core.protocol.parentage import read_parentage
from sojourn.core.quorum.fraud import Fraud
from sojourn.core.zone.manifest import SignedManifest
from sojourn.runtime.store import (
    CHANGES_MAX,
    COMMIT_BYTES_MAX,
    Change,
    Delete,
    DeleteBlock,
    Put,
    PutBlock,
    Store,
)

__all__ = ["Shelf", "load_row", "row_key"]

log = structlog.get_logger("anchor")

_DOSSIERS_CACHED_MAX: Final = 4096
_DOCUMENTS_CACHED_MAX: Final = 512
_CHAPTERS_CACHED_MAX: Final = 64
_CHAPTERS_AT_ONCE: Final = COMMIT_BYTES_MAX // (2 * CHAPTER_BYTES_MAX)
"""Chapters in one commit, which may be as large as chapters get."""
_CHAPTERS_CHANGED: Final = 2
"""The term that a decision closes, and the one it opens."""
_TOLD: Final = ("place", "endorsement", "order", "successor", "head", "revocation", "proof")
"""Tables of what others told."""
_REMOVED_AT_ONCE: Final = CHANGES_MAX // 4
_PAGE: Final = 128
"""Rows read at once."""

T = TypeVar("T")


def _document(data: bytes) -> Document:
    return decode(data, Document, what="document", limit=DOCUMENT_BYTES_MAX)


def _chapter(data: bytes) -> Chapter:
    return decode(data, Chapter, what="chapter", limit=CHAPTER_BYTES_MAX)


class Shelf:
    """Typed reads, and the changes that a ruling makes."""

    def __init__(self, store: Store) -> None:
        self._store, self._stored = store, KnownStored(store)
        self._dossiers: OrderedDict[bytes, Dossier] = OrderedDict()
        self._replacing: dict[bytes, Dossier] = {}
        self._damaged: set[bytes] = set()
        self._on_damage: Callable[[bytes], None] | None = None
        self._leaving: set[bytes] = set()
        self.loose = Loose()
        self._placed: dict[str, set[bytes]] = {table: set() for table in _TOLD}
        self.documents = StoredBlocks(self.block, _document, cached=_DOCUMENTS_CACHED_MAX)
        self.shown_chapters = StoredBlocks(self.block, _chapter, cached=_CHAPTERS_CACHED_MAX)
        self.parentages = StoredBlocks(self.block, read_parentage, cached=_CHAPTERS_CACHED_MAX)

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

    def newest(self, agent: bytes) -> AgentRecord | None:
        """Return the newest record of an agent that is known here."""
        head = self.dossier(agent).head
        return None if head is None else head.record

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

    def agents_with_slips(self) -> Iterator[tuple[bytes, Slip | None]]:
        """Yield each agent, and the slip that is of its very dossier, if there is one. No dossier is read."""
        return agents_with_slips(self._store, lambda data: load_row(data, Slip))

    def count(self) -> int:
        """Return how many agents this anchor has ever known."""
        return self._store.count("dossier")

    # --- the past -------------------------------------------------------------------------------------

    def chapters(
        self,
        agent: bytes,
        from_term: int = 0,
        limit: int = CHAPTERS_MAX,
        bytes_max: int = CAPSULE_BYTES_MAX,
    ) -> list[Chapter]:
        """Return the chapters known of an agent from a term on: as many as fit, at least one."""
        return self._numbered("chapter", Chapter, agent, from_term, limit, bytes_max)

    def every_chapter(self, agent: bytes) -> Iterator[Chapter]:
        """Yield all chapters of an agent, a few at a time."""
        after = agent
        while rows := self._store.scan("chapter", prefix=agent, after=after, limit=_PAGE):
            yield from (load_row(data, Chapter) for _, data in rows)
            after = rows[-1][0]

    def history(
        self, agent: bytes, from_version: int, limit: int, bytes_max: int
    ) -> list[Certified]:
        """Return decided transitions from a version on, oldest first: as many as fit, at least one."""
        return self._numbered("history", Certified, agent, from_version, limit, bytes_max)

    def carried(
        self, agent: bytes, from_version: int, limit: int, bytes_max: int
    ) -> list[SignedOrder]:
        """Return the orders that transitions from a version on carried out, as far as they were shown here."""
        return self._numbered("carried", SignedOrder, agent, from_version, limit, bytes_max)

    def _numbered(
        self, table: str, form: type[T], agent: bytes, start: int, limit: int, bytes_max: int
    ) -> list[T]:
        """Return an agent's rows from a number on, in order: as many as fit, at least one."""
        found: list[T] = []
        key = row_key(agent, start - 1) if start else agent
        while len(found) < limit:
            page = min(_PAGE, limit - len(found))
            rows = self._store.scan(table, prefix=agent, after=key, limit=page)
            for _, data in rows:
                bytes_max -= len(data)
                if found and bytes_max < 0:
                    return found
                found.append(load_row(data, form))
            if len(rows) < page:
                break
            key = rows[-1][0]
        return found

    # --- blocks ---------------------------------------------------------------------------------------

    def lacking(self, digests: Sequence[bytes]) -> list[bytes]:
        """Return which blocks are not stored; a stored block has all it links to."""
        missing = self._stored.missing(digests)
        bad = (self._damaged | self._leaving).difference(missing)
        return [*missing, *(named for named in dict.fromkeys(digests) if named in bad)]

    def block(self, named: bytes) -> bytes | None:
        """Return a block's bytes, verified; None if it is not stored.

        One that is damaged is not stored any more, and is taken in again from whoever puts it; likewise one that
        is being collected.
        """
        if named in self._leaving:
            return None
        try:
            block = self._store.get_block(named)
        except StoreFailed as failure:
            if self._store.failed is not None:
                raise
            self._note_damage(named, failure)
            return None
        return block.data if block else None

    def _note_damage(self, named: bytes, failure: StoreFailed) -> None:
        if named not in self._damaged:
            self._damaged.add(named)
            log.warning("a block is damaged", problem=str(failure))
            if self._on_damage is not None:
                self._on_damage(named)

    def watch_damage(self, on_damage: Callable[[bytes], None]) -> None:
        """Tell `on_damage` of each block that is found damaged, and of those that were found so before."""
        self._on_damage = on_damage
        for named in sorted(self._damaged):
            on_damage(named)

    def is_damaged(self, named: bytes) -> bool:
        """Tell whether a block was found damaged and has not been put again since."""
        return named in self._damaged

    def block_names(self, after: bytes, limit: int) -> list[bytes]:
        """Return the digests of stored blocks, in their order, from the one after `after` on."""
        return self._store.block_names(after=after, limit=limit)

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

    def loose_changes(self, blocks: Sequence[bytes], share: Share, now_ms: int) -> list[Change]:
        """Return the changes that store blocks which no record names yet, in a share of the room.

        Raises as `block_changes`, and `Refused` if there is no room. One that is mended may have been named before.
        """
        changes = self.block_changes(blocks)
        self.loose.note_asked(map(digest, blocks), now_ms)
        mended = {change.digest for change in changes if isinstance(change, DeleteBlock)}
        puts = [c for c in changes if isinstance(c, PutBlock) and c.digest not in mended]
        self.loose.check_room(puts, share)
        self.loose.add(puts, share, now_ms)
        return [*changes]

    def keep_named(self, dossier: Dossier, blocks: Sequence[Change]) -> None:
        """Keep for good what a dossier names, and what blocks link to that are written with it."""
        self.loose.keep(roots_of(dossier))
        self.keep_below(blocks)

    def keep_below(self, changes: Sequence[Change]) -> None:
        """Keep for good what blocks link to that are written and are not loose themselves."""
        puts = (c for c in changes if isinstance(c, PutBlock) and c.digest not in self.loose)
        self.loose.keep_below(puts)

    def collect(self, digests: Sequence[bytes]) -> list[Change]:
        """Return the changes that remove loose blocks: from now on they are not stored. Then call `collected`."""
        self.loose.remove(digests)
        self._leaving.update(digests)
        self._damaged.difference_update(digests)
        self.documents.forget(digests)
        self.shown_chapters.forget(digests)
        self.parentages.forget(digests)
        return [DeleteBlock(named) for named in digests]

    def collected(self, digests: Sequence[bytes]) -> None:
        """Note that blocks are removed from the store; one that was put again meanwhile is there."""
        self._stored.forget(digests)
        self._leaving.difference_update(digests)

    # --- what is written ------------------------------------------------------------------------------

    def dossier_changes(self, dossier: Dossier) -> list[Change]:
        """Return what keeps a dossier, and its slip; where nothing is known of an agent there is none."""
        agent, row = dossier.agent, encode(dossier)
        is_new = dossier == Dossier(agent=agent)
        kept = Delete("dossier", agent) if is_new else Put("dossier", agent, row)
        return [kept, *slip_changes(self._dossiers.get(agent), dossier, row)]

    def earlier_changes_of(self, ruling: Ruling) -> Iterator[list[Change]]:
        """Yield what goes before a ruling: chapters of a life that may be longer than one commit.

        They are as they were wherever the ruling is from, and nothing leans on them before it.
        """
        earlier = ruling.chapters[:-_CHAPTERS_CHANGED]
        for start in range(0, len(earlier), _CHAPTERS_AT_ONCE):
            changes = self._chapter_changes(earlier[start : start + _CHAPTERS_AT_ONCE])
            if changes:
                yield changes

    def _chapter_changes(self, chapters: Sequence[Chapter]) -> list[Change]:
        """Return the changes that keep chapters, those that are kept as they are left out."""
        changes: list[Change] = []
        for chapter in chapters:
            record = chapter.opened.record
            key, row = row_key(record.agent_id, record.custody.term), encode(chapter)
            if self._store.get("chapter", key) != row:
                changes.append(Put("chapter", key, row))
        return changes

    def changes_of(self, ruling: Ruling) -> list[Change]:
        """Return what a ruling writes, beside the chapters before."""
        changes: list[Change] = []
        if ruling.dossier is not None:
            changes += self.dossier_changes(ruling.dossier)
        changes += self._chapter_changes(ruling.chapters[-_CHAPTERS_CHANGED:])
        if ruling.history is not None:
            record = ruling.history.record
            key = row_key(record.agent_id, record.version)
            if ruling.history.certificate.slot.version == record.version:
                changes.append(Put("history", key, encode(ruling.history)))
            if ruling.order is not None:
                changes.append(Put("carried", key, encode(ruling.order)))
        return changes

    def places(self) -> News:
        """Return the manifests and endorsements kept from before."""
        manifests = self._store.scan("place", limit=100_000)
        endorsements = self._store.scan("endorsement", limit=100_000)
        self._placed["place"].update(key for key, _ in manifests)
        self._placed["endorsement"].update(key for key, _ in endorsements)
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
        for put in (*manifests, *endorsed):
            self._placed[put.table].add(put.key)
        return [*manifests, *endorsed]

    def place_removals(self, zones: Set[bytes], endorsements: Set[bytes]) -> list[Change]:
        """Return the changes that drop what is kept of places beside these manifests and endorsements."""
        return [*self._removals("place", zones), *self._removals("endorsement", endorsements)]

    def _removals(self, table: str, known: Set[bytes]) -> list[Change]:
        """Return the changes that drop rows beside these: as many as go in one commit, the rest next time."""
        gone = sorted(self._placed[table] - known)[:_REMOVED_AT_ONCE]
        self._placed[table].difference_update(gone)
        return [Delete(table, key) for key in gone]

    def orders(self) -> list[SignedOrder]:
        """Return the orders kept from before."""
        return self._told("order", SignedOrder)

    def successors(self) -> list[SignedDocument]:
        """Return the published documents kept from before."""
        return self._told("successor", SignedDocument)

    def heads(self) -> list[SignedHead]:
        """Return the heads of policies kept from before."""
        return self._told("head", SignedHead)

    def revocations(self) -> list[SignedRevocation]:
        """Return the revocations kept from before."""
        return self._told("revocation", SignedRevocation)

    def proofs(self) -> list[Fraud]:
        """Return the proofs against anchors kept from before."""
        return self._told("proof", Fraud)

    def _told(self, table: str, form: type[T]) -> list[T]:
        rows = self._store.scan(table, limit=100_000)
        self._placed[table].update(key for key, _ in rows)
        return [load_row(data, form) for _, data in rows]

    def edict_changes(self, news: News) -> list[Change]:
        """Return the changes that keep what officers published."""
        return [
            *self._told_changes("order", news.orders),
            *self._told_changes("successor", news.documents),
            *self._told_changes("head", news.heads),
            *self._told_changes("revocation", news.revocations),
        ]

    def _told_changes(self, table: str, told: Iterable[Value]) -> list[Change]:
        puts = [Put(table, digest_of(each), encode(each)) for each in told]
        self._placed[table].update(put.key for put in puts)
        return [*puts]

    def proof_changes(self, proofs: Iterable[Fraud]) -> list[Change]:
        """Return the changes that keep proofs, one for each culprit."""
        puts = [Put("proof", proof.culprit, encode(proof)) for proof in proofs]
        self._placed["proof"].update(put.key for put in puts)
        return [*puts]

    def told_removals(self, table: str, known: Set[bytes]) -> list[Change]:
        """Return the changes that drop the rows of a table of what was told beside these."""
        assert table in _TOLD
        return self._removals(table, known)


def row_key(agent: bytes, number: int) -> bytes:
    """Return the key of an agent's row with a number: they stand in the order of the numbers."""
    return agent + number.to_bytes(8, "big")


@overload
def load_row(data: bytes, form: type[T]) -> T: ...
@overload
def load_row(data: bytes, form: Any) -> Any: ...
def load_row(data: bytes, form: Any) -> Any:
    """Return what a row of our own says. What cannot be decoded is damage, not a stranger's mistake."""
    name = getattr(form, "__name__", "message")
    try:
        return decode(data, form, what=name.lower(), limit=CAPSULE_BYTES_MAX)
    except Rejected as error:
        raise StoreFailed(f"a stored {name} cannot be read: {error}") from None
