"""What anchors hold an `ask` and the intent after it against (protocol §10.17), and which answers they keep."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.approvals import Approval, Approvers, Petition, SignedApproval
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Denied
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.admission import child
from sojourn.core.protocol.asking import pending, petition_for, verdict_on
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import (
    Applied,
    Declined,
    Evidence,
    Intent,
    Proposal,
    PutApproval,
    Reply,
    Voted,
)
from tests.rulings import World, encoded_again
from tests.samples import PERMIT_ALL, document, key, seal, successor
from tests.unit.core.protocol.asking import proposed, reason_of

ANN, BEN, CAT, EVE = (key(name) for name in ("ann", "ben", "cat", "eve"))
HOUR = 3_600_000
GROUPS = {
    "desk": Approvers(
        keys=(ANN.public, BEN.public), lasts_ms=8 * HOUR, escalate_to="risk", after_ms=2 * HOUR
    ),
    "risk": Approvers(keys=(CAT.public,), lasts_ms=HOUR),
}
ORDER = 'action == Action::"order.place"'
CEDAR = f"""
permit (principal, action, resource) unless {{ {ORDER} }};
@ask("desk") permit (principal, {ORDER}, resource) when {{ context.cost_micros < 100 }};
"""
ASKING = document(CEDAR, actions=("order.place",), approvers=GROUPS)
INTENT = Intent(step="hedge", action="order.place", effect="once", key="k", arguments=digest(b"a"))


class Desk:
    """A zone, and an agent in it whose orders its desk approves."""

    def __init__(self, *documents: Any) -> None:
        self.world = World("a", "b")
        self.zone = self.world.zones[0]
        self.documents = documents or (ASKING,)
        self.head = self.world.launch(self.zone, *self.documents)
        self.zone.give(*self.head.record.governance.documents)

    @property
    def now_ms(self) -> int:
        return self.world.clock.wall_ms

    def petition(self, intent: Intent = INTENT, head: Certified | None = None) -> Petition:
        record = (head or self.head).record
        documents = [item.document for item in self.documents]
        governing = record.governance.governing(documents, self.now_ms)
        memo = self.zone.anchors[0].memo
        verdict = verdict_on(intent, record, governing, self.zone.manifest, memo)
        return petition_for(intent, record, governing, verdict, self.now_ms)

    def asking(self, petition: Petition, *, shown: Petition | None = None) -> Proposal:
        before = self.head.record.eligibility
        after = replace(before, petitions=(*before.petitions, pending(petition)))
        record = child(self.head.record, self.head.certificate.slot, eligibility=after)
        return self._proposal(TransitionKind.ASK, record, petition=shown or petition)

    def intending(
        self,
        petition: Petition | None,
        *answers: SignedApproval,
        intent: Intent = INTENT,
        keeps: bool = False,
        named: bytes | None = None,
        drops: bytes | None = None,
    ) -> Proposal:
        before = self.head.record.eligibility
        answered = named or (digest_of(petition) if petition else None)
        intent = replace(intent, petition=answered)
        rest = tuple(
            each for each in before.petitions if keeps or each.petition != (drops or answered)
        )
        after = replace(before, petitions=rest, last_decision=digest_of(intent))
        record = child(self.head.record, self.head.certificate.slot, eligibility=after)
        return self._proposal(
            TransitionKind.INTEND, record, intent=intent, petition=petition, approvals=answers
        )

    def _proposal(self, kind: TransitionKind, record: Any, **evidence: Any) -> Proposal:
        host = self.world.host_of(self.zone, self.head)
        return self.world.propose(kind, self.head, record, host, evidence=Evidence(**evidence))

    def decide(self, proposal: Proposal) -> None:
        self.head = self.world.decide(self.zone, proposal, self.head)

    def asked(self, intent: Intent = INTENT) -> Petition:
        petition = self.petition(intent)
        self.decide(self.asking(petition))
        return petition

    def reply(self, proposal: Proposal) -> Reply | None:
        return proposed(self.world, proposal, self.head)

    def pass_ms(self, ms: int) -> None:
        self.world.clock.pass_ms(ms)
        self.zone.renew(self.head)

    def answer(
        self, petition: Petition, by: Any = ANN, *, sealed_by: Any = None, **changes: Any
    ) -> SignedApproval:
        approval = Approval(
            agent=self.head.record.agent_id,
            petition=digest_of(petition),
            approver=by.public,
            is_approved=True,
            issued_ms=self.now_ms,
            expires_ms=self.now_ms + 9 * HOUR,
        )
        approval = replace(approval, **changes)
        sealed = seal(sealed_by or by, Kind.APPROVAL, Role.PERSON, digest_of(approval))
        return SignedApproval(approval=approval, seal=sealed)

    def put(self, petition: Petition, answer: SignedApproval, anchor: int = 0) -> Reply | None:
        return self.zone.ask(anchor, PutApproval(petition=petition, approval=answer))

    def kept(self, anchor: int = 0) -> tuple[SignedApproval, ...]:
        return self.zone.anchors[anchor].dossier(self.head.record.agent_id).approvals


@pytest.fixture
def desk() -> Desk:
    return Desk()


# Asking


def test_section_10_an_ask_puts_what_the_policies_ask_for_into_the_record(desk: Desk) -> None:
    petition = desk.asked()
    assert (pending(petition),) == desk.head.record.eligibility.petitions
    assert ("desk",) == tuple(ask.group for each in petition.demands for ask in each.asks)
    assert desk.now_ms + 8 * HOUR == petition.expires_ms


@pytest.mark.parametrize(
    "changes",
    [
        {"agent": digest(b"another")},
        {"version": 99},
        {"policy": digest(b"another")},
        {"request": digest(b"another")},
        {"demands": ()},
        {"expires_ms": 4_000_000_000_000},
    ],
)
def test_section_10_a_petition_says_what_was_asked_and_nothing_else(
    desk: Desk, changes: dict[str, Any]
) -> None:
    wrong = replace(desk.petition(), **changes)
    assert "no-petition" == reason_of(desk.reply(desk.asking(wrong)))
    assert isinstance(desk.reply(desk.asking(desk.petition())), Voted)


def test_section_10_a_petition_is_shown_and_is_the_one_in_the_record(desk: Desk) -> None:
    petition = desk.petition()
    other = replace(petition, arguments=digest(b"other arguments"))
    assert "no-petition" == reason_of(desk.reply(desk.asking(petition, shown=other)))
    bare = replace(desk.asking(petition), evidence=Evidence())
    assert "no-petition" == reason_of(desk.reply(bare))


def test_section_10_a_petition_is_under_the_documents_that_ruled(desk: Desk) -> None:
    others = GROUPS | {"desk": replace(GROUPS["desk"], needed=2)}
    other = Desk(document(CEDAR, actions=("order.place",), approvers=others))
    named = (desk.head.record.governance.documents, other.head.record.governance.documents)
    assert tuple(map(digest_of, named)) == (desk.petition().policy, other.petition().policy)
    assert named[0] != named[1]


@pytest.mark.parametrize("off_ms", [-CLOCK_SKEW_MS - 1, CLOCK_SKEW_MS + 1])
def test_section_10_nobody_dates_a_petition_back_so_that_others_have_their_turn(
    desk: Desk, off_ms: int
) -> None:
    honest = desk.petition()
    asked_ms = honest.asked_ms + off_ms
    false = replace(honest, asked_ms=asked_ms, expires_ms=asked_ms + 8 * HOUR)
    assert "no-petition" == reason_of(desk.reply(desk.asking(false)))


def test_section_10_what_is_permitted_or_denied_is_not_asked(desk: Desk) -> None:
    plain = replace(desk.petition(), action="order.none")
    assert "denied" == reason_of(desk.reply(desk.asking(plain)))
    dear = replace(desk.petition(), cost_micros=100)
    assert "denied" == reason_of(desk.reply(desk.asking(dear)))
    free = Desk(document(PERMIT_ALL, actions=("order.place",)))
    with pytest.raises(Denied, match="it is permitted"):
        free.petition()
    petition = desk.petition()
    assert "denied" == reason_of(free.reply(free.asking(petition)))


def test_section_10_only_the_bound_host_asks(desk: Desk) -> None:
    good = desk.asking(desk.petition())
    other = desk.zone.hosts[1]
    wrong = desk.world.propose(
        TransitionKind.ASK, desk.head, good.transition.record, other, evidence=good.evidence
    )
    assert "wrong-author" == reason_of(desk.reply(wrong))


# Intending


def test_section_10_an_approval_permits_what_was_asked_once(desk: Desk) -> None:
    petition = desk.asked()
    answer = desk.answer(petition)
    desk.decide(desk.intending(petition, answer))
    assert () == desk.head.record.eligibility.petitions
    again = desk.reply(desk.intending(petition, answer))
    assert "no-petition" == reason_of(again), "replayed"


def test_section_10_without_an_approval_it_is_denied(desk: Desk) -> None:
    petition = desk.asked()
    assert "denied" == reason_of(desk.reply(desk.intending(None)))
    assert "denied" == reason_of(desk.reply(desk.intending(petition)))


def test_section_10_too_few_are_not_enough() -> None:
    two = GROUPS | {"desk": replace(GROUPS["desk"], needed=2)}
    desk = Desk(document(CEDAR, actions=("order.place",), approvers=two))
    petition = desk.asked()
    one, other = desk.answer(petition), desk.answer(petition, BEN)
    assert "denied" == reason_of(desk.reply(desk.intending(petition, one)))
    assert "denied" == reason_of(desk.reply(desk.intending(petition, one, one)))
    assert isinstance(desk.reply(desk.intending(petition, one, other)), Voted)


def test_section_10_nobody_approves_for_another(desk: Desk) -> None:
    petition = desk.asked()
    for wrong, reason in (
        (desk.answer(petition, EVE), "wrong-key"),
        (desk.answer(petition, sealed_by=EVE), "wrong-key"),
        (desk.answer(petition, CAT), "wrong-key"),
        (
            replace(desk.answer(petition), seal=desk.answer(petition, reason="else").seal),
            "bad-signature",
        ),
    ):
        assert reason == reason_of(desk.reply(desk.intending(petition, wrong)))
    assert isinstance(desk.reply(desk.intending(petition, desk.answer(petition))), Voted)


@pytest.mark.parametrize(
    "changes",
    [
        {"arguments": digest(b"b")},
        {"step": "other"},
        {"effect": "idempotent"},
        {"labels": ("client-confidential",)},
        {"cost_micros": 1},
        {"tokens": 1},
    ],
)
def test_section_10_an_approval_is_of_one_action_with_its_arguments(
    desk: Desk, changes: dict[str, Any]
) -> None:
    petition = desk.asked()
    other = replace(INTENT, **changes)
    answer = desk.answer(petition)
    assert "no-petition" == reason_of(desk.reply(desk.intending(petition, answer, intent=other)))
    asked = desk.asked(other)
    answer = desk.answer(petition)
    assert "denied" == reason_of(desk.reply(desk.intending(asked, answer, intent=other)))


def test_section_10_of_two_equal_actions_each_is_asked(desk: Desk) -> None:
    first, second = desk.asked(), desk.asked()
    assert first != second
    answer = desk.answer(first)
    assert "denied" == reason_of(desk.reply(desk.intending(second, answer)))
    desk.decide(desk.intending(first, answer))
    assert (pending(second),) == desk.head.record.eligibility.petitions


def test_section_10_an_intent_names_its_petition_and_ends_it(desk: Desk) -> None:
    petition = desk.asked()
    answer = desk.answer(petition)
    for wrong in (
        desk.intending(petition, answer, keeps=True),
        desk.intending(petition, answer, named=digest(b"another")),
        desk.intending(petition, answer, named=digest(b"another"), drops=digest_of(petition)),
    ):
        assert "no-petition" == reason_of(desk.reply(wrong))


def test_section_10_a_petition_that_never_was_asked_is_of_no_use(desk: Desk) -> None:
    petition = desk.petition()
    reply = desk.reply(desk.intending(petition, desk.answer(petition)))
    assert "no-petition" == reason_of(reply)


@pytest.mark.parametrize(
    ("by", "after_ms", "reason"),
    [
        (CAT, 2 * HOUR - 1, "wrong-key"),
        (CAT, 2 * HOUR, ""),
        (ANN, 2 * HOUR, ""),
        (ANN, 8 * HOUR - 1, ""),
        (CAT, 8 * HOUR - 1, ""),
        (ANN, 8 * HOUR, "denied"),
    ],
)
def test_section_10_it_escalates_and_expires_by_the_transitions_time(
    desk: Desk, by: Any, after_ms: int, reason: str
) -> None:
    petition = desk.asked()
    early = desk.answer(petition, by)
    desk.pass_ms(after_ms)
    reply = desk.reply(desk.intending(petition, early))
    assert reason == reason_of(reply) if reason else isinstance(reply, Voted)


def test_section_10_an_approval_that_has_expired_counts_no_more(desk: Desk) -> None:
    petition = desk.asked()
    answer = desk.answer(petition, expires_ms=desk.now_ms + 1)
    desk.pass_ms(1)
    assert "denied" == reason_of(desk.reply(desk.intending(petition, answer)))


# Answers at an anchor


def test_section_10_an_answer_is_kept_until_it_was_used(desk: Desk) -> None:
    petition = desk.asked()
    answer = desk.answer(petition)
    assert Applied() == desk.put(petition, answer)
    assert Applied() == desk.put(petition, answer), "again is harmless"
    assert (answer,) == desk.kept()
    dossier = desk.zone.anchors[0].dossier(desk.head.record.agent_id)
    assert dossier == encoded_again(dossier)
    desk.decide(desk.world.step_proposal(desk.zone, desk.head))
    assert (answer,) == desk.kept(), "a step in between is nothing to it"
    desk.decide(desk.intending(petition, answer))
    assert () == desk.kept()


def test_section_10_nobody_else_can_make_an_anchor_keep_anything(desk: Desk) -> None:
    petition = desk.asked()
    other = desk.petition(replace(INTENT, arguments=digest(b"b")))
    agent = desk.head.record.agent_id
    for shown, wrong, reason in (
        (petition, desk.answer(petition, EVE), "wrong-key"),
        (petition, desk.answer(petition, CAT), "wrong-key"),
        (petition, desk.answer(petition, sealed_by=EVE), "wrong-key"),
        (petition, desk.answer(other), "no-petition"),
        (other, desk.answer(other), "refused"),
        (replace(petition, demands=()), desk.answer(petition), "no-petition"),
        (petition, desk.answer(petition, agent=digest(b"stranger")), "refused"),
    ):
        before = desk.zone.anchors[0].dossier(agent)
        assert reason == reason_of(desk.put(shown, wrong))
        assert before == desk.zone.anchors[0].dossier(agent)


def test_section_10_who_approved_may_decline_and_not_the_other_way(desk: Desk) -> None:
    petition = desk.asked()
    yes, no = desk.answer(petition), desk.answer(petition, is_approved=False)
    assert Applied() == desk.put(petition, yes)
    assert Applied() == desk.put(petition, no)
    assert (no,) == desk.kept()
    assert "refused" == reason_of(desk.put(petition, yes))
    assert (no,) == desk.kept()


def test_section_10_a_host_that_hides_a_decline_finds_no_quorum(desk: Desk) -> None:
    petition = desk.asked()
    desk.put(petition, desk.answer(petition, BEN, is_approved=False))
    reply = desk.reply(desk.intending(petition, desk.answer(petition)))
    assert isinstance(reply, Declined) and reply.for_now, "others may not know of it"
    assert "declined" in reply.problem
    first = desk.asked(replace(INTENT, arguments=digest(b"b")))
    intent = replace(INTENT, arguments=digest(b"b"))
    assert isinstance(
        desk.reply(desk.intending(first, desk.answer(first), intent=intent)), Voted
    ), "of another petition it says nothing"


def test_section_10_an_agent_that_went_on_is_followed(desk: Desk) -> None:
    petition = desk.asked()
    a, b = desk.world.zones
    desk.world.move(a, b, desk.head)
    reply = desk.put(petition, desk.answer(petition))
    assert reply is not None and getattr(reply, "onward", None) is not None


# Amendments: every policy that rules must permit, or be approved by its own group (protocol §8.10)

COOLS = document(CEDAR, actions=("order.place",), approvers=GROUPS, cool_down_ms=9 * HOUR)
EVES = {"desk": Approvers(keys=(EVE.public,), lasts_ms=8 * HOUR)}


def amended(desk: Desk, **changes: Any) -> None:
    """Amend the agent's policy by its successor, changed."""
    new = successor(desk.documents[0], **changes)
    desk.head = desk.world.amend(desk.zone, desk.head, new)
    desk.documents = (new, *desk.documents)
    desk.zone.give(*desk.head.record.governance.named)
    desk.zone.renew(desk.head)


def test_section_8_while_a_policy_cools_its_own_approvers_are_asked_too() -> None:
    desk = Desk(COOLS)
    amended(desk, approvers=EVES)
    petition = desk.asked()
    assert 2 == len({each.policy for each in petition.demands})
    new, old = desk.answer(petition, EVE), desk.answer(petition, ANN)
    for lone in (new, old):
        assert "denied" == reason_of(desk.reply(desk.intending(petition, lone)))
    assert isinstance(desk.reply(desk.intending(petition, new, old)), Voted)


def test_section_8_one_approval_serves_each_policy_that_gives_its_approver_a_say() -> None:
    desk = Desk(COOLS)
    amended(desk, cedar=CEDAR + "// as before")
    petition = desk.asked()
    assert 2 == len(petition.demands)
    assert isinstance(desk.reply(desk.intending(petition, desk.answer(petition))), Voted)


def test_section_8_after_an_amendment_it_has_to_be_asked_anew() -> None:
    desk = Desk(COOLS)
    petition = desk.asked()
    answer = desk.answer(petition)
    amended(desk, approvers=EVES, cool_down_ms=0)
    assert "no-petition" == reason_of(desk.reply(desk.intending(petition, answer)))
    assert isinstance(desk.put(petition, answer), Declined)
    anew = desk.asked()
    both = (desk.answer(anew, EVE), desk.answer(anew, ANN))
    assert isinstance(desk.reply(desk.intending(anew, *both)), Voted)
