"""Sweeping through seeds on all cores: chunks in processes, some seeds again in a process with another hash seed.

An interrupt stops it cleanly: what is under way is finished, and what was done so far is returned.
"""

import gc
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, Final, NamedTuple

from sojourn.testing.checkers.verdict import Violation
from sojourn.testing.schedules.profile import PROFILES
from sojourn.testing.schedules.running import (
    Failure,
    Part,
    checksum,
    is_real,
    run_plan,
    run_seeds,
)
from sojourn.testing.schedules.shrinking import Shrunk, shrink

__all__ = ["Chunk", "Crew", "Swept", "chunks", "differing", "sweep"]

CHUNK: Final = 20
"""Seeds that a process is given at once: a second's work, so that an interrupt need not wait."""
_UNDER_WAY_PER_JOB: Final = 2
_LOOK_S: Final = 0.5


class Chunk(NamedTuple):
    """Some seeds of a profile."""

    profile: str
    seeds: range


class Swept:
    """What came of a sweep, by profile, so far."""

    def __init__(self, jobs: int) -> None:
        """Begin with nothing."""
        self.jobs = jobs
        self.parts: dict[str, Part] = {}
        self.seeds: dict[str, int] = {}
        """How many seeds of each profile are done: the first so many, none left out."""
        self.shrunk: list[Shrunk] = []
        self.is_cut_short = False
        self.began_s = time.monotonic()
        self.took_s = 0.0

    @property
    def schedules(self) -> int:
        """How many eventful schedules were run."""
        return sum(part.schedules for part in self.parts.values())

    @property
    def failures(self) -> list[Failure]:
        """The seeds that broke a promise."""
        return [failure for part in self.parts.values() for failure in part.failures]


def chunks(profiles: Mapping[str, range]) -> Iterator[Chunk]:
    """Yield the seeds of each profile in chunks, the profiles in turn."""
    waiting = deque(
        deque(Chunk(name, seeds[at : at + CHUNK]) for at in range(0, len(seeds), CHUNK))
        for name, seeds in profiles.items()
    )
    while waiting:
        of_one = waiting.popleft()
        if of_one:
            yield of_one.popleft()
            waiting.append(of_one)


def sweep(
    work: Iterable[Chunk],
    *,
    jobs: int,
    real: bool = False,
    failures_max: int = 5,
    tell: Callable[[Swept], None] = lambda _: None,
) -> Swept:
    """Run chunks of seeds on so many processes; shrink what fails. Stops after so many failing seeds.

    `tell` is called now and then with what there is so far.
    """
    swept = Swept(jobs)
    with Crew(jobs, hash_seed=1) as crew, Crew(1, hash_seed=2) as others:
        sweeping = _Sweeping(swept, crew, others, real)
        with _interruptible(swept):
            sweeping.run(iter(work), failures_max, tell)
        sweeping.finish()
        swept.took_s = time.monotonic() - swept.began_s
        if swept.failures and not swept.is_cut_short:
            with _interruptible(swept):
                swept.shrunk += crew.map(shrink, swept.failures)
    return swept


@contextmanager
def _interruptible(swept: Swept) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        swept.is_cut_short = True


class _Sweeping:
    def __init__(self, swept: Swept, crew: "Crew", others: "Crew", real: bool) -> None:
        self._swept, self._crew, self._others, self._real = swept, crew, others, real
        self._under_way: dict[Future[Part], Chunk] = {}
        self._again: dict[Future[dict[int, int]], tuple[str, dict[int, int]]] = {}

    def run(self, work: Iterator[Chunk], failures_max: int, tell: Callable[[Swept], None]) -> None:
        """Keep all processes busy until the work is done, or has failed too often."""
        swept, is_more = self._swept, True
        while is_more or self._under_way:
            while is_more and len(self._under_way) < _UNDER_WAY_PER_JOB * swept.jobs:
                chunk = next(work, None)
                if chunk is None or len(swept.failures) >= failures_max:
                    is_more = False
                else:
                    done = self._crew.submit(run_seeds, chunk.profile, chunk.seeds, real=self._real)
                    self._under_way[done] = chunk
            wait(self._under_way, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
            self._take()
            tell(swept)

    def finish(self) -> None:
        """Wait for what is under way, and for what is run again."""
        for future in self._under_way:
            future.cancel()
        wait([future for future in self._under_way if not future.cancelled()])
        self._take()
        for repeated, (name, digests) in self._again.items():
            self._compare(name, digests, repeated.result())
        self._again.clear()

    def _take(self) -> None:
        for future in [each for each in self._under_way if each.done()]:
            chunk = self._under_way.pop(future)
            if future.cancelled():
                continue
            part = future.result()
            swept = self._swept
            swept.parts.setdefault(chunk.profile, Part()).add(part)
            swept.seeds[chunk.profile] = swept.seeds.get(chunk.profile, 0) + len(chunk.seeds)
            if part.digests:
                again = self._others.submit(
                    _digests, chunk.profile, sorted(part.digests), self._real
                )
                self._again[again] = chunk.profile, part.digests
        for repeated in [each for each in self._again if each.done()]:
            name, digests = self._again.pop(repeated)
            self._compare(name, digests, repeated.result())

    def _compare(self, name: str, digests: Mapping[int, int], others: Mapping[int, int]) -> None:
        part = self._swept.parts[name]
        found = differing(name, digests, others, real=self._real)
        part.repeated += len(digests) - len(found)
        part.failures += found


def differing(
    name: str, digests: Mapping[int, int], others: Mapping[int, int], *, real: bool = False
) -> list[Failure]:
    """Return the seeds of a profile whose two runs were not the same."""
    return [
        Failure(
            name,
            seed,
            real or is_real(seed),
            (Violation("one seed, one run", f"run twice, {one:08x} and {others[seed]:08x}"),),
        )
        for seed, one in digests.items()
        if one != others[seed]
    ]


def _digests(name: str, seeds: Iterable[int], real: bool) -> dict[int, int]:
    """Run seeds again; return the checksums of their runs."""
    found = {}
    for seed in seeds:
        schedule, _ = run_plan(seed, PROFILES[name], real=real or is_real(seed))
        found[seed] = checksum(schedule)
    return found


class Crew(ProcessPoolExecutor):
    """Processes that were started with a hash seed, and leave interrupts to us."""

    def __init__(self, jobs: int, *, hash_seed: int) -> None:
        """Be ready to start so many."""
        super().__init__(jobs, get_context("spawn"), initializer=_begin)
        self._hash_seed = str(hash_seed)

    def submit(self, *args: Any, **named: Any) -> Future[Any]:
        """Hand work to a process; one that has to be started first is given the hash seed."""
        with _environment("PYTHONHASHSEED", self._hash_seed):
            return super().submit(*args, **named)


def _begin() -> None:
    """Leave interrupts to whoever started this process; and look for garbage less often: a schedule makes little."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
