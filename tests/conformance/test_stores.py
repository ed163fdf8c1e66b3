"""Both adapters of the storage port, held to the same tests."""

from pathlib import Path

from sojourn.stores.memory import MemoryStore
from sojourn.stores.sqlite import SqliteStore
from tests.conformance.store import MakeStore, StoreConformance


class TestMemory(StoreConformance):
    def make(self, directory: Path) -> MakeStore:
        stores: list[MemoryStore] = []

        def make() -> MemoryStore:
            stores.append(stores[-1].reopened() if stores else MemoryStore())
            return stores[-1]

        return make


class TestSqlite(StoreConformance):
    def make(self, directory: Path) -> MakeStore:
        return lambda: SqliteStore.open(directory, create=True)
