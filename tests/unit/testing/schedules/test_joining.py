"""Encodings joined from their parts are the canonical ones, to the byte."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from sojourn.core.base.encoding import Value, encode
from sojourn.core.protocol.custody import Chapter
from sojourn.core.quorum.votes import Ballot, Phase
from sojourn.testing.schedules.joining import COMPOSED, joined
from sojourn.testing.schedules.profile import PROFILES
from sojourn.testing.schedules.running import run_plan
from sojourn.testing.schedules.scene import scene
from sojourn.testing.schedules.schedule import Schedule


def _of_run(schedule: Schedule) -> Iterator[Value]:
    """Yield values of every kind that is joined, as they came about in a run."""
    history = schedule.simulator.history
    for proposal in history.proposals.values():
        yield from (proposal, proposal.transition, proposal.transition.record)
    for cast in history.cast:
        yield cast.vote.ballot
    for applied in history.applied:
        yield applied.certified
    for anchor in schedule.anchors:
        yield from anchor.disk.content.chapters.values()


@pytest.mark.parametrize("profile", ["migrate", "liars"])
def test_whatever_comes_about_in_a_run_is_joined_as_it_is_encoded(profile: str) -> None:
    kinds = set()
    for seed in range(6):
        for value in _of_run(run_plan(seed, PROFILES[profile])[0]):
            kinds.add(type(value))
            assert joined(value, encode) == encode(value)
    assert kinds == COMPOSED


@pytest.mark.parametrize(
    "number", [0, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**63 - 1]
)
def test_numbers_of_every_width_are_written_as_short_as_they_can_be(number: int) -> None:
    slot = scene(4, 3, 0).agents[0].head.certificate.slot
    ballot = Ballot(
        slot=slot, round=number, phase=Phase.LOCK, value=bytes(32), anchor=0, counter=number
    )
    assert joined(ballot, encode) == encode(ballot)


@pytest.mark.parametrize("length", [0, 1, 23, 24, 255, 256, 1024])
def test_texts_of_every_length_are_written_as_they_are_encoded(length: int) -> None:
    said = replace(scene(4, 3, 0).agents[0].head.transition, reason="ä" * length)
    assert joined(said, encode) == encode(said)


def test_what_is_absent_from_the_bytes_is_left_out_and_what_is_there_is_not() -> None:
    opened = scene(4, 3, 0).agents[0].head
    for chapter in (Chapter(opened=opened), Chapter(opened=opened, origin=opened)):
        assert joined(chapter, encode) == encode(chapter)
