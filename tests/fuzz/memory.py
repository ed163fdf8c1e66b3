"""Reading what memory is made of, and making it again: one content has one root."""

from itertools import islice
from typing import Any, Final

from sojourn.core.agent.memory import vectors
from sojourn.core.agent.memory.blobs import BlobEntry, is_blob, parse_blob
from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.memory.chunks import Chunks, weigh_chunks, write
from sojourn.core.agent.memory.kinds import is_memory_alone
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.base.digests import ZERO, digest, link_to
from sojourn.core.base.encoding import decode_block, encode_block
from sojourn.runtime.agent_side.recall import parse_note
from tests.fuzz import seeds
from tests.fuzz.target import Finding, Target

__all__ = ["HELD", "read_chunks", "read_log", "read_mapping", "read_vector"]

LIMIT: Final = 1 << 20
_ITEMS_READ_MAX: Final = 2_000


def read_mapping(data: bytes) -> bytes | None:
    """Read a mapping by its root block; build it anew from what was read: one content has one root."""
    source = seeds.Shelf(data)
    found = Mapping.load(digest(data), source)
    items = list(islice(found.items(), _ITEMS_READ_MAX))
    if len(items) == _ITEMS_READ_MAX:
        return None
    made, new = Mapping.load(ZERO, source), NewBlocks(source)
    for key, value in items:
        made = made.put(key, value)
    return _same(made.commit(new).root, data, new)


def read_log(data: bytes) -> bytes | None:
    source = seeds.Shelf(data)
    found = Log.load(digest(data), source)
    values = list(islice(found, _ITEMS_READ_MAX))
    if len(values) == _ITEMS_READ_MAX:
        return None
    new = NewBlocks(source)
    if found.first:
        whole = Log.load(found.untrimmed(new), new)
        return _same(whole.trim(found.first).commit(new).root, data, new)
    return _same(Log.load(ZERO, source).extend(values).commit(new).root, data, new)


def read_chunks(data: bytes) -> bytes | None:
    source = seeds.Shelf(data)
    found = Chunks.load(digest(data), source)
    weigh_chunks(data)
    content = found.read(0, LIMIT)
    if len(content) != len(found):
        return None
    new = NewBlocks(source)
    return _same(write(content, new), data, new)


def _read_blob(data: bytes) -> BlobEntry:
    """Read what a mapping keeps of a blob: whatever is read as one is taken for one."""
    plain = decode_block(data, what="blob", limit=LIMIT)
    entry = parse_blob(plain)
    if not is_blob(plain):
        raise Finding("it is read as a blob, and listed as none")
    return entry


def _read_note(data: bytes) -> list[Any]:
    return list(parse_note(decode_block(data, what="text", limit=LIMIT)))


def _same(root: bytes, data: bytes, new: NewBlocks) -> bytes:
    """Return the bytes of the root made anew; an empty memory has none, so no block may stand for it."""
    return new.get(root) if root != ZERO else b""


def read_vector(data: bytes) -> Any:
    """Compare a vector with itself, by numpy and without."""
    found = vectors.scores(data if len(data) % 2 == 0 else data[1:], [data])
    if found != [sum(number * number for number in vectors._unpacked(data))]:
        raise Finding("numpy adds up to something else")
    return found


_BLOBS: Final = (
    BlobEntry(0, "", digest(b"1")).to_plain(),
    BlobEntry(70_000, "image/png", digest(b"2")).to_plain(),
    ["blob/1", -1, "", link_to(ZERO)],
    ["blob/1", 1, "\u00e9" * 200, link_to(ZERO)],
    ["blob/1", True, "", link_to(ZERO)],
    ["blob/2", {}, link_to(ZERO)],
)
HELD: Final = (
    Target(name="kind of block", read=is_memory_alone, make_seeds=seeds.plain_blocks),
    Target(
        name="blob",
        read=_read_blob,
        write=lambda entry: encode_block(entry.to_plain()),
        make_seeds=lambda: map(encode_block, _BLOBS),
    ),
    Target(
        name="recalled text",
        read=_read_note,
        write=encode_block,
        make_seeds=lambda: map(encode_block, (["a text", {"kind": 1}], ["", {}], ["a"], [1, {}])),
    ),
)
"""What mappings keep of blobs and of texts to recall."""
