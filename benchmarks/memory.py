"""Memory: what its structures cost by themselves, over blocks at hand: no zone, no disk."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.measuring import Case, Result, Scale
from benchmarks.suite import Benchmark
from sojourn.core.agent.memory.blocks import NewBlocks, NoBlocks
from sojourn.core.agent.memory.chunks import Chunks, Cutter
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.agent.memory.vectors import packed, scores
from sojourn.core.base.digests import ZERO
from sojourn.runtime.agent_side.recall import vectors_of

_DIMENSIONS: Final = 384
_MIB: Final = 1024 * 1024


def _run(scale: Scale, folder: Path) -> Result:
    count = 2_000 if scale.is_quick else 10_000
    size = 16 * _MIB if scale.is_quick else 128 * _MIB
    bench = _Bench(count, size)
    cases: dict[str, tuple[str, str, Callable[[], float]]] = {
        f"append to a log of {count}, a commit each": ("each", "us", bench.append),
        f"read {count} values of a log": ("each", "us", bench.read),
        f"trim the older half of a log of {count}": ("all", "ms", bench.trim),
        f"scan a mapping of {count} by prefix": ("each", "us", bench.scan),
        f"search {count} vectors of {_DIMENSIONS}": ("all", "ms", bench.search),
        f"cut a blob of {size // _MIB} MiB": ("rate", "MiB/s", bench.cut),
        f"read a blob of {size // _MIB} MiB": ("rate", "MiB/s", bench.stream),
    }
    found = [
        Case.of(name, {what: unit}, [{what: once()} for _ in range(scale.repetitions)])
        for name, (what, unit, once) in cases.items()
    ]
    return Result(found, {"dimensions": _DIMENSIONS, "values": "200 bytes each"})


class _Bench:
    """The structures that are measured, made once."""

    def __init__(self, count: int, size: int) -> None:
        rng = random.Random(7)
        self._count, self._size = count, size
        self._new = NewBlocks(NoBlocks())
        self._piece = rng.randbytes(_MIB)
        values = [rng.randbytes(200) for _ in range(count)]
        self._log = Log.load(ZERO, self._new).extend(values).commit(self._new)
        mapping, recall = Mapping.load(ZERO, self._new), Mapping.load(ZERO, self._new)
        vector = [rng.gauss(0, 1) for _ in range(_DIMENSIONS + count)]
        for number, value in enumerate(values):
            mapping = mapping.put(f"a/{number:06}", value)
            part = packed(vector[number : number + _DIMENSIONS], what="a vector")
            recall = recall.put(f"v/{number:06}", part)
        self._mapping = mapping.commit(self._new)
        self._recall = recall.commit(self._new)
        self._query = packed(vector[:_DIMENSIONS], what="a vector")
        self._root = self._blob()

    def append(self) -> float:
        log, began = self._log, time.perf_counter()
        for number in range(500):
            log = log.append(self._piece[number : number + 200]).commit(self._new)
        return (time.perf_counter() - began) / 500 * 1e6

    def read(self) -> float:
        began = time.perf_counter()
        assert sum(1 for _ in Log.load(self._log.root, self._new)) == self._count
        return (time.perf_counter() - began) / self._count * 1e6

    def trim(self) -> float:
        log, began = Log.load(self._log.root, self._new), time.perf_counter()
        log.trim(self._count // 2).commit(self._new)
        return (time.perf_counter() - began) * 1e3

    def scan(self) -> float:
        mapping, began = Mapping.load(self._mapping.root, self._new), time.perf_counter()
        assert sum(1 for _ in mapping.items("a/")) == self._count
        return (time.perf_counter() - began) / self._count * 1e6

    def search(self) -> float:
        recall, began = Mapping.load(self._recall.root, self._new), time.perf_counter()
        found = scores(self._query, [vector for _, vector in vectors_of(recall)])
        assert found.index(max(found)) == 0
        return (time.perf_counter() - began) * 1e3

    def cut(self) -> float:
        began = time.perf_counter()
        assert self._blob() == self._root
        return self._size / _MIB / (time.perf_counter() - began)

    def stream(self) -> float:
        chunks, began = Chunks.load(self._root, self._new), time.perf_counter()
        assert sum(map(len, chunks.pieces())) == self._size
        return self._size / _MIB / (time.perf_counter() - began)

    def _blob(self) -> bytes:
        cutter = Cutter()
        for number in range(self._size // _MIB):
            cutter.feed(number.to_bytes(4, "big") + self._piece[4:])
        return cutter.finish(self._new)


BENCHMARK = Benchmark("logs, mappings, vectors and blobs, over blocks at hand", _run)
