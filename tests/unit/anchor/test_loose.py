"""Blocks that no record names: a share of the room for each who puts them, and collected when nobody asks."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.anchor import answers
from sojourn.anchor.loose import Loose, Share, roots_of
from sojourn.anchor.server import Anchor
from sojourn.anchor.shelf import Shelf
from sojourn.core.base.digests import digest, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Refused, Rejected
from sojourn.core.base.limits import LOOSE_KEPT_MS
from sojourn.core.protocol.exchange import AskMissing, Missing, PutBlocks
from sojourn.core.protocol.messages import Applied, Declined, Propose
from sojourn.core.protocol.validate import slot_for
from sojourn.runtime.processes import clock
from sojourn.runtime.store import Change, PutBlock
from sojourn.stores.memory import MemoryStore
from tests.village import House, Village, key, village

ME, OTHER = Share(b"me", 3 * 4096), Share(b"other", 3 * 4096)


def block(name: object, *children: bytes) -> bytes:
    """Return a block that links to others."""
    return encode_block([str(name), *map(link_to, map(digest, children))])


def put(data: bytes) -> PutBlock:
    return PutBlock(digest(data), "dag-cbor", data)


LEAF = block("leaf")
BRANCH = block("branch", LEAF)
ROOT = block("root", BRANCH)
TREE = (LEAF, BRANCH, ROOT)


def holding(*blocks: bytes, share: Share = ME) -> Loose:
    loose = Loose()
    loose.add(map(put, blocks), share, 0)
    return loose


def collected(loose: Loose, now_ms: int = LOOSE_KEPT_MS) -> list[bytes]:
    """Collect all that may go; return it in its order."""
    found = []
    while due := loose.due(now_ms, 1):
        loose.remove(due)
        found += due
    return found


def test_a_tree_that_nothing_names_goes_from_its_root_on() -> None:
    loose = holding(*TREE)
    assert [] == loose.due(LOOSE_KEPT_MS - 1, 9)
    assert [digest(ROOT)] == loose.due(LOOSE_KEPT_MS, 9)
    assert [digest(data) for data in reversed(TREE)] == collected(loose)
    loose.check_room([put(LEAF)] * 3, ME)  # all room is free again


def test_trap_46_what_is_named_is_kept_with_all_below_it() -> None:
    loose = holding(*TREE, block("else"))
    loose.keep([digest(BRANCH)])
    assert [digest(ROOT), digest(block("else"))] == collected(loose)


def test_trap_46_what_a_block_links_to_that_came_with_a_record_is_kept() -> None:
    loose = holding(LEAF, BRANCH)
    loose.keep_below([put(ROOT)])
    assert 0 == len(loose)


def test_what_somebody_counts_on_stays_a_while_longer() -> None:
    loose = holding(LEAF, block("else"))
    loose.note_asked([digest(LEAF), digest(b"unknown")], 5)
    assert [digest(block("else"))] == collected(loose)
    assert [digest(LEAF)] == collected(loose, LOOSE_KEPT_MS + 5)


def test_trap_50_who_puts_has_a_share_of_the_room() -> None:
    loose = holding(*TREE)
    with pytest.raises(Refused, match="12288 bytes of blocks that no record names"):
        loose.check_room([put(block("more"))], ME)
    loose.check_room([put(block("more"))], OTHER)
    loose.keep([digest(ROOT)])
    loose.check_room([put(block("more"))], ME)


# On a shelf


class Stored:
    """A shelf on a store, and the names of blocks, by number; a block may link to those before it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.shelf = Shelf(self.store)
        self.now_ms = 0

    def commit(self, changes: list[Change]) -> None:
        asyncio.run(self.store.commit(changes))

    def has(self, named: bytes) -> bool:
        return not self.shelf.lacking([named])


WIDE = Share(b"me", 10**6)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "come", "name", "collect", "wait"]),
        st.integers(0, 3),
        st.sets(st.integers(0, 3), max_size=2),
    ),
    max_size=20,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_trap_46_whatever_happens_nothing_below_a_named_block_is_missing(
    steps: list[tuple[str, int, set[int]]],
) -> None:
    """And whatever is stored, all that it links to is stored as well."""
    stored = Stored()
    shelf = stored.shelf
    data: dict[int, bytes] = {}
    below: dict[bytes, tuple[bytes, ...]] = {}
    named: set[bytes] = set()
    at_last = [("wait", 0, set[int]()), *[("collect", 0, set[int]())] * 3]
    for what, number, links in [*steps, *at_last]:
        if what in ("put", "come"):
            children = [data[each] for each in sorted(links) if each in data and each < number]
            made = block(number, *children)
            try:
                if what == "put":
                    changes = shelf.loose_changes([made], WIDE, stored.now_ms)
                else:
                    changes = [*shelf.block_changes([made])]
                    shelf.keep_below(changes)
            except Rejected:
                continue  # a child was collected
            stored.commit(changes)
            data[number] = made
            below[digest(made)] = tuple(map(digest, children))
        elif what == "name" and number in data and stored.has(digest(data[number])):
            named.add(digest(data[number]))
            shelf.loose.keep([digest(data[number])])
        elif what == "wait":
            stored.now_ms += LOOSE_KEPT_MS
        elif what == "collect" and (due := shelf.loose.due(stored.now_ms, 3)):
            changes = shelf.collect(due)
            assert not any(map(stored.has, due))
            stored.commit(changes)
            shelf.collected(due)
        assert all(map(stored.has, named))
        for parent, children_of in below.items():
            if stored.has(parent):
                assert all(map(stored.has, children_of))


def test_trap_46_what_comes_with_a_record_keeps_what_was_put_before_it() -> None:
    stored = Stored()
    stored.commit(stored.shelf.loose_changes([LEAF], ME, 0))
    changes = [*stored.shelf.block_changes([BRANCH])]
    stored.shelf.keep_below(changes)
    stored.commit(changes)
    assert [] == stored.shelf.loose.due(LOOSE_KEPT_MS, 9)


def test_what_is_put_again_while_it_is_collected_is_stored() -> None:
    stored = Stored()
    stored.commit(stored.shelf.loose_changes([LEAF], ME, 0))
    removing = stored.shelf.collect([digest(LEAF)])
    assert [digest(LEAF)] == stored.shelf.lacking([digest(LEAF)])
    assert stored.shelf.block(digest(LEAF)) is None
    with pytest.raises(Rejected):
        stored.shelf.loose_changes([BRANCH], ME, 1)
    again = stored.shelf.loose_changes([LEAF, BRANCH], ME, 1)
    stored.commit(removing)
    stored.commit(again)
    stored.shelf.collected([digest(LEAF)])
    assert [] == stored.shelf.lacking([digest(LEAF), digest(BRANCH)])


def test_trap_46_a_block_that_is_mended_is_never_loose() -> None:
    """It was stored before: who names it, or links to it, is not known here."""
    stored = Stored()
    stored.commit([*stored.shelf.block_changes([LEAF])])
    stored.shelf._damaged.add(digest(LEAF))
    stored.commit(stored.shelf.loose_changes([LEAF], ME, 0))
    assert 0 == len(stored.shelf.loose)


# At an anchor


def run(test: Callable[[Village, House, Anchor], Awaitable[None]]) -> None:
    async def main() -> None:
        async with village("a", n=1) as v:
            await test(v, v.houses["a"], v.houses["a"].anchors[0])

    asyncio.run(main())


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what lets the time pass that loose blocks are kept."""
    now_ms, passed = clock.boot_ms, [0]
    monkeypatch.setattr(clock, "boot_ms", lambda: now_ms() + passed[0])

    def pass_time() -> None:
        passed[0] += LOOSE_KEPT_MS

    return pass_time


def test_trap_50_blocks_of_strangers_are_refused_for_now_and_then_collected(
    later: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "LOOSE_BYTES_MAX", 3 * 4096)

    async def test(v: Village, house: House, anchor: Anchor) -> None:
        stranger, other = v.client(house, key("stranger")), v.client(house, key("another"))
        assert Applied() == await stranger.call(0, PutBlocks(blocks=TREE))
        more = PutBlocks(blocks=(block("more"),))
        for client in (stranger, other):  # keys are free: all strangers share
            reply = await client.call(0, more)
            assert isinstance(reply, Declined)
            assert (True, True) == (reply.for_now, "over the limit of 12288" in reply.problem)
        own = v.client(house, house.hosts[1])
        assert Applied() == await own.call(0, more)
        later()
        await anchor.forget_expired()
        assert [digest(ROOT)] == anchor.shelf.lacking([digest(ROOT)])
        assert 0 == len(anchor.shelf.loose)
        assert Applied() == await stranger.call(0, PutBlocks(blocks=TREE))

    run(test)


def test_who_is_told_that_a_block_is_there_can_count_on_it(later: Callable[[], None]) -> None:
    async def test(v: Village, house: House, anchor: Anchor) -> None:
        client = v.client(house, key("stranger"))
        await client.call(0, PutBlocks(blocks=TREE))
        later()
        assert Missing(digests=()) == await client.call(0, AskMissing(digests=(digest(ROOT),)))
        await anchor.forget_expired()
        assert [] == anchor.shelf.lacking([digest(ROOT)])

    run(test)


def test_trap_46_what_a_head_or_a_vote_names_is_never_collected(
    later: Callable[[], None],
) -> None:
    async def test(v: Village, house: House, anchor: Anchor) -> None:
        head = await v.launch(house)
        client = v.client(house)
        documents = head.record.governance.documents
        leaves = [block("below first"), block("below second")]
        first, second = block("first", leaves[0]), block("second", leaves[1])
        await client.call(0, PutBlocks(blocks=(*leaves, first, second)))
        await client.call(0, PutBlocks(blocks=TREE))
        head = await v.step(house, head, memory=replace(head.record.memory, journal=digest(ROOT)))
        head = await v.step(house, head, memory=replace(head.record.memory, journal=digest(first)))
        voted_on = replace(head.record.memory, journal=digest(second))
        step = v.step_proposal(house, head, memory=voted_on)
        slot = slot_for(head, step.transition, house.manifest)
        await client.call(0, Propose(slot=slot, round=0, proposal=step))
        assert anchor.shelf.dossier(head.record.agent_id).open is not None
        later()
        await anchor.forget_expired()
        named = [*documents, head.record.capabilities.code, digest(first), digest(second)]
        assert [] == anchor.shelf.lacking([*named, *map(digest, leaves)])
        assert [] == anchor.shelf.lacking([*map(digest, TREE)])  # of an earlier version

    run(test)


def test_trap_46_what_an_applicant_copied_ahead_is_not_collected(later: Callable[[], None]) -> None:
    async def main() -> None:
        async with village("a", "b", n=1) as v:
            a, b = v.houses["a"], v.houses["b"]
            head = await v.launch(a)
            v.blocks.data.update({digest(data): data for data in TREE})
            await v.client(a).upload(0, [digest(ROOT)], v.blocks)
            head = await v.step(a, head, memory=replace(head.record.memory, journal=digest(ROOT)))
            await v.client(b, a.hosts[0]).upload(0, [digest(ROOT)], v.blocks)
            gone, visa, ask = await v.depart(a, b, head)
            later()
            await b.anchors[0].forget_expired()
            assert [] == b.anchors[0].shelf.lacking([digest(each) for each in TREE])
            assert digest(ROOT) == (await v.arrive(b, gone, visa, ask)).record.memory.journal

    asyncio.run(main())


def test_trap_46_what_a_record_named_before_it_was_put_is_not_collected(
    later: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(v: Village, house: House, anchor: Anchor) -> None:
        head = await v.launch(house)
        await v.client(house).call(0, PutBlocks(blocks=TREE))
        memory = replace(head.record.memory, journal=digest(ROOT))
        monkeypatch.setattr(Shelf, "keep_named", lambda *_: None)  # as if it had been named before
        head = await v.step(house, head, memory=memory)
        assert digest(ROOT) in anchor.shelf.loose
        assert digest(ROOT) in roots_of(anchor.shelf.dossier(head.record.agent_id))
        later()
        await anchor.forget_expired()
        assert [] == anchor.shelf.lacking([digest(each) for each in TREE])

    run(test)
