"""Which blocks are memory and nothing else: what may be collected when no memory names it any more.

Blocks of one anchor are found by their digests alone, whatever names them: policies, code and proofs stand among
those of memory, and an agent may write a value whose bytes are those of a policy. So a block is let go only if it
could be nothing else. What is new here, or encrypted, is kept: a host counts on what it has encrypted and stored.
"""

from typing import Any, Final

from sojourn.core.base.encoding import decode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import BLOCK_BYTES_MAX

__all__ = ["is_memory_alone"]

_MEMORY: Final = ("chunks/", "log/", "log-", "mapping-")


def is_memory_alone(data: bytes) -> bool:
    """Tell whether a block can be nothing but a part of some memory: of a mapping, a log, a value, a journal."""
    try:
        plain: Any = decode_block(data, what="block", limit=BLOCK_BYTES_MAX)
    except Rejected:
        return False
    match plain:
        case [str(kind), *_] if "/" in kind:
            return kind.startswith(_MEMORY)
        case {"kind": kind}:
            return isinstance(kind, str) and kind.startswith("journal/")
        case dict():  # code maps paths to bytes
            return not all(isinstance(part, bytes) for part in plain.values())
    return isinstance(plain, bytes | str | list)
