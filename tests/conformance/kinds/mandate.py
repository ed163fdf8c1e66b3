"""Mandates: the delegations that lead from an issuer to who acts for it, and what may be done under them."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.agent.delegation import (
    Delegation,
    Mandate,
    Power,
    SignedDelegation,
    sealed_delegation,
)
from sojourn.core.agent.governance import Document, Officers, Root, acting_under
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.limits import (
    DELEGATION_HOLDS_MS_MAX,
    DELEGATIONS_MAX,
    DOCUMENT_BYTES_MAX,
    MANDATE_BYTES_MAX,
)
from sojourn.core.base.seals import Kind as SealKind
from sojourn.core.base.seals import Role
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.spoiled import fields_of, spoiled, with_fields
from tests.samples import NOW_MS, document, key, seal

ANN, BEN, ROOT, EVE = key("ann"), key("ben"), key("root"), key("eve")
CAT, DAN = key("cat"), key("dan")
AT: Final = "mandate"
HOUR_MS: Final = 3_600_000
TWO: Final = Officers(keys=(ANN.public, BEN.public), amend=2)
RULES: Final = document(by=(ANN, BEN), officers=TWO).document
ROOTED: Final = replace(RULES, root=Root(keys=(ROOT.public,)))
WHOLE: Final = Delegation(
    issuer=RULES.issuer,
    documents=("other", RULES.name),
    name="region",
    to=Officers(keys=(CAT.public, EVE.public), revoke=2),
    powers=(Power.AMEND, Power.SUSPEND),
    not_before_ms=NOW_MS,
    until_ms=NOW_MS + HOUR_MS,
    depth=1,
)
PART: Final = replace(
    WHOLE,
    documents=(RULES.name,),
    name="desk",
    to=Officers(keys=(DAN.public,)),
    powers=(Power.SUSPEND,),
    depth=0,
    previous=digest_of(WHOLE),
)
FIRST: Final = sealed_delegation(WHOLE, (ANN, BEN))
SECOND: Final = sealed_delegation(PART, (CAT, EVE))
BOTH: Final = Mandate(delegations=(FIRST, SECOND))


def _given(ruling: Document = RULES, power: Power = Power.SUSPEND, at_ms: int = NOW_MS) -> Json:
    return {"document": encode(ruling).hex(), "power": str(power), "at_ms": at_ms}


def _check(data: bytes, given: Json) -> Json:
    mandate = decode(data, Mandate, what=AT, limit=MANDATE_BYTES_MAX)
    ruling = decode(
        bytes.fromhex(given["document"]), Document, what="document", limit=DOCUMENT_BYTES_MAX
    )
    acting = acting_under(mandate, ruling, Power(given["power"]), where=AT)
    mandate.check_holds(given["at_ms"], where=AT)
    return {
        "digests": [digest_of(each.delegation).hex() for each in mandate.delegations],
        "delegates": [each.hex() for each in mandate.delegates],
        "until_ms": mandate.until_ms,
        "amend": [acting.amend, len(acting.keys)],
    }


def _of(*delegations: SignedDelegation) -> Mandate:
    return Mandate(delegations=delegations)


def _whole(**changes: Any) -> Mandate:
    return _of(sealed_delegation(replace(WHOLE, **changes), (ANN, BEN)))


def _part(first: dict[str, Any], second: dict[str, Any]) -> Mandate:
    """Return a mandate of two, each changed, the second of which leans on the first."""
    whole = replace(WHOLE, **first)
    part = replace(PART, **({"previous": digest_of(whole)} | second))
    return _of(sealed_delegation(whole, (ANN, BEN)), sealed_delegation(part, (CAT, EVE)))


def _valid() -> Iterator[Case]:
    yield Case(name="one", data=encode(_of(FIRST)), given=_given())
    amend = _given(power=Power.AMEND)
    yield Case(name="one, to amend", data=encode(_of(FIRST)), given=amend)
    yield Case(name="passed on", data=encode(BOTH), given=_given())
    last_ms = _given(at_ms=NOW_MS + HOUR_MS - 1)
    yield Case(name="in its last millisecond", data=encode(BOTH), given=last_ms)
    rooted = _of(sealed_delegation(WHOLE, (ROOT,)))
    yield Case(name="by a root", data=encode(rooted), given=_given(ROOTED))
    year = _whole(until_ms=NOW_MS + DELEGATION_HOLDS_MS_MAX)
    yield Case(name="for a year", data=encode(year), given=_given())


def _untrue() -> Iterator[tuple[str, Mandate, Json, str, str]]:
    """Yield mandates that are none, or do not go so far: what is given, the reason and the place."""
    plain, first, second = _given(), f"{AT}.under[0]", f"{AT}.under[1]"
    one = _of(FIRST)
    yield "a power not given", BOTH, _given(power=Power.AMEND), "beyond-mandate", AT
    renamed = replace(RULES, name="third")
    yield "a document not named", one, _given(renamed), "beyond-mandate", AT
    foreign = replace(RULES, issuer="other")
    yield "another issuer's", one, _given(foreign), "beyond-mandate", first
    yield "before it holds", one, _given(at_ms=NOW_MS - 1), "outside-window", AT
    yield "when it is over", one, _given(at_ms=NOW_MS + HOUR_MS), "outside-window", AT
    yield (
        "by officers, where there is a root",
        one,
        _given(ROOTED),
        "wrong-key",
        f"{first}.seals[0]",
    )
    lone = _of(sealed_delegation(WHOLE, (ANN,)))
    yield "by one officer of two", lone, plain, "below-threshold", first
    yield (
        "passed on by one who may amend and not suspend alone",
        _of(FIRST, sealed_delegation(PART, (CAT,))),
        plain,
        "below-threshold",
        second,
    )
    yield (
        "passed on by the issuer",
        _of(FIRST, sealed_delegation(PART, (ANN, BEN))),
        plain,
        "wrong-key",
        f"{second}.seals[0]",
    )
    yield "a part alone", _of(sealed_delegation(PART, (ANN, BEN))), plain, "wrong-parent", first
    for name, changes, reason in (
        ("a window of nothing", {"until_ms": NOW_MS}, "bad-window"),
        ("more than a year", {"until_ms": NOW_MS + DELEGATION_HOLDS_MS_MAX + 1}, "bad-window"),
        ("a power twice", {"powers": (Power.SUSPEND,) * 2}, "bad-field"),
        ("a document twice", {"documents": (RULES.name,) * 2}, "bad-field"),
        ("to the issuer itself", {"to": replace(TWO, amend=1)}, "cycle"),
    ):
        yield name, _whole(**changes), plain, reason, first
    idle = Officers(keys=(DAN.public,), retire=2)
    yield "officers never enough", _whole(to=idle), plain, "bad-officers", "officers.retire"
    for name, changes, reason in (
        ("a power more", {"powers": (Power.SUSPEND, Power.LIFT)}, "widening"),
        ("a document more", {"documents": (RULES.name, "third")}, "widening"),
        ("longer", {"until_ms": NOW_MS + HOUR_MS + 1}, "widening"),
        ("earlier", {"not_before_ms": NOW_MS - 1}, "widening"),
        ("as deep", {"depth": 1}, "widening"),
        ("of another delegation", {"previous": bytes(32)}, "wrong-parent"),
        ("back to the issuer", {"to": TWO}, "cycle"),
        ("to itself", {"to": replace(WHOLE.to, revoke=1)}, "cycle"),
    ):
        yield f"passed on: {name}", _part({}, changes), plain, reason, second
    yield "passed on, though it may not be", _part({"depth": 0}, {}), plain, "widening", second
    for name, kind, role in (
        ("sealed as a document", SealKind.DOCUMENT, Role.ISSUER),
        ("sealed as a person", SealKind.DELEGATION, Role.PERSON),
    ):
        wrong = replace(FIRST, seals=(seal(ANN, kind, role, digest_of(WHOLE)), FIRST.seals[1]))
        yield name, _of(wrong), plain, "bad-signature", f"{first}.seals[0]"


def _invalid() -> Iterator[Case]:
    for name, made, given, reason, where in _untrue():
        expect = {"reason": reason, "where": where}
        yield Case(name=name, data=encode(made), given=given, expect=expect)
    plain, place = fields_of(WHOLE), f"{AT}.delegations[0].delegation"
    wrong: dict[str, tuple[dict[str, Any], str, str]] = {
        "a power that nobody gives": ({"powers": ["erase"]}, "bad-field", ".powers[0]"),
        "no power": ({"powers": []}, "bad-field", ".powers"),
        "no document": ({"documents": []}, "bad-field", ".documents"),
        "too deep": ({"depth": DELEGATIONS_MAX}, "bad-field", ".depth"),
        "a later version inside": ({"kind": "delegation/2"}, "wrong-kind", ".kind"),
        "a clause of its own": ({"exceptions": []}, "unknown-field", ""),
    }
    for name, (changes, reason, where) in wrong.items():
        signed = fields_of(FIRST) | {"delegation": plain | changes}
        expect = {"reason": reason, "where": f"{place}{where}"}
        spoilt = with_fields(_of(FIRST), {"delegations": [signed]})
        yield Case(name=name, data=spoilt, given=_given(), expect=expect)
    for name, delegations in (
        ("no delegation", []),
        ("more than may lean on one another", [fields_of(FIRST)] * (DELEGATIONS_MAX + 1)),
    ):
        spoilt = with_fields(_of(FIRST), {"delegations": delegations})
        expect = {"reason": "bad-field", "where": f"{AT}.delegations"}
        yield Case(name=name, data=spoilt, given=_given(), expect=expect)
    for case in spoiled(_of(FIRST), MANDATE_BYTES_MAX, where=AT):
        yield dataclasses.replace(case, given=_given())


KIND = Kind(
    name="mandate",
    about="bytes: a Mandate. given: the document that rules where it is used, a power, and the time at which what "
    "leans on it is taken. expect: the digests of its delegations, what each delegate is known by, when it is over, "
    "and how many of how many officers amend under it.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
)
