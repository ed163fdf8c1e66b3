"""The port to durable storage: rows in order, blocks by digest, and one way to change both.

An anchor or a host owns one `Store`. It holds

    rows      (table, key) -> value      ordered by key within a table
    blocks    digest -> (codec, data)    content-addressed, at most `BLOCK_BYTES_MAX` each

Reads are synchronous and see whatever has been committed. `commit` is the only way to change
anything: it is atomic, and it returns once the changes would survive a power cut (protocol §13), so
that an answer that waits for it is an answer that can be kept. Storage that fails, is full or lies
raises `StoreFailed`; from then on `Store.failed` is set, every call raises, and the process that
owns the store ends (protocol §13: a commit error is never "log and answer"). One damaged block is
the exception: reading it raises, the rest of the store serves on, and `DeleteBlock` and `PutBlock`
in one commit mend it from a copy.

Public methods are concrete and check what every adapter must check; an adapter fills in the private
ones. Every adapter passes `tests/conformance/store.py`.
"""

import hashlib
import struct
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

import msgspec

from sojourn.core.base.digests import digest as digest_of
from sojourn.core.base.errors import Misused, StoreFailed
from sojourn.core.base.limits import BLOCK_BYTES_MAX, MESSAGE_BYTES_MAX

__all__ = [
    "CHANGES_MAX",
    "CODECS",
    "COMMIT_BYTES_MAX",
    "KEY_BYTES_MAX",
    "TABLE_CHARS_MAX",
    "VALUE_BYTES_MAX",
    "Block",
    "Change",
    "Codec",
    "Delete",
    "DeleteBlock",
    "Put",
    "PutBlock",
    "RowPlace",
    "Store",
    "merge_codecs",
    "row_mark",
]

TABLE_CHARS_MAX: Final = 64
KEY_BYTES_MAX: Final = 1024
VALUE_BYTES_MAX: Final = MESSAGE_BYTES_MAX
"""What arrives in one message can be kept in one row."""
CHANGES_MAX: Final = 4096
"""Changes in one commit."""
COMMIT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Values and blocks in one commit. More is many commits: nobody else's should wait for it."""

_ROW: Final = struct.Struct(">cBH")  # "P", bytes of the table's name, bytes of the key

RowPlace: TypeAlias = tuple[str, bytes]
"""Table and key of a row. Rows stand in the order of their places."""

Codec: TypeAlias = Literal["raw", "dag-cbor"]
"""How a block's bytes are read: plain bytes, or DAG-CBOR whose links can be followed."""
CODECS: Final = get_args(Codec)


class Put(msgspec.Struct, frozen=True, gc=False):
    """Set the row (table, key) to a value, whether or not there is one."""

    table: str
    key: bytes
    value: bytes


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Remove the row (table, key), if there is one."""

    table: str
    key: bytes


class PutBlock(msgspec.Struct, frozen=True, gc=False):
    """Keep a block. Keeping one that is there already changes nothing (but see `merge_codecs`)."""

    digest: bytes
    codec: Codec
    data: bytes


class DeleteBlock(msgspec.Struct, frozen=True, gc=False):
    """Remove a block, if it is there."""

    digest: bytes


Change: TypeAlias = Put | Delete | PutBlock | DeleteBlock


class Block(NamedTuple):
    """A block as stored. The digest is its name and not part of it."""

    codec: Codec
    data: bytes


def merge_codecs(one: Codec, other: Codec) -> Codec:
    """Return the codec of a block that was put under both: "dag-cbor" wins, in whatever order.

    The name of a block covers its bytes alone. Were the first codec to stay, whoever puts another's
    block as "raw" would hide its links from whoever follows them; a link too many does no harm.
    """
    return one if one == other else "dag-cbor"


def row_mark(table: str, key: bytes, value: bytes) -> bytes:
    """Return the SHA-256 that binds a value to its table, of an ASCII name, and its key."""
    name = table.encode("ascii")
    return hashlib.sha256(_ROW.pack(b"P", len(name), len(key)) + name + key + value).digest()


class Store(ABC):
    """Durable rows and blocks of one process.

    One event loop at a time uses a store, and only from its own thread.
    """

    def __init__(self) -> None:
        self._failure: StoreFailed | None = None
        self._closed = False

    @property
    def failed(self) -> StoreFailed | None:
        """The failure after which this store serves nothing any more, or None."""
        return self._failure

    def get(self, table: str, key: bytes) -> bytes | None:
        """Return the value of a row, or None. Raises `StoreFailed`."""
        self._check_usable()
        return self._get(table, key)

    def scan(
        self, table: str, *, prefix: bytes = b"", after: bytes = b"", limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Return the first `limit` (key, value) of a table in the order of their keys.

        Only keys that start with `prefix` and come after the key `after` are taken, so that the
        last key of one call continues the scan in the next. Raises `StoreFailed`.
        """
        self._check_usable()
        return self._scan(table, prefix, after, limit)

    def marks(self, table: str, *, after: bytes = b"", limit: int) -> list[tuple[bytes, bytes]]:
        """Return the first `limit` (key, `row_mark`) of a table after the key `after`, in the order of the keys.

        No value is read for it. What the marks say was committed, last and by this store; whether a value is still
        what its mark says is known once it is read. Raises `StoreFailed`.
        """
        self._check_usable()
        return self._marks(table, after, limit)

    def check_rows(self, after: RowPlace | None, limit: int) -> RowPlace | None:
        """Verify the values of the first `limit` rows after the place `after`; return the last, None at the end.

        Raises `StoreFailed`: a row is damaged, and this store serves nothing any more.
        """
        self._check_usable()
        return self._check_rows(after, limit)

    def count(self, table: str) -> int:
        """Return the number of rows in a table, counting them. Raises `StoreFailed`."""
        self._check_usable()
        return self._count(table)

    def get_block(self, digest: bytes) -> Block | None:
        """Return a block whose bytes have the SHA-256 `digest`, or None.

        Raises `StoreFailed`, also when the bytes that are stored have another digest.
        """
        self._check_usable()
        block = self._get_block(digest)
        if block is not None and digest_of(block.data) != digest:
            raise StoreFailed(
                f"block {digest.hex()} is damaged: its bytes have another digest",
                remedy="Fetch it from another holder; check the disk",
            )
        return block

    def missing_blocks(self, digests: Collection[bytes]) -> list[bytes]:
        """Return those of `digests` that are not stored, in their order, without repetition.

        Raises `StoreFailed`.
        """
        self._check_usable()
        present = self._present_blocks(digests)
        return [digest for digest in dict.fromkeys(digests) if digest not in present]

    def block_names(self, *, after: bytes = b"", limit: int) -> list[bytes]:
        """Return the first `limit` digests of stored blocks after `after`, in their order. Raises `StoreFailed`."""
        self._check_usable()
        return self._block_names(after, limit)

    async def commit(self, changes: Sequence[Change]) -> None:
        """Make the changes, in order, all or none; return once they are durable.

        Concurrent commits share one write to the disk. Cancelling the wait does not recall them.
        Raises `Misused` for a change that no store can hold (nothing is changed, no other commit is
        concerned) and `StoreFailed`, after which it is unknown whether the changes were made.
        """
        self._check_usable()
        _check_changes(changes)
        if changes:
            await self._commit(changes)

    def close(self) -> None:
        """Finish the commits under way and let go of the files. Later calls, but `close`, raise.

        Raises `StoreFailed` if finishing fails.
        """
        if not self._closed:
            self._closed = True
            self._close()

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise StoreFailed(self._failure.problem, remedy=self._failure.remedy)
        if self._closed:
            raise StoreFailed("the store is closed")

    def _fail(self, failure: StoreFailed) -> StoreFailed:
        """Serve nothing from now on; return the first failure, ready to be raised."""
        self._failure = self._failure or failure
        return StoreFailed(self._failure.problem, remedy=self._failure.remedy)

    @abstractmethod
    def _get(self, table: str, key: bytes) -> bytes | None: ...

    @abstractmethod
    def _scan(
        self, table: str, prefix: bytes, after: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]: ...

    @abstractmethod
    def _marks(self, table: str, after: bytes, limit: int) -> list[tuple[bytes, bytes]]: ...

    @abstractmethod
    def _check_rows(self, after: RowPlace | None, limit: int) -> RowPlace | None: ...

    @abstractmethod
    def _count(self, table: str) -> int: ...

    @abstractmethod
    def _get_block(self, digest: bytes) -> Block | None:
        """Return the block as stored; its bytes need not be verified."""

    @abstractmethod
    def _present_blocks(self, digests: Collection[bytes]) -> Collection[bytes]: ...

    @abstractmethod
    def _block_names(self, after: bytes, limit: int) -> list[bytes]: ...

    @abstractmethod
    async def _commit(self, changes: Sequence[Change]) -> None:
        """Make changes, checked and at least one; return once they are durable."""

    @abstractmethod
    def _close(self) -> None: ...


def _check_changes(changes: Sequence[Change]) -> None:
    if len(changes) > CHANGES_MAX:
        raise _too_much("a commit", len(changes), "changes", CHANGES_MAX)
    size = sum(map(_checked_size, changes))
    if size > COMMIT_BYTES_MAX:
        raise _too_much("a commit", size, "bytes", COMMIT_BYTES_MAX)


def _checked_size(change: Change) -> int:
    """Return the bytes a change adds, once it is known that every store can hold it."""
    if isinstance(change, Put | Delete):
        return _checked_row_size(change)
    if type(change.digest) is not bytes or len(change.digest) != 32:
        raise Misused(
            f"a block was named {change.digest!r:.80}",
            remedy="Name it by its SHA-256, 32 bytes",
        )
    return _checked_block_size(change) if isinstance(change, PutBlock) else 0


def _checked_row_size(change: Put | Delete) -> int:
    table, key = change.table, change.key
    if not (0 < len(table) <= TABLE_CHARS_MAX and table.isascii()):
        raise Misused(
            f"a table is named {table!r:.80}", remedy=f"Use 1 to {TABLE_CHARS_MAX} ASCII characters"
        )
    if type(key) is not bytes or not 0 < len(key) <= KEY_BYTES_MAX:
        raise Misused(
            f"a key of table {table!r} is {key!r:.80}", remedy=f"Use 1 to {KEY_BYTES_MAX} bytes"
        )
    if isinstance(change, Delete):
        return 0
    if type(change.value) is not bytes:
        raise Misused(
            f"a value of table {table!r} is a {type(change.value).__name__}", remedy="Store bytes"
        )
    if len(change.value) > VALUE_BYTES_MAX:
        raise _too_much(f"a value of table {table!r}", len(change.value), "bytes", VALUE_BYTES_MAX)
    return len(change.value)


def _checked_block_size(change: PutBlock) -> int:
    if change.codec not in CODECS:
        raise Misused(f"a block has the codec {change.codec!r}", remedy="Use 'raw' or 'dag-cbor'")
    if len(change.data) > BLOCK_BYTES_MAX:
        raise _too_much("a block", len(change.data), "bytes", BLOCK_BYTES_MAX)
    # A wrong name would last: a block that is there already is not written again.
    if type(change.data) is not bytes or digest_of(change.data) != change.digest:
        raise Misused(
            f"bytes were put as block {change.digest.hex()}, which is not their digest",
            remedy="Check the digest of what comes from outside before storing it",
        )
    return len(change.data)


def _too_much(what: str, size: int, unit: str, limit: int) -> Misused:
    problem = f"{what} has {size} {unit}, more than the limit of {limit}"
    return Misused(problem, remedy="Store it in parts")
