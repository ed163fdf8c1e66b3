"""Custody: what an execution asks for is decided, stored, or refused for good; and stops with the lease."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.memory.field import Compartment, Form
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Denied, Rejected
from sojourn.core.base.limits import CALL_TIMEOUT_S, DECISIONS_AT_ONCE
from sojourn.core.protocol.binding import Heartbeat, HeartbeatReply
from sojourn.core.protocol.messages import Declined, Propose, ShowLock
from sojourn.host.custody import AgentCustody
from sojourn.host.server import Host
from sojourn.runtime import ports
from sojourn.runtime.clients.zone_client import Overtaken
from sojourn.runtime.errors import LeaseLost, LeaseWithheld
from sojourn.runtime.processes import clock
from tests.unit.anchor.standing_in import hang, stand_in, until
from tests.unit.host.hosting import draft_of, hosted, taken_up
from tests.village import House, Village, village

Test = Callable[[Village, House, Host, AgentCustody], Awaitable[None]]


def run(test: Test, *, lease_ms: int = 60_000, actions: tuple[str, ...] = ()) -> None:
    async def main() -> None:
        async with village("a", lease_ms=lease_ms) as v:
            house = v.houses["a"]
            head = await v.launch(house, actions=actions)
            async with hosted(v, house) as host:
                custody, _ = await taken_up(host, head)
                await test(v, house, host, custody)

    asyncio.run(asyncio.wait_for(main(), 30))


def tree(leaves: int, size: int) -> tuple[bytes, dict[bytes, bytes]]:
    """Return the root of a tree of blocks, and all of them, children first."""
    parts = [encode_block([number, b"x" * size]) for number in range(leaves)]
    made = {digest(data): data for data in parts}
    root = encode_block([link_to(named) for named in made])
    return digest(root), made | {digest(root): root}


def with_memory(custody: AgentCustody, root: bytes, blocks: dict[bytes, bytes]) -> Any:
    """Return a draft that gives the agent a compartment with this root."""
    memory = custody.record.memory
    compartments = dict(memory.compartments) | {"data": Compartment(form=Form.LOG, root=root)}
    draft = draft_of(custody)
    return replace(draft, memory=replace(memory, compartments=compartments), blocks=blocks)


# Memory


@pytest.mark.parametrize(("leaves", "size"), [(3, 100), (40, 60_000), (3_000, 10)])
def test_new_memory_is_stored_however_much_it_is(leaves: int, size: int) -> None:
    async def test(v: Village, house: House, host: Host, custody: AgentCustody) -> None:
        root, blocks = tree(leaves, size)
        await custody.commit(with_memory(custody, root, blocks))
        assert 2 == custody.record.version
        stored = [anchor.shelf.lacking(list(blocks)) for anchor in house.anchors.values()]
        assert 3 <= sum(not lacking for lacking in stored)

    run(test)


def test_much_memory_does_not_wait_for_one_that_hangs() -> None:
    async def test(v: Village, house: House, host: Host, custody: AgentCustody) -> None:
        gate = await hang(v, house, 1)
        began = time.monotonic()
        await custody.commit(with_memory(custody, *tree(40, 60_000)))
        assert time.monotonic() - began < 0.8 * CALL_TIMEOUT_S
        gate.set()

    run(test)


def test_an_anchor_that_was_away_is_given_what_it_lacks_also_by_a_new_host() -> None:
    """A host that took over has at hand only what it has read; three of four must do."""

    async def test(v: Village, house: House, host: Host, custody: AgentCustody) -> None:
        await v.close(house, 3)
        root, blocks = tree(5, 1_000)
        await custody.commit(with_memory(custody, root, blocks))
        await v.open(house, [3])
        v.introduce()
        await v.close(house, 0)
        host.blocks._blocks.clear()
        await custody.commit(draft_of(custody))
        assert 3 in custody.head.certificate.signers()
        assert [] == house.anchors[3].shelf.lacking(list(blocks))

    run(test, lease_ms=2_000)


# Many agents at once


def test_a_host_drives_so_many_decisions_at_a_time_and_the_others_wait_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    under_way, most, done = 0, 0, 0

    async def test(v: Village, house: House, host: Host, custody: AgentCustody) -> None:
        async def decide(*_: Any, **__: Any) -> Any:
            nonlocal under_way, most, done
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.001)
            under_way, done = under_way - 1, done + 1
            raise Overtaken(custody.head)

        monkeypatch.setattr(host.zone, "decide", decide)
        each = [AgentCustody(host, custody.head, asyncio.Event()) for _ in range(100)]
        commits = (one.commit(draft_of(one)) for one in each)
        await asyncio.gather(*commits, return_exceptions=True)

    run(test)
    assert (DECISIONS_AT_ONCE, 100) == (most, done)


# Stalls


def test_a_zone_without_a_quorum_is_asked_ever_more_rarely_and_goes_on_when_it_is_back() -> None:
    asked: list[float] = []

    async def note(request: Any, honest: Any) -> Any:
        asked.extend([time.monotonic()] if isinstance(request, Propose) else [])
        return honest

    async def test(v: Village, house: House, host: Host, custody: AgentCustody) -> None:
        await stand_in(v, house, 0, note)
        await v.close(house, 2)
        await v.close(house, 3)
        committing = asyncio.create_task(custody.commit(draft_of(custody)))
        await asyncio.sleep(1.6)
        assert not committing.done()
        assert len(asked) <= 6
        await v.open(house, [2, 3])
        v.introduce()
        await v.renew(house, custody.head)
        async with asyncio.timeout(5):
            await committing
        assert 2 == custody.record.version

    run(test)


def test_a_step_that_more_than_f_will_never_vote_for_is_refused_for_good() -> None:
    async def never(request: Any, honest: Any) -> Any:
        no = Declined(reason="bad-change", problem="no", for_now=False)
        return no if isinstance(request, Propose) else honest

    async def test(v: Village, house: House, host: Host, custody: AgentCustody) -> None:
        await stand_in(v, house, 0, never)
        await custody.commit(draft_of(custody))  # one of four may lie
        await stand_in(v, house, 1, never)
        with pytest.raises(Rejected, match="bad-change: no"):
            await custody.commit(draft_of(custody))

    run(test)


def test_a_denial_is_a_denial() -> None:
    async def denied(request: Any, honest: Any) -> Any:
        no = Declined(reason="denied", problem="the policy says no", for_now=False)
        return no if isinstance(request, Propose) else honest

    async def test(v: Village, house: House, host: Host, custody: AgentCustody) -> None:
        await stand_in(v, house, 0, denied)
        await stand_in(v, house, 1, denied)
        with pytest.raises(Denied, match="the policy says no"):
            await custody.commit(draft_of(custody))

    run(test)


def test_what_was_given_up_and_is_decided_all_the_same_is_not_what_is_wanted_now() -> None:
    """Anchors that know of a no decline, and those that do not can be a quorum."""
    declining = [True]

    async def deny(request: Any, honest: Any) -> Any:
        no = Declined(reason="denied", problem="the policy says no", for_now=False)
        return no if declining and isinstance(request, ShowLock) else honest

    async def test(v: Village, house: House, host: Host, custody: AgentCustody) -> None:
        await stand_in(v, house, 0, deny)
        await stand_in(v, house, 1, deny)
        with pytest.raises(Denied, match="the policy says no"):
            await custody.commit(replace(draft_of(custody), status=Status.DORMANT))
        declining.clear()
        with pytest.raises(LeaseLost, match="a step was decided instead, at version 2"):
            await custody.commit(draft_of(custody))

    run(test)


# The lease


def test_nothing_is_proposed_when_the_lease_has_run_out() -> None:
    asked: list[Propose] = []

    async def note(request: Any, honest: Any) -> Any:
        asked.extend([request] if isinstance(request, Propose) else [])
        return honest

    async def test(v: Village, house: House, host: Host, custody: AgentCustody) -> None:
        await stand_in(v, house, 0, note)
        host.leases.release(custody.agent)
        assert not custody.lease_valid()
        with pytest.raises(LeaseLost, match="ran out"):
            await custody.commit(draft_of(custody))
        assert [] == asked

    run(test)


def test_custody_is_over_when_another_transition_was_decided() -> None:
    async def test(v: Village, house: House, host: Host, custody: AgentCustody) -> None:
        other = replace(custody.record.eligibility, last_decision=digest(b"another"))
        await v.step(house, custody.head, eligibility=other)
        with pytest.raises(LeaseLost, match="a step was decided instead, at version 2"):
            await custody.commit(draft_of(custody))

    run(test)


def test_a_commit_that_is_cancelled_leaves_nothing_running() -> None:
    async def test(v: Village, house: House, host: Host, custody: AgentCustody) -> None:
        for index in (1, 2, 3):
            await v.close(house, index)
        before = asyncio.all_tasks()
        committing = asyncio.create_task(custody.commit(draft_of(custody)))
        await asyncio.sleep(0.05)
        committing.cancel()
        await asyncio.gather(committing, return_exceptions=True)
        await until(lambda: len(asyncio.all_tasks() - before) <= len(host.zone._telling))
        assert TransitionKind.BIND is custody.head.transition.kind

    run(test)


def test_section_6_a_lease_under_which_nothing_is_decided_is_let_go() -> None:
    """One anchor has begun to bind another host; of those that grant the lease one lies and votes for nothing."""

    async def withhold(request: Any, honest: Any) -> Any:
        if isinstance(request, Heartbeat):
            declined = tuple(claim.agent for claim in request.claims)
            return HeartbeatReply(sequence=request.sequence, declined=declined)
        return await vote_for_nothing(request, honest)

    async def vote_for_nothing(request: Any, honest: Any) -> Any:
        if isinstance(request, Propose):
            return Declined(reason="refused", problem="not now", for_now=True)
        return honest

    async def test(v: Village, house: House, host: Host, custody: AgentCustody) -> None:
        await stand_in(v, house, 1, withhold)
        await stand_in(v, house, 2, vote_for_nothing)
        with pytest.raises(LeaseWithheld, match="nothing is decided"):
            await custody.commit(draft_of(custody))
        assert custody.is_withheld

    run(test, lease_ms=1_000)


# Effects


def test_section_10_an_intent_of_an_earlier_life_permits_no_effect() -> None:
    """Its host may have acted on it before it crashed, though no anchor had heard of the decision yet."""

    async def test(v: Village, house: House, host: Host, custody: AgentCustody) -> None:
        places = house.anchors[0].places
        host.places.learn(places.lacking_in(host.places.summary()), clock.wall_ms())
        early = AgentCustody(host, custody.head, asyncio.Event())
        intent = ports.Intent(
            step="pay", action="order.place", effect="once", key="k", arguments=digest(b"a")
        )
        await custody.intend(intent, draft_of(custody))
        with pytest.raises(LeaseLost, match="another life"):
            await early.intend(intent, draft_of(early))

    run(test, actions=("order.place",))
