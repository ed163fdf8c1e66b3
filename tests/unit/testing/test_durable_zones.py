"""Everything durable on whole zones: the parts of one agent that goes from zone to zone while its hosts die."""

from typing import Any

import pytest

from sojourn.models import ScriptedModel
from sojourn.testing import Approvers, LaunchedAgent, World, person_key, simulate
from tests.unit.testing.durable import Everything
from tests.unit.testing.test_durable import CANARY, EXPECTED, memory, script, without_chance

LEGS = (
    ("typed", "retried", "received", "kinds", "mistaken"),
    ("saga", "cancelled", "limited", "asked", "sought"),
    ("corresponded", "fanned", "slept", "conversed"),
    ("blobs", "streamed", "remembered", "scheduled"),
)
"""What one agent does in one world, a zone further in each turn."""
DESK = Approvers(keys=(person_key("ann"), person_key("ben")), lasts_ms=60_000)
HERE = {  # what comes otherwise where others are real
    "corresponded": [*EXPECTED["corresponded"][:-1], "Undeliverable", []],
    "scheduled": [],
}


def begins(world: World, leg: tuple[str, ...]) -> LaunchedAgent:
    """Launch an agent that is to do some parts, in two zones in turn."""
    zones = [world.zone(name, hosts=2) for name in ("a", "b")]
    for zone in zones:
        for host in zone.hosts:
            host.secrets["bank"] = CANARY
    world.stand_in("think", ScriptedModel(script))
    world.run(5)
    kept = memory(*leg, route=("a", "b"))
    budgets = {"tokens": 10**6, "cost_micros": 10**6, "coins": 5}
    approvers = {"desk": DESK}
    return world.launch(Everything, zones[0], memory=kept, budgets=budgets, approvers=approvers)


def comes_to_it(seed: int, leg: tuple[str, ...], *versions: int) -> int:
    """Have the host die that an agent is bound to when these versions are decided; return its last version."""
    with simulate(seed=seed) as world:
        agent = begins(world, leg)
        if "received" in leg:
            for body in ({"a": 1}, "wrong", {"b": 2}):
                agent.send(body)
        left, answers = sorted(versions), ["seven", 7, "b"]
        while not agent.has_ended:

            def is_up(it: LaunchedAgent) -> bool:
                is_due = bool(left) and it.version >= left[0] and it.host is not None
                is_asking = any(wake.on_answer for wake in it.record.eligibility.wake)
                return it.has_ended or is_due or (is_asking and bool(answers and it.inquiries()))

            agent.wait(is_up, "gets on", within=300)
            if left and agent.version >= left[0] and agent.host is not None:
                left.pop(0)
                dead = agent.host
                dead.kill()
                world.run(1)
                dead.start()
            elif answers and agent.inquiries():
                agent.say(answers.pop(0), by="ben")
        check(agent, leg)
        assert not world.broken_promises()
        return agent.version


def check(agent: LaunchedAgent, leg: tuple[str, ...]) -> None:
    """Check that each part came to what it should, and effects to who has them as their kinds promise."""
    result = agent.result()
    for part in leg:
        assert HERE.get(part, EXPECTED[part]) == without_chance(part, result[part]), part
    assert "ab"[(len(leg) - 1) % 2] == agent.zone.name
    assert len(agent.performed("pay")) <= 1
    for name in ("place", "reserve", "cancel", "flaky", "fetch", "balance"):
        keys: dict[Any, set[str]] = {}
        for each in agent.performed(name):
            keys.setdefault(each.key, set()).add(repr(each.arguments))
        assert all(1 == len(under) for under in keys.values()), name


def test_memory_comes_to_the_same_on_zones_though_hosts_die() -> None:
    comes_to_it(403, LEGS[3], 19, 31)


@pytest.mark.soak
@pytest.mark.parametrize("leg", LEGS, ids=[each[0] for each in LEGS])
@pytest.mark.parametrize("first", range(2, 62, 6))
def test_all_of_it_comes_to_the_same_on_zones_wherever_hosts_die(
    leg: tuple[str, ...], first: int
) -> None:
    comes_to_it(400 + first, leg, first, first + 1, first + 13, first + 35)
