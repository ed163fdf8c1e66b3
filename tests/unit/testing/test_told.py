"""What one agent tells another binds that one, on whole zones: hosts die and agents move with it (§10.40)."""

import io
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.audit.deriving import derive
from sojourn.audit.evidence import Evidence, read_evidence
from sojourn.runtime.records import Intended, Line, Outcome, Received
from sojourn.testing import (
    Keep,
    LaunchedAgent,
    Rehearsal,
    World,
    Zone,
    rehearse,
    simulate,
    survives_kills,
)
from tests.unit.audit.scene import exported
from tests.unit.testing.hearers import Elder, Hearer, Teller
from tests.unit.testing.mortals import Mortal

WORD = Keep(values={"word": "xyzzy"}, labels=("secret",))
VAULT = Keep(values={}, labels=("secret",))
HOW = ["letter", "query", "update"]


def scene(
    world: World, zone: Zone, how: str, *, moves: bool = False
) -> tuple[LaunchedAgent, LaunchedAgent]:
    """Launch who tells and who is told."""
    plan: dict[str, Any] = {"how": how, "moves": moves}
    memory = {"vault": VAULT, "open": {}}
    if how == "letter":
        hearer = world.launch(Hearer, zone, memory={"plan": plan, **memory})
        return teller(world, zone, hearer), hearer
    told_by = teller(world, zone)
    plan["of"] = told_by.id
    return told_by, world.launch(Hearer, zone, memory={"plan": plan, **memory})


def teller(world: World, zone: Zone, *to: LaunchedAgent) -> LaunchedAgent:
    plan = {"to": [each.id for each in to]}
    memory = {"plan": plan, "vault": WORD, "open": {}}
    return world.launch(Teller, zone, memory=memory)


def judged(agent: LaunchedAgent) -> list[tuple[str, ...]]:
    """Return by which labels each payment was judged, in order."""
    return [r.labels for r in agent.journal() if isinstance(r, Intended) and r.step == "pay"]


def check(hearer: LaunchedAgent, *, moves: bool = False) -> None:
    """Check that the word is nowhere but in the vault, and that acts were judged by its label, while it was known."""
    assert {"turn": 1} == hearer.result(within=120)
    assert {"told": "xyzzy"} == hearer.memory("vault")
    assert [("secret",)] * (1 + moves) + [()] == judged(hearer)


@pytest.mark.parametrize("how", HOW)
def test_section_10_40_who_is_told_is_bound_until_it_has_forgotten(how: str) -> None:
    with simulate(seed=801) as world:
        _, hearer = scene(world, world.zone("a", anchors=1), how)
        check(hearer)


KILLS = {
    "it was told": lambda r: (
        isinstance(r, Received) or (isinstance(r, Outcome) and r.step == "ctx.query")
    ),
    "it may act": lambda r: isinstance(r, Intended) and r.step == "pay",
    "it has acted": lambda r: isinstance(r, Outcome) and r.step == "pay",
}


@pytest.mark.parametrize("when", [pytest.param(each, marks=pytest.mark.soak) for each in KILLS])
@pytest.mark.parametrize("how", HOW)
def test_section_10_40_it_is_bound_wherever_its_host_dies(how: str, when: str) -> None:
    with simulate(seed=802) as world:
        _, hearer = scene(world, world.zone("a", anchors=1, hosts=2), how)
        hearer.wait(lambda it: any(map(KILLS[when], it.journal())), when)
        assert hearer.host is not None
        hearer.host.kill()
        check(hearer)


@pytest.mark.parametrize(
    "how", ["query", *(pytest.param(e, marks=pytest.mark.soak) for e in HOW[::2])]
)
def test_section_10_40_it_is_bound_where_it_goes_and_dies_there(how: str) -> None:
    """Behind the move, where the code is replayed, and where the host is killed then."""
    with simulate(seed=803) as world:
        a, b = world.zone("a", anchors=1), world.zone("b", anchors=1, hosts=2)
        world.run(3)
        _, hearer = scene(world, a, how, moves=True)
        hearer.wait(lambda it: len(judged(it)) == 2, "acts where it went", within=120)
        assert hearer.zone.name == b.name
        assert hearer.host is not None
        hearer.host.kill()
        check(hearer, moves=True)


def test_section_10_40_what_comes_back_unread_has_its_labels_still() -> None:
    """The sender had forgotten it: word of it would tell it again."""
    with simulate(seed=804) as world:
        zone = world.zone("a", anchors=1)
        plan = {"count": 0, "pause": 10**6, "moves": False, "lives": True}
        gone = world.launch(Mortal, zone, memory={"plan": plan})
        gone.rests()
        sender = teller(world, zone, gone)
        sender.wait(lambda it: any(isinstance(r, Outcome) for r in it.journal()), "writes")
        world.order(gone, "retire")
        sender.wait(lambda it: "unread" in it.memory("vault"), "is told", within=120)
        assert {} == sender.memory("open")


@pytest.mark.parametrize("how", ["letter", "query"])
def test_section_10_40_a_capsule_shows_an_act_that_was_judged_by_fewer_labels(how: str) -> None:
    with simulate(seed=805) as world:
        _, hearer = scene(world, world.zone("a", anchors=1), how)
        check(hearer)
        data = exported(world, hearer, with_history=True)
    evidence = read_evidence(io.BytesIO(data))
    assert not derive(evidence).findings
    fields = {name: getattr(evidence, name) for name in Evidence.__slots__}
    fields["journal"] = tuple(
        replace(r, labels=()) if isinstance(r, Intended) and r.step == "pay" else r
        for r in evidence.journal
    )
    lying = derive(Evidence(**fields))
    (finding,) = [each for each in lying.findings if "fewer labels" in each.what]
    acts = [each.line for each in lying.actions if each.step == "pay"]
    assert (acts[0],) == finding.proof.lines


def test_section_10_40_a_child_is_bound_by_what_its_parent_tells_it_in_a_rehearsal_too() -> None:
    def check_family(rehearsal: Rehearsal) -> None:
        (child,) = rehearsal.children
        assert "denied xyzzy ('secret',)" == child.result()

    survives_kills(Elder, memory={"vault": WORD}, check=check_family, at=range(0, 14, 3))


def test_section_10_40_a_call_with_labels_comes_where_the_code_receives() -> None:
    rehearsal = rehearse(Elder, "Drowsy", memory={"vault": WORD}).run()
    (child,) = rehearsal.children
    assert {"slept": True} == child.result()
    (line,) = [r for r in child.journal() if isinstance(r, Line)]
    assert "compartment 'open' may not hold data labelled secret" in line.fields["refused"]
