"""What every adapter of the storage port does.

A class that derives from `StoreConformance` says how its stores are opened: `make` returns a factory, and
each call of the factory is a new process that opens the same store, the one before having been closed.
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from sojourn.core.base.errors import Misused, StoreFailed
from sojourn.runtime.store import (
    CHANGES_MAX,
    KEY_BYTES_MAX,
    TABLE_CHARS_MAX,
    VALUE_BYTES_MAX,
    Block,
    Change,
    Codec,
    Delete,
    DeleteBlock,
    Put,
    PutBlock,
    Store,
)

MakeStore = Callable[[], Store]


def put_block(data: bytes, codec: Codec = "raw") -> PutBlock:
    return PutBlock(hashlib.sha256(data).digest(), codec, data)


def commit(store: Store, *changes: Change) -> None:
    asyncio.run(store.commit(changes))


async def together(*commits: Coroutine[Any, Any, None]) -> list[BaseException | None]:
    return list(await asyncio.gather(*commits, return_exceptions=True))


class StoreConformance:
    """Derive from it, and say in `make` how stores are opened."""

    def make(self, directory: Path) -> MakeStore:
        raise NotImplementedError

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Iterator[MakeStore]:
        opened: list[Store] = []
        make = self.make(tmp_path / "store")

        def open_next() -> Store:
            for store in opened:
                store.close()
            opened.append(make())
            return opened[-1]

        yield open_next
        for store in opened:
            store.close()

    @pytest.fixture
    def store(self, open_store: MakeStore) -> Store:
        return open_store()

    # Rows

    def test_a_row_that_was_put_is_there(self, store: Store) -> None:
        commit(store, Put("heads", b"a", b"1"), Put("heads", b"b", b""))
        assert store.get("heads", b"a") == b"1"
        assert store.get("heads", b"b") == b""
        assert store.get("heads", b"c") is None

    def test_tables_share_no_rows(self, store: Store) -> None:
        commit(store, Put("heads", b"a", b"1"), Put("votes", b"a", b"2"))
        assert store.get("heads", b"a") == b"1"
        assert store.get("votes", b"a") == b"2"
        assert store.get("head", b"a") is None

    def test_a_later_change_replaces_an_earlier_one(self, store: Store) -> None:
        commit(store, Put("heads", b"a", b"1"), Put("heads", b"b", b"1"))
        commit(store, Put("heads", b"a", b"2"), Delete("heads", b"b"), Delete("heads", b"none"))
        assert store.get("heads", b"a") == b"2"
        assert store.get("heads", b"b") is None

    def test_changes_of_one_commit_are_made_in_order(self, store: Store) -> None:
        commit(
            store,
            Put("heads", b"a", b"1"),
            Put("heads", b"a", b"2"),
            Put("heads", b"b", b"1"),
            Delete("heads", b"b"),
            Delete("heads", b"c"),
            Put("heads", b"c", b"3"),
        )
        assert store.scan("heads", limit=9) == [(b"a", b"2"), (b"c", b"3")]

    def test_any_bytes_are_kept(self, store: Store) -> None:
        key, value = bytes(range(256)) * (KEY_BYTES_MAX // 256), bytes(VALUE_BYTES_MAX)
        commit(store, Put("a" * TABLE_CHARS_MAX, key, value), Put("a", b"\0", b"\xff\0"))
        assert store.get("a" * TABLE_CHARS_MAX, key) == value
        assert store.get("a", b"\0") == b"\xff\0"

    def test_a_commit_of_nothing_is_no_commit(self, store: Store) -> None:
        commit(store)
        assert store.count("heads") == 0

    # Scans

    @pytest.mark.parametrize(
        ("prefix", "after", "limit", "expected"),
        [
            (b"", b"", 9, [b"\0", b"a", b"a\0", b"ab", b"b", b"\xff", b"\xff\xff"]),
            (b"", b"", 2, [b"\0", b"a"]),
            (b"", b"", 0, []),
            (b"", b"a", 2, [b"a\0", b"ab"]),
            (b"", b"aa", 9, [b"ab", b"b", b"\xff", b"\xff\xff"]),
            (b"a", b"", 9, [b"a", b"a\0", b"ab"]),
            (b"a", b"a", 9, [b"a\0", b"ab"]),
            (b"a", b"a\0", 1, [b"ab"]),
            (b"a", b"b", 9, []),
            (b"b", b"a", 9, [b"b"]),
            (b"c", b"", 9, []),
            (b"\xff", b"", 9, [b"\xff", b"\xff\xff"]),
            (b"\xff\xff", b"", 9, [b"\xff\xff"]),
        ],
    )
    def test_a_scan_takes_the_keys_in_order(
        self, store: Store, prefix: bytes, after: bytes, limit: int, expected: list[bytes]
    ) -> None:
        keys = [b"b", b"\xff\xff", b"a\0", b"\0", b"ab", b"\xff", b"a"]
        commit(store, Put("other", b"aa", b"1"), *(Put("heads", key, b"v" + key) for key in keys))
        found = store.scan("heads", prefix=prefix, after=after, limit=limit)
        assert found == [(key, b"v" + key) for key in expected]

    def test_rows_are_counted_by_table(self, store: Store) -> None:
        commit(store, Put("a", b"1", b""), Put("a", b"2", b""), Put("b", b"1", b""))
        commit(store, Delete("a", b"1"), Put("a", b"2", b"again"))
        assert [store.count("a"), store.count("b"), store.count("c")] == [1, 1, 0]

    # Blocks

    def test_a_block_that_was_put_is_there(self, store: Store) -> None:
        leaf, tree, none = put_block(b"leaf"), put_block(b"\xa0", "dag-cbor"), put_block(b"")
        commit(store, leaf, tree)
        commit(store, leaf, leaf)
        assert store.get_block(leaf.digest) == Block("raw", b"leaf")
        assert store.get_block(tree.digest) == Block("dag-cbor", b"\xa0")
        assert store.get_block(none.digest) is None

    def test_missing_blocks_come_in_the_order_asked(self, store: Store) -> None:
        blocks = [put_block(bytes([number])) for number in range(200)]
        commit(store, *blocks[::2])
        wanted = [block.digest for block in blocks]
        assert store.missing_blocks(wanted + wanted) == wanted[1::2]
        assert store.missing_blocks([]) == []

    def test_blocks_are_named_in_order(self, store: Store) -> None:
        blocks = [put_block(bytes([number])) for number in range(50)]
        commit(store, *blocks, put_block(b"gone"), DeleteBlock(put_block(b"gone").digest))
        names = sorted(block.digest for block in blocks)
        assert store.block_names(limit=99) == names
        assert store.block_names(after=names[9], limit=5) == names[10:15]
        assert store.block_names(after=names[-1], limit=5) == []
        assert store.block_names(limit=0) == []

    def test_a_deleted_block_is_gone(self, store: Store) -> None:
        one, other = put_block(b"1"), put_block(b"2")
        commit(store, one, other, DeleteBlock(one.digest))
        assert store.missing_blocks([one.digest, other.digest]) == [one.digest]
        commit(store, DeleteBlock(one.digest), DeleteBlock(other.digest))
        assert store.get_block(other.digest) is None

    def test_a_block_can_be_replaced_in_one_commit(self, store: Store) -> None:
        block = put_block(b"1")
        commit(store, block)
        commit(store, DeleteBlock(block.digest), block)
        assert store.get_block(block.digest) == Block("raw", b"1")

    @pytest.mark.parametrize("apart", [True, False], ids=["apart", "together"])
    @pytest.mark.parametrize("codecs", [("raw", "dag-cbor"), ("dag-cbor", "raw")])
    def test_no_order_of_puts_hides_the_links_of_a_block(
        self, store: Store, codecs: tuple[Codec, Codec], apart: bool
    ) -> None:
        one, other = (put_block(b"\xa0", codec) for codec in codecs)
        if apart:
            commit(store, one)
            commit(store, other)
        else:
            commit(store, one, other)
        assert store.get_block(one.digest) == Block("dag-cbor", b"\xa0")

    # What no store can hold

    @pytest.mark.parametrize(
        "change",
        [
            Put("", b"a", b""),
            Put("a" * (TABLE_CHARS_MAX + 1), b"a", b""),
            Put("ä", b"a", b""),
            Put("a", b"", b""),
            Put("a", bytes(KEY_BYTES_MAX + 1), b""),
            Put("a", "a", b""),  # type: ignore[arg-type]
            Put("a", b"a", bytes(VALUE_BYTES_MAX + 1)),
            Put("a", b"a", bytearray(b"a")),  # type: ignore[arg-type]
            Delete("a", b""),
            PutBlock(bytes(32), "raw", b"not its digest"),
            PutBlock(b"short", "raw", b"a"),
            PutBlock(hashlib.sha256(b"a").digest(), "cbor", b"a"),  # type: ignore[arg-type]
            put_block(bytes(1024 * 1024 + 1)),
            DeleteBlock(b"short"),
        ],
        ids=lambda change: f"{change!r:.40}",
    )
    def test_a_change_that_cannot_be_held_concerns_no_other_commit(
        self, store: Store, change: Change
    ) -> None:
        async def run() -> list[BaseException | None]:
            return await together(
                store.commit([Put("heads", b"a", b"1")]),
                store.commit([Put("heads", b"b", b"1"), change]),
                store.commit([Put("heads", b"c", b"1")]),
            )

        before, wrong, after = asyncio.run(run())
        assert (before, type(wrong), after) == (None, Misused, None)
        assert isinstance(wrong, Misused)
        assert wrong.remedy
        assert store.scan("heads", limit=9) == [(b"a", b"1"), (b"c", b"1")]
        assert store.failed is None

    def test_a_commit_has_a_limit(self, store: Store) -> None:
        with pytest.raises(Misused, match=f"more than the limit of {CHANGES_MAX}"):
            commit(store, *[Put("a", b"a", b"")] * (CHANGES_MAX + 1))
        value = bytes(VALUE_BYTES_MAX)
        with pytest.raises(Misused, match="bytes, more than the limit"):
            commit(store, *[Put("a", b"a", value)] * 17)
        assert store.count("a") == 0

    # Many at a time

    def test_commits_at_the_same_time_are_all_made_in_order(self, store: Store) -> None:
        async def run() -> list[BaseException | None]:
            numbers = [bytes([number]) for number in range(100)]
            return await together(
                *(store.commit([Put("a", n, n), Put("last", b"a", n)]) for n in numbers)
            )

        assert set(asyncio.run(run())) == {None}
        assert store.scan("a", limit=200) == [(bytes([n]), bytes([n])) for n in range(100)]
        assert store.get("last", b"a") == bytes([99])

    def test_a_commit_can_be_read_as_soon_as_it_returns(self, store: Store) -> None:
        async def run() -> None:
            for number in range(50):
                block = put_block(bytes([number]))
                await store.commit([Put("a", b"a", bytes([number])), block])
                assert store.get("a", b"a") == bytes([number])
                assert store.missing_blocks([block.digest]) == []

        asyncio.run(run())

    def test_a_commit_lets_other_tasks_run(self, store: Store) -> None:
        async def run() -> list[str]:
            order: list[str] = []

            async def other() -> None:
                order.append("other")

            task = asyncio.create_task(other())
            await store.commit([Put("a", b"a", b"1")])
            order.append("committed")
            await task
            return order

        assert asyncio.run(run()) == ["other", "committed"]

    def test_changing_the_list_later_changes_nothing(self, store: Store) -> None:
        async def run() -> None:
            changes: list[Change] = [Put("a", b"a", b"1")]
            task = asyncio.create_task(store.commit(changes))
            await asyncio.sleep(0)
            changes[0] = Put("a", b"a", b"2")
            await task

        asyncio.run(run())
        assert store.get("a", b"a") == b"1"

    def test_a_caller_that_no_longer_waits_harms_nobody(self, store: Store) -> None:
        async def run() -> None:
            gone = asyncio.create_task(store.commit([Put("a", b"gone", b"1")]))
            stays = asyncio.create_task(store.commit([Put("a", b"stays", b"1")]))
            await asyncio.sleep(0)
            gone.cancel()
            await stays
            with pytest.raises(asyncio.CancelledError):
                await gone

        asyncio.run(run())
        assert store.get("a", b"stays") == b"1"
        assert store.failed is None

    # Opening and closing

    def test_what_was_committed_is_there_after_opening_again(self, open_store: MakeStore) -> None:
        block = put_block(b"1")
        commit(open_store(), Put("a", b"a", b"1"), Put("a", b"b", b"1"), block)
        commit(open_store(), Delete("a", b"b"), Put("a", b"c", b"2"))
        store = open_store()
        assert store.scan("a", limit=9) == [(b"a", b"1"), (b"c", b"2")]
        assert store.get_block(block.digest) == Block("raw", b"1")

    def test_closing_finishes_what_is_under_way(self, open_store: MakeStore) -> None:
        async def run() -> None:
            store = open_store()
            task = asyncio.create_task(store.commit([Put("a", b"a", b"1")]))
            await asyncio.sleep(0)
            store.close()
            await task

        asyncio.run(run())
        assert open_store().get("a", b"a") == b"1"

    def test_a_closed_store_answers_nothing(self, store: Store) -> None:
        store.close()
        store.close()
        with pytest.raises(StoreFailed, match="closed"):
            store.get("a", b"a")
        with pytest.raises(StoreFailed, match="closed"):
            store.missing_blocks([])
        with pytest.raises(StoreFailed, match="closed"):
            commit(store, Put("a", b"a", b"1"))
