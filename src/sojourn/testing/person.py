"""What people do in a simulated world, by the wire: tell of zones, launch agents, write to, answer and order them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from sojourn.core.agent.approvals import Approval, Petition, SignedApproval
from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.governance import Document, SignedDocument
from sojourn.core.agent.inquiries import Answer, Inquiry, SignedAnswer
from sojourn.core.agent.memory.blocks import NewBlocks, NoBlocks
from sojourn.core.agent.orders import Order
from sojourn.core.base.encoding import digest_of, encode, encode_block
from sojourn.core.base.errors import Refused, SojournError
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.accusation import Accusation
from sojourn.core.protocol.accusing import accusing
from sojourn.core.protocol.amending import bringing
from sojourn.core.protocol.asking import pending
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import (
    AgentMessage,
    AnyReply,
    Mailed,
    PutMessage,
    SignedMessage,
)
from sojourn.core.protocol.gossip import News, Tell
from sojourn.core.protocol.messages import Applied, Declined, Proposal, PutApproval
from sojourn.core.protocol.ordering import carrying, sealed
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.querying import Disclosure, PersonQuestion, Query, SignedQuestion
from sojourn.core.protocol.validate import slot_for
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest
from sojourn.runtime.clients.asking_zones import ask_zone
from sojourn.runtime.clients.zone_client import Overtaken, Stalled, ZoneClient
from sojourn.runtime.host_side.dealing import give_shares
from sojourn.testing.founding import ISSUER, Born, endorsement, key
from sojourn.transports.pool import ConnectionPool

__all__ = [
    "accuse",
    "amend",
    "answer",
    "approval",
    "ask",
    "by_issuer",
    "introduce",
    "launch",
    "message",
    "order",
    "publish",
    "question",
    "said",
    "send",
    "tell",
]

_TRIES: Final = 40
_PAUSE_S: Final = 0.25
_ASK_S: Final = 3.0


async def introduce(pool: ConnectionPool, manifests: Sequence[SignedManifest]) -> None:
    """Tell every anchor of all zones, and that the issuer vouches for them; one that stays silent is passed over."""
    news = News(
        manifests=tuple(manifests),
        endorsements=tuple(endorsement(one.manifest.zone_id) for one in manifests),
    )
    clients = [ZoneClient(one.manifest, pool) for one in manifests]
    await asyncio.gather(
        *(_tell(client, index, news) for client in clients for index in range(client.n))
    )


async def tell(
    pool: ConnectionPool, zone: ZoneManifest, news: News, anchors: Sequence[int] | None = None
) -> None:
    """Tell some anchors of a zone, or all of them; one that stays silent is passed over."""
    client = ZoneClient(zone, pool)
    told = range(client.n) if anchors is None else anchors
    await asyncio.gather(*(_tell(client, index, news) for index in told))


async def _tell(client: ZoneClient, anchor: int, news: News) -> None:
    for _ in range(_TRIES):
        try:
            if isinstance(await client.call(anchor, Tell(news=news), timeout_s=_ASK_S), Applied):
                return
        except SojournError:
            pass  # it may not listen yet
        await asyncio.sleep(_PAUSE_S)


async def launch(pool: ConnectionPool, zone: ZoneManifest, born: Born) -> Certified:
    """Store what a genesis names with a zone's anchors, its keys in shares, and have it decided.

    Raises `Stalled` if it will never be.
    """
    client = ZoneClient(zone, pool)
    record = born.record
    roots = (
        *record.governance.documents,
        *record.memory.roots(),
        record.capabilities.code,
        *record.proofs,
    )
    await give_shares(client, record.agent_id, born.dealt)
    uploads = (client.upload(anchor, roots, born.blocks) for anchor in range(client.n))
    await asyncio.gather(*uploads, return_exceptions=True)
    slot = slot_for(None, born.proposal.transition, zone)
    while True:
        proposer = Proposer(born.proposal, slot, zone)
        try:
            return await client.decide(proposer, born.blocks, timeout_s=_ASK_S, until_applied=True)
        except Overtaken as overtaken:
            return overtaken.decided
        except Stalled as stalled:
            if _is_final(stalled, zone):
                raise
        await asyncio.sleep(_PAUSE_S)


def _is_final(stalled: Stalled, zone: ZoneManifest) -> bool:
    """Tell whether more than f anchors say that it will never do: whoever is only silent may come back."""
    return sum(not each.for_now for each in stalled.declined.values()) > zone.f


def message(agent: bytes, body: Any, *, nonce: bytes, now_ms: int) -> SignedMessage:
    """Return a person's message to an agent, sealed."""
    person = key("person")
    said = AgentMessage(
        agent=agent,
        sender=person.public,
        sent_ms=now_ms,
        nonce=nonce,
        body=encode_block(body),
    )
    covered = statement(Kind.MESSAGE, Role.PERSON, digest_of(said))
    return SignedMessage(
        message=said, seal=Seal(signer=person.public, signature=person.sign(covered))
    )


async def send(pool: ConnectionPool, zone: Callable[[], ZoneManifest], said: Mailed) -> None:
    """Give a message, or an answer, to the anchors of the zone where the agent is, until more than f keep it."""
    while True:
        client = ZoneClient(zone(), pool)
        took = await client.ask_all(PutMessage(message=said), Applied, timeout_s=_ASK_S)
        if len(took) > client.manifest.f:
            return
        await asyncio.sleep(_PAUSE_S)


def question(agent: bytes, query: Query, *, nonce: bytes, now_ms: int) -> SignedQuestion:
    """Return a person's question to an agent, sealed."""
    asker = key("person")
    said = PersonQuestion(
        agent=agent, sender=asker.public, asked_ms=now_ms, nonce=nonce, spelled=encode(query)
    )
    covered = statement(Kind.QUESTION, Role.PERSON, digest_of(said))
    return SignedQuestion(said=said, seal=Seal(signer=asker.public, signature=asker.sign(covered)))


async def ask(
    pool: ConnectionPool, zone: Callable[[], ZoneManifest], question: SignedQuestion
) -> Disclosure:
    """Ask a question where the agent is, until it is answered."""
    while True:
        _, told = await ask_zone(ZoneClient(zone(), pool), question, NoBlocks(), timeout_s=_ASK_S)
        if told is not None:
            return told
        await asyncio.sleep(_PAUSE_S)


async def amend(
    pool: ConnectionPool,
    look: Callable[[], tuple[ZoneManifest, Certified]],
    old: Document,
    run: Sequence[SignedDocument],
    now_ms: Callable[[], int],
) -> Certified:
    """Bring successors of a document to where the agent is, after whatever it does next, until the last one rules.

    To one between zones they are brought when it has arrived.
    """
    shown = tuple(encode(signed.document) for signed in run)

    def brought(head: Certified) -> Proposal | None:
        if head.record.eligibility.status is Status.DEPARTED:
            return None
        return bringing(old, run, head, key("person"), at_ms=now_ms())

    return await _carry(pool, look, brought, shown=shown)


def approval(
    petition: Petition, by: str, now_ms: int, *, is_approved: bool, reason: str
) -> SignedApproval:
    """Return a person's answer to a petition, sealed."""
    pair = key(by)
    said = Approval(
        agent=petition.agent,
        petition=digest_of(petition),
        approver=pair.public,
        is_approved=is_approved,
        issued_ms=now_ms,
        expires_ms=petition.expires_ms,
        reason=reason,
    )
    covered = statement(Kind.APPROVAL, Role.PERSON, digest_of(said))
    seal = Seal(signer=pair.public, signature=pair.sign(covered))
    return SignedApproval(approval=said, seal=seal)


async def answer(
    pool: ConnectionPool,
    look: Callable[[], tuple[ZoneManifest, Certified]],
    petition: Petition,
    signed: SignedApproval,
) -> None:
    """Give an answer to the anchors of the zone where the agent is, until more than f keep it, or it was made use of.

    Raises `Refused` if more than f will never do so.
    """
    put = PutApproval(petition=petition, approval=signed)
    while pending(petition) in look()[1].record.eligibility.petitions:
        client = ZoneClient(look()[0], pool)
        replies: list[AnyReply] = []

        def take(_anchor: int, reply: AnyReply) -> bool:
            replies.append(reply)  # noqa: B023 - called within this turn alone
            return False

        await client.ask_each(put, take, timeout_s=_ASK_S)
        f = client.manifest.f
        if sum(isinstance(reply, Applied) for reply in replies) > f:
            return
        never = [r.problem for r in replies if isinstance(r, Declined) and not r.for_now]
        if len(never) > f:
            raise Refused(never[0])
        await asyncio.sleep(_PAUSE_S)


def said(inquiry: Inquiry, by: str, value: Any, now_ms: int) -> SignedAnswer:
    """Return a person's answer to what an agent asks people, sealed."""
    pair = key(by)
    given = Answer(
        agent=inquiry.agent,
        inquiry=digest_of(inquiry),
        by=pair.public,
        answered_ms=now_ms,
        body=encode_block(value),
    )
    covered = statement(Kind.ANSWER, Role.PERSON, digest_of(given))
    return SignedAnswer(answer=given, seal=Seal(signer=pair.public, signature=pair.sign(covered)))


async def order(
    pool: ConnectionPool,
    look: Callable[[], tuple[ZoneManifest, Certified]],
    given: Order,
    shown: Sequence[bytes] = (),
) -> Certified:
    """Carry an order of the agent's issuer to where it is, after whatever it does next, until it is carried out.

    Blocks `shown` ride along.
    """
    signed = sealed(given, [ISSUER])
    return await _carry(
        pool,
        look,
        lambda head: carrying(signed, head, key("person"), at_ms=given.issued_ms),
        lambda head: head.record.governance.last_ordered_ms(given.matter) >= given.issued_ms,
        shown,
    )


async def accuse(
    pool: ConnectionPool,
    look: Callable[[], tuple[ZoneManifest, Certified]],
    given: Accusation,
    at_ms: int,
) -> Certified:
    """Carry an accusation to where an agent is, after whatever it does next, until it is counted."""
    return await _carry(pool, look, lambda head: accusing(given, head, key("person"), at_ms=at_ms))


async def _carry(
    pool: ConnectionPool,
    look: Callable[[], tuple[ZoneManifest, Certified]],
    proposed: Callable[[Certified], Proposal | None],
    is_done: Callable[[Certified], bool] = lambda _: False,
    shown: Sequence[bytes] = (),
) -> Certified:
    """Have decided what anybody may carry, after whatever the agent does next, unless it is done already.

    While there is nothing to propose it waits. `shown` are blocks that ride along.
    """
    blocks = NewBlocks(NoBlocks())
    for data in shown:
        blocks.add(data)
    while True:
        zone, head = look()
        if is_done(head):
            return head  # whoever drives for us had it decided
        proposal = proposed(head)
        if proposal is None:
            await asyncio.sleep(_PAUSE_S)
            continue
        slot = slot_for(head, proposal.transition, zone)
        try:
            client = ZoneClient(zone, pool)
            proposer = Proposer(proposal, slot, zone, parent=head, blocks=tuple(shown))
            return await client.decide(proposer, blocks, timeout_s=_ASK_S, until_applied=True)
        except Overtaken:
            continue
        except Stalled as stalled:
            if _is_final(stalled, zone):
                raise
        await asyncio.sleep(_PAUSE_S)


def by_issuer(given: Order) -> News:
    """Return an order of the agents' issuer, as it is published."""
    return News(orders=(sealed(given, [ISSUER]),))


async def publish(pool: ConnectionPool, zone: ZoneManifest, anchor: int, news: News) -> None:
    """Give what the issuer published to one anchor alone. Raises `Refused` if that does not keep it."""
    reply = await ZoneClient(zone, pool).call(anchor, Tell(news=news), timeout_s=_ASK_S)
    if not isinstance(reply, Applied):
        raise Refused(reply.problem if isinstance(reply, Declined) else "it answered otherwise")
