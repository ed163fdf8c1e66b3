"""Anchors that keep the newest versions of memory alone: on whole zones, while agents write, move and are resumed."""

from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest

from sojourn.anchor import collecting, loose, tidying
from sojourn.anchor.loose import roots_of
from sojourn.anchor.server import Anchor
from sojourn.anchor.shelf import load_row
from sojourn.core.agent.memory.blocks import links
from sojourn.core.protocol.dossier import Dossier
from sojourn.testing import Keep, LaunchedAgent, World, Zone, simulate
from sojourn.testing.processes import AnchorProcess
from tests.unit.testing.librarians import Reviser
from tests.unit.testing.test_memory import kill_at

TURNS, STEPS = 6, 6


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let anchors collect every second, while everything goes on, and what is loose go a second later."""
    monkeypatch.setattr(collecting, "_FIRST_S", 1.0)
    monkeypatch.setattr(collecting, "_EVERY_S", 1.0)
    monkeypatch.setattr(collecting, "_AT_ONCE", 1)
    monkeypatch.setattr(collecting, "_BETWEEN_S", 0.01)
    monkeypatch.setattr(tidying, "_EVERY_MS", 500)
    monkeypatch.setattr(loose, "LOOSE_KEPT_MS", 1_000)


def zone(world: World, name: str, versions: int | None = 1, anchors: int = 1) -> Zone:
    make = {index: partial(Anchor, keep_versions=versions) for index in range(anchors)}
    return world.zone(name, anchors=anchors, hosts=2, make_anchor=make)


def reviser(world: World, home: Zone, moves: dict[str, str] | None = None) -> LaunchedAgent:
    plan = {"turns": TURNS, "steps": STEPS, "moves": moves or {}}
    memory = {"plan": plan, "draft": Keep(values={}, residency=("EU",))}
    return world.launch(Reviser, home, memory=memory)


def stored(anchor: AnchorProcess) -> dict[bytes, bytes]:
    return {named: block.data for named, block in anchor.disk.copy().blocks.items()}


def check_whole(zone: Zone) -> None:
    """Check that whatever is stored has all that it links to, and that a quorum has what the dossiers name.

    An anchor that was away knows the newest version by its certificate, and is given the memory when it votes.
    """
    lacking: Counter[bytes] = Counter()
    for anchor in zone.anchors:
        blocks = stored(anchor)
        for named, data in blocks.items():
            for below in links(data):
                assert below in blocks, f"{named.hex()} links to {below.hex()}, which was collected"
        for _, row in anchor.disk.rows("dossier"):
            lacking.update(roots_of(load_row(row, Dossier)) - blocks.keys())
    most = (len(zone.anchors) - 1) // 3
    assert all(count <= most for count in lacking.values()), "what dossiers name was collected"


def check_revised(world: World, agent: LaunchedAgent) -> None:
    last = (TURNS - 1 + STEPS - 1) % 3
    assert ["abc"[(last - 1) % 3], "abc"[last]] == agent.result(within=300)
    world.run(10)
    for each in world.zones():
        check_whole(each)


def sizes(versions: int | None) -> int:
    with simulate(seed=41) as world:
        home = zone(world, "home", versions)
        agent = reviser(world, home)
        check_revised(world, agent)
        return len(stored(home.anchors[0]))


def test_what_only_old_versions_name_goes_and_the_rest_stays() -> None:
    everything, newest, some = (sizes(versions) for versions in (None, 1, 8))
    assert newest < some < everything
    assert newest < everything / 4


def check_through_a_kill(number: int, *, before: bool, moving: bool, anchors: int = 1) -> None:
    with simulate(seed=42) as world:
        zones = [zone(world, "a", anchors=anchors)]
        if moving:
            zones.append(zone(world, "b", anchors=anchors))
        killed = kill_at(world, zones, "think", number, before=before)
        agent = reviser(world, zones[0], {"2": "b", "4": "a"} if moving else {})
        check_revised(world, agent)
        assert killed


@pytest.mark.parametrize(("number", "before", "moving"), [(8, True, False), (7, False, True)])
def test_a_host_dies_while_old_versions_are_collected(
    number: int, before: bool, moving: bool
) -> None:
    check_through_a_kill(number, before=before, moving=moving)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(TURNS + STEPS - 1))
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("moving", [False, True])
def test_a_host_dies_anywhere_while_old_versions_are_collected(
    number: int, before: bool, moving: bool
) -> None:
    check_through_a_kill(number, before=before, moving=moving, anchors=4)


def anchors_in_turn(home: Zone) -> Iterator[AnchorProcess]:
    while True:
        yield from home.anchors


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(12))
def test_anchors_die_while_they_collect(seed: int) -> None:
    with simulate(seed=100 + seed) as world:
        home = zone(world, "home", anchors=4)
        agent = reviser(world, home)
        for number, anchor in zip(range(12), anchors_in_turn(home), strict=False):
            world.run(0.7 + number % 5 / 7)
            anchor.kill()
            world.run(0.4)
            anchor.start()
        check_revised(world, agent)


def test_an_anchor_dies_while_it_collects_and_collects_when_it_is_back() -> None:
    with simulate(seed=43) as world:
        home = zone(world, "home")
        agent = reviser(world, home)
        for _ in range(3):
            world.run(2.3)
            home.anchors[0].kill()
            home.anchors[0].start()
        check_revised(world, agent)
        assert len(stored(home.anchors[0])) < sizes(None) / 3
