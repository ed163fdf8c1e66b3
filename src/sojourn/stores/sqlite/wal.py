"""Whether a damaged write-ahead log has lost commits.

SQLite ends the log at the first frame whose checksum is wrong and drops what follows, in silence:
right for the last commit, which a power cut may have torn, and wrong for a bit that flipped in the
middle. The two can be told apart. The log is emptied whenever a store is opened, and a store writes
one group commit at a time; so at most one commit can be unfinished, and if two or more lie beyond
the end that SQLite found, at least one of them was acknowledged. (Damage to the very last commit
can't be told from a torn one by the log alone; `mark` tells.)

Source: the SQLite database file format, §4 "The Write-Ahead Log".
"""

from pathlib import Path
from struct import Struct, iter_unpack
from typing import Final

__all__ = ["commit_frames", "header_is_damaged"]

_HEADER = Struct(">8I")  # magic, version, page size, checkpoint, salt-1, salt-2, checksum-1, -2
_FRAME = Struct(">I I 8s 8s")  # page, pages in the database after a commit or 0, salts, checksums
_MAGIC: Final = (0x377F0682, 0x377F0683)


def header_is_damaged(log: Path) -> bool:
    """Tell whether a log with frames has a wrong header: SQLite would ignore all of such a log.

    SQLite syncs the header before it writes the first frame; so no power cut leaves one like that.
    """
    data = _header(log)
    if not data:
        return False
    magic, *_, first, second = _HEADER.unpack(data)
    # The magic number's last bit says in which byte order the words were summed.
    order = ">" if magic & 1 else "<"
    return magic not in _MAGIC or _checksum(data[:24], order) != (first, second)


def commit_frames(log: Path) -> list[int]:
    """Return the numbers, from 1, of the frames of the log's present round that end a commit.

    Frames of an earlier round have other salts; they stand behind the end and mean nothing. No
    checksum is verified: which frames count is what the caller compares with SQLite's own opinion.
    """
    header = _header(log)
    if not header:
        return []
    page_bytes, salts = _HEADER.unpack(header)[2], header[16:24]
    found = []
    with log.open("rb") as file:
        number = 1
        file.seek(_HEADER.size)
        while len(frame := file.read(_FRAME.size)) == _FRAME.size:
            _, database_pages, frame_salts, _ = _FRAME.unpack(frame)
            if database_pages and frame_salts == salts:
                found.append(number)
            file.seek(page_bytes, 1)
            number += 1
    return found


def _header(log: Path) -> bytes:
    """Return the header of a log that has something behind it, else nothing."""
    try:
        with log.open("rb") as file:
            data = file.read(_HEADER.size + 1)
    except FileNotFoundError:
        return b""
    return data[: _HEADER.size] if len(data) > _HEADER.size else b""


def _checksum(data: bytes, order: str) -> tuple[int, int]:
    first = second = 0
    for one, two in iter_unpack(f"{order}II", data):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return first, second
