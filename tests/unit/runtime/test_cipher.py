"""Encrypting one block: a function of key and plaintext, and nothing else opens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.agent.memory.blocks import links
from sojourn.core.agent.memory.encryption import EncryptedBlock, Encryption, parse_encrypted
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import BLOCK_BYTES_MAX
from sojourn.core.base.sharing import commit, scalar
from sojourn.runtime.host_side.cipher import BlockCipher

SECRET = scalar(b"\x07" * 64)
KEY = Encryption(commitments=commit([SECRET]))
CIPHER = BlockCipher(KEY, SECRET)
digests = st.lists(st.binary(min_size=32, max_size=32), max_size=4)


@given(plain=st.binary(min_size=1, max_size=300), below=digests)
def test_what_is_encrypted_is_opened_and_every_time_the_same(
    plain: bytes, below: list[bytes]
) -> None:
    data = CIPHER.encrypt(plain, below)
    assert data == BlockCipher(KEY, SECRET).encrypt(plain, below)
    assert (plain, tuple(below)) == CIPHER.decrypt(data, digest(data))
    assert list(dict.fromkeys(below)) == links(data)
    if len(plain) > 8:
        assert plain not in parse_encrypted(data, digest(data)).ciphertext


@given(
    plain=st.binary(min_size=1, max_size=100),
    below=digests,
    at=st.integers(0, 10**6),
    bit=st.integers(0, 7),
)
def test_any_bit_that_is_changed_shows(plain: bytes, below: list[bytes], at: int, bit: int) -> None:
    data = bytearray(CIPHER.encrypt(plain, below))
    data[at % len(data)] ^= 1 << bit
    with pytest.raises(Rejected):
        CIPHER.decrypt(bytes(data), digest(bytes(data)))


def test_another_key_another_name_and_other_links_open_nothing() -> None:
    data = CIPHER.encrypt(b"plain", [digest(b"a")])
    other = scalar(b"\x08" * 64)
    renamed = Encryption(commitments=commit([other]))
    block = parse_encrypted(data, digest(data))
    for cipher, changed in (
        (BlockCipher(KEY, other), data),
        (BlockCipher(renamed, SECRET), data),
        (CIPHER, block._replace(links=(digest(b"b"),)).to_bytes()),
        (CIPHER, block._replace(key=renamed.key).to_bytes()),
        (CIPHER, block._replace(links=()).to_bytes()),
        (CIPHER, EncryptedBlock(KEY.key, b"short", ()).to_bytes()),
        (CIPHER, encode_block(b"plain")),
    ):
        with pytest.raises(Rejected):
            cipher.decrypt(changed, digest(changed))


def test_the_form_does_not_change_in_silence() -> None:
    """Any implementation makes this very block: what is stored must be opened by later versions."""
    data = CIPHER.encrypt(b"\x83plain", [digest(b"below")])
    assert "78def26fc45982448058006b365e6d3948c0811fdc3fefb5127d1e03c5fcf75c" == digest(data).hex()


def test_what_grows_beyond_a_block_is_refused_and_the_key_is_not_shown() -> None:
    with pytest.raises(Rejected) as caught:
        CIPHER.encrypt(bytes(BLOCK_BYTES_MAX), [])
    assert "too-large" == caught.value.reason
    assert SECRET.hex() not in repr(CIPHER)
