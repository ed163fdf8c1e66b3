"""Endorsements: what an issuer says of a zone, or of another issuer."""

from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.agent.trust import SignedEndorsement
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.limits import DOCUMENT_BYTES_MAX
from sojourn.core.base.seals import Kind as SealKind
from sojourn.core.base.seals import Role
from tests.conformance import journey
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.spoiled import fields_of, spoiled, with_fields
from tests.samples import ISSUER, endorsement, key, seal

SIGNED: Final = endorsement(journey.HOME.zone, 5, operations=("execute", "travel"), depth=1)
AT: Final = "endorsement"


def _check(data: bytes, given: Json) -> Json:
    signed = decode(data, SignedEndorsement, what=AT, limit=DOCUMENT_BYTES_MAX)
    signed.check()
    said = signed.endorsement
    return {
        "digest": digest_of(said).hex(),
        "issuer": said.issuer.hex(),
        "subject": said.subject.hex(),
        "level": said.level,
        "operations": list(said.operations),
        "depth": said.depth,
    }


def _valid() -> Iterator[Case]:
    yield Case(name="of a zone, for some operations", data=encode(SIGNED))
    yield Case(name="of a zone, for all", data=encode(endorsement(journey.AWAY.zone, 10)))
    other = endorsement(key("another issuer").public, 3, depth=8)
    yield Case(name="of another issuer", data=encode(other))
    yield Case(name="of level 0", data=encode(endorsement(journey.AWAY.zone, 0)))


def _invalid() -> Iterator[Case]:
    said = SIGNED.endorsement
    named = digest_of(said)
    eve = key("eve")
    untrue: dict[str, tuple[SignedEndorsement, str]] = {
        "sealed by another key": (
            replace(SIGNED, seal=seal(eve, SealKind.ENDORSEMENT, Role.ISSUER, named)),
            "wrong-key",
        ),
        "sealed as an anchor": (
            replace(SIGNED, seal=seal(ISSUER, SealKind.ENDORSEMENT, Role.ANCHOR, named)),
            "bad-signature",
        ),
        "sealed as a document": (
            replace(SIGNED, seal=seal(ISSUER, SealKind.DOCUMENT, Role.ISSUER, named)),
            "bad-signature",
        ),
    }
    for field, value in (
        ("level", 10),
        ("subject", journey.AWAY.zone),
        ("operations", ()),
        ("not_after_ms", 2**62),
        ("depth", 8),
    ):
        changed = replace(said, **{field: value})
        name = f"another {field} than was sealed"
        untrue[name] = (replace(SIGNED, endorsement=changed), "bad-signature")
    taken = replace(SIGNED, endorsement=replace(said, issuer=eve.public))
    untrue["in another issuer's name"] = (taken, "wrong-key")
    for name, (made, reason) in untrue.items():
        expect = {"reason": reason, "where": AT}
        yield Case(name=name, data=encode(made), expect=expect)
    plain = fields_of(said)
    wrong: dict[str, tuple[dict[str, Any], str, str]] = {
        "level 11": ({"level": 11}, "bad-field", ".level"),
        "level -1": ({"level": -1}, "bad-field", ".level"),
        "deeper than chains may be": ({"depth": 9}, "bad-field", ".depth"),
        "a subject of 31 bytes": ({"subject": bytes(31)}, "bad-field", ".subject"),
        "a later version inside": ({"kind": "endorsement/2"}, "wrong-kind", ".kind"),
        "with a recommendation": ({"stars": 5}, "unknown-field", ""),
    }
    for name, (changes, reason, where) in wrong.items():
        expect = {"reason": reason, "where": f"{AT}.endorsement{where}"}
        spoilt = with_fields(SIGNED, {"endorsement": plain | changes})
        yield Case(name=name, data=spoilt, expect=expect)
    yield from spoiled(SIGNED, DOCUMENT_BYTES_MAX, where=AT)


KIND = Kind(
    name="endorsement",
    about="bytes: a SignedEndorsement. expect: who says what of whom; an empty list of operations means all. "
    "Whether it counts, at which time and at which length of chain, is judged elsewhere.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
)
