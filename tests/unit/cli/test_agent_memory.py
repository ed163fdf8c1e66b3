"""`agent memory export` and the files it writes: all values, to the bit, into another agent; and bad files."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.cli.agent_file import MemorySection
from sojourn.cli.agent_memory import _export, _target
from sojourn.cli.finding import Found
from sojourn.cli.home import Home
from sojourn.cli.memory_import import import_memory
from sojourn.cli.memory_lines import MemoryLine, from_json, line_of, parse_line, to_json
from sojourn.cli.reach import Reach
from sojourn.cli.remote_blocks import RemoteBlocks
from sojourn.core.agent.memory.blobs import BlobEntry
from sojourn.core.agent.memory.blocks import NewBlocks, NoBlocks
from sojourn.core.agent.memory.chunks import write
from sojourn.core.agent.memory.encryption import Encryption
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.base.digests import ZERO, digest, link_to
from sojourn.core.base.errors import Misused, SojournError, Unreachable
from sojourn.runtime.clients.zone_client import ZoneClient

HERE = digest(b"here")
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(max_size=9)
    | st.binary(max_size=9)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["/", "a", "bytes", "entries"]), inner, max_size=3)
    ),
    max_leaves=12,
)


class Anchors:
    """A zone that gives blocks."""

    def __init__(self, blocks: NewBlocks) -> None:
        self.manifest = SimpleNamespace(zone_id=HERE, name="here")
        self._blocks = blocks
        self.asked = 0

    async def fetch(self, digests: list[bytes]) -> list[bytes]:
        self.asked += 1
        return [self._blocks.made[named] for named in digests if named in self._blocks.made]


def exported(tmp_path: Path, compartment: Compartment, blocks: NewBlocks, home: Any = None) -> Any:
    anchors = Anchors(blocks)
    record = SimpleNamespace(
        memory=Memory(compartments={"x": compartment}), agent_id=digest(b"agent"), version=9
    )
    found = SimpleNamespace(record=record, zone=anchors.manifest)
    reach = SimpleNamespace(zone=lambda manifest: anchors)
    home = home or SimpleNamespace(manifests=dict)
    return asyncio.run(
        _export(cast(Reach, reach), cast(Home, home), cast(Found, found), "x", tmp_path / "x.jsonl")
    )


def test_a_mapping_goes_out_and_in_again_to_the_bit(tmp_path: Path) -> None:
    blocks = NewBlocks(NoBlocks())
    made = Mapping.load(ZERO, blocks)
    for number in range(300):
        made = made.put(f"{number:03}", {"n": number, "raw": bytes([number % 256]) * 500, "/": 1.5})
    for length in (0, 70_000):
        data = bytes(length)
        made = made.put(f"blob/{length}", BlobEntry(length, "a/b", write(data, blocks)).to_plain())
    kept = Compartment(
        form=Form.MAPPING, root=made.commit(blocks).root, labels=("pii",), residency=("EU",)
    )
    told = exported(tmp_path, kept, blocks)
    assert (302, 2, ("pii",), ("EU",)) == (told.values, told.blobs, told.labels, told.residency)
    head = json.loads((tmp_path / "x.jsonl").read_text().splitlines()[0])
    assert (9, "here", kept.root.hex(), 302) == tuple(
        head[k] for k in ("version", "zone", "root", "count")
    )

    section = MemorySection(labels=("pii", "more"), residency=("EU",))
    again = NewBlocks(NoBlocks())
    assert (Form.MAPPING, kept.root) == import_memory("y", section, tmp_path / "x.jsonl", again)
    assert set(under_root(kept.root, again)) <= set(again.made)


def under_root(root: bytes, blocks: NewBlocks) -> list[bytes]:
    mapping = Mapping.load(root, blocks)
    assert len(list(mapping.items())) == 302
    return [root]


@pytest.mark.parametrize("first", [0, 90])
def test_a_log_goes_out_and_in_again(tmp_path: Path, first: int) -> None:
    blocks = NewBlocks(NoBlocks())
    values = [[number, "x" * number] for number in range(200)]
    log = Log.load(ZERO, blocks).extend(values).trim(first).commit(blocks)
    told = exported(tmp_path, Compartment(form=Form.LOG, root=log.root), blocks)
    assert (200 - first, 0) == (told.values, told.blobs)
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    assert first == json.loads(lines[0])["first"] == json.loads(lines[1])["index"]
    again = NewBlocks(NoBlocks())
    form, root = import_memory("y", MemorySection(), tmp_path / "x.jsonl", again)
    assert (Form.LOG, values[first:]) == (form, list(Log.load(root, again)))


def test_an_empty_compartment_goes_out_and_in(tmp_path: Path) -> None:
    exported(tmp_path, Compartment(form=Form.LOG, root=ZERO), NewBlocks(NoBlocks()))
    found = import_memory("y", MemorySection(), tmp_path / "x.jsonl", NewBlocks(NoBlocks()))
    assert (Form.LOG, ZERO) == found


def test_what_cannot_be_exported_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    blocks = NewBlocks(NoBlocks())
    key = Encryption(commitments=(digest(b"c"),))
    linked = Mapping.load(ZERO, blocks).put("a", link_to(ZERO)).commit(blocks).root
    for compartment, problem in (
        (Compartment(form=Form.LOG, root=HERE, encryption=key), "compartment 'x' is encrypted"),
        (Compartment(form=Form.LOG, root=HERE, held_by=digest(b"z")), "compartment 'x' stayed in"),
        (Compartment(form=Form.LOG, root=HERE), "no zone that was asked has block"),
        (Compartment(form=Form.MAPPING, root=linked), "a value links to a block"),
    ):
        with pytest.raises(SojournError, match=problem):
            exported(tmp_path, compartment, blocks)
        assert [] == list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    assert tmp_path / "a-b.jsonl" == _target(tmp_path, "a/b")
    (tmp_path / "x.jsonl").write_text("mine")
    (tmp_path / "y.jsonl.blobs").mkdir()
    for name in ("x", "y"):
        with pytest.raises(Misused, match="exists already"):
            _target(tmp_path, name)


@given(plain)
def test_every_value_is_what_it_was(value: Any) -> None:
    line = parse_line(line_of(MemoryLine(key="k", value=to_json(value))))
    assert repr(value) == repr(line.value)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"/": 1}, "neither bytes nor entries"),
        ({"/": {"bytes": "?"}}, "not base64"),
        ({"/": {"bytes": "", "more": 1}}, "neither bytes nor entries"),
        ({"/": {"entries": [["a", 1], ["a", 2]]}}, "neither bytes nor entries"),
        ({"/": {"entries": [1]}}, "neither bytes nor entries"),
        ([{"/": "bafy"}], "neither bytes nor entries"),
    ],
)
def test_values_that_are_never_written_are_refused(value: Any, problem: str) -> None:
    with pytest.raises(Misused, match=problem):
        from_json(value)


HEADER = '{"sojourn_memory":1,"form":"mapping"}'


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("", "not a line of memory"),
        ("{}", "not a line of memory"),
        ('{"sojourn_memory":2,"form":"log"}', "format 2 of memory; this version reads 1"),
        (HEADER + "\nnonsense", "x.jsonl, line 2: not a line of memory"),
        (HEADER + "\n" + "[" * 5000, "line 2: not a line of memory"),
        (HEADER + '\n{"key":"a","value":1}\n{"key":"a","value":2}', "line 3: key 'a' comes twice"),
        (HEADER + '\n{"index":0,"value":1}', "line 2: index 0 in a mapping"),
        (HEADER + '\n{"key":"a"}', "line 2: a line with neither key nor index, or no value"),
        (HEADER + '\n{"key":"a","index":1,"value":1}', "line 2: a line with neither"),
        (HEADER + '\n{"index":1,"blob":"b"}', "line 2: a blob at an index of a log"),
        (HEADER + '\n{"key":"a","blob":"../x"}', "line 2: blob 'a' is said to be in '../x'"),
        (HEADER + '\n{"key":"a","blob":"gone"}', "gone cannot be read"),
        (
            HEADER + '\n{"key":"a","blob":"b.bin","bytes":3,"sha256":""}',
            "holds other bytes than the 3",
        ),
        (HEADER + '\n{"key":"a","value":1e999}', "line 2: "),
        (
            '{"sojourn_memory":1,"form":"log"}\n{"key":"a","value":1}',
            "line 2: a key, 'a', in a log",
        ),
        (
            '{"sojourn_memory":1,"form":"log","labels":["pii"]}',
            "labels that compartment 'y' lacks: pii",
        ),
        ('{"sojourn_memory":1,"form":"log","residency":["EU"]}', "may be in EU alone"),
    ],
)
def test_a_bad_file_is_refused_by_line(tmp_path: Path, lines: str, problem: str) -> None:
    (tmp_path / "b.bin").write_bytes(b"other")
    (tmp_path / "x.jsonl").write_text(lines)
    with pytest.raises(Misused) as caught:
        import_memory("y", MemorySection(), tmp_path / "x.jsonl", NewBlocks(NoBlocks()))
    assert problem in caught.value.problem
    assert caught.value.remedy


def test_another_form_and_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(HEADER)
    with pytest.raises(Misused, match="holds a mapping, and compartment 'y' is declared a log"):
        import_memory(
            "y", MemorySection(form=Form.LOG), tmp_path / "x.jsonl", NewBlocks(NoBlocks())
        )
    with pytest.raises(Misused, match="cannot be read: No such file"):
        import_memory("y", MemorySection(), tmp_path / "z.jsonl", NewBlocks(NoBlocks()))


def test_a_block_that_is_nowhere_may_be_of_an_old_version() -> None:
    blocks = RemoteBlocks()
    blocks.ask(cast("ZoneClient", Anchors(NewBlocks(NoBlocks()))))
    with pytest.raises(Unreachable, match="no zone that was asked has block 111111") as caught:
        asyncio.run(blocks.read(lambda: blocks.get(b"\x11" * 32)))
    assert "a version that is older" in caught.value.remedy
