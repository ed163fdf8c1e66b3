"""What a sweep came to: how much was run, what was reached and what never, and what that does and does not prove."""

from collections.abc import Iterable
from typing import Final

import msgspec

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.protocol.duties import Task
from sojourn.core.quorum.votes import Phase
from sojourn.testing.schedules.profile import PROFILES, Profile
from sojourn.testing.schedules.running import Part
from sojourn.testing.schedules.shrinking import Shrunk
from sojourn.testing.schedules.sweeping import Swept
from sojourn.testing.schedules.telling import MESSAGES

__all__ = ["ProfileReport", "Reached", "Report", "bound", "expected", "report"]

_MOVING: Final = (TransitionKind.DEPART, TransitionKind.ADMIT)
_COMING_BACK: Final = (TransitionKind.REFUSE, TransitionKind.RETURN)
_TASKS_OF_MOVES: Final = (Task.PRESS, Task.OFFER, Task.REFUSE)
_MESSAGES_OF_LETTERS: Final = ("PutMessage",)
_MESSAGES_OF_MOVES: Final = ("AskPast", "AskVisa", "Arrive", "Past", "PutBlocks")


class Reached(msgspec.Struct, frozen=True):
    """How often something happened, and in how many schedules."""

    times: int
    schedules: int


class ProfileReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the seeds of one profile."""

    profile: str
    about: str
    seeds: tuple[int, int]
    """The first, and the first that was not run any more."""
    schedules: int
    uneventful: int
    """Schedules in which nothing was decided. They are not counted."""
    real: int
    repeated: int
    events: int
    violations: int
    per_core_s: float
    """Schedules in a second of one core."""
    bound: float
    """If no schedule broke a promise: what part of all schedules may, at most, with a confidence of 95%."""
    reached: dict[str, Reached]
    never: tuple[str, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a sweep."""

    profiles: tuple[ProfileReport, ...]
    jobs: int
    took_s: float
    is_cut_short: bool
    shrunk: tuple[Shrunk, ...]
    failing: tuple[tuple[str, int, str], ...]
    """Profile, seed and first violation of every schedule that broke a promise."""


def report(swept: Swept, first: dict[str, int]) -> Report:
    """Return what a sweep came to that began with these seeds."""
    return Report(
        profiles=tuple(
            _of_profile(name, part, (first[name], first[name] + swept.seeds[name]))
            for name, part in swept.parts.items()
        ),
        jobs=swept.jobs,
        took_s=round(swept.took_s, 1),
        is_cut_short=swept.is_cut_short,
        shrunk=tuple(swept.shrunk),
        failing=tuple((f.profile, f.seed, str(f.violations[0])) for f in swept.failures),
    )


def _of_profile(name: str, part: Part, seeds: tuple[int, int]) -> ProfileReport:
    profile = PROFILES[name]
    return ProfileReport(
        profile=name,
        about=profile.about,
        seeds=seeds,
        schedules=part.schedules,
        uneventful=part.uneventful,
        real=part.real,
        repeated=part.repeated,
        events=part.events,
        violations=part.violations,
        per_core_s=round(part.schedules / part.cpu_s, 1) if part.cpu_s else 0.0,
        bound=bound(part.schedules),
        reached={
            what: Reached(times, part.reached[what]) for what, times in sorted(part.counts.items())
        },
        never=tuple(what for what in expected(profile) if what not in part.counts),
    )


def bound(schedules: int) -> float:
    """Return the rule of three: after so many runs without a failure, what part may fail, with 95% confidence."""
    return 3 / schedules if schedules else 1.0


def expected(profile: Profile) -> Iterable[str]:
    """Return what schedules of a profile should reach, now and then."""
    moves, acts = profile.zones > 1 and "travel" in profile.wishes, "effect" in profile.wishes
    yield from (f"anchors: {size}" for size in dict.fromkeys(profile.sizes))
    yield from (f"vote: {phase}" for phase in (Phase.LOCK, Phase.COMMIT))
    yield f"applied: {TransitionKind.STEP}"
    if acts:
        yield from (f"applied: {TransitionKind.INTEND}", "effect performed")
    if "letter" in profile.wishes:
        yield "letter kept"
    if moves:
        yield from (f"vote: {Phase.VISA}", *(f"applied: {kind}" for kind in _MOVING))
    if any(profile.liars) or profile.above:
        yield from (f"liar: {lie}" for lie in profile.lies)
    if any(profile.lying_hosts) or profile.above:
        yield from (f"liar: {lie}" for lie in profile.host_lies)
    if any(profile.mishaps):
        yield from _expected_of_mishaps(profile, moves)


def _expected_of_mishaps(profile: Profile, moves: bool) -> Iterable[str]:
    yield from (f"vote: {Phase.ROUND}", f"applied: {TransitionKind.BIND}", "lease lost")
    if moves:
        yield from (f"applied: {kind}" for kind in _COMING_BACK)
    writes = "letter" in profile.wishes
    messages = (name for name in MESSAGES if writes or name not in _MESSAGES_OF_LETTERS)
    yield from (name for name in messages if moves or name not in _MESSAGES_OF_MOVES)
    yield from (f"duty: {task}" for task in Task if moves or task not in _TASKS_OF_MOVES)
    yield from (f"mishap: {kind}" for kind in profile.kinds)
    weather = ((profile.loss, "lost"), (profile.repeat, "repeated"), (profile.slow, "late"))
    yield from (f"fault: message {how}" for chances, how in weather if any(chances))
    if "forbidden" in profile.wishes:
        yield "declined: denied"
