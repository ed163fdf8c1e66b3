"""Sets in arguments, results and memory: the same bytes in every process, or an error that says why not."""

import os
import subprocess
import sys
from enum import Enum

import pytest
from msgspec import Struct

from sojourn.core.base.errors import Misused
from sojourn.runtime.typed import spelled_arguments, to_plain

SPELL = """
from sojourn.runtime.typed import spelled_arguments
print(spelled_arguments(({"London", "Oslo", "Rome", "Wien"}, {"in": [{"a", "b", "c"}]}), {}, what="it").hex())
"""


class Trip(Struct):
    """What an author may give to a step."""

    places: set[str | int]


class Colour(Enum):
    """Members that have no order."""

    RED = "red"
    BLUE = "blue"


def test_a_set_is_known_again_in_whatever_order_it_comes() -> None:
    one, other = {8, 0}, {0, 8}
    assert list(one) != list(other), "the test would show nothing"
    assert 1 == len({spelled_arguments((each, Trip(each)), {}, what="it") for each in (one, other)})


def test_a_set_of_texts_is_the_same_in_every_process() -> None:
    def spelled(seed: int) -> str:
        environment = os.environ | {
            "PYTHONHASHSEED": str(seed),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, "-c", SPELL]
        return subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout

    assert 1 == len({spelled(seed) for seed in (1, 2, 3)})


@pytest.mark.parametrize(
    "value",
    [{1, "a"}, {Colour.RED, Colour.BLUE}, [Trip({1, "a"})]],
    ids=["of types", "of members", "in a struct"],
)
def test_a_set_that_has_no_order_is_refused_with_what_to_do(value: object) -> None:
    with pytest.raises(Misused, match="it cannot be kept: a set in it") as raised:
        to_plain(value, what="it")
    assert "sorted" in raised.value.remedy


def test_what_stands_alone_in_a_set_and_what_has_an_order_is_kept_as_it_was() -> None:
    assert [["red"], [1, 2], ["a", "b"], {"b": 1, "a": 2}] == to_plain(
        ({Colour.RED}, frozenset((2, 1)), {"b", "a"}, {"b": 1, "a": 2}), what="it"
    )
    assert spelled_arguments(({"b": 1, "a": 2},), {}, what="it") == spelled_arguments(
        ({"a": 2, "b": 1},), {}, what="it"
    )
