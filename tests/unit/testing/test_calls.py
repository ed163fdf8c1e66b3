"""Signals and updates on whole zones, in virtual time (protocol §10.32)."""

import pytest

from sojourn.core.protocol.calling import Call
from sojourn.runtime.records import Line
from sojourn.runtime.typed import to_plain
from sojourn.testing import LaunchedAgent, World, Zone, simulate
from tests.unit.testing.correspondents import Customer, Till

SAID = [
    5,
    "ValueError: -1 cannot be added",
    "argument 'amount' of update add is no int: Expected `int`, got `str`",
    "the agent has no update 'secret'",
    "the agent has no update 'name'",
    7,
]


def shop(world: World, a: Zone) -> tuple[LaunchedAgent, LaunchedAgent]:
    till = world.launch(Till, a, memory={"purse": {"amount": 0, "name": ""}})
    return till, world.launch(Customer, a, memory={"plan": {"till": till.id}})


def check(till: LaunchedAgent, customer: LaunchedAgent) -> None:
    told = customer.result(within=300)
    assert SAID == [each.partition(". ")[0] if isinstance(each, str) else each for each in told]
    assert [7, ["Ada", True]] == till.result(within=300)


def test_section_10_32_calls_are_answered_in_order_and_what_is_refused_changes_nothing() -> None:
    """Between two of them the till goes to another zone, and the customer's next one finds it."""
    with simulate(seed=301) as world:
        a, b = world.zone("a"), world.zone("b")
        world.run(5)
        till, customer = shop(world, a)
        check(till, customer)
        assert b is till.zone


@pytest.mark.parametrize("number", [0, pytest.param(2, marks=pytest.mark.soak)])
def test_section_10_32_a_host_that_dies_makes_no_call_come_twice(number: int) -> None:
    with simulate(seed=302) as world:
        a = world.zone("a", hosts=2)
        till, customer = shop(world, a)
        lines = lambda it: sum(isinstance(record, Line) for record in it.journal())  # noqa: E731
        till.wait(lambda it: lines(it) > number, f"was called {number + 1} times")
        assert till.host is not None
        till.host.kill()
        check(till, customer)


def test_section_10_32_people_call_as_well_and_find_the_answer_in_the_journal() -> None:
    with simulate(seed=303) as world:
        till = world.launch(Till, world.zone("a"), memory={"purse": {"amount": 0, "name": ""}})
        for kind, name, argument, named in (
            ("update", "add", 3, "x"),
            ("update", "add", -3, "y"),
            ("signal", "name", "Bob", "z"),
        ):
            call = {"call": kind, "name": name, "arguments": [[argument], {}], "id": named}
            world.send(till, call)
        world.send(till, "close")
        assert [3, ["Bob", False]] == till.result()
        lines = [record for record in till.journal() if isinstance(record, Line)]
        told = {(each.text, each.fields["id"]): each.fields for each in lines}
        assert 3 == told["update add", "x"]["result"]
        assert "ValueError: -3 cannot be added" == told["update add", "y"]["refused"]
        assert ("signal name", "z") in told


def test_a_call_is_known_by_its_shape_alone() -> None:
    plain = to_plain(Call(call="signal", name="n", arguments=((1,), {}), id="i"), what="a call")
    assert {"call": "signal", "name": "n", "arguments": [[1], {}], "id": "i"} == plain
