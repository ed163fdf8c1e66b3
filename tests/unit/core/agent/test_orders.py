"""Orders of officers: what each leads to, who may give it, and that none is repeated."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Budget, Eligibility, Status, Wake
from sojourn.core.agent.events import Events
from sojourn.core.agent.governance import Officers
from sojourn.core.agent.memory.encryption import Encryption
from sojourn.core.agent.memory.field import Compartment, Form
from sojourn.core.agent.orders import (
    THRESHOLDS,
    Act,
    Order,
    SignedOrder,
    carried_out,
    carried_out_on,
    is_carried_out,
    is_carried_out_on,
    raised,
)
from sojourn.core.agent.transition import TransitionKind, check_unhindered
from sojourn.core.agent.trust import Trust
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Denied, Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.base.seals import Kind, Role
from tests.samples import document, key, seal
from tests.unit.core.agent.records import ACTIVE, KEY, UPGRADE, changed

ASLEEP = Eligibility(
    status=Status.DORMANT,
    wake=(Wake(at_ms=5),),
    budgets={"calls": Budget(limit=2, spent=1)},
    last_decision=digest(b"decision"),
)
SUSPENDED = replace(ASLEEP, is_suspended=True)
QUARANTINED = replace(ASLEEP, is_quarantined=True)
BOTH = replace(SUSPENDED, is_quarantined=True)
OFFICERS = [key(f"officer {number}") for number in range(3)]
NOW_MS = 1_000_000


# What each leads to


@pytest.mark.parametrize(
    ("act", "before", "after"),
    [
        (Act.SUSPEND, ASLEEP, SUSPENDED),
        (Act.SUSPEND, QUARANTINED, BOTH),
        (Act.RESUME, SUSPENDED, ASLEEP),
        (Act.RESUME, BOTH, QUARANTINED),  # who resumes it does not set it free
        (Act.QUARANTINE, ASLEEP, QUARANTINED),
        (Act.QUARANTINE, SUSPENDED, BOTH),
        (Act.LIFT, QUARANTINED, ASLEEP),
        (Act.LIFT, BOTH, SUSPENDED),
        (Act.RETIRE, BOTH, replace(BOTH, status=Status.RETIRED, wake=())),
        (Act.REVOKE, ASLEEP, replace(ASLEEP, status=Status.REVOKED, wake=())),
    ],
)
def test_section_2_an_order_changes_what_it_says_and_nothing_else(
    act: Act, before: Eligibility, after: Eligibility
) -> None:
    assert not is_carried_out(act, before)
    assert after == carried_out(act, before)
    assert is_carried_out(act, after)


def test_section_4_to_forgive_changes_what_is_counted_and_nothing_else() -> None:
    lied = {"b": Events(liars=(1,), tolerated=1)}
    before = Trust(minimum={"travel": 2}, events={"a": Events(refused=2, broken=1)} | lied)
    after = replace(before, events=lied)
    assert not is_carried_out_on(Act.FORGIVE, BOTH, before)
    assert (BOTH, after) == carried_out_on(Act.FORGIVE, BOTH, before)
    assert is_carried_out_on(Act.FORGIVE, BOTH, after)
    with pytest.raises(Rejected, match="nothing to forgive"):
        carried_out_on(Act.FORGIVE, BOTH, after)
    with pytest.raises(Rejected):
        carried_out_on(Act.FORGIVE, replace(BOTH, status=Status.RETIRED), before)


def test_no_other_order_touches_what_is_counted() -> None:
    trust = Trust(events={"a": Events(refused=2)})
    assert (SUSPENDED, trust) == carried_out_on(Act.SUSPEND, ASLEEP, trust)
    assert is_carried_out_on(Act.SUSPEND, SUSPENDED, trust)


@pytest.mark.parametrize(
    ("act", "eligibility", "said"),
    [
        (Act.SUSPEND, SUSPENDED, "nothing to suspend: the agent is dormant, suspended"),
        (Act.RESUME, QUARANTINED, "nothing to resume: the agent is dormant, in quarantine"),
        (Act.QUARANTINE, BOTH, "the agent is dormant, suspended, in quarantine"),
        (Act.LIFT, ASLEEP, "nothing to lift: the agent is dormant"),
    ],
)
def test_what_is_so_already_is_not_ordered_again(
    act: Act, eligibility: Eligibility, said: str
) -> None:
    with pytest.raises(Rejected, match=said) as caught:
        carried_out(act, eligibility)
    assert "bad-status" == caught.value.reason


@pytest.mark.parametrize("status", [Status.DEPARTED, Status.RETIRED, Status.REVOKED])
@pytest.mark.parametrize("act", Act)
def test_section_4_check_6_nothing_is_ordered_of_who_is_between_zones_or_has_ended(
    act: Act, status: Status
) -> None:
    with pytest.raises(Rejected):
        carried_out(act, replace(BOTH, status=status))


# Grants


def test_section_2_a_grant_adds_to_limits_and_changes_nothing_else() -> None:
    before = replace(ASLEEP, budgets={"calls": Budget(limit=2, spent=2), "hops": Budget(limit=1)})
    after = carried_out(Act.GRANT, before, {"calls": 5})
    assert after == replace(before, budgets=before.budgets | {"calls": Budget(limit=7, spent=2)})
    assert {"calls": 5} == raised(before.budgets, after.budgets)
    assert not is_carried_out(Act.GRANT, after)  # another one adds more


@pytest.mark.parametrize(
    ("grants", "reason"),
    [
        ({"call": 5}, "no-budget"),
        ({"calls": 2**63 - 2}, "over-budget"),
    ],
)
def test_section_2_a_grant_that_cannot_be(grants: dict[str, int], reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        carried_out(Act.GRANT, ASLEEP, grants)
    assert reason == caught.value.reason
    carried_out(Act.GRANT, ASLEEP, {"calls": 2**63 - 3})


@pytest.mark.parametrize(
    ("act", "grants"),
    [
        (Act.GRANT, {}),
        (Act.GRANT, {"calls": 0}),
        (Act.GRANT, {"calls": 1, "hops": 0}),
        (Act.RESUME, {"calls": 1}),
    ],
)
def test_section_2_a_grant_adds_something_and_no_other_order_does(
    act: Act, grants: dict[str, int]
) -> None:
    assert "bad-field" == check(signed(order(act=act, grants=grants)))


# What it keeps the agent from


@pytest.mark.parametrize(
    ("held", "denied"),
    [
        ({}, set()),
        ({"is_suspended": True}, {"step", "adopt", "intend", "ask", "spawn", "depart"}),
        ({"is_quarantined": True}, {"intend", "ask", "spawn", "depart"}),
    ],
)
def test_section_8_a_suspended_agent_is_still_and_one_in_quarantine_is_alone(
    held: dict[str, bool], denied: set[str]
) -> None:
    record = changed(ACTIVE, eligibility=replace(ACTIVE.eligibility, **held))
    found = set()
    for kind in TransitionKind:
        try:
            check_unhindered(kind, record)
        except Denied:
            found.add(str(kind))
    assert denied == found
    assert bool(held) == record.eligibility.is_held
    assert ("is_suspended" not in held) == record.eligibility.is_acting


# Who gives it, and when


def order(**fields: Any) -> Order:
    plain = {
        "agent": digest(b"agent"),
        "act": Act.SUSPEND,
        "issued_ms": NOW_MS,
        "expires_ms": NOW_MS + 60_000,
    }
    return Order(**(plain | fields))


def signed(given: Order, by: int = 3) -> SignedOrder:
    seals = [seal(each, Kind.ORDER, Role.ISSUER, digest_of(given)) for each in OFFICERS[:by]]
    return SignedOrder(order=given, seals=tuple(seals))


def check(given: SignedOrder, ordered_ms: int = 0, at_ms: int = NOW_MS, **needed: int) -> str:
    """Return why an order is refused, or nothing."""
    officers = Officers(keys=tuple(each.public for each in OFFICERS), **needed)
    try:
        given.check(document(officers=officers).document, ordered_ms=ordered_ms, at_ms=at_ms)
    except Rejected as rejected:
        return rejected.reason
    return ""


@pytest.mark.parametrize("act", Act)
def test_section_2_each_act_takes_its_own_threshold(act: Act) -> None:
    keys = (digest(b"key"),) if act is Act.ERASE else ()
    given = order(act=act, grants={"calls": 1} if act is Act.GRANT else {}, keys=keys)
    if act is Act.UPGRADE:
        given = replace(given, upgrade=UPGRADE)
    for name in ("amend", "revoke", "move", "retire"):
        needed = {name: 3}
        expected = "below-threshold" if name == THRESHOLDS[act] else ""
        assert expected == check(signed(given, by=2), **needed), name
        assert not check(signed(given), **needed)


def test_section_8_to_restrain_is_quick_and_to_set_free_takes_those_who_change_the_policy() -> None:
    assert {Act.SUSPEND, Act.QUARANTINE, Act.REVOKE} == by("revoke")
    assert {Act.RESUME, Act.LIFT, Act.FORGIVE, Act.GRANT, Act.ERASE, Act.UPGRADE} == by("amend")
    assert {Act.RETIRE} == by("retire")


def by(threshold: str) -> set[Act]:
    return {act for act, name in THRESHOLDS.items() if name == threshold}


def test_section_8_an_order_is_not_carried_out_after_a_later_one() -> None:
    """Whoever kept a suspension could else repeat it when the agent has been resumed."""
    assert not check(signed(order()), ordered_ms=NOW_MS - 1)
    assert "rollback" == check(signed(order()), ordered_ms=NOW_MS)
    assert "rollback" == check(signed(order()), ordered_ms=NOW_MS + 1)


def test_section_8_an_order_has_its_time() -> None:
    given = signed(order())
    for at_ms, expected in (
        (NOW_MS - CLOCK_SKEW_MS - 1, "outside-window"),
        (NOW_MS - CLOCK_SKEW_MS, ""),
        (NOW_MS + 59_999, ""),
        (NOW_MS + 60_000, "outside-window"),
    ):
        assert expected == check(given, at_ms=at_ms), at_ms


def test_an_order_for_another_thing_is_no_order() -> None:
    other = replace(signed(order()), order=order(act=Act.RESUME))
    assert "bad-signature" == check(other)


# Erasure


def test_an_erasure_marks_every_compartment_under_the_keys_it_names_and_nothing_else() -> None:
    key_of, other = KEY.key, Encryption(commitments=(digest(b"other"),))
    memory = replace(
        ACTIVE.memory,
        compartments=ACTIVE.memory.compartments
        | {
            "too": replace(ACTIVE.memory.compartments["away"], encryption=KEY),
            "other": Compartment(form=Form.LOG, root=digest(b"x"), encryption=other),
        },
    )
    after = order(act=Act.ERASE, keys=(key_of,)).erased_from(memory)
    gone = {name for name, c in after.compartments.items() if c.is_erased}
    assert {"secret", "too"} == gone
    for name in gone:
        back = replace(after.compartments[name], encryption=KEY)
        assert memory.compartments[name] == back
    assert memory.compartments["other"] == after.compartments["other"]
    assert memory == order(act=Act.SUSPEND).erased_from(memory)


@pytest.mark.parametrize("keys", [(digest(b"nobody's"),), (KEY.key, digest(b"nobody's")), ()])
def test_an_erasure_of_what_is_not_there_changes_nothing(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(Rejected) as caught:
        order(act=Act.ERASE, keys=keys).erased_from(ACTIVE.memory)
    assert "bad-status" == caught.value.reason


def test_of_what_an_erasure_names_some_may_be_erased_already() -> None:
    other = Encryption(commitments=(digest(b"other"),))
    compartments = ACTIVE.memory.compartments | {
        "other": Compartment(form=Form.LOG, root=digest(b"x"), encryption=other)
    }
    memory = order(act=Act.ERASE, keys=(KEY.key,)).erased_from(
        replace(ACTIVE.memory, compartments=compartments)
    )
    both = order(act=Act.ERASE, keys=(KEY.key, other.key)).erased_from(memory)
    assert {"secret", "other"} == {n for n, c in both.compartments.items() if c.is_erased}


def test_what_is_erased_is_not_erased_again() -> None:
    again = order(act=Act.ERASE, keys=(KEY.key,))
    with pytest.raises(Rejected):
        again.erased_from(again.erased_from(ACTIVE.memory))


@pytest.mark.parametrize(
    ("act", "keys"),
    [
        (Act.ERASE, ()),
        (Act.SUSPEND, (KEY.key,)),
        (Act.ERASE, (KEY.key, KEY.key)),
    ],
)
def test_an_erasure_alone_names_keys_and_each_once(act: Act, keys: tuple[bytes, ...]) -> None:
    assert "bad-field" == check(signed(order(act=act, keys=keys)))
