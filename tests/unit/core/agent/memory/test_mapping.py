"""Mappings: against a dictionary; one root for one content; what a change costs, whoever asks."""

import inspect
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import sojourn
from sojourn.core.agent.memory.blocks import MissingBlock, NewBlocks, missing_closure
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.agent.memory.trie import KEY_BYTES_MAX, LEAF_SIZE_MAX
from sojourn.core.base.digests import ZERO
from sojourn.core.base.errors import Misused
from tests.unit.core.agent.memory.shelf import LINK, Shelf, under

BLOCK_BYTES = 16 * 1024
"""What the shape promises of every leaf and branch."""

alphabets = st.sampled_from(["ab", "0123456789", "aAzZ09-/_.", "\x00\x7fäß€中😀"])
keys = alphabets.flatmap(lambda alphabet: st.text(alphabet, max_size=8)) | st.text(max_size=40)
values = st.sampled_from(
    [b"", b"a" * 30, b"b" * 400, b"c" * 1000, b"d" * 3000, {"links": [LINK]}, 1.5, None]
)


def empty(shelf: Shelf | None = None) -> Mapping:
    return Mapping.load(ZERO, shelf or Shelf())


def saved(mapping: Mapping, shelf: Shelf) -> tuple[Mapping, dict[bytes, bytes]]:
    new = NewBlocks(shelf)
    return mapping.commit(new), shelf.save(new)


def filled(shelf: Shelf, content: dict[str, Any]) -> Mapping:
    """A saved mapping of this content, put in the order it has here."""
    mapping = empty(shelf)
    for key, value in content.items():
        mapping = mapping.put(key, value)
    return saved(mapping, shelf)[0]


def numbered(count: int, size: int = 200) -> dict[str, Any]:
    rng = random.Random(count)
    return {f"key-{number:06}": rng.randbytes(size) for number in range(count)}


class AgainstADictionary(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.shelf = Shelf()
        self.new = NewBlocks(self.shelf)
        self.mapping = Mapping.load(ZERO, self.new)
        self.model: dict[str, Any] = {}

    @rule(key=keys, value=values)
    def put(self, key: str, value: Any) -> None:
        self.mapping = self.mapping.put(key, value)
        self.model[key] = value

    @rule(prefix=keys, alphabet=alphabets, size=st.integers(0, 1000), count=st.integers(1, 40))
    def put_many(self, prefix: str, alphabet: str, size: int, count: int) -> None:
        rng = random.Random(f"{prefix}{size}{count}")
        for _ in range(count):
            self.put(prefix + "".join(rng.choices(alphabet, k=rng.randint(0, 4))), bytes(size))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model)))
        self.mapping = self.mapping.delete(key)
        del self.model[key]

    @rule(prefix=keys)
    def delete_prefix(self, prefix: str) -> None:
        for key in list(self.mapping.keys(prefix)):
            self.mapping = self.mapping.delete(key)
            del self.model[key]
        assert not any(key.startswith(prefix) for key in self.model)

    @rule()
    def commit(self) -> None:
        self.mapping = self.mapping.commit(self.new)

    @rule()
    def save_and_load(self) -> None:
        before = set(self.shelf.blocks)
        self.mapping = self.mapping.commit(self.new)
        made = self.shelf.save(self.new)
        assert set(under(self.shelf, self.mapping.root)) - before <= set(made)
        self.mapping = Mapping.load(self.mapping.root, self.new)

    @rule(key=keys)
    def get(self, key: str) -> None:
        assert self.mapping.get(key, "absent") == self.model.get(key, "absent")
        assert (key in self.mapping) == (key in self.model)

    @rule(prefix=keys)
    def scan(self, prefix: str) -> None:
        expected = [(key, self.model[key]) for key in sorted(self.model) if key.startswith(prefix)]
        assert list(self.mapping.items(prefix)) == expected

    @rule(prefix=keys, start=keys, stop=keys | st.none())
    def scan_a_range(self, prefix: str, start: str, stop: str | None) -> None:
        expected = [
            key
            for key in sorted(self.model)
            if key.startswith(prefix) and key >= start and (stop is None or key < stop)
        ]
        assert list(self.mapping.keys(prefix, start, stop)) == expected

    @invariant()
    def same_length(self) -> None:
        assert len(self.mapping) == len(self.model)

    def teardown(self) -> None:
        assert list(self.mapping.items()) == sorted(self.model.items())
        shelf = Shelf()
        other_order = {key: self.model[key] for key in sorted(self.model, key=hash)}
        assert filled(shelf, other_order).root == self.mapping.commit(self.new).root
        assert all(len(block) <= BLOCK_BYTES for block in shelf.blocks.values())


TestAgainstADictionary = AgainstADictionary.TestCase
TestAgainstADictionary.settings = settings(max_examples=60, stateful_step_count=20)


# One content, one root


@given(st.dictionaries(keys, values, max_size=60), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_the_order_of_operations_cannot_be_told(
    content: dict[str, Any], rng: random.Random
) -> None:
    shelf = Shelf()
    first = filled(shelf, content)
    order = list(content)
    rng.shuffle(order)
    detour = empty(shelf)
    for key in order:
        detour = detour.put(key + "x", b"e" * 900).put(key, b"f" * 100)
        if rng.random() < 0.2:
            detour, _ = saved(detour, shelf)
    for key in {key + "x" for key in order} - set(content):
        detour = detour.delete(key)
    for key in order:
        detour = detour.put(key, content[key])
    assert saved(detour, shelf)[0].root == first.root


@pytest.mark.parametrize("seed", range(16))
def test_what_is_left_after_deletions_has_the_root_it_always_had(seed: int) -> None:
    rng = random.Random(seed)
    alphabet = rng.choice(["ab", "0123456789", "abcdefghijklmnopqrstuvwxyzäö€😀"])
    content = {
        "".join(rng.choices(alphabet, k=rng.choice((0, 1, 2, 3, 8, 90)))): bytes(
            rng.choice((0, 10, 200, 900, 2000))
        )
        for _ in range(400)
    }
    shelf = Shelf()
    mapping = filled(shelf, content)
    gone = rng.sample(sorted(content), len(content))
    for count, key in enumerate(gone, 1):
        mapping = mapping.delete(key)
        del content[key]
        if count % 80 == 0 or len(content) < 10:
            assert mapping.commit(NewBlocks(shelf)).root == filled(Shelf(), content).root


def test_a_branch_left_with_one_part_gives_way_to_it() -> None:
    heavy = {f"prefix/{number}": b"x" * 1000 for number in range(8)}
    mapping = filled(Shelf(), heavy | {"other": b"y" * 1000, "prefix": 1})
    left = mapping.delete("other").delete("prefix")
    assert left.commit(NewBlocks(Shelf())).root == filled(Shelf(), heavy).root


SCRIPT = """
from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping

new = NewBlocks({})
mapping = Mapping.load(bytes(32), new)
for word in {f"word-{number}" for number in range(500)}:  # in the order of their hashes
    mapping = mapping.put(word, {letter: [word, 0.5] for letter in set(word)})
log = Log.load(bytes(32), new).extend({"a": n, "b": bytes(n), "c": -n / 3} for n in range(2000))
print(mapping.commit(new).root.hex(), log.commit(new).root.hex())
"""


def test_a_root_does_not_depend_on_the_process() -> None:
    def roots(seed: str) -> str:
        source = Path(sojourn.__file__).parents[1]
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(source)}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    assert len({roots(seed) for seed in ("0", "1", "4711", "random")}) == 1


def test_the_format_is_frozen() -> None:
    """If this fails, the format has changed: give the kinds a new version."""
    shelf = Shelf()
    content: dict[str, Any] = {"large": "x" * 2000, "huge": "y" * 200_000}
    content |= {f"{word}/{n}": [n, word] for n in range(300) for word in ("a", "ä", "bc")}
    assert filled(shelf, content).root.hex() == FROZEN_MAPPING
    log = Log.load(ZERO, shelf).extend(content.values())
    assert log.commit(NewBlocks(shelf)).root.hex() == FROZEN_LOG


FROZEN_MAPPING = "d1e3bfdca99fad862b1ac0f6c3c38d37a126a89d46c263b5920b92597cd12cb8"
FROZEN_LOG = "9ddc8b9f87ccaf19e8b677d5ed769fa6f1e5c729c4fe43780edab662bc156628"


def test_the_empty_mapping_is_all_zeros_and_no_block() -> None:
    shelf = Shelf()
    mapping, made = saved(empty(shelf), shelf)
    assert (mapping.root, made, len(mapping), list(mapping.items())) == (ZERO, {}, 0, [])
    mapping, made = saved(filled(shelf, {"a": 1}).delete("a"), shelf)
    assert (mapping.root, made, len(mapping)) == (ZERO, {}, 0)


# Handles


def test_a_change_does_not_change_the_handle() -> None:
    shelf = Shelf()
    content = numbered(100)
    before = filled(shelf, content)
    after = before.put("key-000050", "other").delete("key-000051").put("new", 1)
    assert dict(before.items()) == content
    assert dict(after.items()) == {
        **{key: value for key, value in content.items() if key != "key-000051"},
        "key-000050": "other",
        "new": 1,
    }


def test_a_value_is_kept_as_it_was_put() -> None:
    value = {"list": [1, 2]}
    mapping = empty().put("key", value)
    value["list"].append(3)
    assert mapping.get("key") == {"list": [1, 2]}
    mapping.get("key")["list"].append(4)
    assert mapping.get("key") == {"list": [1, 2]}


def test_deleting_what_is_not_there_raises_and_changes_nothing() -> None:
    mapping = filled(Shelf(), {"a": 1})
    with pytest.raises(KeyError):
        mapping.delete("b")
    assert dict(mapping.items()) == {"a": 1}


@pytest.mark.parametrize(
    "key", ["k" * (KEY_BYTES_MAX + 1), "ä" * 257, "\ud800", 5, b"bytes", None], ids=ascii
)
def test_what_cannot_be_a_key_is_misused(key: Any) -> None:
    mapping = filled(Shelf(), {"a": 1})
    for use in (mapping.get, mapping.delete, mapping.__contains__, lambda key: mapping.put(key, 1)):
        with pytest.raises(Misused):
            use(key)
    assert dict(mapping.items()) == {"a": 1}


def test_the_longest_key_can_be_kept() -> None:
    content = {"k" * KEY_BYTES_MAX: b"v" * 1000, "k" * (KEY_BYTES_MAX - 1): 1, "": 2}
    assert dict(filled(Shelf(), content).items()) == content


def test_what_is_missing_can_be_fetched_and_the_same_done_again() -> None:
    full, copy = Shelf(), Shelf()
    content = numbered(3000)
    root = filled(full, content).root
    new = NewBlocks(copy)
    fetched = 0
    while True:
        try:
            mapping = Mapping.load(root, new).put("key-001234", "other").delete("key-002345")
            after = mapping.commit(new)
            break
        except MissingBlock as missing:
            copy.blocks[missing.digest] = full.blocks[missing.digest]
            fetched += 1
    assert fetched <= 8
    content["key-001234"] = "other"
    del content["key-002345"]
    assert after.root == filled(Shelf(), content).root


# What a change costs


def test_a_change_writes_one_path() -> None:
    shelf = Shelf()
    mapping = filled(shelf, numbered(20_000))
    after, made = saved(mapping.put("key-012345", b"x" * 200), shelf)
    assert len(made) == 5
    assert sum(map(len, made.values())) < 6 * 1024
    assert set(made) == set(under(shelf, after.root)) - set(under(shelf, mapping.root))


def test_one_percent_changed_ships_little_more_than_one_percent() -> None:
    shelf = Shelf()
    content = numbered(2000, size=3000)
    mapping = filled(shelf, content)
    whole = sum(len(shelf.blocks[named]) for named in under(shelf, mapping.root))
    copy = Shelf()
    for named in missing_closure(mapping.root, copy.have, shelf):
        copy.take(named, shelf.blocks[named])

    for key in random.Random(5).sample(sorted(content), 20):
        mapping = mapping.put(key, random.Random(key).randbytes(3000))
    mapping, made = saved(mapping, shelf)
    missing = missing_closure(mapping.root, copy.have, shelf)
    assert set(missing) == set(made)
    assert sum(map(len, made.values())) < 0.03 * whole


def test_many_changes_before_a_commit_leave_no_garbage() -> None:
    shelf = Shelf()
    mapping = filled(shelf, numbered(1000))
    before = set(under(shelf, mapping.root))
    for number in range(1000):
        mapping = mapping.put(f"key-{number % 50:06}", [number, bytes(2000)])
    mapping, made = saved(mapping, shelf)
    assert set(made) == set(under(shelf, mapping.root)) - before


def test_a_change_taken_back_makes_no_block() -> None:
    shelf = Shelf()
    mapping = filled(shelf, numbered(1000) | {"large": "x" * 100_000})
    back = mapping.put("key-000500", 1).put("new", 2).delete("new")
    back = back.put("key-000500", mapping.get("key-000500"))
    back = back.put("large", "y" * 100_000).put("large", "x" * 100_000)
    committed, made = saved(back, shelf)
    assert (committed.root, made) == (mapping.root, {})


def test_setting_what_is_set_is_no_change() -> None:
    shelf = Shelf()
    mapping = filled(shelf, {"a": 1, "large": "x" * 5000})
    assert mapping.put("a", 1) is mapping
    assert mapping.put("large", "x" * 5000) is mapping


def test_a_large_value_changed_in_place_shares_its_chunks() -> None:
    shelf = Shelf()
    value = bytearray(random.Random(6).randbytes(2 * 1024 * 1024))
    mapping = filled(shelf, {"model": bytes(value)})
    value[1_000_000:1_010_000] = bytes(10_000)
    mapping, made = saved(mapping.put("model", bytes(value)), shelf)
    assert len(made) == 3, "a chunk, the index and the leaf"
    assert mapping.get("model") == bytes(value)


# What the keys' author can do


def deepest(rng: random.Random) -> dict[str, bytes]:
    """Keys that are prefixes of each other: a branch for each byte."""
    return {"k" * length: rng.randbytes(1000) for length in range(KEY_BYTES_MAX + 1)}


def widest(rng: random.Random) -> dict[str, bytes]:
    """Keys that differ in every value a first byte can have, each too heavy for a common leaf."""
    firsts = [chr(point) for point in range(0x80)]
    firsts += [chr(point) for point in range(0x80, 0x110000, 37) if not 0xD800 <= point < 0xE000]
    distinct = {first.encode()[0]: first for first in firsts}
    return {
        first + str(number): rng.randbytes(1000)
        for first in distinct.values()
        for number in range(3)
    }


@pytest.mark.parametrize("choose", [deepest, widest])
def test_hostile_keys_cannot_make_a_block_large_or_a_change_dear(choose: Any) -> None:
    shelf = Shelf()
    content = choose(random.Random(7))
    mapping = filled(shelf, content)
    assert dict(mapping.items()) == content
    assert max(len(block) for block in shelf.blocks.values()) <= BLOCK_BYTES
    for key in random.Random(8).sample(sorted(content), 20):
        for changed in (mapping.put(key, 1), mapping.delete(key)):
            _, made = saved(changed, shelf)
            assert sum(map(len, made.values())) <= 70 * 1024
            assert len(made) <= KEY_BYTES_MAX + 2


def test_hostile_keys_cannot_exhaust_the_stack() -> None:
    """The deepest cut one change can cause: a full leaf of prefixes, and one heavy entry more."""
    mapping, size = empty(), 0
    length = 0
    while size + 8 + length + 1 <= LEAF_SIZE_MAX:
        mapping = mapping.put("k" * length, 0)
        size += 8 + length + 1
        length += 1
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(_frames() + 250)
    try:
        mapping = mapping.put("k" * KEY_BYTES_MAX, b"x" * 1000)
    finally:
        sys.setrecursionlimit(limit)
    assert list(mapping.keys()) == ["k" * n for n in (*range(length), KEY_BYTES_MAX)]


def _frames() -> int:
    return len(inspect.stack(context=0))


def test_a_scan_of_a_range_reads_its_leaves_and_no_others() -> None:
    shelf = Shelf()
    content = {f"{number:05}": "x" * 100 for number in range(20_000)}
    mapping = Mapping.load(filled(shelf, content).root, shelf)
    shelf.reads.clear()
    assert ["10000", "10001"] == list(mapping.keys(start="10000", stop="10002"))
    assert len(shelf.reads) <= 6
    shelf.reads.clear()
    assert [] == list(mapping.keys("100", start="2"))
    assert len(shelf.reads) <= 2


@pytest.mark.parametrize("bound", ["prefix", "start", "stop"])
def test_a_bound_that_cannot_be_is_misused_before_anything_is_read(bound: str) -> None:
    mapping = filled(Shelf(), {"a": 1})
    with pytest.raises(Misused, match="not a key: 3"):
        mapping.keys(**{bound: 3})  # type: ignore[arg-type]
