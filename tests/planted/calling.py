"""Bugs in secrets and model calls (protocol §10.28, §10.33): each is noticed by one test."""

from collections.abc import Mapping
from typing import Any, Final

from sojourn.models.calling import ModelStep
from sojourn.models.writing import Hearing, Piece
from sojourn.runtime.agent_side import relaying
from sojourn.runtime.host_side.entrusting import Entrusting
from sojourn.runtime.secrecy import Secrecy
from tests.planted.plant import Plant, Planting, all_of, in_place_of, nothing
from tests.planted.vehicles import Test

__all__ = ["PLANTS"]


def plant(name: str, fault: str, node: str, planted: Planting) -> Plant:
    """Return a plant that one test notices."""
    return Plant(name, 0, fault, Test(f"tests/unit/{node}"), "fails", planted)


def _reserves_nothing(self: ModelStep, _args: Any, _kwargs: Any) -> Mapping[str, int]:
    return self.spends


def _goes_on(self: Hearing, text: str) -> Piece | None:
    fresh = text[len(self.told) :]
    return Piece(text=fresh) if fresh else None


PLANTS: Final = (
    plant(
        "secret-journaled",
        "a result that holds a secret is recorded, and the host lets the frame with it pass",
        "runtime/test_secrets.py::test_a_result_that_holds_a_secret_is_refused",
        all_of(in_place_of(Secrecy, "check", nothing), in_place_of(Entrusting, "check", nothing)),
    ),
    plant(
        "secret-past-its-outcome",
        "a step is handed its secrets again though its outcome is final",
        "runtime/test_secrets.py::test_nothing_is_handed_out_but_for_an_intent_that_names_it_and_is_open",
        in_place_of(Entrusting, "settle", nothing),
    ),
    plant(
        "model-unreserved",
        "a model is called whatever is left of the budgets",
        "models/test_calling.py::test_a_call_that_the_budget_does_not_hold_is_not_made",
        in_place_of(ModelStep, "spends_of", _reserves_nothing),
    ),
    plant(
        "answer-mixed",
        "an answer that is another than was written is gone on with as if it were the same",
        "models/test_writing.py::test_a_host_dies_amid_an_answer_and_a_reader_loses_nothing",
        in_place_of(Hearing, "piece", _goes_on),
    ),
    plant(
        "relayed-unjudged",
        "a host makes whatever model call confined code asks for",
        "runtime/test_relaying.py::test_a_host_calls_for_the_intent_that_it_wrote_and_nothing_else",
        in_place_of(relaying, "_check", nothing),
    ),
)
