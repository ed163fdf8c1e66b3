"""How fast one agent may go on (protocol §4 check 15): a burst, then a rate; never what others wait for."""

import pytest
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Refused
from sojourn.core.base.limits import VERSIONS_BURST, VERSIONS_PER_S
from sojourn.core.protocol import rates
from sojourn.core.protocol.messages import Declined, Voted
from sojourn.core.protocol.rates import RateBook
from sojourn.core.quorum.votes import Phase
from tests.rulings import World
from tests.unit.core.protocol.stage import Stage

AGENT, OTHER = digest(b"agent"), digest(b"other")


def taken(book: RateBook, agent: bytes, now_ms: int, most: int = 10_000) -> int:
    """Return how many versions a book lets pass at one moment."""
    for count in range(most):
        try:
            book.check(agent, now_ms)
        except Refused:
            return count
        book.note(agent, now_ms)
    return most


def test_a_burst_passes_and_then_so_many_a_second() -> None:
    book = RateBook()
    assert VERSIONS_BURST == taken(book, AGENT, 0)
    assert 0 == taken(book, AGENT, 4)
    assert VERSIONS_PER_S == taken(book, AGENT, 1_000)
    assert VERSIONS_BURST == taken(book, OTHER, 1_000)
    assert VERSIONS_BURST == taken(book, AGENT, 100_000)


def test_trap_50_the_book_forgets_whoever_has_rested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_BOOK_MAX", 10)
    book = RateBook()
    assert VERSIONS_BURST == taken(book, AGENT, 0)
    for number in range(1_000):
        book.note(digest(b"%d" % number), number)
    assert len(book._busy_until_ms) <= 21
    assert 999 // 5 == taken(book, AGENT, 999)  # who has not is not forgiven


def test_trap_50_whoever_has_rested_is_forgotten_to_the_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rates, "_BOOK_MAX", 1)
    each_ms = 1000 // VERSIONS_PER_S
    for now_ms, kept in ((each_ms - 1, {AGENT, OTHER}), (each_ms, {OTHER})):
        book = RateBook()
        book.note(AGENT, 0)
        book.note(OTHER, now_ms)
        assert kept == set(book._busy_until_ms)


def test_who_has_rested_is_looked_for_only_when_there_are_twice_as_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else every version of a busy anchor would cost a look at all its agents."""
    monkeypatch.setattr(rates, "_BOOK_MAX", 10)
    looked: list[int] = []

    class Book(RateBook):
        def _forget_idle(self, now_ms: int) -> None:
            looked.append(len(self._busy_until_ms))
            super()._forget_idle(now_ms)

    book = Book()
    for number in range(200):
        book.note(digest(b"%d" % number), 0)
    assert [11, 23, 47, 95, 191] == looked


def exhausted(stage: Stage) -> None:
    """Let the agent have used up its burst at every anchor, except for what time gives it back."""
    for anchor in stage.zone.anchors:
        taken(anchor.rates, stage.agent, stage.world.clock.boot_ms)


def test_section_4_check_15_who_goes_on_too_fast_is_refused_for_now() -> None:
    stage = Stage()
    exhausted(stage)
    reply = stage.propose(0, stage.x)
    assert isinstance(reply, Declined)
    assert (True, "refused") == (reply.for_now, reply.reason)
    assert f"{VERSIONS_PER_S} a second" in reply.problem
    assert stage.anchor().dossier(stage.agent).open is None
    stage.world.clock.pass_ms(1000 // VERSIONS_PER_S)
    assert isinstance(stage.propose(0, stage.x), Voted)


def test_section_4_check_15_every_version_counts_and_only_once() -> None:
    stage = Stage()
    book = stage.anchor().rates
    left = VERSIONS_BURST - 1
    for _ in range(3):
        assert isinstance(stage.propose(0, stage.x), Voted)  # the same again is no other version
    assert left == taken(book, stage.agent, stage.world.clock.boot_ms)


def test_section_4_check_15_what_is_locked_is_never_held_up() -> None:
    stage = Stage()
    entry = stage.left(0)
    late = stage.anchor(3)  # it has seen nothing of the slot
    late.dossiers[stage.agent] = replace(late.dossier(stage.agent), open=None)
    exhausted(stage)
    assert isinstance(stage.propose(3, stage.x, 1, entry=entry), Declined)
    lock = stage.certificate(stage.x, Phase.LOCK)
    assert isinstance(stage.propose(3, stage.x, 1, entry=entry, justification=lock), Voted)


def test_section_4_check_15_a_slot_that_is_open_counts_no_more() -> None:
    """So whoever leads a later round is not held up by what the agent did before."""
    stage = Stage()
    entry = stage.left(0)
    exhausted(stage)
    assert isinstance(stage.propose(0, stage.x, 1, entry=entry), Voted)


def test_section_4_check_15_nobody_else_is_held_up_by_an_agent_in_a_hurry() -> None:
    world = World("a")
    a = world.zones[0]
    born = world.decide(a, world.genesis(a))
    for anchor in a.anchors:
        taken(anchor.rates, born.record.agent_id, world.clock.boot_ms)
    head = world.bind(a, born)  # a bind is no step
    assert head.record.custody.host is not None
