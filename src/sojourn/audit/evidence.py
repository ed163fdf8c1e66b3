"""A capsule as evidence: verified, with its blocks at hand, its transitions in order and its journal read."""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from sojourn.core.agent.governance import Document
from sojourn.core.agent.memory.blocks import MissingBlock, load_block, named_by
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, Link
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.capsule import Places, VerifiedCapsule, load_capsule
from sojourn.core.protocol.custody import Certified
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.runtime.apart import told
from sojourn.runtime.records import Apart, Forked, Record, decode_record

__all__ = ["Evidence", "FileBlocks", "read_evidence"]

_PART = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A verified capsule, and what is read of it. `problem` says why the journal could not be read to its end.

    `decided` are all transitions that are shown and made a version, oldest first, and `versions` their numbers;
    `documents` the policy documents by digest; `journal` the records in order, with an `Apart` for each that
    stayed behind.
    """

    verified: VerifiedCapsule
    decided: tuple[Certified, ...]
    versions: tuple[int, ...]
    documents: Mapping[bytes, Document]
    journal: tuple[Record, ...]
    problem: str
    sha256: str
    size: int

    @property
    def head(self) -> Certified:
        """The newest transition."""
        return self.verified.capsule.head

    @property
    def record(self) -> AgentRecord:
        """The newest record."""
        return self.head.record

    @property
    def manifests(self) -> Mapping[bytes, ZoneManifest]:
        """The zones that certified something, by identifier."""
        return self.verified.manifests

    def own_records(self) -> Iterator[tuple[int, Record]]:
        """Yield the journal's records that are its own, each with its index: a fork has its origin's before."""
        forked = [at for at, record in enumerate(self.journal) if isinstance(record, Forked)]
        begins = forked[-1] + 1 if forked else 0
        yield from enumerate(self.journal[begins:], begins)

    @property
    def apart(self) -> int:
        """How many records of the journal stayed behind in other zones, and are not in the capsule."""
        return sum(isinstance(record, Apart) for record in self.journal)

    def ruling_at(self, version: int) -> tuple[str, ...]:
        """Return the policy documents that ruled a version, for people; none if what is shown leaves that open.

        The field's own version rises with every change: where it is the same before and after, nothing changed.
        """
        before, after = (
            bisect_right(self.versions, version) - 1,
            bisect_left(self.versions, version),
        )
        if before < 0 or after == len(self.versions):
            return ()
        ruling = self.decided[before].record.governance
        is_same = ruling.version == self.decided[after].record.governance.version
        return self.titles(ruling.documents) if is_same else ()

    def titles(self, documents: tuple[bytes, ...]) -> tuple[str, ...]:
        """Return what documents are called, with their versions; the digest of one that is not in the capsule."""
        known = self.documents
        return tuple(
            f"{known[each].issuer}/{known[each].name} {known[each].version}"
            if each in known
            else each.hex()
            for each in documents
        )

    def name_of(self, zone: bytes) -> str:
        """Return what a zone calls itself; its identifier's beginning if its manifest is not in the capsule."""
        manifest = self.manifests.get(zone)
        return manifest.name if manifest else zone.hex()[:12]


def read_evidence(file: BinaryIO) -> Evidence:
    """Return what the capsule in a seekable file proves. Raises `Rejected` as `load_capsule`, with the place.

    A journal that cannot be read is its host's doing and no reason to have no report: what can be read is.
    """
    taken, size = hashlib.sha256(), 0
    while part := file.read(_PART):
        taken.update(part)
        size += len(part)
    file.seek(0)
    places: Places = {}
    verified = load_capsule(file, places)
    records, problem = _read_journal(FileBlocks(file, places), verified.record)
    decided = tuple(verified.capsule.decided)
    return Evidence(
        verified=verified,
        decided=decided,
        versions=tuple(done.record.version for done in decided),
        documents=verified.policies,
        journal=tuple(records),
        problem=problem,
        sha256=taken.hexdigest(),
        size=size,
    )


class FileBlocks:
    """The blocks of a capsule, where they stand in its file."""

    def __init__(self, file: BinaryIO, places: Places) -> None:
        self._file, self._places = file, places

    def get(self, named: bytes) -> bytes:
        """Return a block's bytes. Raises `MissingBlock`."""
        if named not in self._places:
            raise MissingBlock(named)
        offset, size = self._places[named]
        self._file.seek(offset)
        return self._file.read(size)


def _read_journal(blocks: FileBlocks, record: AgentRecord) -> tuple[list[Record], str]:
    """Return the records as far as they can be read, and why no further."""
    records: list[Record] = []
    try:
        records.extend(_records(blocks, record))
    except (Rejected, MissingBlock) as error:
        return records, str(error)
    return records, ""


def _records(blocks: FileBlocks, record: AgentRecord) -> Iterator[Record]:
    """Yield them in order, with those that are kept apart in their places if they are here (protocol §10.10)."""
    root = record.memory.journal
    if root == ZERO:
        return
    log = Log.load(_log_in(load_block(blocks, root)), blocks)
    for entry in log:
        yield decode_record(encode_block(told(entry, record, blocks)))


def _log_in(plain: Any) -> bytes:
    match plain:
        case {"log": None}:
            return ZERO
        case {"log": Link() as link}:
            return named_by(link)
    raise Rejected("the root of the journal is none", reason="wrong-kind", where="journal")
