"""Mail: messages kept for agents until a final step has consumed them (protocol §10).

message      agent, time, digest        SignedMessage, Letter

Who waits for what is also in memory, so that asking costs no read, and a message that comes twice is kept once.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from sojourn.anchor.scribe import Scribe
from sojourn.anchor.shelf import load_row, row_key
from sojourn.core.base.encoding import encode
from sojourn.core.base.limits import MESSAGES_WAITING_MAX
from sojourn.core.protocol.exchange import AnyMessage
from sojourn.core.protocol.letters import Crowded, Letter
from sojourn.runtime.store import Delete, Put, Store

__all__ = ["Mail"]

_TABLE: Final = "message"
_DIGEST_BYTES: Final = 32
_PAGE: Final = 32
"""Messages read at once: 2 MiB at most."""
_READ_BYTES_MAX: Final = 2 * 1024 * 1024


class Mail:
    """The messages that wait at one anchor."""

    def __init__(self, store: Store, scribe: Scribe) -> None:
        """Find what waits in the store."""
        self._store, self._scribe = store, scribe
        self._waiting: dict[bytes, dict[bytes, bytes]] = {}
        after = b""
        while rows := store.scan(_TABLE, after=after, limit=_PAGE):
            for key, _ in rows:
                self._note(key)
            after = rows[-1][0]

    def _note(self, key: bytes) -> None:
        agent, digest = key[:_DIGEST_BYTES], key[-_DIGEST_BYTES:]
        self._waiting.setdefault(agent, {})[digest] = key

    def agents(self) -> Iterable[bytes]:
        """Return the agents that messages wait for."""
        return list(self._waiting)

    def waits_for(self, agent: bytes) -> bool:
        """Tell whether a message waits for an agent."""
        return agent in self._waiting

    def read(self, agent: bytes) -> tuple[AnyMessage, ...]:
        """Return waiting messages, oldest first: as many as fit one reply, at least one."""
        found: list[AnyMessage] = []
        left, after = _READ_BYTES_MAX, agent
        while rows := self._store.scan(_TABLE, prefix=agent, after=after, limit=_PAGE):
            for _, data in rows:
                left -= len(data)
                if found and left < 0:
                    return tuple(found)
                found.append(load_row(data, AnyMessage))
            after = rows[-1][0]
        return tuple(found)

    def proofs(self) -> Iterable[bytes]:
        """Yield the chapters that prove the senders of letters that wait: they may have to go on with these."""
        after = b""
        while rows := self._store.scan(_TABLE, after=after, limit=_PAGE):
            for _, data in rows:
                message = load_row(data, AnyMessage)
                if isinstance(message, Letter):
                    yield from message.chapters
            after = rows[-1][0]

    async def keep(self, message: AnyMessage) -> bool:
        """Keep a message durably; tell whether it is new.

        Raises `Crowded` if too many wait for that agent already, and `StoreFailed`.
        """
        agent, digest = message.agent, message.digest
        waiting = self._waiting.get(agent, {})
        if digest in waiting:
            return False
        if len(waiting) >= MESSAGES_WAITING_MAX:
            raise Crowded(f"{MESSAGES_WAITING_MAX} messages are waiting for that agent already")
        key = row_key(agent, message.sent_ms) + digest
        await self._scribe.write([Put(_TABLE, key, encode(message))])
        self._note(key)
        return True

    async def drop(self, agent: bytes, digests: Sequence[bytes]) -> None:
        """Drop messages for good; those that do not wait here are passed over. Raises `StoreFailed`."""
        waiting = self._waiting.get(agent, {})
        keys = [waiting[digest] for digest in digests if digest in waiting]
        if not keys:
            return
        await self._scribe.write([Delete(_TABLE, key) for key in keys])
        waiting = self._waiting.get(agent, {})  # another may have come or gone meanwhile
        for digest in digests:
            waiting.pop(digest, None)
        if not waiting:
            self._waiting.pop(agent, None)

    async def drop_all(self, agent: bytes) -> None:
        """Drop whatever waits for an agent that has ended. Raises `StoreFailed`."""
        await self.drop(agent, list(self._waiting.get(agent, ())))
