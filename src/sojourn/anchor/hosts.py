"""The hosts of a zone, as one anchor sees them: over which connection each is told of work, and who wants whom.

An agent wants the host that it is bound to or that its visa names, or any host; or none, if only a message can
wake it. That is kept in memory for all agents, so that a host asks for work without every dossier being read.
"""

import heapq
import random
from collections.abc import Iterable, Sequence
from typing import Final

from sojourn.anchor.slips import ANY_HOST, Want, want_of
from sojourn.core.agent.eligibility import ENDED, Status
from sojourn.core.agent.record import Fence
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import SojournError
from sojourn.core.base.limits import CLOCK_SKEW_MS, HOSTS_MAX
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.exchange import Work, WorkItem
from sojourn.runtime.transport import Connection

__all__ = ["GONE", "Hosts", "Wanted"]

GONE: Final = frozenset({Status.DEPARTED, *ENDED})
"""Statuses in which an agent is no longer here, or no longer at all."""
_AHEAD_MS: Final = 2 * CLOCK_SKEW_MS + 60_000
"""So long before an agent wakes hosts are told of it: they ask every quarter of a minute, by other clocks."""
_STALE_MAX: Final = 64


class Hosts:
    """Connections of hosts, by their keys."""

    def __init__(self) -> None:
        """Begin with none."""
        self._connections: dict[bytes, Connection] = {}

    def note(self, host: bytes, connection: Connection) -> bool:
        """Remember over which connection a host can be told of work; tell whether it is another than before."""
        if self._connections.get(host) is connection:
            return False
        if len(self._connections) >= HOSTS_MAX:
            self._connections = {h: c for h, c in self._connections.items() if not c.is_closed}
        if len(self._connections) < HOSTS_MAX or host in self._connections:
            self._connections[host] = connection
        return True

    def is_connected(self, host: bytes | None) -> bool:
        """Tell whether a host can be told of work."""
        connection = self._connections.get(host or ANY_HOST)
        return connection is not None and not connection.is_closed

    def offer(self, hosts: Iterable[bytes], item: WorkItem) -> None:
        """Tell hosts of work; one that is gone or slow learns of it when it asks."""
        told = [host for host in hosts if host in self._connections]
        notice = encode(Work(items=(item,))) if told else b""
        for host in told:
            try:
                self._connections[host].notify(notice)
            except SojournError:
                del self._connections[host]


class Wanted:
    """Which agents want which host."""

    def __init__(self, zone: bytes, chance: random.Random | None = None) -> None:
        """Begin with no agent. `zone` is the one whose hosts are wanted."""
        self._zone = zone
        self._chance = chance or random.Random()  # noqa: S311 - whom to tell first; nothing secret
        self._wants: dict[bytes, Want] = {}
        self._agents: dict[bytes, dict[bytes, None]] = {}  # in the order they came
        self._later: list[tuple[int, bytes]] = []

    def note(self, dossier: Dossier) -> None:
        """Take in what an agent's dossier says now."""
        self.note_want(dossier.agent, want_of(dossier, self._zone))

    def note_want(self, agent: bytes, now: Want | None) -> None:
        """Take in which host an agent wants now, if any."""
        before = self._wants.get(agent)
        if before == now:
            return
        if before is not None:
            del self._wants[agent]
            told = self._agents.get(before.host, {})
            told.pop(agent, None)
            if not told:
                self._agents.pop(before.host, None)
        if now is None:
            return
        self._wants[agent] = now
        if now.from_ms:
            heapq.heappush(self._later, (now.from_ms, agent))
            if len(self._later) > 2 * len(self._wants) + _STALE_MAX:
                self._later = [(w.from_ms, a) for a, w in self._wants.items() if w.from_ms]
                heapq.heapify(self._later)
        else:
            self._agents.setdefault(now.host, {})[agent] = None

    def by(self, host: bytes, now_ms: int) -> Sequence[tuple[bytes, Fence | None]]:
        """Return the agents that want this host, or any, each with its fence, or None if it is to arrive.

        One that sleeps is among them only shortly before it wakes, `now_ms` being wall time: of a hundred thousand
        a host that has just started need not hear. In another order each time: where not all can be told at once,
        none is always last.
        """
        while self._later and self._later[0][0] <= now_ms + _AHEAD_MS:
            from_ms, agent = heapq.heappop(self._later)
            want = self._wants.get(agent)
            if want is not None and want.from_ms == from_ms:
                self._agents.setdefault(want.host, {})[agent] = None
        agents = [*self._agents.get(host, ()), *self._agents.get(ANY_HOST, ())]
        self._chance.shuffle(agents)
        return [(agent, self._wants[agent].fence) for agent in agents]
