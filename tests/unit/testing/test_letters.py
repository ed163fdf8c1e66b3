"""Messages between agents on whole zones, in virtual time: hosts that die and agents that move in their midst."""

from collections.abc import Callable
from typing import Any

import pytest

from sojourn.core.base.digests import cid_text
from sojourn.runtime.records import Intended, Outcome, Received
from sojourn.testing import LaunchedAgent, Rehearsal, World, Zone, simulate, survives_kills
from tests.unit.testing.correspondents import Parent, Reader, Writer

COUNT = 4


def reader(world: World, zone: Zone, count: int = COUNT, **plan: Any) -> LaunchedAgent:
    memory = {"plan": {"count": count, "moves": {}, **plan}, "got": None}
    return world.launch(Reader, zone, memory=memory)


def writer(
    world: World,
    zone: Zone,
    to: LaunchedAgent,
    count: int = COUNT,
    *,
    at: Zone | None = None,
    **plan: Any,
) -> LaunchedAgent:
    """Launch who writes to an agent, and knows that it is or was `at` a zone."""
    known = {} if at is None else {"zone": at.id}
    told = {"count": count, "moves": {}, "to": to.id, **known, **plan}
    return world.launch(Writer, zone, memory={"plan": told, "said": None})


def check_correspondence(sent: LaunchedAgent, got: LaunchedAgent, count: int = COUNT) -> None:
    """Check that all was sent, and each taken once and in order."""
    assert ["sent"] * count == sent.result(within=300)
    assert [[sent.id.hex(), number] for number in range(count)] == got.result(within=300)


def test_section_10_26_what_an_agent_sends_another_takes_once_and_in_order() -> None:
    with simulate(seed=101) as world:
        zone = world.zone("a")
        to = reader(world, zone)
        check_correspondence(writer(world, zone, to), to)


def test_section_10_26_a_message_finds_its_receiver_in_another_zone_and_after_moves() -> None:
    """Sender and receiver go elsewhere between two messages, and the sender has never been where the other is."""
    with simulate(seed=102) as world:
        a, b, _ = (world.zone(name) for name in "abc")
        world.run(5)
        to = reader(world, b, moves={"1": "c", "3": "a"})
        sent = writer(world, a, to, at=b, moves={"2": "c", "3": "b"})
        check_correspondence(sent, to)
        assert (b, a) == (sent.zone, to.zone)


def test_section_10_26_what_waits_for_an_agent_moves_on_with_it_and_proves_its_sender() -> None:
    """The letters are kept where their receiver was, whose zone knew the sender itself: the next one does not."""
    with simulate(seed=103) as world:
        a = world.zone("a")
        world.zone("b")
        to = reader(world, a, moves={"2": "b"}, pause=5)
        sent = writer(world, a, to)
        check_correspondence(sent, to)
        assert "b" == to.zone.name


def test_section_10_26_children_and_parents_know_each_other() -> None:
    with simulate(seed=104) as world:
        parent = world.launch(Parent, world.zone("a"))
        assert ["hello from a child", "thanks"] == parent.result()


def is_between(agent: LaunchedAgent, number: int) -> bool:
    """Tell whether the intent of message `number` is final, and what came of it is not."""
    intents = outcomes = 0
    for record in agent.journal():
        intents += isinstance(record, Intended)
        outcomes += isinstance(record, Outcome) and record.step == "ctx.send"
    return intents == number + 1 and outcomes == number


def has_received(agent: LaunchedAgent, number: int) -> bool:
    return sum(isinstance(record, Received) for record in agent.journal()) == number + 1


KILLS: dict[str, tuple[bool, Callable[[LaunchedAgent, int], bool]]] = {
    "the sender's host between intent and outcome": (True, is_between),
    "the receiver's host when a message was consumed": (False, has_received),
}


@pytest.mark.parametrize("where", KILLS)
@pytest.mark.parametrize("moves", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_section_10_26_hosts_die_and_each_message_is_taken_once(where: str, moves: bool) -> None:
    of_sender, is_due = KILLS[where]
    with simulate(seed=105) as world:
        a, b = world.zone("a", hosts=2), world.zone("b", hosts=2)
        to = reader(world, b, moves={"2": "a"} if moves else {})
        sent = writer(world, a, to, at=b, moves={"2": "b"} if moves else {})
        victim = sent if of_sender else to
        killed = []
        for number in (0, 2):
            victim.wait(lambda it, n=number: is_due(it, n), f"comes to message {number}")
            assert victim.host is not None
            victim.host.kill()
            for host in killed:
                host.start()
            killed.append(victim.host)
        check_correspondence(sent, to)


def test_section_10_26_all_hosts_of_the_receiver_are_down_when_it_is_written_to() -> None:
    with simulate(seed=106) as world:
        a, b = world.zone("a"), world.zone("b")
        to = reader(world, b, pause=1)
        to.rests()
        b.hosts[0].kill()
        sent = writer(world, a, to, at=b)
        assert ["sent"] * COUNT == sent.result()
        b.hosts[0].start()
        check_correspondence(sent, to)


def test_section_10_26_what_will_never_be_delivered_is_told_to_the_sender() -> None:
    with simulate(seed=107) as world:
        a, b = world.zone("a"), world.zone("b")
        gone, far = reader(world, b), reader(world, b)
        gone.rests()
        world.order(gone, "retire")
        unread = writer(world, a, gone, count=1, at=b)
        assert ["Undeliverable"] == unread.result()
        lost = writer(world, a, far, count=1)
        assert ["Undeliverable"] == lost.result()
        problems = [r.failure for r in unread.journal() + lost.journal() if isinstance(r, Outcome)]
        told = [failure.message for failure in problems if failure is not None]
        assert "the agent written to has ended, as b says" == told[0]
        assert told[1].startswith("no zone asked has ever held agent bafy")
        for anchor in b.anchors:
            anchor.kill()
        late = writer(world, a, far, count=1, at=b, timeout=30)
        assert ["Undeliverable"] == late.result()


def test_section_10_26_under_one_key_an_agent_is_written_to_once() -> None:
    with simulate(seed=108) as world:
        a = world.zone("a", hosts=2)
        to = reader(world, a, count=2)
        sent = writer(world, a, to, key="greeting")
        assert ["sent"] * COUNT == sent.result()
        world.send(to, 7)
        assert [[sent.id.hex(), 0], ["", 7]] == to.result()


def test_section_10_26_policies_say_who_may_write_to_whom() -> None:
    """Denied is journaled, before the code is told."""
    with simulate(seed=109) as world:
        zone = world.zone("a")
        friend, stranger = reader(world, zone, count=1), reader(world, zone, count=1)
        policy = f"""
            permit (principal, action, resource) unless {{ action == Action::"message" }};
            permit (principal, action == Action::"message", resource)
            when {{ context has counterpart && context.counterpart == "{cid_text(friend.id)}" }};
        """
        told = {"count": 1, "moves": {}, "to": friend.id}
        welcome = world.launch(Writer, zone, memory={"plan": told, "said": None}, policy=policy)
        told = {**told, "to": stranger.id}
        denied = world.launch(Writer, zone, memory={"plan": told, "said": None}, policy=policy)
        assert (["sent"], ["Denied"]) == (welcome.result(), denied.result())
        assert [[welcome.id.hex(), 0]] == friend.result()


def test_a_message_of_the_wrong_type_is_an_error_that_says_so() -> None:
    with simulate(seed=110) as world:
        to = reader(world, world.zone("a"), count=2)
        world.send(to, "no number")
        world.send(to, 2)
        assert ["wrong", 2] == [taken[1] for taken in to.result()]


def test_an_agent_that_is_rehearsed_writes_once_wherever_it_is_killed() -> None:
    to = bytes(range(32))
    plan = {"count": 2, "moves": {}, "to": to}

    def check(rehearsal: Rehearsal) -> None:
        assert ["sent", "sent"] == rehearsal.result()
        assert [(to, 0), (to, 1)] == [(said.to, said.value) for said in rehearsal.sent]

    survives_kills(Writer, check=check, memory={"plan": plan, "said": None})
