"""A failing seed becomes a short transcript: bugs are planted, found, and shrunk to what they need."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from sojourn.core.protocol import decree
from sojourn.core.protocol.dossier import CastVote, OpenSlot
from sojourn.core.protocol.messages import Propose
from sojourn.core.quorum.certificates import RoundCertificate
from sojourn.testing.checkers.verdict import Violation
from sojourn.testing.schedules.plan import Disturbed, Plan, draw
from sojourn.testing.schedules.profile import PROFILES
from sojourn.testing.schedules.running import Failure, checksum, run_plan, run_seeds
from sojourn.testing.schedules.shrinking import Shrunk, shrink

PROFILE = "crowded"
SEEDS = 2_000
LINES_MAX = 80
WITHIN_S = 40.0


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Undo whatever is planted."""
    yield monkeypatch
    monkeypatch.undo()


def found(mishaps: int, promise: str, after: int = -1) -> Failure:
    """Return the first failing seed after one of a storm with at least so many mishaps."""
    for seed in range(after + 1, SEEDS):
        if len(draw(seed, PROFILES[PROFILE]).mishaps) < mishaps:
            continue
        for failure in run_seeds(PROFILE, [seed]).failures:
            if failure.violations[0].promise == promise:
                return failure
    raise AssertionError(f"not found in {SEEDS} seeds")


def check_small(shrunk: Shrunk) -> None:
    """Fail unless it is short, ends with the promise, and breaks it again when it is run again."""
    failure = shrunk.failure
    assert len(shrunk.transcript) < LINES_MAX, "\n".join(shrunk.transcript)
    assert shrunk.transcript[-1].startswith(f"! {failure.violations[0].promise}: ")
    _, again = run_plan(failure.seed, PROFILES[failure.profile], shrunk.plan)
    assert failure.violations[0].promise in {violation.promise for violation in again}


def forget_locks(planted: pytest.MonkeyPatch) -> None:
    """Plant trap 1: a lock is forgotten with its round."""
    right = decree.enter

    def forgetful(
        state: OpenSlot, round: int, now_ms: int, entry: RoundCertificate | None = None
    ) -> OpenSlot:
        after = right(state, round, now_ms, entry)
        return after if after is state else replace(after, lock=None)

    planted.setattr(decree, "enter", forgetful)


def test_trap_1_a_storm_with_eight_mishaps_becomes_a_page(planted: pytest.MonkeyPatch) -> None:
    """Schedules change with the code: some storms are worth a page and a quarter, but not three in a row."""
    forget_locks(planted)
    seed = -1
    for _ in range(3):
        failure = found(8, "no fork", seed)
        seed, shrunk = failure.seed, shrink(failure, within_s=WITHIN_S)
        if len(shrunk.transcript) < LINES_MAX:
            break
    check_small(shrunk)
    assert shrunk.took_s < WITHIN_S + 10
    before = draw(failure.seed, PROFILES[PROFILE])
    assert len(before.mishaps) >= 8
    assert len(shrunk.plan.mishaps) <= 3
    assert any("(lost) " in line or "* " in line for line in shrunk.transcript)


def test_trap_3_two_votes_in_a_round_become_a_page(planted: pytest.MonkeyPatch) -> None:
    right = decree.lock_vote

    def generous(state: OpenSlot, ask: Propose, anchor: int) -> tuple[OpenSlot, CastVote]:
        return right(replace(state, lock_voted=None), ask, anchor)

    planted.setattr(decree, "may_lock", decree.is_unlocked_for)
    planted.setattr(decree, "lock_vote", generous)
    shrunk = shrink(found(8, "honest never blamed"), within_s=WITHIN_S)
    check_small(shrunk)
    assert 1 == shrunk.plan.agents


def test_what_does_not_matter_is_taken_out(planted: pytest.MonkeyPatch) -> None:
    """A promise that every schedule breaks needs no mishap, no weather, one zone and one agent."""
    planted.setattr(
        "sojourn.testing.schedules.schedule.effects.check", lambda _: [planted_violation()]
    )
    seed = next(s for s in range(SEEDS) if len(draw(s, PROFILES["migrate"]).mishaps) >= 4)
    failure = Failure("migrate", seed, False, (planted_violation(),))
    plan = shrink(failure, within_s=WITHIN_S).plan
    assert ((), (), ()) == (plan.mishaps, plan.liars, plan.disturbed)
    assert (0, 0, 0, False) == (plan.loss, plan.repeat, plan.slow, plan.drifts)
    assert (1, 1, 1) == (plan.size, plan.zones, plan.agents)
    assert {"step"} == set(plan.wishes)


def planted_violation() -> Violation:
    return Violation("no effect twice", "planted")


# What makes it possible: leaving one thing out leaves the others what they were


def eventful(mishaps: int) -> Plan:
    profile = PROFILES["migrate"]
    seeds = (draw(seed, profile) for seed in range(SEEDS))
    return next(plan for plan in seeds if len(plan.mishaps) >= mishaps)


def mishaps_of(plan: Plan) -> dict[str, set[str]]:
    schedule, _ = run_plan(plan.seed, PROFILES["migrate"], plan, tells=True)
    assert schedule.simulator.trace is not None
    lines = [line for line in schedule.simulator.trace if line.is_fault]
    return {f"{line.at_ms:.3f}": {line.text} for line in lines}


def test_a_plan_without_one_mishap_has_the_others_when_they_were() -> None:
    plan = eventful(4)
    less = replace(plan, mishaps=plan.mishaps[1:])
    kept = {f"{mishap.at_ms:.3f}" for mishap in less.mishaps}
    before, after = mishaps_of(plan), mishaps_of(less)
    first = [at for at in kept if at in before and at in after]
    assert first
    assert f"{plan.mishaps[0].at_ms:.3f}" not in after


def test_messages_before_a_mishap_fare_the_same_without_it() -> None:
    plan = eventful(4)
    first = min(plan.mishaps, key=lambda mishap: mishap.at_ms)
    traces = []
    for tried in (plan, replace(plan, mishaps=())):
        schedule, _ = run_plan(plan.seed, PROFILES["migrate"], tried, tells=True)
        assert schedule.simulator.trace is not None
        traces.append([str(x) for x in schedule.simulator.trace if x.at_ms < first.at_ms])
    assert traces[0] == traces[1] != []


def test_a_disturbed_message_can_be_named() -> None:
    """The weather by chance, and the same messages by name, make the same run."""
    profile = PROFILES["crowded"]
    plans = (draw(seed, profile) for seed in range(SEEDS))
    plan = next(plan for plan in plans if plan.loss and plan.repeat and plan.slow)
    by_chance, _ = run_plan(plan.seed, profile, plan)
    disturbed = tuple(Disturbed(*each) for each in by_chance.simulator.disturbed)
    assert {"lost", "repeated"} <= {each.how for each in disturbed}
    named = replace(plan, loss=0.0, repeat=0.0, slow=0.0, disturbed=disturbed)
    by_name, _ = run_plan(plan.seed, profile, named)
    assert checksum(by_chance) == checksum(by_name)
