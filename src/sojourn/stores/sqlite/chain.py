"""What binds rows to their place and commits to their order: no file changes in silence.

    change mark    SHA-256 of one change: its kind, table, key and value; in the row it put
    row term       SHA-256 of a row's table, key, commit, mark, and the place of its value
    block mark     SHA-256 of a block's codec and digest; the digest itself binds the bytes
    total          sum, modulo 2^256, of the terms of all rows and the marks of all blocks
    link           one per group commit: sequence number, digest of the link before, digest of the
                   marks of the changes in order, and the total after them

A flipped bit in a value breaks its mark. A row that is lost, swapped, or older than the last commit
to it breaks the total, for which no value has to be read; a commit that is missing breaks the chain.
This notices faults, and not a forger: whoever can write the file can write a consistent one, or put an
older copy of the whole file back. The counters in votes are there against that (protocol §13).

Source for the sum: M. Bellare, D. Micciancio, "A New Paradigm for Collision-Free Hashing" (AdHash).
"""

import hashlib
import struct
from typing import Any, Final, NamedTuple

from sojourn.core.base.digests import ZERO
from sojourn.runtime.store import Change, Delete, Put, PutBlock, row_mark

__all__ = [
    "GENESIS",
    "TOTAL_MODULUS",
    "Link",
    "as_number",
    "block_mark",
    "change_mark",
    "is_intact",
    "row_term",
]

TOTAL_MODULUS: Final = 2**256

_DELETE = struct.Struct(">cBH")  # kind, bytes of the table's name, bytes of the key
_SEQUENCE = struct.Struct(">cQ")  # kind, sequence number
_ROW = struct.Struct(
    ">cQQBH"
)  # kind, sequence number, place, bytes of the table's name, of the key


def block_mark(codec: str, digest: bytes) -> bytes:
    """Return the mark of keeping a block."""
    return hashlib.sha256(b"B" + digest + codec.encode("ascii")).digest()


def change_mark(change: Change) -> bytes:
    """Return the mark of any change."""
    if isinstance(change, Put):
        return row_mark(change.table, change.key, change.value)
    if isinstance(change, PutBlock):
        return block_mark(change.codec, change.digest)
    if isinstance(change, Delete):
        name = change.table.encode("ascii")
        header = _DELETE.pack(b"D", len(name), len(change.key))
        return hashlib.sha256(header + name + change.key).digest()
    return hashlib.sha256(b"X" + change.digest).digest()


def row_term(table: str, key: bytes, seq: int, mark: bytes, place: int) -> int:
    """Return what a row adds to the total: commit `seq` set it, to a value with this mark that stands at `place`.

    Damaged, it has values of any type. Raises `TypeError`, `ValueError`, `AttributeError` or `struct.error` then.
    """
    name = table.encode("ascii")
    header = _ROW.pack(b"R", seq, place, len(name), len(key))
    return as_number(hashlib.sha256(header + name + key + mark).digest())


def is_intact(table: Any, key: Any, mark: Any, value: Any) -> bool:
    """Tell whether a value is what was put into a row with this mark. Damaged, it may be of any type."""
    try:
        return bool(row_mark(table, key, value) == mark)
    except (TypeError, ValueError, AttributeError, struct.error):
        return False


def as_number(digest: bytes) -> int:
    """Return a digest as the term it adds to the total."""
    return int.from_bytes(digest, "big")


class Link(NamedTuple):
    """The state of the whole file after one group commit. `total` is below `TOTAL_MODULUS`."""

    seq: int
    previous: bytes
    changes: bytes
    total: bytes

    @property
    def digest(self) -> bytes:
        """The SHA-256 that the next link names as `previous`."""
        data = _SEQUENCE.pack(b"L", self.seq) + self.previous + self.changes + self.total
        return hashlib.sha256(data).digest()

    def is_intact(self, digest: object) -> bool:
        """Tell whether the link, as read from a file, has this digest."""
        try:
            return self.digest == digest
        except (TypeError, ValueError, struct.error):
            return False

    def next(self, marks: list[bytes], added: int) -> "Link":
        """Return the link of a commit with these change marks that adds `added` to the total."""
        total = (as_number(self.total) + added) % TOTAL_MODULUS
        changes = hashlib.sha256(b"".join(marks)).digest()
        return Link(self.seq + 1, self.digest, changes, total.to_bytes(32, "big"))


GENESIS: Final = Link(0, ZERO, ZERO, bytes(32))
"""The link of an empty store."""
