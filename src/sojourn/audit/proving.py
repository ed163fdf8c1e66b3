"""What proves a line: named so that the offline verifier finds it again."""

from typing import Final

from sojourn.audit.evidence import Evidence
from sojourn.audit.report import Proof
from sojourn.core.base.digests import cid_text
from sojourn.core.protocol.custody import Certified
from sojourn.core.zone.manifest import ZoneManifest

__all__ = [
    "by_capsule",
    "by_document",
    "by_journal",
    "by_lines",
    "by_manifest",
    "by_statements",
    "by_transition",
    "check_of",
]

_CHECK: Final = "sojourn audit verify REPORT.json --capsule CAPSULE --line {}"


def check_of(line: str) -> str:
    """Return the command that holds one line against the capsule."""
    return _CHECK.format(line)


def by_transition(line: str, done: Certified, index: int | None = None) -> Proof:
    """Name a certified transition and its slot; with `index`, the journal's record that says what was done."""
    slot = done.certificate.slot
    return Proof(
        by="transition",
        digest=cid_text(done.transition.digest),
        check=check_of(line),
        zone=cid_text(slot.group),
        term=slot.term,
        version=slot.version,
        anchors=done.certificate.signers(),
        index=index,
    )


def by_document(line: str, named: bytes) -> Proof:
    """Name a policy document."""
    return Proof(by="document", digest=cid_text(named), check=check_of(line))


def by_manifest(line: str, manifest: ZoneManifest) -> Proof:
    """Name a zone's manifest."""
    return Proof(
        by="manifest",
        digest=cid_text(manifest.digest),
        check=check_of(line),
        zone=cid_text(manifest.zone_id),
    )


def by_journal(line: str, evidence: Evidence, index: int) -> Proof:
    """Name a record of the journal that the newest record names."""
    root = evidence.record.memory.journal
    return Proof(by="journal", digest=cid_text(root), check=check_of(line), index=index)


def by_capsule(line: str, evidence: Evidence) -> Proof:
    """Name the whole capsule, by the newest transition in it."""
    return Proof(
        by="capsule", digest=cid_text(evidence.head.transition.digest), check=check_of(line)
    )


def by_lines(line: str, lines: tuple[str, ...]) -> Proof:
    """Name other lines of the report."""
    return Proof(by="lines", digest="", check=check_of(line), lines=lines)


def by_statements(line: str, statements: bytes) -> Proof:
    """Name the statements about places that an exit drill was made with, by their digest."""
    return Proof(by="statements", digest=cid_text(statements), check=check_of(line))
