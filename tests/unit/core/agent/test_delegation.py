"""Delegation: who acts for an issuer, in what, until when; and that nobody passes on more than he has (§8.14)."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.agent.delegation import Delegation, Mandate, Power
from sojourn.core.agent.governance import (
    KEPT,
    Officers,
    Root,
    SignedDocument,
    acting_under,
    check_run_holds,
    check_successor,
    leaning,
)
from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import (
    DELEGATION_HOLDS_MS_MAX,
    DELEGATIONS_MAX,
    MANDATE_BYTES_MAX,
)
from sojourn.core.base.seals import Kind, Role
from tests.samples import ISSUER, NOW_MS, document, key, seal, successor
from tests.unit.core.agent.delegations import (
    DESK,
    HOUR_MS,
    REGION,
    RULES,
    delegated,
    desks,
    mandate,
    ordered_under,
    regions,
    succeeding_under,
)
from tests.unit.core.agent.records import UPGRADE

EVE = key("eve")
TWO = REGION[:2]


def refused(check: Callable[..., Any], *given: Any, **named: Any) -> Rejected:
    """Return why something is refused. Fails the test if it is not."""
    with pytest.raises(Rejected) as caught:
        check(*given, **named)
    return caught.value


def why(given: Mandate, power: Power = Power.AMEND, *, by: SignedDocument = RULES) -> Rejected:
    """Return why nobody acts under a mandate where a document rules."""
    return refused(acting_under, given, by.document, power, where="here")


# Who acts


def test_section_8_14_a_delegate_acts_for_the_issuer_by_its_own_officers_and_thresholds() -> None:
    assert regions().to == acting_under(mandate(), RULES.document, Power.AMEND, where="here")
    check_successor(RULES.document, succeeding_under(mandate(), *TWO))
    lone = refused(check_successor, RULES.document, succeeding_under(mandate(), TWO[0]))
    assert "below-threshold" == lone.reason
    stranger = refused(check_successor, RULES.document, succeeding_under(mandate(), *TWO, EVE))
    assert "wrong-key" == stranger.reason
    assert "is no officer of region" in stranger.problem


def test_section_8_14_what_it_had_it_passes_on_and_no_more() -> None:
    deep = mandate(deep=True)
    assert desks(regions()).to == acting_under(deep, RULES.document, Power.SUSPEND, where="here")
    check_successor(RULES.document, succeeding_under(deep, *DESK))
    assert (
        "wrong-key" == refused(check_successor, RULES.document, succeeding_under(deep, *TWO)).reason
    ), "who passed it on signs under its own mandate"


@pytest.mark.parametrize("power", Power)
def test_section_8_14_a_power_that_was_not_given_is_not_had(power: Power) -> None:
    others = tuple(each for each in Power if each is not power)
    wrong = why(mandate(powers=others), power)
    assert "beyond-mandate" == wrong.reason
    assert f"region was not given {power}" in wrong.problem
    assert wrong.remedy


def test_section_8_14_a_document_that_was_not_named_is_not_covered() -> None:
    wrong = why(mandate(documents=("other rules",)))
    assert "beyond-mandate" == wrong.reason
    assert "region was not given rules" in wrong.problem
    other = refused(acting_under, mandate(issuer="other"), RULES.document, Power.AMEND, where="x")
    assert "beyond-mandate" == other.reason
    assert "may act for other, not acme" in other.problem


# By whom it is delegated


def test_section_8_14_as_many_officers_delegate_as_amend() -> None:
    ann, ben = key("ann"), key("ben")
    ruling = document(by=(ann, ben), officers=Officers(keys=(ann.public, ben.public), amend=2))
    said = regions()
    both = Mandate(delegations=(delegated(said, ann, ben),))
    acting_under(both, ruling.document, Power.SUSPEND, where="here")
    one = why(Mandate(delegations=(delegated(said, ann),)), by=ruling)
    assert ("below-threshold", "here.under[0]") == (one.reason, one.where)
    assert "wrong-key" == why(Mandate(delegations=(delegated(said, EVE),)), by=ruling).reason


def test_section_8_14_where_there_is_a_root_it_delegates_and_no_officer() -> None:
    """Else whoever stole the officers' keys would act on when the root has named others."""
    root = key("root")
    ruling = document(root=Root(keys=(root.public,)))
    assert "wrong-key" == why(mandate(), by=ruling).reason
    rooted = Mandate(delegations=(delegated(regions(), root),))
    acting_under(rooted, ruling.document, Power.AMEND, where="here")
    check_successor(ruling.document, succeeding_under(rooted, *TWO, old=ruling))
    others = document(root=ruling.document.root, officers=Officers(keys=(EVE.public,)))
    acting_under(rooted, others.document, Power.AMEND, where="here")


def test_section_8_14_officers_that_went_delegate_no_more() -> None:
    turned = successor(RULES, officers=Officers(keys=(EVE.public,)))
    assert "wrong-key" == why(mandate(), by=turned).reason


@pytest.mark.parametrize("threshold", ["amend", "revoke", "retire"])
def test_section_8_14_who_passes_on_needs_the_most_that_anything_takes(threshold: str) -> None:
    """One officer of three, who may suspend alone, could else name himself to do what takes two."""
    plain = {"amend": 1, "revoke": 1, "retire": 1, threshold: 2}
    first = regions(to=Officers(keys=tuple(pair.public for pair in REGION), **plain))
    head = Mandate(delegations=(delegated(first),))
    for by, expected in ((REGION[:1], "below-threshold"), (TWO, "")):
        made = head.passed_on(delegated(desks(first), *by))
        if expected:
            assert expected == why(made).reason
        else:
            acting_under(made, RULES.document, Power.AMEND, where="here")


def test_section_8_14_a_link_is_signed_by_who_it_comes_from() -> None:
    head = mandate()
    for by in ((ISSUER,), (EVE,), (*TWO, ISSUER), DESK):
        wrong = why(head.passed_on(delegated(desks(regions()), *by)))
        assert ("wrong-key", True) == (wrong.reason, wrong.where.startswith("here.under[1]"))
    sealed = delegated(desks(regions()), *TWO)
    turned = replace(sealed, delegation=desks(regions(), name="another"))
    assert "bad-signature" == why(head.passed_on(turned)).reason
    named = digest_of(regions())
    for kind, role in ((Kind.DOCUMENT, Role.ISSUER), (Kind.DELEGATION, Role.PERSON)):
        other = replace(delegated(regions()), seals=(seal(ISSUER, kind, role, named),))
        assert "bad-signature" == why(Mandate(delegations=(other,))).reason


# Each link narrows


@pytest.mark.parametrize(
    ("first", "second", "reason", "says"),
    [
        ({"powers": (Power.AMEND,)}, {}, "widening", "the power to resume, suspend"),
        ({}, {"documents": ("rules", "more")}, "widening", "documents more"),
        ({}, {"until_ms": NOW_MS + 10 * HOUR_MS + 1}, "widening", "a longer time"),
        ({}, {"not_before_ms": NOW_MS - HOUR_MS - 1}, "widening", "a longer time"),
        ({}, {"depth": 2}, "widening", "to a depth of 2"),
        ({"depth": 0}, {}, "widening", "to a depth of 0"),
        ({"depth": 1}, {"depth": 3}, "widening", "to a depth of 1"),
        ({}, {"previous": None}, "wrong-parent", "leans on another"),
        ({}, {"previous": bytes(32)}, "wrong-parent", "leans on another"),
        ({}, {"issuer": "other"}, "beyond-mandate", "may act for other"),
    ],
)
def test_section_8_14_each_delegation_narrows_the_one_before(
    first: dict[str, Any], second: dict[str, Any], reason: str, says: str
) -> None:
    whole = regions(**first)
    part = desks(whole, **second)
    made = Mandate(delegations=(delegated(whole), delegated(part, *TWO)))
    wrong = why(made)
    assert (reason, "here.under[1]") == (wrong.reason, wrong.where)
    assert says in wrong.problem


def test_section_8_14_a_part_without_what_it_leans_on_is_none() -> None:
    alone = Mandate(delegations=(delegated(desks(regions())),))
    assert "wrong-parent" == why(alone).reason


def test_section_8_14_a_chain_is_as_deep_as_the_limit_and_no_deeper() -> None:
    def chain(length: int) -> Mandate:
        said = regions(depth=DELEGATIONS_MAX - 1)
        made, by = Mandate(delegations=(delegated(said),)), TWO
        for number in range(1, length):
            pair = key(f"below {number}")
            to = Officers(keys=(pair.public,))
            said = desks(said, to=to, depth=DELEGATIONS_MAX - 1 - number)
            made, by = made.passed_on(delegated(said, *by)), (pair,)
        return made

    acting_under(chain(DELEGATIONS_MAX), RULES.document, Power.AMEND, where="here")
    longer = encode(
        {
            "kind": "mandate/1",
            "delegations": [
                *(decode_plain(each) for each in chain(DELEGATIONS_MAX).delegations),
                decode_plain(delegated(desks(regions()))),
            ],
        }
    )
    assert (
        "bad-field"
        == refused(decode, longer, Mandate, what="mandate", limit=MANDATE_BYTES_MAX).reason
    )
    deep = encode(fields(regions()) | {"depth": DELEGATIONS_MAX})
    assert (
        "bad-field"
        == refused(decode, deep, Delegation, what="delegation", limit=MANDATE_BYTES_MAX).reason
    )


def fields(value: object) -> dict[str, Any]:
    return decode_plain(value)


def decode_plain(value: object) -> dict[str, Any]:
    plain: dict[str, Any] = decode(encode(value), dict, what="it", limit=MANDATE_BYTES_MAX)
    return plain


# Nobody twice


def test_section_8_14_nobody_delegates_to_who_is_in_the_chain_already() -> None:
    whole = regions()
    back = desks(whole, to=replace(RULES.document.officers, keys=(ISSUER.public,)))
    turned = desks(whole, to=Officers(keys=whole.to.keys[::-1]))
    to_issuer = regions(to=Officers(keys=(ISSUER.public,)))
    for made, place in (
        (Mandate(delegations=(delegated(whole), delegated(back, *TWO))), 1),
        (Mandate(delegations=(delegated(whole), delegated(turned, *TWO))), 1),
        (Mandate(delegations=(delegated(to_issuer),)), 0),
    ):
        wrong = why(made)
        assert ("cycle", f"here.under[{place}]") == (wrong.reason, wrong.where)
        assert "delegates to itself" in wrong.problem
        assert wrong.remedy


# Its time


def test_section_8_14_it_holds_from_its_beginning_until_its_end() -> None:
    for deep, until_ms in ((False, NOW_MS + 10 * HOUR_MS), (True, NOW_MS + HOUR_MS)):
        given = mandate(deep=deep)
        assert until_ms == given.until_ms
        for at_ms, expected in (
            (NOW_MS - HOUR_MS - 1, False),
            (NOW_MS - HOUR_MS, True),
            (until_ms - 1, True),
            (until_ms, False),
        ):
            assert expected == given.holds_at(at_ms)
            if expected:
                given.check_holds(at_ms, where="here")
            else:
                wrong = refused(given.check_holds, at_ms, where="here")
                assert ("outside-window", "here") == (wrong.reason, wrong.where)
                assert f"it is {at_ms}" in wrong.problem
                assert wrong.remedy


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"until_ms": NOW_MS - HOUR_MS}, "bad-window"),
        ({"until_ms": NOW_MS - 2 * HOUR_MS}, "bad-window"),
        ({"until_ms": NOW_MS - HOUR_MS + DELEGATION_HOLDS_MS_MAX + 1}, "bad-window"),
        ({"documents": ("rules", "rules")}, "bad-field"),
        ({"powers": (Power.AMEND, Power.AMEND)}, "bad-field"),
        ({"to": Officers(keys=(REGION[0].public,), amend=2)}, "bad-officers"),
        ({"to": Officers(keys=(REGION[0].public,) * 2)}, "bad-officers"),
    ],
)
def test_section_8_14_a_delegation_that_cannot_be_is_none(
    changes: dict[str, Any], reason: str
) -> None:
    assert reason == why(mandate(**changes)).reason


def test_section_8_14_a_year_at_most() -> None:
    longest = NOW_MS - HOUR_MS + DELEGATION_HOLDS_MS_MAX
    acting_under(mandate(until_ms=longest), RULES.document, Power.AMEND, where="here")


def test_section_8_14_a_mandate_that_is_too_large_is_refused_before_a_seal_is_looked_at() -> None:
    many = replace(delegated(regions()), seals=delegated(regions()).seals * 64)
    deep = Mandate(delegations=(many, many, many))
    assert "too-large" == why(deep).reason


# What a delegate changes


@pytest.mark.parametrize("name", KEPT)
def test_section_8_14_a_delegate_changes_the_text_and_nothing_that_holds_it_back(name: str) -> None:
    others: dict[str, Any] = {
        "officers": Officers(keys=(REGION[0].public,)),
        "root": Root(keys=(REGION[0].public,)),
        "cool_down_ms": 1,
        "staleness_ms": 1,
    }
    check_successor(RULES.document, succeeding_under(mandate(), *TWO, cedar="other"))
    wrong = refused(
        check_successor, RULES.document, succeeding_under(mandate(), *TWO, **{name: others[name]})
    )
    assert ("beyond-mandate", f"document.{name}") == (wrong.reason, wrong.where)
    assert f"not change its {name}" in wrong.problem


def test_section_8_14_seals_of_the_issuer_s_own_need_no_mandate_and_count_under_none() -> None:
    mixed = replace(successor(RULES, by=(ISSUER,)), under=mandate())
    assert "wrong-key" == refused(check_successor, RULES.document, mixed).reason


def test_section_8_14_what_the_issuer_names_as_predecessor_has_its_word() -> None:
    second = succeeding_under(mandate(), *TWO)
    third = successor(second)
    fourth = succeeding_under(mandate(), *TWO, old=third)
    late = mandate().until_ms
    assert [second] == [*leaning([second])]
    assert [] == [*leaning([second, third])]
    assert [fourth] == [*leaning([second, third, fourth])]
    check_run_holds([second, third], late)
    for run in ([second], [second, third, fourth]):
        wrong = refused(check_run_holds, run, late, where="run")
        assert ("outside-window", f"run[{len(run) - 1}]") == (wrong.reason, wrong.where)
        check_run_holds(run, late - 1)


# Orders


def order(act: Act = Act.SUSPEND, **changes: Any) -> Order:
    plain = Order(agent=digest(b"a"), act=act, issued_ms=NOW_MS, expires_ms=NOW_MS + 20 * HOUR_MS)
    return replace(plain, **changes)


def checked(signed: SignedOrder, at_ms: int = NOW_MS) -> str:
    """Return why an order is refused, or nothing."""
    try:
        signed.check(RULES.document, ordered_ms=0, at_ms=at_ms)
    except Rejected as rejected:
        return rejected.reason
    return ""


@pytest.mark.parametrize("act", Act)
def test_section_8_14_each_act_is_a_power_of_its_own_but_erasure_and_upgrades(act: Act) -> None:
    keys = (digest(b"key"),) if act is Act.ERASE else ()
    said = order(act, grants={"calls": 1} if act is Act.GRANT else {}, keys=keys)
    if act is Act.UPGRADE:
        said = replace(said, upgrade=UPGRADE)
    if act in (Act.ERASE, Act.UPGRADE):
        assert "beyond-mandate" == checked(ordered_under(mandate(), said, *TWO))
        return
    assert not checked(ordered_under(mandate(), said, *TWO))
    others = tuple(each for each in Power if each.value != act.value)
    assert "beyond-mandate" == checked(ordered_under(mandate(powers=others), said, *TWO))


def test_section_8_14_an_order_takes_the_delegate_s_threshold_for_the_act() -> None:
    assert not checked(ordered_under(mandate(), order(), *REGION[:1]))
    for act in (Act.RESUME, Act.RETIRE):
        assert "below-threshold" == checked(ordered_under(mandate(), order(act), *REGION[:1]))
        assert not checked(ordered_under(mandate(), order(act), *TWO))


def test_section_8_14_an_order_is_carried_out_while_its_delegation_holds_whenever_it_was_issued() -> (
    None
):
    """Who lost the powers could else issue it of yesterday."""
    given = mandate()
    signed = ordered_under(given, order(), *TWO)
    assert given.until_ms == signed.ends_ms
    assert not checked(signed, given.until_ms - 1)
    assert "outside-window" == checked(signed, given.until_ms)
    brief = order(expires_ms=NOW_MS + 1)
    assert NOW_MS + 1 == ordered_under(given, brief, *TWO).ends_ms
    signed.check_officers(RULES.document)  # that it could be is told without a time


# Bytes


def test_section_8_14_what_leans_on_nothing_has_the_bytes_that_it_had() -> None:
    assert {"document", "seals"} == fields(RULES).keys()
    assert {"order", "seals"} == fields(ordered_under(None, order(), *TWO)).keys()
    signed = succeeding_under(mandate(deep=True), *DESK)
    assert signed == decode(encode(signed), SignedDocument, what="it", limit=MANDATE_BYTES_MAX)
    assert digest_of(signed.document) == digest_of(replace(signed, under=mandate()).document)


# Whatever is passed on


@st.composite
def parts(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what two delegations say, the second of which may be a part of the first, or not."""

    def one() -> dict[str, Any]:
        begins_ms = draw(st.integers(0, 3))
        return {
            "powers": tuple(draw(st.lists(st.sampled_from(Power), min_size=1, unique=True))),
            "documents": tuple(
                draw(st.lists(st.sampled_from(["rules", "b", "c"]), min_size=1, unique=True))
            ),
            "not_before_ms": begins_ms,
            "until_ms": begins_ms + draw(st.integers(1, 3)),
            "depth": draw(st.integers(0, DELEGATIONS_MAX - 1)),
        }

    return one(), one()


@given(parts(), st.integers(0, 7))
def test_section_8_14_who_is_delegated_to_can_nothing_that_the_delegate_could_not(
    said: tuple[dict[str, Any], dict[str, Any]], at_ms: int
) -> None:
    """If a chain of two is taken, then whatever it allows the first of it allowed; and a part is taken."""
    whole = regions(**said[0])
    part = desks(whole, **said[1])
    head = Mandate(delegations=(delegated(whole),))
    made = head.passed_on(delegated(part, *TWO))

    def allows(given: Mandate, power: Power) -> bool:
        try:
            acting_under(given, RULES.document, power, where="here")
        except Rejected:
            return False
        return given.holds_at(at_ms)

    for power in Power:
        assert allows(head, power) or not allows(made, power)
    a, b = said
    is_part = (
        set(b["powers"]) <= set(a["powers"])
        and set(b["documents"]) <= set(a["documents"])
        and a["not_before_ms"] <= b["not_before_ms"]
        and b["until_ms"] <= a["until_ms"]
        and b["depth"] < a["depth"]
    )
    is_used = "rules" in b["documents"] and part.holds_at(at_ms)
    assert (is_part and is_used) == any(allows(made, power) for power in Power)
