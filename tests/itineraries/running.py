"""Running the itineraries of many seeds, on several processes."""

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Final, NamedTuple

from sojourn.testing.schedules.running import swept
from sojourn.testing.schedules.sweeping import Crew
from tests.itineraries.itineraries import Outcome, Uneventful, itineraries

__all__ = ["Part", "parts", "run_seeds"]

_CHUNK: Final = 4
"""Seeds that a process is given at once: some ten seconds' work."""
_UNDER_WAY_PER_JOB: Final = 2


class Part(NamedTuple):
    """What came of some seeds, and what was wrong with those that fail."""

    seeds: range
    outcome: Outcome
    failures: dict[int, str]


def run_seeds(seeds: range) -> Part:
    """Run the itineraries of some seeds in this process."""
    outcome, failures = Outcome(), dict[int, str]()
    for seed in swept(seeds):
        try:
            outcome.update(itineraries(seed))
        except Uneventful:
            continue  # it counts for nothing, and breaks nothing
        except Exception as error:
            failures[seed] = f"{type(error).__name__}: {error}"
    return Part(seeds, outcome, failures)


def parts(seeds: range, jobs: int) -> Iterator[Part]:
    """Run seeds on so many processes; yield what came of them in the order of the seeds."""
    waiting = [seeds[at : at + _CHUNK] for at in range(0, len(seeds), _CHUNK)][::-1]
    under_way: list[Future[Part]] = []
    with Crew(jobs, hash_seed=1) as crew:
        try:
            while waiting or under_way:
                while waiting and len(under_way) < jobs * _UNDER_WAY_PER_JOB:
                    under_way.append(crew.submit(run_seeds, waiting.pop()))
                yield under_way.pop(0).result()
        finally:
            crew.shutdown(cancel_futures=True)
