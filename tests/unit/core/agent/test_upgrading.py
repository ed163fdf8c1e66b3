"""Upgrades: what an order leads to, what may be adopted, and that publishers have sealed what is theirs."""

from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from sojourn.core.agent.capabilities import Capabilities, Upgrade
from sojourn.core.agent.orders import Act, Order, SignedOrder, check_authorised
from sojourn.core.agent.transition import (
    TransitionKind,
    check_change,
    check_constant,
    check_genesis,
)
from sojourn.core.agent.upgrading import (
    adopted,
    check_published,
    declined,
    ordered_upgrade,
    vouched_by,
)
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.seals import Kind, Role
from tests.samples import ISSUER, document, key, seal
from tests.unit.core.agent.records import (
    ACTIVE,
    BORN,
    PUBLISHER,
    UPGRADE,
    WAITING,
    changed,
    following,
    ordered,
    slot_of,
    upgrade_to,
)

NOW_MS = 1_000_000
HAS = ACTIVE.capabilities


def reason(work: Any) -> str:
    with pytest.raises(Rejected) as caught:
        work()
    return caught.value.reason


def signed(upgrade: Upgrade | None, act: Act = Act.UPGRADE) -> SignedOrder:
    made = Order(agent=ACTIVE.agent_id, act=act, issued_ms=NOW_MS, expires_ms=NOW_MS + 1)
    if upgrade is not None:
        made = replace(made, upgrade=upgrade)
    sealed = seal(ISSUER, Kind.ORDER, Role.ISSUER, digest_of(made))
    return SignedOrder(order=made, seals=(sealed,))


def checked(order: SignedOrder) -> None:
    order.check(document().document, ordered_ms=0, at_ms=NOW_MS)


# Orders


def test_section_8_16_an_order_to_upgrade_names_what_is_to_follow_and_the_code_stays() -> None:
    checked(signed(UPGRADE))
    after = signed(UPGRADE).order.upgraded(HAS, ())
    assert (HAS.code, (HAS.code, UPGRADE.code)) == (after.code, after.codes)
    assert after.upgrade is not UNSET and UPGRADE == after.upgrade.upgrade
    assert HAS == declined(after)


def test_section_8_16_one_without_an_upgrade_has_no_byte_of_it() -> None:
    plain = signed(None, Act.SUSPEND).order
    assert b"upgrade" not in encode(plain)
    assert b"upgrade" not in encode(HAS)
    assert b"vouched" not in encode(HAS)
    again = decode(encode(WAITING.capabilities), Capabilities, what="it", limit=10_000)
    assert WAITING.capabilities == again


OTHER = vouched_by(PUBLISHER, digest(b"other code"))


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (signed(None), "bad-field"),
        (signed(UPGRADE, Act.SUSPEND), "bad-field"),
        (signed(replace(UPGRADE, code=UPGRADE.replaces)), "bad-field"),
        (signed(replace(UPGRADE, vouched=OTHER)), "bad-signature"),
        (signed(replace(UPGRADE, code=digest(b"stolen"))), "bad-signature"),
        (signed(replace(UPGRADE, publisher=key("mallory").public)), "wrong-key"),
        (
            signed(replace(UPGRADE, vouched=seal(PUBLISHER, Kind.CODE, Role.ISSUER, UPGRADE.code))),
            "bad-signature",
        ),
        (replace(signed(UPGRADE), seals=()), "below-threshold"),
    ],
)
def test_section_8_16_an_order_that_says_something_else_is_rejected(
    order: SignedOrder, why: str
) -> None:
    assert why == reason(lambda: checked(order))


def test_section_8_16_an_upgrade_is_of_the_code_that_the_agent_has() -> None:
    late = upgrade_to(digest(b"later code"), replaces=digest(b"code it never had"))
    assert "bad-status" == reason(lambda: ordered_upgrade(HAS, ordered(late)))
    assert "bad-status" == reason(
        lambda: ordered_upgrade(WAITING.capabilities, ordered(UPGRADE, 9))
    )
    later = ordered(upgrade_to(digest(b"later code")))
    assert later == ordered_upgrade(WAITING.capabilities, later).upgrade


# Adopting


def test_section_8_16_it_is_adopted_whole_or_not_at_all() -> None:
    after = adopted(WAITING.capabilities)
    assert (UPGRADE.code, UPGRADE.entry, UPGRADE.publisher, UPGRADE.vouched, UNSET) == (
        after.code,
        after.entry,
        after.publisher,
        after.vouched,
        after.upgrade,
    )
    assert (HAS.requires, HAS.offers) == (after.requires, after.offers)
    for good in (after, declined(WAITING.capabilities)):
        new = following(WAITING, capabilities=good)
        check_change(TransitionKind.ADOPT, WAITING, new, slot_of(WAITING))


@pytest.mark.parametrize(
    "bad",
    [
        WAITING.capabilities,
        replace(adopted(WAITING.capabilities), entry="other:Agent"),
        replace(adopted(WAITING.capabilities), code=digest(b"other")),
        replace(adopted(WAITING.capabilities), upgrade=ordered(upgrade_to(digest(b"other")))),
        replace(adopted(WAITING.capabilities), vouched=UNSET),
        replace(declined(WAITING.capabilities), publisher=key("mallory").public),
    ],
)
def test_section_8_16_nothing_else_comes_of_it(bad: Capabilities) -> None:
    new = following(WAITING, capabilities=bad)
    change = TransitionKind.ADOPT
    assert "bad-change" == reason(lambda: check_change(change, WAITING, new, slot_of(WAITING)))


def test_section_8_16_nobody_adopts_what_was_not_ordered() -> None:
    new = following(ACTIVE, capabilities__code=UPGRADE.code)
    for kind in (TransitionKind.ADOPT, TransitionKind.STEP, TransitionKind.UPGRADE):
        assert "bad-change" == reason(lambda k=kind: check_change(k, ACTIVE, new, slot_of(ACTIVE)))  # type: ignore[misc]


def test_section_8_16_between_terms_code_may_have_changed_and_what_it_needs_may_not() -> None:
    later = following(WAITING, capabilities=adopted(WAITING.capabilities))
    check_constant(ACTIVE, later)
    wider = changed(later, capabilities__offers=("more",))
    assert "bad-change" == reason(lambda: check_constant(ACTIVE, wider))


AGENT, FIRST = BORN.agent_id, document().document


def test_section_8_16_who_was_not_there_believes_officers_seals_and_no_zone() -> None:
    born, waits = BORN.capabilities, WAITING.capabilities
    after = adopted(waits)
    for good in (born, waits, after, declined(waits)):
        check_authorised(AGENT, good, born, FIRST)
    assert after.adopted is not UNSET
    own = replace(after.adopted, seals=(seal(PUBLISHER, Kind.ORDER, Role.ISSUER, AGENT),))
    late = replace(after.adopted, issued_ms=6)
    for bad, why in (
        (replace(born, code=UPGRADE.code), "no-order"),
        (replace(after, adopted=UNSET), "no-order"),
        (replace(after, code=digest(b"other")), "bad-change"),
        (replace(after, adopted=replace(after.adopted, seals=())), "below-threshold"),
        (replace(after, adopted=own), "wrong-key"),
        (replace(after, adopted=late), "bad-signature"),
        (replace(waits, upgrade=own), "wrong-key"),
    ):
        assert why == reason(lambda bad=bad: check_authorised(AGENT, bad, born, FIRST))  # type: ignore[misc]
    other = digest(b"another agent")
    assert "bad-signature" == reason(lambda: check_authorised(other, after, born, FIRST))


# Publishers


def test_section_8_16_a_genesis_names_no_publisher_who_has_not_sealed() -> None:
    mallory, code = key("mallory"), HAS.code
    by = {ISSUER.public}
    check_published(HAS, by)
    named = replace(HAS, publisher=PUBLISHER.public)
    assert "unpublished" == reason(lambda: check_published(named, by))
    check_published(replace(named, vouched=vouched_by(PUBLISHER, code)), by)
    for seal_, why in (
        (vouched_by(mallory, code), "wrong-key"),
        (vouched_by(PUBLISHER, digest(b"other code")), "bad-signature"),
        (replace(vouched_by(mallory, code), signer=PUBLISHER.public), "bad-signature"),
    ):
        made = replace(named, vouched=seal_)
        assert why == reason(lambda made=made: check_published(made, by))  # type: ignore[misc]


def test_section_8_16_a_genesis_waits_for_no_upgrade() -> None:
    waiting = changed(BORN, capabilities__upgrade=ordered(UPGRADE))
    assert "bad-change" == reason(lambda: check_genesis(waiting))
