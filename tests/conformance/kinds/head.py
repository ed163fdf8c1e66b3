"""Heads: an officer's word, for a while, that a document is the newest of its line."""

from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.agent.heads import SignedHead, head_of
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.limits import HEAD_BYTES_MAX, HEAD_HOLDS_MS_MAX
from sojourn.core.base.seals import Kind as SealKind
from sojourn.core.base.seals import Role
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.spoiled import fields_of, spoiled, with_fields
from tests.samples import ISSUER, NOW_MS, document, key, seal

DOCUMENT: Final = document().document
HOUR_MS: Final = 3_600_000
SIGNED: Final = head_of(DOCUMENT, ISSUER, at_ms=NOW_MS, until_ms=NOW_MS + HOUR_MS)
AT: Final = "head"


def _check(data: bytes, given: Json) -> Json:
    signed = decode(data, SignedHead, what=AT, limit=HEAD_BYTES_MAX)
    signed.check()
    said = signed.head
    return {
        "digest": digest_of(said).hex(),
        "document": said.digest.hex(),
        "version": said.version,
        "holds_ms": said.until_ms - said.at_ms,
        "signer": signed.seal.signer.hex(),
    }


def _valid() -> Iterator[Case]:
    yield Case(name="for an hour", data=encode(SIGNED))
    longest = head_of(DOCUMENT, ISSUER, at_ms=NOW_MS, until_ms=NOW_MS + HEAD_HOLDS_MS_MAX)
    yield Case(name="for as long as one may hold", data=encode(longest))
    eve = head_of(DOCUMENT, key("eve"), at_ms=0, until_ms=1)
    yield Case(name="by whom the document has to know", data=encode(eve))


def _invalid() -> Iterator[Case]:
    said = SIGNED.head
    named = digest_of(said)
    for name, kind, role in (
        ("sealed as a document", SealKind.DOCUMENT, Role.ISSUER),
        ("sealed as an order", SealKind.ORDER, Role.ISSUER),
        ("sealed as a person", SealKind.POLICY_HEAD, Role.PERSON),
    ):
        made = replace(SIGNED, seal=seal(ISSUER, kind, role, named))
        expect = {"reason": "bad-signature", "where": f"{AT}.seal"}
        yield Case(name=name, data=encode(made), expect=expect)
    for field, value in (("version", 2), ("until_ms", said.until_ms + 1), ("at_ms", NOW_MS + 1)):
        made = replace(SIGNED, head=replace(said, **{field: value}))
        expect = {"reason": "bad-signature", "where": f"{AT}.seal"}
        yield Case(name=f"another {field} than was sealed", data=encode(made), expect=expect)
    for name, until_ms in (
        ("over before it begins", NOW_MS),
        ("for longer than one may hold", NOW_MS + HEAD_HOLDS_MS_MAX + 1),
    ):
        made = head_of(DOCUMENT, ISSUER, at_ms=NOW_MS, until_ms=until_ms)
        expect = {"reason": "bad-window", "where": f"{AT}.until_ms"}
        yield Case(name=name, data=encode(made), expect=expect)
    plain = fields_of(said)
    wrong: dict[str, tuple[dict[str, Any], str, str]] = {
        "a digest of 31 bytes": ({"digest": bytes(31)}, "bad-field", ".digest"),
        "a time before time": ({"at_ms": -1}, "bad-field", ".at_ms"),
        "a later version inside": ({"kind": "policy-head/2"}, "wrong-kind", ".kind"),
        "with a reason": ({"reason": "none"}, "unknown-field", ""),
    }
    for name, (changes, reason, where) in wrong.items():
        expect = {"reason": reason, "where": f"{AT}.head{where}"}
        spoilt = with_fields(SIGNED, {"head": plain | changes})
        yield Case(name=name, data=spoilt, expect=expect)
    yield from spoiled(SIGNED, HEAD_BYTES_MAX, where=AT)


KIND = Kind(
    name="head",
    about="bytes: a SignedHead. expect: who vouches for which document, and for how long. Whether the signer is an "
    "officer by that document, and whether it counts at which time, is judged elsewhere.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
)
