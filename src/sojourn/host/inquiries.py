"""What people answered to one agent, on this host: of what the anchors offer, the first that fits its inquiry.

    offered by anchors ─► held here ─► given to the code, which journals it ─► final ─► dropped there

Nothing is remembered of what is settled: an answer whose inquiry nobody waits for any more serves nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final

import structlog

from sojourn.core.agent.inquiries import Inquiry, SignedAnswer, check_may_say
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.protocol.exchange import Consumed
from sojourn.runtime.processes import clock

if TYPE_CHECKING:
    from sojourn.host.custody import AgentCustody
    from sojourn.host.inbox import Inbox
    from sojourn.host.server import Host

__all__ = ["Inquiries"]

log = structlog.get_logger("host")

_POLL_S: Final = 5.0
"""Anchors tell a host of an answer at once; this is for when that notice was lost."""


class Inquiries:
    """The answers that wait for one agent here, by inquiry, and which inquiries its code waits for."""

    def __init__(self, host: "Host", custody: "AgentCustody", mail: asyncio.Event) -> None:
        """Begin with none. `mail` is set when there may be answers."""
        self._host, self._custody, self._mail = host, custody, mail
        self._answers: dict[bytes, dict[bytes, SignedAnswer]] = {}
        self._said: dict[bytes, Collection[bytes]] = {}
        self._came = asyncio.Event()
        self._open: Counter[bytes] = Counter()

    def take(self, answers: Sequence[SignedAnswer]) -> None:
        """Hold answers that anchors have offered: their seals were checked."""
        for signed in answers:
            held = self._answers.setdefault(signed.answer.inquiry, {})
            if signed.digest not in held:  # what is offered again, and is not counted, is no news
                held[signed.digest] = signed
                self._came.set()

    async def hear(
        self, inquiry: Inquiry, unfit: Collection[bytes], said: Collection[bytes], inbox: "Inbox"
    ) -> SignedAnswer | None:
        """Wait for an answer to an inquiry, but for `unfit` ones and those `said`; None when the time is up.

        Those said stay until their records are final: this host may die before.
        """
        named = digest_of(inquiry)
        self._said[named] = said
        self._open[named] += 1
        try:
            while True:
                self._came.clear()
                is_late = inquiry.expires_ms is not None and clock.wall_ms() >= inquiry.expires_ms
                await inbox.look()
                found = self._fitting(named, inquiry, unfit)
                if found is not None or is_late:
                    return found
                await self._wait(inquiry)
        finally:
            self._open[named] -= 1

    def _fitting(
        self, named: bytes, inquiry: Inquiry, unfit: Collection[bytes]
    ) -> SignedAnswer | None:
        """Return the first answer that counts, by when it was given; let go of those that never will."""
        held = self._answers.get(named, {})
        for signed in sorted(held.values(), key=lambda each: (each.sent_ms, each.digest)):
            if self._is_said(signed):
                continue
            if signed.digest in unfit:
                self._pass_over(signed, "it is not what was asked for")
                continue
            try:
                check_may_say(inquiry, signed, clock.wall_ms())
            except Rejected as error:
                self._pass_over(signed, error.problem)
                continue
            return signed
        return None

    def _pass_over(self, signed: SignedAnswer, why: str) -> None:
        by = key_text(signed.answer.by)
        log.info("an answer is passed over", agent=signed.agent.hex()[:12], by=by, problem=why)
        self._drop([signed])

    async def _wait(self, inquiry: Inquiry) -> None:
        """Wait for news, or for the end of the inquiry."""
        left_s = _POLL_S
        if inquiry.expires_ms is not None:
            left_s = min(left_s, max(0.0, (inquiry.expires_ms - clock.wall_ms()) / 1000))
        news = [asyncio.ensure_future(each.wait()) for each in (self._mail, self._came)]
        try:
            await asyncio.wait(news, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in news:
                each.cancel()
            await asyncio.gather(*news, return_exceptions=True)

    def settle(self, settled: Collection[bytes]) -> None:
        """Let go of answers, and of all to inquiries, of which it is final what came of them."""
        for named in settled:
            self._said.pop(named, None)
            self._drop(list(self._answers.get(named, {}).values()))
        self._drop([each for each in self._held() if each.digest in settled])

    def tidy(self) -> None:
        """Let go of what answers nothing that is asked: the agent lies down, and all that is open is waited for.

        And of what is journaled: that is final by now.
        """
        self._drop([each for each in self._held() if not self._open[each.answer.inquiry]])
        self._drop([each for each in self._held() if self._is_said(each)])

    def _is_said(self, signed: SignedAnswer) -> bool:
        return signed.digest in self._said.get(signed.answer.inquiry, ())

    def _held(self) -> Iterable[SignedAnswer]:
        return [each for answers in self._answers.values() for each in answers.values()]

    def _drop(self, answers: Sequence[SignedAnswer]) -> None:
        """Tell the anchors to drop answers; one that misses it offers them again, and is told again."""
        for signed in answers:
            named = signed.answer.inquiry
            self._answers[named].pop(signed.digest, None)
            if not self._answers[named]:
                del self._answers[named]
        if answers:
            digests = tuple(each.digest for each in answers)
            self._host.zone.tell_all(Consumed(agent=self._custody.agent, messages=digests))
