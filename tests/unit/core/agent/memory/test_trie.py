"""Hostile mappings: whatever reads without error is the only tree of its content."""

import random
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.agent.memory.trie import KEY_BYTES_MAX, LEAF_SIZE_MAX
from sojourn.core.base.digests import ZERO, Link, link_digest, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Rejected
from tests.unit.core.agent.memory.forgeries import mutated
from tests.unit.core.agent.memory.shelf import LINK, Shelf, forged, under

ONE = encode_block(1)
BIG = encode_block(b"x" * 1000)


def saved(content: dict[str, Any], shelf: Shelf) -> bytes:
    new = NewBlocks(shelf)
    mapping = Mapping.load(ZERO, new)
    for key, value in content.items():
        mapping = mapping.put(key, value)
    root = mapping.commit(new).root
    shelf.save(new)
    return root


def read(root: bytes, shelf: Shelf) -> dict[str, Any]:
    """Read everything, by walking and key by key."""
    mapping = Mapping.load(root, shelf)
    content = dict(mapping.items())
    assert {key: mapping.get(key) for key in content} == content
    assert len(mapping) == len(content)
    return content


def rejected(root: bytes, shelf: Shelf) -> Rejected:
    with pytest.raises(Rejected) as caught:
        read(root, shelf)
    return caught.value


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


LEAF = ["mapping-leaf/1", ["a", "b"], [ONE, ONE]]


@pytest.mark.parametrize(
    ("plain", "reason"),
    [
        ("mapping-leaf/1", "wrong-kind"),
        ({"mapping-leaf/1": []}, "wrong-kind"),
        ([], "wrong-kind"),
        ([1, ["a"], [ONE]], "wrong-kind"),
        (["log/1", 1, [], [ONE]], "wrong-kind"),
        (["mapping-leaf/2", ["a"], [ONE]], "unknown-version"),
        (["mapping-branch/0", b"", b"", [], [], []], "unknown-version"),
        (["mapping-leaf/1", ["a"]], "bad-field"),
        (["mapping-leaf/1", ["a"], [ONE], []], "bad-field"),
        (["mapping-leaf/1", "a", [ONE]], "bad-field"),
        (["mapping-leaf/1", [], []], "wrong-count"),
        (["mapping-leaf/1", ["a"], [ONE, ONE]], "wrong-count"),
        (["mapping-leaf/1", [b"a"], [ONE]], "bad-field"),
        (["mapping-leaf/1", ["b", "a"], [ONE, ONE]], "wrong-order"),
        (["mapping-leaf/1", ["a", "a"], [ONE, ONE]], "wrong-order"),
        (["mapping-leaf/1", ["\U0001f600", "\uffff"], [ONE, ONE]], "wrong-order"),
        (["mapping-leaf/1", ["a"], [1]], "bad-field"),
        (["mapping-leaf/1", ["a"], [bytes(1025)]], "too-large"),
        (["mapping-leaf/1", ["a"], [b"\xff"]], "malformed"),
        (["mapping-leaf/1", ["a"], [encode_block([LINK])]], "hidden-link"),
        (["mapping-leaf/1", [*"abcd"], [BIG] * 4], None),
        (["mapping-leaf/1", [*"abcde"], [BIG] * 5], "too-large"),
        (["mapping-leaf/1", ["k" * KEY_BYTES_MAX], [ONE]], None),
        (["mapping-leaf/1", ["k" * (KEY_BYTES_MAX + 1)], [ONE]], "too-large"),
    ],
)
def test_a_hostile_leaf_is_rejected_by_name(shelf: Shelf, plain: Any, reason: str | None) -> None:
    root = shelf.forge(plain)
    if reason is None:
        assert list(read(root, shelf)) == plain[1]
        return
    error = rejected(root, shelf)
    assert error.reason == reason
    assert error.where.startswith("block b") or error.where == "value"


def branch(shelf: Shelf, **changed: Any) -> bytes:
    """Return the root of a good branch over two leaves, or of a bad one."""
    low = shelf.forge(["mapping-leaf/1", ["0", "1", "2"], [BIG] * 3])
    high = shelf.forge(["mapping-leaf/1", ["a", "b"], [BIG] * 2])
    size = 8 + 1 + len(BIG)
    fields = {
        "prefix": b"",
        "starts": bytes([0, 64]),
        "counts": [3, 2],
        "sizes": [3 * size, 2 * size],
        "links": [link_to(low), link_to(high)],
    }
    return shelf.forge(["mapping-branch/1", *(fields | changed).values()])


def test_the_good_branch_is_good(shelf: Shelf) -> None:
    root = branch(shelf)
    content = read(root, shelf)
    assert list(content) == ["0", "1", "2", "a", "b"]
    assert saved(content, shelf) == root


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"prefix": "text"}, "bad-field"),
        ({"starts": [0, 64]}, "bad-field"),
        ({"prefix": b"k" * (KEY_BYTES_MAX + 1)}, "too-deep"),
        ({"prefix": b"k"}, "wrong-order"),
        ({"starts": bytes([0])}, "wrong-count"),
        ({"starts": bytes([0, 64, 128])}, "wrong-count"),
        ({"starts": b"", "counts": [], "sizes": [], "links": []}, "wrong-count"),
        ({"counts": [3]}, "wrong-count"),
        ({"counts": [3, 3]}, "wrong-count"),
        ({"counts": [3, 0]}, "bad-field"),
        ({"counts": [3, True]}, "bad-field"),
        ({"counts": [3, 2.0]}, "bad-field"),
        ({"counts": [3, -2]}, "bad-field"),
        ({"sizes": [3027, 2**63]}, "wrong-count"),
        ({"sizes": [3027, 2019]}, "wrong-count"),
        ({"sizes": [1000, 1000]}, "non-canonical"),
        ({"starts": bytes([64, 0])}, "wrong-order"),
        ({"starts": bytes([0, 0])}, "wrong-order"),
        ({"starts": bytes([0, 65])}, "non-canonical"),
        ({"starts": bytes([1, 64])}, "non-canonical"),
        ({"starts": bytes([0, 128])}, "wrong-order"),
        ({"sizes": [LEAF_SIZE_MAX + 1, 2018]}, "non-canonical"),
        ({"links": [ZERO, ZERO]}, "bad-field"),
        ({"links": [link_to(ZERO, raw=True)] * 2}, "bad-link"),
    ],
)
def test_a_hostile_branch_is_rejected_by_name(
    shelf: Shelf, changed: dict[str, Any], reason: str
) -> None:
    error = rejected(branch(shelf, **changed), shelf)
    assert error.reason == reason


def test_one_block_in_two_places_is_rejected_in_the_wrong_one(shelf: Shelf) -> None:
    """A block that was good where it was first met is checked again where it is met next."""
    low = shelf.forge(["mapping-leaf/1", ["0", "1", "2"], [BIG] * 3])
    size = 3 * (9 + len(BIG))
    root = shelf.forge(
        ["mapping-branch/1", b"", bytes([0, 64]), [3, 3], [size, size], [link_to(low)] * 2]
    )
    mapping = Mapping.load(root, shelf)
    assert mapping.get("1") == b"x" * 1000
    with pytest.raises(Rejected) as caught:
        mapping.get("a")
    assert caught.value.reason == "wrong-order"


def test_a_leaf_under_another_prefix_is_rejected(shelf: Shelf) -> None:
    leaves = [["k0", "k1", "k2"], ["ja", "jb"]]
    size = 8 + 2 + len(BIG)
    links = [link_to(shelf.forge(["mapping-leaf/1", keys, [BIG] * len(keys)])) for keys in leaves]
    root = ["mapping-branch/1", b"k", bytes([0, 64]), [3, 2], [3 * size, 2 * size], links]
    assert rejected(shelf.forge(root), shelf).reason == "wrong-order"


def test_a_tree_deeper_than_its_keys_may_be_is_rejected(shelf: Shelf) -> None:
    below = branch(shelf, prefix=b"k" * (KEY_BYTES_MAX - 100))
    leaf = shelf.forge(["mapping-leaf/1", ["k" * 100 + "a"], [ONE]])
    size = 8 + 1 + len(BIG)
    deep = ["mapping-branch/1", b"k" * 100, bytes([5, 64]), [5, 1], [5 * size, 8 + 101 + 1]]
    error = rejected(shelf.forge([*deep, [link_to(below), link_to(leaf)]]), shelf)
    assert error.reason == "too-deep"


# Any forgery


@given(st.integers(0, 2**32))
@settings(max_examples=300)
def test_a_forgery_is_rejected_or_is_the_tree_of_its_content(seed: int) -> None:
    rng = random.Random(seed)
    shelf = Shelf()
    alphabet = rng.choice(["ab", "0123456789", "abcdefghijklmnopqrstuvwxyz"])
    content = {
        "".join(rng.choices(alphabet, k=rng.randint(0, 6))): rng.randbytes(
            rng.choice((5, 300, 900))
        )
        for _ in range(rng.choice((5, 40, 120)))
    }
    root = saved(content, shelf)
    named = [block for block in under(shelf, root) if isinstance(shelf.plain(block), list)]
    evil = forged(shelf, root, rng.choice(named), partial(mutated, rng))
    try:
        found = read(evil, shelf)
    except Rejected as error:
        assert error.reason  # noqa: PT017
        return
    assert saved(found, shelf) == evil


@given(st.data())
def test_changing_a_forgery_raises_nothing_but_rejected(data: st.DataObject) -> None:
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    shelf = Shelf()
    content = {f"key-{rng.randrange(1000)}": rng.randbytes(300) for _ in range(80)}
    root = saved(content, shelf)
    named = under(shelf, root)
    evil = forged(shelf, root, rng.choice(named), partial(mutated, rng))
    new = NewBlocks(shelf)
    try:
        mapping = Mapping.load(evil, new)
        for key in rng.sample(sorted(content), 10):
            mapping = mapping.put(key, rng.randbytes(rng.choice((0, 900))))
            mapping = mapping.put(key + "0", 1)
            mapping = mapping.delete(key)
        mapping.commit(new)
    except (Rejected, KeyError):
        return


def test_every_link_of_a_mapping_is_seen_by_the_store(shelf: Shelf) -> None:
    content = {f"key-{n}": {"n": n, "see": LINK} for n in range(200)} | {"large": "x" * 100_000}
    root = saved(content, shelf)
    named = {link_digest(LINK), *under(shelf, root)}
    linked = {link_digest(link) for block in named for link in _links_anywhere(shelf.plain(block))}
    assert linked <= named


def _links_anywhere(value: Any) -> list[Link]:
    if isinstance(value, Link):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return (
        [link for inner in value for link in _links_anywhere(inner)]
        if isinstance(value, list)
        else []
    )
