"""Bugs in how agents are given other code, or forked (protocol §8.16, §8.17): each is noticed by one test."""

from typing import Any, Final

from msgspec import UNSET

from sojourn.core.agent import upgrading
from sojourn.core.protocol import validate
from sojourn.host import run
from sojourn.runtime.agent_side import performing
from tests.planted.plant import Plant, Planting, in_place_of, nothing
from tests.planted.vehicles import Test

__all__ = ["PLANTS"]


def plant(name: str, fault: str, node: str, planted: Planting) -> Plant:
    """Return a plant that one test notices."""
    return Plant(name, 0, fault, Test(f"tests/unit/{node}"), "fails", planted)


async def _at_any_time(custodian: Any) -> bool:
    """Say that other code is to follow now, wherever the agent is."""
    return custodian.record.capabilities.upgrade is not UNSET


PLANTS: Final = (
    plant(
        "upgrade-midway",
        "other code is tried wherever the agent is, and not at a restart point alone",
        "testing/test_upgrades.py::test_section_8_16_a_host_that_dies_on_the_way_changes_nothing",
        in_place_of(run, "is_to_upgrade", _at_any_time),
    ),
    plant(
        "upgrade-unsealed",
        "other code is ordered that its publisher has not sealed",
        "core/agent/test_upgrading.py"
        "::test_section_8_16_an_order_that_says_something_else_is_rejected",
        in_place_of(upgrading, "check_vouched", nothing),
    ),
    plant(
        "fork-under-its-origins-keys",
        "a fork performs again what its origin had begun, under that one's key",
        "testing/test_forks.py"
        "::test_section_8_17_what_the_origin_had_begun_is_uncertain_and_nobodys_twice",
        in_place_of(performing, "is_key_of", lambda *_: True),
    ),
    plant(
        "fork-of-anything",
        "what a fork says of its origin is believed",
        "testing/test_forks.py::test_section_8_17_a_genesis_that_says_it_is_a_fork_is_one",
        in_place_of(validate, "check_fork", nothing),
    ),
)
