"""Secrets on whole zones, in virtual time: through kills and moves no stored or sent byte holds one (§10.28)."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sojourn.testing import Faults, LaunchedAgent, Performed, World, Zone, simulate
from tests.unit.testing.keepers import Keeper

CANARY = "canary-7Hq2/0123456789"
TURNS = 4


@contextmanager
def watched(world: World) -> Iterator[None]:
    """Look at all that is sent, and in the end at all that is stored, said and logged."""
    sent: list[str] = []
    take_down = world.trace.sent

    def look(source: str, target: str, data: bytes) -> None:
        if CANARY.encode() in data:
            sent.append(f"{source} to {target}")
        take_down(source, target, data)

    world.network.on_sent = look
    yield
    assert [] == sent
    looked = 0
    for anchor in world.anchors():
        disk = anchor.disk.copy()
        rows = (row for table in disk.rows.values() for pair in table.items() for row in pair)
        for data in (*rows, *(block.data for block in disk.blocks.values())):
            assert CANARY.encode() not in data, anchor.name
            looked += 1
    assert 100 < looked
    assert CANARY not in repr(world.happenings) + repr(world.complaints)


def keeps(world: World, zone: Zone, **moves: str) -> LaunchedAgent:
    for each in world.zones():
        for host in each.hosts:
            host.secrets["bank"] = CANARY
    plan = {"turns": TURNS, "moves": {name[1:]: to for name, to in moves.items()}}
    return world.launch(Keeper, zone, memory={"plan": plan, "said": None})


def check_said(said: list[str], *, killed: bool = False) -> None:
    assert 2 * TURNS == len(said)
    assert [f"read {number + len(CANARY)}" for number in range(TURNS)] == said[::2]
    for number, told in enumerate(said[1::2]):
        is_refused = "contains secret 'bank'" in told
        is_redacted = "bad key '[secret bank]'" in told
        assert (is_redacted if number % 2 else is_refused) or killed, told


def test_no_byte_that_is_stored_or_sent_holds_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    with simulate(seed=21) as world:
        zone = world.zone("a", hosts=2)
        world.zone("b", hosts=1)
        with watched(world):
            agent = keeps(world, zone, _2="b")
            check_said(agent.result())
            assert "b" == agent.zone.name
    assert CANARY in capsys.readouterr().out  # so there was something to find


def check_through_a_kill(step: str, number: int, *, before: bool) -> None:
    with simulate(seed=22) as world:
        zones = [world.zone("a", hosts=2), world.zone("b", hosts=2)]
        hosts = {host.name: host for zone in zones for host in zone.hosts}
        struck: list[str] = []

        def strike(now: Performed) -> None:
            struck.append(now.process)
            if len(struck) == number + 1:
                hosts[now.process].kill()

        world.at_step(step, strike, before=before)
        with watched(world):
            agent = keeps(world, zones[0], _2="b")
            said = agent.result(within=300)
            assert number < len(struck)
            reads = {each.key for each in agent.performed("read")}
            assert TURNS == len(reads)
            check_said(said, killed=True)


POINTS = [
    (step, n, before) for step in ("read", "tell") for n in range(2) for before in (True, False)
]


@pytest.mark.parametrize(("step", "number", "before"), POINTS[::3])
def test_a_host_dies_with_a_secret_in_hand(step: str, number: int, before: bool) -> None:
    check_through_a_kill(step, number, before=before)


@pytest.mark.soak
@pytest.mark.parametrize(("step", "number", "before"), POINTS)
def test_a_host_dies_anywhere_with_a_secret_in_hand(step: str, number: int, before: bool) -> None:
    check_through_a_kill(step, number, before=before)


def test_the_gate_is_asked_about_secrets_by_name() -> None:
    policy = """
        permit (principal, action, resource);
        forbid (principal, action, resource) when { context.secrets.contains("bank") };
    """
    with simulate(seed=23) as world:
        zone = world.zone("a", policy=policy)
        with watched(world):
            said = keeps(world, zone).result()
        assert all(each.startswith("Denied: ") for each in said)
        assert not world.performed


def test_a_host_that_has_no_such_secret_denies_it_at_its_gate() -> None:
    with simulate(seed=24) as world:
        zone = world.zone("a")
        agent = keeps(world, zone)
        zone.hosts[0].secrets.clear()
        said = agent.result()
        assert {
            "Denied: this host has no secret 'bank'. Whoever runs the host may add it to secrets.toml"
        } == set(said)
        assert not world.performed


def storm(seed: int) -> None:
    with simulate(seed=seed, faults=Faults.storm()) as world:
        near, _ = world.zone("near", hosts=2), world.zone("far", anchors=1, hosts=2)
        with watched(world):
            agent = keeps(world, near, _1="far", _3="near")
            world.run(seconds=5)
            world.calm()
            check_said(agent.result(), killed=True)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(200, 240))
def test_secrets_in_many_storms(seed: int) -> None:
    storm(seed)
