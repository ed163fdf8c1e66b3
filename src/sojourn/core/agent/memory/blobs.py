"""Blobs: byte strings too large to be read at once, as values of a mapping.

    value     ["blob/1", length, media type, link]      the link is to the index of its chunks (`chunks`)

So a blob is stored, moved, labelled, encrypted and traced like any value, and one content has one root. It is
written piece by piece and read in part; the mapping holds sixty bytes of it.
"""

from typing import Any, Final, NamedTuple

from sojourn.core.agent.memory.blocks import BlockSource, named_by
from sojourn.core.agent.memory.chunks import Chunks
from sojourn.core.base.digests import Link, link_to
from sojourn.core.base.errors import Rejected

__all__ = ["MEDIA_CHARACTERS_MAX", "BlobEntry", "is_blob", "parse_blob"]

MEDIA_CHARACTERS_MAX: Final = 127
_KIND: Final = "blob/1"


class BlobEntry(NamedTuple):
    """What a mapping keeps of a blob: its length in bytes, its media type (perhaps empty), its index's digest."""

    length: int
    media: str
    root: bytes

    def to_plain(self) -> list[Any]:
        """Return the value that stands in the mapping."""
        return [_KIND, self.length, self.media, link_to(self.root)]

    def open(self, source: BlockSource) -> Chunks:
        """Return the bytes, to be read in part. Raises `MissingBlock` and `Rejected`."""
        chunks = Chunks.load(self.root, source)
        if len(chunks) != self.length:
            problem = f"an index of {len(chunks)} bytes where a blob of {self.length} belongs"
            raise Rejected(problem, reason="wrong-length", where="blob")
        return chunks


def is_blob(plain: Any) -> bool:
    """Tell whether a value of a mapping is a blob, of whatever version."""
    return (
        isinstance(plain, list)
        and len(plain) > 1
        and isinstance(plain[0], str)
        and plain[0].startswith("blob/")
        and isinstance(plain[-1], Link)
    )


def parse_blob(plain: Any) -> BlobEntry:
    """Return what a value says that is a blob. Raises `Rejected`."""
    match plain:
        case [str(kind), int(length), str(media), Link() as link] if kind == _KIND:
            if type(length) is not int or length < 0 or len(media) > MEDIA_CHARACTERS_MAX:
                problem = f"a blob of {length} bytes and media type {media[:20]!a}"
                raise Rejected(problem, reason="bad-field", where="blob")
            return BlobEntry(length, media, named_by(link))
    found = plain[0] if isinstance(plain, list) and plain else None
    if isinstance(found, str) and found != _KIND and found.startswith("blob/"):
        problem = f"format {found[:40]!a}; this version reads {_KIND}"
        raise Rejected(problem, reason="unknown-version", where="blob")
    raise Rejected("not a blob", reason="wrong-kind", where="blob")
