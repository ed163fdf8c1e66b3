"""Senders are told of what was not read when its receiver ended (protocol §10.38), in virtual time."""

from typing import Any

import pytest

from sojourn.core.base.digests import cid_text
from sojourn.core.protocol.exchange import AskMessages, Messages
from sojourn.runtime.clients.zone_client import ZoneClient
from sojourn.runtime.records import Line, Received
from sojourn.testing import LaunchedAgent, World, Zone, simulate
from tests.unit.testing.correspondents import Writer
from tests.unit.testing.mortals import Bereft, Hopeful, Mortal

COUNT = 3


def mortal(world: World, zone: Zone, count: int, pause: float = 3, **plan: bool) -> LaunchedAgent:
    told = {"count": count, "pause": pause, "moves": False, "lives": False, **plan}
    return world.launch(Mortal, zone, memory={"plan": told})


def bereft(
    world: World, zone: Zone, to: LaunchedAgent, at: Zone, *, moves: bool = False
) -> LaunchedAgent:
    plan = {"to": to.id, "zone": at.id, "count": COUNT, "moves": moves}
    return world.launch(Bereft, zone, memory={"plan": plan, "dead": []})


def mail_at(zone: Zone, agent: LaunchedAgent) -> int:
    """Return how many messages wait for an agent at the anchors of a zone."""
    client = ZoneClient(zone.manifest, agent._world._person.pool)
    ask = AskMessages(agent=agent.id)
    told = agent._world.perform(lambda: client.ask_all(ask, Messages, timeout_s=3), "look")
    return sum(len(reply.messages) for reply in told.values())


def dead(agent: LaunchedAgent) -> list[Any]:
    return list(agent.memory("dead"))


def check(world: World, sender: LaunchedAgent, receiver: LaunchedAgent, first: int) -> None:
    """Check that the sender is told of every number from `first` on, once and in any order; and of no other."""
    sender.wait(lambda it: len(dead(it)) == COUNT - first, "is told of all", within=120)
    world.run(10)
    world.send(sender, "enough")
    told = sender.result(within=60)
    assert sorted(told) == [[cid_text(receiver.id), n, f"k{n}"] for n in range(first, COUNT)]


@pytest.mark.parametrize("taken", [0, 1])
def test_section_10_38_what_was_not_read_when_run_ended_is_told_to_its_sender(taken: int) -> None:
    with simulate(seed=701) as world:
        a, b = world.zone("a"), world.zone("b", anchors=1)
        world.run(3)
        to = mortal(world, a, taken)
        sender = bereft(world, b, to, a)
        assert list(range(taken)) == to.result(within=60)
        check(world, sender, to, taken)
        waiting = [mail_at(zone, each) for zone in (a, b) for each in (to, sender)]
        assert [0] * len(waiting) == waiting


def test_section_10_38_an_anchor_that_missed_what_was_read_tells_nobody() -> None:
    """It was down from before the letters were read until the end, and keeps them all still."""
    with simulate(seed=706) as world:
        a, b = world.zone("a"), world.zone("b", anchors=1)
        world.run(3)
        to = mortal(world, a, COUNT, pause=6)
        sender = bereft(world, b, to, a)
        sender.wait(lambda it: it.record.eligibility.wake, "has written")
        a.anchors[0].kill()
        assert list(range(COUNT)) == to.result(within=60)
        a.anchors[0].start()
        world.run(10)
        assert [] == dead(sender)


def test_section_10_38_so_is_what_an_order_ends() -> None:
    with simulate(seed=702) as world:
        a = world.zone("a", anchors=1)
        to = mortal(world, a, 1, lives=True)
        sender = bereft(world, a, to, a)
        sender.wait(lambda it: it.record.eligibility.wake, "waits for word")
        to.wait(lambda it: any(isinstance(r, Received) for r in it.journal()), "reads one")
        to.rests()
        world.order(to, "retire")
        check(world, sender, to, 1)


@pytest.mark.parametrize("seed", [703, pytest.param(713, marks=pytest.mark.soak)])
def test_section_10_38_receiver_and_sender_have_moved_and_hosts_die(seed: int) -> None:
    """The receiver ends elsewhere than it was written to, and the sender is elsewhere than it wrote from."""
    with simulate(seed=seed) as world:
        a, b, c = world.zone("a"), world.zone("b"), world.zone("c", anchors=1, hosts=2)
        world.run(3)
        to = mortal(world, a, 1, pause=6, moves=True)
        sender = bereft(world, a, to, a, moves=True)
        assert [0] == to.result(within=60)
        assert (b, c) == (to.zone, sender.zone)
        b.anchors[0].kill()
        sender.wait(lambda it: any(has_word(r) for r in it.journal()), "hears of one", within=60)
        assert sender.host is not None
        sender.host.kill()
        b.anchors[0].start()
        check(world, sender, to, 1)


def has_word(record: object) -> bool:
    return isinstance(record, Received) and record.mark is not None and record.mark.unread


@pytest.mark.soak
@pytest.mark.parametrize("number", range(4))
def test_section_10_38_anchors_die_while_they_tell(number: int) -> None:
    with simulate(seed=720 + number) as world:
        a, b = world.zone("a"), world.zone("b")
        world.run(3)
        to = mortal(world, a, 0)
        sender = bereft(world, b, to, a)
        to.result(within=60)
        a.anchors[number].kill()
        world.run(1)
        b.anchors[number].kill()
        a.anchors[number].start()
        world.run(5)
        b.anchors[number].start()
        check(world, sender, to, 0)


@pytest.mark.parametrize("is_late", [False, True])
def test_section_10_38_a_request_is_over_at_once_when_who_was_asked_has_ended(
    is_late: bool,
) -> None:
    with simulate(seed=704) as world:
        a, b = world.zone("a", anchors=1), world.zone("b", anchors=1)
        world.run(3)
        to = mortal(world, a, 0, pause=0.1 if is_late else 5)
        if is_late:
            to.result()
        plan = {"to": to.id, "zone": a.id}
        asker = world.launch(Hopeful, b, memory={"plan": plan})
        problem = asker.result(within=30)
        assert problem.startswith(f"{cid_text(to.id)} has ended, and did not read ")


def test_section_10_38_by_default_it_is_a_line_of_the_log_and_no_message() -> None:
    """Who wrote and takes no messages is told nothing; its own end lets go of the word."""
    with simulate(seed=705) as world:
        a = world.zone("a", anchors=1)
        to = mortal(world, a, 0, pause=0.1)
        to.result()
        plan = {"count": 1, "moves": {}, "to": to.id}
        writer = world.launch(Writer, a, memory={"plan": plan, "said": None})
        assert ["sent"] == writer.result()
        world.run(10)
        assert not any(isinstance(record, Line) for record in writer.journal())
