"""What people and scripts are shown."""

import asyncio
from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from sojourn.cli.journal_lines import journal_lines
from sojourn.cli.output import clean, duration, table, when
from sojourn.cli.remote_blocks import RemoteBlocks
from sojourn.core.agent.memory.blocks import MissingBlock, NewBlocks
from sojourn.core.agent.memory.encryption import Encryption
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, digest, link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Rejected
from tests.unit.runtime.custody import HOME, first_record

BORN = first_record({}, {})


def test_a_table_is_as_wide_as_it_needs_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    table(("name", "what"), [("a", "x" * 300), ("b", "[red]no markup[/red]")])
    out = capsys.readouterr().out
    assert "x" * 300 in out
    assert "[red]no markup[/red]" in out


def test_a_strangers_text_cannot_steer_a_terminal() -> None:
    assert "\\x1b[31mred\\x07" == clean("\x1b[31mred\x07")
    assert "Zürich – ok" == clean("Zürich – ok")


@pytest.mark.parametrize(
    ("length_ms", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1 s"),
        (61_000, "1 min 1 s"),
        (3_600_000, "1 h"),
        (90_061_000, "1 d 1 h"),
    ],
)
def test_lengths_of_time_are_said_in_two_units(length_ms: int, text: str) -> None:
    assert text == duration(length_ms)


def test_times_are_utc() -> None:
    assert "1970-01-01 00:00:01" == when(1999)


class AtHand(RemoteBlocks):
    """Blocks that need no zone."""

    def __init__(self, blocks: dict[bytes, bytes]) -> None:
        super().__init__()
        self.add(blocks)

    def add(self, blocks: Mapping[bytes, bytes]) -> None:
        for data in blocks.values():
            self._keep(data)


class Nothing:
    def get(self, named: bytes) -> bytes:
        raise MissingBlock(named)


def journal(records: list[object]) -> tuple[AtHand, bytes]:
    new = NewBlocks(Nothing())
    log = Log.load(ZERO, new).extend(records).commit(new)
    link = None if log.root == ZERO else link_to(log.root)
    root = new.add(encode_block({"kind": "journal/1", "log": link, "resume": {}}))
    return AtHand(dict(new.made)), root


def said(*records: object, start: int = 0) -> list[str]:
    blocks, root = journal(list(records))
    return lines_of(blocks, replace(BORN, memory=replace(BORN.memory, journal=root)), start)


def lines_of(blocks: AtHand, record: AgentRecord, start: int = 0) -> list[str]:
    return [line.text for line in asyncio.run(journal_lines(blocks, record, start))]


def test_a_journal_is_said_in_lines() -> None:
    body = {"n": 1}
    failure = {"cause": "failed", "kind": "ValueError", "message": "no\x1b", "remedy": "Say yes"}
    mark = {"agent": digest(b"a"), "zone": digest(b"b"), "letter": "l", "answers": "k"}
    step = {"kind": "outcome", "call": 0, "step": "look", "arguments": digest(b""), "attempts": 2}
    assert [
        "run begins",
        "look gave [1, 2.5] at attempt 2",
        "look failed at attempt 2: ValueError: no\\x1b. Say yes",
        'hello a=1 b="x"',
        'message 0 from me: {"n": 1}',
        "no message came in time",
        "an answer from her: 7",
        "turn 3 of loop 0",
        "finished with null",
    ] == said(
        {"kind": "began", "arguments": [[], {}]},
        {**step, "result": [1, 2.5]},
        {**step, "failure": failure},
        {"kind": "log", "call": 1, "at_ms": 0, "text": "hello", "fields": {"a": 1, "b": "x"}},
        {"kind": "received", "call": 2, "index": 0, "sender": "me", "body": body},
        {"kind": "received", "call": 3, "index": None},
        {"kind": "received", "call": 3, "index": None, "sender": "her", "body": 7, "mark": mark},
        {"kind": "turn", "loop": 0, "turn": 3},
        {"kind": "returned", "result": None},
    )


def test_a_journal_is_read_from_an_index_on_and_long_values_are_shortened() -> None:
    lines = said(*({"kind": "returned", "result": "y" * 1000} for _ in range(300)), start=298)
    assert 2 == len(lines)
    assert len(lines[0]) < 200
    assert [] == said()


@pytest.mark.parametrize(
    ("held_by", "key", "text"),
    [
        (None, None, "look gave 7"),
        (HOME, None, "look gave 7"),
        (ZERO, None, "is kept apart, as value 0 of journal/0"),
        (None, Encryption(commitments=(ZERO,)), "is kept apart, as value 0 of journal/0"),
    ],
)
def test_a_record_that_is_kept_apart_is_shown_where_it_is_and_in_the_clear(
    held_by: bytes | None, key: Encryption | None, text: str
) -> None:
    outcome = {
        "kind": "outcome",
        "call": 0,
        "step": "look",
        "arguments": digest(b""),
        "attempts": 1,
    }
    new = NewBlocks(Nothing())
    apart = Log.load(ZERO, new).extend([outcome | {"result": 7}]).commit(new)
    entries, root = journal([{"kind": "apart", "compartment": "journal/0", "index": 0}])
    log = Compartment(
        form=Form.LOG, root=apart.root, residency=("EU",), held_by=held_by, encryption=key
    )
    memory = Memory(compartments={"journal/0": log}, journal=root)
    entries.add(new.made)
    assert [text] == lines_of(entries, replace(BORN, memory=memory))


def test_what_is_no_journal_is_rejected() -> None:
    with pytest.raises(Rejected):
        said({"kind": "unheard-of"})
