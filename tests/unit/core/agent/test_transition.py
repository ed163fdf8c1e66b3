"""The change table (protocol §2): who may change what. The table here is written from the protocol, not the code."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from sojourn.core.agent.budgets import check_transition
from sojourn.core.agent.capabilities import Requirements
from sojourn.core.agent.eligibility import Ancestor, Budget, Pending, Status, Wake
from sojourn.core.agent.events import Events
from sojourn.core.agent.governance import Cooling, Matter
from sojourn.core.agent.lineage import Fork, Lineage
from sojourn.core.agent.memory.field import Compartment, Form
from sojourn.core.agent.orders import MATTERS, Act
from sojourn.core.agent.record import AgentRecord, Custody
from sojourn.core.agent.transition import (
    CHANGES,
    Transition,
    TransitionKind,
    check_change,
    check_genesis,
    next_lineage,
)
from sojourn.core.agent.trust import TrustedIssuer
from sojourn.core.agent.upgrading import vouched_by
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.errors import Denied, Rejected
from tests.samples import key
from tests.unit.core.agent.records import (
    ACTIVE,
    AWAY,
    BORN,
    BOUND,
    GONE,
    HOME,
    HOST,
    MEMORY,
    OTHER_HOST,
    PAIRS,
    PUBLISHER,
    SOME_ZONE,
    changed,
    following,
    ordered,
    slot_of,
    upgrade_to,
)

KINDS = [kind for kind in TransitionKind if kind is not TransitionKind.GENESIS]
SPENT = {"orders": Budget(limit=10, spent=5), "cost_micros": Budget(limit=100, spent=50)}
REWRITTEN = MEMORY.compartments | {
    "here": replace(MEMORY.compartments["here"], root=digest(b"next"), size=9)
}
CARRIED_HOME = MEMORY.compartments | {
    "here": replace(MEMORY.compartments["here"], held_by=HOME.zone)
}

FLIPPED, LATER = object(), object()
MUTATIONS: dict[str, Any] = {
    "realm": "production",
    "agent": digest(b"another agent"),
    "version": 99,
    "parent": digest(b"another parent"),
    "custody__zone": digest(b"another zone"),
    "custody__term": 98,
    "custody__binding": 97,
    "custody__host": key("any host").public,
    "migration": replace(GONE.migration, visa=digest(b"another visa")) if GONE.migration else None,
    "governance__documents": (digest(b"another policy"),),
    "governance__version": 9,
    "governance__ordered_ms": LATER,
    "governance__issuer": digest(b"another issuer"),
    "governance__cooling": (Cooling(documents=(digest(b"a policy before"),), until_ms=9),),
    "memory__compartments": REWRITTEN,
    "memory__journal": digest(b"another journal"),
    "memory__inbox": digest(b"another inbox"),
    "memory__outbox": digest(b"another outbox"),
    "lineage__frontier": (digest(b"another past"),),
    "lineage__count": 77,
    "lineage__custody": digest(b"another link"),
    "lineage__last_slot": slot_of(BORN),
    "lineage__parentage": digest(b"another parentage"),
    "lineage__forked": Fork(agent=digest(b"origin"), version=1, record=digest(b"then")),
    "eligibility__status": Status.DORMANT,
    "eligibility__is_suspended": FLIPPED,
    "eligibility__is_quarantined": FLIPPED,
    "eligibility__wake": (Wake(on_message=True),),
    "eligibility__budgets": SPENT,
    "eligibility__uncharged_since_ms": 5,
    "eligibility__last_decision": digest(b"a decision"),
    "eligibility__petitions": (),
    "eligibility__ancestors": (Ancestor(agent=digest(b"another ancestor")),),
    "eligibility__children": 7,
    "trust__issuers": (TrustedIssuer(name="mallory", key=key("mallory").public),),
    "trust__minimum": {"travel": 0},
    "trust__events": {SOME_ZONE: Events(refused=3)},
    "capabilities__requires": Requirements(gpus=1),
    "capabilities__code": digest(b"another code"),
    "capabilities__entry": "other:Agent",
    "capabilities__publisher": key("another publisher").public,
    "capabilities__offers": ("another skill",),
    "capabilities__appraisal": digest(b"another appraisal"),
    "capabilities__vouched": vouched_by(PUBLISHER, digest(b"another code")),
    "capabilities__adopted": ordered(upgrade_to(digest(b"yet another code"))),
    "capabilities__upgrade": ordered(upgrade_to(digest(b"yet another code"))),
}
"""For every field a change that would be fine in itself, if only this transition may make it."""

ORDERED = "governance__ordered_ms"
ORDERS = [TransitionKind(act) for act in Act]
ALLOWED: dict[TransitionKind, set[str]] = {
    TransitionKind.STEP: {
        "memory__compartments",
        "memory__journal",
        "memory__inbox",
        "memory__outbox",
        "eligibility__status",
        "eligibility__wake",
        "eligibility__budgets",
        "eligibility__last_decision",
        "eligibility__petitions",
    },
    TransitionKind.ADOPT: {
        "memory__compartments",
        "memory__journal",
        "memory__inbox",
        "memory__outbox",
        "eligibility__status",
        "eligibility__wake",
        "eligibility__budgets",
        "eligibility__last_decision",
        "eligibility__petitions",
    },
    TransitionKind.INTEND: {
        "memory__outbox",
        "memory__journal",
        "eligibility__budgets",
        "eligibility__last_decision",
        "eligibility__petitions",
    },
    TransitionKind.ASK: {"memory__journal"},
    TransitionKind.SPAWN: {"memory__journal", "eligibility__last_decision"},
    TransitionKind.BIND: {"custody__host"},
    TransitionKind.DEPART: {"migration"},
    TransitionKind.ADMIT: {"custody__host", "eligibility__status"},
    TransitionKind.REFUSE: set(),
    TransitionKind.RETURN: {"custody__host", "eligibility__status"},
    TransitionKind.AMEND: {"governance__documents", "governance__cooling"},
    TransitionKind.ACCUSE: set(),
    **{kind: {ORDERED} for kind in ORDERS},
    TransitionKind.UPGRADE: {"capabilities__upgrade"},
}
"""What may differ from the plainest child (whose fence, status and migration are the row's only ones)."""


def mutated(record: AgentRecord, *fields: str) -> AgentRecord:
    """Return a record with fields changed: as `MUTATIONS` says, or to the other of two values."""
    changes = {field: MUTATIONS[field] for field in fields}
    changes |= {f: not _value(record, f) for f in fields if MUTATIONS[f] is FLIPPED}
    changes |= {f: _later(_value(record, f)) for f in fields if MUTATIONS[f] is LATER}
    return changed(record, **changes)


def _later(ordered_ms: dict[Matter, int]) -> dict[Matter, int]:
    return dict.fromkeys(ordered_ms or (Matter.EVENTS,), 9)


def _value(record: AgentRecord, field: str) -> Any:
    name, _, part = field.partition("__")
    return getattr(getattr(record, name), part)


def is_accepted(kind: TransitionKind, old: AgentRecord, new: AgentRecord) -> bool:
    made = Transition(kind=kind, parent=old.digest, record=new, author=HOST, at_ms=0)
    try:
        check_transition(made, old, slot_of(old))
    except (Denied, Rejected):
        return False
    return True


def reason_of(kind: TransitionKind, old: AgentRecord, new: AgentRecord) -> str:
    with pytest.raises(Rejected) as caught:
        check_change(kind, old, new, slot_of(old))
    return caught.value.reason


def test_the_mutations_are_of_every_field_there_is() -> None:
    whole = {"realm", "agent", "version", "parent", "migration"}
    parts = {
        f"{field}__{part}"
        for field in AgentRecord.__struct_fields__
        if field not in whole
        for part in getattr(BORN, field).__struct_fields__
    }
    assert whole | parts == set(MUTATIONS)


def test_the_table_has_a_row_for_every_kind_but_the_first() -> None:
    assert set(KINDS) == set(CHANGES) == set(ALLOWED)


@pytest.mark.parametrize("kind", KINDS)
def test_section_2_the_plainest_child_is_accepted(kind: TransitionKind) -> None:
    old, new = PAIRS[kind]
    check_change(kind, old, new, slot_of(old))


@pytest.mark.parametrize("field", MUTATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_trap_42_only_the_fields_of_its_row_may_change(kind: TransitionKind, field: str) -> None:
    old, new = PAIRS[kind]
    made = mutated(new, field)
    assert made != new
    assert (field in ALLOWED[kind]) == is_accepted(kind, old, made)


@pytest.mark.parametrize("act", Act)
def test_section_8_an_order_is_noted_in_its_own_matter_and_in_no_other(act: Act) -> None:
    kind = TransitionKind(act)
    old, new = PAIRS[kind]
    for matter in Matter:
        known = {**new.governance.ordered_ms, matter: 9}
        made = _said_at(changed(new, governance__ordered_ms=known))
        assert (matter is MATTERS[act]) == is_accepted(kind, old, made), matter
    was = changed(old, governance__ordered_ms=dict.fromkeys(Matter, 4))
    for known, is_fine in (
        ({**was.governance.ordered_ms, MATTERS[act]: 5}, True),
        ({**was.governance.ordered_ms, MATTERS[act]: 4}, False),
        ({MATTERS[act]: 5}, False),
    ):
        made = _said_at(changed(following(was), governance__ordered_ms=known, **_rest(new)))
        assert is_fine == is_accepted(kind, was, made), known


def _said_at(new: AgentRecord) -> AgentRecord:
    """Return a record whose upgrade, if one waits, was ordered when the newest order about code was issued."""
    if new.capabilities.upgrade is UNSET:
        return new
    issued_ms = new.governance.last_ordered_ms(Matter.CODE)
    return changed(new, capabilities__upgrade=ordered(new.capabilities.upgrade.upgrade, issued_ms))


def _rest(new: AgentRecord) -> dict[str, Any]:
    names = ("eligibility", "trust", "memory", "capabilities")
    return {name: getattr(new, name) for name in names}


@given(st.sampled_from(KINDS), st.sets(st.sampled_from(sorted(MUTATIONS)), min_size=1, max_size=5))
def test_trap_42_one_forbidden_field_among_many_is_found(
    kind: TransitionKind, fields: set[str]
) -> None:
    old, new = PAIRS[kind]
    assert (fields <= ALLOWED[kind]) == is_accepted(kind, old, mutated(new, *fields))


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_passes_for_another(kind: TransitionKind) -> None:
    old, new = PAIRS[kind]
    same = {TransitionKind.STEP, TransitionKind.INTEND}
    passing = {other for other in KINDS if is_accepted(other, old, new)}
    assert passing == (same if kind in same else {kind})


def test_a_genesis_follows_nothing() -> None:
    """A zone of liars may certify one as the opening of a later term."""
    assert "wrong-kind" == reason_of(TransitionKind.GENESIS, ACTIVE, following(ACTIVE))


# Status


STILL = {(Status.ACTIVE, Status.ACTIVE), (Status.DORMANT, Status.DORMANT)}
LEGAL: dict[TransitionKind, set[tuple[Status, Status]]] = {
    TransitionKind.STEP: {
        (Status.ACTIVE, Status.ACTIVE),
        (Status.ACTIVE, Status.DORMANT),
        (Status.DORMANT, Status.ACTIVE),
        (Status.DORMANT, Status.DORMANT),
    },
    TransitionKind.INTEND: {(Status.ACTIVE, Status.ACTIVE)},
    TransitionKind.ASK: {(Status.ACTIVE, Status.ACTIVE)},
    TransitionKind.BIND: STILL,
    TransitionKind.DEPART: {
        (Status.ACTIVE, Status.DEPARTED),
        (Status.DORMANT, Status.DEPARTED),
    },
    TransitionKind.ADMIT: {
        (Status.DEPARTED, Status.ACTIVE),
        (Status.DEPARTED, Status.DORMANT),
    },
    TransitionKind.RETURN: {
        (Status.DEPARTED, Status.ACTIVE),
        (Status.DEPARTED, Status.DORMANT),
    },
    TransitionKind.AMEND: STILL,
    TransitionKind.ACCUSE: STILL,
    TransitionKind.SUSPEND: STILL,
    TransitionKind.RESUME: STILL,
    TransitionKind.QUARANTINE: STILL,
    TransitionKind.LIFT: STILL,
    TransitionKind.FORGIVE: STILL,
    TransitionKind.RETIRE: {(Status.ACTIVE, Status.RETIRED), (Status.DORMANT, Status.RETIRED)},
    TransitionKind.REVOKE: {(Status.ACTIVE, Status.REVOKED), (Status.DORMANT, Status.REVOKED)},
    TransitionKind.GRANT: STILL,
    TransitionKind.ERASE: STILL,
}


@pytest.mark.parametrize("after", Status)
@pytest.mark.parametrize("before", Status)
@pytest.mark.parametrize("kind", LEGAL)
def test_section_4_check_6_a_status_leads_only_where_its_row_says(
    kind: TransitionKind, before: Status, after: Status
) -> None:
    old, new = PAIRS[kind]
    parent = changed(old, eligibility__status=before)
    made = changed(
        following(parent),
        custody=new.custody,
        migration=new.migration,
        governance=new.governance,
        eligibility=replace(new.eligibility, status=after),
        trust=new.trust,
        memory=new.memory,
    )
    assert ((before, after) in LEGAL[kind]) == is_accepted(kind, parent, made)


@pytest.mark.parametrize("status", [Status.RETIRED, Status.REVOKED])
@pytest.mark.parametrize("kind", LEGAL)
def test_section_4_check_6_nothing_follows_the_end(kind: TransitionKind, status: Status) -> None:
    parent = changed(PAIRS[kind][0], eligibility__status=status)
    assert "bad-status" == reason_of(kind, parent, following(parent))


# Petitions

ONE, TWO, THREE = (
    Pending(petition=digest(name), expires_ms=9) for name in (b"one", b"two", b"three")
)


@pytest.mark.parametrize(
    ("kind", "before", "after", "fits"),
    [
        (TransitionKind.ASK, (ONE,), (ONE, TWO), True),
        (TransitionKind.ASK, (), (ONE,), True),
        (TransitionKind.ASK, (ONE,), (TWO, ONE), False),
        (TransitionKind.ASK, (ONE,), (ONE, TWO, THREE), False),
        (TransitionKind.ASK, (ONE,), (ONE, ONE), False),
        (TransitionKind.ASK, (ONE, TWO), (ONE, THREE), False),
        (TransitionKind.ASK, (ONE,), (ONE,), False),
        (TransitionKind.INTEND, (ONE, TWO), (TWO,), True),
        (TransitionKind.INTEND, (ONE, TWO), (), True),
        (TransitionKind.INTEND, (ONE,), (ONE, TWO), False),
        (TransitionKind.INTEND, (ONE, TWO), (TWO, ONE), False),
        (TransitionKind.INTEND, (ONE,), (replace(ONE, expires_ms=99),), False),
        (TransitionKind.STEP, (ONE, TWO), (ONE,), True),
        (TransitionKind.STEP, (), (ONE,), False),
    ],
)
def test_section_2_only_to_ask_adds_a_petition_and_one_alone(
    kind: TransitionKind, before: Any, after: Any, fits: bool
) -> None:
    old = changed(ACTIVE, eligibility__petitions=before)
    new = following(old, eligibility__petitions=after)
    assert fits == is_accepted(kind, old, new)


# Succession


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("realm", "wrong-agent"),
        ("agent", "wrong-agent"),
        ("version", "wrong-version"),
        ("parent", "wrong-parent"),
        ("lineage__frontier", "bad-lineage"),
        ("lineage__count", "bad-lineage"),
        ("lineage__custody", "bad-lineage"),
        ("lineage__last_slot", "bad-lineage"),
    ],
)
def test_section_4_check_2_the_child_follows_its_parent(field: str, reason: str) -> None:
    _, new = PAIRS[TransitionKind.STEP]
    mutated = changed(new, **{field: MUTATIONS[field]})
    assert reason == reason_of(TransitionKind.STEP, ACTIVE, mutated)


def test_the_agent_of_a_child_of_genesis_is_the_digest_of_genesis() -> None:
    assert BORN.digest == BOUND.agent == BOUND.agent_id
    assert ZERO == BORN.agent


@pytest.mark.parametrize("frontier", [(), (digest(b"a"), digest(b"b"), digest(b"c"))])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 6, 2**62 - 1, 2**63 - 1])
def test_a_parent_with_a_past_that_cannot_be_is_rejected_and_breaks_nothing(
    count: int, frontier: tuple[bytes, ...]
) -> None:
    """Anybody may show a parent of their own making: it is checked before its certificate is."""
    if len(frontier) == count.bit_count():
        return
    parent = changed(ACTIVE, lineage__count=count, lineage__frontier=frontier)
    child = replace(ACTIVE, agent=parent.agent_id, version=parent.version + 1, parent=parent.digest)
    assert "bad-lineage" == reason_of(TransitionKind.STEP, parent, child)


# Custody: the fence


@pytest.mark.parametrize("binding", [0, 1, 3])
def test_section_2_bind_raises_the_binding_by_exactly_one(binding: int) -> None:
    new = following(ACTIVE, custody__binding=binding, custody__host=OTHER_HOST)
    assert "bad-change" == reason_of(TransitionKind.BIND, ACTIVE, new)


def test_section_2_bind_names_a_host() -> None:
    new = following(ACTIVE, custody__binding=2, custody__host=None)
    assert "bad-change" == reason_of(TransitionKind.BIND, ACTIVE, new)


@pytest.mark.parametrize(
    ("zone", "term", "binding"),
    [
        (HOME.zone, 1, 0),
        (digest(b"a third zone"), 1, 0),
        (AWAY.zone, 0, 0),
        (AWAY.zone, 2, 0),
        (AWAY.zone, 1, 1),
    ],
    ids=["home", "a third zone", "the old term", "a later term", "another binding"],
)
def test_trap_20_admission_is_into_the_zone_and_term_that_were_named(
    zone: bytes, term: int, binding: int
) -> None:
    _, new = PAIRS[TransitionKind.ADMIT]
    custody = Custody(zone=zone, term=term, binding=binding, host=HOST)
    mutated = replace(new, custody=custody)
    assert "bad-change" == reason_of(TransitionKind.ADMIT, GONE, mutated)


@pytest.mark.parametrize(
    ("zone", "term", "binding"),
    [(AWAY.zone, 2, 0), (HOME.zone, 1, 0), (HOME.zone, 3, 0), (HOME.zone, 2, 1)],
    ids=["the target", "the refused term", "a later term", "another binding"],
)
def test_section_2_a_return_is_home_in_the_term_after_the_refused_one(
    zone: bytes, term: int, binding: int
) -> None:
    _, new = PAIRS[TransitionKind.RETURN]
    custody = Custody(zone=zone, term=term, binding=binding, host=HOST)
    mutated = replace(new, custody=custody)
    assert "bad-change" == reason_of(TransitionKind.RETURN, GONE, mutated)


@pytest.mark.parametrize("kind", [TransitionKind.ADMIT, TransitionKind.RETURN])
def test_section_2_admission_and_return_end_the_migration(kind: TransitionKind) -> None:
    old, new = PAIRS[kind]
    assert "bad-change" == reason_of(kind, old, replace(new, migration=old.migration))


@pytest.mark.parametrize("next_term", [0, 2, 2**62])
def test_section_2_a_departure_reserves_the_next_term(next_term: int) -> None:
    assert GONE.migration is not None
    mutated = replace(GONE, migration=replace(GONE.migration, next_term=next_term))
    assert "bad-change" == reason_of(TransitionKind.DEPART, ACTIVE, mutated)


def test_section_2_a_departure_says_where_to() -> None:
    mutated = replace(GONE, migration=None)
    assert "bad-change" == reason_of(TransitionKind.DEPART, ACTIVE, mutated)


@pytest.mark.parametrize("field", MUTATIONS)
def test_section_2_a_refusal_makes_no_version(field: str) -> None:
    assert "bad-change" == reason_of(
        TransitionKind.REFUSE, GONE, changed(GONE, **{field: MUTATIONS[field]})
    )


# Memory


def test_section_2_admission_may_change_nothing_of_a_compartment_but_its_holder() -> None:
    old, new = PAIRS[TransitionKind.ADMIT]
    check_change(
        TransitionKind.ADMIT, old, changed(new, memory__compartments=CARRIED_HOME), slot_of(old)
    )
    fewer = {"here": MEMORY.compartments["here"]}
    more = MEMORY.compartments | {"new": Compartment(form=Form.LOG, root=ZERO)}
    for compartments in (REWRITTEN, fewer, more):
        mutated = changed(new, memory__compartments=compartments)
        assert "bad-change" == reason_of(TransitionKind.ADMIT, old, mutated)


@pytest.mark.parametrize("part", ["labels", "residency", "form", "held_by"])
@pytest.mark.parametrize("name", ["here", "away"])
def test_section_4_a_step_may_not_relabel(name: str, part: str) -> None:
    others: dict[str, Any] = {
        "labels": ("secret",),
        "residency": ("EU",),
        "form": Form.LOG if name == "here" else Form.MAPPING,
        "held_by": HOME.zone,
    }
    compartment = replace(MEMORY.compartments[name], **{part: others[part]})
    mutated = following(ACTIVE, memory__compartments=MEMORY.compartments | {name: compartment})
    assert "bad-change" == reason_of(TransitionKind.STEP, ACTIVE, mutated)


def test_a_step_may_add_a_compartment_but_not_one_that_is_held_elsewhere() -> None:
    """Nobody would have to store it here, and nobody there ever had it (trap 23)."""
    new = Compartment(form=Form.LOG, root=digest(b"new"), labels=("public",))
    added = following(ACTIVE, memory__compartments=MEMORY.compartments | {"new": new})
    check_change(TransitionKind.STEP, ACTIVE, added, slot_of(ACTIVE))
    away = replace(new, held_by=AWAY.zone)
    mutated = following(ACTIVE, memory__compartments=MEMORY.compartments | {"new": away})
    assert "bad-change" == reason_of(TransitionKind.STEP, ACTIVE, mutated)


def test_a_step_may_not_drop_a_compartment() -> None:
    mutated = following(ACTIVE, memory__compartments={"here": MEMORY.compartments["here"]})
    assert "bad-change" == reason_of(TransitionKind.STEP, ACTIVE, mutated)


# Genesis


def first(**changes: Any) -> AgentRecord:
    """Return a genesis with all its memory where it is born, changed."""
    here = {"here": MEMORY.compartments["here"]}
    return changed(changed(BORN, memory__compartments=here), **changes)


def test_a_genesis_is_accepted() -> None:
    check_genesis(first())


def test_two_agents_may_differ_by_chance_alone() -> None:
    twins = [first(parent=digest(chance)) for chance in (b"one", b"two")]
    for twin in twins:
        check_genesis(twin)
    assert twins[0].agent_id != twins[1].agent_id


@pytest.mark.parametrize(
    "changes",
    [
        {"agent": digest(b"me")},
        {"version": 1},
        {"custody__term": 1},
        {"custody__binding": 1},
        {"custody__host": HOST},
        {"migration": GONE.migration},
        {"lineage": Lineage(count=1, frontier=(digest(b"past"),))},
        {"lineage__frontier": (digest(b"past"),)},
        {"lineage__custody": digest(b"link")},
        {"lineage__last_slot": slot_of(BORN)},
        {"eligibility__budgets": {"calls": Budget(limit=2, spent=1)}},
        {"eligibility__last_decision": digest(b"decision")},
        {"trust__events": {"zone": 1}},
        *(
            {"eligibility__status": status}
            for status in Status
            if status not in ("active", "dormant")
        ),
    ],
    ids=lambda changes: ",".join(f"{k}={v}"[:40] for k, v in changes.items()),
)
def test_section_2_a_genesis_has_nothing_behind_it(changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        check_genesis(first(**changes))


def test_section_2_a_genesis_holds_all_its_memory_where_it_is_born() -> None:
    with pytest.raises(Rejected):
        check_genesis(first(memory__compartments=MEMORY.compartments))


# Digests


@given(st.sampled_from(sorted(MUTATIONS)))
def test_every_field_is_part_of_the_digest(field: str) -> None:
    assert ACTIVE.digest != mutated(ACTIVE, field).digest


def test_a_changed_copy_does_not_keep_the_digest_of_the_original() -> None:
    first = ACTIVE.digest
    assert first != replace(ACTIVE, version=7).digest
    assert first == replace(replace(ACTIVE, version=7), version=ACTIVE.version).digest


def test_next_lineage_counts_every_version_once() -> None:
    assert [0, 1, 2, 3] == [r.lineage.count for r in (BORN, BOUND, ACTIVE, GONE)]
    assert next_lineage(ACTIVE, slot_of(ACTIVE)) == GONE.lineage


# Erasure


def test_section_2_an_erasure_destroys_a_key_and_changes_nothing_else_of_memory() -> None:
    old, new = PAIRS[TransitionKind.ERASE]
    idle = following(old, governance__ordered_ms=5)
    assert "bad-change" == reason_of(TransitionKind.ERASE, old, idle)
    secret = new.memory.compartments["secret"]
    for name, wrong in (
        ("secret", replace(secret, root=digest(b"another"))),
        ("secret", replace(secret, encryption=None)),
        ("here", replace(new.memory.compartments["here"], labels=())),
        ("new", secret),
    ):
        compartments = {**new.memory.compartments, name: wrong}
        made = changed(new, memory__compartments=compartments)
        assert "bad-change" == reason_of(TransitionKind.ERASE, old, made), name


@pytest.mark.parametrize("kind", [TransitionKind.STEP, TransitionKind.GRANT])
def test_nothing_else_erases(kind: TransitionKind) -> None:
    old, new = PAIRS[TransitionKind.ERASE]
    made = changed(PAIRS[kind][1], memory=new.memory)
    assert "bad-change" == reason_of(kind, PAIRS[kind][0], made)
    assert old.memory != new.memory
