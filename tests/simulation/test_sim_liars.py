"""Liars in schedules: within the bound they break nothing, above it they are named, and elsewhere they reach nobody.

And the check of the checks: each kind does its deed, and what liars would bring about if one check were missing is
noticed.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.protocol import anchor as rulings
from sojourn.core.protocol import custody, decree, validate
from sojourn.core.protocol.dossier import CastVote, OpenSlot
from sojourn.core.protocol.messages import Propose
from sojourn.core.quorum import certificates
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.votes import Ballot, Slot
from sojourn.testing.checkers import blame, culprits
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation
from sojourn.testing.schedules.liars.choice import is_above
from sojourn.testing.schedules.liars.kinds import ANCHORS, HOSTS
from sojourn.testing.schedules.plan import draw
from sojourn.testing.schedules.profile import PROFILES
from sojourn.testing.schedules.running import run_plan
from sojourn.testing.schedules.scene import locks, scene
from sojourn.testing.schedules.schedule import Schedule

WITHIN = ("liars", "contested")
FORKING = ("above", "besieged")
MANY = 10_000


@dataclass
class Seen:
    """What came of some seeds of a profile."""

    broken: dict[int, list[Violation]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    forked: int = 0
    proofs: Counter[str] = field(default_factory=Counter)
    unexposed: int = 0


@cache
def seen(profile: str, count: int, first: int = 0) -> Seen:
    """Run so many seeds of a profile, once for all tests that ask what came of them."""
    return _run(profile, range(first, first + count))


def _run(profile: str, seeds: Iterable[int]) -> Seen:
    found = Seen()
    for seed in seeds:
        schedule, violations = run_plan(seed, PROFILES[profile])
        if violations:
            found.broken[seed] = violations
        found.counts.update(schedule.simulator.counts)
        if schedule.above:
            _note_forks(found, schedule)
    return found


def _note_forks(found: Seen, schedule: Schedule) -> None:
    commits = schedule.certificates()
    slots = culprits.forked(commits)
    found.forked += bool(slots)
    shown = {**locks(schedule.scene), **schedule.simulator.history.certificates}
    for slot in slots:
        found.proofs.update(_kinds(slot, commits, shown))
    decisions = Decisions(schedule.simulator.history, schedule.scene.manifests)
    found.unexposed += len(schedule.scene.agents) - len(schedule.exposed(decisions))


def _kinds(slot: Slot, commits: list[Certificate], shown: dict[bytes, Certificate]) -> list[str]:
    """Return the kinds of the proofs against a slot's culprits: their words without the rounds."""
    proofs = culprits.culprits(slot, commits, shown).values()
    return [" ".join(word for word in proof.split() if not word.isdigit()) for proof in proofs]


# Within the bound


@pytest.mark.parametrize("profile", WITHIN)
def test_p1_to_p6_hold_in_spite_of_as_many_liars_as_are_tolerated(profile: str) -> None:
    assert {} == seen(profile, 300).broken


@pytest.mark.soak
@pytest.mark.parametrize("profile", [*WITHIN, *FORKING, "captured"])
def test_p1_to_p6_hold_in_spite_of_liars_for_long(profile: str) -> None:
    assert {} == seen(profile, MANY, 1_000).broken


def test_every_kind_of_lie_is_told() -> None:
    """Also those that need a rare moment: an anchor that starts again, a round that a liar leads."""
    counts = Counter(seen("liars", 300).counts)
    for profile, count in (
        ("contested", 300),
        ("above", 200),
        ("captured", 80),
        ("letters", 40),
        ("orders", 40),
    ):
        counts += seen(profile, count).counts
    told = {what.removeprefix("liar: ") for what in counts if what.startswith("liar: ")}
    assert {*ANCHORS, *HOSTS} <= told
    assert counts["liar: contradicted itself"] > 100


def test_liars_are_at_most_as_many_as_a_zone_tolerates() -> None:
    for name in (*WITHIN, "migrate", "sizes", "crowded"):
        for seed in range(100):
            plan = draw(seed, PROFILES[name])
            assert set() == is_above(plan.liars, plan.size)


def test_liars_lie_to_the_honest_and_are_noticed() -> None:
    """Forged votes, certificates, heads and pasts are declined for what they are."""
    counts = seen("liars", 300).counts + seen("contested", 500).counts
    declined = {
        "bad-signature",
        "duplicate-signer",
        "no-quorum",
        "wrong-epoch",
        "wrong-key",
        "wrong-leader",
        "wrong-phase",
        "wrong-zone",
        "wrong-author",
        "no-intent",
        "denied",
        "bad-change",
    }
    assert declined <= {what.removeprefix("declined: ") for what in counts}
    assert {"lie: bad-signature", "lie: wrong-epoch", "lie: wrong-value"} <= counts.keys()


# Above it


@pytest.mark.parametrize(("profile", "least"), [("above", 60), ("besieged", 15)])
def test_p5_a_fork_names_f_plus_1_culprits_and_nobody_honest(profile: str, least: int) -> None:
    """Whoever is named lied, and enough are named: in all runs, forked or not."""
    found = seen(profile, 200)
    assert {} == found.broken
    assert found.forked >= least


def test_section_11_culprits_of_forks_over_rounds_are_named_by_what_they_lean_on() -> None:
    proofs = seen("besieged", 200).proofs
    assert proofs["commit in round and commit in round"] > 10
    assert proofs["commit in round and lock in round"] > 10


def test_section_11_who_commits_to_what_nobody_locked_is_named() -> None:
    """A zone of liars needs no locks to certify two futures: then it has none to show."""
    assert seen("captured", 80).proofs["a commit vote in round for what nobody locked"] > 10


# Elsewhere


def test_section_0_a_captured_zone_reaches_only_whom_it_holds_or_held() -> None:
    found = seen("captured", 80)
    assert {} == found.broken
    assert found.forked > 10, "it never forked what it held"
    assert found.unexposed > 80, "every agent was its own"


# The check of the check


def _second_lock_vote(right: Any) -> Any:
    def lock_vote(state: OpenSlot, ask: Propose, index: int) -> tuple[OpenSlot, CastVote]:
        return right(replace(state, lock_voted=None), ask, index)  # type: ignore[no-any-return]

    return lock_vote


def _talkative(right: Any) -> Any:
    return lambda state, *rest: right(replace(state, round_voted=None), *rest)


def _nothing(right: Any) -> Any:
    return lambda *_args, **_named: None


def _always(right: Any) -> Any:
    return lambda *_args: True


PLANTS: list[tuple[str, list[tuple[Any, str, Callable[[Any], Any]]], str, str]] = [
    (
        "votes twice",
        [(decree, "may_lock", _always), (decree, "lock_vote", _second_lock_vote)],
        "contested",
        "honest never blamed",
    ),
    ("signatures unread", [(certificates, "check_vote", _nothing)], "liars", "no "),
    ("certificates unread", [(Certificate, "check", _nothing)], "liars", "no "),
    ("policies unread", [(validate, "_permit", _nothing)], "liars", "nothing unpermitted"),
    ("authors unread", [(validate, "_check_author", _nothing)], "liars", "nothing unentitled"),
    ("changes unread", [(validate, "check_transition", _nothing)], "liars", "nothing unentitled"),
    ("unlocks at will", [(decree, "is_unlocked_for", _always)], "contested", "honest never"),
    ("tells new locks", [(decree, "round_vote", _talkative)], "contested", "honest never"),
    ("warrants unread", [(rulings, "check_family", _nothing)], "captured", "no contagion"),
    (
        "code exchanged",  # from one certificate to the next, and against what the agent was born with
        [(custody, "check_constant", _nothing), (custody, "check_authorised", _nothing)],
        "captured",
        "no contagion",
    ),
]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant[0])
def test_trap_53_without_one_check_liars_break_a_promise(
    plant: tuple[str, list[tuple[Any, str, Callable[[Any], Any]]], str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, places, profile, promise = plant
    _make_scenes(profile)
    for owner, name, wrong in places:
        monkeypatch.setattr(owner, name, wrong(getattr(owner, name)))
    for seed in range(600):
        _, violations = run_plan(seed, PROFILES[profile])
        if any(each.promise.startswith(promise) for each in violations):
            return
    pytest.fail(f"not found in {profile}")


def _make_scenes(profile: str) -> None:
    """Make what schedules begin with while the code is right: others use it, too."""
    for seed in range(40):
        plan = draw(seed, PROFILES[profile])
        scene(plan.size, plan.zones, plan.variant, plan.agents)


def test_trap_53_without_the_locks_under_commits_a_captured_zone_is_not_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two decisions of rounds that differ, and no lock anywhere: no two votes of theirs contradict each other."""
    right = culprits._proof

    def forgiving(ballots: list[Ballot], shown: dict[bytes, Certificate], _: object) -> str:
        return right(ballots, shown, {(ballot.round, ballot.value) for ballot in ballots})

    monkeypatch.setattr(culprits, "_proof", forgiving)
    broken = _run("captured", range(80)).broken
    assert {"accountable"} == {each.promise for found in broken.values() for each in found}


def test_trap_53_if_every_vote_counts_as_explained_too_few_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blame, "_is_explained", _always(None))
    found = _run("besieged", range(100))
    assert any(
        violation.promise == "accountable"
        for broken in found.broken.values()
        for violation in broken
    )
