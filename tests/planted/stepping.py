"""Bugs in how steps are tried and undone (protocol §10): each is noticed by one test."""

from collections.abc import Mapping
from typing import Any, Final

from sojourn.runtime.agent_side.attempting import Attempts
from sojourn.runtime.agent_side.sagas import Saga
from sojourn.runtime.host_side.entrusting import Entrusting
from sojourn.runtime.secrecy import Secrecy
from tests.planted.plant import Plant, Planting, in_place_of, instead, nothing
from tests.planted.vehicles import Test

__all__ = ["PLANTS"]


def plant(name: str, fault: str, node: str, planted: Planting) -> Plant:
    """Return a plant that one test notices."""
    return Plant(name, 0, fault, Test(f"tests/unit/runtime/{node}"), "fails", planted)


def _tries_again(right: Any) -> Any:
    """Have what has an effect once, and took too long, tried a second time."""

    def time_is_up(attempts: Attempts) -> None:
        if attempts._step.effect != "once" or attempts.count > 1:
            right(attempts)
            return
        assert attempts._current is not None
        attempts._current.has_timed_out = True
        if attempts._current.task is not None:
            attempts._current.task.cancel()
        attempts._pause()

    return time_is_up


def _abreast(attempts: Attempts, key: str | None, secrets: Mapping[str, str]) -> None:
    """Begin an attempt, whether or not the last one still runs."""
    attempts._key, attempts._secrets = key, secrets
    attempts.count += 1
    attempts._start()


async def _insists(saga: Saga) -> None:
    """Call again what was not undone at the first call, or may have been."""
    while saga._undos:
        undo = saga._undos.pop()
        for _ in range(2):
            try:
                await undo.call()
            except Exception as error:
                last = error
            else:
                saga._undone.append(undo.name)
                break
        else:
            saga._failed.append((undo.name, last))


PLANTS: Final = (
    plant(
        "once-again",
        "a step with effect once that has timed out is tried again",
        "test_attempts.py::test_section_10_4_an_effect_once_that_takes_too_long_is_uncertain",
        instead(Attempts, "_time_is_up", _tries_again),
    ),
    plant(
        "abreast",
        "an attempt begins while the thread of the last one still runs",
        "test_attempts.py::test_a_function_that_never_ends_uses_up_the_attempts_that_wait_for_it",
        in_place_of(Attempts, "begin", _abreast),
    ),
    plant(
        "undoes-when-dropped",
        "a saga undoes when its host stops, though the agent goes on with it elsewhere",
        "test_sagas.py::test_code_that_is_stopped_with_its_host_undoes_nothing",
        in_place_of(Saga, "_is_left_to_others", lambda *_: False),
    ),
    plant(
        "undoes-again",
        "a saga calls an undo step again of which nobody knows whether it was done",
        "test_sagas.py::test_an_undo_step_that_may_have_been_done_is_not_done_again_and_is_named",
        in_place_of(Saga, "_undo_each", _insists),
    ),
    plant(
        "secret-in-a-result",
        "a result that holds a secret is recorded",
        "test_secrets.py::test_a_result_that_holds_a_secret_is_refused",
        in_place_of(Secrecy, "check", nothing),
    ),
    plant(
        "secret-in-a-frame",
        "the host stores whatever the agent's side sends, and looks for no secret in it",
        "test_secrets.py::test_code_that_kept_a_secret_stores_it_nowhere",
        in_place_of(Entrusting, "check", nothing),
    ),
    plant(
        "secret-once-more",
        "a secret is handed out for an act that is over",
        "test_secrets.py::test_nothing_is_handed_out_but_for_an_intent_that_names_it_and_is_open",
        in_place_of(Entrusting, "settle", nothing),
    ),
)
