"""A secret in shares that each holder can verify alone: Shamir's scheme, with Feldman's commitments.

The secret is the constant term of a polynomial of degree k-1 over the scalars of Ed25519's prime-order group;
the share of holder i, from 1, is its value at i; the commitments are the coefficients times the base point. Any k
shares give the secret, fewer say nothing of it. A share verifies if its multiple of the base point is what the
commitments say for its holder, so that all shares that verify agree, whoever dealt them.

Commitments are public: the first is the secret times the base point. They hide it as long as it was drawn evenly
and discrete logarithms are hard. Scalars are 32 bytes, little-endian, reduced; points as RFC 8032 encodes them.
Arithmetic on scalars takes a time that depends on them: whoever can measure it so finely is on the machine.

Source: A. Shamir, "How to share a secret" (1979); P. Feldman, "A practical scheme for non-interactive verifiable
secret sharing" (1987); test vectors in RFC 9591, appendix E.1.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Final

from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_is_valid_point,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
)

from sojourn.core.base.errors import Rejected

__all__ = [
    "COEFFICIENT_BYTES",
    "SCALAR_BYTES",
    "check_commitments",
    "commit",
    "deal",
    "is_share",
    "recover",
    "scalar",
]

SCALAR_BYTES: Final = 32
COEFFICIENT_BYTES: Final = 64
"""Bytes of chance for one coefficient: reduced from twice its size, it is even to 2^-256."""
_ORDER: Final = 2**252 + 27742317777372353535851937790883648493


def scalar(chance: bytes) -> bytes:
    """Return the scalar that 64 bytes of chance make; evenly drawn if they are. Never zero."""
    assert len(chance) == COEFFICIENT_BYTES
    return _encoded(int.from_bytes(chance, "little") % (_ORDER - 1) + 1)


def deal(coefficients: Sequence[bytes], holders: int) -> list[bytes]:
    """Return the shares of holders 1 to `holders`; the first coefficient is the secret, as many give it back."""
    numbers = [_decoded(each) for each in coefficients]
    assert 0 < len(numbers) <= holders
    return [_encoded(_value_at(numbers, holder)) for holder in range(1, holders + 1)]


def commit(coefficients: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the commitments to a polynomial: one point for each coefficient, none of which is zero."""
    return tuple(bytes(crypto_scalarmult_ed25519_base_noclamp(each)) for each in coefficients)


def check_commitments(commitments: Sequence[bytes], threshold: int, *, where: str) -> None:
    """Raise `Rejected` unless these can be commitments to a secret that `threshold` shares give."""
    if len(commitments) != threshold:
        problem = f"{len(commitments)} shares give the key, {threshold} have to"
        raise Rejected(problem, reason="bad-threshold", where=where)
    if not all(
        len(c) == SCALAR_BYTES and crypto_core_ed25519_is_valid_point(c) for c in commitments
    ):
        raise Rejected("a commitment is no point of the group", reason="bad-point", where=where)


def is_share(share: bytes, holder: int, commitments: Sequence[bytes]) -> bool:
    """Tell whether `share` is that of a holder, from 1, of the secret that is committed to.

    The commitments are points of the group (`check_commitments`).
    """
    if len(share) != SCALAR_BYTES or not 0 < int.from_bytes(share, "little") < _ORDER:
        return False  # a share of zero is as likely as guessing the secret
    return bool(crypto_scalarmult_ed25519_base_noclamp(share) == _point_at(commitments, holder))


def recover(shares: Mapping[int, bytes], commitments: Sequence[bytes]) -> bytes:
    """Return the secret, from as many shares as there are commitments: of verified ones, by holder."""
    chosen = sorted(shares)[: len(commitments)]
    assert len(chosen) == len(commitments), "fewer shares say nothing"
    total = sum(_decoded(shares[i]) * _weight(i, chosen) for i in chosen)
    secret = _encoded(total % _ORDER)
    assert crypto_scalarmult_ed25519_base_noclamp(secret) == commitments[0], "shares are verified"
    return secret


def _value_at(coefficients: Sequence[int], at: int) -> int:
    return reduce(lambda value, each: (value * at + each) % _ORDER, reversed(coefficients), 0)


def _point_at(commitments: Sequence[bytes], at: int) -> bytes | None:
    """Return the committed polynomial's value at `at` times the base point; None for the neutral element."""
    *rest, point = commitments
    for each in reversed(rest):
        scaled = crypto_scalarmult_ed25519_noclamp(_encoded(at), point)
        point = crypto_core_ed25519_add(scaled, each)
        if not crypto_core_ed25519_is_valid_point(point):
            return None  # crafted commitments alone meet it on the way; nobody's share verifies
    return bytes(point)


def _weight(holder: int, chosen: Sequence[int]) -> int:
    """Return Lagrange's coefficient of a holder at zero."""
    above = below = 1
    for other in chosen:
        if other != holder:
            above = above * other % _ORDER
            below = below * (other - holder) % _ORDER
    return above * pow(below, -1, _ORDER) % _ORDER


def _decoded(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _encoded(number: int) -> bytes:
    return number.to_bytes(SCALAR_BYTES, "little")
