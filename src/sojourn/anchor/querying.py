"""Questions to agents in this zone: given to a host, and what it tells kept in memory for a while (protocol §10.36).

asked ─► checked ─► given to one host, the bound one if it is there ─► disclosed ─► told to who shows the question
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sojourn.anchor.letters import check_message
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.protocol.exchange import WorkItem
from sojourn.core.protocol.letters import Crowded, Letter
from sojourn.core.protocol.messages import Applied, Need
from sojourn.core.protocol.querying import (
    DISCLOSURES_MAX,
    QUERY,
    AnyQuestion,
    Queried,
    SignedDisclosure,
    check_asked,
    check_fresh,
)
from sojourn.runtime.processes import clock

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Querying"]

_WAIT_S: Final = 1.0
"""How long who asks waits here for the answer before it has to ask again."""
_AGAIN_MS: Final = 900
"""How long a host has before the question is told again, or to another."""
KEPT_MS: Final = 120_000
QUESTIONS_MAX: Final = 1_024
OF_AN_AGENT_MAX: Final = 64


@dataclass(slots=True)
class _Asked:
    question: AnyQuestion
    at_ms: int
    news: asyncio.Event = field(default_factory=asyncio.Event)
    hosts: list[bytes] = field(default_factory=list)
    told: list[SignedDisclosure] = field(default_factory=list)
    offered_ms: int = -_AGAIN_MS


class Querying:
    """The questions that one anchor was asked of late, by digest."""

    def __init__(self, anchor: "Anchor") -> None:
        """Begin with none."""
        self._anchor = anchor
        self._asked: OrderedDict[bytes, _Asked] = OrderedDict()

    async def ask(self, question: AnyQuestion) -> Queried | Need:
        """Return what hosts told, having waited a moment for it. Raises `Rejected`; `Crowded` if there is no room."""
        asked = self._asked.get(question.digest)
        if asked is None:
            check_asked(question)
            check_fresh(question, clock.wall_ms())
            if isinstance(question, Letter):
                lacking = await check_message(self._anchor, question, QUERY)
                if lacking is not None:
                    return lacking
            asked = self._note(question)
        if not asked.told:
            self._offer(asked)
            try:
                async with asyncio.timeout(_WAIT_S):
                    await asked.news.wait()
            except TimeoutError:
                pass
        return Queried(told=tuple(asked.told))

    def _note(self, question: AnyQuestion) -> _Asked:
        now_ms = clock.boot_ms()
        while self._asked and next(iter(self._asked.values())).at_ms + KEPT_MS < now_ms:
            self._asked.popitem(last=False)
        known = self._asked.get(question.digest)
        if known is not None:  # it came twice, and was checked twice
            return known
        of_it = sum(each.question.agent == question.agent for each in self._asked.values())
        if of_it >= OF_AN_AGENT_MAX or len(self._asked) >= QUESTIONS_MAX:
            raise Crowded(
                f"{of_it} questions to that agent, and {len(self._asked)} in all, are kept"
            )
        self._asked[question.digest] = asked = _Asked(question, now_ms)
        return asked

    def _offer(self, asked: _Asked) -> None:
        """Tell a host of a question, unless one was told just now."""
        now_ms = clock.boot_ms()
        if now_ms - asked.offered_ms < _AGAIN_MS:
            return
        host = self._next_host(asked)
        if host is not None:
            asked.offered_ms = now_ms
            if host not in asked.hosts:
                asked.hosts.append(host)
            self._anchor.hosts.offer([host], WorkItem(question=asked.question))

    def _next_host(self, asked: _Asked) -> bytes | None:
        """Return the bound host, if it is there; else the others, one after the other, everywhere in one order."""
        anchor = self._anchor
        head = anchor.shelf.dossier(asked.question.agent).head
        bound = None if head is None else head.record.custody.host
        if bound is not None and bound not in asked.hosts and anchor.hosts.is_connected(bound):
            return bound
        there = [host for host in anchor.live_hosts() if anchor.hosts.is_connected(host)]
        untold = [host for host in there if host not in asked.hosts]
        return next(iter(untold or there), None)

    def put(self, told: SignedDisclosure, sender: bytes) -> Applied:
        """Keep what a host tells that was asked. Raises `Rejected` for what it could not know from here."""
        asked = self._asked.get(told.disclosure.question)
        if asked is None:
            return Applied()  # it is too late, or was asked of others alone
        if sender not in asked.hosts or told.seal.signer != sender:
            problem = f"{key_text(sender)} was not asked that"
            raise Rejected(problem, reason="wrong-key", where="disclosure")
        told.check(asked.question)
        if all(each.seal.signer != sender for each in asked.told):
            asked.told = [*asked.told, told][:DISCLOSURES_MAX]
            asked.news.set()
        return Applied()
