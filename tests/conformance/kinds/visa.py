"""Visas: what a target's quorum promised to an agent, held against the agent as it is now."""

from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.agent.events import Events
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.limits import CERTIFICATE_BYTES_MAX, RECORD_BYTES_MAX
from sojourn.core.protocol.visa import Visa
from sojourn.core.quorum.votes import Phase
from sojourn.core.zone.manifest import load_manifest
from tests.conformance import journey
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.journey import AWAY, HOME, STEPPED, VISA
from tests.conformance.spoiled import fields_of, spoiled, with_fields
from tests.unit.core.agent.records import changed

AT: Final = "visa"


def _given(record: AgentRecord = STEPPED.record, zone: Any = AWAY) -> Json:
    return {"record": encode(record).hex(), "manifest": zone.signed.to_bytes().hex()}


def _check(data: bytes, given: Json) -> Json:
    visa = decode(data, Visa, what=AT, limit=CERTIFICATE_BYTES_MAX)
    held = bytes.fromhex(given["record"])
    record = decode(held, AgentRecord, what="record", limit=RECORD_BYTES_MAX)
    visa.check(record, load_manifest(bytes.fromhex(given["manifest"])).manifest)
    return {
        "digest": visa.digest.hex(),
        "agent": visa.terms.agent.hex(),
        "term": visa.terms.term,
        "host": visa.terms.host.hex(),
        "judged": visa.terms.judged.hex(),
    }


def _valid() -> Iterator[Case]:
    yield Case(name="for the head it was given for", data=encode(VISA))
    yield Case(name="for the departed record", data=encode(VISA), given=_given(journey.GONE.record))
    later = changed(
        STEPPED.record,
        version=9,
        memory__journal=digest(b"more"),
        trust__events={AWAY.zone.hex(): Events(broken=1)},
    )
    yield Case(
        name="for a later head that was judged the same", data=encode(VISA), given=_given(later)
    )
    slot, value = VISA.certificate.slot, VISA.certificate.value
    others = AWAY.certificate(slot, value, phase=Phase.VISA, anchors=(1, 2, 3, 4))
    yield Case(name="signed by others", data=encode(replace(VISA, certificate=others)))


def _voided() -> Iterator[tuple[str, AgentRecord]]:
    """Yield the agent with something changed that it was judged by."""
    record = STEPPED.record
    risk = record.memory.compartments["risk"]
    relabelled = record.memory.compartments | {"risk": replace(risk, labels=("secret",))}
    yield "its policy has changed", changed(record, governance__version=2)
    yield "whom it trusts has changed", changed(record, trust__issuers=())
    yield "its code has changed", changed(record, capabilities__code=digest(b"new"))
    yield (
        "the labels of what travels have changed",
        changed(record, memory__compartments=relabelled),
    )
    yield "it is in another term", changed(record, custody__term=1)
    yield "it is in another zone", changed(record, custody__zone=AWAY.zone)
    yield "it is another agent", changed(record, agent=digest(b"twin"))


def _forged() -> Iterator[tuple[str, Visa, str]]:
    slot, value = VISA.certificate.slot, VISA.certificate.value
    yield (
        "a commit certificate",
        replace(VISA, certificate=AWAY.certificate(slot, value)),
        "wrong-slot",
    )
    votes = VISA.certificate.votes
    fewer = replace(VISA.certificate, votes=votes[:3])
    yield "a vote too few", replace(VISA, certificate=fewer), "no-quorum"
    twice = replace(VISA.certificate, votes=(*votes[:3], votes[2]))
    yield "a vote twice", replace(VISA, certificate=twice), "duplicate-signer"
    own = HOME.certificate(slot, value, phase=Phase.VISA)
    yield "granted by the source to itself", replace(VISA, certificate=own), "no-quorum"
    other = AWAY.certificate(slot, digest(b"x"), phase=Phase.VISA)
    yield "for other terms", replace(VISA, certificate=other), "wrong-value"
    elsewhere = replace(VISA.certificate, slot=replace(slot, term=9))
    yield "of another term", replace(VISA, certificate=elsewhere), "wrong-slot"
    longer = replace(VISA, terms=replace(VISA.terms, deadline_ms=60_000))
    yield "with a longer deadline than was granted", longer, "wrong-value"
    host = replace(VISA, terms=replace(VISA.terms, host=AWAY.hosts[1].public))
    yield "for another host than was granted", host, "wrong-value"
    epoch = replace(VISA, terms=replace(VISA.terms, to_epoch=1))
    yield "of another epoch", epoch, "void-visa"


def _invalid() -> Iterator[Case]:
    for name, record in _voided():
        expect = {"reason": "void-visa", "where": AT}
        yield Case(name=name, data=encode(VISA), given=_given(record), expect=expect)
    expect = {"reason": "void-visa", "where": AT}
    yield Case(name="for another zone", data=encode(VISA), given=_given(zone=HOME), expect=expect)
    for name, made, reason in _forged():
        yield Case(name=name, data=encode(made), expect={"reason": reason, "where": AT})
    terms = fields_of(VISA.terms)
    wrong: dict[str, tuple[dict[str, Any], str, str]] = {
        "a size of less than nothing": ({"size": -1}, "bad-field", ".size"),
        "a host of 31 bytes": ({"host": bytes(31)}, "bad-field", ".host"),
        "terms of a later version": ({"kind": "visa-terms/2"}, "wrong-kind", ".kind"),
        "a clause in small print": ({"fee": 1}, "unknown-field", ""),
    }
    for name, (changes, reason, where) in wrong.items():
        expect = {"reason": reason, "where": f"{AT}.terms{where}"}
        yield Case(name=name, data=with_fields(VISA, {"terms": terms | changes}), expect=expect)
    yield from spoiled(VISA, CERTIFICATE_BYTES_MAX, where=AT)


KIND = Kind(
    name="visa",
    about="bytes: a Visa. given.record: the encoding of the agent's record now; given.manifest: that of the "
    "target's SignedManifest. expect.digest: of the terms, which the departed record names; "
    "expect.judged: the digest of the list [governance, trust.issuers, trust.minimum, capabilities, "
    "labels and residency of what travels, sorted].",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
    given=_given(),
)
