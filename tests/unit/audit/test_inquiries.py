"""The report says what the agent's code asked people, who answered, and whether that is under their seal."""

import io
from functools import cache

import msgspec

from sojourn.audit.deriving import derive
from sojourn.audit.evidence import Evidence, read_evidence
from sojourn.audit.page import render_page
from sojourn.core.agent.inquiries import SignedAnswer
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.keys import key_text
from sojourn.runtime.records import Answered
from sojourn.testing import Approvers, person_key, simulate
from tests.unit.audit.scene import exported
from tests.unit.testing.askers import Asker, Doubter

DESK = Approvers(keys=(person_key("ann"), person_key("ben")), lasts_ms=20_000)


@cache
def capsule(doubts: bool = False) -> bytes:
    """Return the capsule of an agent that asked, and was answered once."""
    with simulate(seed=9) as world:
        zone = world.zone("a", anchors=4)
        plan = {"questions": ["Buy?", "Sell?"], "of": "desk", "timeout_s": None}
        form = Doubter if doubts else Asker
        agent = world.launch(
            form, zone, memory={"plan": plan, "told": None}, approvers={"desk": DESK}
        )
        if not doubts:
            agent.say("yes", by="ben")
            agent.wait(lambda agent: agent.has_ended, "ends")
        else:
            first = agent.inquires()
            agent.wait(lambda agent: agent.inquiries() not in ([], [first]), "asks otherwise")
            agent.rests()
        return exported(world, agent, with_history=True)


def evidence(doubts: bool = False) -> Evidence:
    return read_evidence(io.BytesIO(capsule(doubts)))


def altered(change: SignedAnswer) -> Evidence:
    known = evidence()
    journal = tuple(
        msgspec.structs.replace(record, answer=change)
        if isinstance(record, Answered) and record.answer
        else record
        for record in known.journal
    )
    fields = {name: getattr(known, name) for name in Evidence.__slots__}
    return Evidence(**fields | {"journal": journal})


def given() -> SignedAnswer:
    (found,) = (r.answer for r in evidence().journal if isinstance(r, Answered) and r.answer)
    return found


def test_it_says_who_answered_what_under_their_seal() -> None:
    first, second = derive(evidence()).inquiries
    assert ("Buy?", "desk", "answered", '"yes"') == (
        first.question,
        first.asked_of,
        first.outcome,
        first.answer,
    )
    assert (key_text(person_key("ben")), True) == (first.answered_by, first.is_sealed)
    assert ("Sell?", "unanswered", None) == (second.question, second.outcome, second.is_sealed)
    assert () == derive(evidence()).findings
    assert key_text(person_key("ben")) in render_page(derive(evidence()))


def test_what_was_given_up_and_what_is_open() -> None:
    outcomes = [each.outcome for each in derive(evidence(doubts=True)).inquiries]
    assert ["withdrawn", "open"] == outcomes


def test_an_answer_that_nobody_sealed_is_looked_into() -> None:
    said = given()
    other = msgspec.structs.replace(said.answer, body=encode_block("no"))
    stranger = msgspec.structs.replace(said.answer, by=person_key("eve"))
    for answer in (other, stranger):
        report = derive(altered(msgspec.structs.replace(said, answer=answer)))
        assert False is report.inquiries[0].is_sealed
        (finding,) = report.findings
        assert finding.what.startswith("were answered by nobody who may have")
