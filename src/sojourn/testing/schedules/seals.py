"""Ideal signatures: who holds the key can sign, nobody else can, and it costs a microsecond.

A signature is a keyed hash under the seed of the key pair, and a table knows the seed of each public key: what a
trusted third party would do. Public keys stay real, so that manifests check as they always do. Real Ed25519 costs
14 µs to sign and 45 µs to verify; a slice of all runs uses it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from unittest.mock import patch

from sojourn.core.base import seals
from sojourn.core.base.keys import KeyPair

__all__ = ["IdealKeyPair", "ideal_signatures"]

_SEEDS: dict[bytes, bytes] = {}


class IdealKeyPair(KeyPair):
    """A key pair whose signatures only `ideal_signatures` accepts."""

    __slots__ = ()

    def __init__(self, seed: bytes) -> None:
        """Make the pair, and tell the table of it."""
        super().__init__(seed)
        _SEEDS[self.public] = seed

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte ideal signature over `message`."""
        return blake2b(message, key=self.seed).digest()


def _verify(public_key: bytes, signature: bytes, message: bytes) -> bool:
    seed = _SEEDS.get(public_key)
    return seed is not None and blake2b(message, key=seed).digest() == signature


@contextmanager
def ideal_signatures() -> Iterator[None]:
    """Accept ideal signatures, and no others, in this process while the block runs."""
    with patch.object(seals, "verify", _verify):
        yield
