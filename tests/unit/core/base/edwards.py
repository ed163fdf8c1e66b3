"""Ed25519 in plain Python: slow, readable, independent of every library, and able to do what none should.

It builds signatures that libraries disagree about, and judges them by the rule that `keys.verify` states.
Points are extended homogeneous coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, x*y = T/Z.

Source: RFC 8032 §5.1 (curve, encoding, verification; the complete addition law is §5.1.4); Chalkias,
Garillot, Nikolaenko, "Taming the many EdDSAs" (2020) (which checks there are, and what each excludes).
"""

import hashlib
from typing import Final, NamedTuple

P: Final = 2**255 - 19
"""The field's order."""
L: Final = 2**252 + 27742317777372353535851937790883648493
"""The order of the base point; the curve has 8 * L points."""
D: Final = -121665 * pow(121666, -1, P) % P
SIGN_BIT: Final = 1 << 255


class Point(NamedTuple):
    """A point of the curve, in extended coordinates modulo P; compare with `same`, not with `==`."""

    x: int
    y: int
    z: int
    t: int


IDENTITY: Final = Point(0, 1, 1, 0)


def add(p: Point, q: Point) -> Point:
    """Return p + q; the law is complete, so it doubles too."""
    a = (p.y - p.x) * (q.y - q.x)
    b = (p.y + p.x) * (q.y + q.x)
    c = 2 * D * p.t * q.t
    d = 2 * p.z * q.z
    e, f, g, h = b - a, d - c, d + c, b + a
    return Point(e * f % P, g * h % P, f * g % P, e * h % P)


def negate(p: Point) -> Point:
    """Return -p."""
    return Point(-p.x % P, p.y, p.z, -p.t % P)


def multiply(k: int, p: Point) -> Point:
    """Return k * p for k >= 0."""
    return combine(k, p, 0, IDENTITY)


def combine(j: int, p: Point, k: int, q: Point) -> Point:
    """Return j * p + k * q for j, k >= 0, in one pass over their bits."""
    table = {(1, 0): p, (0, 1): q, (1, 1): add(p, q)}
    total = IDENTITY
    for i in range(max(j.bit_length(), k.bit_length()) - 1, -1, -1):
        total = add(total, total)
        bits = (j >> i & 1, k >> i & 1)
        if bits != (0, 0):
            total = add(total, table[bits])
    return total


def same(p: Point, q: Point) -> bool:
    """Tell whether two points are one."""
    return (p.x * q.z - q.x * p.z) % P == 0 and (p.y * q.z - q.y * p.z) % P == 0


def is_low_order(p: Point) -> bool:
    """Tell whether 8 * p is the identity."""
    return same(multiply(8, p), IDENTITY)


def is_prime_order(p: Point) -> bool:
    """Tell whether p lies in the group of order L."""
    return same(multiply(L, p), IDENTITY)


def square_root(value: int) -> int | None:
    """Return a root of `value` modulo P, or None (RFC 8032 §5.1.3: P is 5 modulo 8)."""
    root = pow(value, (P + 3) // 8, P)
    if (root * root - value) % P:
        root = root * pow(2, (P - 1) // 4, P) % P
    return root if (root * root - value) % P == 0 else None


def lift(y: int, sign: int) -> Point | None:
    """Return the point with this y whose x has this lowest bit, or None if there is none.

    For x = 0 the sign is ignored, as lax decoders do.
    """
    x = square_root((y * y - 1) * pow(D * y * y + 1, -1, P) % P)
    if x is None:
        return None
    if x % 2 != sign:
        x = -x % P
    return Point(x, y % P, 1, x * y % P)


def decode(data: bytes) -> Point | None:
    """Return the point that 32 bytes stand for, canonical or not, or None if y is not on the curve."""
    number = int.from_bytes(data, "little")
    return lift((number % SIGN_BIT) % P, number >> 255)


def encode(p: Point) -> bytes:
    """Return the canonical encoding of a point (RFC 8032 §5.1.2)."""
    inverse = pow(p.z, -1, P)
    x, y = p.x * inverse % P, p.y * inverse % P
    return (y | (x % 2) << 255).to_bytes(32, "little")


def encodings(p: Point) -> list[bytes]:
    """Return every 32-byte string that a lax decoder takes for this point, the canonical one first."""
    canonical = encode(p)
    number = int.from_bytes(canonical, "little")
    y, sign = number % SIGN_BIT, number & SIGN_BIT
    ys = [y, y + P] if y + P < SIGN_BIT else [y]
    signs = [0, SIGN_BIT] if p.x % P == 0 else [sign]
    return [canonical] + [
        data for a in ys for b in signs if (data := (a | b).to_bytes(32, "little")) != canonical
    ]


def is_canonical(data: bytes) -> bool:
    """Tell whether 32 bytes are the canonical encoding of a point of the curve."""
    point = decode(data)
    return point is not None and encode(point) == data


def _base() -> Point:
    base = lift(4 * pow(5, -1, P) % P, 0)
    assert base is not None
    return base


def _torsion() -> list[Point]:
    """Return the eight points of low order as multiples 0..7 of one of order 8."""
    for y in range(2, 100):
        point = lift(y, 0)
        if point is None:
            continue
        eighth = multiply(L, point)
        if not same(multiply(4, eighth), IDENTITY):
            return [multiply(i, eighth) for i in range(8)]
    raise AssertionError("half of all points have a component of order 8")


BASE: Final = _base()
TORSION: Final = _torsion()


def challenge(r: bytes, a: bytes, message: bytes) -> int:
    """Return H(R || A || M) as the 512-bit integer of RFC 8032 §5.1.7, not reduced."""
    return int.from_bytes(hashlib.sha512(r + a + message).digest(), "little")


def holds(a: Point, r: Point, s: int, k: int) -> bool:
    """Tell whether S*B = R + k*A: the cofactorless equation."""
    return same(combine(s, BASE, k, negate(a)), r)


def holds_cofactored(a: Point, r: Point, s: int, k: int) -> bool:
    """Tell whether 8*S*B = 8*R + 8*k*A."""
    return is_low_order(add(combine(s, BASE, k, negate(a)), negate(r)))
