"""Slots that are stuck in zones of real anchors: what is half done is finished, whoever is dead (protocol §3, P6)."""

import asyncio

import pytest

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.protocol.admission import bound
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Propose, ShowLock, Voted
from sojourn.core.protocol.validate import slot_for
from sojourn.core.quorum.certificates import certify
from sojourn.core.quorum.votes import Vote
from sojourn.runtime.clients.zone_client import Overtaken, Stalled
from tests.village import House, Village, village


async def bind_until_decided(v: Village, house: House, head: Certified, host: int) -> Certified:
    """Try to bind as a host does that finds an agent without one: again and again, each time anew."""
    while True:
        pair = house.hosts[host]
        record = bound(head, pair.public)
        proposal = v.proposal(TransitionKind.BIND, head, record, pair)
        try:
            return await v.decide(house, proposal, head, timeout_s=1)
        except Overtaken as overtaken:
            return overtaken.decided
        except Stalled:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("reached", [(0,), (0, 1), (0, 1, 2)])
def test_trap_2_a_host_that_dies_in_the_middle_of_a_step_is_followed_by_another(
    reached: tuple[int, ...],
) -> None:
    """One anchor is dead too, so all three others must agree: some have voted for the dead host's step."""

    async def run() -> None:
        async with village("a", lease_ms=300) as v:
            a = v.houses["a"]
            head = await v.launch(a)
            await v.close(a, 3)
            step = v.step_proposal(a, head)
            ask = Propose(slot=slot_for(head, step.transition, a.manifest), round=0, proposal=step)
            for index in reached:
                assert isinstance(await v.client(a).call(index, ask), Voted)
            done = await bind_until_decided(v, a, head, host=1)
            if done.transition.kind is TransitionKind.STEP:  # the anchors finished it by themselves
                done = await bind_until_decided(v, a, done, host=1)
            assert a.hosts[1].public == done.record.custody.host

    asyncio.run(asyncio.wait_for(run(), 60))


def test_trap_24_anchors_finish_what_a_dead_host_had_locked() -> None:
    """The host dies with the lock certificate shown to one anchor: no other value can be decided."""

    async def run() -> None:
        async with village("a", lease_ms=300) as v:
            a = v.houses["a"]
            head = await v.launch(a)
            step = v.step_proposal(a, head)
            slot = slot_for(head, step.transition, a.manifest)
            votes: list[Vote] = []
            for index in range(3):
                ask = Propose(slot=slot, round=0, proposal=step)
                reply = await v.client(a).call(index, ask)
                assert isinstance(reply, Voted)
                votes.append(reply.vote)
            lock = certify(votes, a.manifest.committee)
            assert isinstance(await v.client(a).call(0, ShowLock(certificate=lock)), Voted)
            while any(
                anchor.shelf.dossier(slot.agent).head == head for anchor in a.anchors.values()
            ):
                await asyncio.sleep(0.02)
            heads = [anchor.shelf.dossier(slot.agent).head for anchor in a.anchors.values()]
            assert all(h is not None and h.transition == step.transition for h in heads)

    asyncio.run(asyncio.wait_for(run(), 60))
