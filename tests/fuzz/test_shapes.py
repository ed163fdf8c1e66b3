"""Structure-aware: values of every type, parts of one in the place of another's, and bytes that say it wrongly."""

import warnings
from functools import cache
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from sojourn.core.base.encoding import decode_block, encode, encode_block
from tests.fuzz.canaries import CANARIES
from tests.fuzz.shapes import FAULTS, miswritten, parts, spliced, strategy_of, wild
from tests.fuzz.target import Finding, Target, examine
from tests.fuzz.targets import TARGETS, by_name

LIMIT: Final = 1 << 24
WILD: Final = wild()
QUICK: Final = settings(max_examples=15, suppress_health_check=list(HealthCheck))
SLOW: Final = settings(max_examples=2_000, suppress_health_check=list(HealthCheck))
CANARY: Final = settings(SLOW, max_examples=4_000, database=None, phases=[Phase.generate])

NOT_BLOCKS: Final = {
    *("CAR", "capsule", "frames", "child's frame", "host's frame", "write-ahead log", "link"),
    *("certificate", "vector", "kind of block"),
}
BLOCKS: Final = [t for t in TARGETS if not t.is_text and t.name not in NOT_BLOCKS]
"""The targets that read one item of DAG-CBOR."""
TYPED: Final = [t for t in BLOCKS if t.write is encode and t.form is not None]
CHECKED: Final = {"manifest", "envelope"}
"""What is verified as well as read: a value of the type alone proves nothing."""


@cache
def plain_seeds(name: str) -> list[Any]:
    """Return the valid seeds of a target as builtins."""
    valid = [data for data in by_name[name].seeds if examine(by_name[name], data)]
    return [decode_block(data, what="seed", limit=LIMIT) for data in valid]


@cache
def places(name: str, number: int) -> list[tuple[Any, ...]]:
    return list(parts(plain_seeds(name)[number]))


def at(plain: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        plain = plain[name]
    return plain


@st.composite
def exchanged(draw: st.DrawFn, name: str) -> bytes:
    """Return a seed with up to three parts replaced: by parts of any seed, or by what stands at an edge."""
    number = draw(st.integers(0, len(plain_seeds(name)) - 1))
    plain = plain_seeds(name)[number]
    known = places(name, number)
    for _ in range(draw(st.integers(1, 3))):
        path = known[draw(st.integers(0, len(known) - 1))]
        plain = spliced(plain, path, draw(replacements(name, at(plain, path))))
        known = list(parts(plain))
    return encode_block(plain)


def replacements(name: str, part: Any) -> st.SearchStrategy[Any]:
    """Return what may stand in the place of a part."""
    return st.one_of(donors(name), WILD, reordered(part))


@cache
def donors(name: str) -> st.SearchStrategy[Any]:
    """Return a strategy for the parts of a target's seeds."""
    found = [at(plain, path) for plain in plain_seeds(name) for path in parts(plain)]
    return st.sampled_from(list({repr(part): part for part in found}.values()))


def reordered(plain: Any) -> st.SearchStrategy[Any]:
    """Return a list in another order, or with an item twice or missing; anything else as it is."""
    if not isinstance(plain, list) or not plain:
        return st.just(plain)
    return st.one_of(st.permutations(plain), st.just([*plain, plain[0]]), st.just(plain[1:]))


def ids(target: Target) -> str:
    return target.name


def tried(name: str, profile: settings) -> int:
    """Examine exchanged parts; return how many inputs there were."""
    count = 0

    @profile
    @given(exchanged(name))
    def search(data: bytes) -> None:
        nonlocal count
        count += 1
        examine(by_name[name], data)

    search()
    return count


@pytest.mark.parametrize("target", BLOCKS, ids=ids)
def test_parts_of_others_are_rejected_or_another_value(target: Target) -> None:
    tried(target.name, QUICK)


@pytest.mark.soak
@pytest.mark.parametrize("target", BLOCKS, ids=ids)
def test_parts_of_others_are_rejected_or_another_value_at_length(target: Target) -> None:
    tried(target.name, SLOW)


@pytest.mark.parametrize("target", TYPED, ids=ids)
def test_every_value_of_a_type_comes_back_as_itself(target: Target) -> None:
    @settings(QUICK, max_examples=6)
    @given(strategy_of(target.form))
    def search(value: Any) -> None:
        try:
            data = encode(value)
        except OverflowError:  # an integer below -2^63, where anything may stand: no value of ours
            reject()
        accepted = examine(target, data)
        assert accepted or target.name in CHECKED
        assert not accepted or value == target.read(data)

    search()


@pytest.mark.parametrize("target", [t for t in BLOCKS if t.name != "fault"], ids=ids)
def test_what_is_written_wrongly_in_one_place_is_rejected(target: Target) -> None:
    misread(target, QUICK)


def misread(target: Target, profile: settings) -> int:
    """Write seeds with one fault each; return how many there were. Raises if one is accepted."""
    count = 0

    @profile
    @given(
        st.sampled_from(plain_seeds(target.name)),
        st.sampled_from(sorted(FAULTS)),
        st.integers(0, 99),
    )
    def search(plain: Any, fault: str, place: int) -> None:
        nonlocal count
        data = miswritten(plain, fault, place)
        if data is None:
            return
        count += 1
        if examine(target, data):
            raise Finding(f"{target.name} accepts {fault}")
        if examine(target, encode_block(plain) + b"\0"):
            raise Finding(f"{target.name} accepts a byte behind the end")

    search()
    return count


def test_a_fault_is_a_fault_and_without_one_the_bytes_are_canonical() -> None:
    plain = {"a": [1, b"xy", None], "bb": -500}
    assert encode_block(plain) == canonical(plain)
    wrong = {name: miswritten(plain, name, 0) for name in FAULTS}
    assert len({encode_block(plain), *wrong.values()}) == 1 + len(FAULTS)


def canonical(plain: Any) -> bytes:
    """Return what the writer of faults writes where it strikes nothing."""
    from tests.fuzz.shapes import _Writer

    return _Writer(lambda _major, _argument: None, 0).write(plain)


# --- planted bugs -------------------------------------------------------------------------------------


def executions_until_found(search: Any) -> int:
    """Return how many inputs were examined before something was found; fail if nothing was."""
    count = 0
    original = examine

    def counted(target: Target, data: bytes) -> bool:
        nonlocal count
        count += 1
        return original(target, data)

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setitem(globals(), "examine", counted)
        warnings.filterwarnings(
            "ignore", "Generating overly large repr"
        )  # what was found may be large
        with pytest.raises((Finding, BaseExceptionGroup)):
            search()
    return count


@pytest.mark.parametrize("name", ["a number in more bytes than it needs", "bytes behind the end"])
def test_a_decoder_that_is_not_strict_is_found_by_what_is_written_wrongly(name: str) -> None:
    canary = CANARIES[name]
    with canary.planted():
        count = executions_until_found(lambda: misread(by_name[canary.target], CANARY))
    print(f"{name}: found within {count} inputs")


@pytest.mark.parametrize(
    "name", ["keys of a mapping in any order", "a list where a field is a map"]
)
@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # it is not made smaller here
def test_a_bug_of_structure_is_found_by_exchanged_parts(name: str) -> None:
    canary = CANARIES[name]
    with canary.planted():
        count = executions_until_found(lambda: tried(canary.target, CANARY))
    print(f"{name}: found within {count} inputs")
