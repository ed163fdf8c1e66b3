"""Whether a damaged write-ahead log has lost commits.

SQLite ends the log at the first frame whose checksum is wrong and drops what follows, in silence:
right for the last commit, which a power cut may have torn, and wrong for a bit that flipped in the
middle. The two can be told apart. The log is emptied whenever a store is opened, and a store writes
one group commit at a time; so at most one commit can be unfinished, and if two or more lie beyond
the end that SQLite found, at least one of them was acknowledged. (Damage to the very last commit
can't be told from a torn one by the log alone; `mark` tells.)

A frame of the unfinished commit may look like the end of another: where a sector ends between the
size and the salts of its header, a power cut can leave the size that a frame of an earlier round
had there. So such a frame counts only if its checksum follows from the frame before it.

Source: the SQLite database file format, §4 "The Write-Ahead Log".
"""

from pathlib import Path
from struct import Struct, iter_unpack
from typing import Final

__all__ = ["commit_frames", "header_is_damaged"]

_HEADER = Struct(">8I")  # magic, version, page size, checkpoint, salt-1, salt-2, checksum-1, -2
_PAIR = Struct(">2I")
_FRAME = Struct(">I I 8s 8s")  # page, pages in the database after a commit or 0, salts, checksums
_MAGIC: Final = (0x377F0682, 0x377F0683)
_SECTOR: Final = 512
"""Bytes that a disk writes all or none of; larger sectors end where these do."""
_UP_TO_SALTS: Final = 16
"""Bytes of a frame's header that say what it is and of which round."""


def header_is_damaged(log: Path) -> bool:
    """Tell whether a log with frames has a wrong header: SQLite would ignore all of such a log.

    SQLite syncs the header before it writes the first frame; so no power cut leaves one like that.
    """
    data = _header(log)
    if not data:
        return False
    magic, *_, first, second = _HEADER.unpack(data)
    return magic not in _MAGIC or _checksum(data[:24], _order(data)) != (first, second)


def commit_frames(log: Path) -> list[int]:
    """Return the numbers, from 1, of the frames of the log's present round that end a commit.

    Frames of an earlier round have other salts; they stand behind the end and mean nothing. But for
    frames that a power cut can make look so, no checksum is verified: which frames count is what
    the caller compares with SQLite's own opinion.
    """
    header = _header(log)
    if not header:
        return []
    page_bytes, salts = _HEADER.unpack(header)[2], header[16:24]
    order, before = _order(header), header[24:]
    found = []
    with log.open("rb") as file:
        number = 1
        file.seek(_HEADER.size)
        while len(frame := file.read(_FRAME.size)) == _FRAME.size:
            _, database_pages, frame_salts, checksum = _FRAME.unpack(frame)
            page_at = file.tell()
            if database_pages and frame_salts == salts:
                follows = True
                if _may_be_torn(page_at - _FRAME.size):
                    summed = frame[:8] + file.read(page_bytes)
                    is_whole = len(summed) == 8 + page_bytes and page_bytes % 8 == 0
                    follows = is_whole and checksum == _next(summed, order, before)
                found += [number] if follows else []
            file.seek(page_at + page_bytes)
            before = checksum
            number += 1
    return found


def _may_be_torn(start: int) -> bool:
    """Tell whether the header of a frame that starts there may be of two rounds at once."""
    return start // _SECTOR != (start + _UP_TO_SALTS - 1) // _SECTOR


def _header(log: Path) -> bytes:
    """Return the header of a log that has something behind it, else nothing."""
    try:
        with log.open("rb") as file:
            data = file.read(_HEADER.size + 1)
    except FileNotFoundError:
        return b""
    return data[: _HEADER.size] if len(data) > _HEADER.size else b""


def _order(header: bytes) -> str:
    """Return in which byte order the words of a log were summed: the magic number's last bit says so."""
    return ">" if _HEADER.unpack(header)[0] & 1 else "<"


def _next(summed: bytes, order: str, before: bytes) -> bytes:
    """Return the checksum that a frame has behind another one's, given what is summed of it."""
    return _PAIR.pack(*_checksum(summed, order, _PAIR.unpack(before)))


def _checksum(data: bytes, order: str, start: tuple[int, ...] = (0, 0)) -> tuple[int, int]:
    first, second = start
    for one, two in iter_unpack(f"{order}II", data):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return first, second
