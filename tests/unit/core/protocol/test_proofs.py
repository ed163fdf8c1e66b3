"""What an anchor holds of proofs (protocol §11.7): checked by itself, one for each liar, no flood fills it."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.merkle import Inclusion
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol import proofs
from sojourn.core.protocol.gossip import NOBODY
from sojourn.core.protocol.proofs import KnownProofs
from sojourn.core.quorum.fraud import Fraud
from tests.samples import SampleZone, found, seal
from tests.unit.core.protocol.test_accusing import two_faced

HOME, AWAY = found("home"), found("away")
DEEP = Inclusion(index=0, size=2**40, path=(bytes(32),) * 40)
ZONES = {zone.zone: zone for zone in (HOME, AWAY)}


def learn(
    known: KnownProofs,
    *told: Fraud,
    teller: bytes | None = NOBODY,
    worthy: tuple[SampleZone, ...] = (HOME,),
) -> list[Fraud]:
    names = {zone.zone for zone in worthy}

    def signed(zone: bytes) -> Any:
        return ZONES[zone].signed if zone in ZONES else None

    return known.learn(told, teller, signed, lambda zone: zone in names)


def other_proof(zone: SampleZone, anchor: int) -> Fraud:
    return two_faced(zone, anchor, version=99)


def test_what_is_learned_is_held_and_is_no_news() -> None:
    known = KnownProofs()
    mine = [two_faced(HOME, 2), two_faced(HOME, 0)]
    assert mine == learn(known, *mine)
    assert [0, 2] == [proof.anchor for proof in known.against(HOME.zone)]
    assert [HOME.zone] == known.zones()
    assert HOME.signed == known.manifest(HOME.zone)
    assert [] == learn(known, *mine)
    assert 2 == len(known)


def test_section_11_a_second_proof_against_one_anchor_takes_no_room() -> None:
    known = KnownProofs()
    first = two_faced(HOME, 2)
    assert [first] == learn(known, first, other_proof(HOME, 2))
    assert [] == learn(known, other_proof(HOME, 2))
    assert [first] == known.against(HOME.zone)


def spoilt() -> dict[str, Fraud]:
    """Return false proofs, by the reason for which each is refused."""
    good = two_faced(AWAY, 2)
    strange = seal(AWAY.vote_key(1), Kind.VOTE, Role.ANCHOR, digest_of(good.other.ballot))
    padded = AWAY.certificate(good.one.ballot.slot, digest_of(good.one))
    path = replace(padded.votes[0].seal, inclusion=DEEP)
    wide = (replace(padded.votes[0], seal=path),) * 31
    return {
        "no-fraud": replace(good, other=good.one),
        "wrong-slot": replace(good, other=two_faced(AWAY, 1).other),
        "wrong-key": replace(good, other=replace(good.other, seal=strange)),
        "bad-signature": replace(good, other=replace(good.other, seal=good.one.seal)),
        "wrong-epoch": two_faced(AWAY, 2, epoch=1),
        "wrong-realm": two_faced(AWAY, 2, realm="production"),
        "unknown-anchor": two_faced(AWAY, 9),
        "too-large": replace(good, shown=replace(padded, votes=wide)),
    }


@pytest.mark.parametrize("reason", spoilt())
def test_section_11_what_is_false_is_rejected_and_nothing_that_came_with_it_is_learned(
    reason: str,
) -> None:
    known = KnownProofs()
    held = two_faced(HOME, 1)
    learn(known, held)
    with pytest.raises(Rejected) as caught:
        learn(known, two_faced(HOME, 0), spoilt()[reason])
    assert reason == caught.value.reason
    assert [held.culprit] == list(known.names())


def test_section_11_replayed_against_another_zone_it_proves_nothing() -> None:
    """The slot names the zone: what was signed for one is checked by that zone's keys and no other's."""
    known, good = KnownProofs(), two_faced(AWAY, 2)
    slot = replace(good.one.ballot.slot, group=HOME.zone)
    moved = replace(
        good,
        one=replace(good.one, ballot=replace(good.one.ballot, slot=slot)),
        other=replace(good.other, ballot=replace(good.other.ballot, slot=slot)),
    )
    with pytest.raises(Rejected) as caught:
        learn(known, moved)
    assert "wrong-key" == caught.value.reason


def test_section_11_what_cannot_be_checked_here_is_passed_over() -> None:
    known = KnownProofs()
    assert [] == learn(known, two_faced(found("nowhere"), 2))
    assert 0 == len(known)


# Room


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "PROOFS_MAX", 4)
    monkeypatch.setattr(proofs, "STRANGE_PROOFS_MAX", 2)


@pytest.mark.usefixtures("_small")
def test_trap_50_strangers_have_a_share_for_each_teller() -> None:
    known = KnownProofs()
    strange = [two_faced(AWAY, anchor) for anchor in range(4)]
    assert strange[:2] == learn(known, *strange, teller=b"one")
    assert strange[2:] == learn(known, *strange, teller=b"other")
    assert [] == learn(known, two_faced(AWAY, 3), teller=b"third")


@pytest.mark.usefixtures("_small")
def test_trap_50_what_is_of_worth_takes_a_strangers_place_and_nobody_elses() -> None:
    known = KnownProofs()
    strange = [two_faced(AWAY, anchor) for anchor in (0, 1)]
    learn(known, *strange, teller=b"one")
    mine = [two_faced(HOME, anchor) for anchor in range(4)]
    assert mine == learn(known, *mine)
    assert {proof.culprit for proof in mine} == set(known.names())
    assert [HOME.zone] == known.zones()
    assert [] == learn(known, two_faced(AWAY, 0), worthy=(HOME, AWAY)), "all of it is of worth"


@pytest.mark.usefixtures("_small")
def test_trap_50_who_has_become_of_worth_is_no_stranger_any_more() -> None:
    known = KnownProofs()
    learn(known, *(two_faced(AWAY, anchor) for anchor in (0, 1)), teller=b"one")
    both = (HOME, AWAY)
    mine = [two_faced(HOME, anchor) for anchor in range(3)]
    assert mine[:2] == learn(known, *mine, worthy=both)
    assert sorted(ZONES) == known.zones()


def test_what_is_proved_of_zones_that_are_forgotten_is_let_go_of() -> None:
    known = KnownProofs()
    learn(known, two_faced(HOME, 0), two_faced(AWAY, 1))
    known.forget_zones({HOME.zone})
    assert [HOME.zone] == known.zones()
    assert 1 == len(known)


# Telling


def test_section_11_what_another_lacks_is_told_and_what_is_of_worth_first() -> None:
    known, other = KnownProofs(), KnownProofs()
    learn(known, *(two_faced(zone, anchor) for zone in (AWAY, HOME) for anchor in (0, 1)))
    learn(other, other_proof(HOME, 0))
    told = known.lacking_in(other.summary(), lambda zone: zone == HOME.zone)
    assert (HOME.zone, 1) == (told[0].zone, told[0].anchor)
    assert {(AWAY.zone, 0), (AWAY.zone, 1)} == {(p.zone, p.anchor) for p in told[1:]}
    learn(other, *told)
    assert known.summary() == other.summary()
    assert () == known.lacking_in(other.summary(), lambda _: True)
