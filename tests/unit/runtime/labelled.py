"""An agent whose memory has labels and residency, and what became of it."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.memory.field import Compartment, Form
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping as MappingHandle
from sojourn.core.base.digests import ZERO
from sojourn.core.base.encoding import encode_block
from sojourn.runtime.apart import opened
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.records import Record, decode_record
from sojourn.runtime.typed import to_plain
from tests.unit.runtime.custody import Blocks, FakeCustodian, Zone, first_record
from tests.unit.runtime.executing import Stage, journal_of, on_stage

__all__ = ["CLIENTS", "content", "labelled_zone", "records_of", "run_to_its_end"]

CLIENTS = {"ann": 5, "bob": 7}

SHELVES = {
    "clients": Compartment(form=Form.MAPPING, root=ZERO, labels=("pii",), residency=("EU",)),
    "archive": Compartment(form=Form.LOG, root=ZERO, labels=("pii", "x"), residency=("EU",)),
    "secrets": Compartment(form=Form.MAPPING, root=ZERO, labels=("secret",)),
    "american": Compartment(form=Form.LOG, root=ZERO, residency=("US",)),
    "totals": Compartment(form=Form.LOG, root=ZERO),
    "table": Compartment(form=Form.MAPPING, root=ZERO),
}


def labelled_zone(**shelves: Compartment) -> Zone:
    """Return a zone with an agent that has compartments of many kinds, some of them filled."""
    blocks: dict[bytes, bytes] = {}
    zone = Zone(record=first_record({}, {"requests": 9}), stored=blocks)
    filled = dict(SHELVES | shelves)
    for name in ("clients", "secrets"):
        filled[name] = replace(filled[name], root=_stored(CLIENTS, blocks))
    zone.record = replace(zone.record, memory=replace(zone.record.memory, compartments=filled))
    return zone


def _stored(values: Mapping[str, Any], blocks: dict[bytes, bytes]) -> bytes:
    new = NewBlocks(Blocks(blocks))
    mapping = MappingHandle.load(ZERO, new)
    for key, value in values.items():
        mapping = mapping.put(key, value)
    root = mapping.commit(new).root
    blocks.update(new.made)
    return root


def run_to_its_end(
    text: str,
    zone: Zone | None = None,
    *,
    denied: frozenset[str] = frozenset(),
    mode: Any = "inside",
) -> tuple[Ending, int]:
    """Run an agent, executing it anew as often as it is to be; return how it ended, and how often that was."""
    zone = zone or labelled_zone()

    async def act(stage: Stage) -> tuple[Ending, int]:
        for times in range(20):
            custodian = FakeCustodian(stage.zone, denied=denied)
            ending = await stage.execute_desk(text, custodian=custodian)
            assert ending is not None
            if ending.how is not How.ANEW:
                return ending, times
        raise AssertionError("it begins anew without end")

    found: tuple[Ending, int] = on_stage(act, zone=zone, mode=mode)
    return found


def content(zone: Zone, name: str) -> Any:
    """Return what is in a compartment."""
    compartment, blocks = zone.record.memory.compartments[name], Blocks(zone.stored)
    if compartment.form is Form.LOG:
        return list(Log.load(compartment.root, blocks).slice(0))
    return dict(MappingHandle.load(compartment.root, blocks).items())


def records_of(zone: Zone) -> list[Record]:
    """Return all records of the journal, those that are kept apart as well."""
    blocks = Blocks(zone.stored)
    plain = [_plain(record) for record in journal_of(zone)]
    return [decode_record(encode_block(opened(each, zone.record, blocks))) for each in plain]


def _plain(record: Record) -> Any:
    return to_plain(record, what="a record")
