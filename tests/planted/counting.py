"""Bugs in what is counted against zones, in what that makes of trust, and in what is told at once (§4, §11)."""

from collections.abc import Callable
from typing import Any, Final
from unittest.mock import patch

from sojourn.core.agent import trust
from sojourn.core.agent.events import Events
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol import accusation, admission, validate
from sojourn.core.protocol.accusation import Accusation
from sojourn.core.protocol.gossip import KnownPlaces
from sojourn.core.quorum import fraud
from tests.planted.plant import Plant, Planting, in_place_of, instead, nothing
from tests.planted.vehicles import Schedules, Test

__all__ = ["PLANTS"]


def _whatever_it_counts(right: Callable[..., Any]) -> Callable[..., Any]:
    """Let a record pass that is not the one that follows."""

    def check(*args: Any) -> None:
        try:
            right(*args)
        except Rejected as error:
            if error.reason != "bad-change":
                raise

    return check


def _of_kind(kind: TransitionKind) -> Planting:
    return lambda: patch.dict(validate._CHECKS, {kind: _whatever_it_counts(validate._CHECKS[kind])})


def _crashes_are_frauds(right: Callable[[Events], int]) -> Callable[[Events], int]:
    return lambda events: right(events) + events.broken


def plant(name: str, fault: str, node: str, planted: Planting) -> Plant:
    """Return a plant that one test notices."""
    return Plant(name, 0, fault, Test(f"tests/unit/{node}"), "fails", planted)


PLANTS: Final = (
    Plant(
        "crash-uncounted",
        0,
        "nobody counts the lease of a host that was lost at work",
        Schedules("takeover"),
        "counted",
        in_place_of(admission, "with_broken_lease", lambda events, _zone: dict(events)),
    ),
    plant(
        "any-bind-counts",
        "what a bind counts is not compared with what happened",
        "core/protocol/test_counted.py::test_section_4_a_bind_after_which_none_was_broken_counts_none",
        _of_kind(TransitionKind.BIND),
    ),
    plant(
        "crash-is-fraud",
        "each broken lease costs a level",
        "core/agent/test_trust.py::test_section_4_what_is_counted_against_a_place_lowers_the_level",
        instead(trust, "levels_lost", _crashes_are_frauds),
    ),
    plant(
        "any-accusation",
        "an accusation is counted whatever it proves",
        "core/protocol/test_accusing.py::test_section_11_what_proves_nothing_is_not_counted",
        in_place_of(Accusation, "check", nothing),
    ),
    plant(
        "no-concern",
        "zones are accused before agents that would never enter them",
        "core/protocol/test_accusing.py::"
        "test_section_11_a_zone_that_the_agent_would_never_enter_is_not_its_concern",
        in_place_of(accusation, "is_vouched_for", lambda *_: True),
    ),
    plant(
        "any-later-lock",
        "a lock vote for another value is a lie, whatever it leans on",
        "core/quorum/test_fraud.py::test_section_11_one_that_leans_on_a_lock_in_between_is_none",
        in_place_of(fraud, "_explains", lambda *_: False),
    ),
    plant(
        "heralds-strangers",
        "what strangers say is told at once, too",
        "anchor/test_heralding.py::test_trap_50_what_strangers_say_waits_for_the_rounds",
        in_place_of(KnownPlaces, "of_worth", lambda _places, learned: learned),
    ),
)
