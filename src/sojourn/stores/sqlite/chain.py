"""What binds rows to their place and commits to their order: no file changes in silence.

    change mark    SHA-256 of one change: its kind, table, key and value
    row digest     SHA-256 of the commit's sequence number and the mark of the `Put`; in the row
    block mark     SHA-256 of a block's codec and digest; the digest itself binds the bytes
    total          sum, modulo 2^256, of the digests of all rows and the marks of all blocks
    link           one per group commit: sequence number, digest of the link before, digest of the
                   marks of the changes in order, and the total after them

A flipped bit breaks a row's digest. A row that is lost, swapped, or older than the last commit to
it has a digest in order, and breaks the total; a commit that is missing breaks the chain. This
notices faults, and not a forger: whoever can write the file can write a consistent one, or put an
older copy of the whole file back. The counters in votes are there against that (protocol §13).

Source for the sum: M. Bellare, D. Micciancio, "A New Paradigm for Collision-Free Hashing" (AdHash).
"""

import hashlib
import struct
from typing import Any, Final, NamedTuple

from sojourn.core.base.digests import ZERO
from sojourn.runtime.store import Change, Delete, Put, PutBlock

__all__ = [
    "GENESIS",
    "TOTAL_MODULUS",
    "Link",
    "as_number",
    "block_mark",
    "change_mark",
    "is_intact",
    "put_mark",
    "row_digest",
]

TOTAL_MODULUS: Final = 2**256

_PUT = struct.Struct(">cBH")  # kind, bytes of the table's name, bytes of the key
_SEQUENCE = struct.Struct(">cQ")  # kind, sequence number


def put_mark(table: str, key: bytes, value: bytes) -> bytes:
    """Return the mark of setting a row to a value."""
    name = table.encode("ascii")
    return hashlib.sha256(_PUT.pack(b"P", len(name), len(key)) + name + key + value).digest()


def block_mark(codec: str, digest: bytes) -> bytes:
    """Return the mark of keeping a block."""
    return hashlib.sha256(b"B" + digest + codec.encode("ascii")).digest()


def change_mark(change: Change) -> bytes:
    """Return the mark of any change."""
    if isinstance(change, Put):
        return put_mark(change.table, change.key, change.value)
    if isinstance(change, PutBlock):
        return block_mark(change.codec, change.digest)
    if isinstance(change, Delete):
        name = change.table.encode("ascii")
        header = _PUT.pack(b"D", len(name), len(change.key))
        return hashlib.sha256(header + name + change.key).digest()
    return hashlib.sha256(b"X" + change.digest).digest()


def row_digest(seq: int, mark: bytes) -> bytes:
    """Return the digest kept in a row that commit `seq` set, `mark` being the mark of its `Put`."""
    return hashlib.sha256(_SEQUENCE.pack(b"R", seq) + mark).digest()


def is_intact(table: Any, key: Any, seq: Any, digest: Any, value: Any) -> bool:
    """Tell whether a row is what commit `seq` put there. Damaged, it has values of any type."""
    try:
        return bool(row_digest(seq, put_mark(table, key, value)) == digest)
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
