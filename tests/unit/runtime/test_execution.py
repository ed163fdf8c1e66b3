"""The host's side believes nothing: whatever an agent's side says harms no host and nothing that is final."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, digest, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Rejected
from sojourn.runtime import holdings
from sojourn.runtime.errors import LeaseLost
from sojourn.runtime.frames import (
    FRAME_BYTES_MAX,
    Broke,
    Diverged,
    FromHost,
    Keep,
    Loaded,
    Remark,
    Reply,
    Start,
    decode_from_host,
    encode_frame,
)
from sojourn.runtime.host_side import execution
from sojourn.runtime.host_side.execution import Ending, Execution, How
from sojourn.runtime.ports import Channel, Draft
from sojourn.runtime.questions import (
    Commit,
    Depart,
    Done,
    Fetch,
    Intend,
    Listen,
    Problem,
    Recall,
    Rest,
    Sleep,
)
from sojourn.runtime.records import (
    Barred,
    Began,
    Denial,
    Failure,
    Intended,
    Raised,
    Resume,
    Segment,
    encode_record,
)
from tests.unit.runtime.custody import Blocks, FakeCustodian, Zone
from tests.unit.runtime.executing import journal_of

BEGAN = encode_record(Began(arguments=((), {})), what="began")


class ScriptedChannel(Channel):
    """An agent's side that a test plays."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[bytes | Rejected | None] = asyncio.Queue()
        self.heard: asyncio.Queue[FromHost] = asyncio.Queue()
        self.is_closed = False

    def say(self, frame: Any) -> None:
        """Send a frame, or raw bytes, to the host's side."""
        self.said.put_nowait(frame if isinstance(frame, bytes) else encode_frame(frame))

    async def send(self, frame: bytes) -> None:
        self.heard.put_nowait(decode_from_host(frame))

    async def receive(self) -> bytes | None:
        said = await self.said.get()
        if isinstance(said, Rejected):
            raise said
        return said

    async def close(self) -> None:
        self.is_closed = True


Script = Callable[[ScriptedChannel, Start], Awaitable[None]]


def play(
    script: Script,
    zone: Zone | None = None,
    *,
    denied: frozenset[str] = frozenset(),
    **options: Any,
) -> tuple[Ending, Zone]:
    """Let a script be the agent's side of an execution; return how it ended."""
    zone = zone or Zone()

    async def act() -> Ending:
        channel = ScriptedChannel()
        custodian = FakeCustodian(zone, denied=denied)
        running = asyncio.create_task(Execution(custodian, channel, **options).run())
        start = await channel.heard.get()
        assert isinstance(start, Start)
        await channel.heard.get()
        await script(channel, start)
        ending = await asyncio.wait_for(running, 20)
        assert channel.is_closed
        return ending

    return asyncio.run(act()), zone


def commit(start: Start, *records: bytes, **changes: Any) -> Commit:
    """Return a batch as an honest agent's side would cut it, changed."""
    fields: dict[str, Any] = {
        "ask": 0,
        "records": records or (BEGAN,),
        "roots": {name: shelf.root for name, shelf in start.shelves.items()},
        "resume": msgspec.structs.replace(
            start.resume, segments=(Segment(memory={}, start=len(records or (BEGAN,))),)
        ),
        "spent": {},
    }
    return Commit(**{**fields, **changes})


def assert_failed(ending: Ending, zone: Zone, reason: str, *, records: int = 0) -> None:
    """Check that the run was ended with a record of why, on top of `records` that were final."""
    assert ending.how is How.RAISED, ending
    assert reason in ending.text
    journal = journal_of(zone)
    assert len(journal) == records + 1
    assert isinstance(journal[-1], Raised)
    assert journal[-1].failure.kind == "Rejected"
    assert all(c.root == ZERO for c in zone.record.memory.compartments.values())


def test_an_honest_batch_becomes_final() -> None:
    async def script(channel: ScriptedChannel, start: Start) -> None:
        channel.say(commit(start))
        assert await channel.heard.get() == Reply(ask=0, answer=Done())
        channel.said.put_nowait(None)

    ending, zone = play(script)
    assert ending == Ending(how=How.BROKEN, text="the agent's side is gone")
    assert [type(record) for record in journal_of(zone)] == [Began]


def order(**spends: int) -> Intend:
    """Return what an agent's side asks about an effect that takes something from budgets."""
    return Intend(
        ask=0,
        call=0,
        step="order",
        arguments=ZERO,
        action="order.place",
        effect="once",
        spends=spends,
    )


@pytest.mark.parametrize("name", ["steps", "calls", "wall_ms", "hops"])
def test_section_10_2_an_intent_does_not_say_what_is_counted(name: str) -> None:
    async def script(channel: ScriptedChannel, start: Start) -> None:
        channel.say(order(**{name: 1}))

    ending, zone = play(script)
    assert_failed(ending, zone, "the agent's side counts what is counted for it")
    assert not zone.intents


def test_section_10_2_an_intent_beyond_a_budget_of_the_applications_own_is_denied() -> None:
    async def script(channel: ScriptedChannel, start: Start) -> None:
        channel.say(order(orders=10))
        answer = await channel.heard.get()
        assert isinstance(answer, Reply) and isinstance(answer.answer, Problem)
        assert "exhausted" == answer.answer.cause
        assert "10 of budget 'orders' needed, 0 of 9 are spent" in answer.answer.problem
        channel.said.put_nowait(None)

    _, zone = play(script)
    assert not zone.intents and 0 == zone.record.eligibility.budgets["orders"].spent


def test_code_that_keeps_a_denial_to_itself_leaves_it_in_the_journal_all_the_same() -> None:
    async def script(channel: ScriptedChannel, start: Start) -> None:
        asked = Intend(
            ask=0,
            call=0,
            step="order",
            arguments=ZERO,
            action="order.place",
            effect="once",
        )
        channel.say(asked)
        answer = await channel.heard.get()
        assert isinstance(answer, Reply)
        assert isinstance(answer.answer, Problem)
        channel.said.put_nowait(None)

    _, zone = play(script, denied=frozenset({"order.place"}))
    assert [type(record) for record in journal_of(zone)] == [Denial]


def _resume(start: Start, *segments: Segment) -> Resume:
    return msgspec.structs.replace(start.resume, segments=segments)


FOREIGN = digest(b"of another agent")
INTENT = encode_record(
    Intended(
        call=0,
        step="order",
        arguments=ZERO,
        action="order.place",
        effect="once",
        key="forged/1/1/0",
    ),
    what="intent",
)
DENIAL = encode_record(
    Denial(
        call=0,
        step="order",
        arguments=ZERO,
        action="order.place",
        effect="once",
        at_ms=0,
        zone=ZERO,
        version=0,
        reason="a made-up story",
    ),
    what="denial",
)
BARRED = encode_record(
    Barred(at_ms=0, zone=ZERO, version=0, reason="a made-up story"), what="denial"
)
HOSTILE: dict[str, tuple[str, Callable[[Start], Any]]] = {
    "no bytes": ("not a frame", lambda start: b""),
    "noise": ("not a frame", lambda start: b"\xc1\xff\x00"),
    "not a frame": ("not a frame", lambda start: msgspec.msgpack.encode({"kind": "Vote"})),
    "of the host": ("not a frame", encode_frame),
    "cut": ("not a frame", lambda start: encode_frame(commit(start))[:-1]),
    "long": ("not a frame", lambda start: encode_frame(commit(start)) + b"\x00"),
    "deep": ("not a frame", lambda start: b"\x81\xa4kind" + b"\x91" * 100_000),
    "too large": ("more than the limit", lambda start: b"\x00" * (FRAME_BYTES_MAX + 1)),
    "out of turn": ("Loaded came out of turn", lambda start: Loaded()),
    "many records": (
        "not a frame",
        lambda start: commit(start, *[BEGAN] * 1025),
    ),
    "a record of noise": ("journal record", lambda start: commit(start, b"\xff")),
    "a record that is none": (
        "Invalid value 'vote'",
        lambda start: commit(start, encode_block({"kind": "vote"})),
    ),
    "a record not canonical": (
        "not minimally encoded",
        lambda start: commit(start, b"\xa1\x64kind\x78\x05began"),
    ),
    "a large record": (
        "more than the limit",
        lambda start: commit(start, encode_block({"kind": "began", "x": "x" * 600_000})),
    ),
    "an intent": (
        "wrote what the host alone writes",
        lambda start: commit(start, BEGAN, INTENT),
    ),
    "a denial": (
        "wrote what the host alone writes",
        lambda start: commit(start, BEGAN, DENIAL),
    ),
    "that it was not run": (
        "wrote what the host alone writes",
        lambda start: commit(start, BEGAN, BARRED),
    ),
    "a foreign root": (
        "is not part of this agent's memory",
        lambda start: commit(start, roots={"book": FOREIGN, "risk": ZERO}),
    ),
    "a foreign snapshot": (
        "is not part of this agent's memory",
        lambda start: commit(
            start, resume=_resume(start, Segment(memory={"book": FOREIGN}, start=1))
        ),
    ),
    "an unknown compartment": (
        "there is no compartment 'loot'",
        lambda start: commit(start, roots={"loot": ZERO}),
    ),
    "an unknown compartment in a snapshot": (
        "there is no compartment 'loot'",
        lambda start: commit(start, resume=_resume(start, Segment(memory={"loot": ZERO}, start=1))),
    ),
    "a segment beyond the journal": (
        "records 9 to 1 of a journal of 1",
        lambda start: commit(start, resume=_resume(start, Segment(memory={}, start=9))),
    ),
    "a segment without end": (
        f"records 0 to {2**62} of a journal of 1",
        lambda start: commit(start, resume=_resume(start, Segment(memory={}, start=0, stop=2**62))),
    ),
    "segments in disorder": (
        "of a journal of 1",
        lambda start: commit(
            start,
            resume=_resume(start, Segment(memory={}, start=1, stop=1), Segment(memory={}, start=0)),
        ),
    ),
    "a foreign block": ("not part of this agent's", lambda start: Fetch(ask=1, digest=FOREIGN)),
    "a foreign memory": (
        "not part of this agent's",
        lambda start: Recall(ask=1, digests=(FOREIGN,)),
    ),
    "a link to a foreign block": (
        "not part of this agent's",
        lambda start: Keep(blocks=(encode_block([link_to(FOREIGN)]),)),
    ),
    "a block of noise": ("block", lambda start: Keep(blocks=(b"\xff\xff",))),
    "a large block": (
        "more than the limit",
        lambda start: Keep(blocks=(encode_block(bytes(2**20)),)),
    ),
    "an action of no effect": (
        "not a frame",
        lambda start: msgspec.msgpack.encode(
            {
                "kind": "Intend",
                "ask": 1,
                "call": 0,
                "step": "order",
                "arguments": ZERO,
                "action": "order.place",
                "effect": "none",
            }
        ),
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_malformed_or_foreign_ends_the_run_with_a_record_of_why(name: str) -> None:
    reason, make = HOSTILE[name]

    async def script(channel: ScriptedChannel, start: Start) -> None:
        channel.say(make(start))

    ending, zone = play(script)
    assert_failed(ending, zone, reason)


def test_what_was_final_before_stays() -> None:
    async def script(channel: ScriptedChannel, start: Start) -> None:
        channel.say(commit(start))
        channel.say(b"\xff")
        await channel.heard.get()

    ending, zone = play(script)
    assert_failed(ending, zone, "not a frame", records=1)


def test_more_blocks_than_a_commit_takes_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holdings, "KEPT_BYTES_MAX", 1000)

    async def script(channel: ScriptedChannel, start: Start) -> None:
        channel.say(Keep(blocks=tuple(encode_block(bytes([i]) * 100) for i in range(12))))

    ending, zone = play(script)
    assert_failed(ending, zone, "more than 1000 bytes of new blocks")


def test_more_questions_than_there_may_be_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "QUESTIONS_MAX", 3)

    async def script(channel: ScriptedChannel, start: Start) -> None:
        for ask in range(5):
            channel.say(Listen(ask=ask, index=0, until_ms=None))

    ending, zone = play(script)
    assert_failed(ending, zone, "more than 3 questions at once")


def test_more_proposals_than_there_may_be_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "PROPOSALS_MAX", 2)

    async def script(channel: ScriptedChannel, start: Start) -> None:
        for _ in range(9):
            channel.say(commit(start))

    ending, _ = play(script)
    assert "more than 2 proposals at once" in ending.text


def test_remarks_do_not_flood_the_log() -> None:
    zone = Zone()
    custodian = FakeCustodian(zone)

    async def act() -> None:
        channel = ScriptedChannel()
        for i in range(100):
            channel.say(Remark(text=f"remark {i}"))
        channel.said.put_nowait(None)
        await Execution(custodian, channel).run()

    asyncio.run(act())
    assert len(custodian.lines) == execution.REMARKS_MAX


def test_an_agent_reads_what_is_below_its_own_roots_and_nothing_else() -> None:
    """The name of a block is no permission, and a block of one's own that links to it is none either."""
    zone = Zone()
    new = NewBlocks(Blocks({}))
    log = Log.load(ZERO, new).extend(["x" * 2000, "y" * 2000]).commit(new)
    zone.stored |= dict(new.made)
    zone.stored[FOREIGN] = encode_block("a secret")
    risk = msgspec.structs.replace(zone.record.memory.compartments["risk"], root=log.root)
    compartments = {**zone.record.memory.compartments, "risk": risk}
    memory = msgspec.structs.replace(zone.record.memory, compartments=compartments)
    zone.record = msgspec.structs.replace(zone.record, memory=memory)
    below = next(named for named in zone.stored if named not in (log.root, FOREIGN))

    async def script(channel: ScriptedChannel, start: Start) -> None:
        channel.say(Fetch(ask=1, digest=log.root))
        await channel.heard.get()
        channel.say(Fetch(ask=2, digest=below))
        reply = await channel.heard.get()
        assert isinstance(reply, Reply)
        assert reply.ask == 2
        channel.say(Fetch(ask=3, digest=FOREIGN))

    ending, _ = play(script, zone)
    assert "is not part of this agent's memory" in ending.text


def outcome_with(result: Any) -> bytes:
    """Return the record of a step, as only a side writes it that keeps to no rules."""
    record = {"kind": "outcome", "call": 0, "step": "look", "arguments": ZERO, "attempts": 1}
    return encode_block({**record, "result": result})


@pytest.mark.parametrize("is_foreign", [True, False], ids=["another's", "its own"])
def test_10_10_nothing_rides_on_the_journal(is_foreign: bool) -> None:
    """The journal travels wherever the agent goes, and all that it links to would: a secret of a neighbour, too."""
    zone = Zone()
    named = FOREIGN if is_foreign else digest(encode_block("mine"))
    zone.stored[named] = encode_block("a secret" if is_foreign else "mine")
    book = msgspec.structs.replace(zone.record.memory.compartments["book"], residency=("EU",))
    if not is_foreign:
        book = msgspec.structs.replace(book, root=named)
    compartments = {**zone.record.memory.compartments, "book": book}
    memory = msgspec.structs.replace(zone.record.memory, compartments=compartments)
    zone.record = msgspec.structs.replace(zone.record, memory=memory)
    smuggled = [{"of": [link_to(named)]}]

    async def script(channel: ScriptedChannel, start: Start) -> None:
        channel.say(commit(start, BEGAN, outcome_with(smuggled)))
        channel.said.put_nowait(None)

    ending, _ = play(script, zone)
    assert ending.how is How.RAISED, ending
    assert "links to a block" in ending.text
    assert [Raised] == [type(each) for each in journal_of(zone)]


def test_a_record_may_hold_the_bytes_that_begin_a_link() -> None:
    async def script(channel: ScriptedChannel, start: Start) -> None:
        channel.say(commit(start, BEGAN, outcome_with([b"\xd8\x2a", "*"])))
        assert await channel.heard.get() == Reply(ask=0, answer=Done())
        channel.said.put_nowait(None)

    ending, _ = play(script)
    assert ending.how is How.BROKEN


def test_a_side_that_breaks_or_diverges_is_taken_at_its_word() -> None:
    async def broken(channel: ScriptedChannel, start: Start) -> None:
        failure = Failure(cause="failed", kind="Misused", message="too much")
        channel.say(Broke(failure=failure))

    async def diverged(channel: ScriptedChannel, start: Start) -> None:
        channel.say(Diverged(text="here"))

    ending, zone = play(broken)
    assert ending == Ending(how=How.RAISED, text="Misused: too much")
    assert [type(record) for record in journal_of(zone)] == [Raised]
    ending, zone = play(diverged)
    assert ending == Ending(how=How.DIVERGED, text="here")
    assert zone.record.memory.journal == ZERO


def test_a_rest_is_over_as_soon_as_anything_comes() -> None:
    async def script(channel: ScriptedChannel, start: Start) -> None:
        channel.say(commit(start))
        await channel.heard.get()
        channel.say(Sleep(ask=1, until_ms=0))
        channel.say(Rest(until_ms=0, listening=False))
        assert await channel.heard.get() == Reply(ask=1, answer=Done())
        await asyncio.sleep(0.05)
        channel.said.put_nowait(None)

    ending, _ = play(script, rest_after_s=0.02)
    assert ending.how is How.BROKEN


def test_a_rest_that_waits_for_its_turn_is_over_as_soon_as_anything_comes() -> None:
    async def act() -> Ending:
        begun, allowed = asyncio.Event(), asyncio.Event()

        class Slow(FakeCustodian):
            async def commit(self, draft: Draft) -> AgentRecord:
                begun.set()
                await allowed.wait()
                return await super().commit(draft)

        channel = ScriptedChannel()
        running = asyncio.create_task(Execution(Slow(Zone()), channel, rest_after_s=0).run())
        start = await channel.heard.get()
        assert isinstance(start, Start)
        await channel.heard.get()
        channel.say(commit(start))
        channel.say(Rest(until_ms=0, listening=False))
        await begun.wait()
        for _ in range(10):  # the rest becomes due meanwhile, behind the commit
            await asyncio.sleep(0)
        channel.say(Sleep(ask=1, until_ms=0))
        assert await channel.heard.get() == Reply(ask=1, answer=Done())
        allowed.set()
        assert await channel.heard.get() == Reply(ask=0, answer=Done())
        channel.said.put_nowait(None)
        return await running

    assert asyncio.run(act()).how is How.BROKEN


def test_a_departure_to_nowhere_is_refused_and_the_agent_stays() -> None:
    async def script(channel: ScriptedChannel, start: Start) -> None:
        channel.say(commit(start))
        await channel.heard.get()
        channel.say(Depart(ask=2, zone=digest(b"nowhere")))
        problem = Problem(cause="refused", problem="no such place is known")
        assert await channel.heard.get() == Reply(ask=2, answer=problem)
        channel.said.put_nowait(None)

    ending, zone = play(script)
    assert ending.how is How.BROKEN
    assert zone.record.custody.term == 0


@given(st.binary(max_size=200))
def test_no_bytes_at_all_harm_the_host(noise: bytes) -> None:
    async def script(channel: ScriptedChannel, start: Start) -> None:
        channel.say(noise)

    ending, zone = play(script)
    assert_failed(ending, zone, "frame")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_flipped_byte_of_a_batch_harms_the_host(at: int, flip: int) -> None:
    async def script(channel: ScriptedChannel, start: Start) -> None:
        honest = bytearray(encode_frame(commit(start)))
        honest[at % len(honest)] ^= flip
        channel.say(bytes(honest))
        channel.said.put_nowait(None)

    ending, zone = play(script)
    assert ending.how in (How.RAISED, How.RETURNED, How.BROKEN)
    assert zone.record.memory.journal != ZERO


def test_an_execution_that_is_given_up_while_it_fails_leaves_no_error_behind() -> None:
    """What nobody waits for any more is not told to whoever reads the log as if it had been forgotten."""
    told: list[Any] = []

    class Losing(FakeCustodian):
        async def commit(self, draft: Draft) -> Any:
            assert running is not None
            running.cancel()
            raise LeaseLost("the lease of this host for the agent has run out")

    async def act() -> None:
        nonlocal running
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        channel = ScriptedChannel()
        running = asyncio.create_task(Execution(Losing(Zone()), channel).run())
        start = await channel.heard.get()
        assert isinstance(start, Start)
        channel.say(commit(start))
        await asyncio.wait([running])
        assert running.cancelled()
        running = None
        gc.collect()

    running: asyncio.Task[Ending] | None
    asyncio.run(act())
    assert [] == told
