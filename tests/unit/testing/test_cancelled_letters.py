"""Letters that their sender cancels: carried through, delivered once, passed by none (protocol §10.23, §10.26)."""

from typing import Any

import pytest

from sojourn.cli.agent_letters import letters_in
from sojourn.testing import LaunchedAgent, World, Zone, simulate
from tests.unit.testing.correspondents import Capricious, Fickle, Reader

SEEDS = [711, *(pytest.param(n, marks=pytest.mark.soak) for n in range(6))]


def pair(world: World, here: Zone, there: Zone, after: float) -> tuple[LaunchedAgent, Any]:
    """Launch who reads two messages, and who sends them, and cancels the first after so many seconds."""
    to = world.launch(Reader, there, memory={"plan": {"count": 2, "moves": {}}, "got": None})
    plan = {"to": to.id, "zone": there.id, "after": after}
    return to, lambda: world.launch(Fickle, here, memory={"plan": plan})


def check(to: LaunchedAgent, fickle: LaunchedAgent, came: str) -> None:
    """Check that both came, in order, each once, and that the sender's journal says so."""
    assert [came, "sent"] == fickle.result(within=300)
    assert [[fickle.id.hex(), 0], [fickle.id.hex(), 1]] == to.result(within=60)
    assert ["delivered", "delivered"] == [each.state for each in letters_in(fickle.journal())]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cancelled_letter_that_cannot_be_delivered_yet_is_passed_by_none(seed: int) -> None:
    """Its receiver is cut off until the second is on its way, which is tried anew sooner than the first."""
    with simulate(seed=seed) as world:
        a, b = world.zone("a"), world.zone("b")
        world.run(5)
        to, launched = pair(world, a, b, after=10)
        to.rests()
        heal = world.partition([*a.anchors, *a.hosts], [*b.anchors, *b.hosts])
        fickle = launched()
        world.run(11)
        heal()
        check(to, fickle, "CancelledError")


@pytest.mark.parametrize("seed", SEEDS)
def test_who_dies_after_it_has_cancelled_a_letter_has_it_delivered_by_the_next_host(
    seed: int,
) -> None:
    with simulate(seed=seed) as world:
        a, b = world.zone("a", hosts=2), world.zone("b")
        world.run(5)
        to, launched = pair(world, a, b, after=5)
        to.rests()
        heal = world.partition([*a.anchors, *a.hosts], [*b.anchors, *b.hosts])
        fickle = launched()
        world.run(15)
        assert fickle.host is not None
        fickle.host.kill()
        world.run(20)
        heal()
        check(to, fickle, "CancelledError")


@pytest.mark.parametrize(
    "after", [0.001, *(pytest.param(n / 250, marks=pytest.mark.soak) for n in range(1, 12))]
)
def test_a_letter_that_is_cancelled_at_any_time_is_sent_or_was_never_permitted(
    after: float,
) -> None:
    with simulate(seed=712) as world:
        a = world.zone("a")
        to, launched = pair(world, a, a, after=after)
        fickle = launched()
        came, _ = fickle.result(within=300)
        world.send(to, 7)
        world.send(to, 8)
        numbers = [number for sender, number in to.result(within=60) if sender]
        states = [each.state for each in letters_in(fickle.journal())]
        assert ["delivered"] * len(states) == states
        assert numbers == ([0, 1] if len(states) == 2 else [1])
        assert came in ("CancelledError", "NoneType")


@pytest.mark.parametrize("seed", SEEDS)
def test_of_several_that_are_cancelled_none_passes_another_and_one_not_begun_is_never_sent(
    seed: int,
) -> None:
    with simulate(seed=seed) as world:
        a, b = world.zone("a"), world.zone("b")
        world.run(5)
        to, _ = pair(world, a, b, after=1)
        to.rests()
        heal = world.partition([*a.anchors, *a.hosts], [*b.anchors, *b.hosts])
        plan = {"to": to.id, "zone": b.id}
        sender = world.launch(Capricious, a, memory={"plan": plan})
        world.run(9)
        heal()
        assert "sent" == sender.result(within=120)
        assert [[sender.id.hex(), 0], [sender.id.hex(), 2]] == to.result(within=60)
        assert ["delivered", "delivered"] == [each.state for each in letters_in(sender.journal())]
