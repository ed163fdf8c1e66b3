"""Rounds of collecting, on a store, with whatever comes between two of its reads."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sojourn.anchor import collecting
from sojourn.anchor.collecting import Collecting
from sojourn.anchor.folder import AnchorFolder, Settings, make_anchor
from sojourn.anchor.loose import Loose, Share, Unnamed
from sojourn.anchor.server import Anchor
from sojourn.anchor.shelf import Shelf
from sojourn.core.agent.memory.blocks import links
from sojourn.core.base.digests import digest, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Failed, Misused, Rejected
from sojourn.core.base.limits import LOOSE_KEPT_MS
from sojourn.core.protocol.dossier import Dossier
from sojourn.runtime.processes import clock
from sojourn.runtime.store import Change, PutBlock
from sojourn.stores.memory import MemoryStore

ROOM = Share(b"me", 10**9)
BLOCKS = 7


class Shelved(Shelf):
    """A shelf with one dossier, which names what the test says."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.named: set[bytes] = set()

    def every_dossier(self) -> Iterator[Dossier]:
        yield Dossier(agent=digest(b"agent"))


class Ground:
    """Blocks that link to those before them, put, named and unnamed; and rounds."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.shelf = Shelved(self.store)
        self.made: dict[int, bytes] = {}
        mail = SimpleNamespace(proofs=list[bytes])
        anchor = cast("Anchor", SimpleNamespace(shelf=self.shelf, mail=mail))
        self.collecting = Collecting(anchor, 1)

    async def put(self, number: int, below: set[int], *, is_named: bool) -> None:
        """Put a block, loose, or with a record that names it."""
        children = [
            self.made[each] for each in sorted(below) if each in self.made and each < number
        ]
        data = encode_block(["log-leaf/1", number, [link_to(digest(each)) for each in children]])
        try:
            changes: list[Change] = (
                [*self.shelf.block_changes([data])]
                if is_named
                else self.shelf.loose_changes([data], ROOM, clock.boot_ms())
            )
        except Rejected:
            return  # what it links to is gone
        self.made[number] = data
        if is_named:
            self.name(digest(data), changes)
        await self.store.commit(changes)

    def name(self, named: bytes, changes: list[Change] | None = None) -> None:
        """Have the dossier name a block that is stored, or is being stored."""
        self.shelf.named.add(named)
        self.shelf.loose.keep([named])
        self.shelf.keep_below(changes or [])

    async def ask(self, number: int) -> None:
        """Name a block that an anchor says is stored, without putting it again."""
        named = digest(self.made[number]) if number in self.made else b""
        if named and not self.shelf.lacking([named]):
            self.name(named)

    async def collect(self) -> None:
        """Remove what is due by now, and what only that linked to."""
        self.shelf.loose.keep(self.shelf.named)
        while due := self.shelf.loose.due(clock.boot_ms() + LOOSE_KEPT_MS, 100):
            await self.store.commit(self.shelf.collect(due))
            self.shelf.collected(due)

    def stored(self) -> dict[bytes, bytes]:
        names = self.store.block_names(limit=1000)
        return {named: self.store.get_block(named).data for named in names}  # type: ignore[union-attr]

    def check(self) -> None:
        stored = self.stored()
        for data in stored.values():
            assert set(links(data)) <= stored.keys(), "a block is stored without what it links to"
        assert self.shelf.named <= stored.keys(), "a block that is named was collected"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let others come between any two reads; and let one dossier name what is named."""
    monkeypatch.setattr(collecting, "_AT_ONCE", 1)
    monkeypatch.setattr(collecting, "_BETWEEN_S", 0)
    monkeypatch.setattr(Collecting, "_roots", _roots)


async def _roots(self: Any, _dossier: Dossier) -> set[bytes]:
    return set(self._anchor.shelf.named)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["put", "come", "name", "unname", "round", "collect", "pause"]),
        st.integers(0, BLOCKS),
        st.sets(st.integers(0, BLOCKS), max_size=3),
    ),
    max_size=40,
)


async def happen(ground: Ground, events: list[tuple[str, int, set[int]]]) -> None:
    rounds: set[asyncio.Task[int]] = set()
    for what, number, below in events:
        if what in ("put", "come"):
            await ground.put(number, below, is_named=what == "come")
        elif what == "name":
            await ground.ask(number)
        elif what == "unname" and number in ground.made:
            ground.shelf.named.discard(digest(ground.made[number]))
        elif what == "round" and all(each.done() for each in rounds):
            rounds.add(asyncio.create_task(ground.collecting.round()))
        elif what == "collect":
            await ground.collect()
        else:
            await asyncio.sleep(0)
        ground.check()
    await asyncio.gather(*rounds)


@settings(max_examples=300, deadline=None)
@given(EVENTS)
def test_trap_46_whatever_happens_meanwhile_nothing_below_a_named_block_is_collected(
    events: list[tuple[str, int, set[int]]],
) -> None:
    """And in the end what nothing names is gone."""

    async def run() -> None:
        ground = Ground()
        await happen(ground, events)
        await ground.collect()
        ground.check()
        while await ground.collecting.round():
            await ground.collect()
            ground.check()
        named, waiting = set[bytes](), list(ground.shelf.named)
        stored = ground.stored()
        while waiting:
            named.add(waiting[-1])
            waiting += links(stored[waiting.pop()])
        assert named == stored.keys(), "what nothing names is kept"

    asyncio.run(run())


async def chain(ground: Ground, length: int) -> None:
    """Have blocks that were named once, each linking to the one before."""
    for number in range(length):
        await ground.put(number, {number - 1}, is_named=True)
    ground.shelf.named.clear()


def test_what_is_put_or_named_while_a_round_goes_on_is_kept() -> None:
    async def run() -> None:
        ground = Ground()
        await chain(ground, 4)
        going = asyncio.create_task(ground.collecting.round())
        for _ in range(6):
            await asyncio.sleep(0)
        await ground.put(9, {2}, is_named=True)
        assert 1 == await going, "the block that linked to it may go"
        await ground.collect()
        ground.check()
        assert 4 == len(ground.stored())

    asyncio.run(run())


def test_what_two_link_to_goes_after_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "_FOUND_MAX", 2)

    async def run() -> None:
        ground = Ground()
        await ground.put(0, set(), is_named=True)
        for number in (1, 2, 3):
            await ground.put(number, {0}, is_named=True)
        ground.shelf.named.clear()
        for left in (2, 0):
            assert 2 == await ground.collecting.round()
            await ground.collect()
            ground.check()
            assert left == len(ground.stored())

    asyncio.run(run())


def test_more_than_is_remembered_goes_in_rounds_parents_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collecting, "_FOUND_MAX", 2)

    async def run() -> None:
        ground = Ground()
        await chain(ground, 5)
        for left in (3, 1, 0):
            assert min(2, left + 2) >= await ground.collecting.round() > 0
            await ground.collect()
            ground.check()
            assert left == len(ground.stored())
        assert 0 == await ground.collecting.round()

    asyncio.run(run())


def test_what_may_be_something_else_than_memory_is_kept_with_all_below_it() -> None:
    async def run() -> None:
        ground = Ground()
        leaf = encode_block(["log-leaf/1", []])
        kept = encode_block({"kind": "unheard-of/1", "link": link_to(digest(leaf))})
        code = encode_block({"agent.py": b"code"})
        for data in (leaf, kept, code, encode_block(["log-leaf/1", [1]])):
            await ground.store.commit(ground.shelf.block_changes([data]))
        assert 1 == await ground.collecting.round()
        await ground.collect()
        assert {digest(each) for each in (leaf, kept, code)} == ground.stored().keys()

    asyncio.run(run())


def test_a_damaged_block_stops_a_round() -> None:
    async def run() -> None:
        ground = Ground()
        await chain(ground, 3)
        top = digest(ground.made[2])
        ground.shelf.named.add(top)
        ground.shelf._damaged.add(top)
        ground.shelf.block = lambda named: None  # type: ignore[method-assign,assignment]
        with pytest.raises(Failed, match=f"block {top.hex()} is damaged"):
            await ground.collecting.round()
        assert not len(ground.shelf.loose)
        assert not await ground.collecting._try()
        with ground.shelf.loose.watching():
            pass  # the next round can begin

    asyncio.run(run())


def test_a_round_in_which_too_much_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "_MEANWHILE_MAX", 2)

    async def run() -> None:
        ground = Ground()
        await chain(ground, 5)
        going = asyncio.create_task(ground.collecting.round())
        await asyncio.sleep(0)
        await ground.put(9, {1, 2}, is_named=True)
        with pytest.raises(Failed, match="more than 2 blocks were put or named in one round"):
            await going
        assert not len(ground.shelf.loose)

    asyncio.run(run())


def test_a_setting_says_how_many_versions_and_nonsense_is_refused(tmp_path: Path) -> None:
    settings = Settings(operator="o", listen="[::1]:7400", reached="[::1]:7400")
    make_anchor(tmp_path, settings)
    file = tmp_path / "anchor.toml"
    assert "keep_versions" not in file.read_text()
    assert AnchorFolder(tmp_path).settings.keep_versions is None
    as_made = file.read_text()
    file.write_text(f"{as_made}keep_versions = 5\n")
    assert AnchorFolder(tmp_path).settings.keep_versions == 5
    for nonsense in ("0", "-1", '"all"', "1.5"):
        file.write_text(f"{as_made}keep_versions = {nonsense}\n")
        with pytest.raises(Misused, match="keep_versions"):
            AnchorFolder(tmp_path)


def test_who_keeps_everything_never_looks() -> None:
    anchor: Any = None
    asyncio.run(Collecting(anchor, None).run())


def test_what_is_taken_back_takes_nobodys_room_and_goes_parents_first() -> None:
    leaf = encode_block(["log-leaf/1", []])
    root = encode_block(["log-leaf/1", [link_to(digest(leaf))]])
    loose = Loose()
    loose.take_back(
        [Unnamed(digest(root), len(root), (digest(leaf),)), Unnamed(digest(leaf), len(leaf), ())], 5
    )
    loose.check_room([PutBlock(digest(leaf), "dag-cbor", leaf)], Share(b"me", 4096))
    assert [digest(root)] == loose.due(LOOSE_KEPT_MS + 5, 9)
    assert [] == loose.due(LOOSE_KEPT_MS + 4, 9)
    loose.keep([digest(root)])
    assert 0 == len(loose)
