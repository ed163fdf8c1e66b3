"""Capabilities: a match against an offer is a question of fact, answered in sentences."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.agent.capabilities import Offer, Requirements, mismatches

PLENTY = Offer(
    cpu_millis=4000,
    memory_mib=8192,
    gpus=1,
    slots=1,
    packages={"arch": "7.1.0", "numpy": "2.0", "odd": "nightly"},
    models=("small", "large"),
    accelerators=("nvidia-a100",),
    confines=True,
)
NEEDY = Requirements(
    cpu_millis=4000,
    memory_mib=8192,
    gpus=1,
    packages=("arch>=7", "numpy"),
    models=("small",),
    accelerators=("nvidia-a100",),
    confined=True,
)


def test_what_offers_all_that_is_required_fits() -> None:
    assert [] == mismatches(NEEDY, PLENTY)
    assert [] == mismatches(Requirements(), Offer(slots=1))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"cpu_millis": 3999}, "needs 4000 mCPU, 3999 offered"),
        ({"memory_mib": 0}, "needs 8192 MiB, 0 offered"),
        ({"gpus": 0}, "needs 1 GPUs, 0 offered"),
        ({"slots": 0}, "no free slot"),
        ({"confines": False}, "needs confinement, none offered"),
        ({"models": ("large",)}, "lacks model small"),
        ({"accelerators": ()}, "lacks accelerator nvidia-a100"),
        ({"packages": {"arch": "7.1.0"}}, "lacks package numpy"),
        ({"packages": {"arch": "6.9", "numpy": "2"}}, "has arch 6.9, arch>=7 needed"),
    ],
)
def test_each_lack_is_named(changes: dict[str, Any], expected: str) -> None:
    assert [expected] == mismatches(NEEDY, replace(PLENTY, **changes))


def test_all_lacks_are_named_in_an_order_of_their_own() -> None:
    needs = Requirements(cpu_millis=1, models=("b", "a"), packages=("y", "x"))
    expected = ["needs 1 mCPU, 0 offered", "no free slot", "lacks model a", "lacks model b"]
    assert [*expected, "lacks package y", "lacks package x"] == mismatches(needs, Offer())


@pytest.mark.parametrize(
    ("needed", "installed", "fits"),
    [
        ("arch>=7", "7", True),
        ("arch>=7", "7.0", True),
        ("arch>=7.0", "7", True),
        ("arch>=7.0.1", "7.0", False),
        ("arch >= 7.2", "7.10", True),
        ("arch>=7", "10.0", True),
        ("arch>=7", "6.99.99", False),
        ("arch>=7", "7.1rc2", True),
        ("arch>=2024.10", "2024.9", False),
        ("arch", "nightly", True),
        ("arch>=1", "nightly", False),
        ("arch>=", "1", True),
        ("arch>=7", "7.²", True),
        ("arch>=²", "1", True),
        ("arch>=7", "٧", False),
        ("arch>=1", "", False),
        ("arch>=1", "9" * 120, True),
    ],
)
def test_releases_are_compared_by_their_leading_numbers(
    needed: str, installed: str, fits: bool
) -> None:
    offer = Offer(slots=1, packages={"arch": installed})
    assert fits == (mismatches(Requirements(packages=(needed,)), offer) == [])


NAMES = st.text(min_size=1, max_size=128)


@given(st.lists(NAMES, max_size=4), st.dictionaries(NAMES, NAMES, max_size=4))
def test_whatever_strangers_write_for_versions_has_an_answer(
    needed: list[str], installed: dict[str, str]
) -> None:
    offer = Offer(slots=1, packages=installed)
    found = mismatches(Requirements(packages=tuple(needed)), offer)
    assert len(found) <= len(needed)


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_a_better_offer_lacks_no_more(need: int, offered: int, more: int) -> None:
    needs = Requirements(cpu_millis=need, gpus=need)
    less, better = (Offer(slots=1, cpu_millis=x, gpus=x) for x in (offered, offered + more))
    assert len(mismatches(needs, better)) <= len(mismatches(needs, less))
