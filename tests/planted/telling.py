"""Bugs in how code is bound by what others tell it (protocol §10.40): each is noticed by one test."""

from typing import Any, Final

from sojourn.host import inbox
from sojourn.runtime.agent_side.compartments import WorkingMemory
from sojourn.runtime.host_side.sealing import Sealing
from tests.planted.plant import Plant, Planting, in_place_of, instead, nothing
from tests.planted.vehicles import Test

__all__ = ["PLANTS"]


def plant(name: str, fault: str, node: str, planted: Planting) -> Plant:
    """Return a plant that one test notices."""
    return Plant(name, 0, fault, Test(f"tests/unit/{node}"), "fails", planted)


def _as_it_came(sealing: Sealing, number: int, answer: Any) -> Any:
    """Give what has labels to who is not bound by them."""
    return answer


def _without_labels(right: Any) -> Any:
    """Forget that word of a letter tells it again."""

    def told(unread: Any, index: int) -> Any:
        message = right(unread, index)
        return inbox.msgspec.structs.replace(
            message, mark=inbox.msgspec.structs.replace(message.mark, labels=inbox.UNSET)
        )

    return told


PLANTS: Final = (
    plant(
        "told-without-a-seal",
        "what has labels is told to code that is not bound by them yet",
        "runtime/test_told.py::test_section_10_40_a_body_is_given_to_who_is_bound_by_its_labels",
        in_place_of(Sealing, "seal", _as_it_came),
    ),
    plant(
        "told-and-not-bound",
        "an agent's side is not bound by what its code is told",
        "testing/test_told.py::test_section_10_40_who_is_told_is_bound_until_it_has_forgotten",
        in_place_of(WorkingMemory, "tell", nothing),
    ),
    plant(
        "unread-without-labels",
        "a letter that comes back unread has lost its labels",
        "testing/test_told.py::test_section_10_40_what_comes_back_unread_has_its_labels_still",
        instead(inbox, "_told_unread", _without_labels),
    ),
)
