"""Every place in the source that decodes something, and the target that covers it, or why none has to.

The list is held against the source (`test_sites`): a new decoder without a target fails.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["OURS", "SITES", "decoding_calls"]

SOURCE: Final = Path(__file__).parents[2] / "src" / "sojourn"
NOT_SEARCHED: Final = {"testing"}
"""`sojourn.testing` reads what it wrote itself; it is no part of a process that has a wire."""
_NAMES: Final = {
    *("decode", "decode_block", "load_row", "StoredBlocks", "Decoder", "read_toml", "convert"),
    *("loads", "from_bytes", "unpack", "unpack_from", "iter_unpack", "fromisoformat", "fromhex"),
    *("b64decode", "b32decode", "load_der_x509_certificate", "from_str", "literal_eval"),
}


def decoding_calls(source: Path = SOURCE) -> Iterator[str]:
    """Yield "file:function:call" for each call that decodes."""
    for file in sorted(source.rglob("*.py")):
        path = file.relative_to(source)
        if path.parts[0] not in NOT_SEARCHED:
            yield from _Calls(path.as_posix()).of(ast.parse(file.read_text()))


class _Calls(ast.NodeVisitor):
    """Collects the calls of one file, each with the function that it stands in."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._inside: list[str] = []
        self._found: list[str] = []

    def of(self, tree: ast.AST) -> list[str]:
        self.visit(tree)
        return self._found

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._enter(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._enter(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._enter(node)

    def _enter(self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._inside.append(node.name)
        self.generic_visit(node)
        self._inside.pop()

    def visit_Call(self, node: ast.Call) -> None:
        if _is_decoding(node):
            self._found.append(f"{self._path}:{'.'.join(self._inside)}:{ast.unparse(node.func)}")
        self.generic_visit(node)


def _is_decoding(node: ast.Call) -> bool:
    called = node.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if name == "parse":
        return ast.unparse(called) in {"ast.parse", "cedar.parse"}
    if name == "decode" and isinstance(called, ast.Attribute):  # of text, unless it is given bytes
        return bool(node.args) and not isinstance(node.args[0], ast.Constant)
    return name in _NAMES


SITES: Final[dict[str, tuple[str, ...]]] = {
    "anchor/folder.py:AnchorFolder.__init__:read_toml": ("anchor settings", "place"),
    "anchor/folder.py:read_public:read_toml": ("anchor public",),
    "anchor/mail.py:Mail.__init__:load_row": (
        *("stored SignedMessage", "stored Letter", "stored SignedAnswer"),
    ),
    "anchor/mail.py:Mail.proofs:load_row": ("stored SignedMessage", "stored Letter"),
    "anchor/mail.py:Mail.read:load_row": (
        *("stored SignedMessage", "stored Letter", "stored SignedAnswer"),
    ),
    "anchor/recalling.py:Recalling._holds:load_row": ("stored Common",),
    "anchor/shelf.py:Shelf.__init__:StoredBlocks": ("document", "chapter", "parentage"),
    "anchor/shelf.py:Shelf.agents_with_slips:load_row": ("stored Slip",),
    "anchor/shelf.py:Shelf._numbered:load_row": (
        *("stored Chapter", "stored Certified", "stored SignedOrder"),
    ),
    "anchor/shelf.py:Shelf.dossier:load_row": ("stored Dossier",),
    "anchor/shelf.py:Shelf.dossiers:load_row": ("stored Dossier",),
    "anchor/shelf.py:Shelf.every_chapter:load_row": ("stored Chapter",),
    "anchor/shelf.py:Shelf.places:load_row": (
        "stored SignedManifest",
        "stored SignedEndorsement",
    ),
    "anchor/shelf.py:Shelf._told:load_row": (
        *("stored SignedOrder", "stored SignedDocument", "stored Fraud"),
        *("stored SignedHead", "stored SignedRevocation"),
    ),
    "anchor/shelf.py:_chapter:decode": ("chapter",),
    "anchor/shelf.py:_document:decode": ("document",),
    "anchor/shelf.py:load_row:decode": ("stored Dossier",),
    "anchor/watermark.py:Watermarks.__init__:load_row": ("stored Vote",),
    "audit/drill.py:hold_drill:decode": ("statements",),
    "audit/verifying.py:_drill:msgspec.convert": ("audit report",),
    "audit/verifying.py:_parse:json.loads": ("audit report",),
    "checking/sources.py:_parse:ast.parse": ("agent check",),
    "cli/address_book.py:entry_of:read_toml": ("address book", "identifier"),
    "cli/agent.py:send_message:json.loads": ("message to send",),
    "cli/agent_calls.py:arguments_in:json.loads": ("message to send",),
    "cli/agent_file.py:outside_steps:ast.parse": ("agent steps",),
    "cli/agent_file.py:read_agent_file:read_toml": ("agent file",),
    "cli/memory_lines.py:_parse:msgspec.json.decode": ("memory line",),
    "cli/memory_lines.py:from_json:base64.b64decode": ("memory line",),
    "cli/approvers_file.py:read_sections:read_toml": ("file of approvers", "agent file"),
    "cli/documents.py:read_signed:decode": ("signed policy",),
    "cli/releases.py:read_release:decode": ("code release",),
    "cli/documents.py:sign_document:decode": ("document",),
    "cli/erasing.py:read_certificate:decode": ("erasure",),
    "cli/expected.py:_parsed:json.loads": ("answer to give",),
    "cli/expected.py:_reading.check:msgspec.convert": ("answer to give",),
    "cli/expected.py:_readings:json.loads": ("answer to give",),
    "cli/founding.py:read_draft:decode": ("draft",),
    "cli/founding.py:read_seal:decode": ("seal",),
    "cli/governing.py:_document:decode": ("document",),
    "cli/mandates.py:mandate_in:decode": ("mandate",),
    "cli/mandates.py:read_mandate:decode": ("mandate",),
    "cli/policy_corpus.py:read_test:json.loads": ("corpus test",),
    "cli/policy_corpus.py:read_test:msgspec.convert": ("corpus test",),
    "cli/policy_delegate.py:_check:decode": ("mandate",),
    "cli/publishing.py:_decoded:decode": (
        *("signed policy", "signed order", "signed head", "signed revocation"),
    ),
    "cli/publishing.py:read_head:decode": ("signed head",),
    "cli/publishing.py:read_revocation:decode": ("signed revocation",),
    "cli/options.py:_Moment.convert:datetime.fromisoformat": ("date",),
    "core/agent/memory/blocks.py:links:decode_block": ("block links",),
    "core/agent/memory/blocks.py:load_block:decode_block": ("mapping", "log", "chunks"),
    "core/agent/memory/chunks.py:weigh_chunks:decode_block": ("chunks",),
    "core/agent/memory/kinds.py:is_memory_alone:decode_block": ("kind of block",),
    "core/agent/memory/vectors.py:_unpacked:struct.unpack": ("vector",),
    "core/agent/memory/values.py:open_held:decode_block": ("mapping", "log"),
    "core/agent/memory/encryption.py:parse_encrypted:decode_block": ("encrypted block",),
    "core/agent/inquiries.py:decode_value:decode": ("message body",),
    "core/base/digests.py:parse_cid_text:base64.b32decode": ("identifier",),
    "core/base/encoding.py:_check_claims:int.from_bytes": ("block",),
    "core/base/encoding.py:decode:msgspec.convert": ("request",),
    "core/policy/cedar.py:Compiled.of:PolicySet.from_str": ("policy rules",),
    "core/policy/cedar.py:Foreign.of:PolicySet.from_str": ("corpus policies",),
    "core/policy/cedar.py:parse:PolicySet.from_str": ("policy rules",),
    "core/policy/cedar.py:syntax_error:PolicySet.from_str": ("policy rules",),
    "core/policy/document.py:_parse:cedar.parse": ("policy rules", "policy scanner"),
    "core/protocol/capsule.py:_document:decode": ("capsule", "document"),
    "core/protocol/capsule.py:load_capsule:decode": ("capsule", "capsule root"),
    "core/protocol/car.py:CarReader._root:decode_block": ("CAR",),
    "core/protocol/letters.py:read_said:decode": ("letter",),
    "core/protocol/querying.py:query_in:msgspec.convert": ("query",),
    "core/protocol/querying.py:read_query:decode": ("query",),
    "core/protocol/exchange.py:decode_reply:decode": ("reply",),
    "core/protocol/exchange.py:decode_request:decode": ("request",),
    "core/protocol/exchange.py:decode_work:decode": ("notice",),
    "core/protocol/kin_blocks.py:KinBlocks.take:decode": ("chapter", "document"),
    "core/protocol/parentage.py:read_parentage:decode_block": ("parentage",),
    "core/zone/envelope.py:load_envelope:decode": ("envelope",),
    "core/zone/manifest.py:load_manifest:decode": ("manifest",),
    "demo/schedule.py:_Reader._tables:msgspec.convert": ("schedule",),
    "demo/schedule.py:_Reader._tables:tomllib.loads": ("schedule",),
    "host/folder.py:read_membership:decode": ("membership",),
    "host/offer.py:OfferFile._read:read_toml": ("offer",),
    "host/offer.py:_limit:msgspec.convert": ("queues",),
    "host/endpoints.py:_endpoint:msgspec.convert": ("endpoints",),
    "host/endpoints.py:checked_endpoints:read_toml": ("endpoints",),
    "host/provider.py:_section:msgspec.convert": ("secrets",),
    "host/provider.py:checked_secrets:read_toml": ("secrets",),
    "host/outlook.py:_document:decode": ("document",),
    "host/code.py:source_of:decode_block": ("code block",),
    "runtime/agent_side/code.py:_imported:ast.parse": ("agent source",),
    "runtime/processes/files.py:read_toml:msgspec.convert": ("offer",),
    "runtime/processes/files.py:read_toml:tomllib.loads": ("offer",),
    "runtime/frames.py::msgspec.msgpack.Decoder": ("child's frame", "host's frame"),
    "runtime/frames.py:_decode:decoder.decode": ("child's frame", "host's frame"),
    "runtime/host_side/gating.py:Gate._bear:decode": ("record",),
    "runtime/agent_side/spawning.py:SpawnChild._is_origins:decode": ("record",),
    "runtime/host_side/newborn.py:read_wish:decode_block": ("wish",),
    "core/protocol/calling.py:call_in:msgspec.convert": ("message to send",),
    "runtime/host_side/journal.py:_parse:msgspec.convert": ("journal root",),
    "runtime/host_side/journal.py:with_roots:decode_block": ("journal root",),
    "runtime/processes/keyfile.py:_parse:tomllib.loads": ("key file", "public key file"),
    "runtime/processes/keyfile.py:parse_public_key:bytes.fromhex": ("public key",),
    "runtime/processes/keyfile.py:read_key:base64.b64decode": ("key file",),
    "models/peculiar.py:_readable_call:msgspec.json.decode": ("tool arguments told again",),
    "models/relayed.py:_said:msgspec.convert": ("relayed arguments",),
    "models/relayed.py:_wish:msgspec.json.decode": ("relayed settings",),
    "models/relayed.py:reply_in:msgspec.json.decode": ("relayed reply",),
    "models/tools.py:given:msgspec.json.decode": ("tool arguments",),
    "runtime/agent_side/relaying.py:_arguments:decode": ("relayed arguments",),
    "runtime/agent_side/relaying.py:_arguments:msgspec.convert": ("relayed arguments",),
    "runtime/host_side/written.py:read_spelled:decode": ("spelled arguments",),
    "runtime/host_side/written.py:read_spelled:msgspec.convert": ("spelled arguments",),
    "runtime/records.py:parse_record:decode_block": ("journal record",),
    "runtime/records.py:parse_record:msgspec.convert": ("journal record",),
    "runtime/typed.py:from_plain:msgspec.convert": ("arguments",),
    "stores/sqlite/wal.py:_checksum:iter_unpack": ("write-ahead log",),
    "stores/sqlite/wal.py:_next:_PAIR.unpack": ("write-ahead log",),
    "stores/sqlite/wal.py:_order:_HEADER.unpack": ("write-ahead log",),
    "stores/sqlite/wal.py:commit_frames:_FRAME.unpack": ("write-ahead log",),
    "stores/sqlite/wal.py:commit_frames:_HEADER.unpack": ("write-ahead log",),
    "stores/sqlite/wal.py:header_is_damaged:_HEADER.unpack": ("write-ahead log",),
    "transports/faults.py:decode_fault:decode": ("fault",),
    "transports/frames.py:FrameReader.next_frame:_HEADER.unpack_from": ("frames",),
    "transports/identity.py:check_certificate:x509.load_der_x509_certificate": ("certificate",),
}
"""What reads something from outside, and the targets whose search goes through it."""

_ENCODED_HERE: Final = "reads what the line before has encoded"
_SHIPPED: Final = "reads data that ships with a package"
_OWN_LOG: Final = "reads what a process of the same run has written, for show"
_FIXED: Final = "four bytes are always a number; what follows is a frame, which is a target"

OURS: Final[dict[str, str]] = {
    "anchor/collecting.py:_Digests._hash:int.from_bytes": "any bytes are a number",
    "anchor/scribe.py:Scribe.__init__:int.from_bytes": "any bytes are a number; the row is audited",
    "audit/page.py:render_page:msgspec.convert": _ENCODED_HERE,
    "audit/verifying.py:check_report:json.loads": _ENCODED_HERE,
    "cli/agent_view.py:_facts:bytes.fromhex": "reads what the same command has written as hex",
    "cli/agent_view.py:_zone:bytes.fromhex": "reads a name whose form was checked with its record",
    "cli/founding.py:_draft:decode": _ENCODED_HERE,
    "cli/launching.py:_check_bounds:decode": _ENCODED_HERE,
    "cli/showing/evidence.py:_events:json.loads": _OWN_LOG,
    "cli/showing/evidence.py:gather:msgspec.convert": _OWN_LOG,
    "cli/showing/show.py:_verified:msgspec.json.decode": _OWN_LOG,
    "core/base/encoding.py:encode:msgspec.msgpack.decode": _ENCODED_HERE,
    "core/base/sharing.py:_decoded:int.from_bytes": "any bytes are a number; a share is verified",
    "core/base/sharing.py:is_share:int.from_bytes": "any bytes are a number",
    "core/base/sharing.py:scalar:int.from_bytes": "our own entropy",
    "core/policy/cedar.py:Compiled.of:Schema.from_str": "our own schema",
    "core/policy/cedar.py:trees:json.loads": "reads what Cedar has written",
    "core/policy/cedar.py:validate:Schema.from_str": "our own schema",
    "demo/places.py:_prices:msgspec.json.decode": _SHIPPED,
    "demo/places.py:_regions:msgspec.json.decode": _SHIPPED,
    "runtime/agent_side/context.py:Context.random:int.from_bytes": "our own entropy",
    "runtime/agent_side/embedding.py:HashingEmbedder._embed:int.from_bytes": "any digest is a number",
    "runtime/agent_side/course.py:Course.chance:int.from_bytes": "our own entropy",
    "runtime/typed.py:to_plain:msgspec.msgpack.decode": _ENCODED_HERE,
    "stores/shares.py:ShareFiles.__init__:bytes.fromhex": "names of files, their form checked before",
    "stores/sqlite/chain.py:as_number:int.from_bytes": "any digest is a number",
    "stores/sqlite/mark.py:Mark._read:_SEQUENCE.unpack": "eight bytes, held against their digest",
    "substrates/local.py:_ProcessChannel.receive:HEADER.unpack": _FIXED,
    "substrates/local_child.py:_read:HEADER.unpack": _FIXED,
    "substrates/confinement/entry.py:main:json.loads": "its host's plan, on the command line",
    "substrates/confinement/layers.py:Plan.of:json.loads": "its host's plan, on the command line",
    "transports/identity.py:_certificate:int.from_bytes": "our own serial number",
}
"""What reads nothing from outside, and why."""
