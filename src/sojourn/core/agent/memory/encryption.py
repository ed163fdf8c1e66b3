"""Encrypted compartments: how a record names their key, and what their blocks look like.

    block     ["encrypted/1", key, ciphertext, [links]]

The ciphertext is that of a block of memory; the links are to the encrypted blocks that stand for those which the
plaintext links to, in the same order. So whoever stores an encrypted block stores all that is below it, and needs
no key to know what that is. Who has it, and how a block is encrypted, is the shells' business
(`runtime.host_side.cipher`).

A key is one data subject's: compartments under one key are erased together (ADR 0039).
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Annotated, Any, Final, NamedTuple

from msgspec import Meta

from sojourn.core.agent.memory.blocks import malformed, named_by, unexpected
from sojourn.core.base.digests import Link, digest, link_to
from sojourn.core.base.encoding import Digest, Value, decode_block, encode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import ANCHORS_MAX, BLOCK_BYTES_MAX
from sojourn.core.base.sharing import check_commitments

__all__ = ["EncryptedBlock", "Encryption", "Keys", "keys_of", "parse_encrypted"]

_KIND: Final = "encrypted/1"
_KEY_DOMAIN: Final = b"sojourn/v1|key|"


class Encryption(Value, dict=True):
    """The key of an encrypted compartment: the commitments to its shares (`core.base.sharing`).

    As many shares give it as there are commitments: f+1 of the zone where it was dealt. `is_erased` says that
    officers had it destroyed: the blocks stay, and nobody can read them.
    """

    commitments: Annotated[tuple[Digest, ...], Meta(min_length=1, max_length=ANCHORS_MAX)]
    is_erased: bool = False

    @cached_property
    def key(self) -> bytes:
        """The key's name: the digest of its commitments."""
        return digest(_KEY_DOMAIN + b"".join(self.commitments))

    def check(self, tolerated: int, *, where: str) -> None:
        """Raise `Rejected` unless a zone that tolerates so many faulty anchors can hold the key."""
        check_commitments(self.commitments, tolerated + 1, where=where)
        if self.is_erased:
            raise Rejected("it is erased already", reason="bad-change", where=where)


Keys = Annotated[tuple[Digest, ...], Meta(max_length=64)]
"""Names of keys."""


class EncryptedBlock(NamedTuple):
    """An encrypted block: under which key, and the digests of the encrypted blocks it links to."""

    key: bytes
    ciphertext: bytes
    links: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """Return the block. Raises `Rejected` ("too-large")."""
        below = [link_to(named) for named in self.links]
        data = encode_block([_KIND, self.key, self.ciphertext, below])
        if len(data) > BLOCK_BYTES_MAX:
            problem = f"encrypted, a block has {len(data)} bytes, more than {BLOCK_BYTES_MAX}"
            raise Rejected(problem, reason="too-large", where="block")
        return data


def parse_encrypted(data: bytes, named: bytes) -> EncryptedBlock:
    """Return what the block `named` says. Raises `Rejected` if it is no encrypted one."""
    try:
        plain = decode_block(data, what="block", limit=BLOCK_BYTES_MAX)
    except Rejected as error:
        raise malformed(error.problem, error.reason, named) from None
    match plain:
        case [str(kind), bytes(key), bytes(ciphertext), list(links)] if kind == _KIND:
            return EncryptedBlock(key, ciphertext, _named(links, named))
    raise unexpected(plain, (_KIND,), named)


def _named(links: Sequence[Any], named: bytes) -> tuple[bytes, ...]:
    if not all(isinstance(link, Link) for link in links):
        raise malformed("a link that is none", "bad-field", named)
    return tuple(map(named_by, links))


def keys_of(encryptions: Iterable[Encryption | None]) -> dict[bytes, Encryption]:
    """Return those that are not erased, by the names of their keys."""
    return {each.key: each for each in encryptions if each is not None and not each.is_erased}
