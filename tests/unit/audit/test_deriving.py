"""A report is a function of a capsule: where the agent was, what it did, by which policy, what was denied it."""

import dataclasses
import io
from functools import cache

import msgspec
import pytest

from sojourn.audit.deriving import derive
from sojourn.audit.evidence import Evidence, read_evidence
from sojourn.audit.report import Report, proofs_in
from sojourn.audit.verifying import to_json
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import cid_text
from sojourn.runtime.records import Apart, Denial, Intended, Outcome
from sojourn.testing.founding import ISSUER
from tests.unit.audit.scene import count, drilled, evidence, lean_evidence
from tests.unit.core.protocol.capsules import made

replace = msgspec.structs.replace


@cache
def report() -> Report:
    return derive(evidence(), drilled())


@cache
def lean() -> Report:
    return derive(lean_evidence())


@cache
def refused() -> Report:
    """Return the report on an agent that a zone refused once: a handmade one, without a journal."""
    return derive(read_evidence(io.BytesIO(made().data)))


def test_it_says_where_the_agent_was_and_under_which_law() -> None:
    told = [
        (stay.zone_name, stay.jurisdiction, stay.opened_by, stay.left_for)
        for stay in report().stays
    ]
    assert [("a", ("EU",), "genesis", "b"), ("b", ("US",), "admit", "")] == told
    first, second = report().stays
    assert first.until_ms is not None
    assert first.from_ms < first.until_ms <= second.from_ms
    assert second.until_ms is None


def test_it_says_where_each_label_was_and_what_stayed_behind() -> None:
    told = {each.label: (each.zone_names, each.jurisdictions) for each in report().labels}
    assert {
        "client-confidential": (("a",), ("EU",)),
        "market-data": (("a", "b"), ("EU", "US")),
    } == told
    book = [each for each in report().holdings if each.compartment == "book"]
    assert [("with-agent", "a"), ("left-behind", "a")] == [(b.how, b.zone_name) for b in book]
    assert all(each.is_within for each in report().holdings)
    assert book[0].until_ms == book[1].from_ms


def test_it_says_which_policy_ruled_each_action_and_what_it_answers_now() -> None:
    told = [(each.action, each.zone_name, each.step, each.outcome) for each in report().actions]
    assert told == [
        ("launch", "a", "", "genesis"),
        ("order.place", "a", "place", "done"),
        ("travel", "b", "", "depart"),
        ("travel", "b", "", "admit"),
        ("order.place", "b", "place", "done"),
    ]
    for each in report().actions:
        assert (("test/rules 1",), True, "quorum") == (
            each.documents,
            each.permits,
            each.attested,
        )
        assert '"what it does" (test/rules, line 2)' in each.rules
    assert {()} == {each.labels for each in report().actions}, "it has used no memory with labels"


def test_an_intent_is_proved_by_the_transition_that_its_key_names() -> None:
    (first, *_) = (each for each in report().actions if each.step)
    assert first.key.endswith(f"/0/{first.version}/0")
    done = next(d for d in evidence().decided if d.record.version == first.version)
    assert TransitionKind.INTEND is done.transition.kind
    assert cid_text(done.transition.digest) == first.proof.digest
    assert first.proof.index is not None
    assert isinstance(evidence().journal[first.proof.index], Intended)


def test_it_says_what_was_denied_and_why() -> None:
    effects = [each for each in report().denials if each.kind == "effect"]
    assert [("order.cancel by step cancel", "a"), ("order.cancel by step cancel", "b")] == [
        (each.what, each.zone_name) for each in effects
    ]
    for each in effects:
        assert '"orders stand"' in each.reason
        assert (("test/rules 1",), True) == (each.documents, each.at_ms is not None)
    assert not [each for each in report().denials if each.kind == "step"], "told twice"
    singapore = [each for each in report().denials if each.zone_name == "c"]
    assert {"place"} == {each.kind for each in singapore}
    assert "not to Singapore" in singapore[-1].reason


def test_it_says_what_officers_ordered_and_who_signed() -> None:
    told = [(each.act, each.needed, each.signed_by) for each in report().orders]
    signers = (ISSUER.public.hex(),)
    assert [("suspend", 1, signers), ("resume", 1, signers)] == told


def test_it_registers_zones_providers_hosts_policies_and_the_publisher() -> None:
    assert [("a", 4, 1), ("b", 1, 0)] == [(z.name, z.anchors, z.f) for z in report().zones]
    assert [("simulated", ("a", "b"))] == [(p.provider, p.zone_names) for p in report().providers]
    assert ["a", "b"] == [host.zone_name for host in report().hosts]
    (rule,) = report().rules
    assert ((ISSUER.public.hex(),), 0) == (rule.sealed_by, rule.from_version)
    (publisher,) = report().publishers
    assert ("desks:Desk", (ISSUER.public.hex(),)) == (publisher.entry, publisher.sealed_by)


def test_all_of_a_whole_life_is_shown_and_nothing_needs_a_closer_look() -> None:
    assert all(term.is_whole for term in report().coverage)
    assert () == report().findings


def test_without_what_was_decided_it_says_what_it_cannot_prove() -> None:
    assert not any(term.is_whole for term in lean().coverage)
    acts = [each for each in lean().actions if each.step]
    assert ["host", "host"] == [each.attested for each in acts]
    assert [None, None] == [each.permits for each in acts]
    assert {("test/rules 1",)} == {each.documents for each in acts}, "no change of policy between"
    kinds = {finding.what.partition(":")[0] for finding in lean().findings}
    assert {
        "leave versions out",
        "rest on the host's word that it was this action",
        "were carried out, and who signed them is not shown",
    } == kinds
    assert "versions of term 0 in a" in lean().not_proved[0]
    assert [each.act for each in lean().orders] == ["resume"], "the newest transition is shown"
    assert report().stays == tuple(
        replace(mine, proof=theirs.proof)
        for mine, theirs in zip(lean().stays, report().stays, strict=True)
    )


def test_a_refusal_is_certified_and_what_may_have_been_copied_ahead_is_told() -> None:
    (denial,) = (each for each in refused().denials if each.kind == "admission")
    assert ("b", "transition") == (denial.zone_name, denial.proof.by)
    offered = [each for each in refused().holdings if each.how == "offered"]
    assert {"history", "position", "empty"} == {each.compartment for each in offered}
    assert {"b"} == {each.zone_name for each in offered}
    assert ["a", "a", "b"] == [stay.zone_name for stay in refused().stays]


@pytest.mark.parametrize("made_of", [report, lean, refused])
def test_every_line_has_one_name_a_proof_and_the_command_that_checks_it(made_of: object) -> None:
    assert callable(made_of)
    shown: Report = made_of()
    names = list(proofs_in(shown))
    text = to_json(shown).decode()
    assert text.count('"line": ') == len(names), "a name is used twice, or a line left out"
    for name, proof in proofs_in(shown).items():
        assert proof.check.endswith(f"--line {name}")
        assert proof.digest or proof.lines
        if proof.by == "lines":
            assert set(proof.lines) <= set(names)


def test_the_same_capsule_gives_the_same_bytes() -> None:
    assert to_json(derive(evidence(), drilled())) == to_json(report())


# --- what a lying zone or host may have left -------------------------------------------------------------


def altered(**changes: object) -> Evidence:
    """Return evidence that is otherwise: what reading a capsule of such a zone or host would give."""
    return Evidence(
        **{name: getattr(evidence(), name) for name in Evidence.__slots__} | changes  # type: ignore[arg-type]
    )


def test_an_intent_that_the_journal_tells_otherwise_is_the_hosts_word() -> None:
    """The record names the digest of what the anchors were asked: another action has another."""
    journal = tuple(
        replace(record, action="order.cancel") if isinstance(record, Intended) else record
        for record in evidence().journal
    )
    lying = derive(altered(journal=journal))
    acts = [each for each in lying.actions if each.step]
    assert {("order.cancel", "host", None)} == {(a.action, a.attested, a.permits) for a in acts}
    assert any("host's word" in finding.what for finding in lying.findings)


def test_an_act_that_the_policies_do_not_permit_is_a_finding() -> None:
    """A quorum of liars may certify what no policy permits; asked again, the policies say so."""
    strict = {
        zone: replace(m, policy="forbid (principal, action, resource);")
        for zone, m in evidence().manifests.items()
    }
    lying = derive(altered(verified=dataclasses.replace(evidence().verified, manifests=strict)))
    assert {False} == {action.permits for action in lying.actions}
    first, *_ = lying.findings
    assert "do not permit" in first.what
    assert first.proof.lines == tuple(action.line for action in lying.actions)


def test_an_intent_that_the_journal_does_not_tell_of_is_told_all_the_same() -> None:
    kept = tuple(each for each in evidence().journal if not isinstance(each, Intended))
    acts = derive(altered(journal=kept)).actions
    hidden = [each for each in acts if each.outcome == "the journal does not tell of it"]
    assert 2 == len(hidden)
    assert {("", "host")} == {(each.action, each.attested) for each in hidden}


def test_an_effect_without_an_outcome_is_not_said_to_be_done() -> None:
    kept = tuple(each for each in evidence().journal if not isinstance(each, Outcome))
    acts = [each for each in derive(altered(journal=kept)).actions if each.step]
    assert {"not recorded"} == {each.outcome for each in acts}


def test_a_denial_that_only_the_agents_side_tells_of_says_so() -> None:
    kept = tuple(each for each in evidence().journal if not isinstance(each, Denial))
    told = [each for each in derive(altered(journal=kept)).denials if each.kind == "step"]
    assert ["step cancel", "step cancel"] == [each.what for each in told]


def test_data_outside_its_residency_is_a_finding() -> None:
    manifests = {
        zone: replace(m, attributes=replace(m.attributes, jurisdiction=("SG",)))
        for zone, m in evidence().manifests.items()
    }
    verified = dataclasses.replace(evidence().verified, manifests=manifests)
    lying = derive(altered(verified=verified))
    assert "holding-1" in lying.findings[1].proof.lines
    assert "residency" in lying.findings[1].what
    assert "do not permit" in lying.findings[0].what, "it travelled to Singapore"


def test_a_journal_that_cannot_be_read_leaves_a_report_that_says_so() -> None:
    cut = derive(altered(journal=evidence().journal[:3], problem="malformed: no map"))
    assert "malformed: no map" == cut.capsule.journal_problem
    assert any("cannot be read" in finding.what for finding in cut.findings)
    assert any("from record 3 on" in sentence for sentence in cut.not_proved)


# --- what is kept apart -------------------------------------------------------------------------------


def test_it_says_by_which_labels_an_act_was_judged_and_what_a_step_took_off() -> None:
    there, _ = map(derive, count())
    told = [(each.action, each.labels, each.labels_dropped) for each in there.actions if each.step]
    confidential = ("client-confidential",)
    assert [("order.place", confidential, ()), ("declassify", (), confidential)] == told
    for each in there.actions:
        assert (True, "quorum") == (each.permits, each.attested)
    assert ["done", "done"] == [each.outcome for each in there.actions if each.step]


def test_what_is_kept_apart_is_told_where_it_is() -> None:
    there, _ = count()
    assert not there.apart
    (denied,) = derive(there).denials
    assert ("effect", "order.cancel by step cancel") == (denied.kind, denied.what)
    assert '"orders stand"' in denied.reason


def test_what_stayed_behind_of_the_journal_is_said_to_be_lacking() -> None:
    there, left = count()
    assert ["book", "journal/0"] == sorted(left.verified.left_behind)
    assert left.apart == sum(isinstance(each, Apart) for each in left.journal) >= 3
    report = derive(left)
    assert not report.findings
    assert not [each for each in report.denials if each.kind == "effect"]
    acts = [each for each in report.actions if each.step]
    assert ["quorum", "quorum"] == [each.attested for each in acts]
    assert {"not shown: it may have stayed behind in another zone"} == {e.outcome for e in acts}
    assert any(
        f"what {left.apart} records of the journal say" in each for each in report.not_proved
    )
