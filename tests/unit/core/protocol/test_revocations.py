"""Revocations (protocol §8.12, §11.1): who has a say, whose room they take, and what is never let go of."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.governance import Officers
from sojourn.core.agent.revocations import About, Reach, Revocation, SignedRevocation, sealed_by
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import (
    CLOCK_SKEW_MS,
    REVOCATION_HOLDS_MS,
    STRANGE_REVOCATION_CARRIED_MS,
)
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol import revocations
from sojourn.core.protocol.gossip import NOBODY
from sojourn.core.protocol.revocations import KnownRevocations
from tests.samples import NOW_MS, found, key, seal

ANN, BOB, EVE = (key(name) for name in ("ann", "bob", "eve"))
TWO = Officers(keys=(ANN.public, BOB.public), amend=2, revoke=1)
ISSUER = digest_of(TWO)
ZONE, AWAY = found("home", 4), found("away", 4)
CODE = digest(b"code")


def revoked(
    *by: Any, at_ms: int = NOW_MS, issuer: bytes = ISSUER, **changes: Any
) -> SignedRevocation:
    said = Revocation(
        reach=Reach.AGENTS, by=issuer, about=About.CODE, subject=CODE, issued_ms=at_ms
    )
    return sealed_by(replace(said, **changes), by or (ANN,))


def by_zone(*anchors: int, zone: Any = ZONE, **changes: Any) -> SignedRevocation:
    keys = [zone.identity(index) for index in anchors]
    return revoked(*keys, reach=Reach.ZONE, issuer=zone.zone, **changes)


def strange(number: int, at_ms: int = NOW_MS) -> SignedRevocation:
    return revoked(EVE, issuer=digest(b"%d" % number), at_ms=at_ms)


def learn(
    known: KnownRevocations,
    *told: SignedRevocation,
    teller: bytes | None = NOBODY,
    now_ms: int = NOW_MS,
) -> list[SignedRevocation]:
    return known.take(known.examine(told, now_ms, teller, ZONE.manifest), now_ms, teller)


def said_of(known: KnownRevocations, subject: bytes) -> list[SignedRevocation]:
    return known.of(Reach.AGENTS, ISSUER, About.CODE, subject)


def knowing(*told: SignedRevocation) -> KnownRevocations:
    known = KnownRevocations()
    known.note_officers(ISSUER, TWO)
    learn(known, *told)
    return known


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make room for four revocations, three of an authority, and two of a teller's strangers."""
    monkeypatch.setattr(revocations, "REVOCATIONS_KNOWN_MAX", 4)
    monkeypatch.setattr(revocations, "REVOCATIONS_PER_AUTHORITY_MAX", 3)
    monkeypatch.setattr(revocations, "STRANGE_REVOCATIONS_MAX", 2)


@pytest.mark.parametrize(
    ("signed", "is_theirs"),
    [
        (revoked(ANN), True),
        (revoked(BOB), True),
        (revoked(ANN, BOB), True),
        (revoked(EVE), False),
        (revoked(ANN, EVE), False),
        (revoked(ANN, lifts=True), False),
        (revoked(ANN, ANN, lifts=True), False),
        (revoked(ANN, BOB, lifts=True), True),
        (by_zone(0), False),
    ],
)
def test_section_8_12_officers_revoke_by_one_threshold_and_lift_by_another(
    signed: SignedRevocation, is_theirs: bool
) -> None:
    assert is_theirs is signed.is_of_officers(TWO)


@pytest.mark.parametrize(
    ("signed", "is_its"),
    [
        (by_zone(0), False),
        (by_zone(0, 1), True),
        (by_zone(0, 0), False),
        (by_zone(1, 2, lifts=True), False),
        (by_zone(1, 2, 3, lifts=True), True),
        (by_zone(0, 1, zone=AWAY), False),
        (replace(by_zone(0, 1), seals=(*by_zone(0, 1).seals, *by_zone(0, zone=AWAY).seals)), False),
        (revoked(ZONE.identity(0), ZONE.identity(1), issuer=ZONE.zone), False),
    ],
)
def test_section_8_12_a_zone_revokes_by_f_plus_1_of_its_anchors_and_lifts_by_a_quorum(
    signed: SignedRevocation, is_its: bool
) -> None:
    assert is_its is revocations.is_of_zone(signed, ZONE.manifest)


def test_section_11_1_the_own_zones_by_too_few_is_passed_over_and_anothers_is_carried() -> None:
    known = KnownRevocations()
    good, elsewhere = by_zone(0, 1), by_zone(0, zone=AWAY)
    assert [good, elsewhere] == learn(known, by_zone(0), good, elsewhere)
    assert set(map(digest_of, (good, elsewhere))) == known.names()
    assert [good] == list(known.lacking_in(()))[:1], "what is proved is told first"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (replace(revoked(), seals=()), "below-threshold"),
        (replace(revoked(), seals=strange(1).seals), "bad-signature"),
        (replace(revoked(), revocation=replace(revoked().revocation, lifts=True)), "bad-signature"),
        (
            replace(
                revoked(),
                seals=(seal(ANN, Kind.ORDER, Role.ISSUER, digest_of(revoked().revocation)),),
            ),
            "bad-signature",
        ),
        (
            replace(
                revoked(),
                seals=(seal(ANN, Kind.REVOCATION, Role.ANCHOR, digest_of(revoked().revocation)),),
            ),
            "bad-signature",
        ),
    ],
    ids=["by nobody", "another's seal", "turned round", "trap 11: another kind", "another role"],
)
def test_section_11_1_what_anybody_can_tell_to_be_false_is_rejected_on_sight(
    wrong: SignedRevocation, reason: str
) -> None:
    known = KnownRevocations()
    with pytest.raises(Rejected) as caught:
        learn(known, strange(3), wrong)
    assert reason == caught.value.reason
    assert not known and not said_of(known, CODE), "and all that came with it is left out"


def test_what_is_too_large_is_rejected_on_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "REVOCATION_BYTES_MAX", 200)
    with pytest.raises(Rejected) as caught:
        learn(KnownRevocations(), revoked())
    assert "too-large" == caught.value.reason


@pytest.mark.usefixtures("small")
def test_trap_50_a_flood_of_strangers_revocations_displaces_nothing_of_worth() -> None:
    known = knowing()
    assert 2 == len(learn(known, *map(strange, range(5))))
    assert [] == learn(known, strange(9)), "who is known already stays"
    assert 2 == len(learn(known, *map(strange, range(10, 15)), teller=AWAY.zone))
    mine = [revoked(subject=digest(b"%d" % n)) for n in range(3)]
    assert mine == learn(known, *mine)
    assert [by_zone(0, 1)] == learn(known, by_zone(0, 1))
    assert 4 == len(known)
    assert [] == learn(known, by_zone(2, 3)), "there is no stranger left that could give way"


@pytest.mark.usefixtures("small")
def test_what_is_revoked_is_not_let_go_of_but_for_a_newer_word_of_the_same_signers() -> None:
    known = knowing()
    mine = [revoked(ANN, subject=digest(b"%d" % n)) for n in range(3)]
    assert mine == learn(known, *mine)
    assert [] == learn(known, revoked(ANN)), "there is no room for a fourth"
    again = revoked(ANN, subject=digest(b"0"), at_ms=NOW_MS + 1)
    assert [again] == learn(known, again)
    assert [] == learn(known, mine[0]), "an older one never displaces a newer one"
    assert [again, *mine[1:]] == [said_of(known, digest(b"%d" % n))[0] for n in range(3)]


def test_trap_10_a_lifting_by_too_few_takes_the_place_of_nothing() -> None:
    known = knowing(revoked(ANN))
    alone = revoked(ANN, at_ms=NOW_MS + 1, lifts=True)
    learn(known, alone)
    assert [revoked(ANN), alone] == said_of(known, CODE)


def test_trap_50_what_strangers_say_in_an_issuers_name_is_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(revocations, "STRANGE_REVOCATIONS_ALIKE_MAX", 3)
    known = knowing()
    learn(known, *(revoked(key(f"stranger {n}")) for n in range(9)))
    assert 3 == len(said_of(known, CODE)), "each vote looks at them"
    assert [revoked()] == learn(known, revoked())
    assert [strange(1)] == learn(known, strange(1)), "in another's there is room"


def test_a_stranger_that_comes_to_be_proved_leaves_its_tellers_share_and_stays() -> None:
    known = KnownRevocations()
    learn(known, revoked(), strange(1))
    known.note_officers(ISSUER, TWO)
    known.expire(NOW_MS + STRANGE_REVOCATION_CARRIED_MS - 1)
    assert 2 == len(known)
    known.expire(NOW_MS + STRANGE_REVOCATION_CARRIED_MS)
    assert {digest_of(revoked())} == known.names()
    assert revoked().revocation.ends_ms == NOW_MS + REVOCATION_HOLDS_MS
    known.expire(NOW_MS + REVOCATION_HOLDS_MS - 1)
    assert 1 == len(known)
    known.expire(NOW_MS + REVOCATION_HOLDS_MS)
    assert not known and not known.summary() and not said_of(known, CODE)


def test_what_has_lapsed_or_is_of_later_is_passed_over() -> None:
    late, early = (
        revoked(at_ms=NOW_MS - REVOCATION_HOLDS_MS),
        revoked(at_ms=NOW_MS + CLOCK_SKEW_MS + 1),
    )
    known = knowing(late, early, revoked())
    assert {digest_of(revoked())} == known.names()
    assert [] == learn(known, revoked()), "and what is known"
    assert (revoked(),) == known.lacking_in(())
    assert () == known.lacking_in(known.summary())
