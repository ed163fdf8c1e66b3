"""Visas (protocol §5, step 1): what is promised, to whom, and what makes it void."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.capabilities import Offer, Requirements
from sojourn.core.agent.eligibility import Budget
from sojourn.core.agent.events import Events
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.trust import Trust
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import VISA_DEADLINE_MS
from sojourn.core.protocol.admission import child
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.messages import AskVisa, Declined, Need, Propose, Reply, Voted
from sojourn.core.protocol.validate import warrant_of
from sojourn.core.protocol.visa import Visa, visa_terms
from sojourn.core.quorum.certificates import certify
from sojourn.core.quorum.votes import Phase
from tests import samples
from tests.rulings import PureZone, World
from tests.samples import document, endorsement


@pytest.fixture
def world() -> World:
    return World("a", "b", "c")


def refused(reply: Reply | None, reason: str) -> bool:
    assert isinstance(reply, Declined | Voted), reply
    return isinstance(reply, Declined) and reply.reason == reason


def applied(world: World, **launch: Any) -> tuple[PureZone, PureZone, Certified, AskVisa]:
    """Launch an agent at a and have it apply at b, which holds all the blocks it needs."""
    a, b = world.zones[:2]
    head = world.launch(a, *launch.pop("documents", ()), **launch)
    ask = world.application(a, b, head)
    b.give(*head.record.governance.documents)
    return a, b, head, ask


# Granting


def test_section_5_a_quorum_of_votes_is_a_visa(world: World) -> None:
    _, b, head, ask = applied(world)
    visa = world.visa(b, ask)
    visa.check(head.record, b.manifest)
    assert 1 == visa.terms.term and head.record.agent_id == visa.terms.agent
    slot = replace(head.certificate.slot, group=b.zone, term=1, version=0)
    assert (slot, Phase.VISA) == (visa.certificate.slot, visa.certificate.phase)


def test_a_visa_is_no_custody_and_no_lock(world: World) -> None:
    _, b, head, ask = applied(world)
    world.visa(b, ask)
    dossier = b.anchors[0].dossier(head.record.agent_id)
    assert (None, None, 0, False) == (
        dossier.head,
        dossier.open,
        dossier.high_term,
        dossier.held,
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"realm": "production"}, "wrong-realm"),
        ({"agent": digest(b"another")}, "void-visa"),
        ({"from_zone": digest(b"nowhere")}, "void-visa"),
        ({"to_zone": digest(b"elsewhere")}, "void-visa"),
        ({"to_epoch": 1}, "void-visa"),
        ({"term": 0}, "closed-term"),
        ({"term": 2}, "void-visa"),
        ({"judged": digest(b"something else")}, "void-visa"),
        ({"deadline_ms": VISA_DEADLINE_MS + 1}, "refused"),
        ({"deadline_ms": 2**63 - 1}, "refused"),
        ({"host": samples.key("a/host/0").public}, "refused"),
    ],
)
def test_section_5_the_terms_are_those_of_the_head_that_is_shown(
    world: World, changes: dict[str, Any], reason: str
) -> None:
    _, b, head, ask = applied(world)
    wrong = replace(ask, terms=replace(ask.terms, **changes))
    assert refused(b.ask(0, wrong), reason)
    assert b.anchors[0].dossier(head.record.agent_id).application is None


def test_trap_13_an_application_without_its_past_is_none(world: World) -> None:
    _, b, head, ask = applied(world)
    twin = world.launch(world.zones[0], capabilities=replace(head.record.capabilities, entry="x:Y"))
    others = world.shown(world.zones[0].anchors[0].past(twin.record.agent_id), b)
    for changes, reason in (
        ({"chapters": ()}, "truncated"),
        ({"chapters": others}, "wrong-agent"),
        ({"head": twin}, "void-visa"),
        ({"chapters": ask.chapters * 2}, "bad-lineage"),
    ):
        assert refused(b.ask(0, replace(ask, **changes)), reason), changes


def test_trap_13_a_manifest_that_an_applicant_shows_speaks_for_no_other_zone(
    world: World,
) -> None:
    """Nobody here knows zone a: a thief shows a manifest that names a as its zone, in a later epoch."""
    a, b, head, ask = applied(world)
    del world.known.manifests[a.zone]
    thief = samples.found("thief")
    stolen = replace(thief.manifest, zone=a.zone, epoch=1, previous=a.manifest.digest)
    forged = samples.SampleZone(samples.signed(stolen), thief.hosts, thief.memberships)
    first = world.chapters_of(ask)[0]
    lies = [forged.certified(each.transition) for each in (first.opened, head)]
    wrong = replace(
        ask,
        head=lies[1],
        chapters=world.shown([replace(first, opened=lies[0])], b),
        manifests=(samples.signed(stolen),),
    )
    assert refused(b.ask(0, wrong), "bad-epoch")
    assert isinstance(b.ask(0, ask), Voted)


def test_a_zone_that_is_shown_and_not_known_speaks_for_itself(world: World) -> None:
    a, b, head, ask = applied(world)
    del world.known.manifests[a.zone]
    assert isinstance(b.ask(0, ask), Voted)
    assert refused(b.ask(0, replace(ask, manifests=())), "unknown-zone")
    spoilt = replace(a.sample.signed, seals=a.sample.signed.seals[::-1])
    assert refused(b.ask(0, replace(ask, manifests=(spoilt,))), "wrong-key")
    del head


def test_trap_40_a_zone_whose_manifest_has_expired_sends_and_takes_nobody(world: World) -> None:
    old = world.found("old", not_after_ms=world.clock.wall_ms + 1_000)
    b = world.zones[1]
    world.zones += [old]
    head, resident = world.launch(old), world.launch(b)
    out, into = world.application(old, b, head), world.application(b, old, resident)
    visa = world.visa(b, out)
    entry = world.visa(old, into)
    world.clock.pass_ms(1_000)
    assert refused(b.ask(0, out), "refused")
    departure = world.depart_proposal(b, old, resident, entry)
    slot = b.slot(departure, resident)
    assert refused(b.ask(0, Propose(slot=slot, round=0, proposal=departure)), "refused")
    visa.check(head.record, b.manifest)


def test_an_anchor_that_lacks_the_policies_asks_for_them(world: World) -> None:
    a, b = world.zones[:2]
    head = world.launch(a)
    ask = world.application(a, b, head)
    assert Need(what="blocks", digests=head.record.governance.documents) == b.ask(0, ask)


# What the target judges


def test_section_4_the_zones_own_policy_may_veto(world: World) -> None:
    strict = world.found(
        "strict", policy='permit (principal, action == Action::"execute", resource);'
    )
    world.zones[1] = strict
    _, b, _, ask = applied(world)
    assert refused(b.ask(0, ask), "denied")


@pytest.mark.parametrize(
    "cedar",
    [
        'permit (principal, action in [Action::"launch", Action::"execute"], resource);',
        'permit (principal, action, resource); forbid (principal, action == Action::"travel", resource);',
        'permit (principal, action, resource) when { resource.name == "a" };',
    ],
)
def test_section_4_the_agents_own_policy_may_veto(world: World, cedar: str) -> None:
    _, b, _, ask = applied(world, documents=(document(cedar),))
    assert refused(b.ask(0, ask), "denied")


@pytest.mark.parametrize(
    "cedar", ["", "permit (", "permit (principal, action, resource) when { nonsense };"]
)
def test_a_policy_that_cannot_be_evaluated_denies(world: World, cedar: str) -> None:
    """Its own zone let it in, but another zone's anchors judge by their own lights."""
    a, b = world.zones[:2]
    bad = document(cedar)
    world.known.library[digest_of(bad.document)] = bad.document
    born = samples.genesis(a.sample, bad)
    head = a.sample.certified(born.transition)
    opened = Chapter(opened=head, warrant=warrant_of(born))
    for anchor in a.anchors:
        anchor.dossiers[head.record.agent_id] = replace(
            anchor.dossier(head.record.agent_id), head=head, held=True
        )
        anchor.chapters[head.record.agent_id, 0] = opened
    b.give(*head.record.governance.documents)
    assert refused(b.ask(0, world.application(a, b, head)), "denied")


def test_section_4_trust_is_recomputed_by_the_target(world: World) -> None:
    _, b, _, ask = applied(world)
    world.known.endorsements[:] = [
        e for e in world.known.endorsements if e.endorsement.subject != b.zone
    ]
    assert refused(b.ask(0, ask), "denied")
    world.known.endorsements.append(endorsement(b.zone, 1))
    assert isinstance(b.ask(0, ask), Voted)


def test_section_4_a_document_outside_its_window_rules_nothing(world: World) -> None:
    until = world.clock.wall_ms + 1_000
    _, b, _, ask = applied(world, documents=(document(not_after_ms=until),))
    assert isinstance(b.ask(0, ask), Voted)
    world.clock.wall_ms = until
    assert refused(b.ask(0, ask), "outside-window")


@pytest.mark.parametrize(
    "requires",
    [Requirements(cpu_millis=10**6), Requirements(gpus=1), Requirements(packages=("x",))],
)
def test_section_5_the_host_can_run_what_it_is_promised_for(
    world: World, requires: Requirements
) -> None:
    at_home = world.known.envelopes[world.zones[0].zone]
    plenty = Offer(cpu_millis=10**6, memory_mib=1024, gpus=1, packages={"x": "1"}, slots=100)
    for host, envelope in at_home.items():
        at_home[host] = replace(envelope, offer=plenty)
    genesis = samples.genesis(world.zones[0].sample).transition.record
    _, b, _, ask = applied(world, capabilities=replace(genesis.capabilities, requires=requires))
    assert refused(b.ask(0, ask), "refused")


def test_section_5_a_full_host_takes_nobody(world: World) -> None:
    _, b, _, ask = applied(world)
    envelopes = world.known.envelopes[b.zone]
    offer = envelopes[ask.terms.host]
    envelopes[ask.terms.host] = replace(offer, offer=replace(offer.offer, slots=0))
    assert refused(b.ask(0, ask), "refused")
    envelopes[ask.terms.host] = replace(offer, expires_ms=world.clock.wall_ms)
    assert refused(b.ask(0, ask), "refused")


# Applying again


def test_an_agent_may_apply_again_as_it_goes_on(world: World) -> None:
    a, b, head, ask = applied(world)
    assert isinstance(b.ask(0, ask), Voted)
    newer = world.application(a, b, world.step(a, head))
    assert isinstance(b.ask(0, newer), Voted)
    assert newer == b.anchors[0].dossier(head.record.agent_id).application


def test_an_old_host_cannot_apply_for_what_the_agent_has_outgrown(world: World) -> None:
    """It knows a certified head of an earlier term: its application would displace the true one."""
    a, b, c = world.zones
    old = world.launch(a)
    stale = world.application(a, c, old)
    head = world.move(a, b, old)
    ask = world.application(b, c, head)
    visa = world.visa(c, ask)
    reply = c.ask(0, stale)
    assert refused(reply, "closed-term")
    assert isinstance(reply, Declined) and not reply.for_now
    assert ask == c.anchors[0].dossier(head.record.agent_id).application
    gone = world.decide(b, world.depart_proposal(b, c, head, visa), head)
    assert c.zone == world.arrive(c, gone, visa).record.custody.zone


def test_trap_21_a_closed_term_is_not_applied_for(world: World) -> None:
    a, b, head, ask = applied(world)
    world.move(b, a, world.move(a, b, head))
    assert refused(b.ask(0, ask), "closed-term")


# Void


PUBLIC = Memory(compartments={"m": Compartment(form=Form.LOG, root=ZERO, labels=("public",))})


@pytest.mark.parametrize(
    ("field", "is_void"),
    [
        ("governance", True),
        ("issuers", True),
        ("minimum", True),
        ("capabilities", True),
        ("labels", True),
        ("residency", True),
        ("events", False),
        ("journal", False),
        ("budgets", False),
        ("contents", False),
    ],
)
def test_section_5_later_steps_void_a_visa_only_by_changing_what_was_judged(
    world: World, field: str, is_void: bool
) -> None:
    a, b = world.zones[:2]
    head = world.launch(a, memory=PUBLIC)
    visa = world.visa(b, world.application(a, b, head))
    record = child(head.record, head.certificate.slot)
    compartment = record.memory.compartments["m"]
    memories = {
        "labels": replace(compartment, labels=("secret",)),
        "residency": replace(compartment, residency=("EU",)),
        "contents": replace(compartment, root=digest(b"new"), size=9),
    }
    changed: dict[str, dict[str, Any]] = {
        "governance": {"governance": replace(record.governance, version=2)},
        "issuers": {"trust": Trust(minimum=record.trust.minimum)},
        "minimum": {"trust": replace(record.trust, minimum={"travel": 2})},
        "capabilities": {"capabilities": replace(record.capabilities, entry="x:Y")},
        "events": {"trust": replace(record.trust, events={"z": Events(refused=1)})},
        "journal": {"memory": replace(record.memory, journal=digest(b"j"))},
        "budgets": {"eligibility": replace(record.eligibility, budgets={"n": Budget(limit=1)})},
    }
    if field in memories:
        changed[field] = {"memory": replace(record.memory, compartments={"m": memories[field]})}
    later = replace(record, **changed[field])
    if is_void:
        with pytest.raises(Rejected) as caught:
            visa.check(later, b.manifest)
        assert "void-visa" == caught.value.reason
    else:
        visa.check(later, b.manifest)


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        ("commit", "wrong-slot"),
        ("another slot", "wrong-slot"),
        ("another value", "wrong-value"),
        ("two votes", "no-quorum"),
        ("another's", "wrong-key"),
        ("other terms", "wrong-value"),
        ("round", "bad-signature"),
    ],
)
def test_section_4_check_8_a_visa_is_the_targets_certificate(
    world: World, spoilt: str, reason: str
) -> None:
    a, b, c = world.zones
    head = world.launch(a)
    visa = world.visa(b, world.application(a, b, head))
    slot, value = visa.certificate.slot, visa.digest
    longer = replace(visa.terms, deadline_ms=visa.terms.deadline_ms + 1)
    wrong: dict[str, Visa] = {
        "commit": replace(visa, certificate=b.sample.certificate(slot, value)),
        "another slot": replace(
            visa,
            certificate=b.sample.certificate(replace(slot, version=1), value, phase=Phase.VISA),
        ),
        "another value": replace(
            visa, certificate=b.sample.certificate(slot, digest(b"x"), phase=Phase.VISA)
        ),
        "two votes": replace(
            visa, certificate=replace(visa.certificate, votes=visa.certificate.votes[:2])
        ),
        "another's": replace(visa, certificate=c.sample.certificate(slot, value, phase=Phase.VISA)),
        "other terms": replace(visa, terms=longer),
        "round": replace(visa, certificate=replace(visa.certificate, round=1)),
    }
    with pytest.raises(Rejected) as caught:
        wrong[spoilt].check(head.record, b.manifest)
    assert reason == caught.value.reason


def test_trap_9_a_visa_is_named_by_its_terms(world: World) -> None:
    a, b, _ = world.zones
    head = world.launch(a)
    ask = world.application(a, b, head)
    visa = world.visa(b, ask)
    votes = [visa.certificate.vote(part) for part in visa.certificate.votes]
    fewer = replace(visa, certificate=certify(votes[1:], b.manifest.committee))
    assert visa.digest == fewer.digest == digest(encode(ask.terms))
    assert visa.terms == visa_terms(
        head.record, b.manifest, ask.terms.host, ask.terms.size, ask.terms.deadline_ms
    )
