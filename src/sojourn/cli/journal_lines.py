"""An agent's journal as lines for people and for scripts: what it did, what it was told, what it considered."""

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Final, get_args

import msgspec
from msgspec import UNSET

from sojourn.cli.output import clean, when
from sojourn.cli.remote_blocks import RemoteBlocks
from sojourn.cli.zone_view import price_text
from sojourn.core.agent.inquiries import SignedAnswer, asked_of, decode_value
from sojourn.core.agent.memory.blocks import BlockSource, load_block, named_by
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, Link, cid_text, short
from sojourn.core.base.encoding import digest_of, encode_block
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.protocol.assessment import Assessment
from sojourn.runtime.apart import told
from sojourn.runtime.records import (
    Answered,
    Apart,
    Asked,
    Barred,
    Began,
    Considered,
    Denial,
    Failure,
    Forked,
    Found,
    Here,
    Inquired,
    Intended,
    Line,
    Now,
    Outcome,
    Parted,
    Raised,
    Received,
    Record,
    Returned,
    Said,
    Seeking,
    Settled,
    Sleeping,
    Spawned,
    Turn,
    Waiting,
    Withdrawn,
    Woke,
    decode_record,
)

__all__ = [
    "JournalLine",
    "failure_text",
    "journal_length",
    "journal_lines",
    "journal_records",
    "newest_records",
    "spoken",
    "value_text",
]

_SHOWN_CHARS_MAX: Final = 160
_READ_AT_ONCE: Final = 256


class JournalLine(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a journal. `record` is the whole of it, as builtins."""

    index: int
    kind: str
    text: str
    record: Any


async def journal_lines(
    blocks: RemoteBlocks, record: AgentRecord, start: int = 0, stop: int | None = None
) -> list[JournalLine]:
    """Return the records of an agent's journal, from index `start` to `stop`; those kept apart too, if they are here.

    Raises `Rejected` for blocks that are no journal, `Unreachable` if some are nowhere.
    """
    root = record.memory.journal
    if root == ZERO:
        return []
    log = await _log_of(blocks, root)
    lines: list[JournalLine] = []
    end = len(log) if stop is None else min(stop, len(log))
    for at in range(start, end, _READ_AT_ONCE):
        upto = min(at + _READ_AT_ONCE, end)
        values = await blocks.read(partial(_values, log, at, upto, record, blocks))
        lines += [_line(at + offset, value) for offset, value in enumerate(values)]
    return lines


async def newest_records(blocks: RemoteBlocks, root: bytes) -> AsyncIterator[Record]:
    """Yield the records of the journal with this root, newest first. Raises as `journal_lines`."""
    if root == ZERO:
        return
    log = await _log_of(blocks, root)
    for stop in range(len(log), 0, -_READ_AT_ONCE):
        at = max(0, stop - _READ_AT_ONCE)
        values = await blocks.read(lambda at=at, stop=stop: list(log.slice(at, stop)))  # type: ignore[misc]
        for value in reversed(values):
            yield decode_record(encode_block(value))


async def journal_length(blocks: RemoteBlocks, root: bytes) -> int:
    """Return how many records the journal with this root has. Raises as `journal_lines`."""
    return 0 if root == ZERO else len(await _log_of(blocks, root))


async def journal_records(blocks: RemoteBlocks, record: AgentRecord) -> AsyncIterator[Record]:
    """Yield an agent's records, newest first, those kept apart too, if they are here. Raises as `journal_lines`."""
    root = record.memory.journal
    if root == ZERO:
        return
    log = await _log_of(blocks, root)
    for stop in range(len(log), 0, -_READ_AT_ONCE):
        at = max(0, stop - _READ_AT_ONCE)
        for value in reversed(await blocks.read(partial(_values, log, at, stop, record, blocks))):
            yield decode_record(encode_block(value))


async def _log_of(blocks: RemoteBlocks, root: bytes) -> Log:
    log_root = _log_in(await blocks.read(lambda: load_block(blocks, root)))
    return await blocks.read(lambda: Log.load(log_root, blocks))


def _values(log: Log, start: int, stop: int, record: AgentRecord, source: BlockSource) -> list[Any]:
    return [told(entry, record, source) for entry in log.slice(start, stop)]


def _log_in(plain: Any) -> bytes:
    match plain:
        case {"log": None}:
            return ZERO
        case {"log": Link() as link}:
            return named_by(link)
    raise Rejected("the root of the journal is none", reason="wrong-kind", where="journal")


def _line(index: int, plain: Any) -> JournalLine:
    record = decode_record(encode_block(plain))
    tag = str(record.__struct_config__.tag)
    return JournalLine(
        index=index, kind=tag, text=clean(_TEXTS[type(record)](record)), record=spoken(plain)
    )


def spoken(plain: Any) -> Any:
    """Return builtins in which bytes, which JSON cannot say, are hexadecimal text."""
    if isinstance(plain, dict):
        return {str(key): spoken(value) for key, value in plain.items()}
    if isinstance(plain, list):
        return [spoken(value) for value in plain]
    if isinstance(plain, bytes):
        return plain.hex()
    return cid_text(named_by(plain)) if isinstance(plain, Link) else plain


# --- for people --------------------------------------------------------------------------------------


def value_text(value: Any) -> str:
    """Return a value for people, as JSON, no longer than a line."""
    text = json.dumps(spoken(value), ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARS_MAX else text[: _SHOWN_CHARS_MAX - 1] + "…"


def failure_text(failure: Failure) -> str:
    """Return what failed and what to do about it."""
    what = f"{failure.kind}: {failure.message}"
    return f"{what.removesuffix('.')}. {failure.remedy}" if failure.remedy else what


def _outcome(record: Outcome) -> str:
    tried = f" at attempt {record.attempts}" if record.attempts > 1 else ""
    if record.failure is not None:
        return f"{record.step} failed{tried}: {failure_text(record.failure)}"
    return f"{record.step} gave {value_text(record.result)}{tried}"


def _asked(record: Asked) -> str:
    petition = record.petition
    what = f"{record.step} asks {petition.asked_of} to approve {petition.action} of {value_text(record.spelled)}"
    return f"{what} until {when(petition.expires_ms)}, petition {digest_of(petition).hex()[:12]}"


def _approved(record: Intended) -> str:
    by = ", ".join(key_text(each.approval.approver) for each in record.approvals)
    return f", approved by {by}" if by else ""


def _logged(record: Line) -> str:
    fields = " ".join(f"{name}={value_text(value)}" for name, value in record.fields.items())
    return f"{record.text} {fields}".strip()


def _received(record: Received) -> str:
    labels = () if record.mark is None or record.mark.labels is UNSET else record.mark.labels
    called = f" (labelled {', '.join(labels)})" if labels else ""
    if record.denied is not UNSET:
        return f"message {record.index} from {record.sender}{called}, not told: {record.denied}"
    if record.index is None and record.mark is not None:
        return f"an answer from {record.sender}{called}: {value_text(record.body)}"
    if record.index is None:
        return f"no message came in time; {record.waits}".removesuffix("; ")
    return f"message {record.index} from {record.sender}{called}: {value_text(record.body)}"


def _inquired(record: Inquired) -> str:
    inquiry = record.inquiry
    until = "" if inquiry.expires_ms is None else f" until {when(inquiry.expires_ms)}"
    named = digest_of(inquiry).hex()[:12]
    return f"asks {asked_of(inquiry)}{until}: {inquiry.question} (inquiry {named})"


def _said(record: Said) -> str:
    return f"was told {_by(record.answer)}; others have to say the same"


def _answered(record: Answered) -> str:
    if record.failure is not None:
        return f"could not ask: {record.failure.message}"
    if record.answer is None:
        return "nobody answered in time"
    return f"was answered {_by(record.answer)}"


def _by(signed: SignedAnswer) -> str:
    answer = signed.answer
    value = decode_value(answer.body, where="answer.body")
    return f"{value_text(value)} by {key_text(answer.by)}"


def _considered(record: Considered) -> str:
    chosen = next((place.name for place in record.places if place.zone == record.chosen), None)
    places = "; ".join(_place(place) for place in record.places)
    return f"considered {len(record.places)} places, {chosen or 'none'} is best: {places}"


def _place(place: Assessment) -> str:
    questions = (
        ("governance", place.governance),
        ("capability", place.capability),
        ("trust", place.trust),
    )
    against = [f"{name}: {'; '.join(f.reasons)}" for name, f in questions if not f.passes]
    here = ", here" if place.current else ""
    verdict = "no, " + " | ".join(against) if against else price_text(place.price_micros)
    return f"{place.name}{here} ({' '.join(verdict.split())})"


def _seeking(record: Seeking) -> str:
    sought = record.sought
    least = {name: getattr(sought, name) for name in ("slots", "cpu_millis", "memory_mib", "gpus")}
    wanted = [f"{name} {amount}" for name, amount in least.items() if amount]
    if sought.price_micros_below is not None:
        wanted.append(f"below {price_text(sought.price_micros_below)}")
    wanted += sought.models
    what = f"waits for {sought.zone or 'any place'} with {', '.join(wanted) or 'anything'}"
    return what + (f" until {when(record.until_ms)}" if record.until_ms else "")


def _settled(record: Settled) -> str:
    if record.moved:
        return f"moved to zone …{short(record.zone)}"
    return f"stayed: {record.reason}" if record.reason else "stayed"


_TEXTS: Final[dict[type, Callable[[Any], str]]] = {
    Began: lambda _: "run begins",
    Turn: lambda r: f"loop {r.loop} ends" if r.ended else f"turn {r.turn} of loop {r.loop}",
    Outcome: _outcome,
    Asked: _asked,
    Intended: lambda r: f"{r.step} may do {r.action} ({r.effect}), key {r.key}{_approved(r)}",
    Denial: lambda r: f"{r.step} may not do {r.action} ({r.effect}): {' '.join(r.reason.split())}",
    Barred: lambda r: f"was not run here: {' '.join(r.reason.split())}",
    Parted: lambda r: (
        f"did not repeat its journal: {'; '.join(map(str.strip, r.text.splitlines()))}"
    ),
    Spawned: lambda r: f"may have a child, {r.step}: agent {cid_text(r.child)}",
    Now: lambda r: f"asked for the time: {when(r.at_ms)}",
    Here: lambda r: f"asked where it is: in zone {cid_text(r.zone)}",
    Line: _logged,
    Sleeping: lambda r: f"sleeps until {when(r.until_ms)}",
    Woke: lambda _: "woke",
    Waiting: lambda r: "waits for a message" + (f" until {when(r.until_ms)}" if r.until_ms else ""),
    Received: _received,
    Seeking: _seeking,
    Found: lambda r: f"found {_place(r.place)}" if r.place else "no such place came in time",
    Inquired: _inquired,
    Said: _said,
    Answered: _answered,
    Withdrawn: lambda r: f"asks no more (inquiry {r.inquiry.hex()[:12]})",
    Considered: _considered,
    Settled: _settled,
    Returned: lambda r: f"finished with {value_text(r.result)}",
    Raised: lambda r: f"failed: {failure_text(r.failure)}",
    Forked: lambda r: f"a fork from here on, of version {r.version} of agent {cid_text(r.agent)}",
    Apart: lambda r: f"is kept apart, as value {r.index} of {r.compartment}",
}
assert set(_TEXTS) == set(get_args(Record)), "every record has its words"
