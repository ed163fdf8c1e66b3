"""An agent's code as blocks hold it."""

from collections.abc import Mapping

from sojourn.core.base.encoding import decode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import BLOCK_BYTES_MAX

__all__ = ["source_of"]


def source_of(code: bytes) -> Mapping[str, bytes]:
    """Return the source files in a code block, by path. Raises `Rejected`."""
    plain = decode_block(code, what="code", limit=BLOCK_BYTES_MAX)
    is_source = isinstance(plain, dict) and all(isinstance(v, bytes) for v in plain.values())
    if not is_source:
        raise Rejected("a code block maps paths to bytes", reason="malformed", where="code")
    return dict(plain)
