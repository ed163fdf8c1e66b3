"""Chains of endorsements that are remembered: never past a time, an issuer, a zone or a statement they depend on."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.agent import trust as judging
from sojourn.core.agent.events import Events
from sojourn.core.agent.trust import Endorsements, Trust, TrustedIssuer, judge, vouchers
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.gossip import KnownPlaces, News
from tests.samples import ISSUER, NOW_MS, REALM, endorsement, found, key

ZONE, OTHER = digest(b"the zone"), digest(b"another zone")
ALICE, BOB = key("alice"), key("bob")


def relying(level: int = 10, depth: int = 1, **fields: Any) -> Trust:
    """Return trust in the issuer."""
    issuer = TrustedIssuer(name="acme", key=ISSUER.public, level=level, depth=depth)
    return Trust(issuers=(issuer,), **fields)


def level_of(
    known: Endorsements,
    trust: Trust | None = None,
    *,
    zone: bytes = ZONE,
    operation: str = "travel",
    now_ms: int = NOW_MS,
) -> int:
    return judge(trust or relying(), zone, operation, known, now_ms).level


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[TrustedIssuer]:
    """Return the issuers from which chains were looked for, one by one."""
    asked: list[TrustedIssuer] = []
    search = judging._best_from

    def noting(root: TrustedIssuer, *rest: Any) -> Any:
        asked.append(root)
        return search(root, *rest)

    monkeypatch.setattr(judging, "_best_from", noting)
    return asked


# What is remembered


def test_a_chain_is_looked_for_once(searches: list[TrustedIssuer]) -> None:
    known = Endorsements([endorsement(ZONE, 5)])
    assert [5, 5, 5] == [level_of(known, now_ms=NOW_MS + passed) for passed in range(3)]
    assert 1 == len(searches)
    assert 5 == level_of(known, relying()), "by the same issuers, of another record"
    assert 1 == len(searches)


def test_that_there_is_none_is_remembered_too(searches: list[TrustedIssuer]) -> None:
    known = Endorsements([endorsement(OTHER, 5)])
    assert [0, 0] == [level_of(known), level_of(known)]
    assert 1 == len(searches)


def test_what_leads_elsewhere_changes_nothing_when_it_ends(searches: list[TrustedIssuer]) -> None:
    known = Endorsements([endorsement(ZONE, 5), endorsement(OTHER, 5, not_after_ms=NOW_MS + 1)])
    assert [5, 5] == [level_of(known), level_of(known, now_ms=NOW_MS + 1)]
    assert 1 == len(searches)


def test_what_is_remembered_is_bounded(
    monkeypatch: pytest.MonkeyPatch, searches: list[TrustedIssuer]
) -> None:
    monkeypatch.setattr(judging, "_CHAINS_REMEMBERED", 2)
    known = Endorsements([endorsement(ZONE, 5)])
    for operation in ("travel", "execute", "travel", "spawn", "travel"):
        assert 5 == level_of(known, operation=operation)
    assert 3 == len(searches), "the one that was not used for longest was forgotten"
    assert 5 == level_of(known, operation="execute")
    assert 4 == len(searches)


# What it depends on


def test_section_4_a_remembered_chain_ends_with_any_endorsement_of_it() -> None:
    for first_ms, second_ms in ((5, 9), (9, 5)):
        through = endorsement(ALICE.public, 9, depth=1, not_after_ms=NOW_MS + first_ms)
        known = Endorsements(
            [through, endorsement(ZONE, 8, by=ALICE, not_after_ms=NOW_MS + second_ms)]
        )
        trust = relying(depth=2)
        levels = [level_of(known, trust, now_ms=NOW_MS + passed) for passed in (0, 4, 5, 0)]
        assert [8, 8, 0, 8] == levels


def test_section_4_that_there_is_no_chain_ends_with_what_begins() -> None:
    through = endorsement(ALICE.public, 9, depth=1, not_before_ms=NOW_MS + 3)
    known = Endorsements([through, endorsement(ZONE, 8, by=ALICE, not_before_ms=NOW_MS + 5)])
    trust = relying(depth=2)
    levels = [level_of(known, trust, now_ms=NOW_MS + passed) for passed in (0, 2, 3, 4, 5, 0)]
    assert [0, 0, 0, 0, 8, 0] == levels


def test_section_4_a_better_chain_that_begins_takes_its_place() -> None:
    known = Endorsements([endorsement(ZONE, 4), endorsement(ZONE, 9, not_before_ms=NOW_MS + 2)])
    assert [4, 9, 4] == [level_of(known, now_ms=NOW_MS + passed) for passed in (1, 2, 1)]


def test_section_4_a_remembered_chain_ends_with_the_relationship() -> None:
    issuer = TrustedIssuer(name="acme", key=ISSUER.public, not_after_ms=NOW_MS + 2)
    known, trust = Endorsements([endorsement(ZONE, 5)]), Trust(issuers=(issuer,))
    levels = [level_of(known, trust, now_ms=NOW_MS + passed) for passed in (0, 1, 2, 1)]
    assert [5, 5, 0, 5] == levels


def test_section_4_an_event_counts_at_once() -> None:
    known = Endorsements([endorsement(ZONE, 5)])
    assert 5 == level_of(known)
    assert 3 == level_of(known, relying(events={ZONE.hex(): Events(refused=2)}))
    assert 0 == level_of(known, relying(events={ZONE.hex(): Events(liars=(1,), tolerated=1)}))
    assert 5 == level_of(known, relying(events={OTHER.hex(): Events(refused=2)}))


def test_section_4_what_is_needed_is_asked_anew() -> None:
    known = Endorsements([endorsement(ZONE, 5)])
    for minimum, is_enough in ((5, True), (6, False)):
        trust = relying(minimum={"travel": minimum})
        assert is_enough == judge(trust, ZONE, "travel", known, NOW_MS).is_enough


def test_section_4_whom_an_agent_relies_on_is_its_own_word() -> None:
    known = Endorsements([endorsement(ZONE, 8)])
    assert [8, 3, 0, 8] == [
        level_of(known, trust) for trust in (relying(), relying(3), Trust(), relying())
    ]


def test_section_4_each_operation_is_asked_for_by_itself() -> None:
    known = Endorsements([endorsement(ZONE, 8, operations=("travel",))])
    assert 8 == level_of(known)
    assert 0 == level_of(known, operation="execute")
    assert known[:] == vouchers(relying(), ZONE, known, NOW_MS)


def test_section_4_a_zone_of_the_same_name_with_other_anchors_is_not_endorsed() -> None:
    before, after = found("eu", n=1), found("eu", n=4)
    known = Endorsements([endorsement(before.zone, 5)])
    assert before.manifest.name == after.manifest.name
    assert [5, 0, 5] == [level_of(known, zone=each.zone) for each in (before, after, before)]


PEOPLE = [ISSUER, ALICE, BOB]
TIMES = st.integers(NOW_MS, NOW_MS + 8)
LINKS = st.builds(
    lambda by, of, level, depth, window, operations: endorsement(
        of,
        level,
        by=by,
        depth=depth,
        not_before_ms=window[0],
        not_after_ms=window[1],
        operations=operations,
    ),
    st.sampled_from(PEOPLE),
    st.sampled_from([*(pair.public for pair in PEOPLE), ZONE, ZONE, OTHER]),
    st.integers(1, 9),
    st.integers(0, 3),
    st.tuples(TIMES, TIMES),
    st.sampled_from([(), ("travel",), ("execute",)]),
)
TRUSTS = st.builds(
    lambda level, depth, ends_ms, second: Trust(
        issuers=(
            TrustedIssuer(
                name="acme", key=ISSUER.public, level=level, depth=depth, not_after_ms=ends_ms
            ),
            *second,
        )
    ),
    st.sampled_from([4, 9]),
    st.integers(1, 3),
    st.none() | TIMES,
    st.sampled_from([(), (TrustedIssuer(name="bob", key=BOB.public, operations=("execute",)),)]),
)
QUESTIONS = st.tuples(
    TRUSTS, st.sampled_from([ZONE, OTHER]), st.sampled_from(["travel", "execute"]), TIMES
)


@given(st.lists(LINKS, max_size=9), st.lists(QUESTIONS, min_size=2, max_size=12))
def test_section_4_what_is_remembered_is_what_would_be_found(
    links: list[Any], questions: list[tuple[Trust, bytes, str, int]]
) -> None:
    known = Endorsements(links)
    for trust, zone, operation, _ in questions:
        for *_, now_ms in questions:
            expected = judge(trust, zone, operation, tuple(links), now_ms)
            assert expected == judge(trust, zone, operation, known, now_ms)
            assert vouchers(trust, zone, links, now_ms) == vouchers(trust, zone, known, now_ms)


# What is known of places


def learning(*subjects: bytes, **changes: Any) -> News:
    return News(endorsements=tuple(endorsement(each, **changes) for each in subjects))


def test_section_11_what_is_learned_and_what_ends_is_judged_by_at_once() -> None:
    places = KnownPlaces(REALM)
    assert 0 == level_of(places.endorsements)
    places.learn(learning(ZONE, not_after_ms=NOW_MS + 5), NOW_MS)
    assert 5 == level_of(places.endorsements)
    places.expire(NOW_MS + 5)
    assert 0 == level_of(places.endorsements) == len(places.endorsements)


def test_section_11_what_is_dropped_for_another_is_judged_by_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sojourn.core.protocol.gossip.ENDORSEMENTS_MAX", 1)
    places = KnownPlaces(REALM)
    trust = Trust(issuers=(TrustedIssuer(name="alice", key=ALICE.public),))
    places.learn(learning(ZONE, by=ALICE), NOW_MS)
    assert 5 == level_of(places.endorsements, trust)
    places.rely_on([ISSUER.public])
    places.learn(learning(ZONE), NOW_MS)
    assert [0, 5] == [level_of(places.endorsements, each) for each in (trust, relying())]


def test_section_11_a_false_statement_leaves_what_is_judged_by_as_it_was() -> None:
    places = KnownPlaces(REALM)
    places.learn(learning(OTHER), NOW_MS)
    true, other = endorsement(ZONE), endorsement(digest(b"a third"))
    with pytest.raises(Rejected):
        places.learn(News(endorsements=(true, replace(other, seal=true.seal))), NOW_MS)
    assert [0, 5] == [level_of(places.endorsements, zone=each) for each in (ZONE, OTHER)]


def test_what_changes_nothing_known_has_nothing_forgotten() -> None:
    places = KnownPlaces(REALM)
    places.learn(learning(ZONE), NOW_MS)
    known = places.endorsements
    places.learn(learning(ZONE), NOW_MS)
    places.expire(NOW_MS)
    places.rely_on([ISSUER.public])
    assert known is places.endorsements
