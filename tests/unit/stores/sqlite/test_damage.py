"""A file that changed behind the store's back is noticed, and nothing in it is served wrong."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest

import sojourn
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import SojournError, StoreFailed
from sojourn.runtime.store import Delete, DeleteBlock, Put, PutBlock, row_mark
from sojourn.stores.sqlite import SqliteStore
from sojourn.stores.sqlite import audit as auditing
from sojourn.stores.sqlite.mark import MARK_NAME, Mark
from sojourn.stores.sqlite.store import DATABASE_NAME, LOCK_NAME
from sojourn.stores.sqlite.suspicion import SUSPECT_NAME, Suspicion
from sojourn.stores.sqlite.wal import commit_frames

Content = dict[tuple[str, bytes], object]
Surgery = Callable[[apsw.Connection], object]

SMALL, LARGE = b"small value ", b"large value "
BLOCK, WIDE_BLOCK = b"a block that stands in one page", b"a block of many pages " * 3000
FLIPS_PER_CLASS = 12


async def fill(store: SqliteStore) -> None:
    """Make pages of every class: leaves, inner pages and overflow of every tree, and free ones."""
    for number in range(300):
        key = digest(b"%d" % number)
        changes = [Put("small", key, SMALL + key), Put("gone", key, bytes(500))]
        changes += [Put("large", key, (LARGE + key) * 200)] if number < 10 else []
        await store.commit(changes)
    blocks = [BLOCK + b"%d" % number for number in range(200)] + [WIDE_BLOCK]
    await store.commit([PutBlock(digest(data), "raw", data) for data in blocks])
    await store.commit([Delete("gone", digest(b"%d" % number)) for number in range(300)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a store that was closed in good order. Copy it before use."""
    directory = tmp_path_factory.mktemp("whole")
    store = SqliteStore.open(directory, create=True)
    asyncio.run(fill(store))
    store.close()
    assert sorted(file.name for file in directory.iterdir()) == [
        LOCK_NAME,
        MARK_NAME,
        DATABASE_NAME,
    ]
    return directory


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


SIZES = pytest.mark.parametrize("is_large", [False, True], ids=["small", "large"], indirect=True)


@pytest.fixture
def is_large(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Have stores taken for large ones, of which what rows hold is not read at the opening."""
    if request.param:
        monkeypatch.setattr(auditing, "WHOLE_PAGES_MAX", 0)
    return bool(request.param)


def checked(store: SqliteStore, at_once: int = 64) -> int:
    """Read all rows as the background does; return how many there are."""
    last, count = store.check_rows(None, at_once), 0
    while last is not None:
        count += 1
        last = store.check_rows(last, at_once)
    return count


def content(directory: Path) -> Content:
    """Read all there is in a store, every row by its key as well."""
    store = SqliteStore.open(directory)
    try:
        rows = {(t, k): v for t in ("small", "large", "gone") for k, v in store.scan(t, limit=999)}
        assert {(table, key): store.get(table, key) for table, key in rows} == rows
        blocks = [BLOCK + b"%d" % number for number in range(200)] + [WIDE_BLOCK]
        stored = {("block", digest(data)): store.get_block(digest(data)) for data in blocks}
        return {**rows, **stored}
    finally:
        store.close()


def content_or_failure(directory: Path) -> Content | None:
    """Return what a store serves, or None if it says in one line that it cannot."""
    try:
        return content(directory)
    except SojournError as error:
        if "\n" in str(error):
            raise
        return None


def flip(file: Path, offset: int, bit: int = 0) -> None:
    with file.open("r+b") as opened:
        opened.seek(offset)
        [byte] = opened.read(1)
        opened.seek(offset)
        opened.write(bytes([byte ^ 1 << bit]))


def operate(directory: Path, surgery: Surgery) -> None:
    """Change the file as SQLite would, past the store."""
    database = apsw.Connection(str(directory / DATABASE_NAME))
    surgery(database)
    database.close()


# Flipped bits


def pages_by_class(directory: Path) -> dict[str, list[int]]:
    """Return the numbers of the file's pages by tree and role: "rows leaf", "chain internal", …"""
    database = apsw.Connection(str(directory / DATABASE_NAME))
    classes = defaultdict(list)
    for name, role, page in database.execute("SELECT name, pagetype, pageno FROM dbstat"):
        classes[f"{name} {role}"].append(page)
    used = {page for pages in classes.values() for page in pages}
    classes["free"] = [n for n in range(1, database.pragma("page_count") + 1) if n not in used]
    database.close()
    return classes


@SIZES
def test_no_flipped_bit_is_ever_served(whole: Path, tmp_path: Path, is_large: bool) -> None:
    """In pages of every class, and at any place in them; much of a page may be empty, though."""
    expected = content(whole)
    random = Random(7)
    noticed: dict[str, int] = {}
    for name, pages in pages_by_class(whole).items():
        noticed[name] = 0
        for trial in range(FLIPS_PER_CLASS):
            copy = Path(shutil.copytree(whole, tmp_path / f"{name}-{trial}"))
            # A third in the header of the page, where the damage is worst.
            place = random.randrange(12 if trial % 3 == 0 else 4096)
            flip(
                copy / DATABASE_NAME, (random.choice(pages) - 1) * 4096 + place, random.randrange(8)
            )
            found = content_or_failure(copy)
            assert found in (expected, None)
            noticed[name] += found is None
            shutil.rmtree(copy)
    kinds = ("leaf", "internal")
    trees = ("rows", "contents", "blocks", "blocks_by_digest", "chain")
    assert noticed.keys() >= {f"{tree} {kind}" for tree in trees for kind in kinds}
    assert noticed.keys() >= {"contents overflow", "blocks overflow", "sqlite_schema leaf", "free"}
    nearly_empty = {"meta leaf", "sqlite_autoindex_meta_1 leaf", "free"}
    assert {name for name, count in noticed.items() if count == 0} <= nearly_empty


@pytest.mark.parametrize(
    "needle",
    [
        pytest.param(SMALL + digest(b"7"), id="a value"),
        pytest.param((LARGE + digest(b"3")) * 3, id="a value of many pages"),
        pytest.param(BLOCK + b"77", id="a block"),
        pytest.param(WIDE_BLOCK[:100], id="a block of many pages"),
        pytest.param(b"small" + digest(b"9"), id="a key"),
        pytest.param(b"CREATE TABLE rows (tbl", id="the schema"),
        pytest.param(b"SQLite format 3", id="the file's header"),
    ],
)
@SIZES
def test_a_flipped_bit_in_what_is_stored_is_the_stores_failure(
    copy: Path, needle: bytes, is_large: bool
) -> None:
    data = (copy / DATABASE_NAME).read_bytes()
    places = [at for at in range(len(data)) if data.startswith(needle, at)]
    assert places
    for at in places:
        flip(copy / DATABASE_NAME, at + len(needle) // 2)
    with pytest.raises(StoreFailed, match="damaged"):
        content(copy)


def test_a_statement_that_cannot_be_read_any_more_is_told_of_in_one_line(copy: Path) -> None:
    """SQLite repeats all that follows, lines and all."""
    data = (copy / DATABASE_NAME).read_bytes()
    flip(copy / DATABASE_NAME, data.index(b"TABLE rows (tbl TEXT") + len(b"TABLE rows (tbl"), 1)
    with pytest.raises(StoreFailed, match="malformed database schema") as raised:
        SqliteStore.open(copy)
    assert "\n" not in str(raised.value)


@SIZES
def test_a_key_that_flips_is_noticed(copy: Path, is_large: bool) -> None:
    """The row would not be found any more, though what it holds is there."""
    data = (copy / DATABASE_NAME).read_bytes()
    starts = [(page - 1) * 4096 for page in pages_by_class(copy)["rows leaf"]]
    places = [
        at for at in (data.find(digest(b"9"), start, start + 4096) for start in starts) if at >= 0
    ]
    assert places
    flip(copy / DATABASE_NAME, places[0] + 31)
    with pytest.raises(StoreFailed, match="is not what was written"):
        SqliteStore.open(copy)


def test_every_byte_of_the_files_header_may_flip(whole: Path, tmp_path: Path) -> None:
    expected = content(whole)
    for offset in range(100):
        copy = Path(shutil.copytree(whole, tmp_path / f"{offset}"))
        flip(copy / DATABASE_NAME, offset, offset % 8)
        assert content_or_failure(copy) in (expected, None)
        shutil.rmtree(copy)


def test_a_free_page_that_is_in_use_is_noticed(copy: Path) -> None:
    """SQLite would write over it."""
    with (copy / DATABASE_NAME).open("r+b") as file:
        file.seek(32)  # the header's first page of the list of free pages
        trunk = int.from_bytes(file.read(4), "big")
        file.seek((trunk - 1) * 4096 + 8)  # the first free page that this page names
        file.write((2).to_bytes(4, "big"))
    with pytest.raises(StoreFailed, match=r"damaged: .*2nd reference to page 2"):
        SqliteStore.open(copy)


# Rows and blocks that changed places or times


def swap_values(database: apsw.Connection) -> None:
    one, other = digest(b"1"), digest(b"2")
    database.execute(
        "UPDATE rows SET (seq, mark, place) = (SELECT seq, mark, place FROM rows WHERE key = ?)"
        " WHERE tbl = 'small' AND key = ?",
        (one, other),
    )


def swap_keys(database: apsw.Connection) -> None:
    rename = "UPDATE rows SET key = ? WHERE tbl = 'small' AND key = ?"
    for new, old in ((b"x", digest(b"1")), (digest(b"1"), digest(b"2")), (digest(b"2"), b"x")):
        database.execute(rename, (new, old))


IT = "(SELECT min(key) FROM rows WHERE tbl = 'small')"
OF_IT = f"WHERE tbl = 'small' AND key = {IT}"

SURGERIES: dict[str, tuple[str | Surgery, str]] = {
    "a row lost": (f"DELETE FROM rows {OF_IT}", "missing"),
    "all rows lost": ("DELETE FROM rows", "missing"),
    "a block lost": ("DELETE FROM blocks WHERE rowid = 5", "missing"),
    "a value of another row": (swap_values, "of table 'small' is not what was written"),
    "two keys exchanged": (swap_keys, "of table 'small' is not what was written"),
    "a row in another table": (
        f"UPDATE rows SET tbl = 'larger' {OF_IT.replace('small', 'large')}",
        "of table 'larger' is not what was written",
    ),
    "a row of a later commit": (f"UPDATE rows SET seq = seq + 1 {OF_IT}", "missing"),
    "a row elsewhere": (f"UPDATE rows SET place = place + 9999 {OF_IT}", "row|missing"),
    "a block under another name": (
        "UPDATE blocks SET digest = zeroblob(32) WHERE rowid = 5",
        "missing",
    ),
    "a block of another codec": ("UPDATE blocks SET codec = 'dag-cbor' WHERE rowid = 5", "missing"),
    "a block of no codec": ("UPDATE blocks SET codec = 'rax' WHERE rowid = 5", "entry of block"),
    "the last commit lost": (
        "DELETE FROM chain WHERE seq = (SELECT max(seq) FROM chain)",
        "missing",
    ),
    "a commit lost": ("DELETE FROM chain WHERE seq = 100", "chain of commits is broken at 101"),
    "a commit changed": (
        "UPDATE chain SET changes = zeroblob(32) WHERE seq = 100",
        "broken at 100",
    ),
    "the chain lost": ("DELETE FROM chain", "chain of commits is gone"),
    "the format unsaid": ("DELETE FROM meta", "header says format 2, its content None"),
    "the format misstated": ("PRAGMA user_version = 3", "header says format 3, its content 2"),
    "the kind misstated": ("PRAGMA application_id = 7", "header says format 2, its content 2"),
    "another journal": ("PRAGMA journal_mode = DELETE", "header is not that of its format"),
    "another table": ("CREATE TABLE extra (a)", "tables are not those of its format"),
}


@pytest.mark.parametrize(("surgery", "problem"), SURGERIES.values(), ids=SURGERIES)
@SIZES
def test_surgery_is_noticed(
    copy: Path, surgery: str | Surgery, problem: str, is_large: bool
) -> None:
    def cut(database: apsw.Connection) -> object:
        return database.execute(surgery) if isinstance(surgery, str) else surgery(database)

    operate(copy, cut)
    before = (copy / DATABASE_NAME).read_bytes()
    for _ in range(2):  # it stays noticed
        with pytest.raises(StoreFailed, match=f"{copy / DATABASE_NAME} is damaged: .*{problem}"):
            SqliteStore.open(copy)
    assert (copy / DATABASE_NAME).read_bytes() == before


@SIZES
def test_trap_7_an_older_copy_of_one_row_is_noticed(tmp_path: Path, is_large: bool) -> None:
    both = "rows JOIN contents USING (place)"

    def read(database: apsw.Connection) -> None:
        older.extend(database.execute(f"SELECT seq, mark, value FROM {both}").fetchall())

    def put_back(database: apsw.Connection) -> None:
        database.execute("UPDATE rows SET seq = ?, mark = ?", older[0][:2])
        database.execute("UPDATE contents SET value = ?", older[0][2:])

    older: list[tuple[Any, ...]] = []
    for value, surgery in ((b"first", read), (b"second", put_back)):
        store = SqliteStore.open(tmp_path, create=True)
        asyncio.run(store.commit([Put("votes", b"slot", value)]))
        store.close()
        operate(tmp_path, surgery)
    with pytest.raises(StoreFailed, match="older ones have come back"):
        SqliteStore.open(tmp_path)


# While the store is open


def test_a_row_that_changes_in_service_is_not_served(copy: Path) -> None:
    store = SqliteStore.open(copy)
    key = digest(b"5")
    spoil(store._writing, key)
    with pytest.raises(StoreFailed) as raised:
        store.get("small", key)
    said = f"row {key!r:.80} of table 'small' is not what was written"
    assert raised.value.problem == f"the store {copy / DATABASE_NAME} is damaged: {said}"
    assert store.failed is not None
    with pytest.raises(StoreFailed):
        store.get("small", digest(b"6"))
    store.close()


def spoil(database: apsw.Connection, key: bytes) -> None:
    """Change what the row with a key in the table "small" holds."""
    change = "UPDATE contents SET value = zeroblob(9) WHERE place ="
    database.execute(f"{change} (SELECT place FROM rows WHERE tbl = 'small' AND key = ?)", (key,))


def lose(database: apsw.Connection, key: bytes) -> None:
    """Lose what the row with a key in the table "small" holds."""
    drop = "DELETE FROM contents WHERE place ="
    database.execute(f"{drop} (SELECT place FROM rows WHERE tbl = 'small' AND key = ?)", (key,))


@pytest.mark.parametrize("surgery", [spoil, lose])
@pytest.mark.parametrize("is_large", [True], indirect=True)
def test_what_a_row_of_a_large_store_holds_is_checked_when_it_is_read(
    copy: Path, is_large: bool, surgery: Callable[[apsw.Connection, bytes], None]
) -> None:
    """By whoever reads it, and by the check in the background; and from then on it stays found."""
    key = digest(b"5")
    operate(copy, lambda database: surgery(database, key))
    problem = f"row {re.escape(repr(key)[:80])}.* of table 'small' is not what was written"
    reads: list[Callable[[SqliteStore], object]] = [
        lambda store: store.get("small", key),
        lambda store: store.scan("small", prefix=key[:1], limit=99),
        checked,
    ]
    for read in reads:
        again = Path(shutil.copytree(copy, copy.with_name("again")))
        store = SqliteStore.open(again)
        assert store.get("small", digest(b"6")) is not None
        with pytest.raises(StoreFailed, match=problem):
            read(store)
        assert store.failed is not None
        store.close()
        for _ in range(2):
            with pytest.raises(StoreFailed, match=problem):
                SqliteStore.open(again)
        assert (again / SUSPECT_NAME).exists()
        shutil.rmtree(again)


@SIZES
def test_a_store_that_was_suspected_and_is_in_order_is_opened_and_that_is_said(
    copy: Path, is_large: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    Suspicion(copy).note("a bit flipped on its way from the disk")
    SqliteStore.open(copy).close()
    assert "all of it was read, and is in order" in capsys.readouterr().out
    assert not (copy / SUSPECT_NAME).exists()
    SqliteStore.open(copy).close()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("at_once", [1, 7, 310, 999])
def test_the_check_in_the_background_reads_every_row_once(copy: Path, at_once: int) -> None:
    store = SqliteStore.open(copy)
    assert checked(store, at_once) == -(-310 // at_once)
    store.close()


@pytest.mark.parametrize("is_large", [True], indirect=True)
def test_marks_are_had_without_reading_what_they_are_of(copy: Path, is_large: bool) -> None:
    key = digest(b"5")
    operate(copy, lambda database: lose(database, key))
    store = SqliteStore.open(copy)
    assert (key, row_mark("small", key, SMALL + key)) in store.marks("small", limit=999)
    store.close()


def test_a_damaged_block_is_named_and_can_be_mended(copy: Path) -> None:
    data = BLOCK + b"5"
    name = digest(data)
    store = SqliteStore.open(copy)
    store._writing.execute("UPDATE blocks SET data = zeroblob(9) WHERE digest = ?", (name,))
    with pytest.raises(StoreFailed, match=f"block {name.hex()} is damaged"):
        store.get_block(name)
    assert store.failed is None
    asyncio.run(store.commit([DeleteBlock(name), PutBlock(name, "raw", data)]))
    assert store.get_block(name) == ("raw", data)
    store.close()
    content(copy)


# The write-ahead log


LEAVE_A_LOG = """
import asyncio, os, sys
from pathlib import Path
from sojourn.runtime.store import Put
from sojourn.stores.sqlite import SqliteStore

async def run():
    store = SqliteStore.open(Path(sys.argv[1]), create=True)
    for number in range(20):
        await store.commit([Put("a", b"%d" % number, bytes(3000))])
    os._exit(0)

asyncio.run(run())
"""


@pytest.fixture
def logged(tmp_path: Path) -> Path:
    """Return the directory of a store whose 20 commits are all in the log: its process just ended."""
    environment = os.environ | {"PYTHONPATH": str(Path(sojourn.__file__).parents[1])}
    command = [sys.executable, "-c", LEAVE_A_LOG, str(tmp_path)]
    subprocess.run(command, env=environment, check=True)
    return tmp_path


def rows_after(directory: Path) -> int:
    store = SqliteStore.open(directory)
    count = store.count("a")
    store.close()
    return count


def test_a_log_that_was_left_is_read(logged: Path) -> None:
    assert rows_after(logged) == 20
    assert rows_after(logged) == 20


def test_trap_7_a_bit_that_flips_in_the_log_loses_no_commit_in_silence(logged: Path) -> None:
    log = logged / f"{DATABASE_NAME}-wal"
    flip(log, log.stat().st_size // 2)
    before = [file.read_bytes() for file in (logged / DATABASE_NAME, log)]
    for _ in range(2):  # it stays noticed
        with pytest.raises(
            StoreFailed, match=r"store.sqlite is damaged: .* log breaks off \d+ commits"
        ):
            SqliteStore.open(logged)
    assert [file.read_bytes() for file in (logged / DATABASE_NAME, log)] == before


def test_trap_7_two_commits_lost_from_the_log_are_one_too_many_without_a_mark_too(
    logged: Path,
) -> None:
    """The last one may have been torn by a power cut: the one before it was on disk by then."""
    (logged / MARK_NAME).unlink()
    log = logged / f"{DATABASE_NAME}-wal"
    *_, last_but_two, last_but_one, _ = commit_frames(log)
    flip(log, 32 + last_but_two * (24 + 4096) + 24)  # in the first page after a commit's last
    assert last_but_two < last_but_one
    with pytest.raises(StoreFailed, match=r"log breaks off 2 commits before its end"):
        SqliteStore.open(logged)


def test_a_log_is_emptied_before_the_store_is_used(logged: Path) -> None:
    """So at most one of the commits in it was unfinished whenever the process ends."""
    store = SqliteStore.open(logged)
    assert (logged / f"{DATABASE_NAME}-wal").stat().st_size == 0
    store.close()


@pytest.mark.parametrize("offset", [3, 0, 9, 17, 21, 25, 31])
def test_a_header_of_a_log_that_is_damaged_is_noticed(logged: Path, offset: int) -> None:
    flip(logged / f"{DATABASE_NAME}-wal", offset)
    with pytest.raises(StoreFailed, match=r"store.sqlite is damaged: the header of its"):
        SqliteStore.open(logged)


def tear_last_commit(directory: Path) -> None:
    log = directory / f"{DATABASE_NAME}-wal"
    os.truncate(log, log.stat().st_size - 100)


def test_a_last_commit_that_was_torn_was_never_acknowledged(logged: Path) -> None:
    mark = Mark(logged / MARK_NAME)
    mark.write(19)  # the power went before the commit was on disk, so before its mark
    mark.release()
    tear_last_commit(logged)
    assert rows_after(logged) == 19


def test_trap_7_a_last_commit_that_was_acknowledged_is_not_lost_in_silence(logged: Path) -> None:
    tear_last_commit(logged)
    for _ in range(2):  # it stays noticed
        with pytest.raises(StoreFailed, match="ends at commit 19, and commit 20 was acknowledged"):
            SqliteStore.open(logged)


def test_trap_7_a_database_that_was_put_back_alone_is_noticed(copy: Path, whole: Path) -> None:
    store = SqliteStore.open(copy)
    asyncio.run(store.commit([Put("votes", b"slot", b"1")]))
    store.close()
    shutil.copy(whole / DATABASE_NAME, copy)
    with pytest.raises(StoreFailed, match="was acknowledged"):
        SqliteStore.open(copy)


@pytest.mark.parametrize("mark", [b"", bytes(16), bytes(3), None])
def test_a_mark_that_the_power_cut_took_is_none(copy: Path, mark: bytes | None) -> None:
    if mark is None:
        (copy / MARK_NAME).unlink()
    else:
        (copy / MARK_NAME).write_bytes(mark)
    SqliteStore.open(copy).close()
    assert len((copy / MARK_NAME).read_bytes()) == 16


@pytest.mark.parametrize("offset", range(16))
def test_a_mark_that_is_damaged_is_said_and_mended(
    copy: Path, offset: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (copy / MARK_NAME).read_bytes()
    flip(copy / MARK_NAME, offset)
    SqliteStore.open(copy).close()
    assert "the mark of the store is damaged" in capsys.readouterr().out
    assert (copy / MARK_NAME).read_bytes() == before
