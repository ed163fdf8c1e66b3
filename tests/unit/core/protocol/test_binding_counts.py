"""Leases to the millisecond, and who declines to renew one (protocol §6)."""

import hashlib

import pytest
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.limits import CLOCK_DRIFT
from sojourn.core.protocol.binding import (
    Claim,
    Heartbeat,
    HeartbeatReply,
    HostLease,
    LeaseBook,
    away_ms,
)
from sojourn.core.protocol.binding import candidates as candidates_of
from tests.rulings import World

AGENT, HOST = digest(b"agent"), digest(b"host")
OLD, NEW = (2, 1), (2, 2)


def beat(sequence: int, fence: tuple[int, int] = OLD) -> Heartbeat:
    claim = Claim(agent=AGENT, term=fence[0], binding=fence[1])
    return Heartbeat(host=HOST, sequence=sequence, claims=(claim,))


def reply(sequence: int, *declined: bytes) -> HeartbeatReply:
    return HeartbeatReply(sequence=sequence, declined=declined)


def test_section_6_a_host_counts_its_lease_shorter_and_an_anchor_longer_than_it_is() -> None:
    """By rho each, and the host by its margin as well: 2 s are 1798.2 ms here and 2002 there."""
    lease, book = HostLease(2_000, n=4, quorum=3), LeaseBook(2_000, started_ms=0)
    lease.sent(beat(1), 0)
    for anchor in (0, 1, 3):
        assert 0 == lease.until_ms(AGENT, OLD)
        lease.acknowledged(anchor, reply(1))
    until_ms = lease.until_ms(AGENT, OLD)
    assert pytest.approx(1_798.2) == until_ms
    assert lease.is_held(AGENT, OLD, int(until_ms))
    assert not HostLease(0, n=4, quorum=3).is_held(AGENT, OLD, 0)
    book.renew(AGENT, OLD, 10_000)
    assert 12_002 == book.until_ms(AGENT, OLD)
    assert 2_002 == book.until_ms(AGENT, NEW)
    assert book.is_live(AGENT, OLD, 12_001) and not book.is_live(AGENT, OLD, 12_002)


def test_section_6_a_lease_is_over_at_the_moment_it_ends() -> None:
    lease = HostLease(2_000, n=1, quorum=1)
    lease.sent(beat(1), 500)
    lease.acknowledged(0, reply(1))
    until_ms = lease.until_ms(AGENT, OLD)
    assert lease.is_held(AGENT, OLD, until_ms - 1)  # type: ignore[arg-type]
    assert not lease.is_held(AGENT, OLD, until_ms)  # type: ignore[arg-type]


def test_section_6_an_answer_to_a_heartbeat_from_before_the_present_binding_changes_nothing() -> (
    None
):
    lease = HostLease(2_000, n=1, quorum=1)
    lease.sent(beat(1, OLD), 100)
    lease.sent(beat(2, NEW), 200)
    lease.acknowledged(0, reply(2))
    until_ms = lease.until_ms(AGENT, NEW)
    lease.acknowledged(0, reply(1))
    assert (until_ms, 0) == (lease.until_ms(AGENT, NEW), lease.until_ms(AGENT, OLD))


def test_section_6_an_old_answer_still_renews_the_other_agents_it_was_about() -> None:
    lease = HostLease(2_000, n=2, quorum=2)
    other = Claim(agent=digest(b"other"), term=0, binding=1)
    for sequence, fence, now_ms in ((1, OLD, 100), (2, NEW, 200)):
        sent = beat(sequence, fence)
        lease.sent(replace(sent, claims=(*sent.claims, other)), now_ms)
    lease.acknowledged(0, reply(2))
    lease.acknowledged(1, reply(1))
    assert pytest.approx(1_898.2) == lease.until_ms(other.agent, other.fence)
    assert 0 == lease.until_ms(AGENT, NEW)


def test_section_6_who_is_forgotten_has_no_lease_and_all_others_are_as_they_were() -> None:
    lease = HostLease(2_000, n=1, quorum=1)
    other = Claim(agent=digest(b"other"), term=0, binding=1)
    for sequence, declined in ((1, ()), (2, (AGENT, other.agent))):
        sent = beat(sequence)
        lease.sent(replace(sent, claims=(*sent.claims, other)), 100)
        lease.acknowledged(0, reply(sequence, *declined))
    assert lease.is_held(AGENT, OLD, 100) and lease.is_declined(AGENT, OLD)
    lease.forget(AGENT)
    assert 0 == lease.until_ms(AGENT, OLD) and not lease.is_declined(AGENT, OLD)
    assert lease.is_held(other.agent, other.fence, 100)
    assert lease.is_declined(other.agent, other.fence)


def test_section_6_a_lease_is_withheld_once_those_who_do_not_decline_are_no_quorum() -> None:
    lease = HostLease(2_000, n=4, quorum=3)
    lease.sent(beat(1), 100)
    for anchor in range(4):
        lease.acknowledged(anchor, reply(1))
    for _ in range(2):
        lease.acknowledged(0, reply(1, AGENT))
        assert not lease.is_withheld(AGENT, OLD)
    lease.acknowledged(2, reply(1, AGENT))
    assert lease.is_withheld(AGENT, OLD) and not lease.is_withheld(AGENT, NEW)
    lease.acknowledged(2, reply(1))
    assert not lease.is_withheld(AGENT, OLD), "it has renewed since"


def test_section_6_6_candidates_stand_in_the_order_of_the_next_binding() -> None:
    world = World("a")
    zone = world.zones[0]
    record = world.launch(zone).record
    fence = record.custody.term.to_bytes(8, "big") + (record.custody.binding + 1).to_bytes(8, "big")
    envelopes = world.known.envelopes[zone.zone]
    expected = sorted(
        envelopes, key=lambda host: hashlib.sha256(record.agent_id + fence + host).digest()
    )
    # Enough members that no other order comes out the same by chance.
    [any_envelope, *_] = envelopes.values()
    crowd = {digest(bytes([i])): any_envelope for i in range(24)}
    assert list(expected) == list(candidates_of(record, envelopes))
    assert list(candidates_of(record, crowd)) == sorted(
        crowd, key=lambda host: hashlib.sha256(record.agent_id + fence + host).digest()
    )


def test_section_6_10_nothing_runs_any_more_at_an_anchor_once_a_host_has_stayed_away() -> None:
    book = LeaseBook(3_000, started_ms=0)
    book.renew(AGENT, OLD, 10_000)
    away = int(away_ms(3_000) * (1 + CLOCK_DRIFT)) + 1
    assert book.is_live(AGENT, OLD, 10_000 + away - 9)
    assert not book.is_live(AGENT, OLD, 10_000 + away)


def test_section_6_an_agent_that_was_let_go_is_not_held_again_by_a_late_answer() -> None:
    """The answer to an earlier heartbeat brings it back; the next one, which does not claim it, drops it."""
    lease = HostLease(2_000, n=1, quorum=1)
    lease.sent(beat(1), 500)
    lease.forget(AGENT)
    lease.acknowledged(0, reply(1))
    assert lease.is_held(AGENT, OLD, 600)
    lease.sent(replace(beat(2), claims=()), 600)
    assert not lease.is_held(AGENT, OLD, 600)
