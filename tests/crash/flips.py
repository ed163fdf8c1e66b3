"""One bit of one file of a stopped process is flipped: by classes of positions, so that none is left to luck."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import apsw

from sojourn.stores.sqlite.store import DATABASE_NAME

__all__ = [
    "Flip",
    "flip",
    "flips_of_columns",
    "flips_of_database",
    "flips_of_file",
    "flips_of_log",
]

PAGE = 4096
LOG_HEADER, FRAME_HEADER = 32, 24
COLUMNS = {
    "rows": ("tbl", "key", "mark"),
    "contents": ("value",),
    "chain": ("previous", "changes", "total", "digest"),
    "blocks": ("digest", "codec", "data"),
    "meta": ("name",),
}


@dataclass(frozen=True)
class Flip:
    """One bit: what it belongs to, in which file, where."""

    what: str
    file: str
    offset: int
    bit: int


def flip(folder: Path, what: Flip) -> None:
    """Flip it."""
    with (folder / what.file).open("r+b") as file:
        file.seek(what.offset)
        byte = file.read(1)[0] ^ 1 << what.bit
        file.seek(what.offset)
        file.write(bytes([byte]))


def flips_of_file(folder: Path, file: str, random: Random, every: int = 1) -> Iterator[Flip]:
    """Yield one flip of each byte, or of each so many, of a file that is read as a whole."""
    for offset in range(random.randrange(every), (folder / file).stat().st_size, every):
        yield Flip(file, file, offset, random.randrange(8))


def flips_of_database(folder: Path, random: Random, of_each: int = 1) -> Iterator[Flip]:
    """Yield flips in every field of the file's header, of each class of page, and of each column."""
    database = f"store/{DATABASE_NAME}"
    for offset in range(100):
        yield Flip("database header", database, offset, random.randrange(8))
    data = (folder / database).read_bytes()
    for name, pages in _pages(folder / database).items():
        for _ in range(of_each):
            start = PAGE * (random.choice(pages) - 1)
            for part, offset in _places(data, start, name, random):
                yield Flip(f"{name}: {part}", database, offset, random.randrange(8))


def flips_of_columns(folder: Path) -> dict[str, list[Flip]]:
    """Return flips in the newest value of each column: one at each place with its bytes, of which one is in use."""
    database = f"store/{DATABASE_NAME}"
    data = (folder / database).read_bytes()
    found: dict[str, list[Flip]] = {}
    for column, value in _newest_values(folder / database):
        sought = value.encode() if isinstance(value, str) else value
        places, at = [], data.find(sought)
        while at >= 0:
            places.append(Flip(f"column {column}", database, at + len(sought) // 2, 1))
            at = data.find(sought, at + 1)
        assert places, column
        found[column] = places
    return found


def _pages(file: Path) -> dict[str, list[int]]:
    """Return the numbers of pages by tree and role, such as "rows leaf"; and those that are free."""
    database = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        found = defaultdict(list)
        for name, role, page in database.execute("SELECT name, pagetype, pageno FROM dbstat"):
            found[f"{name} {role}"].append(page)
        used = {page for pages in found.values() for page in pages}
        count = int(database.pragma("page_count"))
        if free := [page for page in range(1, count + 1) if page not in used]:
            found["free"] = free
        return dict(found)
    finally:
        database.close()


def _places(data: bytes, start: int, name: str, random: Random) -> Iterator[tuple[str, int]]:
    """Yield a place in each part of a page."""
    if name.endswith("overflow") or name == "free":
        yield "next page", start + random.randrange(4)
        yield "content", start + random.randrange(4, PAGE)
        return
    at = start + (100 if start == 0 else 0)
    for part, first, length in (
        ("type", 0, 1), ("first free", 1, 2), ("cells", 3, 2), ("content area", 5, 2), ("fragments", 7, 1),
    ):  # fmt: skip
        yield part, at + first + random.randrange(length)
    is_inner = data[at] in (2, 5)
    cells = int.from_bytes(data[at + 3 : at + 5], "big")
    header = 12 if is_inner else 8
    if is_inner:
        yield "right-most page", at + 8 + random.randrange(4)
    if not cells:
        return
    pointer = at + header + 2 * random.randrange(cells)
    yield "cell pointer", pointer + random.randrange(2)
    cell = start + int.from_bytes(data[pointer : pointer + 2], "big")
    yield "cell header", cell
    yield "cell", min(cell + random.randrange(1, 64), start + PAGE - 1)


def _newest_values(file: Path) -> Iterator[tuple[str, str | bytes]]:
    """Yield each column of text or bytes with the beginning of its value in the newest row."""
    database = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        for table, columns in COLUMNS.items():
            for column in columns:
                newest = "place" if table in ("rows", "contents") else "rowid"
                query = (
                    f"SELECT substr({column}, 1, 200) FROM {table} ORDER BY {newest} DESC LIMIT 1"
                )
                [(value,)] = database.execute(query).fetchall()
                yield f"{table}.{column}", value
    finally:
        database.close()


def flips_of_log(folder: Path, random: Random, frames: int = 4) -> Iterator[Flip]:
    """Yield flips of each field of the log's header, and of the headers and pages of its first and last frames."""
    log = f"store/{DATABASE_NAME}-wal"
    size = (folder / log).stat().st_size
    for offset in range(LOG_HEADER):
        yield Flip("log header", log, offset, random.randrange(8))
    count = _valid_frames((folder / log).read_bytes())
    assert LOG_HEADER + count * (FRAME_HEADER + PAGE) <= size
    chosen = {*range(min(frames, count)), *range(max(0, count - frames), count)}
    for number in sorted(chosen):
        where = "last commit" if number == count - 1 else "frame"
        start = LOG_HEADER + number * (FRAME_HEADER + PAGE)
        for field, first, length in (
            ("page number", 0, 4), ("commit mark", 4, 4), ("salt", 8, 8), ("checksum", 16, 8), ("page", 24, PAGE),
        ):  # fmt: skip
            at = start + first + random.randrange(length)
            yield Flip(f"log {where}: {field}", log, at, random.randrange(8))


def _valid_frames(data: bytes) -> int:
    """Return how many frames are of the log's present round."""
    salts, count = data[16:24], 0
    for start in range(LOG_HEADER, len(data) - FRAME_HEADER, FRAME_HEADER + PAGE):
        if data[start + 8 : start + 16] != salts:
            break
        count += 1
    return count
