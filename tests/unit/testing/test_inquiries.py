"""Agents whose own code asks people, in whole worlds: answered whatever happens to hosts, and wherever they are."""

from typing import Any

import pytest

from sojourn.core.agent.eligibility import Status
from sojourn.core.base.encoding import digest_of
from sojourn.runtime.records import Answered, Inquired, Said, Withdrawn
from sojourn.testing import Approvers, LaunchedAgent, World, Zone, person_key, simulate
from tests.unit.testing.askers import Asker, Chooser, Curious, Doubter, Emigrant, Mistaken

DESK = Approvers(
    keys=(person_key("ann"), person_key("ben")),
    lasts_ms=60_000,
    escalate_to="risk",
    after_ms=20_000,
)
RISK = Approvers(keys=(person_key("cat"),), lasts_ms=60_000)
PAIR = Approvers(
    keys=(person_key("ann"), person_key("ben"), person_key("cat")), needed=2, lasts_ms=120_000
)


def asks(
    world: World,
    zone: Zone,
    *questions: str,
    form: type[Any] = Asker,
    of: str | list[str] = "desk",
    timeout_s: float | None = None,
    **plan: Any,
) -> LaunchedAgent:
    asked = {"questions": list(questions or ("Buy?",)), "of": of, "timeout_s": timeout_s}
    return world.launch(
        form,
        zone,
        memory={"plan": {**asked, **plan}, "told": None},
        approvers={"desk": DESK, "risk": RISK, "pair": PAIR},
    )


def waiting_at(zone: Zone) -> int:
    """How many answers wait at the anchors of a zone."""
    return sum(len(list(anchor.disk.rows("answer"))) for anchor in zone.anchors)


def test_section_10_it_rests_until_somebody_answers_however_long_that_takes() -> None:
    with simulate(seed=1) as world:
        zone = world.zone("a", hosts=2)
        agent = asks(world, zone, "Buy?", timeout_s=30 * 86_400)
        inquiry = agent.inquires()
        assert ("Buy?", agent.id) == (inquiry.question, inquiry.agent)
        agent.rests()
        version = agent.version
        world.run(90)
        assert version == agent.version, "nobody looks after it while it waits"
        agent.say("no, hold", by="ben")
        assert ["no, hold"] == agent.result()
        world.run(10)
        assert waiting_at(zone) < 2, "dropped, but where it came when it was over"
        assert not world.broken_promises()


def test_section_10_the_journal_shows_who_answered_under_their_seal() -> None:
    with simulate(seed=2) as world:
        agent = asks(world, world.zone("a"))
        agent.say("yes", by="ann")
        agent.result()
        (inquired,) = (each for each in agent.journal() if isinstance(each, Inquired))
        (answered,) = (each for each in agent.journal() if isinstance(each, Answered))
        assert answered.answer is not None
        answered.answer.check()
        assert person_key("ann") == answered.answer.answer.by
        assert digest_of(inquired.inquiry) == answered.inquiry == answered.answer.answer.inquiry


def test_section_10_answers_have_types() -> None:
    with simulate(seed=3) as world:
        agent = asks(world, world.zone("a"), form=Chooser)
        for value in (True, "slow", "later", {"what": "gold", "count": 3}):
            asked = agent.inquires()
            agent.say(value, by="ann")
            agent.wait(lambda it, asked=asked: asked not in it.inquiries(), "takes the answer")  # type: ignore[misc]
        assert [True, "slow", "later", "gold", 3] == agent.result()


def test_section_10_what_does_not_fit_or_comes_from_a_stranger_is_passed_over() -> None:
    with simulate(seed=4) as world:
        zone = world.zone("a")
        agent = asks(world, zone, form=Chooser)
        asked = agent.inquires()
        for by, value in (("eve", True), ("cat", True), ("ann", "yes"), ("ann", 1)):
            world.say(agent, asked, by, value)
        world.run(30)
        assert [asked] == agent.inquiries()
        agent.say(False, by="ben")
        agent.wait(lambda agent: agent.inquiries() not in ([], [asked]), "goes on")
        (answered,) = (each for each in agent.journal() if isinstance(each, Answered))
        assert answered.answer is not None and person_key("ben") == answered.answer.answer.by
        assert not [each for each in agent.journal() if isinstance(each, Said)], (
            "strangers say nothing"
        )
        world.run(10)
        assert waiting_at(zone) < 2


def test_section_10_a_group_escalates_and_its_time_ends() -> None:
    with simulate(seed=5) as world:
        agent = asks(world, world.zone("a"), "Buy?", "Sell?")
        agent.inquires()
        world.run(25)
        agent.say("yes", by="cat")
        agent.wait(lambda agent: len(agent.memory("told")) == 1, "was told")
        agent.inquires()
        world.run(61)
        assert ["yes", "nobody: Sell?"] == agent.result()


def test_section_10_keys_may_be_named_and_wait_for_ever() -> None:
    with simulate(seed=6) as world:
        agent = asks(world, world.zone("a"), of=[person_key("eve").hex()])
        assert agent.inquires().expires_ms is None
        world.run(120)
        agent.say("at last", by="eve")
        assert ["at last"] == agent.result()


def test_section_10_answered_while_no_host_is_up() -> None:
    with simulate(seed=7) as world:
        zone = world.zone("a", hosts=1)
        agent = asks(world, zone, timeout_s=20)
        agent.inquires()
        agent.rests()
        zone.hosts[0].kill()
        agent.say("yes", by="ann")
        for anchor in zone.anchors:
            anchor.kill()
            anchor.start()
        world.run(30)
        zone.hosts[0].start()
        assert ["yes"] == agent.result(), "it was given in time"
        assert not world.broken_promises()


@pytest.mark.parametrize("after", [1, 4])
def test_section_10_a_host_that_dies_meanwhile_changes_nothing(after: float) -> None:
    with simulate(seed=8) as world:
        zone = world.zone("a", hosts=2)
        agent = asks(world, zone, "Buy?", "Sell?")
        asked = agent.inquires()
        world.run(after)
        first = agent.host
        assert first is not None
        first.kill()
        agent.say("yes", by="ann")
        agent.wait(lambda agent: agent.inquiries() not in ([], [asked]), "asks the next")
        assert agent.host is not None
        agent.host.kill()
        first.start()
        agent.say("no", by="ben")
        assert ["yes", "no"] == agent.result()
        assert not world.broken_promises()


def test_section_10_messages_that_nobody_takes_do_not_wake_it() -> None:
    with simulate(seed=9) as world:
        agent = asks(world, world.zone("a"))
        agent.inquires()
        agent.rests()
        version = agent.version
        agent.send("hello")
        world.run(20)
        assert (version, Status.DORMANT) == (agent.version, agent.status)
        agent.say("yes", by="ann")
        assert ["yes"] == agent.result()


def test_section_10_it_moves_while_people_think_and_the_answer_follows() -> None:
    for listens in (False, True):
        with simulate(seed=10) as world:
            a, b, c = (world.zone(name) for name in "abc")
            agent = asks(world, a, form=Emigrant, route=["b", "c"], listens=listens)
            asked = agent.inquires()
            agent.arrives(b)
            world.say(agent, asked, "ann", True)
            agent.arrives(c)
            if listens:
                agent.send("here?")
            assert [True, "here?" if listens else None] == agent.result()
            assert 1 == len([each for each in agent.journal() if isinstance(each, Inquired)])
            assert not world.broken_promises()


def test_section_10_an_answer_given_to_a_zone_that_it_left_is_forwarded() -> None:
    with simulate(seed=11) as world:
        a, b = world.zone("a"), world.zone("b")
        agent = asks(world, a, form=Emigrant, route=["b"], listens=False)
        agent.inquires()
        agent.arrives(b)
        agent.rests()
        agent.say(True, by="ann")
        assert [True, None] == agent.result()


def test_section_10_what_the_code_gives_up_on_is_open_no_more() -> None:
    with simulate(seed=12) as world:
        zone = world.zone("a", hosts=2)
        agent = asks(world, zone, form=Doubter)
        first = agent.inquires()
        agent.wait(lambda agent: agent.inquiries() not in ([], [first]), "asks otherwise")
        assert [digest_of(first)] == [
            each.inquiry for each in agent.journal() if isinstance(each, Withdrawn)
        ]
        assert ["Then?"] == [each.question for each in agent.inquiries()]
        world.say(agent, first, "ann", "too late")
        assert agent.host is not None
        agent.host.kill()
        agent.say("then", by="ann")
        assert "then" == agent.result()
        assert not world.broken_promises()


def test_section_10_who_asks_nobody_or_too_much_is_told_so() -> None:
    with simulate(seed=13) as world:
        zone = world.zone("a")
        lost, curious = asks(world, zone, form=Mistaken), asks(world, zone, form=Curious)
        problem = "Misused: ctx.ask: the agent's policies declare no group 'nobody'; they declare desk, pair, risk"
        assert problem == lost.failure()
        assert "Misused: 16 questions of ctx.ask are open already" == curious.failure()


# --- where several have to agree ---


def said_by(agent: LaunchedAgent) -> list[tuple[bytes, bool]]:
    """Who said what the journal holds, and whether that settled it."""
    return [
        (record.answer.answer.by, isinstance(record, Answered))
        for record in agent.journal()
        if isinstance(record, Said | Answered) and record.answer is not None
    ]


def hears(agent: LaunchedAgent, count: int) -> None:
    agent.wait(lambda agent: len(said_by(agent)) == count, f"journaled {count} answers")


def test_section_10_as_many_as_a_group_needs_say_the_same() -> None:
    with simulate(seed=14) as world:
        zone = world.zone("a")
        agent = asks(world, zone, of="pair")
        asked = agent.inquires()
        world.say(agent, asked, "ann", "hold")
        hears(agent, 1)
        agent.rests()
        version = agent.version
        world.run(30)
        assert (version, 0) == (agent.version, waiting_at(zone)), "it is not woken by what it has"
        world.say(agent, asked, "ben", "sell")
        world.say(agent, asked, "ann", "hold")
        hears(agent, 3)
        assert [asked] == agent.inquiries(), "ann is one, however often she says it"
        world.say(agent, asked, "cat", "sell")
        assert ["sell"] == agent.result()
        ann, ben, cat = (person_key(name) for name in ("ann", "ben", "cat"))
        assert [(cat, True)] == said_by(agent)[-1:]
        assert {(ann, False), (ben, False)} == set(said_by(agent)[:-1])
        assert not world.broken_promises()


def test_section_10_people_change_their_minds_until_they_agree_or_the_time_is_up() -> None:
    with simulate(seed=15) as world:
        agent = asks(world, world.zone("a"), "Buy?", "Sell?", of="pair", timeout_s=60)
        first = agent.inquires()
        for by, value in (("ann", "yes"), ("ben", "no")):
            world.say(agent, first, by, value)
        hears(agent, 2)
        world.run(1)
        world.say(agent, first, "ann", "no")
        agent.wait(lambda agent: agent.inquiries() not in ([], [first]), "asks the next")
        second = agent.inquires()
        for by, value in (("ann", "yes"), ("ben", "no")):
            world.say(agent, second, by, value)
        assert ["no", "nobody: Sell?"] == agent.result()
        assert not world.broken_promises()


def test_section_10_what_one_said_stands_though_hosts_die_and_it_moves() -> None:
    with simulate(seed=16) as world:
        a, b = world.zone("a", hosts=2), world.zone("b")
        agent = asks(world, a, form=Emigrant, of="pair", route=["b"], listens=False)
        asked = agent.inquires()
        world.say(agent, asked, "ann", True)
        hears(agent, 1)
        agent.arrives(b)
        b.hosts[0].kill()
        world.say(agent, asked, "cat", True)
        b.hosts[0].start()
        assert [True, None] == agent.result()
        assert [False, True] == [is_last for _, is_last in said_by(agent)]
        assert not world.broken_promises()


def _agreed(seed: int, at_ms: int) -> None:
    with simulate(seed=seed) as world:
        agent = asks(world, world.zone("a", hosts=2), "Buy?", "Sell?", of="pair")
        for answers in (("yes", "no", "yes"), ("no", "no")):
            asked = agent.inquires()
            for by, value in zip(("ann", "ben", "cat"), answers, strict=False):
                world.say(agent, asked, by, value)
                world.run(at_ms / 1000)
                if agent.host is not None:
                    killed = agent.host
                    killed.kill()
                    world.run(0.5)
                    killed.start()
            agent.wait(lambda it, asked=asked: asked not in it.inquiries(), "is told")  # type: ignore[misc]
        assert ["yes", "no"] == agent.result()
        counted = [each for each in agent.journal() if isinstance(each, Said | Answered)]
        given = [each.answer.digest for each in counted if each.answer is not None]
        assert len(given) == len(set(given)), "none is counted twice"
        assert not world.broken_promises()


@pytest.mark.parametrize("at_ms", [20])
def test_section_10_answers_count_once_whenever_hosts_die(at_ms: int) -> None:
    _agreed(17, at_ms)


@pytest.mark.soak
@pytest.mark.parametrize("at_ms", range(0, 600, 15))
def test_section_10_answers_count_once_whenever_hosts_die_soaked(at_ms: int) -> None:
    _agreed(18, at_ms)
