"""Trust: recomputed from signed endorsements, lowered by events, the same for everybody and in little time."""

import itertools
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.agent.events import OTHERS, Events
from sojourn.core.agent.trust import (
    SignedEndorsement,
    Trust,
    TrustedIssuer,
    TrustFinding,
    is_vouched_for,
    judge,
)
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import ENDORSEMENT_DEPTH_MAX
from sojourn.core.base.seals import Kind, Role
from tests.samples import ISSUER, NOW_MS, endorsement, key, seal

ZONE = digest(b"the zone")
ALICE, BOB, CAROL = key("alice"), key("bob"), key("carol")


def relying(level: int = 10, depth: int = 1, **fields: Any) -> Trust:
    """Return trust in the issuer."""
    issuer = TrustedIssuer(name="acme", key=ISSUER.public, level=level, depth=depth)
    return Trust(issuers=(issuer,), **fields)


def found(
    trust: Trust, *endorsements: SignedEndorsement, operation: str = "travel"
) -> TrustFinding:
    return judge(trust, ZONE, operation, endorsements, NOW_MS)


# Levels and chains


@pytest.mark.parametrize(("trusted", "endorsed", "expected"), [(10, 5, 5), (3, 5, 3), (0, 10, 0)])
def test_a_level_is_the_least_along_the_chain(trusted: int, endorsed: int, expected: int) -> None:
    assert expected == found(relying(trusted), endorsement(ZONE, endorsed)).level


def test_nobody_i_know_endorses_it() -> None:
    finding = found(relying(), endorsement(ZONE, 10, by=ALICE))
    assert (0, False, ()) == (finding.level, finding.is_enough, finding.chain)
    assert "no issuer I know endorses this place for travel" == finding.reason


def test_an_endorsement_of_another_place_says_nothing() -> None:
    assert 0 == found(relying(), endorsement(digest(b"elsewhere"), 10)).level


def test_the_best_chain_counts() -> None:
    through = (endorsement(ALICE.public, 7, depth=1), endorsement(ZONE, 9, by=ALICE))
    finding = found(relying(depth=2), endorsement(ZONE, 4), *through)
    assert 7 == finding.level
    assert tuple(digest_of(item.endorsement) for item in through) == finding.chain


@pytest.mark.parametrize("length", range(1, ENDORSEMENT_DEPTH_MAX + 1))
def test_a_chain_is_as_long_as_its_issuer_may_start(length: int) -> None:
    pairs = [ISSUER, *(key(f"middle {i}") for i in range(length - 1))]
    chain = [
        endorsement(below.public, 9, by=above, depth=ENDORSEMENT_DEPTH_MAX)
        for above, below in itertools.pairwise(pairs)
    ]
    chain.append(endorsement(ZONE, 8, by=pairs[-1]))
    assert 8 == found(relying(depth=length), *chain).level
    if length > 1:
        assert 0 == found(relying(depth=length - 1), *chain).level


def test_an_endorsement_bounds_what_hangs_below_it() -> None:
    middle = endorsement(BOB.public, 9, by=ALICE, depth=8)
    last = endorsement(ZONE, 9, by=BOB)
    for depth, expected in ((0, 0), (1, 0), (2, 9)):
        first = endorsement(ALICE.public, 9, depth=depth)
        assert expected == found(relying(depth=8), first, middle, last).level, depth


def test_a_circle_of_endorsements_ends() -> None:
    circle = [
        endorsement(below.public, 9, by=above, depth=8)
        for above, below in itertools.permutations((ISSUER, ALICE, BOB, CAROL), 2)
    ]
    assert 6 == found(relying(depth=8), *circle, endorsement(ZONE, 6, by=CAROL)).level


# Windows and operations


def test_an_endorsement_holds_inside_its_window_only() -> None:
    inside = endorsement(ZONE, 5, not_before_ms=NOW_MS, not_after_ms=NOW_MS + 1)
    assert 5 == found(relying(), inside).level
    for window in ((NOW_MS + 1, NOW_MS + 9), (NOW_MS - 9, NOW_MS), (NOW_MS + 9, NOW_MS - 9)):
        outside = endorsement(ZONE, 5, not_before_ms=window[0], not_after_ms=window[1])
        assert 0 == found(relying(), outside).level, window


def test_an_endorsement_is_for_the_operations_it_names_or_for_all() -> None:
    assert 5 == found(relying(), endorsement(ZONE, 5), operation="anything").level
    named = endorsement(ZONE, 5, operations=("travel", "execute"))
    assert 5 == found(relying(), named).level
    assert 0 == found(relying(), named, operation="order.place").level


def test_every_link_of_a_chain_must_be_for_the_operation() -> None:
    first = endorsement(ALICE.public, 9, depth=1, operations=("execute",))
    assert 0 == found(relying(depth=2), first, endorsement(ZONE, 9, by=ALICE)).level


# What is needed


@pytest.mark.parametrize(("minimum", "expected"), [({}, 1), ({"travel": 3}, 3), ({"other": 3}, 1)])
def test_what_is_needed_is_the_agents_own_word(minimum: dict[str, int], expected: int) -> None:
    finding = found(relying(minimum=minimum), endorsement(ZONE, 2))
    assert (expected, expected <= 2) == (finding.needed, finding.is_enough)


# Events


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (Events(), 5),
        (Events(refused=1), 4),
        (Events(refused=99), 0),
        (Events(broken=8), 4),
        (Events(broken=7), 5),
        (Events(liars=(1,), tolerated=1), 0),
    ],
)
def test_section_4_what_is_counted_against_a_place_lowers_the_level(
    events: Events, expected: int
) -> None:
    trust = relying(events={ZONE.hex(): events, digest(b"elsewhere").hex(): Events(refused=7)})
    finding = found(trust, endorsement(ZONE, 5))
    assert expected == finding.level
    assert (expected < 5) == ("lowered by" in finding.reason)


def test_section_4_what_is_counted_against_others_lowers_whoever_is_not_named() -> None:
    trust = relying(events={OTHERS: Events(refused=2)})
    assert 3 == found(trust, endorsement(ZONE, 5)).level
    named = relying(events={OTHERS: Events(refused=2), ZONE.hex(): Events(refused=1)})
    assert 4 == found(named, endorsement(ZONE, 5)).level


# Relationships


def test_section_4_an_issuer_is_relied_on_for_what_it_is_named_for() -> None:
    issuer = TrustedIssuer(name="acme", key=ISSUER.public, operations=("execute",))
    trust = Trust(issuers=(issuer,))
    assert 5 == found(trust, endorsement(ZONE, 5), operation="execute").level
    assert 0 == found(trust, endorsement(ZONE, 5), operation="travel").level


@pytest.mark.parametrize(("ends_ms", "expected"), [(None, 5), (NOW_MS + 1, 5), (NOW_MS, 0)])
def test_section_4_an_issuer_is_relied_on_until_the_relationship_ends(
    ends_ms: int | None, expected: int
) -> None:
    issuer = TrustedIssuer(name="acme", key=ISSUER.public, not_after_ms=ends_ms)
    assert expected == found(Trust(issuers=(issuer,)), endorsement(ZONE, 5)).level


def test_who_is_vouched_for_at_all_is_so_for_any_operation_and_at_that_time() -> None:
    trust = Trust(issuers=(TrustedIssuer(name="acme", key=ISSUER.public, operations=("execute",)),))
    known = [endorsement(ZONE, 5, operations=("order.place",))]
    assert is_vouched_for(trust, ZONE, known, NOW_MS)
    assert 0 == judge(trust, ZONE, "execute", known, NOW_MS).level
    assert not is_vouched_for(trust, digest(b"elsewhere"), known, NOW_MS)
    assert not is_vouched_for(trust, ZONE, known, known[0].endorsement.not_after_ms)
    assert not is_vouched_for(Trust(), ZONE, known, NOW_MS)


# Signatures


def test_an_endorsement_is_sealed_by_its_issuer() -> None:
    signed = endorsement(ZONE)
    signed.check()
    said = signed.endorsement
    for pair, kind, role, reason in (
        (ALICE, Kind.ENDORSEMENT, Role.ISSUER, "wrong-key"),
        (ISSUER, Kind.DOCUMENT, Role.ISSUER, "bad-signature"),
        (ISSUER, Kind.ENDORSEMENT, Role.OPERATOR, "bad-signature"),
    ):
        forged = SignedEndorsement(endorsement=said, seal=seal(pair, kind, role, digest_of(said)))
        with pytest.raises(Rejected) as caught:
            forged.check()
        assert reason == caught.value.reason
    with pytest.raises(Rejected):
        replace(signed, endorsement=replace(said, level=10)).check()


# Determinism, and a bound on work


def web(size: int, *, of: int) -> list[SignedEndorsement]:
    """Return everybody's endorsement of everybody among `size` issuers, and the last one's of the zone."""
    pairs = [ISSUER, *(key(f"web {i}") for i in range(size - 1))]
    known = [
        endorsement(below.public, 10 - (i % of), by=above, depth=8)
        for i, (above, below) in enumerate(itertools.permutations(pairs, 2))
    ]
    return [*known, *(endorsement(ZONE, 9, by=pair) for pair in pairs[-3:])]


@given(st.randoms(use_true_random=False))
def test_the_finding_does_not_depend_on_the_order_of_what_is_known(chance: random.Random) -> None:
    known = web(5, of=3)
    expected = found(relying(depth=4), *known)
    chance.shuffle(known)
    assert expected == found(relying(depth=4), *known)


def by_all_paths(key_: bytes, level: int, depth: int, known: list[SignedEndorsement]) -> int:
    """Return the level of the best of all paths: slow, and plain to see."""
    best = 0
    for item in (each.endorsement for each in known if each.endorsement.issuer == key_):
        reached, further = min(level, item.level), min(depth - 1, item.depth)
        best = max(best, reached if item.subject == ZONE else 0)
        if further > 0:
            best = max(best, by_all_paths(item.subject, reached, further, known))
    return best


PEOPLE = [ISSUER, ALICE, BOB, CAROL]
LINKS = st.builds(
    lambda by, of, level, depth: endorsement(of, level, by=by, depth=depth),
    st.sampled_from(PEOPLE),
    st.sampled_from([*(pair.public for pair in PEOPLE), ZONE]),
    st.integers(0, 10),
    st.integers(0, 4),
)


@given(st.lists(LINKS, max_size=9), st.integers(0, 10), st.integers(1, 4))
def test_the_level_is_that_of_the_best_of_all_paths(
    known: list[SignedEndorsement], level: int, depth: int
) -> None:
    expected = by_all_paths(ISSUER.public, level, depth, known)
    assert expected == found(relying(level, depth), *known).level


def test_a_web_of_endorsements_is_judged_in_bounded_time() -> None:
    """Whoever gossips may know many keys: all paths through 40 of them, 8 deep, are 40^8."""
    known = web(40, of=1)
    began = time.process_time()
    finding = found(relying(depth=8), *known)
    assert 9 == finding.level
    assert time.process_time() - began < 1
