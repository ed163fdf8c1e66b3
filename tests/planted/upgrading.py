"""Bugs in how agents are given other code, or forked (protocol §8.16, §8.17): each is noticed by one test."""

from typing import Any, Final

from msgspec import UNSET

from sojourn.core.agent import upgrading
from sojourn.core.protocol import forking, keeping, kinship, validate
from sojourn.host import inbox, run
from sojourn.runtime.agent_side import operations, performing, reporting, spawning
from tests.planted.plant import Plant, Planting, in_place_of, nothing
from tests.planted.vehicles import Test

__all__ = ["PLANTS"]


def plant(name: str, fault: str, node: str, planted: Planting) -> Plant:
    """Return a plant that one test notices."""
    return Plant(name, 0, fault, Test(f"tests/unit/{node}"), "fails", planted)


async def _at_any_time(custodian: Any) -> bool:
    """Say that other code is to follow now, wherever the agent is."""
    return custodian.record.capabilities.upgrade is not UNSET


class _Anybody:
    """An agent that is every one."""

    def __eq__(self, _: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


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
    plant(
        "fork-bears-its-origins-child",
        "a fork has a child born that its origin was having",
        "testing/test_forked_children.py"
        "::test_section_8_17_a_host_that_dies_in_a_fork_has_no_child_of_the_origins_born",
        in_place_of(spawning.SpawnChild, "_is_origins", lambda *_: False),
    ),
    plant(
        "fork-waits-for-its-origins-answer",
        "a fork waits for the answer to what its origin had asked",
        "testing/test_forked_children.py"
        "::test_section_8_17_an_answer_that_the_origin_waits_for_is_the_origins",
        in_place_of(operations, "is_key_of", lambda *_: True),
    ),
    plant(
        "fork-answers-for-its-origin",
        "an answer is taken from whoever names the letter",
        "testing/test_forked_children.py"
        "::test_section_8_17_a_fork_answers_nothing_that_its_origin_was_asked",
        in_place_of(inbox, "_said_by", lambda _: _Anybody()),
    ),
    plant(
        "fork-of-a-made-up-child",
        "what some zone certifies of a fork's origin is believed where the fork is born",
        "core/protocol/test_forked_child.py"
        "::test_section_8_17_no_zone_makes_up_a_child_of_somebodys_to_fork",
        in_place_of(validate, "check_fork_family", nothing),
    ),
    plant(
        "fork-of-whom-it-says",
        "elsewhere, any version of any agent proves the ancestors that a fork says it has",
        "core/protocol/test_forked_child.py"
        "::test_section_8_17_elsewhere_its_origin_has_to_be_shown_as_it_was",
        in_place_of(kinship, "_check_forked", lambda _, newest, **__: newest),
    ),
    plant(
        "fork-before-an-order",
        "a fork is born though an order about an ancestor is known that its genesis does not show",
        "core/protocol/test_forked_child.py"
        "::test_section_8_17_that_a_child_had_ended_before_an_order_about_its_parent_frees_no_fork",
        in_place_of(forking, "next_order", lambda *_: None),
    ),
    plant(
        "fork-of-an-older-newest",
        "an older version is believed to be the newest, where a later one is known",
        "core/protocol/test_forked_child.py"
        "::test_section_8_17_what_suspends_an_ancestor_suspends_the_fork_from_its_birth",
        in_place_of(forking, "_check_newest", nothing),
    ),
    plant(
        "fork-reports",
        "a fork of a child tells its origin's parent what it returned",
        "testing/test_forks_of_children.py::test_section_10_41_a_fork_of_a_child_reports_to_nobody",
        in_place_of(reporting._SendReport, "_is_forks", False),
    ),
    plant(
        "fork-of-before-an-erasure",
        "a fork has what was erased of its origin since",
        "core/protocol/test_forking.py"
        "::test_section_8_17_a_fork_at_a_version_before_an_erasure_has_it_erased",
        in_place_of(forking, "destroyed_in", lambda *_: set()),
    ),
    plant(
        "key-of-anybody",
        "an anchor votes for a birth that names a key which was dealt for another agent",
        "core/protocol/test_forking.py"
        "::test_section_10_21_who_is_launched_with_another_agents_key_is_not_born",
        in_place_of(keeping, "_check_is_its", nothing),
    ),
    plant(
        "erased-by-a-stranger",
        "an agent has another one's key destroyed by naming it",
        "core/protocol/test_forking.py::test_section_10_22_nobody_has_another_agents_key_destroyed",
        in_place_of(keeping, "_check_are_its", nothing),
    ),
    plant(
        "key-by-what-a-record-says",
        "an anchor gives its share to the host of whatever agent says that it has the key",
        "core/protocol/test_forking.py"
        "::test_section_10_21_an_agent_that_came_with_a_claim_to_a_key_is_given_no_share",
        in_place_of(keeping, "_check_given_to", nothing),
    ),
)
