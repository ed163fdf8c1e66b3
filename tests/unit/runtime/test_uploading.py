"""Uploads: children first, each block once, and never more than a part of a tree in hand."""

import asyncio
from collections.abc import Sequence

import pytest

from sojourn.core.agent.memory.blocks import MissingBlock, NewBlocks, links
from sojourn.core.agent.memory.chunks import Cutter
from sojourn.core.base.digests import digest, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.host.blocks import BlockCache
from sojourn.runtime.clients.uploading import Uploading
from tests.unit.core.agent.memory.shelf import Shelf

BATCH = 1024 * 1024


class Anchor:
    """What an anchor has stored: nothing whose children are not there."""

    def __init__(self, *stored: bytes) -> None:
        self.stored = {digest(data): data for data in stored}
        self.puts: list[list[bytes]] = []
        self.asked: list[list[bytes]] = []

    async def missing(self, digests: Sequence[bytes]) -> list[bytes]:
        self.asked.append(list(digests))
        return [named for named in digests if named not in self.stored]

    async def put(self, blocks: list[bytes]) -> int:
        for data in blocks:
            assert set(links(data)) <= self.stored.keys()
            assert digest(data) not in self.stored
            self.stored[digest(data)] = data
        self.puts.append(blocks)
        return sum(map(len, blocks))


class Small(BlockCache):
    """What is at hand of a larger source: others bring as well, so that a block may be gone when it is read."""

    def __init__(self, source: dict[bytes, bytes], bytes_max: int, *, losing: int = 0) -> None:
        super().__init__(bytes_max)
        self.source, self.losing, self.most = source, losing, 0

    async def bring(self, digests: Sequence[bytes]) -> None:
        self.add(self.source[named] for named in digests)
        self.most = max(self.most, self._size)
        if self.losing:
            self.losing -= 1
            self.add([encode_block(b"x" * 900_000)])


def upload(anchor: Anchor, at_hand: Small, *roots: bytes) -> int:
    uploading = Uploading(anchor.missing, anchor.put, at_hand, at_hand.bring, batch_bytes=BATCH)
    return asyncio.run(uploading.run(roots))


def large(size: int) -> tuple[dict[bytes, bytes], bytes]:
    new, cutter = NewBlocks(Shelf()), Cutter()
    for number in range(size // BATCH):
        cutter.feed(number.to_bytes(2) * (BATCH // 2))
    root = cutter.finish(new)
    return dict(new.made), root


def test_a_value_larger_than_what_fits_at_hand_is_stored_whole() -> None:
    blocks, root = large(40 * BATCH)
    anchor, at_hand = Anchor(), Small(blocks, 5 * BATCH)
    assert sum(map(len, blocks.values())) == upload(anchor, at_hand, root)
    assert anchor.stored == blocks
    assert at_hand.most <= 5 * BATCH
    assert max(sum(map(len, put)) for put in anchor.puts) <= BATCH


def test_a_small_tree_costs_a_question_for_each_level_and_one_put() -> None:
    leaves = [encode_block(number) for number in range(5)]
    inner = [encode_block([link_to(digest(leaf)) for leaf in leaves[n:]]) for n in (0, 2)]
    root = encode_block([link_to(digest(each)) for each in (*inner, leaves[0])])
    blocks = {digest(data): data for data in (*leaves, *inner, root)}
    anchor = Anchor(leaves[1], leaves[3])
    sent = upload(anchor, Small(blocks, BATCH), digest(root), digest(inner[0]))
    assert anchor.stored == blocks
    assert 1 == len(anchor.puts)
    assert sum(map(len, anchor.puts[0])) == sent
    assert 2 == len(anchor.asked), "what two levels share is asked about once"


def test_what_is_dropped_again_before_it_is_read_is_brought_again() -> None:
    blocks, root = large(2 * BATCH)
    assert upload(Anchor(), Small(blocks, BATCH, losing=1), root) > 2 * BATCH // 16
    with pytest.raises(MissingBlock):
        upload(Anchor(), Small(blocks, BATCH // 2, losing=1_000), root)


def test_a_long_chain_is_no_deep_recursion() -> None:
    blocks, named = {}, digest(encode_block(0))
    blocks[named] = encode_block(0)
    for _ in range(3000):
        data = encode_block([link_to(named)])
        named = digest(data)
        blocks[named] = data
    anchor = Anchor()
    upload(anchor, Small(blocks, BATCH), named)
    assert anchor.stored == blocks
