"""The hosts of a zone, as one anchor sees them: over which connection each is told of work, and who wants whom.

An agent wants the host that it is bound to or that its visa names, or any host; or none, if only a message can
wake it. That is kept in memory for all agents, so that a host asks for work without every dossier being read.
"""

import random
from collections.abc import Iterable, Sequence
from typing import Final

from sojourn.core.agent.eligibility import ENDED, Status
from sojourn.core.agent.record import Fence
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import SojournError
from sojourn.core.base.limits import HOSTS_MAX
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.exchange import Work, WorkItem
from sojourn.runtime.transport import Connection

__all__ = ["GONE", "Hosts", "Wanted"]

GONE: Final = frozenset({Status.DEPARTED, *ENDED})
"""Statuses in which an agent is no longer here, or no longer at all."""
_ANY: Final = b""


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
        connection = self._connections.get(host or _ANY)
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
        self._wants: dict[bytes, tuple[bytes, Fence | None]] = {}
        self._agents: dict[bytes, dict[bytes, None]] = {}  # in the order they came

    def note(self, dossier: Dossier) -> None:
        """Take in what an agent's dossier says now."""
        agent = dossier.agent
        before, now = self._wants.get(agent), _want(dossier, self._zone)
        if before == now:
            return
        if before is not None:
            self._agents[before[0]].pop(agent, None)
            if not self._agents[before[0]]:
                del self._agents[before[0]]
            del self._wants[agent]
        if now is not None:
            self._agents.setdefault(now[0], {})[agent] = None
            self._wants[agent] = now

    def by(self, host: bytes) -> Sequence[tuple[bytes, Fence | None]]:
        """Return the agents that want this host, or any, each with its fence, or None if it is to arrive.

        In another order each time: where not all can be told at once, none is always last.
        """
        agents = [*self._agents.get(host, ()), *self._agents.get(_ANY, ())]
        self._chance.shuffle(agents)
        return [(agent, self._wants[agent][1]) for agent in agents]


def _want(dossier: Dossier, zone: bytes) -> tuple[bytes, Fence | None] | None:
    """Return the host that an agent wants, `_ANY` for any, and its fence; None if it wants none."""
    if dossier.arrival is not None:
        return dossier.arrival.arrive.visa.terms.host, None
    head = dossier.head
    if head is None or head.record.custody.zone != zone:
        return None
    eligibility, custody = head.record.eligibility, head.record.custody
    if not eligibility.is_acting:
        return None
    if eligibility.status is Status.DORMANT and all(w.at_ms is None for w in eligibility.wake):
        return None
    return custody.host or _ANY, custody.fence
