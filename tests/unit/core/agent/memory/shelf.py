"""A source of blocks that keeps the store's promise, for tests; and a way to break any of them."""

from collections.abc import Callable, Iterable
from typing import Any

from sojourn.core.agent.memory.blocks import MissingBlock, NewBlocks, links
from sojourn.core.base.digests import ZERO, Link, digest, link_digest, link_to
from sojourn.core.base.encoding import decode_block, encode_block
from sojourn.core.base.limits import BLOCK_BYTES_MAX

BELOW = encode_block("what a value links to")
LINK = link_to(digest(BELOW))


class Shelf:
    """Blocks in a dictionary. It takes a block only after all that the block links to."""

    def __init__(self) -> None:
        self.blocks = {digest(BELOW): BELOW}
        self.reads: list[bytes] = []

    def get(self, named: bytes) -> bytes:
        self.reads.append(named)
        if named not in self.blocks:
            raise MissingBlock(named)
        return self.blocks[named]

    def take(self, named: bytes, data: bytes) -> None:
        assert digest(data) == named
        absent = [child for child in links(data) if child not in self.blocks]
        assert absent == [], "a block before its children"
        assert len(data) <= BLOCK_BYTES_MAX
        self.blocks[named] = data

    def save(self, new: NewBlocks) -> dict[bytes, bytes]:
        """Take all new blocks, in their order, and return them."""
        made = dict(new.made)
        for named, data in made.items():
            self.take(named, data)
        new.forget(list(made))
        return made

    def have(self, digests: Iterable[bytes]) -> set[bytes]:
        return {named for named in digests if named in self.blocks}

    def forge(self, plain: Any) -> bytes:
        """Keep a block that says anything, and return its digest."""
        data = encode_block(plain)
        self.blocks[digest(data)] = data
        return digest(data)

    def plain(self, named: bytes) -> Any:
        return decode_block(self.blocks[named], what="block", limit=BLOCK_BYTES_MAX)


def under(shelf: Shelf, root: bytes) -> list[bytes]:
    """Return the digests of all blocks at and below a root, parents before children, each once."""
    found = {} if root == ZERO else {root: None}
    todo = list(found)
    for named in todo:
        new = [child for child in links(shelf.blocks[named]) if child not in found]
        found |= dict.fromkeys(new)
        todo += new
    return todo


def forged(shelf: Shelf, root: bytes, target: bytes, change: Callable[[Any], Any]) -> bytes:
    """Return the root of a tree in which what block `target` says is changed, all digests right."""
    plain = shelf.plain(root)
    if root == target:
        return shelf.forge(change(plain))

    def relinked(value: Any) -> Any:
        if isinstance(value, Link):
            return link_to(forged(shelf, link_digest(value), target, change))
        return [relinked(inner) for inner in value] if isinstance(value, list) else value

    return shelf.forge(relinked(plain))
