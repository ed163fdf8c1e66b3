"""Agents that ask people, in whole worlds: they wait, whatever happens meanwhile, and act once it is approved."""

from typing import Any

import pytest

from sojourn.anchor.server import Anchor
from sojourn.core.agent.approvals import Approval, SignedApproval
from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Refused
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.exchange import Approvals, AskApprovals, decode_request
from sojourn.core.protocol.messages import Applied, PutApproval
from sojourn.runtime.records import Asked, Intended
from sojourn.runtime.transport import Connection
from sojourn.testing import Approvers, LaunchedAgent, World, Zone, person_key, simulate
from sojourn.testing.founding import key
from tests.unit.testing.workers import Buyer, Shopper

HOUR = 3_600_000
ASKS = """
permit (principal, action, resource) unless { action == Action::"order.place" };
@id("orders") @ask("desk") permit (principal, action == Action::"order.place", resource);
"""
DESK = Approvers(
    keys=(person_key("ann"), person_key("ben")), lasts_ms=HOUR, escalate_to="risk", after_ms=60_000
)
RISK = Approvers(keys=(person_key("cat"),), lasts_ms=HOUR)


class Forger(Anchor):
    """Hides every answer, and tells hosts of approvals that nobody gave: by a stranger, and in ann's name."""

    async def serve(self, connection: Connection, body: bytes) -> bytes:
        request = decode_request(body)
        if isinstance(request, PutApproval):
            return encode(Applied())
        if isinstance(request, AskApprovals):
            return encode(Approvals(approvals=self._forged(request.agent)))
        return await super().serve(connection, body)

    def _forged(self, agent: bytes) -> tuple[SignedApproval, ...]:
        head = self.shelf.dossier(agent).head
        asked = head.record.eligibility.petitions if head else ()
        return tuple(
            forged(agent, each.petition, each.expires_ms, in_the_name_of)
            for each in asked
            for in_the_name_of in ("eve", "ann")
        )


def forged(agent: bytes, petition: bytes, expires_ms: int, name: str) -> SignedApproval:
    said = Approval(
        agent=agent,
        petition=petition,
        approver=person_key(name),
        is_approved=True,
        issued_ms=0,
        expires_ms=expires_ms,
    )
    eve = key("eve")
    sealed = eve.sign(statement(Kind.APPROVAL, Role.PERSON, digest_of(said)))
    seal = Seal(signer=person_key(name), signature=sealed)
    return SignedApproval(approval=said, seal=seal)


def buys(
    world: World,
    zone: Zone,
    *wants: str,
    patience_s: float = 1e6,
    form: type[Buyer] = Buyer,
    looks: int = 0,
    budgets: dict[str, int] | None = None,
    **groups: Approvers,
) -> LaunchedAgent:
    plan = {"wants": list(wants or ("bonds",)), "count": 3, "patience_s": patience_s}
    return world.launch(
        form,
        zone,
        memory={"plan": plan | {"looks": looks}, "done": None},
        policy=ASKS,
        approvers={"desk": DESK, "risk": RISK, **groups},
        budgets=budgets,
    )


def bought(agent: LaunchedAgent) -> list[Any]:
    return [each.arguments[0] for each in agent.performed("buy")]


def test_section_10_it_waits_until_it_is_approved_and_acts_once() -> None:
    with simulate(seed=1) as world:
        agent = buys(world, world.zone("a", hosts=2))
        asked = agent.asks()
        assert [["bonds"], {"count": 3}] == asked.spelled
        assert ("buy", "order.place") == (asked.petition.step, asked.petition.action)
        world.run(30)
        assert [] == bought(agent)
        agent.approve(by="ben")
        assert ["3 bonds"] == agent.result()
        assert ["bonds"] == bought(agent)
        assert () == agent.record.eligibility.petitions
        assert not world.broken_promises()


def test_section_10_an_answer_is_heard_of_at_once() -> None:
    for seed in (21, 22, 23):
        with simulate(seed=seed) as world:
            agent = buys(world, world.zone("a"))
            agent.asks()
            world.run(7 + seed / 10)
            agent.approve(by="ann")
            agent.wait(lambda agent: bought(agent), "buys at once", within=0.5)


def test_section_10_the_journal_says_who_approved() -> None:
    with simulate(seed=2) as world:
        agent = buys(world, world.zone("a"), two=DESK)
        agent.approve(by="ann")
        agent.result()
        (asked,) = (each for each in agent.journal() if isinstance(each, Asked))
        (intended,) = (each for each in agent.journal() if isinstance(each, Intended))
        (signed,) = intended.approvals
        signed.check()
        assert person_key("ann") == signed.approval.approver
        assert asked.call == intended.call


def test_section_10_a_host_that_dies_meanwhile_changes_nothing() -> None:
    with simulate(seed=3) as world:
        zone = world.zone("a", hosts=2)
        agent = buys(world, zone, "bonds", "gold")
        asked = agent.asks()
        first = agent.host
        assert first is not None
        first.kill()
        agent.wait(lambda agent: agent.host is not first, "has another host")
        assert [asked] == agent.petitions()
        world.run(20)
        agent.approve(by="ann")
        agent.wait(lambda agent: bought(agent) == ["bonds"], "buys bonds")
        agent.wait(lambda agent: agent.petitions() not in ([], [asked]), "asks about gold")
        assert agent.host is not None
        agent.host.kill()
        agent.approve(by="ann")
        first.start()
        assert ["3 bonds", "3 gold"] == agent.result()
        assert ["bonds", "gold"] == bought(agent)
        assert not world.broken_promises()


def test_section_10_anchors_that_restart_keep_what_was_answered() -> None:
    with simulate(seed=4) as world:
        zone = world.zone("a", hosts=1)
        agent = buys(world, zone)
        petition = agent.asks().petition
        assert agent.host is not None
        agent.host.kill()
        world.answer(agent, petition, "ann")
        for anchor in zone.anchors:
            anchor.kill()
            anchor.start()
        zone.hosts[0].start()
        assert ["3 bonds"] == agent.result()
        assert not world.broken_promises()


def test_section_10_with_one_anchor_dead_it_is_asked_and_approved() -> None:
    with simulate(seed=5) as world:
        zone = world.zone("a")
        zone.anchors[2].kill()
        agent = buys(world, zone)
        agent.approve(by="ann")
        assert ["3 bonds"] == agent.result()


def test_section_10_an_anchor_that_lies_neither_approves_nor_keeps_an_approval_away() -> None:
    with simulate(seed=13) as world:
        agent = buys(world, world.zone("a", make_anchor={1: Forger}), "bonds", "gold")
        agent.asks()
        world.run(30)
        assert [] == bought(agent)
        agent.approve(by="ann")
        agent.wait(lambda agent: bought(agent) == ["bonds"], "buys bonds")
        agent.wait(lambda agent: len(agent.memory("done")) == 1, "has bought bonds")
        agent.decline(by="ben")
        assert ["3 bonds"] == agent.result()[:1]
        assert ["bonds"] == bought(agent)
        assert not world.broken_promises()


def test_section_10_who_declines_is_told_to_the_agent_with_the_reason() -> None:
    with simulate(seed=6) as world:
        agent = buys(world, world.zone("a"), "bonds", "gold")
        agent.decline(by="ben", reason="too many of them")
        agent.wait(lambda agent: len(agent.memory("done")) == 1, "was told")
        (said,) = agent.memory("done")
        assert "declined" in said and "too many of them" in said
        agent.approve(by="ann")
        assert "3 gold" == agent.result()[1]
        assert ["gold"] == bought(agent)


def test_section_10_nobody_answers_and_it_expires() -> None:
    short = Approvers(keys=DESK.keys, lasts_ms=30_000)
    with simulate(seed=7) as world:
        agent = buys(world, world.zone("a"), desk=short)
        agent.asks()
        (said,) = agent.result()
        assert "not approved in time" in said
        assert [] == bought(agent)
        assert () == agent.record.eligibility.petitions


def test_section_10_it_escalates_when_nobody_answers() -> None:
    with simulate(seed=8) as world:
        agent = buys(world, world.zone("a"))
        with pytest.raises(Refused, match="has no say"):
            agent.approve(by="cat")
        with pytest.raises(Refused, match="has no say"):
            agent.approve(by="eve")
        world.run(70)
        assert [] == bought(agent)
        agent.approve(by="cat")
        assert ["3 bonds"] == agent.result()


def test_section_10_it_takes_as_many_as_are_needed() -> None:
    both = Approvers(keys=DESK.keys, needed=2, lasts_ms=HOUR)
    with simulate(seed=9) as world:
        agent = buys(world, world.zone("a"), desk=both)
        agent.approve(by="ann")
        world.run(30)
        assert [] == bought(agent)
        agent.approve(by="ben")
        assert ["3 bonds"] == agent.result()


def test_section_10_what_the_code_gives_up_on_is_asked_no_more() -> None:
    with simulate(seed=10) as world:
        zone = world.zone("a", hosts=2)
        agent = buys(world, zone, "bonds", "gold", patience_s=20)
        first = agent.asks().petition
        agent.wait(lambda agent: "gave up" in agent.memory("done"), "gives up")
        agent.wait(lambda agent: [p.petition for p in agent.petitions()] != [first], "drops it")
        assert agent.host is not None
        agent.host.kill()
        agent.approve(by="ann")
        assert ["gave up", "3 gold"] == agent.result()
        assert ["gold"] == bought(agent)
        assert not world.broken_promises()


def test_section_10_in_quarantine_nothing_is_asked_until_it_is_lifted() -> None:
    with simulate(seed=11) as world:
        agent = buys(world, world.zone("a"))
        petition = agent.asks().petition
        world.order(agent, "quarantine")
        world.answer(agent, petition, "ann")
        world.run(30)
        assert [] == bought(agent)
        world.order(agent, "lift")
        assert ["3 bonds"] == agent.result()


def test_section_2_to_ask_is_a_transition_of_its_own() -> None:
    with simulate(seed=12) as world:
        agent = buys(world, world.zone("a"))
        agent.wait(lambda agent: agent.head.transition.kind is TransitionKind.ASK, "asks")
        assert len(agent.record.eligibility.petitions) == 1


def test_section_10_an_amendment_that_comes_while_it_waits_has_it_asked_anew() -> None:
    with simulate(seed=14) as world:
        agent = buys(world, world.zone("a"))
        first = agent.asks()
        world.amend(agent, f"{ASKS}// the second edition\n")
        agent.wait(lambda agent: agent.petitions() not in ([], [first]), "asks anew", within=20)
        agent.approve(by="ann")
        assert ["3 bonds"] == agent.result()
        assert ["bonds"] == bought(agent)
        assert not world.broken_promises()


def test_section_10_orders_that_come_while_it_waits_are_heard_of() -> None:
    with simulate(seed=15) as world:
        agent = buys(world, world.zone("a"))
        petition = agent.asks().petition
        host = agent.host
        assert host is not None
        world.order(agent, "suspend")
        world.run(20)
        assert host.host is not None and 0 == host.host.running
        world.order(agent, "resume")
        world.answer(agent, petition, "ann")
        assert ["3 bonds"] == agent.result()
        assert ["bonds"] == bought(agent)
        assert not world.broken_promises()


def test_section_2_when_steps_run_out_what_was_asked_is_waited_for_again_with_more() -> None:
    with simulate(seed=16) as world:
        agent = buys(world, world.zone("a", hosts=2), form=Shopper, looks=20, budgets={"steps": 9})
        asked = agent.asks()
        agent.wait(lambda it: not it.record.eligibility.is_acting, "lies down")
        assert Status.DORMANT is agent.status
        world.run(60)
        assert [asked] == agent.petitions()
        world.order(agent, "grant", grants={"steps": 100})
        agent.approve(by="ann")
        assert ["3 bonds"] == agent.result()
        assert ["bonds"] == bought(agent)
        assert [asked] == [each for each in agent.journal() if isinstance(each, Asked)]
        assert not world.broken_promises()


def test_section_2_nobody_is_asked_about_what_cannot_be_paid_for() -> None:
    with simulate(seed=17) as world:
        agent = buys(world, world.zone("a"), budgets={"calls": 0})
        (said,) = agent.result()
        assert "no: 1 of budget 'calls' needed, 0 of 0 are spent" == said
        assert not [each for each in agent.journal() if isinstance(each, Asked)]
