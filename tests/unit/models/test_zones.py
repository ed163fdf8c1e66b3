"""Conversations on whole zones, in virtual time: hosts that die, moves, policies that name models."""

import pytest

from sojourn.models import Reply, ScriptedModel, ToolCall
from sojourn.testing import LaunchedAgent, Performed, World, Zone, simulate
from tests.unit.models.advisers import Adviser

TURNS = 3


def script(said: list[dict[str, object]]) -> str | ToolCall:
    """Want the balance, then say it."""
    if said[-1]["role"] == "tool":
        return f"it is {said[-1]['content']}"
    number = str(said[0]["content"]).rstrip("?").rpartition(" ")[2]
    return ToolCall(id="c", name="balance", arguments=f'{{"account": {number}}}')


def advises(world: World, zone: Zone, policy: str | None = None, **moves: str) -> LaunchedAgent:
    world.stand_in("think", ScriptedModel(script))
    plan = {"turns": TURNS, "moves": {name[1:]: to for name, to in moves.items()}}
    memory = {"plan": plan, "said": None}
    more = {} if policy is None else {"policy": policy}
    return world.launch(Adviser, zone, memory=memory, budgets={"tokens": 10**6}, **more)


def check_through_a_kill(step: str, number: int, *, before: bool) -> None:
    with simulate(seed=31) as world:
        zones = [world.zone("a", hosts=2), world.zone("b", hosts=2)]
        hosts = {host.name: host for zone in zones for host in zone.hosts}
        struck: list[str] = []

        def strike(now: Performed) -> None:
            struck.append(now.process)
            if len(struck) == number + 1:
                hosts[now.process].kill()

        world.at_step(step, strike, before=before)
        agent = advises(world, zones[0], _1="b")
        if step == "balance":  # had once: whether it was had is for the agent to find out
            assert "UncertainOutcome" in agent.failure(within=300)
        else:
            assert [f"it is {100 + n}" for n in range(TURNS)] == agent.result(within=300)
            assert "b" == agent.zone.name
            assert TURNS == len(agent.performed("balance"))
            assert 2 * TURNS == len({each.key for each in agent.performed("think")})
        assert number < len(struck)


POINTS = [("think", n, before) for n in range(2 * TURNS) for before in (True, False)]


@pytest.mark.parametrize(("step", "number", "before"), POINTS[1::5])
def test_a_host_dies_while_a_model_is_asked(step: str, number: int, before: bool) -> None:
    check_through_a_kill(step, number, before=before)


@pytest.mark.soak
@pytest.mark.parametrize(("step", "number", "before"), POINTS)
def test_a_host_dies_anywhere_in_a_conversation(step: str, number: int, before: bool) -> None:
    check_through_a_kill(step, number, before=before)


def test_policies_name_the_model_that_is_called() -> None:
    policy = """
        permit (principal, action, resource);
        forbid (principal, action == Action::"model.call", resource)
        when { context has counterpart && context.counterpart == "local/tiny" };
    """
    with simulate(seed=32) as world:
        agent = advises(world, world.zone("a"), policy)
        assert all(each.startswith("denied: ") for each in agent.result())
        assert not agent.performed("think")


def test_a_script_that_is_a_list_goes_by_what_was_said() -> None:
    scripted = ScriptedModel(["one", Reply(text="two")])
    first = [{"role": "user", "content": "x"}]
    assert ["one", "one"] == [scripted(first).text, scripted("x").text]
    assert "two" == scripted([*first, scripted(first).message(), *first]).text
