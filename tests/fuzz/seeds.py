"""Where each search begins: the golden files of `vectors/`, and samples of what these have none of.

Nothing of it is kept in a corpus of its own: golden files are read where they are.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from sojourn.core.agent.memory.blocks import MissingBlock, NewBlocks
from sojourn.core.agent.memory.chunks import write
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.base.digests import ZERO, digest, link_to
from sojourn.core.base.encoding import encode, encode_block
from sojourn.core.protocol.capsule import Closure, block_names, capsule_head, make_capsule
from sojourn.core.protocol.car import car_section
from tests import samples
from tests.conformance import journey
from tests.conformance.golden import ROOT, read_bytes
from tests.fuzz.shapes import example_of

__all__ = ["Shelf", "capsule", "examples", "golden", "memory_blocks", "plain_blocks"]

SEED_BYTES_MAX: Final = 16 * 1024


def golden(*kinds: str) -> Iterator[bytes]:
    """Yield the bytes of every case of these kinds, valid and invalid, that is no bomb by its size."""
    for kind in kinds:
        for path in sorted((ROOT / kind).glob("*.json")):
            for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
                if len(data := read_bytes(case["bytes"])) <= SEED_BYTES_MAX:
                    yield data


def examples(*forms: Any) -> Iterator[bytes]:
    """Yield the barest and the fullest value of each type."""
    for form in forms:
        yield encode(example_of(form, full=False))
        yield encode(example_of(form, full=True))


class _Nothing:
    def get(self, named: bytes) -> bytes:
        raise MissingBlock(named)


@cache
def _memory() -> tuple[dict[bytes, bytes], dict[str, list[bytes]]]:
    """Return blocks of some small memories, and their roots by what they are."""
    new = NewBlocks(_Nothing())
    empty_map, empty_log = Mapping.load(ZERO, new), Log.load(ZERO, new)
    maps, logs = [empty_map.put("a", 1).put("", b"x")], [empty_log.extend([1, None, {"a": [b""]}])]
    wide = empty_map
    for number in range(120):
        wide = wide.put(f"{number % 7}/key {number}", "y" * (number * 3))
    maps += [wide, wide.put("large", b"z" * 70_000), empty_map.put("l", link_to(digest(b"q")))]
    logs += [empty_log.extend(range(n)) for n in (32, 33, 100, 1100)]
    logs += [logs[-1].trim(n) for n in (3, 50, 700)]
    roots = {
        "mapping": [made.commit(new).root for made in maps],
        "log": [made.commit(new).root for made in logs],
        "chunks": [write(bytes(n), new) for n in (0, 1, 65_536, 200_000)],
    }
    return dict(new.made), roots


class Shelf:
    """The blocks of the sample memories, and one more that is being tried."""

    def __init__(self, *tried: bytes) -> None:
        """Hold also these blocks."""
        self._tried = {digest(data): data for data in tried}

    def get(self, named: bytes) -> bytes:
        """Return a block's bytes. Raises `MissingBlock`."""
        data = self._tried.get(named) or _memory()[0].get(named)
        if data is None:
            raise MissingBlock(named)
        return data


def memory_blocks(kind: str) -> Iterator[bytes]:
    """Yield the root blocks of the sample memories of a kind, then all blocks that are small."""
    blocks, roots = _memory()
    yield from (blocks[root] for root in roots[kind])
    yield from (data for data in blocks.values() if len(data) < 1024)


@cache
def capsule() -> bytes:
    """Return a capsule of the golden journey's agent, without memory: 20 KB of evidence and its blocks."""
    document = samples.document()
    blocks = {
        digest(encode(document.document)): encode(document.document),
        digest(samples.CODE): samples.CODE,
    }
    genesis = samples.genesis(journey.HOME, document)
    born = journey.HOME.certified(genesis.transition)
    chapter = journey.Chapter(opened=born, warrant=journey.warrant_of(genesis))
    made = make_capsule([chapter], born, [journey.HOME.signed], [document.document])
    closure, sections = Closure(block_names(made)), []
    while (named := closure.next) is not None:
        sections.append(car_section(blocks[named]))
        closure.take(blocks[named])
    return capsule_head(made) + b"".join(sections)


def plain_blocks() -> Iterator[bytes]:
    """Yield blocks of every shape that DAG-CBOR has."""
    yield from golden("encoding")
    yield encode_block({"a": [1, None, {"b": link_to(ZERO)}], "c": b"\0" * 40, "d": 1.5})
