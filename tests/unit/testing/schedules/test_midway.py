"""Processes that stop in the middle of what they say; and what hosts do without a lease, as the checker sees it."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.quorum.votes import Phase
from sojourn.testing import history
from sojourn.testing.checkers import leases
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.schedules.midway import stop_midway
from sojourn.testing.schedules.scene import Scene, scene
from sojourn.testing.schedules.simulator import Message, Node, Simulator


class Hearer(Node):
    """Writes down what it hears, and when."""

    def __init__(self, simulator: Simulator, name: str) -> None:
        super().__init__(simulator, name, "a")
        self.heard: list[tuple[float, object]] = []

    def receive(self, message: Message) -> None:
        self.heard.append((self.simulator.now_ms, message.body))


def said_to_four(stop_it: str) -> list[list[tuple[float, object]]]:
    """Return what each of four hears of one who says a word to all, and is stopped after two; and then another."""
    simulator = Simulator(0)
    speaker = Hearer(simulator, "speaker")
    hearers = [Hearer(simulator, f"hearer{index}") for index in range(4)]

    def say(word: str) -> None:
        for hearer in hearers:
            speaker.say(hearer, word)

    def stop() -> None:
        if stop_it == "crash":
            speaker.crash()
        else:
            speaker.held_until_ms = 100.0

    stop_midway(speaker, str, 2, stop, lambda: stop_it == "calm")
    speaker.after(1, lambda: say("one"))
    speaker.after(200, lambda: say("two"))
    while simulator.step():
        pass
    return [hearer.heard for hearer in hearers]


def test_who_crashes_in_the_middle_says_nothing_more() -> None:
    heard = said_to_four("crash")
    assert [["one"], ["one"], [], []] == [[word for _, word in each] for each in heard]


def test_who_stands_still_in_the_middle_says_the_rest_when_it_goes_on() -> None:
    heard = said_to_four("pause")
    assert [["one", "two"]] * 4 == [[word for _, word in each] for each in heard]
    assert [True, True, False, False] == [each[0][0] < 100 for each in heard]


def test_in_the_calm_nobody_is_stopped() -> None:
    heard = said_to_four("calm")
    assert [["one", "two"]] * 4 == [[word for _, word in each] for each in heard]
    assert all(each[0][0] < 100 for each in heard)


# A host that acts though another was bound


def bound_at(at_ms: float, stage: Scene) -> history.History:
    """Return a run in which a second host was bound at a time, and nothing else happened."""
    agent, zone = stage.agents[0], stage.zones["a"]
    happened = history.History()
    custody = replace(agent.head.record.custody, binding=2, host=zone.hosts[1].public)
    record = replace(agent.head.record, agent=agent.agent, custody=custody)
    made = replace(agent.head.transition, record=record, at_ms=agent.head.transition.at_ms + 1)
    assert made.kind is TransitionKind.BIND
    happened.proposals[made.digest] = replace(agent.binding, transition=made)
    slot = replace(agent.head.certificate.slot, version=2)
    certificate = zone.certificate(slot, made.digest, Phase.COMMIT)
    for part in certificate.votes:
        happened.cast.append(history.Cast(at_ms, certificate.vote(part), True))
    return happened


@pytest.mark.parametrize(
    ("at_ms", "fence", "is_honest", "count"),
    [
        (99, (0, 1), True, 0),
        (101, (0, 1), True, 1),
        (101, (0, 2), True, 0),
        (101, (0, 1), False, 0),
        (101, (1, 0), True, 0),
    ],
)
def test_p4_a_host_that_acts_after_another_was_bound_is_noticed(
    at_ms: float, fence: tuple[int, int], is_honest: bool, count: int
) -> None:
    stage = scene(4, 1, 0, 1)
    happened = bound_at(100, stage)
    agent = stage.agents[0].agent
    happened.acted.append(history.Acted(at_ms, agent, fence, is_honest))
    happened.acted.append(history.Acted(101, digest(b"another agent"), (0, 1), True))
    found = leases.check(Decisions(happened, stage.manifests))
    assert count == len(found)
    assert all(each.promise == "nothing outside a lease" for each in found)
