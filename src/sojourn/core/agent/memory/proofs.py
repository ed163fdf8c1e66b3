"""Proofs about logs: that a value stands in one, and that one goes on from another, trimmed or not.

A proof is the blocks on the way from the root, and the root stands in a certified record (protocol §10.25). A trim
invalidates none: whoever kept the blocks of what was trimmed can prove it by the root of before, by the root of
after, and by any later one.
"""

from collections.abc import Iterable
from typing import Any

from sojourn.core.agent.memory.blocks import BlockSource, MissingBlock, NewBlocks
from sojourn.core.agent.memory.log import Log
from sojourn.core.base.digests import cid_text, digest
from sojourn.core.base.errors import Rejected

__all__ = ["goes_on_from", "prove_value", "proved_value"]


class _Recording:
    """A source that notes what was read."""

    def __init__(self, source: BlockSource) -> None:
        self._source = source
        self.read: dict[bytes, bytes] = {}

    def get(self, named: bytes) -> bytes:
        data = self._source.get(named)
        self.read[named] = data
        return data


class _Shown:
    """The blocks of a proof."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = {digest(data): data for data in blocks}

    def get(self, named: bytes) -> bytes:
        data = self._blocks.get(named)
        if data is None:
            raise MissingBlock(named)
        return data


def prove_value(root: bytes, index: int, source: BlockSource) -> tuple[bytes, ...]:
    """Return the blocks that prove which value stands at an index of the log with this root.

    Of a trimmed value `source` must still have the blocks, as a capsule of before the trim does. Raises
    `IndexError`, `MissingBlock`, and `Rejected` for what is no log.
    """
    recording = _Recording(source)
    _value(root, index, recording)
    return tuple(recording.read.values())


def proved_value(root: bytes, index: int, blocks: Iterable[bytes]) -> Any:
    """Return the value that these blocks prove to stand at an index of the log with this root.

    Raises `IndexError` outside the log; `Rejected` for what proves nothing.
    """
    try:
        return _value(root, index, _Shown(blocks))
    except MissingBlock as missing:
        problem = f"value {index} is not proved: block {cid_text(missing.digest)} is not shown"
        raise Rejected(problem, reason="incomplete", where="proof") from None


def _value(root: bytes, index: int, source: BlockSource) -> Any:
    log = Log.load(root, source)
    return (_untrimmed(log, source) if 0 <= index < log.first else log).get(index)


def goes_on_from(later: bytes, earlier: bytes, source: BlockSource) -> bool:
    """Tell whether log `later` is log `earlier`, perhaps with values appended, perhaps trimmed, and nothing else.

    Raises `MissingBlock` for a block that is needed and not there: of a log that was trimmed and has grown since,
    what was trimmed is needed as far as it was joined to larger parts; `Rejected` for what is no log.
    """
    before, after = Log.load(earlier, source), Log.load(later, source)
    if after.first < before.first or len(after) < len(before):
        return False
    return _untrimmed(after, source).begins_like(_untrimmed(before, source))


def _untrimmed(log: Log, source: BlockSource) -> Log:
    new = NewBlocks(source)
    return Log.load(log.untrimmed(new), new)
