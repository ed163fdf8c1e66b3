"""`simulate`: a world for the length of a block, and a failure that says how to have it again."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import structlog

from sojourn.testing.faults import Faults
from sojourn.testing.life import current
from sojourn.testing.world import World

__all__ = ["SEED_VARIABLE", "Broken", "seeds", "simulate"]

F = TypeVar("F", bound=Callable[..., Any])

SEED_VARIABLE: Final = "SOJOURN_SEED"
"""The environment variable that says which seed is to be run, and no other."""


class Broken(AssertionError):
    """The test has passed, and something is wrong all the same: a promise was broken, or a process complained."""


@contextmanager
def simulate(seed: int | None = None, *, faults: Faults | None = None) -> Iterator[World]:
    """Give a world whose every chance comes from `seed`; without one, from the environment, or 0.

    `faults` befall it once an agent is launched and time passes for it, until `world.calm()`. A failure inside
    the block names the seed and shows what happened last. At the end of a block that did not fail, every promise
    of Sojourn must have been kept (`World.broken_promises`), and no process may have complained: else it raises
    `Broken`.
    """
    if seed is None:
        seed = int(os.environ.get(SEED_VARIABLE, "0"))
    with _logging_to_worlds():
        world = World(seed, faults)
        try:
            yield world
            check_world(world)
        except Exception as error:
            error.add_note(_report(world))
            raise
        finally:
            world.close()


def check_world(world: World) -> None:
    """Raise `Broken` if a promise was broken or a process complained."""
    wrong = [*world.broken_promises(), *world.complaints]
    if wrong:
        raise Broken("; ".join(wrong))


def _report(world: World) -> str:
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    again = f"{SEED_VARIABLE}={world.seed} pytest {test.partition('[')[0]!r}" if test else ""
    return "\n".join(
        [
            "",
            f"seed {world.seed}, digest {world.digest}, at {world.now:.3f} virtual seconds",
            *([f"again: {again}"] if again else []),
            "",
            world.transcript(),
        ]
    )


def seeds(start: int, stop: int | None = None) -> Callable[[F], F]:
    """Run a test for each seed from `start` (0 if only one number is given) up to `stop`, as argument `seed`.

    For pytest. If the environment names a seed, only that one is run.
    """
    import pytest  # noqa: PLC0415 (only tests need it)

    first, last = (0, start) if stop is None else (start, stop)
    named = os.environ.get(SEED_VARIABLE)
    chosen = range(first, last) if named is None else [int(named)]
    return pytest.mark.parametrize("seed", chosen)


# --- what processes log ------------------------------------------------------------------------------


@contextmanager
def _logging_to_worlds() -> Iterator[None]:
    """Let what a process logs reach its world, from warnings on, and no terminal."""
    before = structlog.get_config()
    structlog.configure(
        processors=[_take_down],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def _take_down(_logger: Any, _method: str, event: Any) -> Any:
    life = current.get()
    if life is None or life.has_ended:
        raise structlog.DropEvent
    what = event.pop("event")
    if event.pop("exc_info", None):
        life.complain(str(what), sys.exc_info()[1])
    else:
        facts = ", ".join(f"{name} {value}" for name, value in event.items())
        life.machine.note(f"{what}: {facts}")
    raise structlog.DropEvent
