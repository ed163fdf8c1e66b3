"""Running schedules and counting what happened in them: one plan, or many seeds.

Whatever a schedule raises is a violation, too: nothing that is sent or lost may break an honest process.
"""

import gc
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import Final

import msgspec

from sojourn.testing.checkers.verdict import Violation
from sojourn.testing.schedules.plan import Plan
from sojourn.testing.schedules.profile import PROFILES, Profile
from sojourn.testing.schedules.remembering import remembered
from sojourn.testing.schedules.schedule import Schedule
from sojourn.testing.schedules.seals import ideal_signatures

__all__ = [
    "Failure",
    "Part",
    "checksum",
    "is_real",
    "is_repeated",
    "run_plan",
    "run_seeds",
    "swept",
]

_REAL_EVERY: Final = 50
_REPEATED_EVERY: Final = 100


class Failure(msgspec.Struct, frozen=True):
    """A seed that broke a promise."""

    profile: str
    seed: int
    is_real: bool
    violations: tuple[Violation, ...]


class Part(msgspec.Struct):
    """What came of some seeds of a profile. Schedules in which nothing was decided are not counted, but said."""

    schedules: int = 0
    uneventful: int = 0
    real: int = 0
    events: int = 0
    cpu_s: float = 0.0
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    """How often each kind of event, fault and rule was reached,"""
    reached: Counter[str] = msgspec.field(default_factory=Counter)
    """and in how many schedules."""
    failures: list[Failure] = msgspec.field(default_factory=list)
    digests: dict[int, int] = msgspec.field(default_factory=dict)
    """Of the seeds that are to be run twice."""
    repeated: int = 0
    """So many seeds were run twice, in processes with different hash seeds, and were equal."""

    def add(self, other: "Part") -> None:
        """Take in another part of the same profile."""
        self.schedules += other.schedules
        self.uneventful += other.uneventful
        self.real += other.real
        self.events += other.events
        self.cpu_s += other.cpu_s
        self.counts.update(other.counts)
        self.reached.update(other.reached)
        self.failures += other.failures
        self.digests.update(other.digests)
        self.repeated += other.repeated

    @property
    def violations(self) -> int:
        """How many seeds broke a promise."""
        return len(self.failures)


def is_real(seed: int) -> bool:
    """Tell whether a seed's run uses real signatures: every fiftieth does."""
    return seed % _REAL_EVERY == _REAL_EVERY // 2


def is_repeated(seed: int) -> bool:
    """Tell whether a seed is run twice, in processes with different hash seeds: every hundredth is."""
    return seed % _REPEATED_EVERY == 0


def run_plan(
    seed: int,
    profile: Profile,
    plan: Plan | None = None,
    *,
    real: bool = False,
    tells: bool = False,
) -> tuple[Schedule, list[Violation]]:
    """Run a seed, or what is left of its plan; return the schedule, and what it broke."""
    with nullcontext() if real else ideal_signatures(), remembered():
        schedule = Schedule(seed, profile, plan=plan, ideal=not real, tells=tells)
        try:
            violations = schedule.run()
        except Exception as error:
            violations = [_broken(error)]
    return schedule, violations


def _broken(error: Exception) -> Violation:
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{where.filename.rpartition('/')[2]}:{where.lineno} in {where.name}"
    return Violation("nothing breaks", f"{type(error).__name__}: {error} ({place})")


def run_seeds(name: str, seeds: Iterable[int], *, real: bool = False) -> Part:
    """Run seeds of a profile in this process. With `real`, all of them with real signatures."""
    part = Part()
    began_s = time.process_time()
    for seed in swept(seeds):
        _run_seed(part, name, seed, real or is_real(seed))
    part.cpu_s = time.process_time() - began_s
    return part


def _run_seed(part: Part, name: str, seed: int, real: bool) -> None:
    """Run a seed and count it in; nothing of its schedule is left when this returns but rings for the collector."""
    schedule, violations = run_plan(seed, PROFILES[name], real=real)
    _count(part, schedule, real)
    if violations:
        part.failures.append(Failure(name, seed, real, tuple(violations)))
    if is_repeated(seed):
        part.digests[seed] = checksum(schedule)


def swept(seeds: Iterable[int]) -> Iterator[int]:
    """Yield seeds; look for garbage between runs alone: one leaves nothing but rings that end with it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for seed in seeds:
            yield seed
            gc.collect(0)  # at once, while it is in the processor's cache
    finally:
        if was_enabled:
            gc.enable()


def _count(part: Part, schedule: Schedule, real: bool) -> None:
    if not schedule.was_eventful:
        part.uneventful += 1
        return
    simulator = schedule.simulator
    part.schedules += 1
    part.real += real
    part.events += simulator.events
    part.counts.update(simulator.counts)
    part.counts[f"anchors: {schedule.plan.size}"] += 1
    part.reached.update({*simulator.counts, f"anchors: {schedule.plan.size}"})


def checksum(schedule: Schedule) -> int:
    """Return a checksum of all that happened: every message and fault in order, and every vote that was signed."""
    found = schedule.simulator.digest & 0xFFFFFFFF
    for fact in schedule.simulator.history.cast:
        found = zlib.crc32(fact.vote.seal.signature, found)
    return found
