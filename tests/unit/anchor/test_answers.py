"""What is answered without a ruling: bounded, in parts, and of use to whoever asks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.anchor import answers, gossiping
from sojourn.core.agent.eligibility import Budget, Eligibility, Status, Wake
from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of, encode_block
from sojourn.core.base.limits import BODY_BYTES_MAX
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol import exchange, gossip
from sojourn.core.protocol.admission import ordered
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.letters import NeverHeld
from sojourn.core.protocol.messages import (
    Applied,
    Declined,
    Evidence,
)
from sojourn.runtime.clients.zone_client import ZoneClient
from sojourn.runtime.processes import clock
from tests.unit.anchor.letters import letter
from tests.village import House, Village, seal, village

Test = Callable[[Village, House], Awaitable[None]]


def run(test: Test, *, lease_ms: int = 60_000) -> None:
    """Run a test in a village of one zone of one anchor."""

    async def main() -> None:
        async with village("a", n=1, lease_ms=lease_ms) as v:
            await test(v, v.houses["a"])

    asyncio.run(asyncio.wait_for(main(), 30))


def eligibility(number: int) -> Eligibility:
    """Return what makes one agent another than the next."""
    return Eligibility(status=Status.ACTIVE, budgets={"calls": Budget(limit=number + 1)})


async def many(v: Village, house: House, count: int) -> list[Certified]:
    """Launch agents."""
    return [
        await v.decide(house, v.genesis(house, eligibility=eligibility(i))) for i in range(count)
    ]


async def work(client: ZoneClient, host: bytes) -> list[bytes]:
    """Ask for work; return which agents there is something to do for."""
    reply = await client.call(0, exchange.AskWork(host=host))
    assert isinstance(reply, exchange.Work)
    found = [item.head or item.arrive.departure for item in reply.items if item.head or item.arrive]  # type: ignore[union-attr]
    return [certified.record.agent_id for certified in found]


# Work for hosts


def test_a_host_is_told_of_agents_that_nobody_sees_to() -> None:
    async def test(v: Village, house: House) -> None:
        born, bound = await many(v, house, 2)
        await v.bind(house, bound)  # and its lease is live
        first, second = house.hosts
        client = v.client(house, second)
        assert [born.record.agent_id] == await work(client, second.public)
        mine = v.client(house, first)
        both = {born.record.agent_id, bound.record.agent_id}
        await mine.call(0, exchange.AskStatus())
        v._pools.pop(first.public)
        restarted = v.client(house, first)
        assert both == set(await work(restarted, first.public))  # it may remember nothing
        assert [born.record.agent_id] == await work(restarted, first.public)

    run(test)


def test_work_is_told_in_parts_and_none_is_always_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_ITEMS_MAX", 3)

    async def test(v: Village, house: House) -> None:
        agents = {head.record.agent_id for head in await many(v, house, 8)}
        host = house.hosts[0]
        client = v.client(house, host)
        told = set[bytes]()
        for _ in range(200):
            part = await work(client, host.public)
            assert 3 == len(part)
            told.update(part)
        assert agents == told

    run(test)


@pytest.mark.parametrize("has_mail", [True, False])
def test_a_sleeper_that_waits_for_a_message_is_work_when_there_is_one(has_mail: bool) -> None:
    async def test(v: Village, house: House) -> None:
        head = await v.launch(house)
        asleep = replace(
            head.record.eligibility, status=Status.DORMANT, wake=(Wake(on_message=True),)
        )
        head = await v.step(house, head, eligibility=asleep)
        agent, host = head.record.agent_id, house.hosts[0]
        client = v.client(house, host)
        if has_mail:
            await client.call(0, exchange.PutMessage(message=letter(agent, 1)))
        assert [agent] * has_mail == await work(client, host.public)
        assert [] == await work(v.client(house, house.hosts[1]), house.hosts[1].public)

    run(test)


@pytest.mark.parametrize("wakes_in_ms", [30_000, 3_600_000])
def test_a_host_that_starts_hears_of_sleepers_that_wake_soon(wakes_in_ms: int) -> None:
    async def test(v: Village, house: House) -> None:
        head = await v.launch(house)
        wake = (Wake(at_ms=clock.wall_ms() + wakes_in_ms),)
        asleep = replace(head.record.eligibility, status=Status.DORMANT, wake=wake)
        head = await v.step(house, head, eligibility=asleep)
        agent, host = head.record.agent_id, house.hosts[0]
        v._pools.pop(host.public)  # it has just started, and remembers nothing
        is_soon = wakes_in_ms == 30_000
        assert [agent] * is_soon == await work(v.client(house, host), host.public)

    run(test)


# Messages


def test_messages_come_in_replies_that_fit() -> None:
    async def test(v: Village, house: House) -> None:
        head = await v.launch(house)
        agent, client = head.record.agent_id, v.client(house)
        letters = [letter(agent, number, size=60_000) for number in range(100)]
        for each in letters:
            assert Applied() == await client.call(0, exchange.PutMessage(message=each))
        got: list[Any] = []
        while len(got) < len(letters):
            reply = await client.call(0, exchange.AskMessages(agent=agent))
            assert isinstance(reply, exchange.Messages)
            assert reply.messages
            got += reply.messages
            digests = tuple(message.digest for message in reply.messages)
            await client.call(0, exchange.Consumed(agent=agent, messages=digests))
        assert letters == got

    run(test)


def test_only_the_bound_host_drops_messages() -> None:
    async def test(v: Village, house: House) -> None:
        head = await v.launch(house)
        agent = head.record.agent_id
        message = letter(agent, 1)
        client, other = v.client(house), v.client(house, house.hosts[1])
        await client.call(0, exchange.PutMessage(message=message))
        ask = exchange.Consumed(agent=agent, messages=(message.digest,))
        assert isinstance(await other.call(0, ask), Declined)
        assert house.anchors[0].mail.waits_for(agent)
        assert Applied() == await client.call(0, ask)
        assert not house.anchors[0].mail.waits_for(agent)

    run(test)


async def retire(v: Village, house: House, head: Certified) -> None:
    """Have the issuer retire an agent."""
    now_ms = clock.wall_ms()
    order = Order(
        agent=head.record.agent_id, act=Act.RETIRE, issued_ms=now_ms, expires_ms=now_ms + 60_000
    )
    sealed = SignedOrder(
        order=order, seals=(seal(v.issuer, Kind.ORDER, Role.ISSUER, digest_of(order)),)
    )
    proposal = v.proposal(
        TransitionKind.RETIRE,
        head,
        ordered(head.record, head.certificate.slot, order),
        v.issuer,
        role=Role.PERSON,
        evidence=Evidence(order=sealed),
    )
    await v.decide(house, proposal, head)


def test_nothing_waits_for_an_agent_that_has_ended() -> None:
    async def test(v: Village, house: House) -> None:
        head = await v.launch(house)
        agent, client, anchor = head.record.agent_id, v.client(house), house.anchors[0]
        await client.call(0, exchange.PutMessage(message=letter(agent, 1)))
        await retire(v, house, head)
        while anchor.mail.waits_for(agent):
            await asyncio.sleep(0)
        reply = await client.call(0, exchange.PutMessage(message=letter(agent, 2)))
        assert isinstance(reply, Declined)
        assert "that agent has ended" == reply.problem

    run(test)


def test_a_message_that_is_too_long_is_refused_by_name() -> None:
    async def test(v: Village, house: House) -> None:
        agent = (await v.launch(house)).record.agent_id
        long = letter(agent, 1, size=BODY_BYTES_MAX)
        reply = await v.client(house).call(0, exchange.PutMessage(message=long))
        assert isinstance(reply, Declined)
        assert ("too-large", False) == (reply.reason, reply.for_now)
        assert f"more than the limit of {BODY_BYTES_MAX}" in reply.problem
        assert not house.anchors[0].mail.waits_for(agent)

    run(test)


def test_a_message_for_nobody_known_is_declined_before_its_seal_is_looked_at() -> None:
    async def test(v: Village, house: House) -> None:
        stranger = replace(letter(digest(b"nobody"), 1), seal=letter(digest(b"x"), 2).seal)
        reply = await v.client(house).call(0, exchange.PutMessage(message=stranger))
        assert isinstance(reply, Declined)
        assert NeverHeld.code == reply.reason

    run(test)


# Much at once


def test_many_agents_are_listed_page_by_page() -> None:
    async def test(v: Village, house: House) -> None:
        heads = await many(v, house, 70)
        client = v.client(house)
        reply = await client.call(0, exchange.AskAgents())
        assert isinstance(reply, exchange.Agents)
        listed = [summary.agent for summary in reply.agents]
        assert sorted(head.record.agent_id for head in heads) == listed
        rest = await client.call(0, exchange.AskAgents(after=listed[0], limit=68))
        assert isinstance(rest, exchange.Agents)
        assert listed[1:69] == [summary.agent for summary in rest.agents]

    run(test)


def test_the_past_comes_in_parts_that_fit_a_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_REPLY_BYTES_MAX", 10_000)

    async def test(v: Village, house: House) -> None:
        head = await v.launch(house)
        for _ in range(20):
            head = await v.step(house, head)
        client, versions = v.client(house), list[int]()
        while True:
            start = versions[-1] + 1 if versions else 0
            ask = exchange.AskPast(agent=head.record.agent_id, from_version=start, limit=1000)
            past = await client.call(0, ask)
            assert isinstance(past, exchange.Past)
            if not past.history:
                break
            assert len(past.history) < 20
            versions += [item.record.version for item in past.history]
        assert list(range(22)) == versions

    run(test)


def test_more_small_blocks_than_one_commit_takes_are_stored_in_several() -> None:
    async def test(v: Village, house: House) -> None:
        blocks = tuple(encode_block(number) for number in range(5_000))
        client = v.client(house)
        assert Applied() == await client.call(0, exchange.PutBlocks(blocks=blocks))
        ask = exchange.AskMissing(digests=tuple(map(digest, blocks)))
        assert exchange.Missing(digests=()) == await client.call(0, ask)

    run(test)


# Places


def test_what_is_told_of_places_fits_a_message_and_all_of_it_comes_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gossiping, "_KIND_BYTES_MAX", 3_000)

    async def test(v: Village, house: House) -> None:
        for number in range(8):
            v.found(f"zone-{number}", 1)
        v.introduce()
        empty = gossip.Summary(zones=(), envelopes=(), endorsements=())
        client = v.client(house)
        known = house.anchors[0].places.summary()
        summary, rounds = empty, 0
        mine = gossip.KnownPlaces("test")
        while summary != known:
            reply = await client.call(0, gossip.Exchange(summary=summary))
            assert isinstance(reply, gossip.Exchanged)
            mine.learn(reply.news, clock.wall_ms())
            summary, rounds = mine.summary(), rounds + 1
        assert rounds > 2

    run(test)


def test_one_who_tells_a_false_statement_is_believed_nothing_and_others_go_on_telling() -> None:
    async def test(v: Village, house: House) -> None:
        other, third = v.found("other", 1), v.found("third", 1)
        forged = replace(third.signed, seals=other.signed.seals)
        news = gossip.News(manifests=(other.signed, forged))
        reply = await v.client(house).call(0, gossip.Tell(news=news))
        assert isinstance(reply, Declined)
        assert {house.zone} == set(house.anchors[0].manifests)
        told = gossip.Tell(news=gossip.News(manifests=(other.signed,)))
        assert Applied() == await v.client(house).call(0, told)
        assert {house.zone, other.zone} == set(house.anchors[0].manifests)

    run(test)
