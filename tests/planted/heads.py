"""Bugs in bounds on staleness: who acts though no officer vouched of late, and whose word counts (§4, §8.11)."""

from typing import Final

from sojourn.core.agent.heads import SignedHead
from sojourn.core.protocol import anchor, freshness, heard
from sojourn.core.protocol.successors import KnownSuccessors
from tests.planted.plant import Plant, Planting, in_place_of, nothing
from tests.planted.vehicles import Test

__all__ = ["PLANTS"]

_RULINGS: Final = "core/protocol/test_freshness.py::"


def plant(name: str, fault: str, node: str, planted: Planting) -> Plant:
    """Return a plant that one test notices."""
    return Plant(name, 0, fault, Test(f"tests/unit/{node}"), "fails", planted)


PLANTS: Final = (
    Plant(
        "acts-on-old-news",
        43,
        "an agent in a zone that is cut off acts for ever on what was revoked",
        Test(
            "tests/unit/testing/test_staleness.py::"
            "test_trap_43_a_zone_that_is_cut_off_honours_the_revoked_no_longer_than_the_bound"
        ),
        "fails",
        in_place_of(heard, "check_current", nothing),
    ),
    plant(
        "welcomes-on-old-news",
        "a visa is given where no head came from",
        f"{_RULINGS}test_section_5_who_has_heard_of_no_head_gives_no_visa_and_admits_nobody",
        in_place_of(anchor, "check_current", nothing),
    ),
    plant(
        "eternal-head",
        "a head counts for as long as its officer said, whatever the document bounds",
        f"{_RULINGS}test_section_8_11_a_head_counts_until_its_window_or_the_bound_is_over",
        in_place_of(freshness, "staleness_of", lambda _: 2**62),
    ),
    plant(
        "voted-out-vouches",
        "who was an officer once vouches on, also where it is known that others are by now",
        f"{_RULINGS}test_section_8_11_who_was_voted_out_vouches_for_nothing_where_that_is_known",
        in_place_of(KnownSuccessors, "later", lambda *_: ()),
    ),
    plant(
        "heard-once",
        "of two heads of one officer the one that was heard of first stays",
        "core/protocol/test_heads.py::test_section_8_11_of_each_officer_the_newest_head_of_a_document_is_kept",
        in_place_of(SignedHead, "age", property(lambda _: (0, 0, b""))),
    ),
)
