"""The policy documents of an agent that was found: blocks of the zone where it is."""

from collections.abc import Sequence

from sojourn.cli.finding import Found
from sojourn.cli.reach import Reach
from sojourn.core.agent.governance import Document
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode
from sojourn.core.base.errors import Unreachable
from sojourn.core.base.limits import DOCUMENT_BYTES_MAX

__all__ = ["read_documents"]


async def read_documents(
    reach: Reach, found: Found, named: Sequence[bytes] | None = None
) -> tuple[Document, ...]:
    """Return policy documents by digest, in order: by default those that an agent's record names.

    Raises `Unreachable` if one is nowhere.
    """
    named = found.record.governance.documents if named is None else named
    blocks = await reach.zone(found.zone).fetch(named)
    by_digest = {digest(data): data for data in blocks}
    if lacking := set(named) - by_digest.keys():
        raise Unreachable(f"no anchor of {found.zone.name} has {len(lacking)} policy documents")
    return tuple(_document(by_digest[each]) for each in named)


def _document(data: bytes) -> Document:
    return decode(data, Document, what="document", limit=DOCUMENT_BYTES_MAX)
