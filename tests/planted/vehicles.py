"""The vehicles: the simulator, the older one of a single slot, one honest anchor among liars, and single tests."""

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from unittest.mock import patch

import pytest

from sojourn.core.base.encoding import digest_of
from sojourn.testing.schedules import schedule as schedules
from sojourn.testing.schedules.profile import PROFILES, Profile
from sojourn.testing.schedules.seals import ideal_signatures
from tests.planted.profiles import OWN
from tests.simulation import test_accountability as accountability
from tests.simulation.oracles import check_blameless
from tests.simulation.replay import run
from tests.simulation.schedule import Schedule
from tests.unit.core.protocol.test_binding import first_overlap

__all__ = ["Blame", "OneSlot", "Overlap", "Schedules", "Test"]

ROOT: Final = Path(__file__).parents[2]
CALM_EVENTS: Final = 10_000
"""An agent that makes no step within so many events of calm makes none at all: the right code needs far fewer."""


@dataclass(frozen=True)
class Schedules:
    """Schedules of one profile: the protocol's machines in simulated time, with mishaps."""

    profile: str

    @property
    def name(self) -> str:
        """The profile's name says which schedules."""
        return f"simulator: {self.profile}"

    def set_out(self, seed: int) -> None:
        """Make the scene that a seed begins with: others use it, too, so no code with a bug in it may make it."""
        with ideal_signatures():
            schedules.Schedule(seed, _profile(self.profile))

    def seen(self, seed: int) -> str:
        """Run a seed; return all promises that did not hold, or what stopped the run."""
        with ideal_signatures(), patch.object(schedules, "CALM_EVENTS_MAX", CALM_EVENTS):
            try:
                broken = schedules.Schedule(seed, _profile(self.profile)).run()
            except Exception as error:
                return f"stops: {error!r}"
        return "; ".join(sorted({f"{each.promise}: {each.problem}" for each in broken}))


def _profile(name: str) -> Profile:
    return OWN.get(name) or PROFILES[name]


@dataclass(frozen=True)
class OneSlot:
    """Schedules of one slot in one zone, with an adversary that holds one anchor's key and sees every vote."""

    name: str = "simulator of one slot"

    def set_out(self, seed: int) -> None:
        """Make the zone and the steps that compete in it: all seeds share them."""
        Schedule(seed)

    def seen(self, seed: int) -> str:
        """Run a seed; return what did not hold."""
        try:
            run(seed)
        except AssertionError as error:
            return str(error).partition(": ")[2].partition("\n")[0]
        return ""


@dataclass(frozen=True)
class Blame:
    """One honest anchor, asked anything, where all others lie and certify whatever they want."""

    name: str = "simulator of one honest anchor"

    def set_out(self, seed: int) -> None:
        """Make the zone and what is certified in it: all seeds share them."""
        accountability.honest_run(seed)

    def seen(self, seed: int) -> str:
        """Run a seed; return how the honest anchor is blamed."""
        locks = (accountability._lock(*which) for which in accountability.LOCKS)
        known = {digest_of(lock): lock for lock in locks}
        try:
            check_blameless(accountability.honest_run(seed), known)
        except AssertionError as error:
            return str(error)
        return ""


@dataclass(frozen=True)
class Overlap:
    """One host's lease and its anchors' books alone, with clocks that run wrong and delays of any length."""

    name: str = "property of leases"

    def set_out(self, seed: int) -> None:
        """Make nothing: each run begins anew."""

    def seen(self, seed: int) -> str:
        """Run a seed; return where the host still acts though a quorum could bind another."""
        return first_overlap(seed).partition(": ")[2]


@dataclass(frozen=True)
class Test:
    """One test of the suite, by the name that pytest gives it. It needs no seeds."""

    __test__ = False
    node: str

    @property
    def name(self) -> str:
        """The kind of test: the first folder below `tests`."""
        return self.node.split("/")[1]

    def set_out(self, seed: int) -> None:
        """Make nothing: each run begins anew."""

    def seen(self, seed: int) -> str:
        """Run the test in this process; return how it fails."""
        said = io.StringIO()
        options = ["-q", "-x", "--no-header", "--tb=line", "-p", "no:cacheprovider"]
        options += ["--disable-plugin-autoload", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), _environment():
            ended = pytest.main([*options, str(ROOT / self.node)])
        assert ended in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), said.getvalue()
        return "" if ended is pytest.ExitCode.OK else f"fails: {said.getvalue()}"


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Keep what pytest says of the test that is running: another runs within it."""
    before = os.environ.get("PYTEST_CURRENT_TEST")
    try:
        yield
    finally:
        if before is not None:
            os.environ["PYTEST_CURRENT_TEST"] = before
