"""Transitions: one link of lineage, held against the record it follows."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Final

from msgspec import UNSET, convert
from msgspec.structs import replace

from sojourn.core.agent.budgets import check_transition
from sojourn.core.agent.eligibility import Ancestor, Budget, Status
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import (
    Transition,
    TransitionKind,
    changed_fields,
    check_genesis,
)
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import RECORD_BYTES_MAX, TRANSITION_BYTES_MAX
from sojourn.core.protocol.custody import Certified
from sojourn.core.quorum.votes import Slot
from tests.conformance import journey
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.kinds.vote import slot_summary
from tests.conformance.spoiled import fields_of, spoiled, with_fields
from tests.samples import key
from tests.unit.core.agent.records import changed

AT: Final = "transition"
STEP: Final = journey.STEP.transition
DECLARED: Final[Json] = {"declared": journey.INTENT.declared}


def given_parent(parent: Certified | None) -> Json:
    """Return what a transition is held against: its parent's record, and the slot that decided it."""
    if parent is None:
        return {"parent": None, "slot": None}
    slot = slot_summary(parent.certificate.slot)
    return {"parent": encode(parent.record).hex(), "slot": slot}


def read_slot(written: Json) -> Slot:
    """Return a slot as the files write it."""
    digests = {name: bytes.fromhex(written[name]) for name in ("group", "agent")}
    return convert(written | digests, Slot)


def _check(data: bytes, given: Json) -> Json:
    transition = decode(data, Transition, what=AT, limit=TRANSITION_BYTES_MAX)
    if given["parent"] is None:
        check_genesis(transition.record)
        return {"digest": transition.digest.hex(), "kind": str(transition.kind), "changed": None}
    held = bytes.fromhex(given["parent"])
    parent = decode(held, AgentRecord, what="parent", limit=RECORD_BYTES_MAX)
    if transition.parent != parent.digest:
        raise Rejected("it follows another record", reason="wrong-parent", where=f"{AT}.parent")
    check_transition(transition, parent, read_slot(given["slot"]), given.get("declared", {}))
    return {
        "digest": transition.digest.hex(),
        "kind": str(transition.kind),
        "changed": sorted(changed_fields(parent, transition.record)),
    }


def _child_fork(**ancestor: bool) -> Transition:
    """Return the genesis of a fork of a child, whose ancestor is as the flags say."""
    fork = journey.FORK.transition
    above = (Ancestor(agent=digest(b"an ancestor"), **ancestor),)
    proof = digest(b"what proves its origin")
    record = changed(fork.record, eligibility__ancestors=above, lineage__parentage=proof)
    return replace(fork, record=record)


def _valid() -> Iterator[Case]:
    for name, made, parent in (
        ("a genesis", journey.BORN, None),
        ("a bind", journey.BOUND, journey.BORN),
        ("a step", journey.STEPPED, journey.BOUND),
        ("a departure, by a clock that is behind", journey.GONE, journey.STEPPED),
        ("an admission", journey.ADMITTED, journey.GONE),
        ("a refusal, which makes no version", journey.REFUSAL, journey.GONE_AGAIN),
        ("a return", journey.RETURNED, journey.GONE_AGAIN),
        ("an amendment", journey.AMENDED, journey.BOUND),
        ("an upgrade that is ordered", journey.UPGRADED, journey.BOUND),
    ):
        yield Case(name=name, data=encode(made.transition), given=given_parent(parent))
    ordered = given_parent(journey.UPGRADED)
    yield Case(
        name="an adoption of the code that was ordered",
        data=encode(journey.ADOPTION.transition),
        given=ordered,
    )
    fork = encode(journey.FORK.transition)
    yield Case(name="a fork's genesis", data=fork, given=given_parent(None))
    fork = encode(_child_fork())
    yield Case(name="the genesis of a fork of a child", data=fork, given=given_parent(None))
    given = given_parent(journey.BOUND) | DECLARED
    yield Case(name="an intent", data=encode(journey.INTENDED.transition), given=given)


def _miscounted() -> Iterator[Case]:
    """Yield transitions that do not spend what they must, and one that wastes what is counted."""
    intent, gone = journey.INTENDED.transition, journey.GONE.transition
    cases: list[tuple[str, Transition, Certified, str, int]] = [
        ("a step that counts no step", STEP, journey.BOUND, "steps", -1),
        ("a step that takes no time", STEP, journey.BOUND, "wall_ms", -5_000),
        ("a step that takes less time", STEP, journey.BOUND, "wall_ms", -1),
        ("a step that takes more time", STEP, journey.BOUND, "wall_ms", 1),
        ("a step that counts a call", STEP, journey.BOUND, "calls", 1),
        ("an intent that is no call", intent, journey.BOUND, "calls", -1),
        ("an intent that costs less than it says", intent, journey.BOUND, "cost_micros", -1),
        ("an intent that takes fewer tokens than it says", intent, journey.BOUND, "tokens", -20),
        ("a departure that is no hop", gone, journey.STEPPED, "hops", -1),
        ("a departure that spends the application's own", gone, journey.STEPPED, "orders", 1),
    ]
    for name, made, parent, budget, by in cases:
        budgets = made.record.eligibility.budgets
        told = replace(budgets[budget], spent=budgets[budget].spent + by)
        record = changed(made.record, eligibility__budgets=budgets | {budget: told})
        given = given_parent(parent) | (DECLARED if made is intent else {})
        expect = {"reason": "miscounted", "where": f"eligibility.budgets.{budget}"}
        yield Case(name=name, data=encode(replace(made, record=record)), given=given, expect=expect)
    since = changed(STEP.record, eligibility__uncharged_since_ms=None)
    expect = {"reason": "miscounted", "where": "eligibility.uncharged_since_ms"}
    given = given_parent(journey.BOUND)
    yield Case(
        name="a step after which no time counts",
        data=encode(replace(STEP, record=since)),
        given=given,
        expect=expect,
    )


def _mutated() -> Iterator[tuple[str, Transition, Certified | None, str, str]]:
    """Yield transitions that change what theirs may not, with the reason and the place."""
    memory = STEP.record.memory
    relabelled = replace(memory.compartments["risk"], labels=())
    fewer = {"risk": memory.compartments["risk"]}
    budgets = STEP.record.eligibility.budgets
    steps: list[tuple[str, dict[str, Any], str, str]] = [
        (
            "a step that changes the policy",
            {"governance__version": 2},
            "bad-change",
            "governance.version",
        ),
        (
            "a step that changes its code",
            {"capabilities__code": ZERO},
            "bad-change",
            "capabilities",
        ),
        (
            "a step that changes whom it trusts",
            {"trust__issuers": ()},
            "bad-change",
            "trust.issuers",
        ),
        (
            "a step that changes hosts",
            {"custody__host": key("x").public},
            "bad-change",
            "custody.host",
        ),
        ("a step that opens a term", {"custody__term": 1}, "bad-change", "custody.term"),
        (
            "a step that drops a compartment",
            {"memory__compartments": fewer},
            "bad-change",
            "memory",
        ),
        (
            "a step that relabels a compartment",
            {"memory__compartments": memory.compartments | {"risk": relabelled}},
            "bad-change",
            "memory.risk",
        ),
        (
            "a step that overspends",
            {"eligibility__budgets": budgets | {"orders": Budget(limit=100, spent=101)}},
            "over-budget",
            "eligibility.budgets.orders",
        ),
        (
            "a step that raises its limit",
            {"eligibility__budgets": budgets | {"orders": Budget(limit=101, spent=3)}},
            "bad-change",
            "eligibility.budgets.orders",
        ),
        (
            "a step that retires",
            {"eligibility__status": Status.RETIRED},
            "bad-status",
            "eligibility.status",
        ),
        ("a version left out", {"version": 3}, "wrong-version", "version"),
        ("another agent's record", {"agent": digest(b"x")}, "wrong-agent", "agent"),
        ("another realm", {"realm": "production"}, "wrong-agent", "agent"),
        ("a record with another parent", {"parent": ZERO}, "wrong-parent", "parent"),
        ("a rewritten past", {"lineage__count": 7}, "bad-lineage", "lineage"),
    ]
    for name, changes, reason, where in steps:
        made = replace(STEP, record=changed(STEP.record, **changes))
        yield name, made, journey.BOUND, reason, where
    admission = journey.ADMITTED.transition
    elsewhere = changed(admission.record, custody__zone=journey.HOME.zone)
    made = replace(admission, record=elsewhere)
    yield "an admission elsewhere", made, journey.GONE, "bad-change", "custody"
    late = changed(admission.record, custody__term=2)
    yield (
        "an admission later",
        replace(admission, record=late),
        journey.GONE,
        "bad-change",
        "custody",
    )
    again = replace(STEP, kind=TransitionKind.GENESIS)
    yield "a genesis in the middle", again, journey.BOUND, "wrong-kind", "kind"
    yield (
        "a step taken for a bind",
        replace(STEP, kind=TransitionKind.BIND),
        journey.BOUND,
        "bad-change",
        "memory.journal",
    )
    amendment = journey.AMENDED.transition
    for name, changes, where in (
        (
            "an amendment of nothing",
            {"governance__documents": journey.BOUND.record.governance.documents},
            "governance.documents",
        ),
        (
            "an amendment with one document more",
            {"governance__documents": amendment.record.governance.documents * 2},
            "governance.documents",
        ),
        ("an amendment that is not counted", {"governance__version": 1}, "governance.version"),
        ("an amendment to another issuer", {"governance__issuer": ZERO}, "governance.issuer"),
        ("an amendment that lets it sleep", {"eligibility__wake": ()}, "eligibility.wake"),
    ):
        made = replace(amendment, record=changed(amendment.record, **changes))
        yield name, made, journey.BOUND, "bad-change", where
    old = replace(journey.BORN.transition, record=changed(journey.BORN.record, version=1))
    yield "a genesis with a version behind it", old, None, "bad-change", "record"


def _misforked() -> Iterator[tuple[str, Transition, None, str, str]]:
    """Yield geneses of forks of children that no child has."""
    fork = _child_fork(is_suspended=True)
    for name, changes, where in (
        ("a fork of a child that nothing proves", {"lineage__parentage": None}, "lineage"),
        ("a fork of a child that has no ancestors", {"eligibility__ancestors": ()}, "lineage"),
        (
            "a fork of a child that is suspended itself",
            {"eligibility__is_suspended": True},
            "governance.ordered_ms",
        ),
    ):
        made = replace(fork, record=changed(fork.record, **changes))
        yield name, made, None, "bad-change", where
    alone = _child_fork(is_quarantined=True)
    yield "a fork of a child in quarantine", alone, None, "bad-change", "governance.ordered_ms"
    spawned = replace(fork, record=changed(fork.record, lineage__forked=UNSET))
    where = "governance.ordered_ms"
    yield "a child of a suspended parent", spawned, None, "bad-change", where


def _misadopted() -> Iterator[tuple[str, Transition, Certified | None, str, str]]:
    """Yield upgrades and adoptions of other code than was ordered."""
    adoption = journey.ADOPTION.transition
    for name, changes in (
        ("an adoption of code that nobody ordered", {"capabilities__code": ZERO}),
        ("an adoption of half of what was ordered", {"capabilities__publisher": key("x").public}),
        ("an adoption that forgets the order", {"capabilities__adopted": UNSET}),
    ):
        misread = replace(adoption, record=changed(adoption.record, **changes))
        yield name, misread, journey.UPGRADED, "bad-change", "capabilities"
    unordered = replace(journey.UPGRADED.record.capabilities.upgrade, issued_ms=0)
    made = journey.UPGRADED.transition
    made = replace(made, record=changed(made.record, capabilities__upgrade=unordered))
    yield "an upgrade by another order", made, journey.BOUND, "bad-change", "capabilities"


def _invalid() -> Iterator[Case]:
    for name, made, parent, reason, where in (*_mutated(), *_misadopted(), *_misforked()):
        expect = {"reason": reason, "where": where}
        yield Case(name=name, data=encode(made), given=given_parent(parent), expect=expect)
    yield from _miscounted()
    other = given_parent(journey.BORN)
    expect = {"reason": "wrong-parent", "where": f"{AT}.parent"}
    yield Case(name="held against another parent", data=encode(STEP), given=other, expect=expect)
    record = fields_of(STEP.record)
    wrong: dict[str, tuple[dict[str, Any], str, str]] = {
        "a kind there is none of": ({"kind": "recover"}, "bad-field", f"{AT}.kind"),
        "a record of a later version": (
            {"record": record | {"kind": "agent-record/2"}},
            "wrong-kind",
            f"{AT}.record.kind",
        ),
        "a reason that is a book": ({"reason": "x" * 1_025}, "bad-field", f"{AT}.reason"),
        "a time before 1970": ({"at_ms": -1}, "bad-field", f"{AT}.at_ms"),
    }
    for name, (changes, reason, where) in wrong.items():
        expect = {"reason": reason, "where": where}
        yield Case(name=name, data=with_fields(STEP, changes), expect=expect)
    for case in spoiled(STEP, TRANSITION_BYTES_MAX, where=AT):
        is_form = (case.expect or {})["reason"] == "wrong-kind"
        named = "no form" if case.name == "no kind" and is_form else case.name
        yield dataclasses.replace(case, name=named)


KIND = Kind(
    name="transition",
    about="bytes: a Transition. given.parent: the encoding of the record it follows, or null for a genesis; "
    "given.slot: the slot that decided that record; given.declared: what its intent "
    "says it costs, if it is an intent. expect.changed: the fields that differ, but for "
    "agent, version, parent and lineage, which change by rule; null for a genesis.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
    given=given_parent(journey.BOUND),
)
