"""Gossip (protocol §11): what is true spreads, what is false is rejected on sight, and a flood is bounded."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.protocol import gossip
from sojourn.core.protocol.gossip import KnownPlaces, News, Summary
from sojourn.core.zone.manifest import host_inclusions
from tests import samples
from tests.samples import NOW_MS, REALM, SampleZone, endorsement, envelope, found, key

A, B = found("a"), found("b")


def news_of(*zones: SampleZone) -> News:
    return News(
        manifests=tuple(zone.signed for zone in zones),
        envelopes=tuple(envelope(zone, host) for zone in zones for host in zone.hosts),
        endorsements=tuple(endorsement(zone.zone) for zone in zones),
    )


def knowing(*zones: SampleZone) -> KnownPlaces:
    places = KnownPlaces(REALM)
    places.learn(news_of(*zones), NOW_MS)
    return places


def test_what_is_learned_is_known() -> None:
    places = knowing(A, B)
    assert {A.zone: A.manifest, B.zone: B.manifest} == places.manifests
    assert {host.public for host in A.hosts} == set(places.envelopes_of(A.zone, NOW_MS))
    assert A.signed == places.signed_manifest(A.zone)
    assert 2 == len(places.endorsements)


def test_what_is_known_is_no_news() -> None:
    assert News() == knowing(A).learn(news_of(A), NOW_MS)


def test_section_11_two_that_exchange_know_the_same() -> None:
    one, other = knowing(A), knowing(B)
    one.learn(other.lacking_in(one.summary()), NOW_MS)
    other.learn(one.lacking_in(other.summary()), NOW_MS)
    assert one.summary() == other.summary()
    assert News() == one.lacking_in(other.summary())


ZONES = [found(name, n=1, hosts=1) for name in "cdefg"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sets(st.sampled_from(range(5))), min_size=3, max_size=5), st.data())
def test_section_11_whoever_gossips_long_enough_knows_all(
    known: list[set[int]], data: st.DataObject
) -> None:
    anchors = [knowing(*(ZONES[i] for i in some)) for some in known]
    pairs = [(i, j) for i in range(len(anchors)) for j in range(len(anchors)) if i != j]
    for i, j in [*data.draw(st.permutations(pairs)), *pairs, *pairs]:
        anchors[i].learn(anchors[j].lacking_in(anchors[i].summary()), NOW_MS)
    assert 1 == len({repr(anchor.summary()) for anchor in anchors})
    assert set().union(*known) == {i for i in range(5) if ZONES[i].zone in anchors[0].manifests}


# False statements


def spoilt() -> dict[str, tuple[News, str]]:
    """Return false news, each with what is wrong with it."""
    thief, unknown = found("thief"), found("unknown")
    stolen = replace(thief.manifest, zone=unknown.zone, epoch=1, previous=unknown.manifest.digest)
    production = found("a", realm="production")
    offered = envelope(A, A.hosts[0], sequence=NOW_MS + 1)
    other = A.memberships[A.hosts[1].public]
    said = endorsement(A.zone)
    return {
        "a manifest for another zone": (News(manifests=(samples.signed(stolen),)), "bad-epoch"),
        "an unsealed manifest": (
            News(manifests=(replace(unknown.signed, seals=A.signed.seals),)),
            "wrong-key",
        ),
        "another realm": (News(manifests=(production.signed,)), "wrong-realm"),
        "a stranger's envelope": (
            News(envelopes=(replace(offered, seal=envelope(B, B.hosts[0]).seal),)),
            "wrong-key",
        ),
        "an envelope of a host not enrolled": (
            News(envelopes=(envelope(A, A.hosts[0], sequence=NOW_MS + 1, membership=other),)),
            "unknown-host",
        ),
        "a forged endorsement": (
            News(endorsements=(replace(said, endorsement=replace(said.endorsement, level=10)),)),
            "bad-signature",
        ),
    }


@pytest.mark.parametrize("name", spoilt())
def test_section_11_a_false_statement_is_rejected_and_changes_nothing(name: str) -> None:
    false, reason = spoilt()[name]
    true = news_of(B)
    mixed = News(
        manifests=(*true.manifests, *false.manifests),
        envelopes=(*true.envelopes, *false.envelopes),
        endorsements=(*true.endorsements, *false.endorsements),
    )
    places = knowing(A)
    before = places.summary()
    with pytest.raises(Rejected) as caught:
        places.learn(mixed, NOW_MS)
    assert (reason, before) == (caught.value.reason, places.summary())
    assert true == places.learn(true, NOW_MS)


def test_an_envelope_by_a_clock_that_is_ahead_does_not_cost_its_bearer_the_rest() -> None:
    early = envelope(A, A.hosts[0], sequence=NOW_MS + 1, issued_ms=NOW_MS + CLOCK_SKEW_MS + 1)
    mixed = replace(news_of(B), envelopes=(early, *news_of(B).envelopes))
    assert news_of(B) == knowing(A).learn(mixed, NOW_MS)


def test_trap_13_the_first_manifest_of_a_zone_stays() -> None:
    places = knowing(A)
    thief = found("thief")
    stolen = replace(thief.manifest, zone=A.zone, epoch=1, previous=A.manifest.digest)
    assert News() == places.learn(News(manifests=(samples.signed(stolen),)), NOW_MS)
    assert A.manifest == places.manifests[A.zone]


# Old statements


def test_a_newer_envelope_displaces_an_older_one_and_never_the_other_way() -> None:
    places = knowing(A)
    host = A.hosts[0]
    newer = envelope(A, host, sequence=NOW_MS + 1, price_micros=5)
    older = envelope(A, host, sequence=NOW_MS - 1, price_micros=7)
    for statement in (newer, older, envelope(A, host)):
        places.learn(News(envelopes=(statement,)), NOW_MS)
    assert newer.envelope == places.envelopes_of(A.zone, NOW_MS)[host.public]


def test_an_envelope_of_a_zone_that_is_not_known_is_passed_over() -> None:
    places = knowing(A)
    assert News() == places.learn(News(envelopes=(envelope(B, B.hosts[0]),)), NOW_MS)


def test_what_has_expired_is_not_learned_and_not_kept() -> None:
    old = News(
        manifests=(found("old", not_after_ms=NOW_MS).signed,),
        envelopes=(envelope(A, A.hosts[0], expires_ms=NOW_MS),),
        endorsements=(endorsement(B.zone, not_after_ms=NOW_MS),),
    )
    assert News() == knowing(A).learn(old, NOW_MS)
    places = knowing(A)
    expires_ms = envelope(A, A.hosts[0]).envelope.expires_ms
    assert {} == places.envelopes_of(A.zone, expires_ms)
    places.expire(expires_ms)
    assert () == places.summary().envelopes


# Floods


def wide(hosts: int) -> tuple[SampleZone, list[Any]]:
    """Return a zone of many hosts, and an envelope of each."""
    pairs = tuple(key(f"wide/host/{i}") for i in range(hosts))
    root, memberships = host_inclusions(tuple(pair.public for pair in pairs))
    thin = found("wide", n=1)
    manifest = replace(thin.manifest, hosts_root=root)
    zone = SampleZone(samples.signed(manifest), pairs, memberships)
    return zone, [envelope(zone, pair) for pair in pairs]


def test_section_11_one_zones_hosts_do_not_crowd_out_those_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gossip, "HOSTS_MAX", 5)
    zone, envelopes = wide(8)
    places = KnownPlaces(REALM)
    places.learn(News(manifests=(zone.signed,), envelopes=tuple(envelopes)), NOW_MS)
    assert 5 == len(places.envelopes_of(zone.zone, NOW_MS))
    places.learn(news_of(A), NOW_MS)
    assert 2 == len(places.envelopes_of(A.zone, NOW_MS))
    first = next(e for e in envelopes if e.envelope.host in places.envelopes_of(zone.zone, NOW_MS))
    again = envelope(zone, key_of(zone, first.envelope.host), sequence=NOW_MS + 1)
    assert News(envelopes=(again,)) == places.learn(News(envelopes=(again,)), NOW_MS)


def key_of(zone: SampleZone, host: bytes) -> Any:
    return next(pair for pair in zone.hosts if pair.public == host)


def test_section_11_a_summary_of_all_that_may_be_known_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gossip, "ENVELOPES_MAX", 8)
    monkeypatch.setattr(gossip, "HOSTS_MAX", 5)
    zone, envelopes = wide(8)
    places = KnownPlaces(REALM, A.zone)
    places.learn(News(manifests=(zone.signed,), envelopes=tuple(envelopes)), NOW_MS)
    assert 3 == len(places.summary().envelopes)
    places.learn(news_of(A), NOW_MS)
    assert 5 == len(places.summary().envelopes)


def test_section_11_when_there_is_no_room_for_more_places_the_rest_is_still_learned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gossip, "PLACES_MAX", 1)
    monkeypatch.setattr(gossip, "ENDORSEMENTS_MAX", 1)
    places = knowing(A)
    newer = envelope(A, A.hosts[0], sequence=NOW_MS + 1)
    both = replace(news_of(B), envelopes=(*news_of(B).envelopes, newer))
    assert News(envelopes=(newer,)) == places.learn(both, NOW_MS)
    assert [A.zone] == list(places.manifests)


# Floods of what is true


STRANGERS = [found(f"stranger {i}", n=1, hosts=1) for i in range(12)]
TELLER, OTHER = digest(b"a zone of worth"), digest(b"another")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make room for eight zones and eight endorsements, and four of a teller's strangers."""
    for name, room in (("PLACES_MAX", 8), ("ENDORSEMENTS_MAX", 8)):
        monkeypatch.setattr(gossip, name, room)
        monkeypatch.setattr(gossip, f"STRANGE_{name}", room // 2)


def manifests_of(*zones: SampleZone) -> News:
    return News(manifests=tuple(zone.signed for zone in zones))


def full(places: KnownPlaces) -> KnownPlaces:
    """Let two tellers fill all room with strangers."""
    places.learn(manifests_of(*STRANGERS[:6]), NOW_MS, TELLER)
    places.learn(manifests_of(*STRANGERS[6:]), NOW_MS, OTHER)
    return places


def relying(*zones: SampleZone) -> KnownPlaces:
    """Return what is known where an agent relies on the issuer that endorses `zones`."""
    places = KnownPlaces(REALM, A.zone)
    places.rely_on([samples.ISSUER.public])
    places.learn(News(endorsements=tuple(endorsement(zone.zone) for zone in zones)), NOW_MS)
    return places


@pytest.mark.usefixtures("small")
def test_trap_50_what_one_teller_says_of_strangers_takes_its_own_share_of_the_room() -> None:
    places = KnownPlaces(REALM)
    assert manifests_of(*STRANGERS[:4]) == places.learn(manifests_of(*STRANGERS), NOW_MS)
    assert News() == places.learn(manifests_of(B), NOW_MS)
    assert manifests_of(B) == places.learn(manifests_of(B), NOW_MS, TELLER)


@pytest.mark.usefixtures("small")
def test_trap_50_who_is_known_already_stays_when_strangers_come() -> None:
    """So an introduction from before a flood outlives it."""
    places = KnownPlaces(REALM)
    places.learn(manifests_of(A, B), NOW_MS)
    full(places)
    assert 8 == len(places.manifests)
    assert {A.zone, B.zone} <= set(places.manifests)


@pytest.mark.usefixtures("small")
def test_trap_50_a_zone_that_a_trusted_issuer_endorses_takes_the_newest_strangers_place() -> None:
    places = full(relying(B))
    newest = list(places.manifests)[-1]
    assert manifests_of(B) == places.learn(manifests_of(B), NOW_MS)
    assert 8 == len(places.manifests)
    assert (True, False) == (B.zone in places.manifests, newest in places.manifests)


@pytest.mark.usefixtures("small")
def test_trap_50_manifest_and_endorsement_that_come_together_count_together() -> None:
    places = full(relying())
    assert B.zone in {m.manifest.zone_id for m in places.learn(news_of(B), NOW_MS).manifests}


@pytest.mark.usefixtures("small")
def test_trap_50_an_endorsement_by_anybody_is_no_worth() -> None:
    places = full(KnownPlaces(REALM))
    assert () == places.learn(news_of(B), NOW_MS).manifests
    places.rely_on([samples.ISSUER.public])
    assert manifests_of(B) == places.learn(manifests_of(B), NOW_MS)


@pytest.mark.usefixtures("small")
def test_trap_50_endorsed_zones_displace_no_endorsed_ones() -> None:
    zones = STRANGERS[:9]
    places = relying(*zones[:8])
    places.learn(manifests_of(*zones[:8]), NOW_MS)
    assert News() == places.learn(manifests_of(zones[8]), NOW_MS, TELLER)
    assert {zone.zone for zone in zones[:8]} == set(places.manifests)


@pytest.mark.usefixtures("small")
def test_trap_50_who_is_endorsed_later_gives_back_its_share() -> None:
    places = relying()
    places.learn(manifests_of(*STRANGERS[:4]), NOW_MS)
    assert News() == places.learn(manifests_of(B), NOW_MS)
    places.learn(News(endorsements=(endorsement(STRANGERS[0].zone),)), NOW_MS)
    assert manifests_of(B) == places.learn(manifests_of(B), NOW_MS)


@pytest.mark.usefixtures("small")
def test_trap_50_a_false_statement_in_a_flood_displaces_nobody() -> None:
    places = full(relying(B))
    before = places.summary()
    forged = replace(B.signed, seals=A.signed.seals)
    with pytest.raises(Rejected):
        places.learn(News(manifests=(forged,)), NOW_MS)
    assert before == places.summary()


@pytest.mark.usefixtures("small")
def test_trap_50_only_a_zone_of_worth_has_a_share_of_its_own() -> None:
    """Zones are free: shares for all of them would be no bound."""
    places = relying(B)
    places.learn(manifests_of(A, B, STRANGERS[0]), NOW_MS)
    tellers = [places.teller(key(f"{name}/anchor/0").public) for name in ("a", "b", "stranger 0")]
    assert [A.zone, B.zone, gossip.NOBODY] == tellers
    assert gossip.NOBODY == places.teller(key("nobody").public)


def test_trap_50_what_is_of_worth_is_told_before_what_a_flood_brought() -> None:
    """A message has room for some, and whoever has no room for strangers is told the same ones again."""
    zones = sorted((A, B, *STRANGERS), key=lambda zone: zone.zone)
    last = zones[-1]
    places = relying(last)
    free = tuple(endorsement(last.zone, by=key(f"free {i}")) for i in range(9))
    news = news_of(*zones)
    places.learn(replace(news, endorsements=free), NOW_MS)
    told = places.lacking_in(KnownPlaces(REALM).summary())
    own = {A.zone, last.zone}
    assert own == {signed.manifest.zone_id for signed in told.manifests[:2]}
    hosts = len(A.hosts) + len(last.hosts)
    assert own == {signed.envelope.zone for signed in told.envelopes[:hosts]}
    assert endorsement(last.zone) == told.endorsements[0]
    assert len(zones) == len(told.manifests)


def lasting(zone: SampleZone, until_ms: int) -> SampleZone:
    """Return a zone whose manifest expires."""
    return replaced(zone, not_after_ms=until_ms)


def replaced(zone: SampleZone, **changes: Any) -> SampleZone:
    return SampleZone(
        samples.signed(replace(zone.manifest, **changes)), zone.hosts, zone.memberships
    )


def test_section_11_an_expired_manifest_leaves_with_its_hosts() -> None:
    brief = lasting(B, NOW_MS + 10)
    places = knowing(A, brief)
    places.expire(NOW_MS + 10)
    assert ([A.zone], {}) == (list(places.manifests), places.envelopes_of(brief.zone, NOW_MS))
    assert News() == places.learn(manifests_of(brief), NOW_MS + 10)


def test_section_11_a_manifest_that_a_record_names_is_never_let_go() -> None:
    """It proves where an agent was, and brings home one that departed for it."""
    brief = lasting(B, NOW_MS + 10)
    places = knowing(A, brief)
    places.hold([brief.zone])
    places.expire(NOW_MS + 10)
    assert brief.signed == places.signed_manifest(brief.zone)
    again = KnownPlaces(REALM)
    again.hold([brief.zone])
    assert manifests_of(brief) == again.learn(manifests_of(brief), NOW_MS + 10)
    assert News() == again.lacking_in(KnownPlaces(REALM).summary(), NOW_MS + 10)


@pytest.mark.usefixtures("small")
def test_trap_50_a_manifest_that_a_record_names_is_taken_however_full_it_is() -> None:
    places = relying(*STRANGERS[:8])
    places.learn(manifests_of(*STRANGERS[:8]), NOW_MS)
    places.hold([B.zone])
    assert manifests_of(B) == places.learn(manifests_of(B), NOW_MS)
    assert 9 == len(places.manifests)
    assert 8 == len(places.summary().zones)


@pytest.mark.usefixtures("small")
def test_section_11_a_host_keeps_expired_manifests_while_there_is_room() -> None:
    """Its anchors tell it of those alone that prove chains of custody."""
    brief = lasting(B, NOW_MS + 10)
    places = KnownPlaces(REALM, A.zone, keeps_expired=True)
    assert manifests_of(brief) == places.learn(manifests_of(brief), NOW_MS + 10)
    places.expire(NOW_MS + 10)
    assert brief.zone in places.manifests
    full(places)
    assert brief.zone in places.manifests
    places.learn(manifests_of(A), NOW_MS + 10)
    assert brief.zone not in places.manifests


@pytest.mark.usefixtures("small")
def test_trap_50_free_endorsements_do_not_keep_out_those_that_count() -> None:
    def by(name: str, subject: bytes, depth: int = 0) -> Any:
        return endorsement(subject, by=key(name), depth=depth)

    places = KnownPlaces(REALM)
    for teller in (TELLER, OTHER):
        flood = [by(f"{teller.hex()}/{i}", A.zone) for i in range(9)]
        assert 4 == len(places.learn(News(endorsements=tuple(flood)), NOW_MS, teller).endorsements)
    mine = News(endorsements=(endorsement(A.zone),))
    assert News() == places.learn(mine, NOW_MS)
    places.rely_on([samples.ISSUER.public])
    assert mine == places.learn(mine, NOW_MS)
    chain = (by("deputy", B.zone), endorsement(key("deputy").public, depth=1))
    for each in reversed(chain):
        places.learn(News(endorsements=(each,)), NOW_MS)
    assert {A.zone, B.zone, key("deputy").public} <= {
        signed.endorsement.subject for signed in places.endorsements
    }


def test_trap_50_hosts_of_strangers_do_not_keep_out_the_zones_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gossip, "ENVELOPES_MAX", 12)
    monkeypatch.setattr(gossip, "HOSTS_MAX", 6)
    monkeypatch.setattr(gossip, "STRANGE_ENVELOPES_MAX", 3)
    places = relying(B)
    places.learn(replace(news_of(*STRANGERS), endorsements=()), NOW_MS)
    assert 3 == len(places.summary().envelopes)
    places.learn(news_of(A, B), NOW_MS)
    assert 2 == len(places.envelopes_of(A.zone, NOW_MS))
    assert 2 == len(places.envelopes_of(B.zone, NOW_MS))


def test_a_summary_is_the_same_however_it_came_about() -> None:
    one, other = KnownPlaces(REALM), KnownPlaces(REALM)
    for places, order in ((one, (A, B)), (other, (B, A))):
        for zone in order:
            places.learn(news_of(zone), NOW_MS)
    assert one.summary() == other.summary()
    assert Summary(zones=(), envelopes=(), endorsements=()) != one.summary()
    assert News() == one.lacking_in(other.summary())
    assert digest(b"unknown") not in one.manifests
