"""What is remembered in a schedule changes nothing but how long it takes."""

import pytest

from sojourn.core.base import encoding
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol import duties, validate
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.votes import Phase
from sojourn.testing.schedules.profile import PROFILES
from sojourn.testing.schedules.remembering import remembered
from sojourn.testing.schedules.running import checksum, run_plan
from sojourn.testing.schedules.scene import scene
from sojourn.testing.schedules.schedule import Schedule
from sojourn.testing.schedules.seals import ideal_signatures


@pytest.mark.parametrize("profile", ["migrate", "liars", "above"])
def test_a_run_is_the_same_without_remembering(profile: str) -> None:
    for seed in range(4):
        schedule, broken = run_plan(seed, PROFILES[profile])
        with ideal_signatures():
            plain = Schedule(seed, PROFILES[profile])
            assert plain.run() == broken
        assert checksum(plain) == checksum(schedule)


def test_functions_are_themselves_again_afterwards() -> None:
    before = encoding.encode, validate.check_size, Certificate.check
    with remembered():
        assert (encoding.encode, validate.check_size, Certificate.check) != before
    assert (encoding.encode, validate.check_size, Certificate.check) == before


def test_a_bug_that_is_planted_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(context: bytes, members: list[bytes]) -> list[bytes]:
        return members

    monkeypatch.setattr(duties, "rank", wrong)
    with remembered():
        assert duties.rank is wrong


def test_what_does_not_hold_is_looked_at_again_and_for_nobody_else() -> None:
    made = scene(4, 3, 0)
    agent = made.agents[0]
    shown = agent.head.certificate
    here, there = (zone.manifest.committee for zone in list(made.zones.values())[:2])
    with ideal_signatures(), remembered():
        for _ in range(2):
            shown.check(Phase.COMMIT, here)
            with pytest.raises(Rejected):
                shown.check(Phase.LOCK, here)
            with pytest.raises(Rejected):
                shown.check(Phase.COMMIT, there)
