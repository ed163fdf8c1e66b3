"""Vectors kept in memory: normalised, in half precision, and compared exactly.

    vector     the components of a vector of length 1, as IEEE 754 half-precision numbers, little-endian

A half-precision number of at most 1 is a whole number of 2**-24, so products of them are whole numbers of 2**-48, and
so are sums of products: a score is an integer, the same on every machine, whatever adds it up and in which order.
Floating-point sums are not, and a replay elsewhere could rank two neighbours the other way round.
"""

import math
import struct
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from sojourn.core.base.errors import Misused, Rejected

__all__ = ["DIMENSIONS_MAX", "SCORE_UNIT", "packed", "scores"]

DIMENSIONS_MAX: Final = 4096
"""Components of a vector: sums of products then fit into 63 bits, and a vector into one block."""
SCORE_UNIT: Final = 2.0**-48
"""What a score counts: times this it is the cosine of two vectors, within what half precision can say."""
_SCALE: Final = 2.0**24
_AT_ONCE: Final = 4096
"""Vectors compared at once: 12 MB of whole numbers at 384 dimensions."""


def packed(vector: Sequence[float], *, what: str) -> bytes:
    """Return a vector as it is kept: two bytes a component. All zeros stay so, and are like nothing.

    Raises `Misused`, with `what` in it, for numbers that are none and for too many.
    """
    if not 1 <= len(vector) <= DIMENSIONS_MAX:
        problem = f"{what} is a vector of {len(vector)} components"
        raise Misused(problem, remedy=f"Use a model of 1 to {DIMENSIONS_MAX} dimensions")
    try:
        numbers = [float(number) for number in vector]
        largest = max(map(abs, numbers))
    except (TypeError, ValueError) as error:
        raise Misused(f"{what} is no vector: {error}", remedy="Return floats") from None
    if not all(map(math.isfinite, numbers)):
        raise Misused(f"{what} has a component that is not finite", remedy="Look at the model")
    if largest == 0:
        return bytes(2 * len(numbers))
    scaled = [number / largest for number in numbers]  # so that no square is lost
    length = math.sqrt(math.fsum(number * number for number in scaled))
    return struct.pack(f"<{len(scaled)}e", *(number / length for number in scaled))


def scores(query: bytes, vectors: Sequence[bytes]) -> list[int]:
    """Return how alike each vector is to `query`, in `SCORE_UNIT`; by numpy where it is installed.

    Raises `Rejected` for what is no vector of the same dimensions.
    """
    if any(len(vector) != len(query) for vector in vectors):
        raise _rejected(f"a vector that has not the {len(query) // 2} dimensions of the query")
    numpy: Any = _numpy()
    found: list[int] = []
    if numpy is None:
        wanted = _unpacked(query)
        return [sum(map(int.__mul__, wanted, _unpacked(vector))) for vector in vectors]
    wanted = _whole(numpy, query)
    for at in range(0, len(vectors), _AT_ONCE):
        part = vectors[at : at + _AT_ONCE]
        found += (_whole(numpy, b"".join(part)).reshape(len(part), -1) @ wanted).tolist()
    return found


def _unpacked(vector: bytes) -> list[int]:
    """Return the components of a vector as whole numbers of 2**-24."""
    numbers = struct.unpack(f"<{len(vector) // 2}e", vector)
    if not all(abs(number) <= 1 for number in numbers):
        raise _rejected("a component that is not between -1 and 1")
    return [round(number * _SCALE) for number in numbers]


def _whole(numpy: Any, data: bytes) -> Any:
    """Do as `_unpacked`, for vectors one after another."""
    halves = numpy.frombuffer(data, dtype="<f2").astype(numpy.float64)
    if not (numpy.abs(halves) <= 1).all():
        raise _rejected("a component that is not between -1 and 1")
    return numpy.rint(halves * _SCALE).astype(numpy.int64)


def _numpy() -> Any:
    try:
        return import_module("numpy")
    except ImportError:
        return None


def _rejected(problem: str) -> Rejected:
    return Rejected(problem, reason="bad-field", where="vector")
