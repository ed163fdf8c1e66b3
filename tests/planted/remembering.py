"""Bugs in memory beyond run state (protocol §10): each is noticed by one test."""

from typing import Any, Final

from sojourn.anchor import collecting
from sojourn.anchor.loose import Loose
from sojourn.core.agent.memory import log
from sojourn.core.agent.memory.log_parts import Dropped
from sojourn.core.base.digests import link_to
from sojourn.runtime.agent_side.compartments import WorkingMemory
from sojourn.runtime.agent_side.recall import Recall
from tests.planted.plant import Plant, Planting, in_place_of, nothing
from tests.planted.vehicles import Test

__all__ = ["PLANTS"]


def plant(name: str, fault: str, node: str, planted: Planting) -> Plant:
    """Return a plant that one test notices."""
    return Plant(name, 0, fault, Test(f"tests/unit/{node}"), "fails", planted)


def _linked(part: bytes | Dropped) -> Any:
    return link_to(part.digest if isinstance(part, Dropped) else part)


PLANTS: Final = (
    plant(
        "trimmed-and-linked",
        "the root of a trimmed log still links to what was trimmed",
        "core/agent/memory/test_log_trim.py::test_what_is_trimmed_is_no_longer_below_the_root",
        in_place_of(log, "item_of", _linked),
    ),
    plant(
        "sent-untidy",
        "what a blob was on the way is sent with what it is",
        "runtime/test_blobs.py::test_a_blob_grows_and_is_read_as_it_was_when_it_was_opened",
        in_place_of(WorkingMemory, "_tidy", nothing),
    ),
    plant(
        "any-model",
        "vectors of different models are compared",
        "runtime/test_recall.py::test_another_model_is_refused_and_a_rebuild_lets_it_in",
        in_place_of(Recall, "_check_model", nothing),
    ),
    plant(
        "collects-a-live-block",
        "what is put, named or asked for while an anchor looks for what it may collect is collected",
        "anchor/test_collecting.py::test_what_is_put_or_named_while_a_round_goes_on_is_kept",
        in_place_of(Loose, "_watch", nothing),
    ),
    plant(
        "collects-a-policy",
        "a block goes that no memory names, though it may be something else than memory",
        "anchor/test_collecting.py::test_what_may_be_something_else_than_memory_is_kept_with_all_below_it",
        in_place_of(collecting, "is_memory_alone", lambda _data: True),
    ),
)
