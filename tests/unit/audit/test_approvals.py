"""The report says who approved an act, and rests what the policies permit on their seals alone."""

import io
from functools import cache

import msgspec

from sojourn.audit.deriving import derive
from sojourn.audit.evidence import Evidence, read_evidence
from sojourn.audit.page import render_page
from sojourn.audit.report import ActionLine
from sojourn.core.base.keys import key_text
from sojourn.runtime.records import Intended
from sojourn.testing import Approvers, person_key, simulate
from tests.unit.audit.desks import Clerk
from tests.unit.audit.scene import exported

POLICY = """
@id("what it does") permit (principal, action, resource) unless { action == Action::"bill.pay" };
@id("bills") @ask("desk") permit (principal, action == Action::"bill.pay", resource);
"""
DESK = Approvers(keys=(person_key("ann"), person_key("ben")), needed=2, lasts_ms=3_600_000)


@cache
def capsule() -> bytes:
    """Return the capsule of an agent that paid when two people had approved it."""
    with simulate(seed=9) as world:
        zone = world.zone("a", anchors=4)
        budgets = {"cost_micros": 500, "tokens": 50, "calls": 2}
        agent = world.launch(
            Clerk,
            zone,
            memory={"done": None},
            policy=POLICY,
            approvers={"desk": DESK},
            budgets=budgets,
        )
        asked = agent.asks().petition
        assert (100, 5) == (asked.cost_micros, asked.tokens)
        agent.approve(by="ann")
        agent.approve(by="ben")
        agent.wait(lambda agent: agent.memory("done"), "pays")
        world.run(5)  # it lies down meanwhile
        return exported(world, agent, with_history=True)


def evidence() -> Evidence:
    return read_evidence(io.BytesIO(capsule()))


def altered(**changes: object) -> Evidence:
    """Return evidence of which the journal tells otherwise of the intent."""
    known = evidence()
    journal = tuple(
        msgspec.structs.replace(record, **changes) if isinstance(record, Intended) else record
        for record in known.journal
    )
    fields = {name: getattr(known, name) for name in Evidence.__slots__}
    return Evidence(**fields | {"journal": journal})


def paid(shown: Evidence) -> ActionLine:
    (line,) = (each for each in derive(shown).actions if each.step == "pay")
    return line


def test_it_says_who_approved_an_act_that_the_policies_ask_about() -> None:
    line = paid(evidence())
    people = {key_text(person_key("ann")), key_text(person_key("ben"))}
    assert (people, True, "quorum") == (set(line.approved_by), line.permits, line.attested)
    assert any('"bills"' in rule for rule in line.rules)
    assert () == derive(evidence()).findings
    shown = render_page(derive(evidence()))
    assert all(f"approved by {who}" in shown for who in people)


def test_it_says_nobody_approved_what_nobody_was_asked_about() -> None:
    others = [each for each in derive(evidence()).actions if each.step != "pay"]
    assert others
    assert {()} == {each.approved_by for each in others}


def test_an_act_whose_approvals_are_too_few_was_not_permitted() -> None:
    (intended,) = (each for each in evidence().journal if isinstance(each, Intended))
    for few in ((), intended.approvals[:1]):
        line = paid(altered(approvals=few))
        assert (len(few), False) == (len(line.approved_by), line.permits)


def test_an_approval_that_somebody_else_sealed_is_none() -> None:
    (intended,) = (each for each in evidence().journal if isinstance(each, Intended))
    first, second = intended.approvals
    forged = msgspec.structs.replace(first, seal=second.seal)
    line = paid(altered(approvals=(forged, second)))
    assert line.permits is False
    assert any("sealed by another key" in rule for rule in line.rules)
