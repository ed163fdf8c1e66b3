"""Vectors: normalised, in half precision, and compared to the bit, with numpy or without."""

import math
import random
import struct

import pytest

from sojourn.core.agent.memory import vectors
from sojourn.core.agent.memory.vectors import SCORE_UNIT, packed, scores
from sojourn.core.base.errors import Misused, Rejected


def drawn(seed: int, count: int, dimensions: int) -> list[bytes]:
    rng = random.Random(seed)
    return [packed([rng.gauss(0, 1) for _ in range(dimensions)], what="x") for _ in range(count)]


@pytest.mark.parametrize("dimensions", [1, 2, 384, 4096])
def test_with_numpy_or_without_scores_are_the_same(
    monkeypatch: pytest.MonkeyPatch, dimensions: int
) -> None:
    query, *others = drawn(dimensions, 20, dimensions)
    with_numpy = scores(query, others)
    assert vectors._numpy() is not None
    monkeypatch.setattr(vectors, "_numpy", lambda: None)
    assert with_numpy == scores(query, others)
    assert 20 == len({*with_numpy, scores(query, [query])[0]}) or dimensions == 1


def test_a_score_is_a_cosine() -> None:
    one, other = packed([3, 4], what="x"), packed([4, 3], what="x")
    assert scores(one, [one, other, packed([-3, -4], what="x"), bytes(4)]) == pytest.approx(
        [2**48, 0.96 * 2**48, -(2**48), 0], rel=1e-3
    )
    assert SCORE_UNIT * scores(one, [one])[0] == pytest.approx(1, rel=1e-3)


def test_a_vector_of_any_length_comes_to_length_one() -> None:
    for scale in (1e-300, 1e-5, 1, 1e300):
        numbers = struct.unpack("<2e", packed([3 * scale, -4 * scale], what="x"))
        assert numbers == pytest.approx((0.6, -0.8), rel=1e-3)
    assert packed([0.0] * 5, what="x") == bytes(10)


@pytest.mark.parametrize(
    ("vector", "problem"),
    [
        ([], "x is a vector of 0 components"),
        ([1.0] * 4097, "x is a vector of 4097 components"),
        ([1.0, math.nan], "x has a component that is not finite"),
        ([math.inf], "x has a component that is not finite"),
        (["a"], "x is no vector: could not convert"),
        ([None], "x is no vector"),
    ],
)
def test_what_is_no_vector_is_said(vector: list[float], problem: str) -> None:
    with pytest.raises(Misused, match=problem):
        packed(vector, what="x")


@pytest.mark.parametrize("numpy", [True, False])
@pytest.mark.parametrize(
    "hostile", [b"", b"\0" * 6, struct.pack("<2e", 2, 0), struct.pack("<2e", math.nan, 0)]
)
def test_a_hostile_vector_is_rejected(
    monkeypatch: pytest.MonkeyPatch, hostile: bytes, numpy: bool
) -> None:
    if not numpy:
        monkeypatch.setattr(vectors, "_numpy", lambda: None)
    with pytest.raises(Rejected) as caught:
        scores(packed([1, 1], what="x"), [hostile])
    assert ("bad-field", "vector") == (caught.value.reason, caught.value.where)
