"""Whatever is done to it, the store in a file holds what the store in memory holds."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sojourn.core.base.digests import digest
from sojourn.runtime.store import Change, Delete, DeleteBlock, Put, PutBlock, Store
from sojourn.stores.memory import MemoryStore
from sojourn.stores.sqlite import SqliteStore

BLOCKS = [b"%d" % number * (number * 4000 + 1) for number in range(5)]

tables = st.sampled_from(["heads", "votes"])
keys = st.one_of(
    st.sampled_from([b"a", b"ab", b"b", b"\xff", b"\xff\xff"]), st.binary(min_size=1, max_size=3)
)
values = st.one_of(st.binary(max_size=20), st.sampled_from([5_000, 70_000]).map(bytes))
blocks = st.sampled_from(range(len(BLOCKS))).map(lambda number: BLOCKS[number])
codecs = st.sampled_from(["raw", "dag-cbor"])
changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(Put, tables, keys, values),
    st.builds(Delete, tables, keys),
    st.builds(lambda data, codec: PutBlock(digest(data), codec, data), blocks, codecs),
    st.builds(lambda data: DeleteBlock(digest(data)), blocks),
)
commits = st.lists(changes, max_size=8)


class TwoStores(RuleBasedStateMachine):
    """Does the same to both, and compares all that can be read."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.memory = MemoryStore()
        self.sqlite = SqliteStore.open(self.directory, create=True)

    def both(self, read: Callable[[Store], object]) -> None:
        assert read(self.sqlite) == read(self.memory)

    @rule(commit=commits)
    def commit(self, commit: list[Change]) -> None:
        for store in (self.sqlite, self.memory):
            self.runner.run(store.commit(commit))

    @rule(commits=st.lists(commits, max_size=5))
    def commit_together(self, commits: list[list[Change]]) -> None:
        async def run(store: Store) -> None:
            await asyncio.gather(*(store.commit(commit) for commit in commits))

        for store in (self.sqlite, self.memory):
            self.runner.run(run(store))

    @rule()
    def open_again(self) -> None:
        self.sqlite.close()
        self.sqlite = SqliteStore.open(self.directory)
        self.memory = self.memory.reopened()

    @rule(table=tables, prefix=st.one_of(st.just(b""), keys), after=keys, limit=st.integers(0, 5))
    def scan(self, table: str, prefix: bytes, after: bytes, limit: int) -> None:
        self.both(lambda store: store.scan(table, prefix=prefix, after=after, limit=limit))

    @rule(table=tables, key=keys)
    def get(self, table: str, key: bytes) -> None:
        self.both(lambda store: store.get(table, key))

    @invariant()
    def they_hold_the_same(self) -> None:
        names = [digest(data) for data in BLOCKS]
        for table in ("heads", "votes"):
            self.both(partial(Store.scan, table=table, limit=1000))
            self.both(partial(Store.count, table=table))
        self.both(lambda store: store.missing_blocks(names))
        self.both(lambda store: [store.get_block(name) for name in names])

    def teardown(self) -> None:
        self.sqlite.close()
        self.runner.close()
        shutil.rmtree(self.directory)


TestTwoStores = TwoStores.TestCase
TestTwoStores.settings = settings(max_examples=40, stateful_step_count=20)
