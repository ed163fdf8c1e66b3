"""Merkle trees: batches under one signature, and the accumulator of a lineage.

Leaf and inner hashes carry the prefixes 0x00 and 0x01, so that neither can be passed off as the other. A root does
not commit to its size: an inclusion proves that a leaf is under the root, not where; nothing relies on where.

Source: RFC 9162 §2.1 (tree, inclusion proofs); the frontier is the list of roots of its perfect subtrees,
largest first, as in a Merkle mountain range.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from sojourn.core.base.encoding import Count, Digest, Value

__all__ = [
    "Inclusion",
    "append",
    "frontier_root",
    "inclusions",
    "leaf_hash",
    "root_from",
    "tree_root",
]

Path = Annotated[tuple[Digest, ...], Meta(max_length=64)]


class Inclusion(Value):
    """Proof that a leaf stands at `index` in a tree of `size` leaves: the siblings from leaf to root."""

    index: Count
    size: Count
    path: Path


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def _join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """Return the largest power of two below `size` (size > 1)."""
    return 1 << (size - 1).bit_length() - 1


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf *hashes*; the empty tree's root is the hash of nothing."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    cut = _split(len(leaves))
    return _join(tree_root(leaves[:cut]), tree_root(leaves[cut:]))


def inclusions(leaves: Sequence[bytes]) -> tuple[bytes, list[Inclusion]]:
    """Return the root over leaf hashes and the proof of every leaf, in order."""
    root, paths = _paths(leaves)
    size = len(leaves)
    return root, [Inclusion(index=i, size=size, path=tuple(path)) for i, path in enumerate(paths)]


def _paths(leaves: Sequence[bytes]) -> tuple[bytes, list[list[bytes]]]:
    if len(leaves) <= 1:
        return tree_root(leaves), [[] for _ in leaves]
    cut = _split(len(leaves))
    left, left_paths = _paths(leaves[:cut])
    right, right_paths = _paths(leaves[cut:])
    joined = [[*path, right] for path in left_paths] + [[*path, left] for path in right_paths]
    return _join(left, right), joined


def root_from(leaf: bytes, proof: Inclusion) -> bytes | None:
    """Return the root that `proof` leads to from the leaf hash, or None if it cannot be a proof.

    Source: RFC 9162 §2.1.3.2.
    """
    if proof.index >= proof.size:
        return None
    index, last, node = proof.index, proof.size - 1, leaf
    for sibling in proof.path:
        if last == 0:
            return None
        if index & 1 or index == last:
            node = _join(sibling, node)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = _join(node, sibling)
        index, last = index >> 1, last >> 1
    return node if last == 0 else None


def append(frontier: tuple[bytes, ...], size: int, leaf: bytes) -> tuple[bytes, ...]:
    """Return the frontier of a tree of `size` leaves after one more leaf hash."""
    peaks = [*frontier, leaf]
    while size & 1:
        right, left = peaks.pop(), peaks.pop()
        peaks.append(_join(left, right))
        size >>= 1
    return tuple(peaks)


def frontier_root(frontier: tuple[bytes, ...]) -> bytes:
    """Return the root of the tree that a frontier stands for: equal to `tree_root` of its leaves."""
    if not frontier:
        return hashlib.sha256(b"").digest()
    node = frontier[-1]
    for peak in reversed(frontier[:-1]):
        node = _join(peak, node)
    return node
