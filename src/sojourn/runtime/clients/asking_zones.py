"""Asking a zone's anchors a question to an agent there, until enough of them tell the same (protocol §10.36)."""

import asyncio
from collections import defaultdict
from typing import Final

from sojourn.core.agent.memory.blocks import BlockSource
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import SojournError
from sojourn.core.base.limits import CALL_TIMEOUT_S
from sojourn.core.protocol.exchange import AnyReply
from sojourn.core.protocol.querying import AnyQuestion, AskQuery, Disclosure, Queried
from sojourn.runtime.clients.drive import ended
from sojourn.runtime.clients.posting import Posted, given
from sojourn.runtime.clients.zone_client import Bring, ZoneClient

__all__ = ["ask_zone"]

_PAUSE_S: Final = 0.05
"""Between two times that one anchor is asked: it waits itself while there is nothing."""


class _Tally:
    """What the anchors of one zone said so far."""

    def __init__(self, question: AnyQuestion, f: int) -> None:
        self._question, self._f = question, f
        self._tellers: dict[bytes, set[int]] = defaultdict(set)
        self.others: list[AnyReply] = []
        self.found: Disclosure | None = None
        self.is_enough = asyncio.Event()

    def take(self, anchor: int, reply: AnyReply) -> bool:
        """Take a reply; tell whether to ask this anchor again."""
        if not isinstance(reply, Queried):
            self.others.append(reply)
            self._settle(len(self.others) > self._f)
            return False
        for signed in reply.told:
            try:
                signed.check(self._question)
            except SojournError:
                continue  # that anchor lies
            tellers = self._tellers[digest_of(signed.disclosure)]
            tellers.add(anchor)
            if len(tellers) > self._f:
                self.found = self.found or signed.disclosure
        self._settle(self.found is not None)
        return True

    def _settle(self, is_so: bool) -> None:
        if is_so:
            self.is_enough.set()


async def ask_zone(
    client: ZoneClient,
    question: AnyQuestion,
    blocks: BlockSource,
    bring: Bring | None = None,
    *,
    timeout_s: float = CALL_TIMEOUT_S,
) -> tuple[Posted, Disclosure | None]:
    """Ask until more than f anchors of a zone tell one disclosure, more than f say something else, or time is up.

    What they lack to check the question is given them from `blocks`, into which `bring` puts what is not at hand.
    """
    tally = _Tally(question, client.manifest.f)

    async def ask(anchor: int) -> None:
        while True:
            try:
                request = AskQuery(question=question)
                reply = await given(client, request, blocks, bring, timeout_s, anchor)
            except SojournError:
                await asyncio.sleep(_PAUSE_S * 10)
                continue
            if not tally.take(anchor, reply):
                return
            await asyncio.sleep(_PAUSE_S)

    asking = [asyncio.ensure_future(ask(anchor)) for anchor in range(client.n)]
    try:
        async with asyncio.timeout(timeout_s):
            await tally.is_enough.wait()
    except TimeoutError:
        pass
    finally:
        await ended(asking)
    took = client.quorum if tally.found is not None else 0
    return Posted.of(took, tally.others), tally.found
