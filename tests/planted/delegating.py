"""Bugs in delegation: who acts for an issuer with more than he was given, for longer, or at all (§8.14)."""

from collections.abc import Callable
from typing import Final

from sojourn.core.agent import delegation, governance, succession
from sojourn.core.agent.delegation import Mandate
from sojourn.core.protocol import carried, custody
from sojourn.core.protocol.successors import KnownSuccessors
from tests.planted.plant import Plant, Planting, in_place_of, instead, nothing
from tests.planted.vehicles import Test

__all__ = ["PLANTS"]

_CHAINS: Final = "core/agent/test_delegation.py::"
_RULINGS: Final = "core/protocol/test_delegated.py::"


def plant(name: str, fault: str, node: str, planted: Planting) -> Plant:
    """Return a plant that one test notices."""
    return Plant(name, 0, fault, Test(f"tests/unit/{node}"), "fails", planted)


def _by_amend_alone(_right: Callable[..., int]) -> Callable[..., int]:
    return lambda officers: int(officers.amend)


PLANTS: Final = (
    plant(
        "passes-on-more",
        "a delegate passes on what it has not",
        f"{_CHAINS}test_section_8_14_who_is_delegated_to_can_nothing_that_the_delegate_could_not",
        in_place_of(delegation, "_widened", lambda *_: ""),
    ),
    plant(
        "passes-on-for-ever",
        "a delegate passes on as deep as it likes",
        f"{_CHAINS}test_section_8_14_who_is_delegated_to_can_nothing_that_the_delegate_could_not",
        in_place_of(delegation, "_check_depth", nothing),
    ),
    plant(
        "delegates-in-a-circle",
        "delegates name each other, or the issuer",
        f"{_CHAINS}test_section_8_14_nobody_delegates_to_who_is_in_the_chain_already",
        in_place_of(Mandate, "_check_acyclic", nothing),
    ),
    plant(
        "one-of-them-passes-on",
        "fewer pass on what they have than it takes to use it",
        f"{_CHAINS}test_section_8_14_who_passes_on_needs_the_most_that_anything_takes",
        instead(delegation, "passing_on", _by_amend_alone),
    ),
    plant(
        "anybody-delegates",
        "who is delegated to is believed, whoever sealed that",
        f"{_CHAINS}test_section_8_14_a_link_is_signed_by_who_it_comes_from",
        in_place_of(Mandate, "_check_seals", nothing),
    ),
    plant(
        "delegate-for-life",
        "what a delegate signs is taken after its time",
        f"{_RULINGS}test_section_8_14_it_is_judged_by_the_time_of_the_amendment",
        in_place_of(Mandate, "check_holds", nothing),
    ),
    plant(
        "unlocks-what-cools",
        "a delegate ends the cool-down of the text that it changes",
        f"{_CHAINS}test_section_8_14_a_delegate_changes_the_text_and_nothing_that_holds_it_back"
        "[cool_down_ms]",
        in_place_of(governance, "KEPT", ("officers", "root")),
    ),
    plant(
        "taken-before-its-time",
        "a zone says that a delegate's word was taken before it had the agent",
        f"{_RULINGS}test_section_8_14_no_zone_takes_it_late_nor_before_it_had_the_agent",
        in_place_of(custody, "_check_taken_since", nothing),
    ),
    plant(
        "revoked-delegate",
        "what a delegate signs is taken though it was revoked",
        f"{_RULINGS}test_section_8_14_who_was_revoked_and_whom_it_passed_on_to_act_no_more[0]",
        in_place_of(carried, "check_delegates", nothing),
    ),
    plant(
        "delegate-first",
        "a delegate's document goes before the issuer's own",
        f"{_RULINGS}test_section_8_14_the_issuer_s_own_goes_before_a_delegate_s",
        in_place_of(KnownSuccessors, "_is_own", lambda *_: False),
    ),
    plant(
        "sleeps-past-a-delegate",
        "an agent that slept while a delegate's document ruled is never amended again",
        f"{_RULINGS}test_section_8_14_a_sleeper_takes_what_the_issuer_went_on_from",
        in_place_of(succession, "_vouched_by_issuer", lambda _: set()),
    ),
)
