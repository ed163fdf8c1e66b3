"""Parentage: the block that names what proves whose child an agent is.

It links to the chapters of the parent's custody, up to the SPAWN, and to the documents that prove them. So it is
stored where the child is, and travels with it, like any other part of it (protocol §2, §8.13).
"""

from typing import Annotated, Any, Final

from msgspec import Meta

from sojourn.core.agent.memory.blocks import malformed, unexpected
from sojourn.core.base.digests import Link, digest, link_digest, link_to
from sojourn.core.base.encoding import Digest, Value, decode_block, encode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import BLOCK_BYTES_MAX, CHAPTERS_MAX, DOCUMENTS_MAX, SUCCESSION_MAX

__all__ = ["Parentage", "parentage_block", "read_parentage"]

_KIND: Final = "parentage/1"
_DOCUMENTS_MAX: Final = SUCCESSION_MAX + 3 * DOCUMENTS_MAX


class Parentage(Value):
    """What proves a parent: its chapters, the first one first, and the documents they are held against, by digest.

    `above` is what proves the parent's own parent, if it was spawned itself.
    """

    chapters: Annotated[tuple[Digest, ...], Meta(min_length=1, max_length=CHAPTERS_MAX)]
    documents: Annotated[tuple[Digest, ...], Meta(max_length=_DOCUMENTS_MAX)]
    above: Digest | None = None


def parentage_block(parentage: Parentage) -> bytes:
    """Return the block that names what proves a parent."""
    above = () if parentage.above is None else (parentage.above,)
    parts = (parentage.chapters, parentage.documents, above)
    return encode_block([_KIND, *([link_to(named) for named in part] for part in parts)])


def read_parentage(data: bytes) -> Parentage:
    """Return what a block names. Raises `Rejected` for one that is no parentage."""
    named = digest(data)
    plain = decode_block(data, what="parentage", limit=BLOCK_BYTES_MAX)
    match plain:
        case [str(kind), [*chapters], [*documents], [*above]] if kind == _KIND:
            return Parentage(
                chapters=_named(chapters, 1, CHAPTERS_MAX, named),
                documents=_named(documents, 0, _DOCUMENTS_MAX, named),
                above=next(iter(_named(above, 0, 1, named)), None),
            )
    raise unexpected(plain, [_KIND], named)


def _named(links: list[Any], least: int, most: int, named: bytes) -> tuple[bytes, ...]:
    if not least <= len(links) <= most:
        raise malformed(f"it names {len(links)}, from {least} to {most} may be", "too-many", named)
    if not all(isinstance(link, Link) for link in links):
        raise malformed("it names what is no block", "bad-field", named)
    found = tuple(map(link_digest, links))
    if len(set(found)) != len(found):
        raise Rejected("it names one block twice", reason="repeated", where="parentage")
    return found
