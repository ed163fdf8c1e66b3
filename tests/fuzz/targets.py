"""Every decoder of bytes from outside: from the wire, from disk, from a person, from agents' code."""

import io
import json
from collections.abc import Callable, Iterable
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final

import click
import msgspec

from sojourn.anchor.folder import Settings, _Public, parse_place
from sojourn.anchor.shelf import load_row
from sojourn.anchor.slips import Common, Slip
from sojourn.audit.deriving import derive
from sojourn.audit.drill import STATEMENTS_BYTES_MAX
from sojourn.audit.evidence import Evidence, read_evidence
from sojourn.audit.verifying import check_report, to_json
from sojourn.checking.findings import RULES
from sojourn.checking.source_check import check_source
from sojourn.cli.address_book import AgentEntry
from sojourn.cli.agent_file import AgentFile, outside_steps, read_agent_file
from sojourn.cli.approvers_file import _ApproversFile, _length_ms, read_sections
from sojourn.cli.memory_lines import parse_line
from sojourn.cli.options import MOMENT, milliseconds
from sojourn.cli.policy import _thresholds
from sojourn.cli.policy_corpus import read_test, read_text
from sojourn.cli.releases import Release
from sojourn.cli.zone_init import _tolerated
from sojourn.core.agent.delegation import Mandate
from sojourn.core.agent.governance import Document, SignedDocument
from sojourn.core.agent.heads import SignedHead
from sojourn.core.agent.inquiries import SignedAnswer
from sojourn.core.agent.memory import vectors
from sojourn.core.agent.memory.blocks import MissingBlock, links
from sojourn.core.agent.memory.encryption import EncryptedBlock, parse_encrypted
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.revocations import SignedRevocation
from sojourn.core.agent.trust import SignedEndorsement
from sojourn.core.base.digests import (
    ZERO,
    Link,
    cid_text,
    digest,
    link_digest,
    link_to,
    parse_cid_text,
)
from sojourn.core.base.encoding import decode, decode_block, encode, encode_block
from sojourn.core.base.errors import Denied, Misused, Rejected, StoreFailed
from sojourn.core.base.limits import (
    CHAPTER_BYTES_MAX,
    DOCUMENT_BYTES_MAX,
    ERASURE_BYTES_MAX,
    HEAD_BYTES_MAX,
    MANDATE_BYTES_MAX,
    MANIFEST_BYTES_MAX,
    ORDER_BYTES_MAX,
    RECORD_BYTES_MAX,
    REVOCATION_BYTES_MAX,
)
from sojourn.core.base.merkle import Inclusion
from sojourn.core.base.seals import Seal
from sojourn.core.policy.cedar import Foreign
from sojourn.core.policy.document import PolicyDocument, read_rules
from sojourn.core.policy.schema import schema_text
from sojourn.core.policy.source import Source
from sojourn.core.protocol.capsule import ROOT_BYTES_MAX, Capsule, load_capsule
from sojourn.core.protocol.car import CarReader, car_header, car_section
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.exchange import (
    AnyReply,
    AnyRequest,
    SignedMessage,
    Work,
    decode_body,
    decode_reply,
    decode_request,
    decode_work,
)
from sojourn.core.protocol.gossip import News
from sojourn.core.protocol.keeping import ErasureCertificate
from sojourn.core.protocol.letters import Letter, Said, read_said
from sojourn.core.protocol.parentage import Parentage, parentage_block, read_parentage
from sojourn.core.protocol.querying import Query, read_query
from sojourn.core.quorum.fraud import Fraud
from sojourn.core.quorum.votes import Vote
from sojourn.core.zone.envelope import SignedEnvelope, load_envelope
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest, load_manifest
from sojourn.demo.schedule import parse_schedule
from sojourn.host.code import source_of
from sojourn.host.endpoints import _Section as _Endpoint
from sojourn.host.endpoints import endpoints_in
from sojourn.host.offer import OfferSettings, limits_of
from sojourn.host.provider import _Section, secrets_in
from sojourn.runtime.agent_side.code import _imported
from sojourn.runtime.agent_side.spawning import Wish
from sojourn.runtime.frames import (
    FromAgent,
    FromHost,
    decode_from_agent,
    decode_from_host,
    encode_frame,
)
from sojourn.runtime.host_side.journal import _parse as parse_journal_root
from sojourn.runtime.host_side.journal import with_roots
from sojourn.runtime.host_side.newborn import read_wish
from sojourn.runtime.host_side.written import read_spelled
from sojourn.runtime.processes.files import read_toml, to_toml
from sojourn.runtime.processes.keyfile import (
    Purpose,
    parse_public_key,
    purpose_of,
    read_key,
    read_public_key,
    write_key,
    write_public_key,
)
from sojourn.runtime.records import Record, parse_record
from sojourn.runtime.typed import encode_plain, from_plain, to_plain
from sojourn.stores.sqlite.wal import commit_frames, header_is_damaged
from sojourn.transports.faults import Fault, decode_fault
from sojourn.transports.frames import NOTICE, REQUEST, Frame, FrameReader, Unfit, header
from sojourn.transports.identity import Credentials, check_certificate
from tests import samples
from tests.conformance import journey
from tests.fuzz import seeds, texts
from tests.fuzz.answers import CALLED, TYPED, message, typed
from tests.fuzz.memory import HELD, read_chunks, read_log, read_mapping, read_vector
from tests.fuzz.models import MODELS
from tests.fuzz.target import Finding, Target
from tests.fuzz.texts import AGENT_FILE, APPROVERS_FILE, CEDAR, CORPUS_TEST, SCHEDULES

__all__ = ["TARGETS", "by_name"]

LIMIT: Final = 1 << 20
_BODY_BYTES_MAX: Final = 4096


# --- values in DAG-CBOR -------------------------------------------------------------------------------


def _value(
    name: str,
    form: Any,
    *kinds: str,
    limit: int = LIMIT,
    read: Callable[[bytes], Any] | None = None,
    errors: tuple[type[Exception], ...] = (Rejected,),
) -> Target:
    """Return the target of a type that `decode` reads; `kinds` are its golden files."""

    def decoded(data: bytes) -> Any:
        return decode(data, form, what=name, limit=limit)

    def made() -> Iterable[bytes]:
        yield from seeds.golden(*kinds)
        for each in getattr(form, "__args__", ()) or (form,):
            yield from seeds.examples(each)

    return Target(
        name=name,
        read=read or decoded,
        write=encode,
        make_seeds=made,
        errors=errors,
        form=form,
    )


def _row(form: Any, *kinds: str) -> Target:
    name = f"stored {form.__name__}"
    read = lambda data: load_row(data, form)  # noqa: E731
    return _value(name, form, *kinds, read=read, errors=(StoreFailed,))


def _encrypted(data: bytes) -> EncryptedBlock:
    block = parse_encrypted(data, digest(data))
    if list(dict.fromkeys(block.links)) != links(data):
        raise Finding("what is stored below an encrypted block is not what it links to")
    return block


VALUES: Final = (
    _value("request", AnyRequest, "request", read=decode_request),
    _value("reply", AnyReply, read=decode_reply),
    _value("notice", Work, read=decode_work),
    _value("record", AgentRecord, "record", limit=RECORD_BYTES_MAX),
    _value("document", Document, "document", limit=DOCUMENT_BYTES_MAX),
    _value("signed policy", SignedDocument, "document"),
    _value("code release", Release, limit=LIMIT + 16 * 1024),
    _value("signed order", SignedOrder, limit=ORDER_BYTES_MAX),
    _value("signed revocation", SignedRevocation, "revocation", limit=REVOCATION_BYTES_MAX),
    _value("mandate", Mandate, "mandate", limit=MANDATE_BYTES_MAX),
    _value("signed head", SignedHead, "head", limit=HEAD_BYTES_MAX),
    _value("erasure", ErasureCertificate, "erasure", limit=ERASURE_BYTES_MAX),
    _value("draft", ZoneManifest, "manifest", limit=MANIFEST_BYTES_MAX),
    _value("seal", Seal, "seal"),
    _value("membership", Inclusion),
    _value("chapter", Chapter, "chapters", limit=CHAPTER_BYTES_MAX),
    _value("capsule root", Capsule, limit=ROOT_BYTES_MAX),
    _row(Dossier),
    _row(Slip),
    _row(Common),
    _row(Chapter),
    _row(Certified, "certified"),
    _row(SignedOrder),
    _value("statements", News, limit=STATEMENTS_BYTES_MAX),
    _row(SignedManifest, "manifest"),
    _row(SignedEndorsement, "endorsement"),
    _row(SignedDocument),
    _row(Fraud),
    _row(SignedHead, "head"),
    _row(SignedRevocation, "revocation"),
    *map(_row, (SignedMessage, Letter, SignedAnswer)),
    _row(Vote, "vote"),
)


def _wire_parts() -> Iterable[Target]:
    yield Target(
        name="block",
        read=lambda data: decode_block(data, what="block", limit=LIMIT),
        write=encode_block,
        make_seeds=seeds.plain_blocks,
    )
    yield Target(name="block links", read=links, make_seeds=seeds.plain_blocks)
    yield Target(
        name="encrypted block",
        read=_encrypted,
        write=EncryptedBlock.to_bytes,
        make_seeds=lambda: [
            EncryptedBlock(digest(b"key"), bytes(40), (digest(b"a"), digest(b"b"))).to_bytes(),
            EncryptedBlock(digest(b"key"), b"", ()).to_bytes(),
        ],
    )
    yield Target(
        name="message body",
        read=decode_body,
        write=encode,
        make_seeds=lambda: [*seeds.golden("encoding"), encode({"approve": True, "n": [1, 2.5]})],
    )
    yield Target(
        name="letter",
        read=read_said,
        write=lambda said: encode(((said,), {})),
        make_seeds=lambda: [encode(((Said(to=bytes(32), value=[2.5, b"x"], key="k"),), {}))],
    )
    yield Target(
        name="query",
        read=read_query,
        write=encode,
        make_seeds=lambda: [
            encode(Query(name="total", arguments=((1, "a", [2.5]), {"desk": b"x"})))
        ],
        form=Query,
    )
    yield Target(
        name="manifest",
        read=load_manifest,
        write=encode,
        make_seeds=lambda: [*seeds.golden("manifest"), encode(samples.found("z").signed)],
        form=SignedManifest,
    )
    yield Target(
        name="envelope",
        read=lambda data: load_envelope(data, journey.HOME.manifest, samples.NOW_MS),
        write=encode,
        make_seeds=lambda: [
            *seeds.golden("envelope"),
            encode(samples.envelope(journey.HOME, journey.HOME.hosts[0])),
        ],
        form=SignedEnvelope,
    )
    yield Target(
        name="fault",
        read=_fault,
        make_seeds=lambda: seeds.examples(Fault),
        form=Fault,
    )
    yield Target(
        name="code block",
        read=source_of,
        write=encode_block,
        make_seeds=lambda: [samples.CODE, encode_block({"a/b.py": b"", "c.py": b"x = 1\n"})],
    )


def _fault(data: bytes) -> Any:
    """Read an error frame's body; what is none is itself an error, so nothing may be raised but that."""
    error = decode_fault(data)
    if not (str(error).isprintable() or error.problem == ""):
        raise Finding(f"a stranger's error could steer a terminal: {str(error)!a}")
    return error


# --- streams ------------------------------------------------------------------------------------------


def _car_sections(data: bytes) -> tuple[bytes, list[bytes]]:
    reader = CarReader(io.BytesIO(data), what="file")
    return reader.root, [section.data for section in reader.sections(LIMIT)]


def _write_car(read: tuple[bytes, list[bytes]]) -> bytes:
    root, blocks = read
    return car_header(root) + b"".join(map(car_section, blocks))


def _capsule(data: bytes) -> bytes:
    """Return a capsule as it is written again from what was verified of it."""
    verified = load_capsule(io.BytesIO(data))
    root, blocks = _car_sections(data)
    if len(blocks) != verified.blocks + 1 or digest(encode(verified.capsule)) != root:
        raise Finding("a capsule holds what nothing has verified")
    return _write_car((root, blocks))


def _frames(data: bytes) -> list[Any]:
    """Cut a stream whole and in pieces: the frames must be the same. The first byte says how long pieces are."""
    size, stream = (data[0] % 17 + 1, data[1:]) if data else (1, b"")
    whole = _cut([stream])
    pieces = _cut([stream[at : at + size] for at in range(0, len(stream), size)])
    if repr(whole) != repr(pieces):
        raise Finding("a stream's frames depend on how it arrives")
    if not any(isinstance(each, (Unfit, str)) for each in whole):
        again = b"".join(header(f.type, f.correlation, len(f.body)) + f.body for f in whole)
        if not stream.startswith(again):
            raise Finding("frames are not what the stream holds")
    return whole


def _cut(pieces: Iterable[bytes]) -> list[Frame | Unfit | str]:
    reader, found = FrameReader(_BODY_BYTES_MAX), list[Frame | Unfit | str]()
    try:
        for piece in pieces:
            reader.feed(piece)
            while (frame := reader.next_frame()) is not None:
                found.append(frame)
    except Rejected as error:
        found.append(error.reason)
    return found


def _stream_seeds() -> Iterable[bytes]:
    one = header(REQUEST, 7, 3) + b"abc"
    yield b"\x03" + one + header(NOTICE, 0, 0) + one
    yield b"\x00" + header(REQUEST, 1, _BODY_BYTES_MAX + 1) + b"x" * 40 + one
    yield b"\x05" + header(9, 1, 2) + b"xx" + one


def _wal(data: bytes) -> tuple[bool, list[int]]:
    path = _file(data)
    return header_is_damaged(path), commit_frames(path)


STREAMS: Final = (
    Target(
        name="CAR",
        read=_car_sections,
        write=_write_car,
        make_seeds=lambda: [seeds.capsule(), _write_car((digest(b"\xa0"), [b"\xa0", b"\x80"]))],
        bytes_max=16_384,
    ),
    Target(
        name="capsule",
        read=_capsule,
        write=lambda again: again,
        make_seeds=lambda: [seeds.capsule()],
        bytes_max=16_384,
        form=Capsule,
    ),
    Target(name="frames", read=_frames, make_seeds=_stream_seeds),
    Target(
        name="child's frame",
        read=decode_from_agent,
        rewrite=encode_frame,
        make_seeds=lambda: _frame_seeds(FromAgent),
        form=FromAgent,
    ),
    Target(
        name="host's frame",
        read=decode_from_host,
        rewrite=encode_frame,
        make_seeds=lambda: _frame_seeds(FromHost),
        form=FromHost,
    ),
    Target(
        name="vector",
        read=read_vector,
        make_seeds=lambda: [vectors.packed([1, -2, 0.5], what="a seed"), bytes(8), b"\x00\x3c\x01"],
    ),
    Target(
        name="write-ahead log",
        read=_wal,
        make_seeds=lambda: [bytes.fromhex("377f0682002de21800001000") + bytes(80)],
    ),
)


def _frame_seeds(union: Any) -> Iterable[bytes]:
    from tests.fuzz.shapes import example_of

    for form in union.__args__:
        for full in (False, True):
            yield encode_frame(example_of(form, full=full))


# --- memory -------------------------------------------------------------------------------------------


def _memory(name: str, kind: str, read: Callable[[bytes], bytes | None]) -> Target:
    def checked(data: bytes) -> bytes:
        again = read(data)
        return data if again is None else again

    return Target(
        name=name,
        read=checked,
        write=lambda again: again,
        errors=(Rejected, MissingBlock),
        make_seeds=lambda: seeds.memory_blocks(kind),
        bytes_max=16_384,
    )


def _journal(data: bytes) -> Any:
    found = parse_journal_root(decode_block(data, what="journal", limit=LIMIT))
    if with_roots(data, lambda name, root: root) != data:
        raise Finding("a journal with the same roots is another")
    return found


def _journal_seeds() -> Iterable[bytes]:
    segment = {"memory": {"a": link_to(ZERO), "b": ZERO}, "start": 0, "stop": None, "turn": None}
    resume = {
        "run": 0,
        "seed": ZERO,
        "arguments": [[], {}],
        "segments": [segment],
        "inbox": 0,
        "ended": None,
    }
    yield encode_block({"kind": "journal/1", "log": link_to(ZERO), "resume": resume})
    yield encode_block({"kind": "journal/1", "log": None, "resume": resume})
    yield encode_block({"kind": "journal/2", "log": None, "resume": {}})


MEMORY: Final = (
    _memory("mapping", "mapping", read_mapping),
    _memory("log", "log", read_log),
    _memory("chunks", "chunks", read_chunks),
    *HELD,
    Target(name="journal root", read=_journal, make_seeds=_journal_seeds),
    Target(
        name="journal record",
        read=parse_record,
        write=lambda parsed: encode_block(parsed[1]),
        make_seeds=lambda: seeds.examples(*Record.__args__),
        form=Record,
    ),
    Target(
        name="wish",
        read=read_wish,
        make_seeds=lambda: map(_spelled, (Wish(entry="a:A"), _WISH)),
    ),
    Target(
        name="parentage",
        read=read_parentage,
        write=parentage_block,
        make_seeds=lambda: map(parentage_block, _PARENTAGES),
    ),
    Target(
        name="spelled arguments",
        read=read_spelled,
        write=encode_block,
        errors=(Denied,),
        make_seeds=lambda: map(encode_block, ([[], {}], [["a", 1.5, b"b"], {"c": [None]}], ["a"])),
    ),
)


_WISH: Final = Wish(
    entry="a:A",
    arguments=(1, "two", [3.5, b"4"]),
    memory={"book": {"key": [1]}, "log": ["a", 2]},
    budgets={"steps": 5},
    outlives=True,
)
_PARENTAGES: Final = (
    Parentage(chapters=(digest(b"1"),), documents=()),
    Parentage(chapters=(digest(b"1"), digest(b"2")), documents=(digest(b"3"),), above=digest(b"4")),
)


def _spelled(wish: Wish) -> bytes:
    return encode_plain(to_plain(wish, what="a wish"), what="a wish")


# --- files and texts of people ------------------------------------------------------------------------


@cache
def _folder() -> Path:
    shm = Path("/dev/shm")
    return Path(mkdtemp(prefix="sojourn-fuzz-", dir=shm if shm.is_dir() else None))


def _file(data: bytes) -> Path:
    """Return a file with this content, that others may not read."""
    path = _folder() / "tried"
    path.touch(0o600)
    path.write_bytes(data)
    return path


def _person(
    name: str, read: Callable[[bytes], Any], *given: str | bytes, bytes_max: int = 2048, **more: Any
) -> Target:
    """Return the target of a text that a person wrote: whatever is wrong with it is `Misused`."""
    return Target(
        name=name,
        read=read,
        make_seeds=lambda: [each if isinstance(each, bytes) else each.encode() for each in given],
        errors=(Misused, UnicodeDecodeError),
        is_text=True,
        bytes_max=bytes_max,
        **more,
    )


def _toml(name: str, form: Any, *given: str) -> Target:
    return _person(name, lambda data: read_toml(_file(data), form, what=name), *given, form=form)


def _queues(data: bytes) -> Any:
    offer = read_toml(_file(data), OfferSettings, what="offer")
    return sorted(limits_of(Path("offer.toml"), offer.queues).items())


def _key_file() -> Iterable[bytes]:
    for purpose in (Purpose.PERSON, Purpose.ANCHOR_VOTE):
        path = _folder() / f"{purpose}"
        for each in (path, path.with_suffix(".pub")):
            each.unlink(missing_ok=True)
        write_key(path, samples.key("someone"), purpose)
        write_public_key(path.with_suffix(".pub"), samples.key("someone").public, purpose)
        yield path.read_bytes()
        yield path.with_suffix(".pub").read_bytes()


def _moment(data: bytes) -> int:
    moment = MOMENT.convert(data.decode(), None, None)
    at_ms = milliseconds(moment)
    if abs(at_ms) > 2**53:
        raise Finding(f"a date is {at_ms} ms")
    return at_ms


def _approvers_file(data: bytes) -> Any:
    sections = read_sections(_file(data))
    for name, section in sections.items():
        for length in (section.lasts, section.after):
            _length_ms(length, name)
    return _ApproversFile(approvers=dict(sections))


def _agent_file(data: bytes) -> Any:
    file = read_agent_file(_file(data))
    file.capabilities.requires.requirements()
    return file


class _Given(msgspec.Struct):
    a: date | None = None
    b: set[int] | None = None
    c: dict[str, float] | None = None


def _arguments(data: bytes) -> Any:
    """Take JSON for what an agent's author declared."""
    try:
        plain = msgspec.json.decode(data)
    except (ValueError, RecursionError) as error:
        raise Misused("no JSON") from error
    return from_plain(plain, _Given | list[int], what="an argument")


def _steps(data: bytes) -> Any:
    """Read the steps of what is Python: nothing else comes so far."""
    list(_imported(data, "a.py"))
    return outside_steps({"a.py": data})


def _checked(data: bytes) -> Any:
    """Check the code of agents, as beside a module that it may import."""
    checked = check_source({"a.py": data, "b.py": b"import time\nNOW = time.time()\n"})
    if any(each.line < 1 or each.column < 1 or each.rule not in RULES for each in checked.findings):
        raise Finding("a finding is nowhere")
    return checked


AGENT_CHECKED: Final = """\
import time, b
from sojourn import Agent, step
SEEN = []
class A(Agent):
    seen = {}
    def __init__(self): self.at = b.NOW
    @property
    def told(self): return super().told | {self.at}
    @step(effect="once", action="desk.pay")
    async def pay(self, x): self.x = x
    async def run(self, ctx, x=[]):  # sojourn: allow shared-state (a seed)
        for y in {1} | self.told: SEEN.append(time.time())
        while True:
            try: await self.pay(y); break
            except Exception: self.pay(ctx.now())
        return [await getattr(self, f"do_{z}")() for z in self.seen], self.x
    async def do_it(self): return lambda: [*self.told]
"""


def _rules(data: bytes) -> Any:
    return read_rules(PolicyDocument(name="policy", text=data.decode()))


def _foreign(data: bytes) -> Any:
    """Take policies of somebody's corpus as far as Cedar."""
    text = read_text(Path("x.cedar"), data)
    try:
        return Foreign.of(text, schema_text(), "[]")
    except ValueError as error:
        raise Misused("Cedar does not read it") from error


def _scanned(data: bytes) -> Any:
    text = data.decode()
    source = Source(text, name="policy")
    for statement in source.statements:
        for token in statement.tokens:
            if text[token.offset : token.offset + len(token.text)] != token.text:
                raise Finding("a token is not where the scanner says")
    return source


@cache
def _evidence() -> Evidence:
    return read_evidence(io.BytesIO(seeds.capsule()))


def _reports() -> Iterable[bytes]:
    """Return a report, and one with a drill of no statements."""
    report = to_json(derive(_evidence()))
    return report, report.replace(b'"drill": null', b'"drill": {"statements": ""}')


def _audited(data: bytes) -> Any:
    """Hold a report against a capsule: what is in it is believed in nothing."""
    try:
        report, found = check_report(data, _evidence())
    except Rejected:
        return None
    if report.drill is None and not found and json.loads(data) != json.loads(to_json(report)):
        raise Finding("a report that is another holds")
    return report


_HEX: Final = samples.key("someone").public.hex()


PEOPLE: Final = (
    _toml("offer", OfferSettings, texts.OFFER),
    _person("queues", _queues, f"{texts.OFFER}{texts.QUEUES}"),
    _person("secrets", lambda data: sorted(secrets_in(_file(data))), texts.SECRETS_FILE, form=dict[str, _Section]),
    _person("endpoints", lambda data: sorted(endpoints_in(_file(data))), texts.MODELS_FILE,
            form=dict[str, _Endpoint]),
    _toml("anchor settings", Settings, 'operator = "o"\nlisten = "[::1]:7400"\nreached = "h:1"\n'),
    _toml("anchor public", _Public, to_toml({"operator": "o", "reached": "h:1", "identity": _HEX,
                                             "vote": _HEX, "format": "sojourn-anchor/1"})),
    _toml("address book", AgentEntry, to_toml({"agent": cid_text(ZERO), "zone": cid_text(ZERO)})),
    _person("file of approvers", _approvers_file, APPROVERS_FILE, form=_ApproversFile),
    _person(
        "memory line",
        parse_line,
        '{"key":"a","value":[1,{"/":{"bytes":"eA=="}},{"/":{"entries":[["/",null]]}}]}',
        '{"key":"b","blob":"x.blobs/1.bin","media":"a/b","bytes":3,"sha256":"00"}',
        '{"index":7,"value":1.5}',
    ),
    _person("agent file", _agent_file, AGENT_FILE, form=AgentFile),
    _person("schedule", lambda data: parse_schedule(data.decode(), name="x"), *SCHEDULES),
    _person("policy scanner", _scanned, *CEDAR),
    _person("policy rules", _rules, *CEDAR),
    _person("corpus test", lambda data: read_test(Path("x.json"), data), CORPUS_TEST, '{"a": 1}'),
    _person("corpus policies", _foreign, *CEDAR),
    _person("place", lambda data: parse_place(data.decode(), what="x"), "10.0.0.7:7400", "[::1]:1"),
    _person("public key", lambda data: parse_public_key(data.decode(), what="x"), _HEX),
    _person("agent source", lambda data: list(_imported(data, "a.py")), "import a.b\nfrom c import d\n"),
    _person("agent steps", _steps, "class A:\n @step(effect='once', action='pay')\n async def f(self): 1\n"),
    _person("agent check", _checked, AGENT_CHECKED),
    _person("message to send", message, '{"approve": true}', "[1, 2.5, null]", CALLED),
    _person("answer to give", typed, *TYPED),
    _person("arguments", _arguments, "[1]", '{"a": "2027-01-31", "b": [1, 2], "c": {"x": 1.5}}'),
    _person("threshold", lambda data: _thresholds((data.decode(),)), "amend=2", "retire=1"),
    _person("tolerated", lambda data: _tolerated(data.decode()), "auto", "1"),
)  # fmt: skip

OTHERS: Final = (
    Target(
        name="audit report",
        read=_audited,
        make_seeds=_reports,
        errors=(),
        is_text=True,
        bytes_max=16_384,
    ),
    Target(
        name="key file",
        read=lambda data: (purpose_of(path := _file(data)), read_key(path, *Purpose)),
        make_seeds=_key_file,
        errors=(Misused,),
        is_text=True,
    ),
    Target(
        name="public key file",
        read=lambda data: read_public_key(_file(data)),
        make_seeds=_key_file,
        errors=(Misused,),
        is_text=True,
    ),
    Target(
        name="date",
        read=_moment,
        make_seeds=lambda: [b"2027-01-31", b"2027-01-31T12:00", b"2027-01-31T12:00:00+02:00"],
        errors=(click.BadParameter, UnicodeDecodeError),
        is_text=True,
    ),
    Target(
        name="identifier",
        read=lambda data: parse_cid_text(data.decode()),
        write=lambda named: cid_text(named).encode(),
        make_seeds=lambda: [*seeds.golden("cid"), cid_text(ZERO).encode()],
        errors=(Rejected, UnicodeDecodeError),
        is_text=True,
    ),
    Target(
        name="link",
        read=lambda data: link_digest(_link(data)),
        make_seeds=lambda: [bytes(link_to(ZERO)), bytes(link_to(ZERO, raw=True))],
    ),
    Target(
        name="certificate",
        read=check_certificate,
        make_seeds=lambda: [_certificate("spiffe://a/anchor/0"), _certificate("spiffe://b/c")],
    ),
)


def _link(data: bytes) -> Link:
    try:
        return Link(data)
    except ValueError as error:
        raise Rejected("no CID", reason="bad-link") from error


def _certificate(name: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Credentials(samples.key("someone").seed, name).certificate.public_bytes(Encoding.DER)


TARGETS: Final[tuple[Target, ...]] = (
    *VALUES,
    *_wire_parts(),
    *STREAMS,
    *MEMORY,
    *PEOPLE,
    *MODELS,
    *OTHERS,
)
by_name: Final = {target.name: target for target in TARGETS}
