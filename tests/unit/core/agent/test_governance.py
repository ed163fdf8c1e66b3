"""Governance: documents are their issuer's, and an amendment cannot appoint its own judges."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.agent.governance import (
    Document,
    Governance,
    Officers,
    SignedDocument,
    Warrant,
    check_successor,
    check_threshold,
    issuer_id,
)
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.seals import Kind, Role
from tests.samples import ISSUER, NOW_MS, document, key, seal

ANN, BEN, CAT = key("ann"), key("ben"), key("cat")
THREE = Officers(keys=(ANN.public, BEN.public, CAT.public), amend=2, revoke=1, move=2, retire=3)
OLD = document(by=(ANN, BEN), officers=THREE)


def after(*by: Any, **changes: Any) -> SignedDocument:
    """Return a successor of `OLD`, changed, under the seals of `by`."""
    fields: dict[str, Any] = {"officers": THREE, "version": 2, "previous": digest_of(OLD.document)}
    return document(by=by, **(fields | changes))


def reason_of(call: Any, *args: Any) -> str:
    with pytest.raises(Rejected) as caught:
        call(*args)
    return caught.value.reason


# Thresholds


@pytest.mark.parametrize("by", [(ANN, BEN), (CAT, ANN), (ANN, BEN, CAT)])
def test_enough_officers_are_enough(by: tuple[Any, ...]) -> None:
    document(by=by, officers=THREE).check(THREE, THREE.amend)


@pytest.mark.parametrize(
    ("by", "reason"),
    [
        ((), "below-threshold"),
        ((ANN,), "below-threshold"),
        ((ANN, ANN, ANN), "below-threshold"),
        ((ANN, ISSUER), "wrong-key"),
        ((ANN, BEN, ISSUER), "wrong-key"),
    ],
)
def test_trap_10_distinct_officers_count_and_strangers_are_an_error(
    by: tuple[Any, ...], reason: str
) -> None:
    assert reason == reason_of(document(by=by, officers=THREE).check, THREE, THREE.amend)


@pytest.mark.parametrize(
    ("kind", "role"), [(Kind.ORDER, Role.ISSUER), (Kind.DOCUMENT, Role.PUBLISHER)]
)
def test_trap_11_a_seal_as_something_else_is_none(kind: Kind, role: Role) -> None:
    named = digest_of(OLD.document)
    seals = (OLD.seals[0], seal(BEN, kind, role, named))
    with pytest.raises(Rejected) as caught:
        check_threshold(Kind.DOCUMENT, named, seals, THREE, 2, where="document")
    assert ("bad-signature", "document.seals[1]") == (caught.value.reason, caught.value.where)


@pytest.mark.parametrize("name", ["amend", "revoke", "move", "retire"])
@pytest.mark.parametrize("threshold", [0, 4])
def test_a_threshold_is_between_one_and_all(name: str, threshold: int) -> None:
    assert "bad-officers" == reason_of(replace(THREE, **{name: threshold}).check)


def test_no_officer_counts_twice() -> None:
    twice = replace(THREE, keys=(ANN.public, ANN.public, BEN.public))
    assert "bad-officers" == reason_of(twice.check)


# Succession


def test_a_successor_is_signed_by_the_officers_before_it() -> None:
    check_successor(OLD.document, after(ANN, CAT))


def test_trap_41_an_amendment_cannot_appoint_its_own_judges() -> None:
    mine = Officers(keys=(ISSUER.public,))
    assert "wrong-key" == reason_of(check_successor, OLD.document, after(ISSUER, officers=mine))
    lowered = replace(THREE, amend=1)
    assert "below-threshold" == reason_of(
        check_successor, OLD.document, after(ANN, officers=lowered)
    )


def test_trap_41_officers_may_hand_over_to_others() -> None:
    new = after(ANN, BEN, officers=Officers(keys=(ISSUER.public,)))
    check_successor(OLD.document, new)
    third = document(
        by=(ISSUER,),
        officers=Officers(keys=(ISSUER.public,)),
        version=3,
        previous=digest_of(new.document),
    )
    check_successor(new.document, third)
    assert "rollback" == reason_of(check_successor, OLD.document, third)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 1}, "rollback"),
        ({"version": 3}, "rollback"),
        ({"previous": None}, "rollback"),
        ({"previous": digest_of(document().document)}, "rollback"),
        ({"name": "other"}, "wrong-documents"),
        ({"issuer": "other"}, "wrong-documents"),
        ({"officers": replace(THREE, retire=9)}, "bad-officers"),
    ],
)
def test_section_8_no_policy_travels_backwards_or_changes_hands(
    changes: dict[str, Any], reason: str
) -> None:
    assert reason == reason_of(check_successor, OLD.document, after(ANN, BEN, **changes))


# Documents of a record


DOCUMENTS = tuple(document(name=f"rules {i}").document for i in range(3))
GOVERNANCE = Governance(documents=tuple(map(digest_of, DOCUMENTS)), version=1)


def test_the_documents_are_exactly_those_named_in_order() -> None:
    first, second, third = DOCUMENTS
    for known in (DOCUMENTS, DOCUMENTS[::-1], (document().document, *DOCUMENTS)):
        assert DOCUMENTS == GOVERNANCE.governing(known, NOW_MS).documents
    for wrong in ((first, second), (second, third, document().document), ()):
        assert "wrong-documents" == reason_of(GOVERNANCE.governing, wrong, NOW_MS)


def test_a_document_holds_inside_its_window_only() -> None:
    narrow: Document = document(not_before_ms=NOW_MS, not_after_ms=NOW_MS + 10).document
    governance = Governance(documents=(digest_of(narrow),), version=1)
    for now_ms in (NOW_MS, NOW_MS + 9):
        assert (narrow,) == governance.governing((narrow,), now_ms).documents
    for now_ms in (NOW_MS - 1, NOW_MS + 10):
        assert "outside-window" == reason_of(governance.governing, (narrow,), now_ms)


def test_documents_with_unsound_officers_rule_nothing() -> None:
    unsound = document(officers=replace(THREE, amend=4)).document
    governance = Governance(documents=(digest_of(unsound),), version=1)
    assert "bad-officers" == reason_of(governance.governing, (unsound,), NOW_MS)


# Whose an agent is


def test_section_8_an_issuer_is_its_officers_and_not_its_name() -> None:
    known = issuer_id(OLD.document)
    reordered = replace(THREE, keys=THREE.keys[::-1])
    for same in ({"issuer": "other"}, {"cedar": "", "version": 3}, {"officers": reordered}):
        assert known == issuer_id(document(**({"officers": THREE} | same)).document)
    others = (
        replace(THREE, keys=THREE.keys[:2], retire=2),
        replace(THREE, keys=(*THREE.keys, ISSUER.public)),
        replace(THREE, amend=1),
        replace(THREE, revoke=2),
        replace(THREE, move=1),
        replace(THREE, retire=2),
    )
    found = {issuer_id(document(officers=officers).document) for officers in others}
    assert len(others) == len(found - {known})


def test_section_8_the_identifier_is_the_digest_of_the_officers_keys_in_order() -> None:
    keys = tuple(sorted(THREE.keys))
    assert digest_of(replace(THREE, keys=keys)) == issuer_id(OLD.document)


PEOPLE = (ANN, BEN, CAT, ISSUER)
SIGNERS = st.lists(st.sampled_from(PEOPLE), max_size=4)
LAUNCH = digest(b"a genesis")


def by_the_rule(signers: list[Any], officers: Officers) -> bool:
    """Tell whether these signatures are enough, by counting."""
    keys = {each.public for each in signers}
    return keys <= set(officers.keys) and len(keys) >= officers.amend


@given(SIGNERS, SIGNERS, SIGNERS, st.sampled_from([THREE, replace(THREE, amend=3)]))
def test_section_8_a_warrant_holds_exactly_if_every_part_has_enough_seals_of_its_officers(
    of_genesis: list[Any], of_first: list[Any], of_second: list[Any], officers: Officers
) -> None:
    first = document(by=tuple(of_first), officers=officers)
    second = document(by=tuple(of_second), officers=THREE, name="second")
    seals = tuple(seal(each, Kind.TRANSITION, Role.ISSUER, LAUNCH) for each in of_genesis)
    warrant = Warrant(genesis=seals, documents=(first.seals, second.seals))
    expected = (
        by_the_rule(of_genesis, officers)
        and by_the_rule(of_first, officers)
        and by_the_rule(of_second, THREE)
    )
    documents = (first.document, second.document)
    if expected:
        warrant.check(LAUNCH, documents)
    else:
        reason = reason_of(warrant.check, LAUNCH, documents)
        assert reason in ("wrong-key", "below-threshold")


def test_section_8_a_warrant_of_a_document_that_nobody_needs_to_seal_does_not_hold() -> None:
    lax = document(by=(), officers=replace(THREE, amend=0)).document
    warrant = Warrant(genesis=(), documents=((),))
    assert "bad-officers" == reason_of(warrant.check, LAUNCH, (lax,))
    assert "wrong-documents" == reason_of(Warrant(genesis=(), documents=()).check, LAUNCH, ())
