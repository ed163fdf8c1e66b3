"""Whole zones in virtual time: what may befall them, and what agents make of it."""

import time

import pytest
from msgspec.structs import replace

from sojourn.anchor.server import Anchor
from sojourn.core.agent.eligibility import Status
from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.errors import Refused
from sojourn.core.base.limits import CAPSULE_BYTES_MAX
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Reply, Request
from sojourn.runtime.store import Put
from sojourn.testing import (
    Broken,
    HostProcess,
    LaunchedAgent,
    Performed,
    Unmet,
    World,
    Zone,
    simulate,
)
from tests.unit.testing.workers import Listener, Payer, Walker

TURNS = 6


def pays(world: World, zone: Zone, turns: int = TURNS) -> LaunchedAgent:
    plan = {"turns": turns, "pace_s": 0.05}
    return world.launch(Payer, zone, memory={"plan": plan, "unsure": None, "done": None})


def walks(world: World, zone: Zone, *route: str) -> LaunchedAgent:
    return world.launch(Walker, zone, memory={"plan": {"route": list(route)}, "diary": None})


def numbers(agent: LaunchedAgent, name: str) -> list[int]:
    return [each.arguments[0] for each in agent.performed(name)]


def test_an_agent_runs_to_its_end_in_no_time() -> None:
    began = time.monotonic()
    with simulate(seed=1) as world:
        zone = world.zone("a")
        agent = pays(world, zone)
        assert agent.result() == []
        assert agent.memory("done") == list(range(TURNS))
        assert numbers(agent, "pay") == list(range(TURNS))
        assert agent.has_ended and agent.zone is zone and agent.host is zone.hosts[0]
        world.run(60)
        assert world.now > 60
    assert time.monotonic() - began < 60


def test_an_agent_moves_between_zones() -> None:
    with simulate(seed=2) as world:
        a, _ = world.zone("a"), world.zone("b")
        agent = walks(world, a, "b", "a", "b")
        assert ["b", "a", "b"] == agent.result()
        assert ["b", "a", "b"] == [each.zone for each in agent.performed("visit")]
        assert (3, "b") == (agent.record.custody.term, agent.zone.name)


@pytest.mark.parametrize("step", ["pay", "enter"])
@pytest.mark.parametrize("before", [True, False])
def test_a_host_dies_at_the_moment_of_an_effect(step: str, before: bool) -> None:
    with simulate(seed=3) as world:
        zone = world.zone("a", hosts=2)
        killed: list[Performed] = []

        def kill(now: Performed) -> None:
            if now.arguments[0] == 2 and not killed:
                killed.append(now)
                next(host for host in zone.hosts if host.name == now.process).kill()

        world.at_step(step, kill, before=before)
        agent = pays(world, zone)
        unsure = agent.result()
        times = numbers(agent, step).count(2)
        if step == "enter":  # repeated, under the same key
            keys = {each.key for each in agent.performed("enter") if each.arguments == (2,)}
            assert (1 if before else 2, 1, []) == (times, len(keys), unsure)
        else:  # never repeated: the agent is told that nobody knows
            assert (0 if before else 1, [2]) == (times, unsure)
        assert {zone.hosts[0].name, zone.hosts[1].name} == {p.process for p in world.performed}


def test_a_zone_stands_one_lost_anchor_of_four_and_waits_with_two() -> None:
    with simulate(seed=4) as world:
        zone = world.zone("a")
        agent = pays(world, zone, turns=500)
        zone.anchors[1].kill()
        agent.advances(by=3)
        zone.anchors[3].power_off()
        with pytest.raises(Unmet, match="agent 0 comes to version"):
            agent.advances(by=3, within=20)
        zone.anchors[1].start()
        agent.advances(by=3)


def test_a_host_that_is_not_heard_stops_and_another_takes_over() -> None:
    with simulate(seed=5) as world:
        zone = world.zone("a", hosts=2)
        agent = pays(world, zone, turns=500)
        agent.advances(by=4)
        first = agent.host
        assert first is not None
        world.partition(first, zone.anchors, one_way=True)  # it hears all, and nobody hears it
        agent.wait(lambda it: it.host not in (None, first), "is bound to the other host")
        bound_at = world.now
        agent.advances(by=4)
        late = [
            p for p in agent.performed() if p.process == first.name and p.at_ms > bound_at * 1000
        ]
        assert late == []


def test_a_host_that_slept_across_its_lease_does_not_act_when_it_wakes() -> None:
    with simulate(seed=6) as world:
        zone = world.zone("a", hosts=2)
        agent = pays(world, zone, turns=500)
        agent.advances(by=4)
        sleeper = agent.host
        assert sleeper is not None
        sleeper.pause()
        agent.wait(lambda it: it.host not in (None, sleeper), "is bound to the other host")
        agent.advances(by=4)
        before = len([p for p in agent.performed() if p.process == sleeper.name])
        sleeper.resume()
        world.run(3)
        assert before == len([p for p in agent.performed() if p.process == sleeper.name])
        agent.advances(by=4)


def cut_off_between_two_attempts(drift: float, seed: int = 7) -> None:
    """Let a host be cut off when its effect has failed once: it tries again only while its lease holds."""
    with simulate(seed=seed) as world:
        zone = world.zone("a", hosts=2, drift={"host/0": drift, "host/1": drift})

        def enter(number: int) -> int:
            here = next(h for h in zone.hosts if h.name == world.performed[-1].process)
            if number == 2 and here is agent.host and not cut:
                cut.append(here)
                world.partition(here, zone.anchors)
                raise OSError("nobody answers")
            return number

        cut: list[HostProcess] = []
        world.stand_in("enter", enter)
        agent = pays(world, zone, turns=6)
        agent.wait(lambda it: it.has_ended, "ends")
        world.run(20)
        assert agent.host is not cut[0]


def test_an_effect_is_not_tried_again_when_the_lease_is_over() -> None:
    cut_off_between_two_attempts(drift=0.0)


def test_a_clock_beyond_the_bound_shows_in_the_promises() -> None:
    """A host whose lease clock runs at a tenth of its rate acts beside its successor: most seeds find that."""

    def is_found(seed: int) -> bool:
        try:
            cut_off_between_two_attempts(drift=-0.9, seed=seed)
        except Broken as broken:
            return "had begun under" in str(broken)
        return False

    assert any(map(is_found, range(2, 7)))


def test_an_anchor_with_a_full_disk_ends_and_comes_back() -> None:
    with simulate(seed=8) as world:
        zone = world.zone("a")
        agent = pays(world, zone, turns=500)
        victim = zone.anchors[2]
        victim.disk.fill()
        agent.advances(by=3)
        world.run_until(lambda: not victim.runs, "the anchor without room ends")
        victim.start()
        world.run_until(lambda: not victim.runs, "it ends again")
        victim.disk.make_room()
        victim.start()
        zone.anchors[0].kill()  # so that the one that came back is needed
        agent.advances(by=5)
        assert victim.runs


def test_an_anchor_whose_disk_was_put_back_forks_nothing() -> None:
    with simulate(seed=9) as world:
        zone = world.zone("a")
        agent = pays(world, zone, turns=500)
        agent.advances(by=3)
        victim = zone.anchors[0]
        old = victim.disk.copy()
        agent.advances(by=10)
        victim.kill()
        victim.disk.put_back(old)
        victim.start()
        agent.advances(by=10)
        assert world.broken_promises() == []


def test_a_damaged_row_is_found_when_the_store_is_opened() -> None:
    with simulate(seed=10) as world:
        zone = world.zone("a")
        agent = pays(world, zone, turns=500)
        agent.advances(by=2)
        victim = zone.anchors[0]
        victim.disk.damage_row("dossier", agent.id)
        victim.kill()
        victim.start()
        world.run(3)
        assert not victim.runs
        assert any("is damaged" in str(each) for each in world.happenings)


def test_clocks_may_differ_within_the_bound_and_be_set() -> None:
    with simulate(seed=11) as world:
        drift = {"anchor/0": 1e-3, "anchor/1": -1e-3, "host/0": 1e-3, "host/1": -1e-3}
        zone = world.zone("a", hosts=2, drift=drift)
        agent = pays(world, zone, turns=20)
        agent.advances(by=3)
        zone.anchors[2].shift_wall_clock(-8)
        zone.hosts[1].shift_wall_clock(8)
        assert agent.result() == []


def test_an_agent_sleeps_without_a_host_and_wakes_for_time_and_messages() -> None:
    with simulate(seed=12) as world:
        zone = world.zone("a", hosts=2)
        agent = world.launch(Listener, zone)
        agent.rests()
        slept_from = world.now
        agent.wait(lambda it: it.status is Status.ACTIVE, "wakes after its time")
        assert world.now - slept_from > 5
        agent.rests()
        for host in zone.hosts:
            host.kill()
        world.run(30)
        agent.send({"approve": True})
        world.run(5)
        assert not agent.has_ended
        zone.hosts[1].start()
        assert agent.result() == {"approve": True}


def test_an_agent_whose_host_dies_in_its_sleep_is_woken_by_another() -> None:
    with simulate(seed=15) as world:
        zone = world.zone("a", hosts=2)
        agent = world.launch(Listener, zone)
        agent.rests()
        host = agent.host
        assert host is not None
        host.kill()
        agent.wait(lambda it: it.host not in (None, host), "wakes elsewhere", within=30)
        agent.rests()
        agent.send("well")
        assert agent.result() == "well"


class Mute(Anchor):
    """An anchor that takes every vote it is asked for with it."""

    async def decide(self, request: Request, sender: bytes) -> Reply:
        raise Refused("it will not say")


def test_an_assertion_at_a_step_fails_the_test() -> None:
    def fail() -> None:
        with simulate(seed=18) as world:

            def expect(now: Performed) -> None:
                assert now.arguments == (0,)

            world.at_step("enter", expect)
            agent = pays(world, world.zone("a", anchors=1), turns=2)
            agent.wait(lambda it: it.has_ended, "ends")

    with pytest.raises(Broken, match="at step enter failed"):
        fail()


def test_an_anchor_may_be_of_another_make() -> None:
    with simulate(seed=16) as world:
        zone = world.zone("a", make_anchor={3: Mute})
        agent = pays(world, zone, turns=3)
        assert agent.result() == []
        assert [0, 1, 2] == [anchor.index for anchor in world.honest_anchors()]
        assert zone.anchors[3].disk.rows("history") == []


def forge_history(zone: Zone, agent: LaunchedAgent) -> None:
    """Let an honest anchor remember another newest decision than its fellows."""
    store = zone.anchors[1].disk._store
    assert store is not None
    key, row = zone.anchors[1].disk.rows("history")[-1]
    certified = decode(row, Certified, what="history", limit=CAPSULE_BYTES_MAX)
    assert (agent.id, agent.version) == (certified.record.agent_id, certified.record.version)
    retired = replace(certified.record.eligibility, status=Status.RETIRED)
    record = replace(certified.record, eligibility=retired)
    forged = replace(certified, transition=replace(certified.transition, record=record))
    store._apply([Put("history", key, encode(forged))])


def test_a_fork_would_be_found() -> None:
    """What the checker is for: of one version, an honest anchor's history says something else."""

    def fork() -> None:
        with simulate(seed=17) as world:
            zone = world.zone("a")
            agent = pays(world, zone, turns=3)
            agent.result()
            world.run(2)  # until all anchors know of it
            forge_history(zone, agent)

    with pytest.raises(Broken, match="has 2 records of version"):
        fork()


def test_steps_are_stood_in_for() -> None:
    with simulate(seed=13) as world:
        world.stand_in("visit", lambda place: f"instead of {place}")
        agent = walks(world, world.zone("a", anchors=1), "a")
        assert ["instead of a"] == agent.result()


def test_a_failure_names_the_seed_and_shows_what_happened() -> None:
    def fail() -> None:
        with simulate(seed=14) as world:
            agent = pays(world, world.zone("a"))
            world.zones()[0].kill()
            agent.advances(by=5, within=3)

    with pytest.raises(Unmet) as caught:
        fail()
    notes = "\n".join(caught.value.__notes__)
    assert "seed 14, digest" in notes
    assert "SOJOURN_SEED=14 pytest" in notes
    assert "is killed" in notes
    assert "asks: Propose" in notes
