"""About a thousand Ed25519 signatures that nobody signs by accident, each with the clauses it breaks.

Every pair of a key and an R from the 22 encodings below is signed so that the equation with cofactor holds;
without the cofactor it holds only where the points' parts of low order cancel, so each pair is taken with
a message for which it does and one for which it does not, where such messages exist. Then S out of range,
aliases of points nobody knows the logarithm of, numbers that are no points, and plain damage.

Source for what to try: RFC 8032 §5.1.7, §8.4 and §8.8; Chalkias, Garillot, Nikolaenko, "Taming the many
EdDSAs" (2020). The cases themselves are computed here.
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Final, NamedTuple

from tests.unit.core.base import edwards
from tests.unit.core.base.edwards import BASE, SIGN_BIT, TORSION, L, P, Point

CLAUSES: Final = {
    "s-range": "S < L",
    "key-point": "A decodes to a point of the curve",
    "key-canonical": "A is the canonical encoding of that point",
    "key-order": "A is not of low order",
    "r-point": "R decodes to a point of the curve",
    "r-canonical": "R is the canonical encoding of that point",
    "r-order": "R is not of low order",
    "equation": "S*B = R + k*A, without a cofactor, k = SHA-512(R, A, message) modulo L",
}
"""The one rule: a signature holds if it breaks none of these."""


class Case(NamedTuple):
    """A signature to judge."""

    name: str
    key: bytes
    signature: bytes
    message: bytes
    broken: tuple[str, ...]


class Known(NamedTuple):
    """An encoding of scalar * B + TORSION[torsion]; scalar 0 for the points of low order."""

    name: str
    data: bytes
    scalar: int
    torsion: int


def judge(key: bytes, signature: bytes, message: bytes) -> tuple[str, ...]:
    """Return the clauses of the rule that a signature breaks, in the order of `CLAUSES`."""
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    broken = {"s-range"} if s >= L else set()
    points = {"key": edwards.decode(key), "r": edwards.decode(r)}
    for part, data in (("key", key), ("r", r)):
        point = points[part]
        if point is None:
            broken.add(f"{part}-point")
        else:
            broken |= {f"{part}-canonical"} if edwards.encode(point) != data else set()
            broken |= {f"{part}-order"} if edwards.is_low_order(point) else set()
    a, commitment = points["key"], points["r"]
    k = edwards.challenge(r, key, message) % L
    if a is None or commitment is None or not edwards.holds(a, commitment, s, k):
        broken.add("equation")
    return tuple(clause for clause in CLAUSES if clause in broken)


@cache
def cases() -> tuple[Case, ...]:
    """Return every case, always the same ones in the same order."""
    made = [*_pairs(), *_unreduced(), *_out_of_range(), *_aliases(), *_damaged()]
    return tuple(
        Case(name, key, signature, message, judge(key, signature, message))
        for name, key, signature, message in made
    )


Unjudged = tuple[str, bytes, bytes, bytes]


def _scalar(label: str) -> int:
    return int.from_bytes(hashlib.sha512(label.encode()).digest(), "little") % L


def _sum(scalar: int, torsion: int) -> Point:
    return edwards.add(edwards.multiply(scalar, BASE), TORSION[torsion])


@cache
def _known(label: str) -> list[Known]:
    """Return the honest encoding, the 7 of mixed order and the 14 of low order, 6 of these aliases."""
    scalar = _scalar(label)
    mixed = [
        Known(f"mixed{i}" if i else "honest", edwards.encode(_sum(scalar, i)), scalar, i)
        for i in range(8)
    ]
    low = [
        Known(f"low{i}" + (f"alias{j}" if j else ""), data, 0, i)
        for i in range(8)
        for j, data in enumerate(edwards.encodings(TORSION[i]))
    ]
    return [*mixed, *low]


def _sign(key: Known, r: Known, message: bytes) -> bytes:
    k = edwards.challenge(r.data, key.data, message) % L
    return r.data + ((r.scalar + k * key.scalar) % L).to_bytes(32, "little")


def _cancels(key: Known, r: Known, k: int) -> bool:
    """Tell whether the parts of low order vanish from R + k*A, so that no cofactor is needed."""
    return (r.torsion + k * key.torsion) % 8 == 0


def _messages(text: str = "message") -> Iterator[bytes]:
    return (f"{text} {i}".encode() for i in range(100))


def _pairs() -> Iterator[Unjudged]:
    for key, r in product(_known("key"), _known("nonce")):
        for wanted in (True, False):
            for message in _messages():
                k = edwards.challenge(r.data, key.data, message) % L
                if _cancels(key, r, k) is wanted:
                    equation = "cofactorless" if wanted else "cofactored-only"
                    name = f"key-{key.name}/r-{r.name}/{equation}"
                    yield name, key.data, _sign(key, r, message), message
                    break


def _unreduced() -> Iterator[Unjudged]:
    """Yield signatures whose verdict depends on whether k is reduced modulo L before it multiplies A."""
    r = _known("nonce")[0]
    for key, wanted in product(_known("key")[1:8], (True, False)):
        for message in _messages("unreduced"):
            k = edwards.challenge(r.data, key.data, message)
            if _cancels(key, r, k % L) is wanted and _cancels(key, r, k) is not wanted:
                which = "reduced" if wanted else "unreduced"
                yield f"key-{key.name}/k-{which}-only", key.data, _sign(key, r, message), message
                break


def _out_of_range() -> Iterator[Unjudged]:
    """Yield S + i*L for every i that fits 32 bytes, and S with each of its three high bits set."""
    keys, rs, message = _known("key"), _known("nonce"), b"message"
    for key, r in ((keys[0], rs[0]), (keys[8], rs[0]), (keys[8], rs[8]), (keys[5], rs[5])):
        signature = _sign(key, r, message)
        s = int.from_bytes(signature[32:], "little")
        name = f"key-{key.name}/r-{r.name}"
        shifted = {f"s+{i}L": s + i * L for i in range(1, 16)}
        flagged = {f"s-bit{i}": s | 1 << i for i in (253, 254, 255)}
        for how, big in (shifted | flagged | {"s-ones": 2**256 - 1}).items():
            if big < 2**256:
                yield f"{name}/{how}", key.data, r.data + big.to_bytes(32, "little"), message


def _aliases() -> Iterator[Unjudged]:
    """Yield keys and Rs with y >= p, points or not, and y < p that is on no point; none can be signed for."""
    key, r, message = _known("key")[0], _known("nonce")[0], b"message"
    signature = _sign(key, r, message)
    strange = {f"y=p+{y}": y + P for y in range(2, 19)} | {f"y={y}": y for y in (2, P - 2)}
    for (name, y), sign in product(strange.items(), (0, SIGN_BIT)):
        data = (y | sign).to_bytes(32, "little")
        label = f"{name}{'-signed' if sign else ''}"
        yield f"key-{label}", data, signature, message
        yield f"r-{label}", key.data, data + signature[32:], message


def _damaged() -> Iterator[Unjudged]:
    key, r, other = _known("key")[0], _known("nonce")[0], _known("nonce")[0].data
    signature = _sign(key, r, b"message")
    yield "honest/empty-message", key.data, _sign(key, r, b""), b""
    yield "honest/long-message", key.data, _sign(key, r, bytes(300)), bytes(300)
    yield "damaged/other-message", key.data, signature, b"massage"
    yield "damaged/other-key", other, signature, b"message"
    yield "damaged/halves-swapped", key.data, signature[32:] + signature[:32], b"message"
    yield "damaged/zeros", key.data, bytes(64), b"message"
    yield "damaged/zeros-under-zero-key", bytes(32), bytes(64), b"message"
    for bit in (0, 7, 100, 254, 255, 256, 300, 400, 500, 507, 508):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        yield f"damaged/bit{bit}", key.data, bytes(flipped), b"message"
