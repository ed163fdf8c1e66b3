"""Letters under storms of faults: each is taken once, and in order for each sender (protocol §10.26)."""

from collections import defaultdict
from typing import Any

import pytest

from sojourn.testing import Faults, seeds, simulate
from tests.unit.testing.correspondents import Reader, Writer

COUNT = 8


def letters(seed: int) -> None:
    """Let two agents write to one that travels, as they do, while much goes wrong."""
    with simulate(seed=seed, faults=Faults.storm()) as world:
        near = world.zone("near", hosts=2)
        world.zone("far", anchors=1, hosts=2)
        moves = {"3": "far", "9": "near"}
        plan = {"count": 2 * COUNT, "moves": moves, "pause": 0.3}
        reader = world.launch(Reader, near, memory={"plan": plan, "got": None})
        writers = []
        for way in ({}, {"2": "far", "6": "near"}):
            told: dict[str, Any] = {"count": COUNT, "moves": way, "to": reader.id}
            memory = {"plan": told, "said": None}
            writers.append(world.launch(Writer, near, memory=memory))
        world.run(6)
        world.calm()
        for writer in writers:
            assert ["sent"] * COUNT == writer.result(within=300)
        taken = defaultdict(list)
        for sender, number in reader.result(within=300):
            taken[sender].append(number)
        assert {writer.id.hex(): list(range(COUNT)) for writer in writers} == taken


@seeds(0, 2)
def test_section_10_26_letters_come_through_a_storm_once_and_in_order(seed: int) -> None:
    letters(seed)


@pytest.mark.soak
@seeds(100, 400)
def test_section_10_26_letters_come_through_many_storms_once_and_in_order(seed: int) -> None:
    letters(seed)
