"""Who may answer an inquiry, and when (protocol §10): groups, those they escalate to, and keys."""

import pytest
from msgspec.structs import replace

from sojourn.core.agent.approvals import Approvers
from sojourn.core.agent.inquiries import (
    Answer,
    Inquiry,
    SignedAnswer,
    agreeing,
    asked_of,
    check_may_say,
    newest,
    people_of,
)
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of, encode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import BODY_BYTES_MAX, CLOCK_SKEW_MS
from sojourn.core.base.seals import Kind, Role
from tests.samples import NOW_MS, key, seal

ANN, BEN, CAT, EVE = (key(name) for name in ("ann", "ben", "cat", "eve"))
HOUR = 3_600_000
DESK = {
    "desk": Approvers(
        keys=(ANN.public, BEN.public), lasts_ms=8 * HOUR, escalate_to="risk", after_ms=HOUR
    ),
    "risk": Approvers(keys=(CAT.public,), lasts_ms=HOUR),
}


def inquiry(lasts_ms: int | None = None) -> Inquiry:
    people = people_of(["desk"], [EVE.public], [DESK], NOW_MS, lasts_ms)
    return Inquiry(
        agent=digest(b"agent"),
        nonce=digest(b"chance"),
        question="Buy?",
        expects='{"type":"string"}',
        people=people,
        asked_ms=NOW_MS,
        expires_ms=None,
    )


def said(
    asked: Inquiry, by: KeyPair, at_ms: int, kind: Kind = Kind.ANSWER, **changes: object
) -> SignedAnswer:
    answer = Answer(
        agent=asked.agent,
        inquiry=digest_of(asked),
        by=by.public,
        answered_ms=at_ms,
        body=encode_block("yes"),
    )
    answer = replace(answer, **changes)
    return SignedAnswer(answer=answer, seal=seal(by, kind, Role.PERSON, digest_of(answer)))


def reason_of(asked: Inquiry, signed: SignedAnswer, now_ms: int = NOW_MS + 9 * HOUR) -> str:
    with pytest.raises(Rejected) as refused:
        check_may_say(asked, signed, now_ms)
    return refused.value.reason


def test_a_group_escalates_as_its_document_says() -> None:
    asked = inquiry()
    check_may_say(asked, said(asked, ANN, NOW_MS), NOW_MS)
    assert "wrong-key" == reason_of(asked, said(asked, CAT, NOW_MS + HOUR - 1))
    check_may_say(asked, said(asked, CAT, NOW_MS + HOUR), NOW_MS + HOUR)
    check_may_say(asked, said(asked, BEN, NOW_MS + 8 * HOUR - 1), NOW_MS + 9 * HOUR)
    assert "wrong-key" == reason_of(asked, said(asked, BEN, NOW_MS + 8 * HOUR))
    check_may_say(asked, said(asked, EVE, NOW_MS + 90 * HOUR), NOW_MS + 90 * HOUR)
    assert asked_of(asked).endswith(" or desk or risk")


def test_a_time_that_the_code_sets_holds_for_all() -> None:
    asked = inquiry(lasts_ms=HOUR // 2)
    assert ["", "desk"] == [each.group for each in asked.people], "risk would come too late"
    for each in (ANN, EVE):
        check_may_say(asked, said(asked, each, NOW_MS + HOUR // 2 - 1), NOW_MS + HOUR)
        assert "wrong-key" == reason_of(asked, said(asked, each, NOW_MS + HOUR // 2))


def test_what_is_sealed_for_something_else_is_no_answer() -> None:
    asked = inquiry()
    other = replace(asked, nonce=digest(b"other"))
    assert "no-inquiry" == reason_of(asked, said(other, ANN, NOW_MS))
    assert "no-inquiry" == reason_of(asked, said(asked, ANN, NOW_MS, agent=digest(b"another")))
    assert "bad-signature" == reason_of(asked, said(asked, ANN, NOW_MS, kind=Kind.MESSAGE))
    forged = replace(said(asked, ANN, NOW_MS), seal=said(asked, EVE, NOW_MS).seal)
    assert "wrong-key" == reason_of(asked, forged)
    too_long = said(asked, ANN, NOW_MS, body=encode_block("y" * BODY_BYTES_MAX))
    assert "too-large" == reason_of(asked, too_long)


def test_nobody_answers_from_the_future() -> None:
    asked = inquiry()
    early = said(asked, CAT, NOW_MS + HOUR)
    assert "too-early" == reason_of(asked, early, NOW_MS + HOUR - CLOCK_SKEW_MS - 1)
    check_may_say(asked, early, NOW_MS + HOUR - CLOCK_SKEW_MS)


def test_a_group_that_nobody_declared_is_named_with_those_there_are() -> None:
    with pytest.raises(Rejected, match=r"no group 'board'; they declare desk, risk"):
        people_of(["board"], [], [DESK], NOW_MS, None)
    with pytest.raises(Rejected, match=r"no group 'board'; they declare none"):
        people_of(["board"], [], [{}], NOW_MS, None)


def test_groups_of_one_name_in_two_documents_may_both_answer() -> None:
    other = {"desk": Approvers(keys=(EVE.public,), lasts_ms=HOUR)}
    people = people_of(["desk", "desk"], [], [DESK, other], NOW_MS, None)
    assert ["desk", "risk", "desk"] == [each.group for each in people]


# --- how many have to agree ---

PAIR = {
    "desk": Approvers(
        keys=(ANN.public, BEN.public, EVE.public),
        needed=2,
        lasts_ms=8 * HOUR,
        escalate_to="risk",
        after_ms=HOUR,
    ),
    "risk": Approvers(keys=(CAT.public, ANN.public), lasts_ms=HOUR),
}


def pair() -> Inquiry:
    return replace(inquiry(), people=people_of(["desk"], [], [PAIR], NOW_MS, None))


def told(asked: Inquiry, *said_by: tuple[KeyPair, str, int]) -> list[SignedAnswer]:
    return [said(asked, by, NOW_MS + at, body=encode_block(value)) for by, value, at in said_by]


def test_as_many_of_a_group_as_it_needs_have_to_say_the_same() -> None:
    asked = pair()
    assert "2 of desk or risk" == asked_of(asked)
    alone, other, third = told(asked, (ANN, "yes", 1), (BEN, "no", 2), (EVE, "yes", 3))
    assert () == agreeing(asked, [])
    assert () == agreeing(asked, [alone])
    assert () == agreeing(asked, [alone, other])
    assert (alone, third) == agreeing(asked, [third, other, alone])


def test_one_person_who_says_it_twice_is_one_person() -> None:
    asked = pair()
    twice = told(asked, (ANN, "yes", 1), (ANN, "yes", 2))
    assert () == agreeing(asked, twice)
    assert (twice[1],) == newest(reversed(twice))


def test_who_says_something_else_later_has_changed_their_mind() -> None:
    asked = pair()
    first, ben, later = told(asked, (ANN, "yes", 1), (BEN, "yes", 3), (ANN, "no", 2))
    assert (first, ben) == agreeing(asked, [first, ben])
    assert () == agreeing(asked, [first, later, ben])
    assert (ben, later) == newest([first, ben, later]) or (later, ben) == newest(
        [first, ben, later]
    )


def test_groups_are_not_added_up_and_each_needs_its_own_number() -> None:
    asked = pair()
    early, desk, risk = told(asked, (ANN, "yes", 1), (BEN, "no", 2), (CAT, "no", HOUR))
    assert (risk,) == agreeing(asked, [early, desk, risk]), "one of risk is enough"
    other = replace(asked, people=tuple(replace(each, needed=2) for each in asked.people))
    assert () == agreeing(other, [early, desk, risk]), "ben is of desk, cat of risk"
    again = told(asked, (ANN, "no", HOUR))[0]
    assert {again.answer.by, CAT.public} <= {
        each.answer.by for each in agreeing(other, [again, risk])
    }
