"""A zone as a peer: one of its anchors may be dead, hang or lie, and costs neither truth nor time."""

import asyncio
import time
from typing import Any

import msgspec
import pytest

from sojourn.core.base.digests import digest, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Refused, Rejected, Unreachable
from sojourn.core.base.limits import CALL_TIMEOUT_S
from sojourn.core.protocol.exchange import (
    AskBlocks,
    AskMissing,
    Blocks,
    Missing,
    PutBlocks,
)
from sojourn.core.protocol.messages import AskHead, Declined, Head, Need, Proposal, ShowCommit
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.validate import slot_for
from sojourn.runtime.clients import fetching
from sojourn.runtime.clients.zone_client import Stalled
from tests.unit.anchor.standing_in import hang, stand_in
from tests.village import Blocks as AtHand
from tests.village import village

HEAD = AskHead(agent=digest(b"nobody"))
SOON_S = 0.8 * CALL_TIMEOUT_S
"""Sooner than whoever waits for one that hangs can be."""


def leaf(number: int) -> bytes:
    return encode_block([number, b"x" * 100])


# Asking


def test_one_that_hangs_costs_no_time_where_enough_others_answer() -> None:
    async def run() -> None:
        async with village("a") as v:
            a = v.houses["a"]
            gate = await hang(v, a, 2)
            client = v.client(a)
            async with asyncio.timeout(SOON_S):
                replies = await client.ask_all(HEAD, Head, enough=client.quorum)
            assert [0, 1, 3] == list(replies)
            gate.set()

    asyncio.run(run())


def test_without_enough_all_are_heard_and_the_dead_are_left_out() -> None:
    async def run() -> None:
        async with village("a") as v:
            await v.close(v.houses["a"], 1)
            assert [0, 2, 3] == list(await v.client(v.houses["a"]).ask_all(HEAD, Head))

    asyncio.run(run())


def test_a_reply_that_is_rejected_is_passed_over_and_the_others_are_heard() -> None:
    async def run() -> None:
        heard = []

        def take(anchor: int, _reply: Any) -> bool:
            if anchor == 0:
                raise Rejected("a lie", reason="planted")
            heard.append(anchor)
            return False

        async with village("a") as v:
            await v.client(v.houses["a"]).ask_each(HEAD, take)
        assert [1, 2, 3] == sorted(heard)

    asyncio.run(run())


def test_a_connection_that_is_never_made_counts_against_the_time_limit() -> None:
    class NoConnections:
        async def connection(self, host: str, port: int, expected_key: bytes) -> Any:
            await asyncio.Event().wait()

    async def run() -> None:
        async with village("a") as v:
            client = v.client(v.houses["a"])
            client._pool = NoConnections()
            with pytest.raises(Unreachable, match=r"did not answer in 0\.05 s"):
                await client.call(0, HEAD, timeout_s=0.05)

    asyncio.run(run())


def test_one_that_answers_nonsense_is_asked_ever_more_rarely() -> None:
    """A reply that is no reply may be made dear to look at."""
    asked: list[Any] = []

    async def nonsense(request: Any, _honest: Any) -> Any:
        asked.append(request)
        return b"\x00nonsense"

    async def run() -> None:
        async with village("a") as v:
            a = v.houses["a"]
            await stand_in(v, a, 0, nonsense)
            client, time = v.client(a), asyncio.get_running_loop().time
            before = time()
            with pytest.raises(Rejected):
                await client.call(0, HEAD)
            assert before + 0.5 <= client._shunned[0][1] <= time() + 0.5
            client._shunned[0] = (1, time() + 60)
            for _ in range(10):
                assert [1, 2, 3] == list(await client.ask_all(HEAD, Head))
            with pytest.raises(Unreachable, match="answers nonsense"):
                await client.call(0, HEAD)
            assert 1 == asked.count(HEAD)
            client._shunned[0] = (1, 0.0)
            before = time()
            with pytest.raises(Rejected):
                await client.call(0, HEAD)
            assert before + 1 <= client._shunned[0][1] <= time() + 1

    asyncio.run(run())


def test_closing_lets_go_of_what_cannot_be_told() -> None:
    async def run() -> None:
        async with village("a") as v:
            a = v.houses["a"]
            gate = await hang(v, a, 0)
            client = v.client(a)
            client.tell_all(HEAD)
            async with asyncio.timeout(SOON_S):
                await client.close()
            assert set() == client._telling
            gate.set()

    asyncio.run(run())


# Deciding


def test_waiting_until_applied_counts_those_that_applied_and_not_those_that_failed() -> None:
    """Two of four have applied, one is dead and one is slow: that is no quorum yet."""
    late = asyncio.Event()
    applied: list[bool] = []

    async def slow(request: Any, honest: Any) -> Any:
        if isinstance(request, ShowCommit):
            await late.wait()
            applied.append(True)
        return honest

    async def run() -> None:
        async with village("a") as v:
            a = v.houses["a"]
            await v.close(a, 3)
            await stand_in(v, a, 0, slow)
            launching = asyncio.create_task(v.decide(a, v.genesis(a)))
            done, _ = await asyncio.wait({launching}, timeout=0.3)
            assert set() == done
            late.set()
            await launching
            assert [True] == applied

    asyncio.run(run())


def test_a_decision_is_shown_again_with_its_value_to_one_that_lacks_it() -> None:
    async def forgets(request: Any, honest: Any) -> Any:
        if isinstance(request, ShowCommit):
            shown.append(request.proposal is not None)
            if request.proposal is None:
                return Need(what="proposal")
        return honest

    shown: list[bool] = []

    async def run() -> None:
        async with village("a") as v:
            a = v.houses["a"]
            await stand_in(v, a, 1, forgets)
            client = v.client(a)
            proposal = v.genesis(a)
            slot = slot_for(None, proposal.transition, a.manifest)
            await client.decide(Proposer(proposal, slot, a.manifest), v.blocks)
            await client.close()
            assert True in shown

    asyncio.run(run())


def test_an_anchor_that_lacks_blocks_is_brought_them_from_the_others() -> None:
    """A host has at hand only what its run has read; an anchor that was away lacks more than that."""

    async def run() -> None:
        async with village("a") as v:
            a = v.houses["a"]
            await v.close(a, 3)
            block = leaf(1)
            head = await v.launch(a)
            client = v.client(a)
            for anchor in range(3):
                await client.put(anchor, [block])
            memory = msgspec.structs.replace(head.record.memory, journal=digest(block))
            head = await v.step(a, head, memory=memory)
            await v.open(a, [3])
            v.introduce()
            await v.close(a, 0)
            while len(await v.renew(a, head)) < 3:
                await asyncio.sleep(0.02)
            parent = Proposal(transition=head.transition, seals=())
            await client.call(3, ShowCommit(certificate=head.certificate, proposal=parent))
            await v.renew(a, head)
            at_hand = AtHand()

            async def bring(digests: Any) -> None:
                for data in await client.fetch(digests):
                    at_hand.add(data)

            step = v.step_proposal(a, head)
            slot = slot_for(head, step.transition, a.manifest)
            with pytest.raises(Stalled, match="anchor 3 does not answer"):
                await client.decide(Proposer(step, slot, a.manifest, parent=head), at_hand)
            proposer = Proposer(step, slot, a.manifest, parent=head)
            done = await client.decide(proposer, at_hand, bring=bring)
            assert done.record == step.transition.record
            assert 3 in done.certificate.signers()

    asyncio.run(asyncio.wait_for(run(), 20))


# Blocks


def test_blocks_that_were_not_asked_for_are_not_taken_for_those_that_were() -> None:
    async def lies(request: Any, honest: Any) -> Any:
        return Blocks(blocks=(leaf(999),)) if isinstance(request, AskBlocks) else honest

    async def run() -> None:
        async with village("a") as v:
            a = v.houses["a"]
            client = v.client(a)
            wanted = [leaf(1), leaf(2)]
            for anchor in range(4):
                await client.put(anchor, wanted)
            await stand_in(v, a, 0, lies)
            assert wanted == await client.fetch([digest(data) for data in wanted])
            with pytest.raises(Unreachable, match="no anchor of a has block"):
                await client.fetch([digest(b"nowhere")])

    asyncio.run(run())


def test_whoever_gave_blocks_last_is_asked_first() -> None:
    asked: list[int] = []

    async def run() -> None:
        async with village("a") as v:
            a = v.houses["a"]
            for index in range(4):

                async def note(request: Any, honest: Any, index: int = index) -> Any:
                    asked.extend([index] * isinstance(request, AskBlocks))
                    return honest

                await stand_in(v, a, index, note)
            client = v.client(a)
            await client.put(2, [leaf(1)])
            for _ in range(2):
                await client.fetch([digest(leaf(1))])
            assert [0, 1, 2, 2] == asked

    asyncio.run(run())


def test_an_anchor_that_hangs_holds_no_reader_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PATIENCE_S", 0.01)

    async def hangs(request: Any, honest: Any) -> Any:
        if isinstance(request, AskBlocks):
            await asyncio.Event().wait()
        return honest

    async def run() -> None:
        async with village("a") as v:
            a = v.houses["a"]
            for anchor in (0, 2):
                await stand_in(v, a, anchor, hangs)
            client = v.client(a)
            for anchor in range(4):
                await client.put(anchor, [leaf(anchor), leaf(4)])
            async with asyncio.timeout(2):  # to wait for one of them alone takes longer
                assert [leaf(4)] == await client.fetch([digest(leaf(4))])
                assert [leaf(3)] == await client.fetch([digest(leaf(3))])

    asyncio.run(run())


def test_what_an_anchor_gives_no_room_for_another_gives() -> None:
    """Replies hold 2 MiB: of five blocks of almost 1 MiB each anchor gives two."""

    async def run() -> None:
        async with village("a") as v:
            a = v.houses["a"]
            client = v.client(a)
            blocks = [encode_block([number, b"x" * 1_000_000]) for number in range(5)]
            for anchor in range(4):
                await client.put(anchor, blocks)
            found = await client.fetch([digest(data) for data in blocks])
            assert set(blocks) == set(found)

    asyncio.run(run())


def test_an_anchor_is_not_given_what_it_did_not_need_to_ask_for() -> None:
    """One that lacks blocks of its own making is not sent after them."""
    asked: list[list[bytes]] = []

    async def wants_more(request: Any, honest: Any) -> Any:
        if isinstance(request, AskMissing):
            return Missing(digests=(digest(b"nowhere"), *honest.digests))
        return honest

    async def bring(digests: Any) -> None:
        asked.append(list(digests))

    async def run() -> None:
        async with village("a") as v:
            a = v.houses["a"]
            await stand_in(v, a, 0, wants_more)
            at_hand = AtHand()
            child = at_hand.add(leaf(1))
            root = at_hand.add(encode_block([link_to(child)]))
            sent = await v.client(a).upload(0, [root], at_hand, bring)
            assert sum(map(len, at_hand.data.values())) == sent
            assert [[root], [child]] == asked

    asyncio.run(run())


def test_many_small_blocks_go_in_parts_that_a_store_takes_in_one_commit() -> None:
    async def run() -> None:
        async with village("a") as v:
            client = v.client(v.houses["a"])
            blocks = [encode_block(number) for number in range(5000)]
            assert sum(map(len, blocks)) == await client.put(0, blocks)
            assert (await client.call(0, AskMissing(digests=(digest(blocks[-1]),)))) == Missing(
                digests=()
            )

    asyncio.run(run())


def test_a_put_that_is_not_taken_is_refused_with_the_reason() -> None:
    async def full(request: Any, honest: Any) -> Any:
        problem = Declined(reason="refused", problem="no room", for_now=True)
        return problem if isinstance(request, PutBlocks) else honest

    async def nonsense(request: Any, honest: Any) -> Any:
        return Missing(digests=()) if isinstance(request, PutBlocks) else honest

    async def run() -> None:
        async with village("a") as v:
            a = v.houses["a"]
            await stand_in(v, a, 0, full)
            await stand_in(v, a, 1, nonsense)
            client = v.client(a)
            with pytest.raises(Refused, match="takes no blocks: no room"):
                await client.put(0, [leaf(1)])
            with pytest.raises(Refused, match="takes no blocks: Missing"):
                await client.put(1, [leaf(1)])

    asyncio.run(run())


def test_a_decision_does_not_wait_for_one_that_hangs() -> None:
    async def run() -> None:
        async with village("a") as v:
            a = v.houses["a"]
            gate = await hang(v, a, 3)
            began = time.monotonic()
            proposal = v.genesis(a)
            slot = slot_for(None, proposal.transition, a.manifest)
            client = v.client(a)
            await client.decide(Proposer(proposal, slot, a.manifest), v.blocks, until_applied=True)
            await client.close()
            assert time.monotonic() - began < SOON_S
            gate.set()

    asyncio.run(run())
