"""`sojourn sim` in small: a slice of every profile, and what a sweep makes sure of beside the promises."""

from dataclasses import replace as replaced

import pytest

from sojourn.testing.checkers.verdict import Violation
from sojourn.testing.schedules import sweeping
from sojourn.testing.schedules.profile import PROFILES
from sojourn.testing.schedules.report import bound, expected, report
from sojourn.testing.schedules.running import Part, checksum, is_real, run_plan, run_seeds
from sojourn.testing.schedules.sweeping import Chunk, Swept, chunks, differing, sweep

SEEDS = 60
JOBS = 2


@pytest.fixture(scope="module")
def swept() -> Swept:
    """Return what came of the first seeds of every profile."""
    return sweep(chunks({name: range(SEEDS) for name in PROFILES}), jobs=JOBS)


def test_a_slice_of_every_profile_keeps_every_promise(swept: Swept) -> None:
    assert [] == swept.failures, swept.shrunk
    assert dict.fromkeys(PROFILES, SEEDS) == swept.seeds


def test_something_happens_in_nearly_all_of_it(swept: Swept) -> None:
    for name, part in swept.parts.items():
        assert part.schedules + part.uneventful == SEEDS
        assert part.schedules > 0.9 * SEEDS, name


def test_every_size_and_decision_of_every_profile_is_reached(swept: Swept) -> None:
    for name, part in swept.parts.items():
        always = ("anchors: ", "vote: ")
        wanted = {what for what in expected(PROFILES[name]) if what.startswith(always)}
        assert wanted <= {*part.counts, "vote: round"}, name
    sizes = {what for part in swept.parts.values() for what in part.counts if "anchors" in what}
    assert {f"anchors: {n}" for n in (1, 4, 7, 10, 13)} == sizes


def test_nearly_all_that_is_expected_is_reached_by_some_profile(swept: Swept) -> None:
    wanted = {what for profile in PROFILES.values() for what in expected(profile)}
    reached = {what for part in swept.parts.values() for what in part.counts}
    assert len(wanted - reached) < 0.1 * len(wanted), wanted - reached


def test_seeds_run_twice_under_different_hash_seeds_are_equal(swept: Swept) -> None:
    assert dict.fromkeys(PROFILES, 1) == {n: part.repeated for n, part in swept.parts.items()}


def test_a_slice_uses_real_signatures(swept: Swept) -> None:
    assert [25, 75] == [seed for seed in range(100) if is_real(seed)]
    assert all(part.real >= 1 for part in swept.parts.values())


def test_the_report_says_how_much_and_how_sure(swept: Swept) -> None:
    said = report(swept, dict.fromkeys(PROFILES, 0))
    migrate = next(each for each in said.profiles if each.profile == "migrate")
    assert (0, SEEDS) == migrate.seeds
    assert 3 / migrate.schedules == migrate.bound == bound(migrate.schedules)
    assert migrate.reached["applied: step"].times >= migrate.reached["applied: step"].schedules
    assert migrate.per_core_s > 0


# What the vehicle itself must find


def test_two_runs_that_differ_are_a_violation() -> None:
    assert [] == differing("migrate", {0: 5, 100: 7}, {0: 5, 100: 7})
    [found] = differing("migrate", {0: 5, 100: 7}, {0: 5, 100: 8})
    assert (100, "one seed, one run") == (found.seed, found.violations[0].promise)


def test_a_run_that_depends_on_the_hash_seed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second crew's processes have another hash seed than the first's, and than ours."""
    asked = "sojourn.testing.schedules.sweeping"
    ours = {one: hash(one) for one in (asked,)}
    with sweeping.Crew(1, hash_seed=1) as crew, sweeping.Crew(1, hash_seed=2) as others:
        first, second = crew.submit(hash, asked).result(), others.submit(hash, asked).result()
    assert 3 == len({first, second, ours[asked]})


def test_what_a_schedule_raises_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("sojourn.testing.schedules.anchor.AnchorNode.heartbeat", breaks)
    _, [found] = run_plan(1, PROFILES["calm"])
    assert "nothing breaks" == found.promise
    assert "ZeroDivisionError: planted" in found.problem


def test_it_stops_after_so_many_failing_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    class Here(sweeping.Crew):
        """Runs what it is given at once, in this process, so that what is planted is there."""

        def submit(self, work, *args, **named):  # type: ignore[no-untyped-def,override]
            done = sweeping.Future()  # type: ignore[attr-defined]
            done.set_result(work(*args, **named))
            return done

    def fails(name: str, seeds: range, *, real: bool) -> Part:
        part = Part(schedules=len(seeds))
        violation = Violation("no fork", "planted")
        part.failures = [sweeping.Failure(name, seed, real, (violation,)) for seed in seeds]  # type: ignore[attr-defined]
        return part

    monkeypatch.setattr(sweeping, "Crew", Here)
    monkeypatch.setattr(sweeping, "run_seeds", fails)
    monkeypatch.setattr(sweeping, "shrink", lambda failure: failure)
    work = [Chunk("calm", range(at, at + 1)) for at in range(100)]
    found = sweep(work, jobs=1, failures_max=3)
    assert 3 <= len(found.failures) < 10
    assert len(found.failures) == len(found.shrunk)


def test_an_uneventful_schedule_is_not_counted() -> None:
    part = run_seeds("calm", [])
    assert 0 == part.schedules
    assert 1.0 == bound(part.schedules)


# One seed, one run


def test_writing_it_down_changes_nothing() -> None:
    for seed in range(5):
        quiet, _ = run_plan(seed, PROFILES["migrate"])
        told, _ = run_plan(seed, PROFILES["migrate"], tells=True)
        assert checksum(quiet) == checksum(told)


def test_other_seeds_are_other_runs() -> None:
    sums = {checksum(run_plan(seed, PROFILES["migrate"])[0]) for seed in range(20)}
    assert 20 == len(sums)


def test_a_profile_that_moves_nobody_expects_no_moves() -> None:
    one = set(expected(replaced(PROFILES["migrate"], zones=1)))
    assert "applied: admit" in set(expected(PROFILES["migrate"])) - one
