"""The shelf: an anchor's dossiers, chapters, history, messages and places, as rows of its store.

dossier      agent                      Dossier
chapter      agent, term                Chapter
history      agent, version             Certified
message      agent, time, digest        SignedMessage
place        zone                       SignedManifest
endorsement  digest                     SignedEndorsement
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeVar

from sojourn.core.agent.governance import Document
from sojourn.core.agent.memory.blocks import links
from sojourn.core.agent.trust import SignedEndorsement
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.errors import Rejected, StoreFailed
from sojourn.core.base.limits import CAPSULE_BYTES_MAX, DOCUMENT_BYTES_MAX
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.dossier import Dossier, Ruling
from sojourn.core.protocol.exchange import SignedMessage
from sojourn.core.protocol.gossip import News
from sojourn.core.zone.manifest import SignedManifest
from sojourn.runtime.store import Change, Delete, Put, PutBlock, Store

__all__ = ["Shelf", "StoredDocuments"]

_DOSSIERS_CACHED_MAX: Final = 4096
_DOCUMENTS_CACHED_MAX: Final = 512

T = TypeVar("T")


class StoredDocuments(Mapping[bytes, Document]):
    """Policy documents by digest, found among the blocks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: OrderedDict[bytes, Document] = OrderedDict()

    def __getitem__(self, named: bytes) -> Document:
        known = self._cache.get(named)
        if known is None:
            block = self._store.get_block(named)
            if block is None:
                raise KeyError(named)
            known = decode(block.data, Document, what="document", limit=DOCUMENT_BYTES_MAX)
            self._cache[named] = known
            if len(self._cache) > _DOCUMENTS_CACHED_MAX:
                self._cache.popitem(last=False)
        return known

    def __contains__(self, named: object) -> bool:
        return named in self._cache or (
            isinstance(named, bytes) and not self._store.missing_blocks([named])
        )

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._cache)

    def __len__(self) -> int:
        return len(self._cache)


def _key(agent: bytes, number: int) -> bytes:
    return agent + number.to_bytes(8, "big")


class Shelf:
    """Typed reads, and the changes that a ruling or a message makes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._dossiers: OrderedDict[bytes, Dossier] = OrderedDict()
        self.documents = StoredDocuments(store)

    def dossier(self, agent: bytes) -> Dossier:
        """Return what is known of an agent: an empty dossier if nothing is."""
        known = self._dossiers.get(agent)
        if known is None:
            data = self._store.get("dossier", agent)
            known = _load(data, Dossier) if data else Dossier(agent=agent)
            self.keep(known)
        else:
            self._dossiers.move_to_end(agent)
        return known

    def keep(self, dossier: Dossier) -> None:
        """Make this the dossier that is read from now on; it is durable already."""
        self._dossiers[dossier.agent] = dossier
        self._dossiers.move_to_end(dossier.agent)
        if len(self._dossiers) > _DOSSIERS_CACHED_MAX:
            self._dossiers.popitem(last=False)

    def dossiers(self, *, after: bytes = b"", limit: int = 1000) -> list[Dossier]:
        """Return dossiers in the order of their agents, from the store."""
        rows = self._store.scan("dossier", after=after, limit=limit)
        return [_load(data, Dossier) for _, data in rows]

    def count(self) -> int:
        """Return how many agents this anchor has ever known."""
        return self._store.count("dossier")

    def chapters(self, agent: bytes) -> list[Chapter]:
        """Return the chapters known of an agent, from genesis on."""
        rows = self._store.scan("chapter", prefix=agent, limit=100_000)
        return [_load(data, Chapter) for _, data in rows]

    def history(self, agent: bytes, from_version: int, limit: int) -> list[Certified]:
        """Return decided transitions from a version on, oldest first."""
        after = _key(agent, from_version - 1) if from_version else agent
        rows = self._store.scan("history", prefix=agent, after=after, limit=limit)
        return [_load(data, Certified) for _, data in rows]

    def messages(self, agent: bytes, limit: int) -> list[SignedMessage]:
        """Return waiting messages, oldest first."""
        rows = self._store.scan("message", prefix=agent, limit=limit)
        return [_load(data, SignedMessage) for _, data in rows]

    def places(self) -> News:
        """Return the manifests and endorsements kept from before."""
        manifests = self._store.scan("place", limit=100_000)
        endorsements = self._store.scan("endorsement", limit=100_000)
        return News(
            manifests=tuple(_load(data, SignedManifest) for _, data in manifests),
            endorsements=tuple(_load(data, SignedEndorsement) for _, data in endorsements),
        )

    def lacking(self, digests: Sequence[bytes]) -> list[bytes]:
        """Return which blocks are not stored; a stored block has all it links to."""
        return self._store.missing_blocks(digests)

    def block(self, named: bytes) -> bytes | None:
        """Return a block's bytes, verified. Raises `StoreFailed` if they are damaged."""
        block = self._store.get_block(named)
        return block.data if block else None

    def block_changes(self, blocks: Sequence[bytes]) -> list[PutBlock]:
        """Return the changes that store these blocks. Raises `Rejected` if one comes before its children."""
        named = [digest(data) for data in blocks]
        given = set[bytes]()
        for own, data in zip(named, blocks, strict=True):
            below = [child for child in links(data) if child not in given]
            absent = self._store.missing_blocks(below)
            if absent:
                problem = (
                    f"block {own.hex()[:16]}… links to {absent[0].hex()[:16]}…, which is not stored"
                )
                raise Rejected(problem, reason="missing-children", where="blocks")
            given.add(own)
        return [PutBlock(own, "dag-cbor", data) for own, data in zip(named, blocks, strict=True)]

    def changes_of(self, ruling: Ruling) -> list[Change]:
        """Return what a ruling writes."""
        changes: list[Change] = []
        if ruling.dossier is not None:
            changes.append(Put("dossier", ruling.dossier.agent, encode(ruling.dossier)))
        for chapter in ruling.chapters:
            record = chapter.opened.record
            key = _key(record.agent_id, record.custody.term)
            changes.append(Put("chapter", key, encode(chapter)))
        if ruling.history is not None:
            record = ruling.history.record
            if ruling.history.certificate.slot.version == record.version:
                key = _key(record.agent_id, record.version)
                changes.append(Put("history", key, encode(ruling.history)))
        return changes

    def message_changes(self, message: SignedMessage) -> list[Change]:
        """Return the change that keeps a message; the same message again changes nothing."""
        return [Put("message", _message_key(message), encode(message))]

    def consumed_changes(self, agent: bytes, digests: Sequence[bytes]) -> list[Change]:
        """Return the changes that drop consumed messages."""
        consumed = set(digests)
        rows = self._store.scan("message", prefix=agent, limit=10_000)
        return [Delete("message", key) for key, _ in rows if key[-32:] in consumed]

    def place_changes(self, news: News) -> list[Change]:
        """Return the changes that keep what was learned of places; envelopes expire and are not kept."""
        manifests = [Put("place", m.manifest.zone_id, encode(m)) for m in news.manifests]
        endorsed = [
            Put("endorsement", digest_of(e.endorsement), encode(e)) for e in news.endorsements
        ]
        return [*manifests, *endorsed]


def _message_key(message: SignedMessage) -> bytes:
    return _key(message.message.agent, message.message.sent_ms) + message.digest


def _load(data: bytes, form: type[T]) -> T:
    """Decode a row of our own. What cannot be decoded is damage, not a stranger's mistake."""
    try:
        return decode(data, form, what=form.__name__.lower(), limit=CAPSULE_BYTES_MAX)
    except Rejected as error:
        raise StoreFailed(f"a stored {form.__name__} cannot be read: {error}") from None
