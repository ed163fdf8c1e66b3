"""Successors of documents (protocol §8.9, §11.1): which of them prove themselves, and whose room they take."""

from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.governance import Document, Officers, Root, SignedDocument
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import PUBLISHED_BYTES_MAX, SUCCESSOR_CARRIED_MS, SUCCESSORS_MAX
from sojourn.core.protocol import successors
from sojourn.core.protocol.gossip import NOBODY
from sojourn.core.protocol.successors import KnownSuccessors
from tests.samples import FOR_EVER_MS, NOW_MS, document, found, key, successor

ANN, BOB, EVE = (key(name) for name in ("ann", "bob", "eve"))
TWO = Officers(keys=(ANN.public, BOB.public), amend=2)
D0 = document(by=(ANN, BOB), officers=TWO)
RULING = digest_of(D0.document)
OTHER_ZONE = found("away").zone


def after(old: SignedDocument, *by: Any, **changes: Any) -> SignedDocument:
    return successor(old, by=by or (ANN, BOB), **changes)


def line(length: int, old: SignedDocument = D0) -> list[SignedDocument]:
    """Return so many versions, each following the one before."""
    made: list[SignedDocument] = []
    for _ in range(length):
        made.append(after(made[-1] if made else old))
    return made


def strange(number: int, **changes: Any) -> SignedDocument:
    """Return what somebody's officer says to follow a document that nobody knows."""
    mine = document(by=(EVE,), name=f"line {number}", officers=Officers(keys=(EVE.public,)))
    return successor(mine, by=(EVE,), **changes)


def find(digest: bytes) -> Document | None:
    return {RULING: D0.document}.get(digest)


def knowing(*documents: SignedDocument, ruling: Iterable[bytes] = (RULING,)) -> KnownSuccessors:
    known = KnownSuccessors()
    known.rules(ruling, find)
    learn(known, *documents)
    return known


def learn(
    known: KnownSuccessors,
    *documents: SignedDocument,
    teller: bytes | None = NOBODY,
    now_ms: int = NOW_MS,
) -> list[SignedDocument]:
    published = known.examine(documents, now_ms, teller, find)
    return known.take(published, now_ms, teller, find)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make room for eight successors, four of a line, and three of a teller's strangers."""
    monkeypatch.setattr(successors, "SUCCESSORS_KNOWN_MAX", 8)
    monkeypatch.setattr(successors, "SUCCESSORS_PER_LINE_MAX", 4)
    monkeypatch.setattr(successors, "STRANGE_SUCCESSORS_MAX", 3)


# What is proved


def test_section_8_9_what_follows_a_document_that_rules_here_is_proved_by_it() -> None:
    one, two = line(2)
    for told in ((one, two), (two, one)):
        known = knowing(*told)
        assert {RULING, digest_of(one.document)} == known.followed()
        assert (one, two) == known.run_after(RULING, NOW_MS)
        assert one.document == known.document(digest_of(one.document))


@pytest.mark.parametrize(
    "wrong",
    [
        after(D0, ANN),
        after(D0, EVE),
        after(D0, ANN, BOB, EVE),
        after(D0, version=5),
        after(D0, name="other"),
    ],
    ids=["too few", "a stranger", "one too many", "a version too far", "another name"],
)
def test_section_11_1_what_does_not_follow_is_passed_over_where_that_is_known(
    wrong: SignedDocument,
) -> None:
    good = after(D0)
    known = knowing()
    assert [good] == learn(known, wrong, good), "who told of it could not know"
    stranger = knowing(wrong, ruling=())
    assert {digest_of(wrong)} == stranger.names(), "elsewhere it is carried"
    stranger.rules([RULING], find)
    assert not stranger.names(), "until it is known what rules"


def test_trap_41_a_successor_appoints_no_judges_of_its_own() -> None:
    coup = after(D0, EVE, officers=Officers(keys=(EVE.public,)))
    assert not knowing(coup).names()
    rooted = document(by=(ANN, BOB), officers=TWO, root=Root(keys=(EVE.public,)))
    known = KnownSuccessors()
    known.rules([digest_of(rooted.document)], lambda _: None)

    def rules(_: bytes) -> Document:
        return rooted.document

    by_officers = after(rooted, officers=Officers(keys=(BOB.public,)))
    by_root = after(rooted, EVE, officers=Officers(keys=(BOB.public,)))
    published = known.examine([by_officers, by_root], NOW_MS, NOBODY, rules)
    assert [by_root] == known.take(published, NOW_MS, NOBODY, rules)


def test_a_stripped_copy_does_not_keep_out_the_one_that_holds_nor_the_other_way() -> None:
    good = after(D0)
    stripped = replace(good, seals=good.seals[:1])
    known = knowing(stripped, good, ruling=())
    assert 2 == len(known.names()), "a stranger cannot tell them apart"
    known.rules([RULING], find)
    assert {digest_of(good)} == known.names()
    assert (good,) == known.run_after(RULING, NOW_MS)


def test_the_same_with_other_seals_is_not_kept_twice_and_not_told_again() -> None:
    three = Officers(keys=(ANN.public, BOB.public, EVE.public), amend=2)
    old = document(by=(ANN, BOB), officers=three)
    one, other = after(old, ANN, BOB), after(old, BOB, EVE)
    known = KnownSuccessors()

    def rules(_: bytes) -> Document:
        return old.document

    known.rules([digest_of(old.document)], rules)
    for signed in (one, other):
        known.take(known.examine([signed], NOW_MS, NOBODY, rules), NOW_MS, NOBODY, rules)
    assert {digest_of(one)} == known.names()
    assert set(map(digest_of, (one, other))) == set(known.summary())
    assert [] == known.examine([other], NOW_MS, NOBODY, rules)


# False ones


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (D0, "no-successor"),
        (replace(strange(1), seals=()), "below-threshold"),
        (replace(strange(1), seals=strange(2).seals), "bad-signature"),
        (strange(1, officers=Officers(keys=(EVE.public,), amend=2)), "bad-officers"),
        (strange(1, cedar="x" * PUBLISHED_BYTES_MAX), "too-large"),
    ],
)
def test_section_11_1_what_anybody_can_tell_to_be_false_is_rejected_on_sight(
    wrong: SignedDocument, reason: str
) -> None:
    known = knowing()
    with pytest.raises(Rejected) as caught:
        learn(known, strange(3), wrong, after(D0))
    assert reason == caught.value.reason
    assert not known.names(), "and all that came with it is left out"


def test_a_forged_seal_is_rejected_by_who_knows_what_rules_as_well() -> None:
    good = after(D0)
    forged = replace(good, seals=(replace(good.seals[0], signature=b"\1" * 64), good.seals[1]))
    with pytest.raises(Rejected):
        learn(knowing(), forged)


# A run


def test_section_8_6_a_run_ends_with_what_holds_and_is_no_longer_than_one_change_takes() -> None:
    one = after(D0)
    lapsed = after(one, not_after_ms=NOW_MS + 1)
    future = after(lapsed, not_before_ms=NOW_MS + 2, not_after_ms=FOR_EVER_MS)
    known = knowing(one, lapsed, future)
    for at_ms, run in ((NOW_MS, (one, lapsed)), (NOW_MS + 1, (one,))):
        assert run == known.run_after(RULING, at_ms)
    assert (one, lapsed, future) == known.run_after(RULING, NOW_MS + 2)
    assert () == known.run_after(digest_of(future.document), NOW_MS)
    long = line(SUCCESSORS_MAX + 3)
    assert tuple(long[:SUCCESSORS_MAX]) == knowing(*long).run_after(RULING, NOW_MS)


def test_of_two_that_follow_the_same_all_take_the_same() -> None:
    one, other = after(D0), after(D0, not_after_ms=FOR_EVER_MS - 1)
    runs = {knowing(*told).run_after(RULING, NOW_MS) for told in ((one, other), (other, one))}
    assert 1 == len(runs)


# Room


@pytest.mark.usefixtures("small")
def test_trap_50_a_flood_of_strangers_documents_displaces_nothing_of_worth() -> None:
    known = knowing()
    assert 3 == len(learn(known, *(strange(i) for i in range(5))))
    assert [] == learn(known, strange(9)), "who is known already stays"
    assert 3 == len(learn(known, *(strange(i) for i in range(10, 15)), teller=OTHER_ZONE))
    assert 2 == len(learn(known, *(strange(i) for i in range(20, 25)), teller=RULING))
    mine = line(3)
    assert mine == learn(known, *mine)
    assert tuple(mine) == known.run_after(RULING, NOW_MS)
    assert 8 == len(known)
    assert mine == list(known.lacking_in(())[:3]), "they are told first, the oldest first"


def test_trap_50_a_tellers_share_is_of_bytes_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(successors.encode(strange(0)))
    monkeypatch.setattr(successors, "STRANGE_SUCCESSORS_BYTES_MAX", 2 * size + 10)
    known = knowing()
    assert 2 == len(learn(known, *(strange(i) for i in range(4))))
    assert 2 == len(learn(known, *(strange(4 + i) for i in range(4)), teller=OTHER_ZONE))
    known.expire(NOW_MS + SUCCESSOR_CARRIED_MS)
    assert 2 == len(learn(known, *(strange(i) for i in range(4)))), "it has the room again"


@pytest.mark.usefixtures("small")
def test_of_a_line_the_newest_are_kept_and_the_longest_line_gives_way() -> None:
    made = line(6)
    known = knowing(*made)
    assert set(map(digest_of, made[2:])) == known.names()
    assert () == known.run_after(RULING, NOW_MS)
    roots = {digest_of(document(name=f"root {i}").document): i for i in range(6)}

    def rules(digest: bytes) -> Document | None:
        number = roots.get(digest)
        return None if number is None else document(name=f"root {number}").document

    known.rules(roots, rules)
    others = [successor(document(name=f"root {i}")) for i in range(6)]
    for signed in others:
        published = known.examine([signed], NOW_MS, NOBODY, rules)
        known.take(published, NOW_MS, NOBODY, rules)
    assert set(map(digest_of, [*made[4:], *others])) == known.names()


# Letting go


def test_a_stranger_is_carried_for_a_while_and_what_rules_for_as_long_as_it_holds() -> None:
    mine = after(D0, not_after_ms=NOW_MS + 2 * SUCCESSOR_CARRIED_MS)
    known = knowing(mine, strange(1), strange(2, not_after_ms=NOW_MS + 1))
    known.expire(NOW_MS)
    assert 3 == len(known)
    known.expire(NOW_MS + 1)
    assert 2 == len(known)
    known.expire(NOW_MS + SUCCESSOR_CARRIED_MS)
    assert {digest_of(mine)} == known.names()
    known.expire(NOW_MS + 2 * SUCCESSOR_CARRIED_MS)
    assert 0 == len(known) and not known.followed()
    assert [] == learn(known, mine, now_ms=NOW_MS + 2 * SUCCESSOR_CARRIED_MS)


def test_what_has_lapsed_is_kept_and_learned_where_it_leads_on() -> None:
    lapsed = after(D0, not_after_ms=NOW_MS + 1)
    holds = after(lapsed, not_after_ms=FOR_EVER_MS)
    known = knowing(lapsed, holds)
    known.expire(NOW_MS + 5)
    assert (lapsed, holds) == known.run_after(RULING, NOW_MS + 5)
    late = knowing()
    assert 2 == len(learn(late, lapsed, holds, now_ms=NOW_MS + 5))
    assert [] == learn(knowing(), lapsed, now_ms=NOW_MS + 5)


# Telling


def test_section_11_two_that_exchange_know_the_same() -> None:
    one, other = knowing(*line(2), strange(1)), knowing(strange(2))
    learn(one, *other.lacking_in(one.summary()))
    learn(other, *one.lacking_in(other.summary()))
    assert one.summary() == other.summary() and 4 == len(one)
    assert () == one.lacking_in(other.summary())
