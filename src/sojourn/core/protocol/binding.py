"""Binding: leases of hosts, as anchors grant them and as hosts count them; and who may bind next.

The promise (protocol §6, P4): a host stops itself before a quorum could have bound another. An anchor counts
from when it received a heartbeat, a host from when it sent the one that a quorum acknowledged; each allows
for the other's clock running wrong by rho. State is fenced whatever clocks do; only "two honest hosts
execute at once" leans on them. Times are milliseconds of the reader's own CLOCK_BOOTTIME.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from sojourn.core.agent.capabilities import mismatches
from sojourn.core.agent.record import AgentRecord, Fence
from sojourn.core.base.encoding import Count, Digest, PublicKey, Value
from sojourn.core.base.limits import CLOCK_DRIFT, HOST_MARGIN
from sojourn.core.zone.envelope import Envelope

__all__ = [
    "Claim",
    "Heartbeat",
    "HeartbeatReply",
    "HostLease",
    "LeaseBook",
    "away_ms",
    "candidates",
    "rank",
]


class Claim(Value):
    """One agent a host acts for, and under which fence."""

    agent: Digest
    term: Count
    binding: Count

    @property
    def fence(self) -> Fence:
        """The pair (term, binding)."""
        return (self.term, self.binding)


class Heartbeat(Value, tag_field="kind", tag="heartbeat"):
    """A host's renewal for all agents it acts for. `sequence` rises with every heartbeat."""

    host: PublicKey
    sequence: Count
    claims: tuple[Claim, ...]


class HeartbeatReply(Value, tag_field="kind", tag="heartbeat-reply"):
    """Acknowledges a heartbeat, but for the agents in `declined`: their lease is not renewed here."""

    sequence: Count
    declined: tuple[Digest, ...] = ()


class LeaseBook:
    """An anchor's leases: until when the bound host of each agent may still be acting.

    `started_ms` is when this anchor started: what it promised before is forgotten, so until a lease's length
    after that every lease counts as unexpired (protocol §6).
    """

    def __init__(self, lease_ms: int, started_ms: int) -> None:
        """Start with no leases known."""
        self._length_ms = int(lease_ms * (1 + CLOCK_DRIFT)) + 1
        self._floor_ms = started_ms + self._length_ms
        self._until: dict[bytes, tuple[Fence, int]] = {}

    def renew(self, agent: bytes, fence: Fence, now_ms: int) -> None:
        """Count the lease of the head's fence from now."""
        self._until[agent] = (fence, now_ms + self._length_ms)

    def until_ms(self, agent: bytes, fence: Fence) -> int:
        """Return until when the host with this fence may still be acting."""
        known = self._until.get(agent)
        return max(self._floor_ms, known[1]) if known and known[0] == fence else self._floor_ms

    def is_live(self, agent: bytes, fence: Fence, now_ms: int) -> bool:
        """Tell whether this anchor granted a lease to this fence that has not run out.

        Unlike `until_ms` this needs a heartbeat seen: it is the check of an acting host, not of a rival.
        """
        known = self._until.get(agent)
        return known is not None and known[0] == fence and now_ms < known[1]

    def forget(self, agent: bytes) -> None:
        """Drop what is known of an agent that left or ended."""
        self._until.pop(agent, None)


class HostLease:
    """A host's own count of its leases: for each agent, until when it may act.

    It acts while at least a quorum of anchors acknowledged a heartbeat, counted from when the oldest of those
    heartbeats was *sent*, less drift and a margin to stop in.
    """

    def __init__(self, lease_ms: int, n: int, quorum: int) -> None:
        """Start with no lease. `lease_ms` is the zone's D."""
        self._length_ms = lease_ms * (1 - CLOCK_DRIFT) * (1 - HOST_MARGIN)
        self._n, self._quorum = n, quorum
        self._sent: dict[int, tuple[int, dict[bytes, Fence]]] = {}
        self._acknowledged: dict[bytes, tuple[Fence, list[int]]] = {}
        self._declining: dict[tuple[bytes, Fence], set[int]] = {}

    def sent(self, heartbeat: Heartbeat, now_ms: int) -> None:
        """Remember a heartbeat as sent at `now_ms`, before it is sent.

        Forgets those too old to count, and agents that it does not claim: an answer to an earlier heartbeat may
        have brought them back.
        """
        claims = {claim.agent: claim.fence for claim in heartbeat.claims}
        for agent in self._acknowledged.keys() - claims.keys():
            self.forget(agent)
        for agent, fence in self._declining.keys() - claims.items():
            del self._declining[agent, fence]
        self._sent[heartbeat.sequence] = (now_ms, claims)
        expired = [s for s, (at, _) in self._sent.items() if now_ms - at > self._length_ms]
        for sequence in expired:
            del self._sent[sequence]

    def acknowledged(self, anchor: int, reply: HeartbeatReply) -> None:
        """Count one anchor's acknowledgement; repeated, late or unknown ones do no harm."""
        if reply.sequence not in self._sent:
            return
        sent_ms, claims = self._sent[reply.sequence]
        declined = set(reply.declined)
        for agent, fence in claims.items():
            if agent in declined:
                self._declining.setdefault((agent, fence), set()).add(anchor)
                continue
            self._declining.get((agent, fence), set()).discard(anchor)
            known = self._acknowledged.get(agent)
            if known is not None and known[0] > fence:
                continue  # an answer to a heartbeat from before the present binding
            if known is None or known[0] != fence:
                known = (fence, [-1] * self._n)
                self._acknowledged[agent] = known
            known[1][anchor] = max(known[1][anchor], sent_ms)

    def until_ms(self, agent: bytes, fence: Fence) -> float:
        """Return until when this host may act for `agent` under `fence`; 0 if it never could."""
        known = self._acknowledged.get(agent)
        if known is None or known[0] != fence:
            return 0
        oldest = sorted(known[1], reverse=True)[self._quorum - 1]
        return oldest + self._length_ms if oldest >= 0 else 0

    def is_held(self, agent: bytes, fence: Fence, now_ms: int) -> bool:
        """Tell whether this host may act now."""
        return now_ms < self.until_ms(agent, fence)

    def is_declined(self, agent: bytes, fence: Fence) -> bool:
        """Tell whether an anchor last declined to renew this fence."""
        return bool(self._declining.get((agent, fence)))

    def is_withheld(self, agent: bytes, fence: Fence) -> bool:
        """Tell whether an anchor last declined to renew this fence, and fewer than a quorum ever renewed it.

        Who is silent counts with those that decline: up to f anchors may be gone for good (protocol §6.10).
        """
        renewing = self._renewing(agent, fence) - self._declining.get((agent, fence), set())
        return self.is_declined(agent, fence) and len(renewing) < self._quorum

    def _renewing(self, agent: bytes, fence: Fence) -> set[int]:
        known = self._acknowledged.get(agent)
        if known is None or known[0] != fence:
            return set()
        return {anchor for anchor, sent_ms in enumerate(known[1]) if sent_ms >= 0}

    def forget(self, agent: bytes) -> None:
        """Drop the lease of an agent this host no longer acts for."""
        self._acknowledged.pop(agent, None)
        for key in [key for key in self._declining if key[0] == agent]:
            del self._declining[key]


def away_ms(lease_ms: int) -> float:
    """Return after what time nothing of a lease that its host claims no longer runs at any anchor (§6.10)."""
    return lease_ms * (1 + 2 * CLOCK_DRIFT)


def candidates(record: AgentRecord, envelopes: Mapping[bytes, Envelope]) -> Sequence[bytes]:
    """Return the hosts that could run an agent, as they state, in the order of its next binding (protocol §6.6)."""
    requires, custody = record.capabilities.requires, record.custody
    fence = custody.term.to_bytes(8, "big") + (custody.binding + 1).to_bytes(8, "big")
    able = [host for host, e in envelopes.items() if not mismatches(requires, e.offer)]
    return rank(record.agent_id + fence, able)


def rank(context: bytes, members: Iterable[bytes]) -> Sequence[bytes]:
    """Return members in rendezvous order for `context`: lowest hash first, the same everywhere.

    Source: Thaler and Ravishankar, "A name-based mapping scheme for rendezvous" (1996).
    """
    return sorted(members, key=lambda member: hashlib.sha256(context + member).digest())
