"""Whose word counts for what (protocol §11.1): shares, worth that comes and goes, and room to the last place."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.protocol import gossip
from sojourn.core.protocol.gossip import NOBODY, KnownPlaces, News, Summary
from tests import samples
from tests.samples import ISSUER, NOW_MS, REALM, SampleZone, endorsement, envelope, found, key

A, B = found("a"), found("b")
STRANGERS = [found(f"stranger {i}", n=1, hosts=1) for i in range(12)]
NOTHING = Summary(zones=(), envelopes=(), endorsements=())


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make room for eight zones and eight endorsements, and four of a teller's strangers."""
    for name in ("PLACES_MAX", "ENDORSEMENTS_MAX"):
        monkeypatch.setattr(gossip, name, 8)
        monkeypatch.setattr(gossip, f"STRANGE_{name}", 4)


def zones(*named: SampleZone) -> News:
    return News(manifests=tuple(zone.signed for zone in named))


def hosts(*named: SampleZone) -> News:
    return News(envelopes=tuple(envelope(zone, host) for zone in named for host in zone.hosts))


def said(*endorsements: Any) -> News:
    return News(endorsements=endorsements)


def by(name: str, subject: bytes, depth: int = 0) -> Any:
    return endorsement(subject, by=key(name), depth=depth)


def brief(zone: SampleZone, until_ms: int) -> SampleZone:
    """Return a zone whose manifest expires."""
    manifest = replace(zone.manifest, not_after_ms=until_ms)
    return SampleZone(samples.signed(manifest), zone.hosts, zone.memberships)


def relying(*endorsed: SampleZone) -> KnownPlaces:
    """Return what zone a knows where an agent relies on the issuer that endorses `endorsed`."""
    places = KnownPlaces(REALM, A.zone)
    places.rely_on([ISSUER.public])
    places.learn(said(*(endorsement(zone.zone) for zone in endorsed)), NOW_MS)
    return places


def endorsed(places: KnownPlaces) -> set[bytes]:
    """Return the subjects of what is known to be endorsed."""
    return {signed.endorsement.subject for signed in places.endorsements}


def told(places: KnownPlaces, count: int, teller: bytes | None = NOBODY, start: int = 0) -> int:
    """Have a teller tell of some strangers; return how many were learned."""
    named = zones(*STRANGERS[start : start + count])
    return len(places.learn(named, NOW_MS, teller).manifests)


# Whose share


def test_trap_50_who_puts_counts_as_itself_at_home_and_as_its_zone_elsewhere() -> None:
    places, c = relying(B), STRANGERS[0]
    places.learn(zones(A, B, c), NOW_MS)
    places.learn(hosts(A, B, c), NOW_MS)
    for pair, share in (
        (A.hosts[0], A.hosts[0].public),
        (A.identity(0), A.identity(0).public),
        (B.hosts[0], B.zone),
        (B.identity(0), B.zone),
        (c.hosts[0], NOBODY),
        (c.identity(0), NOBODY),
        (key("nobody"), NOBODY),
    ):
        assert share == places.share_of(pair.public)
    assert [True, True, False] == [
        places.is_anchor(pair.public) for pair in (A.identity(3), c.identity(0), A.hosts[0])
    ]


@pytest.mark.usefixtures("small")
def test_trap_50_what_was_known_before_is_in_nobodys_share() -> None:
    places = KnownPlaces(REALM)
    assert 6 == told(places, 6, None)
    assert 2 == told(places, 6, NOBODY, start=6), "there is no more room"
    places = KnownPlaces(REALM)
    before = [by(f"free {i}", A.zone) for i in range(6)]
    assert 6 == len(places.learn(said(*before), NOW_MS, None).endorsements)
    flood = [by(f"other {i}", A.zone) for i in range(6)]
    assert 2 == len(places.learn(said(*flood), NOW_MS).endorsements)


@pytest.mark.usefixtures("small")
def test_trap_50_a_share_is_given_back_when_its_strangers_leave_or_are_named() -> None:
    places = KnownPlaces(REALM)
    first = STRANGERS[0]
    assert 4 == told(places, 5)
    places.hold([first.zone])
    assert 1 == told(places, 2, start=4), "a record names one of them"
    soon = brief(STRANGERS[7], NOW_MS + 1)
    places = KnownPlaces(REALM)
    places.learn(zones(soon), NOW_MS)
    assert 3 == told(places, 4)
    places.expire(NOW_MS + 1)
    assert soon.zone not in places.manifests
    assert 1 == told(places, 2, start=4), "one has expired"


@pytest.mark.usefixtures("small")
def test_trap_50_an_endorsers_share_is_given_back_when_its_word_expires_or_counts() -> None:
    def free(start: int, count: int, **fields: Any) -> list[Any]:
        names = range(start, start + count)
        return [endorsement(A.zone, by=key(f"free {i}"), **fields) for i in names]

    places = KnownPlaces(REALM)
    places.learn(said(*free(0, 1, not_after_ms=NOW_MS + 1), *free(1, 3)), NOW_MS)
    assert News() == places.learn(said(*free(4, 2)), NOW_MS)
    places.expire(NOW_MS + 1)
    assert 3 == len(places.endorsements)
    assert 1 == len(places.learn(said(*free(4, 2)), NOW_MS + 1).endorsements)
    places.rely_on([key("free 1").public])
    assert 1 == len(places.learn(said(*free(5, 2)), NOW_MS + 1).endorsements)


@pytest.mark.usefixtures("small")
def test_trap_50_what_was_left_out_for_a_false_statement_took_no_share() -> None:
    forged = replace(STRANGERS[9].signed, seals=A.signed.seals)
    places = KnownPlaces(REALM)
    with pytest.raises(Rejected):
        places.learn(News(manifests=(*zones(*STRANGERS[:3]).manifests, forged)), NOW_MS)
    assert 4 == told(places, 6)
    with pytest.raises(Rejected):
        places.learn(News(manifests=(B.signed, forged)), NOW_MS, B.zone)
    assert 0 == told(places, 1, start=6), "and gave none back"


# What is of worth


def test_section_11_1_the_own_zone_and_all_that_records_ever_named_are_held() -> None:
    own, first, second, other = (brief(zone, NOW_MS + 1) for zone in (A, B, *STRANGERS[:2]))
    places = KnownPlaces(REALM, own.zone)
    places.hold([first.zone])
    places.hold([second.zone])
    places.learn(zones(own, first, second, other), NOW_MS)
    places.expire(NOW_MS + 1)
    assert {own.zone, first.zone, second.zone} == set(places.manifests)


@pytest.mark.usefixtures("small")
def test_section_11_1_endorsements_are_followed_from_every_issuer_relied_on() -> None:
    first, second, third, fourth = STRANGERS[:4]
    places = KnownPlaces(REALM)
    places.rely_on([ISSUER.public])
    places.rely_on([key("other").public])
    chain = (
        endorsement(key("deputy").public, depth=1),
        by("deputy", key("deputy's").public, depth=1),
        by("deputy's", first.zone),
        by("other", second.zone),
        endorsement(third.zone),
        endorsement(key("no deputy").public),
        by("no deputy", fourth.zone),
    )
    places.learn(said(*chain), NOW_MS)
    places.learn(zones(first, second, third, fourth), NOW_MS)
    shares = [places.teller(zone.identity(0).public) for zone in (first, second, third, fourth)]
    assert [first.zone, second.zone, third.zone, NOBODY] == shares


def test_section_11_1_worth_ends_with_the_endorsement() -> None:
    places = relying()
    places.learn(said(endorsement(B.zone, not_after_ms=NOW_MS + 1)), NOW_MS)
    places.learn(zones(B), NOW_MS)
    assert B.zone == places.teller(B.identity(0).public)
    places.expire(NOW_MS + 1)
    assert NOBODY == places.teller(B.identity(0).public)


def test_section_11_a_zone_of_worth_expires_like_any_other() -> None:
    soon = brief(B, NOW_MS + 1)
    places = relying(soon)
    places.learn(zones(A, soon), NOW_MS)
    places.expire(NOW_MS + 1)
    assert {A.zone} == set(places.manifests)


# Room


@pytest.mark.usefixtures("small")
def test_trap_50_an_endorsement_that_counts_displaces_the_newest_stranger_and_only_if_it_must() -> (
    None
):
    places = relying(*STRANGERS[:3])
    places.learn(said(*(by(f"free {i}", STRANGERS[4 + i].zone) for i in range(4))), NOW_MS)
    places.learn(said(endorsement(A.zone)), NOW_MS)
    assert 8 == len(places.endorsements), "there was room for one more"
    places.learn(said(endorsement(B.zone)), NOW_MS)
    assert 8 == len(places.endorsements)
    assert {A.zone, B.zone} <= endorsed(places)
    assert STRANGERS[7].zone not in endorsed(places) and STRANGERS[6].zone in endorsed(places)
    one_more = by("free 9", A.zone)
    assert News() == places.learn(said(one_more), NOW_MS), "no stranger displaces anybody"
    places.expire(NOW_MS)
    assert 8 == len(places.endorsements)


def test_trap_50_what_is_of_worth_displaces_nothing_of_worth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two, three = STRANGERS[:3]
    monkeypatch.setattr(gossip, "PLACES_MAX", 2)
    places = relying(one, two, three)
    places.learn(zones(one, two), NOW_MS)
    assert News() == places.learn(zones(three), NOW_MS)
    assert {one.zone, two.zone} == set(places.manifests)
    monkeypatch.setattr(gossip, "ENDORSEMENTS_MAX", 2)
    assert {one.zone, two.zone} == endorsed(relying(one, two, three))


@pytest.mark.usefixtures("small")
def test_trap_50_a_forged_endorsement_displaces_nobody() -> None:
    places = relying(*STRANGERS[:4])
    places.learn(said(*(by(f"free {i}", A.zone) for i in range(4))), NOW_MS)
    before = places.summary()
    true = endorsement(B.zone)
    forged = replace(true, endorsement=replace(true.endorsement, level=9))
    with pytest.raises(Rejected):
        places.learn(said(forged), NOW_MS)
    assert before == places.summary()


@pytest.mark.usefixtures("small")
def test_trap_50_what_is_learned_and_displaced_at_once_is_no_news() -> None:
    places = relying(B)
    places.learn(zones(*STRANGERS[:4]), NOW_MS, B.zone)
    news = zones(*STRANGERS[4:8], B)
    assert zones(*STRANGERS[4:7], B) == places.learn(news, NOW_MS, NOBODY)
    places = relying(*STRANGERS[:4])
    free = [by(f"free {i}", A.zone) for i in range(4)]
    assert said(*free[:3], endorsement(B.zone)) == places.learn(
        said(*free, endorsement(B.zone)), NOW_MS
    )


@pytest.mark.usefixtures("small")
def test_section_11_1_an_expired_manifest_makes_room_for_anybody_unless_it_is_held() -> None:
    def keeping(*named: SampleZone) -> KnownPlaces:
        places = KnownPlaces(REALM, A.zone, keeps_expired=True)
        places.learn(zones(*named), NOW_MS, None)
        return places

    expiring = brief(B, NOW_MS + 1)
    full = keeping(expiring, *STRANGERS[:7])
    assert News() == full.learn(zones(STRANGERS[8]), NOW_MS)
    assert zones(STRANGERS[8]) == full.learn(zones(STRANGERS[8]), NOW_MS + 1)
    assert expiring.zone not in full.manifests
    held = keeping(expiring, *STRANGERS[:7])
    held.hold([expiring.zone])
    assert News() == held.learn(zones(STRANGERS[8]), NOW_MS + 1)
    other = brief(STRANGERS[0], NOW_MS + 1)
    both = keeping(expiring, other, *STRANGERS[1:7])
    both.hold([expiring.zone])
    assert zones(A) == both.learn(zones(A), NOW_MS + 1)
    assert other.zone not in both.manifests and expiring.zone in both.manifests
    assert STRANGERS[6].zone in both.manifests


def test_section_11_a_zone_that_is_let_go_of_takes_its_own_hosts_along() -> None:
    soon = brief(B, NOW_MS + 1)
    places = KnownPlaces(REALM)
    places.learn(zones(A, soon), NOW_MS)
    places.learn(hosts(A, soon), NOW_MS)
    assert 4 == len(places.summary().envelopes)
    places.expire(NOW_MS + 1)
    assert {host.public for host in A.hosts} == {m.host for m in places.summary().envelopes}


def test_trap_50_hosts_have_room_to_the_last_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, room in (("ENVELOPES_MAX", 6), ("HOSTS_MAX", 2), ("STRANGE_ENVELOPES_MAX", 2)):
        monkeypatch.setattr(gossip, name, room)
    worth = STRANGERS[:4]
    places = relying(*worth)
    places.learn(zones(A, *STRANGERS), NOW_MS, None)
    places.learn(hosts(A), NOW_MS)
    assert 2 == len(places.envelopes_of(A.zone, NOW_MS))
    assert 2 == len(places.learn(hosts(*STRANGERS[6:]), NOW_MS).envelopes), "of strangers"
    assert 2 == len(places.learn(hosts(*worth), NOW_MS).envelopes), "the own zone's stay free"
    late = relying(*worth)
    late.learn(zones(A, *STRANGERS), NOW_MS, None)
    assert 2 == len(late.learn(hosts(*worth[:2]), NOW_MS).envelopes)
    assert 2 == len(late.learn(hosts(*STRANGERS[6:]), NOW_MS).envelopes)
    assert 0 == len(late.learn(hosts(*worth[2:]), NOW_MS).envelopes)
    assert 2 == len(late.learn(hosts(A), NOW_MS).envelopes)


# To the millisecond


def test_what_is_current_is_current_to_its_last_millisecond() -> None:
    places = KnownPlaces(REALM)
    soon, host = brief(B, NOW_MS + 1), A.hosts[0]
    ahead = envelope(A, host, issued_ms=NOW_MS + CLOCK_SKEW_MS, expires_ms=NOW_MS + 10**6)
    word = endorsement(A.zone, not_after_ms=NOW_MS + 1)
    places.learn(zones(A), NOW_MS)
    over = envelope(A, host, NOW_MS - 10, expires_ms=NOW_MS)
    assert News() == places.learn(News(envelopes=(over,)), NOW_MS), "passed over, not rejected"
    news = News(manifests=(soon.signed,), envelopes=(ahead,), endorsements=(word,))
    assert news == places.learn(news, NOW_MS)
    places.expire(NOW_MS)
    assert soon.zone in places.manifests and 1 == len(places.endorsements)
    knows_a = replace(NOTHING, zones=(A.zone,))
    assert (soon.signed,) == places.lacking_in(knows_a, NOW_MS).manifests
    assert () == places.lacking_in(knows_a, NOW_MS + 1).manifests
    assert {host.public} == set(places.envelopes_of(A.zone, NOW_MS + 10**6 - 1))
    places.expire(NOW_MS + 10**6 - 1)
    assert 1 == len(places.summary().envelopes)
    places.expire(NOW_MS + 10**6)
    assert () == places.summary().envelopes == places.summary().endorsements


def test_a_host_that_has_just_begun_to_count_is_told_of() -> None:
    for sequence in (0, 1):
        places, first = KnownPlaces(REALM), envelope(A, A.hosts[0], sequence=sequence)
        places.learn(News(manifests=(A.signed,), envelopes=(first,)), NOW_MS)
        assert (first,) == places.lacking_in(NOTHING, NOW_MS).envelopes
        assert () == places.lacking_in(places.summary(), NOW_MS).envelopes


def test_what_is_told_at_no_moment_is_all_that_is_held() -> None:
    old = brief(B, 1)
    places = KnownPlaces(REALM)
    places.hold([old.zone])
    places.learn(zones(old), NOW_MS)
    assert zones(old) == places.lacking_in(NOTHING)


def test_names_and_zones_are_those_of_what_is_known() -> None:
    places = KnownPlaces(REALM)
    places.learn(News(manifests=(B.signed, A.signed), endorsements=(endorsement(A.zone),)), NOW_MS)
    named, known = places.names()
    assert {A.zone, B.zone} == set(named)
    assert set(places.summary().endorsements) == set(known)
    assert sorted([A.zone, B.zone]) == [s.manifest.zone_id for s in places.known_zones()]
    assert places.signed_manifest(STRANGERS[0].zone) is None


def test_section_11_1_what_is_of_worth_among_the_news_is_what_issuers_here_vouch_for() -> None:
    places = relying()
    friend, stranger = STRANGERS[:2]
    places.learn(zones(friend), NOW_MS)
    assert News() == places.of_worth(zones(friend)), "nobody vouches for it yet"
    word, other = endorsement(friend.zone), by("mallory", stranger.zone)
    learned = places.learn(said(word, other), NOW_MS)
    assert (word, other) == learned.endorsements
    assert News(manifests=(friend.signed,), endorsements=(word,)) == places.of_worth(learned)
    assert {friend.zone} == places.named_in(learned), "the other is not known here"
    learned = places.learn(zones(stranger, B), NOW_MS)
    assert News() == places.of_worth(learned)
    assert {stranger.zone, B.zone} == places.named_in(learned)


def test_several_pieces_of_news_are_joined_in_their_order() -> None:
    first, second = zones(STRANGERS[0]), hosts(A)
    third = said(endorsement(A.zone))
    joined = gossip.joined([first, second, third, zones(STRANGERS[1])])
    assert (*first.manifests, STRANGERS[1].signed) == joined.manifests
    assert (second.envelopes, third.endorsements) == (joined.envelopes, joined.endorsements)
