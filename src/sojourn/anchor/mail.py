"""Mail: messages kept for agents until a final step has consumed them, and answers to what they ask (protocol §10).

message      agent, time, digest        SignedMessage, Letter
answer       agent, time, digest        SignedAnswer

Who waits for what is also in memory, so that asking costs no read, and a message that comes twice is kept once.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from sojourn.anchor.scribe import Scribe
from sojourn.anchor.shelf import load_row, row_key
from sojourn.core.agent.eligibility import Eligibility, Status
from sojourn.core.agent.inquiries import SignedAnswer
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.encoding import encode
from sojourn.core.base.limits import MESSAGES_WAITING_MAX
from sojourn.core.protocol.calling import Queued, has_call, queued
from sojourn.core.protocol.exchange import AnyMessage, Mailed
from sojourn.core.protocol.letters import Crowded, Letter
from sojourn.core.protocol.unread import Unread
from sojourn.runtime.store import Delete, Put, Store

__all__ = ["Mail"]

_FORMS: Final[dict[str, Any]] = {"answer": SignedAnswer, "message": AnyMessage}
"""What stands in each table. Answers are read first: a long queue of messages keeps none away."""
_DIGEST_BYTES: Final = 32
_PAGE: Final = 32
"""Messages read at once: 2 MiB at most."""
_READ_BYTES_MAX: Final = 2 * 1024 * 1024


class _Kept(NamedTuple):
    """Where something stands that waits, and, of a message, whether it may be taken as a call."""

    table: str
    key: bytes
    queued: Queued


class Mail:
    """The messages that wait at one anchor."""

    def __init__(self, store: Store, scribe: Scribe) -> None:
        """Find what waits in the store."""
        self._store, self._scribe = store, scribe
        self._waiting: dict[bytes, dict[bytes, _Kept]] = {}
        for table in _FORMS:
            after = b""
            while rows := store.scan(table, after=after, limit=_PAGE):
                for key, data in rows:
                    self._note(table, key, load_row(data, _FORMS[table]))
                after = rows[-1][0]

    def _note(self, table: str, key: bytes, message: Mailed) -> None:
        agent, digest = key[:_DIGEST_BYTES], key[-_DIGEST_BYTES:]
        place = Queued(is_call=False) if isinstance(message, SignedAnswer) else queued(message)
        self._waiting.setdefault(agent, {})[digest] = _Kept(table, key, place)

    def agents(self) -> Iterable[bytes]:
        """Return the agents that messages wait for."""
        return list(self._waiting)

    def waits_for(self, agent: bytes) -> bool:
        """Tell whether a message waits for an agent."""
        return agent in self._waiting

    def wakes(self, agent: bytes, eligibility: Eligibility) -> bool:
        """Tell whether something waits for an agent that it has to see to, or that wakes it if it is dormant."""
        waiting = self._waiting.get(agent)
        if not waiting or eligibility.status is not Status.DORMANT:
            return bool(waiting)
        wanted = {"message"} if any(wake.on_message for wake in eligibility.wake) else set()
        wanted |= {"answer"} if any(wake.on_answer for wake in eligibility.wake) else set()
        if any(each.table in wanted for each in waiting.values()):
            return True
        is_called = any(wake.on_call for wake in eligibility.wake)
        return is_called and has_call(each.queued for each in waiting.values())

    def is_news_to(self, record: AgentRecord) -> bool:
        """Tell whether the host of an agent has to hear of what has come: one that sleeps on is left alone."""
        eligibility = record.eligibility
        is_asleep = eligibility.status is Status.DORMANT
        return not is_asleep or self.wakes(record.agent_id, eligibility)

    def read(self, agent: bytes) -> tuple[Mailed, ...]:
        """Return what waits, answers first, each kind oldest first: as much as fits one reply, at least one."""
        found: list[Mailed] = []
        left = _READ_BYTES_MAX
        for data, form in chain.from_iterable(self._rows(agent, table) for table in _FORMS):
            left -= len(data)
            if found and left < 0:
                break
            found.append(load_row(data, form))
        return tuple(found)

    def _rows(self, agent: bytes, table: str) -> Iterable[tuple[bytes, Any]]:
        after = agent
        while rows := self._store.scan(table, prefix=agent, after=after, limit=_PAGE):
            for _, data in rows:
                yield data, _FORMS[table]
            after = rows[-1][0]

    def proofs(self) -> Iterable[bytes]:
        """Yield the chapters that prove the senders of letters that wait: they may have to go on with these."""
        after = b""
        while rows := self._store.scan("message", after=after, limit=_PAGE):
            for _, data in rows:
                message = load_row(data, AnyMessage)
                if isinstance(message, Unread):
                    yield from message.chapters
                    message = message.letter
                if isinstance(message, Letter):
                    yield from message.chapters
            after = rows[-1][0]

    async def keep(self, message: Mailed) -> bool:
        """Keep a message durably; tell whether it is new.

        Raises `Crowded` if too many wait for that agent already, and `StoreFailed`.
        """
        agent, digest = message.agent, message.digest
        waiting = self._waiting.get(agent, {})
        if digest in waiting:
            return False
        if len(waiting) >= MESSAGES_WAITING_MAX:
            raise Crowded(f"{MESSAGES_WAITING_MAX} messages are waiting for that agent already")
        table = "answer" if isinstance(message, SignedAnswer) else "message"
        key = row_key(agent, message.sent_ms) + digest
        await self._scribe.write([Put(table, key, encode(message))])
        self._note(table, key, message)
        return True

    async def drop(self, agent: bytes, digests: Sequence[bytes]) -> None:
        """Drop messages for good; those that do not wait here are passed over. Raises `StoreFailed`."""
        waiting = self._waiting.get(agent, {})
        keys = [waiting[digest] for digest in digests if digest in waiting]
        if not keys:
            return
        await self._scribe.write([Delete(each.table, each.key) for each in keys])
        waiting = self._waiting.get(agent, {})  # another may have come or gone meanwhile
        for digest in digests:
            waiting.pop(digest, None)
        if not waiting:
            self._waiting.pop(agent, None)
