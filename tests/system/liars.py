"""Anchors that lie: each holds its real keys and an honest store, and answers otherwise.

A lie takes what was asked and what an honest anchor answers, and gives what is answered instead: a reply, or
bytes that may be none. The lies here are the worst that one anchor can tell about what is asked on the way of a
move; what a whole frame or stream can be, the listeners in `impostors` show.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from sojourn.anchor.server import Anchor
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol import exchange, gossip
from sojourn.core.protocol.binding import Heartbeat, HeartbeatReply
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import (
    Applied,
    Arrive,
    AskHead,
    AskVisa,
    Declined,
    Head,
    Nack,
    Need,
    Propose,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.quorum.votes import Vote
from sojourn.runtime.transport import Connection
from tests.village import seal

__all__ = ["LIES", "Liar"]


class Liar:
    """One anchor that tells one lie."""

    def __init__(self, anchor: Anchor, vote_key: KeyPair, lie: str) -> None:
        self.anchor, self.vote_key = anchor, vote_key
        self.chance = random.Random(lie)
        self.told = 0
        self.old: dict[bytes, Certified] = {}
        self.arrived: dict[bytes, Arrive] = {}
        self.applied: dict[bytes, AskVisa] = {}
        self._lie = LIES[lie]

    async def serve(self, connection: Connection, body: bytes) -> bytes:
        """Answer a request with the lie, or as an honest anchor would where there is nothing to lie about."""
        request = exchange.decode_request(body)
        honest = exchange.decode_reply(await self.anchor.serve(connection, body))
        self._remember(request, honest)
        self.told += 1
        answer = await self._lie(self, connection, request, honest)
        self.told -= answer is honest
        return answer if isinstance(answer, bytes) else encode(answer)

    def _remember(self, request: Any, reply: Any) -> None:
        if isinstance(request, Arrive):
            self.arrived[request.departure.record.agent_id] = request
        if isinstance(request, AskVisa):
            self.applied[request.terms.agent] = request
        if isinstance(reply, Head) and reply.certified is not None:
            self.old.setdefault(reply.certified.record.agent_id, reply.certified)

    def vote(self, honest: Vote, **changes: object) -> Voted:
        """Return a vote that this anchor has signed: its honest one with some fields changed."""
        ballot = msgspec.structs.replace(honest.ballot, **changes)
        sealed = seal(self.vote_key, Kind.VOTE, Role.ANCHOR, digest_of(ballot))
        return Voted(vote=Vote(ballot=ballot, seal=sealed))


Lie = Callable[[Liar, Connection, Any, Any], Awaitable[object]]


async def random_bytes(liar: Liar, _: Connection, _ask: Any, _honest: Any) -> object:
    return liar.chance.randbytes(liar.chance.randrange(2000))


async def nothing(_liar: Liar, _: Connection, _ask: Any, _honest: Any) -> object:
    return b""


async def half_of_it(_liar: Liar, _: Connection, _ask: Any, honest: Any) -> object:
    data = encode(honest)
    return data[: len(data) // 2]


async def flipped_bits(liar: Liar, _: Connection, _ask: Any, honest: Any) -> object:
    data = bytearray(encode(honest))
    data[liar.chance.randrange(len(data))] ^= 1 << liar.chance.randrange(8)
    return bytes(data)


async def a_length_of_exabytes(_liar: Liar, _: Connection, _ask: Any, honest: Any) -> object:
    return b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff" + encode(honest)


async def deep_nesting(_liar: Liar, _: Connection, _ask: Any, _honest: Any) -> object:
    return b"\x81" * 20_000


async def another_kind(_liar: Liar, _: Connection, _ask: Any, honest: Any) -> object:
    return Applied() if not isinstance(honest, Applied) else exchange.Missing(digests=())


async def another_value(liar: Liar, _: Connection, _ask: Any, honest: Any) -> object:
    return liar.vote(honest.vote, value=liar.chance.randbytes(32)) if _voted(honest) else honest


async def another_slot(liar: Liar, _: Connection, _ask: Any, honest: Any) -> object:
    if not _voted(honest):
        return honest
    slot = honest.vote.ballot.slot
    return liar.vote(honest.vote, slot=msgspec.structs.replace(slot, version=slot.version + 1))


async def another_round(liar: Liar, _: Connection, _ask: Any, honest: Any) -> object:
    return liar.vote(honest.vote, round=honest.vote.ballot.round + 1) if _voted(honest) else honest


async def another_anchors_vote(liar: Liar, _: Connection, _ask: Any, honest: Any) -> object:
    if not _voted(honest):
        return honest
    other = (honest.vote.ballot.anchor + 1) % liar.anchor.zone.n
    return liar.vote(honest.vote, anchor=other)


async def a_forged_vote(liar: Liar, _: Connection, _ask: Any, honest: Any) -> object:
    if not _voted(honest):
        return honest
    forged = msgspec.structs.replace(honest.vote.seal, signature=liar.chance.randbytes(64))
    return Voted(vote=msgspec.structs.replace(honest.vote, seal=forged))


async def old_heads(liar: Liar, _: Connection, ask: Any, honest: Any) -> object:
    agent = _agent(ask)
    if agent in liar.old:
        return Head(certified=liar.old[agent])
    return honest


async def forged_heads(liar: Liar, _: Connection, ask: Any, honest: Any) -> object:
    """A head that is far ahead, and certified by nobody."""
    old = liar.old.get(_agent(ask))
    if old is None:
        return honest
    record = msgspec.structs.replace(old.record, version=old.record.version + 1_000_000)
    head = msgspec.structs.replace(
        old, transition=msgspec.structs.replace(old.transition, record=record)
    )
    return Head(certified=head, opened=head, onward=head, refusal=head)


async def heads_of_others(liar: Liar, _: Connection, ask: Any, honest: Any) -> object:
    """The genuine head of another agent."""
    agent = _agent(ask)
    others = [head for known, head in liar.old.items() if known != agent]
    return Head(certified=others[0], opened=others[0]) if agent and others else honest


async def no_never(_liar: Liar, _: Connection, _ask: Any, _honest: Any) -> object:
    return Declined(reason="denied", problem="never", for_now=False)


async def wants_everything(_liar: Liar, _: Connection, ask: Any, honest: Any) -> object:
    """It lacks whatever it is asked about, again and again."""
    if isinstance(ask, exchange.AskMissing):
        return exchange.Missing(digests=ask.digests)
    if isinstance(ask, Propose | ShowLock):
        record = ask.proposal.transition.record if ask.proposal else None
        roots = (record.capabilities.code,) if record else ()
        return Need(what="blocks", digests=roots)
    return honest


async def wants_what_is_nowhere(liar: Liar, _: Connection, ask: Any, honest: Any) -> object:
    if isinstance(ask, exchange.AskMissing):
        return exchange.Missing(digests=(liar.chance.randbytes(32),))
    if isinstance(ask, Propose):
        return Need(what="blocks", digests=(liar.chance.randbytes(32),))
    return honest


async def other_blocks(liar: Liar, _: Connection, ask: Any, honest: Any) -> object:
    if isinstance(ask, exchange.AskBlocks):
        return exchange.Blocks(blocks=(encode(liar.chance.randbytes(100)),))
    return honest


async def a_longer_past(liar: Liar, _: Connection, ask: Any, honest: Any) -> object:
    """A chain of custody that has more chapters than there were."""
    if isinstance(honest, exchange.Past) and honest.chapters:
        return msgspec.structs.replace(honest, chapters=honest.chapters * 2)
    return honest


async def leases_for_nobody(_liar: Liar, _: Connection, ask: Any, honest: Any) -> object:
    if isinstance(honest, HeartbeatReply):
        agents = tuple(claim.agent for claim in ask.claims)
        return HeartbeatReply(sequence=ask.sequence, declined=agents)
    return honest


async def forged_places(liar: Liar, _: Connection, _ask: Any, honest: Any) -> object:
    """Manifests whose seals are by nobody."""
    if not isinstance(honest, gossip.Exchanged):
        return honest
    signed = liar.anchor.places.signed_manifest(liar.anchor.zone_id)
    assert signed is not None
    forged = msgspec.structs.replace(
        signed,
        manifest=msgspec.structs.replace(
            signed.manifest, name="elsewhere", not_after_ms=signed.manifest.not_after_ms - 1
        ),
    )
    news = msgspec.structs.replace(honest.news, manifests=(forged,))
    return msgspec.structs.replace(honest, news=news)


async def locked_elsewhere(_liar: Liar, _: Connection, ask: Any, honest: Any) -> object:
    return Nack(round=2**31) if isinstance(ask, Propose | ShowLock) else honest


async def false_refusals(liar: Liar, _: Connection, ask: Any, honest: Any) -> object:
    """The departure was refused, it says, and shows a refusal that nobody certified."""
    if not isinstance(ask, Arrive):
        return honest
    gone = ask.departure
    refused = msgspec.structs.replace(
        gone.transition, kind=TransitionKind.REFUSE, parent=gone.record.digest
    )
    forged = msgspec.structs.replace(gone, transition=refused)
    return Head(certified=None, refusal=forged, opened=forged)


async def false_work(liar: Liar, connection: Connection, ask: Any, honest: Any) -> object:
    """Each host is told of arrivals that never were, of the very agents that are here."""
    if isinstance(ask, exchange.AskWork | gossip.Tell | gossip.Exchange):
        for head in liar.old.values():
            item = exchange.WorkItem(head=head, has_mail=True)
            connection.notify(encode(exchange.Work(items=(item,))))
            connection.notify(liar.chance.randbytes(100))
    return honest


async def old_arrivals(liar: Liar, connection: Connection, ask: Any, honest: Any) -> object:
    """Hosts are told again and again of arrivals from before, as if there were all the time in the world."""
    if isinstance(ask, exchange.AskWork | Heartbeat | gossip.Tell | gossip.Exchange):
        for agent, arrive in liar.arrived.items():
            terms = msgspec.structs.replace(arrive.visa.terms, deadline_ms=2**50)
            visa = msgspec.structs.replace(arrive.visa, terms=terms)
            item = exchange.WorkItem(
                arrive=msgspec.structs.replace(arrive, visa=visa), application=liar.applied[agent]
            )
            connection.notify(encode(exchange.Work(items=(item,))))
    return honest


async def wants_the_proposal(_liar: Liar, _: Connection, ask: Any, honest: Any) -> object:
    """It has never seen what it is shown, however often it is."""
    is_shown = isinstance(ask, ShowLock | ShowCommit)
    return Need(what="proposal") if is_shown else honest


async def never(_liar: Liar, _: Connection, _ask: Any, _honest: Any) -> object:
    await asyncio.Event().wait()
    raise AssertionError


async def a_crash(_liar: Liar, _: Connection, _ask: Any, _honest: Any) -> object:
    raise RuntimeError("planted")


def _voted(reply: Any) -> bool:
    return isinstance(reply, Voted)


def _agent(ask: Any) -> bytes:
    if isinstance(ask, AskHead):
        return ask.agent
    if isinstance(ask, Propose):
        return ask.slot.agent
    if isinstance(ask, ShowLock):
        return ask.certificate.slot.agent
    return b""


LIES: Final[dict[str, Lie]] = {
    lie.__name__: lie
    for lie in (
        random_bytes,
        nothing,
        half_of_it,
        flipped_bits,
        a_length_of_exabytes,
        deep_nesting,
        another_kind,
        another_value,
        another_slot,
        another_round,
        another_anchors_vote,
        a_forged_vote,
        old_heads,
        forged_heads,
        heads_of_others,
        no_never,
        wants_everything,
        wants_what_is_nowhere,
        other_blocks,
        a_longer_past,
        leases_for_nobody,
        forged_places,
        locked_elsewhere,
        false_refusals,
        false_work,
        old_arrivals,
        wants_the_proposal,
        never,
        a_crash,
    )
}
