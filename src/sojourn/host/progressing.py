"""Telling the anchors how far an agent is: the newest word, at most once a second, and none without a lease."""

import asyncio
from typing import TYPE_CHECKING, Final

from sojourn.core.base.encoding import digest_of
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.progress import Progress, PutProgress, SignedProgress
from sojourn.runtime.processes import clock

if TYPE_CHECKING:
    from sojourn.host.custody import AgentCustody
    from sojourn.host.server import Host

__all__ = ["Telling"]

_PACE_S: Final = 1.0


class Telling:
    """What one agent's code tells of its progress on this host."""

    def __init__(self, host: "Host", custody: "AgentCustody") -> None:
        """Begin with nothing told."""
        self._host, self._custody = host, custody
        self._newest: Progress | None = None
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, text: str, done: int | None, total: int | None) -> None:
        """Tell this, now or when a second has passed since the last; of what comes meanwhile the newest alone."""
        term, binding = self._custody.fence
        self._newest = Progress(
            agent=self._custody.agent,
            term=term,
            binding=binding,
            told_ms=clock.wall_ms(),
            text=text,
            done=done,
            total=total,
        )
        if self._timer is None:
            self._send()

    def _send(self) -> None:
        self._timer = None
        if self._newest is None or not self._custody.lease_valid():
            return
        told, self._newest = self._newest, None
        key = self._host.key
        signature = key.sign(statement(Kind.PROGRESS, Role.HOST, digest_of(told)))
        signed = SignedProgress(progress=told, seal=Seal(signer=key.public, signature=signature))
        self._host.zone.tell_all(PutProgress(told=signed))
        self._timer = asyncio.get_running_loop().call_later(_PACE_S, self._send)
