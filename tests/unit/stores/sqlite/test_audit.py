"""The full check at opening, on what SQLite itself would never write: entries twice, or of another type."""

import struct
from pathlib import Path

import apsw
import pytest

from sojourn.core.base.digests import digest
from sojourn.core.base.errors import StoreFailed
from sojourn.runtime.store import Codec, row_mark
from sojourn.stores.sqlite import audit as auditing
from sojourn.stores.sqlite.audit import audit
from sojourn.stores.sqlite.chain import (
    GENESIS,
    as_number,
    block_mark,
    row_term,
)
from sojourn.stores.sqlite.schema import INSERT_LINK

STORE = Path("store.sqlite")
TABLES = """
CREATE TABLE rows (tbl, key, seq, mark, place);
CREATE TABLE contents (place, value);
CREATE TABLE blocks (digest, codec, data);
CREATE INDEX blocks_by_digest ON blocks (digest, codec);
CREATE TABLE chain (seq, previous, changes, total, digest);
"""
"""The tables of a store, without what keeps their content in order."""


def row(key: bytes) -> tuple[str, bytes, int, bytes, int]:
    return "a", key, 1, row_mark("a", key, b"v"), 1


def made(rows: list[bytes], blocks: list[tuple[object, Codec]], unseen: int = 0) -> apsw.Connection:
    """Return a database that holds these rows and blocks, and a chain to whose total they add up."""
    database = apsw.Connection(":memory:")
    database.execute(TABLES)
    database.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", [row(key) for key in rows])
    database.executemany("INSERT INTO blocks VALUES (?, ?, x'')", blocks)  # type: ignore[arg-type]
    database.execute("INSERT INTO contents VALUES (1, ?)", (b"v",))
    added = sum(row_term(*row(key)) for key in rows) + unseen
    added += sum(
        as_number(block_mark(codec, name)) for name, codec in blocks if isinstance(name, bytes)
    )
    link = GENESIS.next([], added)
    database.execute(INSERT_LINK, (*GENESIS, GENESIS.digest))
    database.execute(INSERT_LINK, (*link, link.digest))
    return database


def problem_of(database: apsw.Connection) -> str:
    with pytest.raises(StoreFailed) as raised:
        audit(database, STORE)
    return raised.value.problem


def test_what_adds_up_is_in_order() -> None:
    blocks: list[tuple[object, Codec]] = [(digest(b"1"), "raw"), (digest(b"2"), "dag-cbor")]
    assert 1 == audit(made([b"a", b"b"], blocks), STORE).seq


def test_what_does_not_add_up_is_damaged_by_however_little() -> None:
    expected = "the store store.sqlite is damaged: rows or blocks are missing, or older ones have come back"
    for unseen in (1, -1, 1 << 255):
        assert expected == problem_of(made([b"a", b"b"], [(digest(b"1"), "raw")], unseen))


CUTS = {
    "the first link gone": ("DELETE FROM chain WHERE seq = 0", ""),
    "all links gone": ("DELETE FROM chain", "the chain of commits is gone"),
    "a link gone": ("DELETE FROM chain WHERE seq = 1", "the chain of commits is broken at 2"),
    "a link twice": (
        "INSERT INTO chain SELECT * FROM chain WHERE seq = 1",
        "the chain of commits is broken at 1",
    ),
    "a link of another past": (
        "UPDATE chain SET previous = zeroblob(32) WHERE seq = 2",
        "the chain of commits is broken at 2",
    ),
    "the last link changed": (
        "UPDATE chain SET changes = zeroblob(32) WHERE seq = 2",
        "the chain of commits is broken at 2",
    ),
}


@pytest.mark.parametrize(("cut", "problem"), CUTS.values(), ids=CUTS)
def test_the_chain_holds_from_its_oldest_link_to_its_newest(cut: str, problem: str) -> None:
    """Old links are dropped: the first one left stands for all before it."""
    database = made([b"a"], [])
    link = GENESIS.next([], row_term(*row(b"a"))).next([b"mark"], 0)
    database.execute(INSERT_LINK, (*link, link.digest))
    assert link == audit(database, STORE)
    database.execute(cut)
    if problem:
        assert f"the store store.sqlite is damaged: {problem}" == problem_of(database)
    else:
        assert link == audit(database, STORE)


def test_a_row_that_is_there_twice_is_damaged_although_the_total_holds() -> None:
    assert "row b'a' of table 'a' is not what was written" in problem_of(made([b"a", b"a"], []))


def test_a_block_that_is_there_twice_is_damaged_although_the_total_holds() -> None:
    name = digest(b"1")
    expected = f"the entry of block {name!r:.80} is not what was written"
    assert expected in problem_of(made([], [(name, "raw")] * 2))


@pytest.mark.parametrize("name", ["text", 7, None])
def test_a_block_whose_name_is_no_bytes_is_damaged(name: object) -> None:
    assert f"the entry of block {name!r} is not" in problem_of(made([], [(name, "raw")]))


@pytest.mark.parametrize("is_small", [False, True])
def test_the_structure_of_a_file_is_checked_up_to_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_small: bool
) -> None:
    """Of a larger one every page would be read. Its rows are held against the chain all the same."""
    path = tmp_path / "store.sqlite"
    database = apsw.Connection(str(path))
    database.execute(TABLES)
    database.execute("CREATE TABLE free (a); INSERT INTO free VALUES (zeroblob(9000))")
    database.execute("DROP TABLE free")
    database.execute(INSERT_LINK, (*GENESIS, GENESIS.digest))
    database.close()
    name_page_2_as_free(path)
    database = apsw.Connection(str(path))
    pages = database.pragma("page_count")
    monkeypatch.setattr(auditing, "WHOLE_PAGES_MAX", pages if is_small else pages - 1)
    if is_small:
        with pytest.raises(StoreFailed, match=rf"{path} is damaged: .*2nd reference to page 2\."):
            audit(database, path)
    else:
        assert GENESIS == audit(database, path)
        with pytest.raises(StoreFailed, match="2nd reference to page 2"):
            audit(database, path, is_suspect=True)
    database.close()


@pytest.mark.parametrize("value", [b"w", b"", "v", 7, None])
def test_what_rows_hold_is_checked_up_to_a_size_and_in_whatever_is_suspect(
    monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    database = made([b"a"], [])
    database.execute("UPDATE contents SET value = ?", (value,))  # type: ignore[arg-type]
    expected = "the store store.sqlite is damaged: row b'a' of table 'a' is not what was written"
    assert expected == problem_of(database)
    monkeypatch.setattr(auditing, "WHOLE_PAGES_MAX", 1)
    assert 1 == audit(database, STORE).seq
    with pytest.raises(StoreFailed, match="row b'a' of table 'a' is not what was written"):
        audit(database, STORE, is_suspect=True)


@pytest.mark.parametrize("column", ["tbl", "key", "seq", "mark", "place"])
@pytest.mark.parametrize("odd", [b"odd", "text", "\u00e9", -1, 2**63 - 1, 1.5, None])
def test_a_row_that_is_odd_in_any_way_is_damaged(
    monkeypatch: pytest.MonkeyPatch, column: str, odd: object
) -> None:
    monkeypatch.setattr(auditing, "WHOLE_PAGES_MAX", 1)
    database = made([b"a"], [])
    database.execute(f"UPDATE rows SET {column} = ?", (odd,))  # type: ignore[arg-type]
    assert "not what was written" in (said := problem_of(database)) or "are missing" in said


def name_page_2_as_free(path: Path) -> None:
    """Put it in the list of free pages, though it is in use."""
    with path.open("r+b") as file:
        file.seek(32)  # the header's first page of the list
        [trunk] = struct.unpack(">I", file.read(4))
        file.seek((trunk - 1) * 4096 + 8)  # the first free page that this page names
        file.write((2).to_bytes(4, "big"))
