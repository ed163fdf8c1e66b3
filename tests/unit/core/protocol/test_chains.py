"""Chains of custody by the digests of their chapters (protocol §5): long ones, false ones, ones checked before."""

from collections.abc import Callable, Sequence
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CHAPTERS_AT_ONCE, MESSAGE_BYTES_MAX
from sojourn.core.protocol.anchor import rule
from sojourn.core.protocol.chains import ChainMemo, check_onward
from sojourn.core.protocol.custody import Certified, Chapter, check_chain
from sojourn.core.protocol.messages import AskVisa, Declined, Need, Reply, Voted
from sojourn.core.zone.manifest import ZoneManifest
from tests.lives import life
from tests.rulings import CLIENT, PureZone, World

MOVES = 1_500
FEW = 7


def lived(world: World, moves: int) -> list[Chapter]:
    """Have an agent come to be in a that has moved between a and b: all that a's anchors know of it is there."""
    a, b = world.zones[:2]
    chapters = life(world.genesis(a), [a.sample, b.sample], moves)
    head = chapters[-1].opened
    agent, last = head.record.agent_id, world.zones[moves % 2]
    for anchor in last.anchors:
        known = replace(anchor.dossier(agent), head=head, chapter=chapters[-1], proved=True)
        anchor.dossiers[agent] = replace(known, held=True, high_term=moves)
        anchor.chapters.update({(agent, term): each for term, each in enumerate(chapters)})
    last.give(*head.record.governance.documents)
    last.renew(head)
    return chapters


def village(moves: int) -> tuple[World, PureZone, AskVisa]:
    """Return a world, a zone of four that an agent applies at after so many moves, and its application."""
    world = World("a", "b", n=1)
    c = world.found("c")
    world.zones.append(c)
    head = lived(world, moves)[-1].opened
    c.give(*head.record.governance.documents)
    return world, c, world.application(world.zones[moves % 2], c, head)


def reason_of(reply: Reply | None) -> str:
    assert isinstance(reply, Declined), reply
    return reply.reason


# A long life


def test_section_5_an_agent_that_has_moved_for_years_moves_on() -> None:
    world, c, ask = village(MOVES)
    here, head = world.zones[MOVES % 2], ask.head
    chapters = world.chapters_of(ask)
    assert sum(len(encode(chapter)) for chapter in chapters) > MESSAGE_BYTES_MAX / 2
    assert len(encode(ask)) < MESSAGE_BYTES_MAX / 32
    gone = world.decide(here, world.depart_proposal(here, c, head, world.visa(c, ask)), head)
    visa = world.visa(c, ask)
    done = world.arrive(c, gone, visa)
    past = c.anchors[0].past(head.record.agent_id)
    assert MOVES + 2 == len(past)
    manifests = {zone.zone: zone.manifest for zone in world.zones}
    assert done.record == check_chain(head.record.agent_id, past, manifests)


def test_one_ruling_checks_a_part_and_the_next_one_goes_on() -> None:
    world, c, ask = village(2 * CHAPTERS_AT_ONCE)
    anchor = c.anchors[0]
    answers = [
        rule(anchor.dossier(ask.terms.agent), ask, CLIENT, anchor.view()).answer for _ in range(2)
    ]
    assert [Need(what="time")] * 2 == answers
    assert anchor.dossier(ask.terms.agent).application is None
    assert isinstance(c.ask(0, ask), Voted)


def test_what_was_checked_is_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the first visa's chapters only the last has changed: it is closed by now."""
    chapters = story()
    memo, looked = ChainMemo(), list[int]()
    assert holds(memo, [*chapters[:3], replace(chapters[3], closed=None)])

    def chapter(index: int) -> Chapter:
        looked.append(index)
        return chapters[index]

    assert check_onward(agent(), digests(chapters), chapter, manifests(), memo)
    assert list(range(2, len(chapters))) == looked
    del looked[:]
    assert check_onward(agent(), digests(chapters), chapter, manifests(), memo)
    assert [] == looked


# What an applicant may show


MEND: dict[str, tuple[Callable[[list[Chapter]], list[Chapter]], str]] = {
    "nothing": (lambda _: [], "truncated"),
    "without its beginning": (lambda c: c[1:], "wrong-agent"),
    "without its end": (lambda c: c[:-1], "wrong-term"),
    "with a gap": (lambda c: [*c[:2], *c[3:]], "wrong-parent"),
    "twice": (lambda c: [*c, *c], "bad-lineage"),
    "in another order": (lambda c: [c[0], c[2], c[1], *c[3:]], "wrong-parent"),
    "upside down": (lambda c: c[::-1], "wrong-agent"),
    "another agent's": (lambda c: [*foreign()[:-1], c[-1]], "wrong-agent"),
    "with another's chapter": (lambda c: [*c[:2], foreign()[2], *c[3:]], "wrong-parent"),
    "a term that was never closed": (
        lambda c: [*c[:2], replace(c[2], closed=None), *c[3:]],
        "bad-lineage",
    ),
    "a refusal nobody needs": (
        lambda c: [*c[:2], replace(c[2], refusal=c[1].closed), *c[3:]],
        "extra",
    ),
    "a closing with another's certificate": (
        lambda c: [
            *c[:2],
            replace(c[2], closed=replace(closing(c[2]), certificate=c[2].opened.certificate)),
            *c[3:],
        ],
        "wrong-slot",
    ),
}


def closing(chapter: Chapter) -> Certified:
    assert chapter.closed is not None
    return chapter.closed


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("how", MEND)
def test_trap_13_a_chain_that_is_not_the_agents_is_rejected_by_name(
    how: str, is_known: bool
) -> None:
    """Whether or not the anchor has checked the true one before."""
    world, c, ask = village(FEW)
    if is_known:
        assert isinstance(c.ask(0, ask), Voted)
    before = c.anchors[0].dossier(ask.terms.agent)
    mend, reason = MEND[how]
    shown = world.shown(mend(list(world.chapters_of(ask))), c)
    assert reason == reason_of(c.ask(0, replace(ask, chapters=shown)))
    assert before == c.anchors[0].dossier(ask.terms.agent)


def test_section_5_an_anchor_asks_for_the_chapters_it_lacks() -> None:
    world, c, ask = village(FEW)
    lacking = (ask.chapters[1], ask.chapters[4])
    c.anchors[0].blocks.difference_update(lacking)
    assert Need(what="blocks", digests=lacking) == c.ask(0, ask)
    unknown = replace(ask, chapters=(*ask.chapters[:-1], digest(b"nothing")))
    assert isinstance(c.ask(1, unknown), Need)
    assert c.anchors[0].dossier(ask.terms.agent).application is None
    c.give(*lacking)
    assert isinstance(c.ask(0, ask), Voted)


def test_an_anchor_that_has_seen_no_application_is_given_its_chapters_too() -> None:
    world, c, ask = village(FEW)
    late = c.anchors[3]
    late.blocks.clear()
    visa = world.visa(c, ask)
    late.blocks.clear()
    late.dossiers.clear()
    here = world.zones[FEW % 2]
    gone = world.decide(here, world.depart_proposal(here, c, ask.head, visa), ask.head)
    done = world.decide(
        c, world.admit_proposal(c, gone, visa), gone, application=ask, only=(1, 2, 3)
    )
    assert done == late.dossier(ask.terms.agent).head
    assert FEW + 2 == len(late.past(ask.terms.agent))


def test_chapters_that_were_damaged_since_are_left_to_the_others() -> None:
    world, c, ask = village(FEW)
    visa = world.visa(c, ask)
    here, damaged = world.zones[FEW % 2], c.anchors[3]
    gone = world.decide(here, world.depart_proposal(here, c, ask.head, visa), ask.head)
    damaged.blocks.discard(ask.chapters[2])
    done = world.decide(c, world.admit_proposal(c, gone, visa), gone, application=ask)
    dossier = damaged.dossier(ask.terms.agent)
    assert (done, False) == (dossier.head, dossier.proved)
    assert c.anchors[0].dossier(ask.terms.agent).proved


# What was checked before


@cache
def stories() -> tuple[dict[bytes, ZoneManifest], list[Chapter], list[Chapter]]:
    """Return two lives in the same zones."""
    world = World("a", "b", n=1)
    zones = [zone.sample for zone in world.zones]
    first = world.genesis(world.zones[0])
    record = first.transition.record
    other = world.genesis(world.zones[0], capabilities=replace(record.capabilities, entry="x:Y"))
    known = {zone.zone: zone.manifest for zone in zones}
    return known, life(first, zones, FEW), life(other, zones, FEW)


def manifests() -> dict[bytes, ZoneManifest]:
    return dict(stories()[0])


def story() -> list[Chapter]:
    return list(stories()[1])


def foreign() -> list[Chapter]:
    return list(stories()[2])


def agent() -> bytes:
    return story()[0].opened.record.agent_id


def digests(chapters: Sequence[Chapter]) -> tuple[bytes, ...]:
    return tuple(digest_of(chapter) for chapter in chapters)


def holds(memo: ChainMemo, chapters: Sequence[Chapter], most: int = 64) -> bool:
    """Check a chain part by part; tell whether it holds."""
    try:
        while not check_onward(
            agent(), digests(chapters), chapters.__getitem__, manifests(), memo, most=most
        ):
            pass
    except Rejected:
        return False
    return True


def is_sound(chapters: Sequence[Chapter]) -> bool:
    try:
        check_chain(agent(), chapters, manifests())
    except Rejected:
        return False
    return True


def variants() -> list[Chapter]:
    """Return chapters that a liar can make of true ones, and the true ones."""
    true = story()
    certificate = true[0].opened.certificate
    open_ended = [replace(chapter, closed=None) for chapter in true]
    unsigned = [
        replace(c, opened=replace(c.opened, certificate=replace(c.opened.certificate, votes=())))
        for c in true
    ]
    mixed = [replace(c, opened=replace(c.opened, certificate=certificate)) for c in true[1:]]
    crossed = [replace(c, closed=other.closed) for c, other in zip(true, foreign(), strict=True)]
    return [*true, *open_ended, *unsigned, *mixed, *crossed, *foreign()]


@st.composite
def chains(draw: st.DrawFn) -> list[Chapter]:
    """The true chain, or a part of it, with some chapters changed, taken out or put in."""
    chain, pool = story()[: draw(st.integers(0, FEW + 1))], variants()
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(chain)))
        chain[at : at + draw(st.integers(0, 2))] = draw(st.lists(st.sampled_from(pool), max_size=2))
    return chain


@given(st.lists(chains(), min_size=1, max_size=4), st.integers(1, FEW + 2))
def test_what_was_checked_before_lets_no_other_chain_pass(
    asked: list[list[Chapter]], most: int
) -> None:
    """Whatever was shown before, true or false: a chain holds exactly if it holds by itself."""
    memo = ChainMemo()
    for chain in [story(), *asked]:
        assert is_sound(chain) == holds(memo, chain, most)


def test_a_chapter_is_named_by_its_place_in_the_whole_chain() -> None:
    """Also where those before it were checked before."""
    memo, chapters = ChainMemo(), story()
    assert holds(memo, chapters[:3])
    unsigned = replace(chapters[5].opened.certificate, votes=())
    chapters[5] = replace(chapters[5], opened=replace(chapters[5].opened, certificate=unsigned))
    with pytest.raises(Rejected) as caught:
        check_onward(agent(), digests(chapters), chapters.__getitem__, manifests(), memo)
    assert "chapters[5].opened.certificate" == caught.value.where


def test_with_another_manifest_of_a_zone_a_chain_is_checked_again() -> None:
    memo, chapters = ChainMemo(), story()
    assert holds(memo, chapters)
    zone = chapters[0].opened.certificate.slot.group
    other = replace(manifests()[zone], realm="production")
    with pytest.raises(Rejected) as caught:
        check_onward(
            agent(), digests(chapters), chapters.__getitem__, {**manifests(), zone: other}, memo
        )
    assert "wrong-realm" == caught.value.reason


def test_another_agent_does_not_borrow_a_chain_that_was_checked() -> None:
    memo, chapters = ChainMemo(), story()
    assert holds(memo, chapters)
    with pytest.raises(Rejected):
        check_onward(digest(b"thief"), digests(chapters), chapters.__getitem__, manifests(), memo)


def test_the_beginning_unused_for_longest_is_forgotten() -> None:
    memo = ChainMemo(limit=2)
    for name in (b"1", b"2"):
        memo.put(name, {})
    assert {} == memo.get(b"1")
    memo.put(b"3", {})
    assert [{}, None, {}] == [memo.get(name) for name in (b"1", b"2", b"3")]
    assert 2 == len(memo)
