"""Requests and answers between agents on whole zones, in virtual time (protocol §10.26)."""

from typing import Any

import pytest

from sojourn import Address
from sojourn.core.base.digests import cid_text
from sojourn.runtime.records import Outcome, Received
from sojourn.testing import LaunchedAgent, Rehearsal, World, Zone, simulate, survives_kills
from tests.unit.testing.correspondents import Asker, Doubler, Herald, Obliging, Patient, Selfish

COUNT = 3
ANSWERS = [[0, 200], [2, 202], [4, 204]]


def pair(
    world: World, here: Zone, there: Zone, **moves: dict[str, str]
) -> tuple[LaunchedAgent, LaunchedAgent]:
    """Launch who asks and who answers."""
    plan = {"count": 2 * COUNT, "moves": moves.get("doubler", {})}
    doubler = world.launch(Doubler, there, memory={"plan": plan})
    told = {"count": COUNT, "to": doubler.id, "zone": there.id, "moves": moves.get("asker", {})}
    return world.launch(Asker, here, memory={"plan": told, "said": None}), doubler


def test_section_10_31_what_is_asked_is_answered_whatever_else_comes_before() -> None:
    with simulate(seed=201) as world:
        asker, doubler = pair(world, world.zone("a"), world.zone("b"))
        assert ANSWERS == asker.result(within=300)
        assert 2 * COUNT == doubler.result()


@pytest.mark.soak
def test_section_10_31_both_move_while_they_talk() -> None:
    with simulate(seed=202) as world:
        a, b = world.zone("a"), world.zone("b")
        world.zone("c")
        world.run(5)
        moves: dict[str, Any] = {"asker": {"1": "c", "2": "b"}, "doubler": {"2": "c", "4": "a"}}
        asker, _ = pair(world, a, b, **moves)
        assert ANSWERS == asker.result(within=300)
        assert "b" == asker.zone.name


@pytest.mark.parametrize("who", ["asker", pytest.param("doubler", marks=pytest.mark.soak)])
def test_section_10_31_hosts_die_between_request_and_answer(who: str) -> None:
    with simulate(seed=203) as world:
        a, b = world.zone("a", hosts=2), world.zone("b", hosts=2)
        asker, doubler = pair(world, a, b)
        victim = asker if who == "asker" else doubler
        victim.wait(lambda it: any(isinstance(r, Received) for r in it.journal()), "hears")
        assert victim.host is not None
        victim.host.kill()
        assert ANSWERS == asker.result(within=300)


def test_section_10_31_agents_that_wait_for_each_other_are_told_so() -> None:
    """Each asks the next one on the way round, and none receives what it is asked."""
    with simulate(seed=204) as world:
        zone = world.zone("a")
        first = world.launch(Selfish, zone)
        third = world.launch(Obliging, zone, memory={"plan": {"further": cid_text(first.id)}})
        second = world.launch(Obliging, zone, memory={"plan": {"further": cid_text(third.id)}})
        world.send(first, {"to": cid_text(second.id), "seconds": 3600})
        said = first.result(within=20)
        names = [cid_text(agent.id) for agent in (first, second, third)]
        way = " waits for ".join(names)
        assert said == (
            f"cycle: no answer can come, for agents wait for each other: {way} waits for the first"
        )


@pytest.mark.parametrize("dies", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_section_10_31_two_that_ask_each_other_at_once_are_told_at_once(dies: bool) -> None:
    with simulate(seed=207) as world:
        a, b = world.zone("a", hosts=2), world.zone("b")
        world.run(3)
        one, two = world.launch(Selfish, a), world.launch(Selfish, b)
        for each, other in ((one, two), (two, one)):
            to = str(Address(agent=other.id, zone=other.zone.id))
            world.send(each, {"to": to, "seconds": 3600})
        if dies:
            one.wait(lambda it: any(isinstance(r, Outcome) for r in it.journal()), "has asked")
            assert one.host is not None
            one.host.kill()
        told = [each.result(within=60) for each in (one, two)]
        assert any(each.startswith("cycle: no answer can come") for each in told)


def test_section_10_31_who_receives_while_it_waits_may_be_asked_back() -> None:
    """No cycle is told while the code does anything but wait: it may receive yet."""
    with simulate(seed=208) as world:
        zone = world.zone("a")
        patient = world.launch(Patient, zone)
        helper = world.launch(Obliging, zone, memory={"plan": {"further": cid_text(patient.id)}})
        world.send(patient, {"to": cid_text(helper.id), "busy": 12})
        assert ["answered", "for somebody else"] == patient.result(within=100)
        assert "answered" == helper.result(within=100)


def test_section_10_31_silence_is_told_as_silence() -> None:
    with simulate(seed=205) as world:
        zone = world.zone("a")
        first, deaf = (world.launch(Selfish, zone) for _ in range(2))
        world.send(first, {"to": cid_text(deaf.id), "seconds": 20})
        assert first.result(within=100).startswith("silence: no answer came in time to ")


def test_section_10_31_children_are_told_all_at_once() -> None:
    with simulate(seed=206) as world:
        herald = world.launch(Herald, world.zone("a"))
        assert [1, ["heard the news"] * 3] == herald.result(within=300)


def test_an_agent_that_is_rehearsed_asks_once_wherever_it_is_killed() -> None:
    plan = {"count": 1, "moves": {}, "to": bytes(range(32)), "zone": bytes(32)}

    def check(rehearsal: Rehearsal) -> None:
        assert [[0, 200]] == rehearsal.result()
        assert [0, 100] == sorted(said.value for said in rehearsal.sent)

    survives_kills(
        Asker,
        prepare=lambda rehearsal: rehearsal.answer(lambda number: 2 * number),
        check=check,
        memory={"plan": plan, "said": None},
    )
