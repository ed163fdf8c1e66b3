"""Reaching anchors from the command line: connections for one command, and what anchors say of places.

A command has no lasting identity on the wire: what it may do is in what it signs. So each makes a key for its
connections and forgets it.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import structlog

from sojourn.core.agent.memory.blocks import BlockSource
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Denied, Misused, Refused, Rejected, SojournError
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import AnyReply
from sojourn.core.protocol.gossip import Exchange, Exchanged, News, Summary, Tell
from sojourn.core.protocol.messages import Applied, Declined
from sojourn.core.protocol.proposer import CONTENDED, Proposer
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest
from sojourn.runtime.clients.zone_client import Bring, Stalled, ZoneClient
from sojourn.transports.pool import ConnectionPool
from sojourn.transports.tls import TlsTransport

__all__ = ["ASK_TIMEOUT_S", "Reach", "perform", "reaching"]

T = TypeVar("T")

ASK_TIMEOUT_S: Final = 3.0
"""How long a command waits for an anchor that may be dead."""
_DECIDE_TIMEOUT_S: Final = 20.0
_KNOWING_NOTHING: Final = Summary(zones=(), envelopes=(), endorsements=())


def perform(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's asynchronous part to its end; what the transport logs is not for this terminal."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    return asyncio.run(work)


class Reach:
    """Clients of zones over one set of connections."""

    def __init__(self, pool: ConnectionPool) -> None:
        """Use `pool`."""
        self._pool = pool

    def zone(self, manifest: ZoneManifest) -> ZoneClient:
        """Return a client of a zone's anchors."""
        return ZoneClient(manifest, self._pool)

    async def news(self, manifest: ZoneManifest) -> News:
        """Return all that an anchor of a zone knows of places. Raises `Unreachable`."""
        ask = Exchange(summary=_KNOWING_NOTHING)
        reply = await self.zone(manifest).ask_any(ask, Exchanged, timeout_s=ASK_TIMEOUT_S)
        return reply.news

    async def tell(self, manifest: ZoneManifest, news: News) -> int:
        """Tell a zone's anchors of places; return how many took it in. Raises as the first says if none did."""
        client = self.zone(manifest)
        calls = (
            client.call(anchor, Tell(news=news), timeout_s=ASK_TIMEOUT_S)
            for anchor in range(client.n)
        )
        replies = await asyncio.gather(*calls, return_exceptions=True)
        took = sum(isinstance(reply, Applied) for reply in replies)
        if not took:
            raise _refusal(replies[0])
        return took

    async def decide(
        self,
        manifest: ZoneManifest,
        proposer: Proposer,
        blocks: BlockSource,
        bring: Bring | None = None,
    ) -> Certified:
        """Drive a proposal to its decision in a zone, and until a quorum has applied it.

        `bring` puts blocks that anchors lack into `blocks`.

        Raises `Denied`, `Rejected` or `Refused` as more than f anchors say, a correct one among them;
        `Stalled` if a quorum is out of reach, and `Overtaken` if something else was decided.
        """
        try:
            return await self.zone(manifest).decide(
                proposer,
                blocks,
                bring=bring,
                timeout_s=_DECIDE_TIMEOUT_S,
                until_applied=True,
            )
        except Stalled as stalled:
            raise _said(stalled, manifest) from None

    async def find_manifest(self, zone: bytes, by: ZoneManifest) -> SignedManifest:
        """Return the manifest of a zone, asking the anchors of another one that know it.

        It proves itself: a zone's identifier is the digest of its first manifest. Raises `Misused` if that
        zone's anchors know no such one.
        """
        for found in (await self.news(by)).manifests:
            if found.manifest.zone_id == zone and found.manifest.epoch == 0:
                found.check()
                return found
        problem = f"the anchors of {by.name} do not know zone {cid_text(zone)}"
        raise Misused(problem, remedy="Get its manifest, and `sojourn zone meet` it")


def _refusal(reply: AnyReply | BaseException) -> BaseException:
    """Return the error that an anchor's answer, which is not the one hoped for, stands for."""
    if isinstance(reply, BaseException):
        return reply
    if isinstance(reply, Declined):
        return _declined(reply)
    return Rejected(f"answered with a {type(reply).__name__}", reason="wrong-kind", where="reply")


def _declined(declined: Declined) -> SojournError:
    if declined.for_now:
        return Refused(declined.problem)
    if declined.reason == Denied.code:
        return Denied(declined.problem)
    problem = declined.problem.removeprefix(f"{declined.reason}: ")
    return Rejected(problem, reason=declined.reason)


def _said(stalled: Stalled, manifest: ZoneManifest) -> SojournError:
    """Return why nothing was decided: what more than f anchors agree on, or that a quorum is out of reach.

    That something else is being decided there is no refusal: it may be asked again.
    """
    reasons = Counter(declined.reason for declined in stalled.declined.values())
    del reasons[CONTENDED]
    reason, count = reasons.most_common(1)[0] if reasons else ("", 0)
    if count <= manifest.f:
        return stalled
    return _declined(next(each for each in stalled.declined.values() if each.reason == reason))


@asynccontextmanager
async def reaching() -> AsyncIterator[Reach]:
    """Open connections when they are first needed, and close them all at the end."""
    transport = TlsTransport(secrets.token_bytes(32), "spiffe://sojourn/command")
    pool = ConnectionPool(transport)
    try:
        yield Reach(pool)
    finally:
        await pool.close()
