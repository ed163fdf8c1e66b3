"""Chapters of custody at an anchor: as blocks of an application, as rows of an agent's past, as pages of a reply."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.anchor import answers, shelf
from sojourn.anchor.loose import roots_of
from sojourn.anchor.shelf import Shelf
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.limits import CHAPTERS_MAX, MESSAGE_BYTES_MAX
from sojourn.core.protocol.applying import is_behind
from sojourn.core.protocol.chains import ChainMemo
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.dossier import Ruling
from sojourn.core.protocol.exchange import AskPast, Past
from sojourn.core.protocol.messages import Applied, AskVisa, Declined, Need, Voted
from sojourn.runtime.store import DeleteBlock
from sojourn.stores.memory import MemoryStore
from tests.lives import life
from tests.rulings import World
from tests.samples import CODE
from tests.unit.anchor.standing_in import stand_in, until
from tests.village import Village, village

LATE = 3


def run(test: Callable[[Village], Awaitable[None]], n: int = 4) -> None:
    async def main() -> None:
        async with village("a", "b", n=n) as v:
            await test(v)

    asyncio.run(asyncio.wait_for(main(), 30))


async def moved(v: Village, times: int) -> Certified:
    """Launch an agent in a and move it between a and b."""
    houses = [v.houses["a"], v.houses["b"]]
    head = await v.launch(houses[0])
    for number in range(times):
        head = await v.move(houses[number % 2], houses[(number + 1) % 2], head)
    return head


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two chapters fill a reply."""
    monkeypatch.setattr(answers, "_REPLY_BYTES_MAX", 30_000)


# Pages


@pytest.mark.usefixtures("small_pages")
def test_a_past_that_does_not_fit_comes_in_pages_and_an_agent_moves_on_with_all_of_it() -> None:
    async def test(v: Village) -> None:
        head = await moved(v, 6)
        a, agent = v.houses["a"], head.record.agent_id
        page = await v.client(a).call(0, AskPast(agent=agent))
        assert isinstance(page, Past) and page.next_term == len(page.chapters) < 7
        onward = await v.client(a).call(0, AskPast(agent=agent, from_term=page.next_term))
        assert isinstance(onward, Past) and onward.chapters[0] not in page.chapters
        chapters = await v.chapters(a, agent)
        assert 7 == len(chapters) and list(chapters) == a.anchors[0].shelf.chapters(agent)
        last = await v.client(a).call(0, AskPast(agent=agent, from_term=6))
        assert isinstance(last, Past) and (None, 1) == (last.next_term, len(last.chapters))
        none = await v.client(a).call(0, AskPast(agent=agent, from_term=None, limit=10))
        assert isinstance(none, Past) and () == none.chapters and none.history

    run(test, n=1)


@pytest.mark.usefixtures("small_pages")
def test_section_3_an_anchor_that_was_away_is_told_all_of_a_long_past() -> None:
    async def test(v: Village) -> None:
        a = v.houses["a"]
        await v.close(a, LATE)
        head = await moved(v, 4)
        await v.open(a, [LATE])
        v.introduce()
        late, agent = a.anchors[LATE], head.record.agent_id
        await until(lambda: _all_answer(v, head))
        done = await v.step(a, head)
        await until(lambda: late.shelf.dossier(agent).head == done)
        await until(lambda: not is_behind(late.shelf.dossier(agent)))
        # A dossier is read while its rows are still being written.
        await until(lambda: 5 == len(late.shelf.chapters(agent)))
        assert a.anchors[0].shelf.chapters(agent) == late.shelf.chapters(agent)

    run(test)


async def _all_answer(v: Village, head: Certified) -> bool:
    return len(await v.renew(v.houses["a"], head)) == len(v.houses["a"].anchors)


ENDLESS: dict[str, Callable[[AskPast, Past], Past]] = {
    "the same page": lambda ask, told: replace(told, next_term=ask.from_term),
    "no page": lambda ask, told: Past(chapters=(), next_term=(ask.from_term or 0) + 1),
}


@pytest.mark.parametrize("lie", ENDLESS)
def test_an_anchor_whose_past_has_no_end_is_passed_over(lie: str) -> None:
    async def test(v: Village) -> None:
        head = await moved(v, 2)
        asked: list[AskPast] = []

        async def answer(request: Any, honest: Any) -> Any:
            if not isinstance(request, AskPast):
                return honest
            asked.append(request)
            return ENDLESS[lie](request, honest)

        await stand_in(v, v.houses["a"], 0, answer)
        told: dict[int, Past] = {}

        def take(anchor: int, past: Past) -> bool:
            told[anchor] = past
            return False

        await v.client(v.houses["a"]).ask_past(head.record.agent_id, take)
        assert {1, 2, 3} == told.keys()
        assert 1 == len(asked)

    run(test)


# Blocks


def test_section_5_an_application_names_chapters_that_are_blocks() -> None:
    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        head = await v.launch(a)
        ask = await v.application(a, b, head)
        client = v.client(b, a.hosts[0])
        assert Need(what="blocks", digests=ask.chapters) == await client.call(0, ask)
        await v.visa(a, b, ask)
        anchor = b.anchors[0]
        assert set(ask.chapters) <= roots_of(anchor.shelf.dossier(head.record.agent_id))
        assert not any(named in anchor.shelf.loose for named in ask.chapters)

    run(test, n=1)


def test_a_block_that_is_no_chapter_is_rejected_by_name() -> None:
    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        head = await moved(v, 2)
        ask = await v.application(a, b, head)
        client = v.client(b, a.hosts[0])
        await client.upload(0, (*ask.chapters, digest(CODE)), v.blocks)
        wrong = replace(ask, chapters=(ask.chapters[0], digest(CODE), ask.chapters[2]))
        reply = await client.call(0, wrong)
        assert isinstance(reply, Declined) and "chapters[1]" in reply.problem
        assert b.anchors[0].shelf.dossier(head.record.agent_id).application is None
        await v.visa(a, b, ask)

    run(test, n=1)


def test_an_anchor_goes_on_by_itself_with_what_one_ruling_leaves_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sojourn.core.protocol.chains.check_onward.__kwdefaults__", {"most": 1})

    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        head = await moved(v, 4)
        ask = await v.application(a, b, head)
        client, anchor = v.client(b, a.hosts[0]), b.anchors[0]
        await client.upload(0, (*head.record.governance.documents, *ask.chapters), v.blocks)
        anchor._chains = ChainMemo()
        answered: list[Any] = []
        decide = anchor._decide

        async def noted(*request: Any) -> Any:
            answered.append(await decide(*request))
            return answered[-1]

        monkeypatch.setattr(anchor, "_decide", noted)
        assert isinstance(await client.call(0, ask), Voted)
        assert [Need(what="time")] * 4 == answered[:-1]

    run(test, n=1)


def test_section_5_the_source_gives_the_chapters_with_what_it_applies_with_again() -> None:
    """The target has forgotten the application, and lost its chapters."""

    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        head = await moved(v, 3)
        ask = await v.application(b, a, head)
        visa = await v.visa(b, a, ask)
        anchor, agent = a.anchors[0], head.record.agent_id
        after = replace(anchor.shelf.dossier(agent), application=None)
        lost = [DeleteBlock(named) for named in ask.chapters]
        with anchor.shelf.replacing(after):
            await anchor.write([*anchor.shelf.dossier_changes(after), *lost])
        anchor.shelf.collected(ask.chapters)
        anchor.shelf.shown_chapters.forget(ask.chapters)
        gone = await v.decide(b, v.departure(b, a, head, visa), head)
        await until(lambda: anchor.shelf.dossier(agent).arrival is not None)
        assert ask == anchor.shelf.dossier(agent).application
        assert [] == anchor.shelf.lacking(ask.chapters)
        assert 4 == (await v.arrive(a, gone, visa, ask)).record.custody.term

    run(test, n=1)


# Rows


def test_a_life_that_is_longer_than_one_commit_is_written_before_the_ruling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shelf, "_CHAPTERS_AT_ONCE", 2)
    world = World("a", "b", n=1)
    chapters = life(world.genesis(world.zones[0]), [z.sample for z in world.zones], 6)
    store = MemoryStore()
    kept = Shelf(store)
    ruling = Ruling(answer=Applied(), chapters=tuple(chapters))
    agent = chapters[0].opened.record.agent_id

    async def write() -> list[int]:
        sizes = []
        for part in [*kept.earlier_changes_of(ruling), kept.changes_of(ruling)]:
            await store.commit(part)
            sizes.append(len(part))
        return sizes

    assert [2, 2, 1, 2] == asyncio.run(write())
    assert chapters == kept.chapters(agent)
    assert [0] == asyncio.run(write())  # what is kept as it is, is not written again


def test_an_application_of_a_life_of_years_is_one_message() -> None:
    """Before, with 6 to 11 KB for each term, the chain of a thousand fitted no message: the agent was stuck."""
    world = World("a", "b", n=4)
    a, b = world.zones
    head = world.launch(a)
    ask = world.application(a, b, head)
    chapters = tuple(digest(str(number).encode()) for number in range(CHAPTERS_MAX))
    data = encode(replace(ask, chapters=chapters))
    assert len(data) < MESSAGE_BYTES_MAX / 4
    assert chapters == decode(data, AskVisa, what="request", limit=MESSAGE_BYTES_MAX).chapters
    assert all(isinstance(each, Chapter) for each in world.chapters_of(ask))
    assert ask.chapters == tuple(digest_of(each) for each in world.chapters_of(ask))
