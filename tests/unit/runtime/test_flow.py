"""The host's side enforces what binds code, whatever the agent's side says (protocol §10.14, §10.15)."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.memory.log import Log
from sojourn.core.base.digests import ZERO, digest, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.runtime.frames import Anew, Keep, Reply, Start, Touch, digest_of_records
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.questions import (
    Block,
    Commit,
    Done,
    Fetch,
    Intend,
    Permitted,
    Problem,
    Release,
)
from sojourn.runtime.records import (
    Apart,
    Began,
    Denial,
    Now,
    Outcome,
    Record,
    Resume,
    Segment,
    Turn,
    encode_record,
)
from tests.unit.runtime.custody import Blocks, Zone
from tests.unit.runtime.executing import journal_of
from tests.unit.runtime.labelled import content, labelled_zone, records_of
from tests.unit.runtime.test_execution import ScriptedChannel, play

BEGAN = Began(arguments=((), {}))
START = Segment(memory={}, start=0)
Script = Callable[["Side"], Awaitable[None]]


class Side:
    """An agent's side that a test plays, and that keeps to the rules but where the test does not."""

    def __init__(self, channel: ScriptedChannel, start: Start) -> None:
        self.channel, self.start = channel, start
        self.roots = {name: shelf.root for name, shelf in start.shelves.items()}
        self.length = start.length
        self._asked = 0

    async def ask(self, form: Any, **fields: Any) -> Any:
        """Ask, and return the answer."""
        self._asked += 1
        self.channel.say(form(ask=self._asked, **fields))
        reply = await self.channel.heard.get()
        assert isinstance(reply, Reply)
        return reply.answer

    def touch(self, name: str, **changes: Any) -> None:
        """Announce that a compartment is used."""
        fields = {"compartment": name, "roots": self.roots, "snapshots": ()} | changes
        self.channel.say(Touch(**fields))

    async def read(self, name: str) -> Any:
        """Ask for the root block of a compartment."""
        return await self.ask(Fetch, digest=self.start.shelves[name].root)

    async def commit(self, *records: Record, **changes: Any) -> Any:
        """Send a batch as an honest side would cut it, changed."""
        data = tuple(encode_record(each, what="a record") for each in records)
        self.length += len(records)
        fields = {"records": data, "roots": self.roots, "resume": self.resume(), "spent": {}}
        return await self.ask(Commit, **(fields | changes))

    def resume(self, **changes: Any) -> Resume:
        """Return resume information with one segment, from the first record on."""
        segment = Segment(memory={}, start=min(self.length, 1))
        fields = {"segments": (segment,)} | changes
        return msgspec.structs.replace(self.start.resume, **fields)

    def appended(self, name: str, *values: Any) -> tuple[bytes, list[bytes]]:
        """Return a log's root with values appended, and the new blocks."""
        new = NewBlocks(Blocks({}))
        root = Log.load(ZERO, new).extend(values).commit(new).root
        return root, list(new.made.values())

    def write(self, name: str, *values: Any) -> None:
        """Write an empty log anew."""
        self.roots[name], blocks = self.appended(name, *values)
        self.channel.say(Keep(blocks=tuple(blocks)))

    async def gone(self) -> None:
        """End this side."""
        self.channel.said.put_nowait(None)


def play_side(
    script: Script, zone: Zone | None = None, *, denied: frozenset[str] = frozenset()
) -> tuple[Ending, Zone]:
    async def play_it(channel: ScriptedChannel, start: Start) -> None:
        side = Side(channel, start)
        await script(side)
        await side.gone()

    return play(play_it, zone or labelled_zone(), denied=denied)


def refused(script: Script, zone: Zone | None = None) -> str:
    """Play what has to end the run, and return why it did."""
    ending, _ = play(lambda channel, start: script(Side(channel, start)), zone or labelled_zone())
    assert ending.how is How.RAISED, ending
    return ending.text


async def last(side: Side, form: Any, **fields: Any) -> None:
    """Say what is never answered."""
    side.channel.say(form(ask=99, **fields))


async def last_commit(side: Side, *records: Record, **changes: Any) -> None:
    """Send a batch that is never answered."""
    data = tuple(encode_record(each, what="a record") for each in records)
    side.length += len(records)
    fields = {"records": data, "roots": side.roots, "resume": side.resume(), "spent": {}}
    await last(side, Commit, **(fields | changes))


def test_section_10_14_a_block_is_served_when_its_compartment_is_announced() -> None:
    async def script(side: Side) -> None:
        side.touch("clients")
        answer = await side.read("clients")
        assert isinstance(answer, Block)
        assert b"ann" in answer.data

    assert play_side(script)[0].how is How.BROKEN


@pytest.mark.parametrize("touched", [None, "secrets", "totals"])
def test_section_10_14_a_block_is_not_served_before(touched: str | None) -> None:
    async def script(side: Side) -> None:
        if touched:
            side.touch(touched)
        await last(side, Fetch, digest=side.start.shelves["clients"].root)

    zone = labelled_zone()
    secrets = zone.record.memory.compartments["secrets"]
    other = msgspec.structs.replace(secrets, root=ZERO)
    compartments = zone.record.memory.compartments | {"secrets": other}
    memory = msgspec.structs.replace(zone.record.memory, compartments=compartments)
    zone.record = msgspec.structs.replace(zone.record, memory=memory)
    assert "read before its compartment was announced" in refused(script, zone)


def test_section_10_14_equal_content_is_served_where_less_binds_it() -> None:
    async def script(side: Side) -> None:
        side.touch("secrets")  # holds the same as clients, by the same block
        assert isinstance(await side.read("clients"), Block)

    assert play_side(script)[0].how is How.BROKEN


def test_section_10_14_what_is_locked_may_not_change() -> None:
    async def script(side: Side) -> None:
        side.touch("clients")
        side.write("totals", "stolen")
        await last_commit(side, BEGAN)

    assert "compartment 'totals' may not hold what was used before" in refused(script)


def test_section_10_14_what_was_written_before_may_be_committed_after() -> None:
    async def script(side: Side) -> None:
        side.write("totals", "clean")
        side.touch("clients")
        assert await side.commit(BEGAN) == Done()

    ending, zone = play_side(script)
    assert ending.how is How.BROKEN
    assert content(zone, "totals") == ["clean"]


def test_section_10_14_nor_may_it_be_one_thing_at_a_restart_point_and_another_now() -> None:
    async def script(side: Side) -> None:
        side.touch("clients")
        stolen, blocks = side.appended("totals", "stolen")
        side.channel.say(Keep(blocks=tuple(blocks)))
        segment = Segment(memory={"totals": stolen}, start=1)
        await last_commit(side, BEGAN, resume=side.resume(segments=(segment,)))

    assert "'totals' was never like that at a restart point" in refused(script)


def test_section_10_14_a_compartment_does_not_link_to_what_binds_more() -> None:
    async def script(side: Side) -> None:
        clients = side.start.shelves["clients"].root
        carrier = encode_block(["log/1", 1, [], [link_to(clients)]])
        side.channel.say(Keep(blocks=(carrier,)))
        side.roots["totals"] = digest(carrier)
        await last_commit(side, BEGAN)

    assert "compartment 'totals' links to what lies in clients, secrets" in refused(script)


def test_section_10_14_nor_to_a_block_that_does() -> None:
    async def script(side: Side) -> None:
        carrier = encode_block([link_to(side.start.shelves["clients"].root)])
        outer = encode_block(["log/1", 1, [], [link_to(digest(carrier))]])
        side.channel.say(Keep(blocks=(carrier,)))
        assert await side.commit(BEGAN) == Done()
        side.channel.say(Keep(blocks=(outer,)))
        side.roots["totals"] = digest(outer)
        await last_commit(side, _now(0))

    assert "compartment 'totals' links to what lies in" in refused(script)


def test_section_10_14_reading_by_a_block_of_its_own_is_no_way_around() -> None:
    async def script(side: Side) -> None:
        clients = side.start.shelves["clients"].root
        carrier = encode_block([link_to(clients)])
        side.channel.say(Keep(blocks=(carrier,)))
        assert await side.commit(BEGAN) == Done()
        assert isinstance(await side.ask(Fetch, digest=digest(carrier)), Block)
        await last(side, Fetch, digest=clients)

    assert "read before its compartment was announced" in refused(script)


def _now(call: int) -> Record:
    return Now(call=call, at_ms=1)


def test_section_10_14_records_are_bound_whatever_the_agents_side_says() -> None:
    async def script(side: Side) -> None:
        side.touch("clients")
        segment = Segment(memory={}, start=1)
        resume = side.resume(segments=(segment,))
        assert await side.commit(BEGAN, _now(0), resume=resume) == Done()

    zone = labelled_zone()
    play_side(script, zone)
    assert [type(record) for record in journal_of(zone)] == [Apart, Apart]

    async def later(side: Side) -> None:
        assert side.start.resume.segments[0].marks  # the host's word
        side.write("totals", "remembered from the journal")
        await last_commit(side, _now(1), resume=side.start.resume)

    assert "compartment 'totals' may not hold" in refused(later, zone)


def test_section_10_14_records_that_were_made_before_are_bound_by_less() -> None:
    async def script(side: Side) -> None:
        data = encode_record(BEGAN, what="a record")
        side.touch("clients", records=1, digest=digest_of_records((data,)))
        assert await side.commit(BEGAN, _now(0)) == Done()

    _, zone = play_side(script)
    assert [type(record) for record in journal_of(zone)] == [Began, Apart]


@pytest.mark.parametrize("records", [(BEGAN,), (Began(arguments=(("read since",), {})),)])
def test_section_10_14_and_do_not_change_afterwards(records: tuple[Record, ...]) -> None:
    async def script(side: Side) -> None:
        data = [encode_record(each, what="a record") for each in (BEGAN, Now(call=0, at_ms=7))]
        side.touch("clients", records=2, digest=digest_of_records(tuple(data)))
        await last_commit(side, *records, Now(call=0, at_ms=8))

    assert "records have changed since a compartment was announced" in refused(script)


def test_section_10_14_nor_do_they_vanish() -> None:
    async def script(side: Side) -> None:
        side.touch("clients", records=2, digest=digest_of_records((b"", b"")))
        await last_commit(side, BEGAN)

    assert "records have changed since a compartment was announced" in refused(script)


def test_section_10_14_behind_a_restart_point_without_records_nothing_binds() -> None:
    async def script(side: Side) -> None:
        side.touch("clients")
        turn = Turn(loop=0, turn=0)
        segments = (Segment(memory={}, start=1, stop=1), Segment(memory={}, start=2, turn=0))
        assert await side.commit(BEGAN, turn, resume=side.resume(segments=segments)) == Done()
        side.channel.say(Anew())

    zone = labelled_zone()
    ending, _ = play_side(script, zone)
    assert ending.how is How.ANEW

    async def later(side: Side) -> None:
        assert not any(segment.marks for segment in side.start.resume.segments)
        side.write("totals", "clean")
        assert await side.commit(_now(0), resume=side.start.resume) == Done()

    assert play_side(later, zone)[0].how is How.BROKEN
    assert content(zone, "totals") == ["clean"]


def test_section_10_14_a_restart_point_does_not_go_back() -> None:
    async def script(side: Side) -> None:
        assert await side.commit(BEGAN, _now(0), _now(1)) == Done()
        await last_commit(side, resume=side.resume(segments=(Segment(memory={}, start=2),)))

    assert "a restart point goes back" in refused(script)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"seed": digest(b"a message")}, "the run is another one"),
        ({"arguments": (("smuggled",), {})}, "the arguments of run have changed"),
        ({"run": 1, "arguments": (("smuggled",), {})}, "would travel with the journal"),
    ],
)
def test_section_10_14_what_a_replay_is_given_carries_nothing_along(
    changes: dict[str, Any], problem: str
) -> None:
    async def script(side: Side) -> None:
        side.touch("clients")
        assert await side.commit(BEGAN) == Done()
        await last_commit(side, _now(0), resume=side.resume(**changes))

    assert problem in refused(script)


def test_section_10_14_arguments_are_bound_by_what_was_used() -> None:
    async def script(side: Side) -> None:
        side.touch("secrets")
        assert await side.commit(BEGAN) == Done()
        resume = side.resume(run=1, arguments=(("carried",), {}))
        assert await side.commit(BEGAN, resume=resume) == Done()

    async def later(side: Side) -> None:
        assert [mark.labels for mark in side.start.resume.marks] == [("secret",)]
        side.write("totals", "carried")
        await last_commit(side, _now(1), resume=side.start.resume)

    zone = labelled_zone()
    play_side(script, zone)
    assert "compartment 'totals' may not hold" in refused(later, zone)


def test_section_10_14_compartments_that_are_not_here_are_not_announced() -> None:
    async def script(side: Side) -> None:
        side.touch("nothing")

    assert "compartment 'nothing' is not here" in refused(script)


def test_section_10_14_what_could_be_nowhere_together_is_not_announced_together() -> None:
    async def script(side: Side) -> None:
        side.touch("clients")
        side.touch("american")

    assert "may be in no place both" in refused(script)


def test_section_10_14_a_side_writes_no_record_that_stands_for_another() -> None:
    async def script(side: Side) -> None:
        await last_commit(side, Apart(compartment="journal/0", index=0))

    assert "wrote what the host alone writes" in refused(script)


def test_section_10_10_what_bound_code_was_denied_is_kept_apart_and_binds_a_replay() -> None:
    async def script(side: Side) -> None:
        assert await side.commit(BEGAN, resume=side.resume(segments=(START,))) == Done()
        side.touch("clients")
        asked = {"call": 0, "step": "order", "arguments": ZERO, "action": "order.place"}
        assert isinstance(await side.ask(Intend, **asked, effect="once"), Problem)

    zone = labelled_zone()
    play_side(script, zone, denied=frozenset({"order.place"}))
    assert [type(record) for record in journal_of(zone)] == [Began, Apart]
    assert [type(record) for record in records_of(zone)] == [Began, Denial]

    async def later(side: Side) -> None:
        (segment,) = side.start.resume.segments
        assert [(mark.labels, mark.residency) for mark in segment.marks] == [(("pii",), ("EU",))]

    play_side(later, zone)


def test_section_10_14_effects_are_asked_with_the_labels_the_host_knows() -> None:
    async def script(side: Side) -> None:
        assert await side.commit(BEGAN) == Done()
        side.touch("secrets")
        answer = await side.ask(
            Intend, call=0, step="order", arguments=ZERO, action="order.place", effect="once"
        )
        assert isinstance(answer, Permitted)

    _, zone = play_side(script)
    assert [intent.labels for intent in zone.intents] == [("secret",)]


# --- declassifying ------------------------------------------------------------------------------------

RELEASE: dict[str, Any] = {"call": 0, "step": "total", "arguments": ZERO, "labels": ("pii",)}


def _outcome(result: Any) -> Outcome:
    return Outcome(call=0, step="total", arguments=ZERO, attempts=1, result=result)


async def _released(side: Side) -> None:
    side.touch("clients")
    assert await side.commit(BEGAN) == Done()
    assert isinstance(await side.ask(Release, **RELEASE, into="totals"), Permitted)
    side.length += 1  # the intent


def test_section_10_15_a_result_that_was_permitted_is_written() -> None:
    async def script(side: Side) -> None:
        await _released(side)
        side.write("totals", 12)
        assert await side.commit(_outcome(12)) == Done()

    ending, zone = play_side(script)
    assert ending.how is How.BROKEN
    assert content(zone, "totals") == [12]


@pytest.mark.parametrize("written", [(12, "and more"), (13,), ()])
def test_section_10_15_nothing_else_is(written: tuple[Any, ...]) -> None:
    async def script(side: Side) -> None:
        await _released(side)
        if written:
            side.write("totals", *written)
        await last_commit(side, _outcome(12))

    assert "compartment 'totals' may not hold" in refused(script)


def test_section_10_15_it_is_written_once() -> None:
    async def script(side: Side) -> None:
        await _released(side)
        side.write("totals", 12)
        assert await side.commit(_outcome(12)) == Done()
        side.write("totals", 12, 12)
        await last_commit(side, _outcome(12))

    assert "compartment 'totals' may not hold" in refused(script)


def test_section_10_15_what_was_not_asked_for_is_not_written() -> None:
    async def script(side: Side) -> None:
        side.touch("clients")
        assert await side.commit(BEGAN) == Done()
        side.write("totals", 12)
        await last_commit(side, _outcome(12))

    assert "compartment 'totals' may not hold" in refused(script)


def test_section_10_15_it_is_the_result_of_that_step() -> None:
    async def script(side: Side) -> None:
        await _released(side)
        other = msgspec.structs.replace(_outcome(12), step="think")
        assert await side.commit(other) == Done()
        side.write("totals", 12)
        assert await side.commit(_outcome(12)) == Done()

    ending, zone = play_side(script)
    assert ending.how is How.BROKEN
    assert content(zone, "totals") == [12]


def test_section_10_15_it_is_denied_where_labels_are_left() -> None:
    async def script(side: Side) -> None:
        side.touch("clients")
        side.touch("secrets")
        assert await side.commit(BEGAN) == Done()
        answer = await side.ask(Release, **RELEASE, into="totals")
        assert isinstance(answer, Problem)
        assert "it is still data labelled secret" in answer.problem
        assert answer.cause == "denied"

    _, zone = play_side(script)
    assert not zone.intents
    denied = records_of(zone)[-1]
    assert isinstance(denied, Denial)
    assert (denied.action, denied.effect) == ("declassify", "none")


def test_section_10_15_a_result_goes_nowhere_that_is_not_here() -> None:
    async def script(side: Side) -> None:
        assert await side.commit(BEGAN) == Done()
        await last(side, Release, **RELEASE, into="nothing")

    assert "a result is to go into 'nothing', which is not here" in refused(script)
