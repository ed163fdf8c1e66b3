"""Heads of policies (protocol §8.11, §11.1): which prove themselves, whose room they take, which is newest."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.governance import Document, Officers
from sojourn.core.agent.heads import SignedHead, head_of, staleness_of
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS, DOCUMENT_BYTES_MAX, HEAD_HOLDS_MS_MAX
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol import heads
from sojourn.core.protocol.gossip import NOBODY
from sojourn.core.protocol.heads import KnownHeads
from tests.samples import NOW_MS, document, found, key, seal

ANN, BOB, EVE = (key(name) for name in ("ann", "bob", "eve"))
DOCUMENT = document(by=(ANN, BOB), officers=Officers(keys=(ANN.public, BOB.public))).document
OTHER_ZONE = found("away").zone
HOUR_MS = 3_600_000


def known(digest: bytes) -> Document | None:
    return {digest_of(DOCUMENT): DOCUMENT}.get(digest)


def unknown(_: bytes) -> Document | None:
    return None


def head(
    at_ms: int = NOW_MS, *, by: Any = ANN, of: Document = DOCUMENT, lasts_ms: int = HOUR_MS
) -> SignedHead:
    return head_of(of, by, at_ms=at_ms, until_ms=at_ms + lasts_ms)


def strange(number: int, at_ms: int = NOW_MS) -> SignedHead:
    """Return what somebody says of a document that nobody knows."""
    return head(at_ms, by=EVE, of=replace(DOCUMENT, name=f"line {number}"))


def learn(
    mine: KnownHeads, *told: SignedHead, teller: bytes | None = NOBODY, find: Any = known
) -> list[SignedHead]:
    return mine.take(mine.examine(told, NOW_MS, teller, find), teller)


def knowing(*told: SignedHead, find: Any = known) -> KnownHeads:
    mine = KnownHeads()
    learn(mine, *told, find=find)
    return mine


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make room for four heads, and two of a teller's strangers."""
    monkeypatch.setattr(heads, "HEADS_KNOWN_MAX", 4)
    monkeypatch.setattr(heads, "STRANGE_HEADS_MAX", 2)


def test_section_8_11_of_each_officer_the_newest_head_of_a_document_is_kept() -> None:
    old, new, other = head(), head(NOW_MS + 1), head(by=BOB)
    for told in ((old, new, other), (other, new, old), (new, other)):
        mine = knowing(*told)
        assert {ANN.public: new, BOB.public: other} == mine.of(digest_of(DOCUMENT))
        assert set(map(digest_of, (new, other))) == mine.names()
        assert [] == learn(mine, old), "an older one never displaces a newer one"
    mine = knowing(old)
    assert [new] == learn(mine, new)
    assert {digest_of(new)} == mine.names()


def test_section_11_1_a_head_by_nobody_who_is_an_officer_is_passed_over_where_that_is_known() -> (
    None
):
    wrong = head(by=EVE)
    mine = knowing(wrong, head())
    assert {digest_of(head())} == mine.names(), "who told of it could not know"
    stranger = knowing(wrong, head(), find=unknown)
    assert 2 == len(stranger.names()), "elsewhere it is carried"
    stranger.settle(known)
    assert {digest_of(head())} == stranger.names(), "until the document is known"
    assert {ANN.public} == stranger.of(digest_of(DOCUMENT)).keys()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (head(lasts_ms=HEAD_HOLDS_MS_MAX + 1), "bad-window"),
        (replace(head(), seal=head(NOW_MS + 1).seal), "bad-signature"),
        (
            replace(head(), seal=seal(ANN, Kind.DOCUMENT, Role.ISSUER, digest_of(head().head))),
            "bad-signature",
        ),
        (
            replace(head(), seal=seal(ANN, Kind.POLICY_HEAD, Role.PERSON, digest_of(head().head))),
            "bad-signature",
        ),
    ],
    ids=["too long", "another's seal", "trap 11: another kind", "another role"],
)
def test_section_11_1_what_anybody_can_tell_to_be_false_is_rejected_on_sight(
    wrong: SignedHead, reason: str
) -> None:
    for find in (known, unknown):
        mine = KnownHeads()
        with pytest.raises(Rejected) as caught:
            learn(mine, head(by=BOB), wrong, find=find)
        assert reason == caught.value.reason
        assert not mine.names(), "and all that came with it is left out"


def test_what_is_over_or_not_yet_said_is_passed_over_and_let_go_of() -> None:
    over, ahead = head(NOW_MS - HOUR_MS), head(NOW_MS + CLOCK_SKEW_MS + 1)
    mine = knowing(over, ahead, head())
    assert {digest_of(head())} == mine.names()
    mine.expire(NOW_MS + HOUR_MS - 1)
    assert mine.names()
    mine.expire(NOW_MS + HOUR_MS)
    assert not mine.names() and not mine.of(digest_of(DOCUMENT))
    assert () == mine.summary()


@pytest.mark.usefixtures("small")
def test_trap_50_a_flood_of_strangers_heads_displaces_nothing_of_worth() -> None:
    mine = KnownHeads()
    assert 2 == len(learn(mine, *map(strange, range(5))))
    assert [] == learn(mine, strange(9)), "who is known already stays"
    assert 2 == len(learn(mine, *map(strange, range(10, 15)), teller=OTHER_ZONE))
    assert [] == learn(mine, strange(20), teller=digest_of(DOCUMENT)), "there is no room at all"
    assert [head()] == learn(mine, head())
    assert [head(by=BOB)] == learn(mine, head(by=BOB))
    assert 4 == len(mine.names())
    assert {head(), head(by=BOB)} == set(mine.lacking_in(())[:2]), "they are told first"
    newer = head(NOW_MS + 1)
    assert [newer] == learn(mine, newer), "which takes its own place"
    assert 4 == len(mine.names())


@pytest.mark.usefixtures("small")
def test_a_stranger_that_comes_to_be_proved_leaves_its_tellers_share() -> None:
    mine = knowing(head(), strange(1), find=unknown)
    assert [] == learn(mine, strange(2), find=unknown)
    mine.settle(known)
    assert [strange(2)] == learn(mine, strange(2), find=unknown)
    mine.expire(NOW_MS + HOUR_MS)
    assert 2 == len(learn(mine, *(strange(n, NOW_MS + 1) for n in range(3)), find=unknown))


def test_what_is_known_before_has_room_and_is_told_to_who_lacks_it() -> None:
    mine = KnownHeads()
    assert 2 == len(learn(mine, strange(1), head(), teller=None))
    assert (head(), strange(1)) == mine.lacking_in(())
    assert (strange(1),) == mine.lacking_in([digest_of(head())])
    assert tuple(sorted(mine.names())) == mine.summary()


def test_a_document_without_a_bound_has_the_bytes_that_it_had_before_there_were_bounds() -> None:
    plain = encode(DOCUMENT)
    assert b"staleness" not in plain
    assert None is staleness_of(DOCUMENT)
    bounded = replace(DOCUMENT, staleness_ms=1)
    again = decode(encode(bounded), Document, what="document", limit=DOCUMENT_BYTES_MAX)
    assert (1, bounded) == (staleness_of(again), again)
    none = encode(replace(DOCUMENT, staleness_ms=0))
    with pytest.raises(Rejected):
        decode(none, Document, what="document", limit=DOCUMENT_BYTES_MAX)
