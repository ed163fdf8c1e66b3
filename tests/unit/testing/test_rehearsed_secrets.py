"""Rehearsals of agents with encrypted memory: stored as ciphertext, looked at in the clear, moved and erased."""

from typing import Any

import pytest

from sojourn.core.base.errors import Misused
from sojourn.testing import (
    Keep,
    Place,
    Rehearsal,
    rehearse,
    survives_kills,
)
from tests.unit.testing.actors import Sleeper
from tests.unit.testing.masters import Confidant, Keeper


def keeper(**more: Any) -> Rehearsal:
    memory = {"about": Keep(values={"0": "known"}, encrypted="ann"), "said": None}
    return rehearse(Keeper, 3, memory=memory, **more)


def test_what_is_encrypted_is_stored_so_and_survives_a_kill_at_every_point() -> None:
    rehearsal = keeper()
    assert {"0": "known"} == rehearsal.memory("about")
    assert 3 * ["written"] == rehearsal.result()
    assert {str(n): f"secret-{n}" for n in range(3)} == rehearsal.memory("about")
    blocks = rehearsal.decided.stored.by_digest.values()
    assert not any(b"secret-" in data or b"known" in data for data in blocks)
    memory = {"about": Keep(values={}, encrypted="ann"), "said": None}
    survives_kills(Keeper, 2, memory=memory)


def rests(rehearsal: Rehearsal) -> list[int]:
    points = rehearsal.run().points
    return [n for n, each in enumerate(points) if each == "after the agent's rest or end"]


def test_an_agent_goes_on_without_what_is_encrypted_and_finds_it_where_it_returns() -> None:
    _, _, second, _, third, *_ = rests(keeper())  # in each turn before it writes, and behind
    moved = keeper(move_at=second)
    assert ["written", "denied", "denied"] == moved.result()
    assert ("elsewhere", {"0": "secret-0"}) == (moved.place, moved.memory("about"))
    returned = keeper(move_at=(second, third))
    assert ["written", "denied", "written"] == returned.result()
    assert ("home", {"0", "2"}) == (returned.place, set(returned.memory("about")))


def test_no_agent_leaves_what_a_resume_needs() -> None:
    places = set()
    for point in range(len(keeper().run().points) - 2):
        rehearsal = keeper(move_at=point)
        said = rehearsal.result()
        places.add((rehearsal.place, "denied" in said))
        assert said.count("written") == sum(
            each.startswith("secret") for each in rehearsal.memory("about").values()
        )
    assert {("home", False), ("elsewhere", True)} <= places


def test_what_may_be_in_one_jurisdiction_alone_stays_behind() -> None:
    memory = {"about": Keep(values={"a": 1}, residency=("EU",)), "free": {}}
    (first, *_) = rests(rehearse(Sleeper, memory=memory))
    for jurisdiction, stays in ((("US",), ["about"]), (("US", "EU"), [])):
        places = [Place("home"), Place("far", jurisdiction=jurisdiction)]
        rehearsal = rehearse(Sleeper, memory=memory, places=places, move_at=first).run()
        assert "far" == rehearsal.place
        kept = rehearsal.record.memory.compartments
        assert stays == [name for name, each in kept.items() if each.held_by is not None]


def test_a_key_is_destroyed_while_the_agent_works() -> None:
    rehearsal = keeper()
    rehearsal.run(seconds=1800)
    rehearsal.erase("about")
    assert 3 * ["denied"] == rehearsal.result(), "it had not used it since its restart point"
    rehearsal = keeper()
    rehearsal.run(seconds=3630)
    rehearsal.erase("about")
    assert "erased" in rehearsal.failure()
    with pytest.raises(Misused, match="'about' was erased: nobody can read it"):
        rehearsal.memory("about")
    with pytest.raises(Misused, match="was erased before"):
        rehearsal.erase("about")
    with pytest.raises(Misused, match=r"no encrypted compartment 'said'\. It has about; see Keep"):
        rehearsal.erase("said")


def test_a_step_writes_into_encrypted_memory() -> None:
    memory = {"secrets": Keep(values=[], encrypted=True), "heard": {}}
    rehearsal = rehearse(Confidant, 2, memory=memory)
    assert 2 == rehearsal.result()
    assert ["secret-0", "secret-1"] == rehearsal.memory("secrets")
