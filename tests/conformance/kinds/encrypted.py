"""Encrypted blocks of memory: what they hold, for who has the secret that the shares of their key give."""

from collections.abc import Iterator
from typing import Final

from sojourn.core.agent.memory.encryption import EncryptedBlock, Encryption, parse_encrypted
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.sharing import commit, deal, recover, scalar
from sojourn.runtime.host_side.cipher import BlockCipher
from tests.conformance.golden import Case, Json, Kind

DRAWN: Final = [scalar(bytes([i]) * 64) for i in (1, 2)]
SHARES: Final = deal(DRAWN, 4)
KEY: Final = Encryption(commitments=commit(DRAWN))
CIPHER: Final = BlockCipher(KEY, DRAWN[0])
LEAF: Final = encode_block(["log/1", 1, [], [b"value"]])
BELOW: Final = (digest(b"one"), digest(b"another"))
GIVEN: Final[Json] = {
    "commitments": [each.hex() for each in KEY.commitments],
    "shares": {"2": SHARES[1].hex(), "4": SHARES[3].hex()},
}


def _check(data: bytes, given: Json) -> Json:
    commitments = tuple(bytes.fromhex(each) for each in given["commitments"])
    shares = {int(holder): bytes.fromhex(each) for holder, each in given["shares"].items()}
    secret = recover(shares, commitments)
    cipher = BlockCipher(Encryption(commitments=commitments), secret)
    plain, links = cipher.decrypt(data, digest(data))
    return {
        "secret": secret.hex(),
        "key": parse_encrypted(data, digest(data)).key.hex(),
        "plain": plain.hex(),
        "links": [each.hex() for each in links],
    }


def _valid() -> Iterator[Case]:
    yield Case(name="a leaf", data=CIPHER.encrypt(LEAF, ()), given=GIVEN)
    yield Case(name="a branch", data=CIPHER.encrypt(LEAF, BELOW), given=GIVEN)
    twice = (BELOW[0], BELOW[0])
    yield Case(name="that links to one block twice", data=CIPHER.encrypt(LEAF, twice), given=GIVEN)


def _invalid() -> Iterator[Case]:
    block = parse_encrypted(CIPHER.encrypt(LEAF, BELOW), b"")
    other = Encryption(commitments=KEY.commitments[:1])
    flipped = bytes([block.ciphertext[0] ^ 1]) + block.ciphertext[1:]
    for name, made in (
        ("another ciphertext", block._replace(ciphertext=flipped)),
        ("shorter than a tag", block._replace(ciphertext=b"short")),
        ("links in another order", block._replace(links=BELOW[::-1])),
        ("a link left out", block._replace(links=BELOW[:1])),
        ("the name of another key", block._replace(key=other.key)),
        ("encrypted under another secret", _otherwise()),
    ):
        yield Case(name=name, data=made.to_bytes(), given=GIVEN, expect={"reason": "wrong-key"})
    for name, plain, reason in (
        ("a block in the clear", ["log/1", 1, [], [b"value"]], "wrong-kind"),
        ("a later version", ["encrypted/2", KEY.key, b"", []], "unknown-version"),
        ("without links", ["encrypted/1", KEY.key, b""], "bad-field"),
        ("a digest for a link", ["encrypted/1", KEY.key, b"", [BELOW[0]]], "bad-field"),
    ):
        yield Case(name=name, data=encode_block(plain), given=GIVEN, expect={"reason": reason})


def _otherwise() -> EncryptedBlock:
    data = BlockCipher(KEY, DRAWN[1]).encrypt(LEAF, BELOW)
    return parse_encrypted(data, digest(data))


KIND = Kind(
    name="encrypted",
    about="bytes: an encrypted block. given: the commitments of its key, and shares by holder, as many as give it. "
    "expect: the secret, the block in plaintext, and the encrypted blocks that it links to.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
)
