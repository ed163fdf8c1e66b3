"""How a block of memory is encrypted: AES-SIV, whose ciphertext is a function of key and plaintext.

So a replay comes to the same blocks, and no nonce can be used twice: there is none. Equal blocks under one key are
equal ciphertexts, which says when memory came back to what it was, and nothing else (ADR 0039).

    secret      the scalar that shares give (`core.base.sharing`), 32 bytes
    key         HKDF-SHA-256 of it, 64 bytes, for this purpose and this key's name
    block       AES-256-SIV of the plaintext, with the key's name and the links that are shown as associated data

Source: RFC 5297; RFC 5869.
"""

from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sojourn.core.agent.memory.blocks import malformed
from sojourn.core.agent.memory.encryption import EncryptedBlock, Encryption, parse_encrypted

__all__ = ["BlockCipher"]

_KEY_BYTES: Final = 64
_PURPOSE: Final = b"sojourn/v1|memory|"


class BlockCipher:
    """Encrypts and decrypts the blocks under one key. Only a process that holds custody has one."""

    def __init__(self, encryption: Encryption, secret: bytes) -> None:
        """Derive the key from the secret that its shares give."""
        self.key = encryption.key
        derived = HKDF(SHA256(), _KEY_BYTES, salt=None, info=_PURPOSE + self.key).derive(secret)
        self._siv = AESSIV(derived)

    def encrypt(self, plain: bytes, links: Sequence[bytes]) -> bytes:
        """Return the encrypted block of a block's bytes; `links` name the encrypted blocks it links to.

        Raises `Rejected` ("too-large").
        """
        ciphertext = self._siv.encrypt(plain, self._shown(links))
        return EncryptedBlock(self.key, ciphertext, tuple(links)).to_bytes()

    def decrypt(self, data: bytes, named: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        """Return the bytes of the block that `named` encrypts, and the links that were shown.

        Raises `Rejected` for what is no encrypted block, or not under this key ("wrong-key").
        """
        block = parse_encrypted(data, named)
        try:
            if block.key == self.key:
                return self._siv.decrypt(block.ciphertext, self._shown(block.links)), block.links
        except (InvalidTag, ValueError):  # ValueError: shorter than a tag
            pass
        raise malformed("it is not encrypted under that key", "wrong-key", named)

    def _shown(self, links: Sequence[bytes]) -> list[bytes]:
        return [self.key, b"".join(links)]

    def __repr__(self) -> str:
        return f"BlockCipher({self.key.hex()[:12]})"
