"""Chains of custody: chapters from genesis on, each proved by the zone that the one before it names."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.agent.delegation import Delegation, Mandate, Power, sealed_delegation
from sojourn.core.agent.governance import Document, Officers, issuer_id
from sojourn.core.agent.succession import Delegated, Sealed
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.limits import DOCUMENT_BYTES_MAX, MESSAGE_BYTES_MAX
from sojourn.core.base.seals import Kind as SealKind
from sojourn.core.base.seals import Role
from sojourn.core.protocol.admission import admitted
from sojourn.core.protocol.custody import Chapter, check_chain, check_governance
from tests.conformance import journey
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.journey import AGENT, CHAPTERS, record_summary
from tests.conformance.kinds.certified import given_zones, known_zones
from tests.samples import ISSUER, document, key, propose, seal, successor

AT: Final = "chapters"
ZONES: Final = (journey.HOME, journey.AWAY, journey.THIEF)
TURNED: Final = successor(journey.SUCCESSOR, officers=Officers(keys=(key("eve").public,)))
"""It has other officers than the one before it."""
DOCUMENTS: Final = [
    encode(each.document).hex()
    for each in (journey.DOCUMENT, journey.SUCCESSOR, TURNED, journey.TEXT)
]
EVE: Final = key("eve")
HOUR_MS: Final = 3_600_000
TAKEN_MS: Final = journey.GONE_AMENDED.transition.at_ms


def _check(data: bytes, given: Json) -> Json:
    chapters = decode(data, tuple[Chapter, ...], what=AT, limit=MESSAGE_BYTES_MAX)
    last = check_chain(bytes.fromhex(given["agent"]), chapters, known_zones(given))
    known = {
        digest(data): decode(data, Document, what="document", limit=DOCUMENT_BYTES_MAX)
        for data in map(bytes.fromhex, given["documents"])
    }
    check_governance(chapters[0], chapters[-1], last, known.__getitem__)
    issuer = known[chapters[0].opened.record.governance.documents[0]]
    return record_summary(last) | {"issuer_id": issuer_id(issuer).hex()}


def _valid() -> Iterator[Case]:
    yield Case(name="never moved", data=encode((replace(CHAPTERS[0], closed=None),)))
    yield Case(name="departed", data=encode(CHAPTERS[:1]))
    yield Case(name="admitted", data=encode((CHAPTERS[0], replace(CHAPTERS[1], closed=None))))
    yield Case(name="refused elsewhere and returned", data=encode(CHAPTERS))

    yield Case(name="amended, and admitted elsewhere", data=encode(_amended(_sealed())))
    by_desk = _by_desk(_delegated(TAKEN_MS))
    yield Case(name="amended by a delegate, and admitted elsewhere", data=encode(by_desk))


def _sealed(**changes: Any) -> Sealed:
    """Return what proves that the successor is the issuer's, changed."""
    made = Sealed(
        document=digest_of(journey.SUCCESSOR.document),
        follows=digest_of(journey.DOCUMENT.document),
        seals=journey.SUCCESSOR.seals,
    )
    return replace(made, **changes)


def _delegated(at_ms: int, until_ms: int = 2**62) -> Sealed:
    """Return what proves that a delegate sealed the successor, and when that was taken."""
    ruling = journey.DOCUMENT.document
    said = Delegation(
        issuer=ruling.issuer,
        documents=(ruling.name,),
        name="desk",
        to=Officers(keys=(EVE.public,)),
        powers=(Power.AMEND,),
        not_before_ms=TAKEN_MS - HOUR_MS,
        until_ms=min(until_ms, TAKEN_MS + HOUR_MS),
    )
    mandate = Mandate(delegations=(sealed_delegation(said, (ISSUER,)),))
    named = digest_of(journey.TEXT.document)
    seals = (seal(EVE, SealKind.DOCUMENT, Role.ISSUER, named),)
    delegated = Delegated(mandate=mandate, at_ms=at_ms)
    return _sealed(document=named, seals=seals, delegated=delegated)


def _by_desk(*succession: Sealed) -> Sequence[Chapter]:
    """Return the chain of an agent that a delegate amended where it was born."""
    first = Chapter(opened=journey.BORN, closed=journey.GONE_RETOLD, warrant=journey.WARRANT)
    return (first, Chapter(opened=journey.ADMITTED_RETOLD, succession=succession))


def _amended(*succession: Sealed) -> Sequence[Chapter]:
    """Return the chain of an agent that was amended where it was born, with what proves its documents."""
    first = Chapter(opened=journey.BORN, closed=journey.GONE_AMENDED, warrant=journey.WARRANT)
    return (first, Chapter(opened=journey.ADMITTED_AMENDED, succession=succession))


def _ungoverned() -> Iterator[tuple[str, Sequence[Chapter], str, str]]:
    """Yield chains with documents that the officers before them did not seal."""
    at, named = "chapters[-1].succession", digest_of(journey.SUCCESSOR.document)
    eve = seal(EVE, SealKind.DOCUMENT, Role.ISSUER, named)
    yield "amended by nobody's seal", _amended(), "wrong-documents", at
    for name, changes, reason, where in (
        ("a successor sealed by nobody", {"seals": ()}, "below-threshold", "[0]"),
        ("a successor sealed by a stranger", {"seals": (eve,)}, "wrong-key", "[0].seals[0]"),
        (
            "a successor of what did not rule",
            {"follows": digest(b"another")},
            "wrong-documents",
            "[0]",
        ),
    ):
        yield name, _amended(_sealed(**changes)), reason, f"{at}{where}"
    late = _by_desk(_delegated(TAKEN_MS + HOUR_MS))
    yield "by a delegate, too late", late, "outside-window", f"{at}[0]"
    over = _by_desk(_delegated(TAKEN_MS, until_ms=TAKEN_MS))
    yield "by a delegate whose time was over", over, "outside-window", f"{at}[0]"
    twice = _amended(_sealed(), _sealed())
    yield "a successor twice", twice, "wrong-documents", f"{at}[1]"
    further = Sealed(document=digest_of(TURNED.document), follows=named, seals=TURNED.seals)
    yield "a succession that goes on", _amended(_sealed(), further), "wrong-documents", at
    backwards = Sealed(
        document=_sealed().follows, follows=_sealed().document, seals=journey.DOCUMENT.seals
    )
    back = _amended(_sealed(), backwards)
    yield "a succession that goes back", back, "rollback", f"{at}[1]"


def _with(index: int, chapter: Chapter) -> Sequence[Chapter]:
    """Return the chain with one chapter replaced, and the one after it."""
    return (*CHAPTERS[:index], chapter, *CHAPTERS[index + 1 : index + 2])


def _broken() -> Iterator[tuple[str, Sequence[Chapter], str, str]]:
    first, second, third = CHAPTERS
    yield "no chapter", (), "truncated", "chapters"
    yield "without the first", CHAPTERS[1:], "wrong-agent", "chapters[0]"
    yield "without the second", (first, third), "wrong-parent", "chapters[1]"
    yield "in another order", (second, first), "wrong-agent", "chapters[0]"
    yield "a chapter twice", (first, second, second), "wrong-parent", "chapters[2]"
    still_open = _with(0, replace(first, closed=None))
    yield "a term that was never closed", still_open, "bad-lineage", "chapters[1]"
    lone = _with(2, replace(third, refusal=None))
    yield "a return without a refusal", lone, "no-refusal", "chapters[2]"
    needless = (first, replace(second, closed=None, refusal=journey.REFUSAL))
    yield "a refusal that led to nothing", needless, "extra", "chapters[1].refusal"
    closed = (replace(first, closed=journey.STEPPED),)
    yield "a term closed by a step", closed, "wrong-kind", "chapters[0]"
    opened = (first, replace(second, opened=journey.GONE))
    yield "a term opened by a departure", opened, "wrong-kind", "chapters[1]"
    swapped = (replace(first, closed=journey.GONE_AGAIN),)
    yield "closed in another term", swapped, "wrong-term", "chapters[0].closed"
    slot, value = journey.GONE.certificate.slot, journey.GONE.certificate.value
    forged = replace(journey.GONE, certificate=journey.THIEF.certificate(slot, value))
    stolen = (replace(first, closed=forged),)
    yield (
        "a departure that a stranger signed",
        stolen,
        "no-quorum",
        "chapters[0].closed.certificate",
    )
    yield "cloned by a stranger into its own zone", (first, _clone()), "bad-change", "custody"
    rewritten = replace(
        journey.BORN.transition,
        record=replace(journey.BORN.record, trust=replace(journey.BORN.record.trust, issuers=())),
    )
    genesis = replace(first, opened=journey.HOME.certified(rewritten), closed=None)
    yield "another genesis", (genesis,), "wrong-agent", "chapters[0]"


def _unwarranted() -> Iterator[tuple[str, Sequence[Chapter], str, str]]:
    """Yield chains without the seals of the officers, whose agent it is said to be."""
    first, second, _ = CHAPTERS
    true, at = journey.WARRANT, "chapters[0].warrant"
    eve = seal(EVE, SealKind.TRANSITION, Role.ISSUER, journey.GENESIS.transition.digest)
    yield "no warrant", (replace(first, warrant=None),), "no-warrant", "chapters[0]"
    for name, changes, reason, where in (
        ("a genesis sealed by nobody", {"genesis": ()}, "below-threshold", ".genesis"),
        ("a genesis sealed by a stranger", {"genesis": (eve,)}, "wrong-key", ".genesis.seals[0]"),
        (
            "a document's seal under the genesis",
            {"genesis": true.documents[0]},
            "bad-signature",
            ".genesis.seals[0]",
        ),
        (
            "a document sealed by nobody",
            {"documents": ((),)},
            "below-threshold",
            ".documents[0]",
        ),
        (
            "another document's seal",
            {"documents": (document(name="other").seals,)},
            "bad-signature",
            ".documents[0].seals[0]",
        ),
        (
            "seals for a document that is not named",
            {"documents": true.documents * 2},
            "wrong-documents",
            ".documents",
        ),
    ):
        wrong = replace(first, warrant=replace(true, **changes))
        yield name, (wrong,), reason, f"{at}{where}"
    twice = (first, replace(second, closed=None, warrant=true))
    yield "a warrant of an admission", twice, "extra", "chapters[1].warrant"
    gone = journey.GONE
    record = replace(
        gone.record, capabilities=replace(gone.record.capabilities, code=digest(b"other code"))
    )
    swapped = journey.HOME.certified(replace(gone.transition, record=record))
    closed = (replace(first, closed=swapped),)
    yield "code exchanged within a term", closed, "bad-change", "capabilities"


def _clone() -> Chapter:
    """Return the admission of the departed agent by a zone that its departure does not name."""
    gone, thief = journey.GONE, journey.THIEF
    host = thief.hosts[0]
    record = admitted(gone.record, gone.certificate.slot, thief.manifest, host.public)
    made = propose(journey.ADMISSION.transition.kind, gone, record, host)
    return Chapter(opened=thief.certified(made.transition))


def _invalid() -> Iterator[Case]:
    for name, chapters, reason, where in [*_broken(), *_unwarranted(), *_ungoverned()]:
        expect = {"reason": reason, "where": where}
        yield Case(name=name, data=encode(chapters), expect=expect)
    data = encode((CHAPTERS[0], replace(CHAPTERS[1], closed=None)))
    expect = {"reason": "wrong-agent", "where": "chapters[0]"}
    other = {"agent": digest(b"another agent").hex()}
    yield Case(name="of another agent", data=data, given=other, expect=expect)
    expect = {"reason": "unknown-zone", "where": "chapters[1].opened"}
    yield Case(
        name="through a zone that is not known",
        data=data,
        given=given_zones(journey.HOME),
        expect=expect,
    )
    for name, spoilt, reason in (
        ("cut in half", data[: len(data) // 2], "truncated"),
        ("one byte too many", data + b"\0", "malformed"),
        ("a chapter of a later version", data.replace(b"chapter/1", b"chapter/2", 1), "wrong-kind"),
    ):
        yield Case(name=name, data=spoilt, expect={"reason": reason})
    deep = [(b"\x81", MESSAGE_BYTES_MAX - 1), (b"\xf6", 1)]
    yield Case(name="nested too deeply", data=deep, expect={"reason": "bad-field"})


KIND = Kind(
    name="chapters",
    about="bytes: a list of Chapters, the first one opened by the agent's genesis. given.agent: the agent; "
    "given.manifests: as for certified; given.documents: policy documents, encoded: those that the "
    "genesis names, and later ones, which the newest chapter's succession proves. "
    "expect: the record that opened the last term, as for record; expect.issuer_id: as for document, of the "
    "first one. What happened within a term is not in here: its opening and its departure are enough.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
    given={"agent": AGENT.hex(), "documents": DOCUMENTS} | given_zones(*ZONES),
)
