"""Governance documents, sealed by officers: the first ones by their own, successors by those before them."""

from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from sojourn.core.agent.delegation import Delegation, Mandate, Power, sealed_delegation
from sojourn.core.agent.governance import (
    Document,
    Officers,
    Root,
    SignedDocument,
    check_successor,
    issuer_id,
)
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.limits import DOCUMENT_BYTES_MAX
from sojourn.core.base.seals import Kind as SealKind
from sojourn.core.base.seals import Role
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.spoiled import fields_of, spoiled, with_fields
from tests.samples import NOW_MS, document, key, seal, successor

ANN, BEN, EVE = key("ann"), key("ben"), key("eve")
BOTH: Final = Officers(keys=(ANN.public, BEN.public), amend=2, revoke=1, move=2, retire=2)
FIRST: Final = document(by=(ANN, BEN), officers=BOTH, actions=("order.place",))
SECOND: Final = document(
    by=(ANN, BEN), officers=BOTH, version=2, previous=digest_of(FIRST.document)
)
ROOT_KEY = key("root")
ROOTED: Final = document(by=(ANN, BEN), officers=BOTH, root=Root(keys=(ROOT_KEY.public,)))
AT: Final = "document"


def _given(before: Document | None) -> Json:
    return {"before": encode(before).hex() if before else None}


def _check(data: bytes, given: Json) -> Json:
    signed = decode(data, SignedDocument, what=AT, limit=DOCUMENT_BYTES_MAX)
    new = signed.document
    if given["before"] is None:
        new.check()
        signed.check(new.officers, new.officers.amend)
    else:
        held = bytes.fromhex(given["before"])
        before = decode(held, Document, what="before", limit=DOCUMENT_BYTES_MAX)
        check_successor(before, signed)
    return {
        "digest": digest_of(new).hex(),
        "issuer": new.issuer,
        "issuer_id": issuer_id(new).hex(),
        "name": new.name,
        "version": new.version,
        "amend": [new.officers.amend, len(new.officers.keys)],
    }


def _valid() -> Iterator[Case]:
    yield Case(name="sealed by one officer", data=encode(document()))
    yield Case(name="sealed by two", data=encode(FIRST))
    turned = replace(BOTH, keys=BOTH.keys[::-1])
    yield Case(
        name="the same officers turned about", data=encode(document(by=(ANN, BEN), officers=turned))
    )
    yield Case(name="a successor", data=encode(SECOND), given=_given(FIRST.document))
    handed = document(
        by=(ANN, BEN),
        officers=Officers(keys=(EVE.public,)),
        version=2,
        previous=digest_of(FIRST.document),
    )
    yield Case(name="handed over to others", data=encode(handed), given=_given(FIRST.document))
    cools = successor(FIRST, by=(ANN, BEN), cool_down_ms=86_400_000)
    yield Case(name="a successor that cools", data=encode(cools), given=_given(FIRST.document))
    bounds = successor(FIRST, by=(ANN, BEN), staleness_ms=86_400_000)
    yield Case(
        name="a successor that bounds its staleness",
        data=encode(bounds),
        given=_given(FIRST.document),
    )
    same = successor(ROOTED, by=(ANN, BEN), cedar="permit (principal, action, resource);//")
    yield Case(name="the text alone, by officers", data=encode(same), given=_given(ROOTED.document))
    by_desk = _by_delegate()
    yield Case(name="the text, by a delegate", data=encode(by_desk), given=_given(FIRST.document))
    turned = successor(ROOTED, by=(ROOT_KEY,), officers=Officers(keys=(EVE.public,)))
    yield Case(name="other officers, by root", data=encode(turned), given=_given(ROOTED.document))


def _by_delegate(*powers: Power, **changes: Any) -> SignedDocument:
    """Return a successor, changed, that Eve signed for the issuer, who gave her some powers."""
    said = Delegation(
        issuer=FIRST.document.issuer,
        documents=(FIRST.document.name,),
        name="desk",
        to=Officers(keys=(EVE.public,)),
        powers=powers or (Power.AMEND,),
        not_before_ms=NOW_MS,
        until_ms=NOW_MS + 1,
    )
    mandate = Mandate(delegations=(sealed_delegation(said, (ANN, BEN)),))
    return replace(successor(FIRST, by=(EVE,), **changes), under=mandate)


def _by_delegates() -> Iterator[tuple[str, SignedDocument, Document | None, str, str]]:
    before = FIRST.document
    for name in ("officers", "root", "cool_down_ms", "staleness_ms"):
        changed = {
            "officers": Officers(keys=(EVE.public,)),
            "root": Root(keys=(EVE.public,)),
            "cool_down_ms": 1,
            "staleness_ms": 1,
        }[name]
        made = _by_delegate(**{name: changed})
        yield f"{name} by a delegate", made, before, "beyond-mandate", f"{AT}.{name}"
    other = _by_delegate(Power.SUSPEND)
    yield "by a delegate that may not", other, before, "beyond-mandate", AT
    own = replace(_by_delegate(), seals=successor(FIRST, by=(ANN, BEN)).seals)
    yield "by officers as if by a delegate", own, before, "wrong-key", f"{AT}.seals[0]"


def _unsealed() -> Iterator[tuple[str, SignedDocument, Document | None, str, str]]:
    """Yield documents with the wrong seals, what they are held against, the reason and the place."""
    named, own = digest_of(FIRST.document), None
    ann, ben = FIRST.seals
    yield "sealed by nobody", replace(FIRST, seals=()), own, "below-threshold", AT
    yield "one of two", replace(FIRST, seals=(ann,)), own, "below-threshold", AT
    yield "one of them twice", replace(FIRST, seals=(ann, ann)), own, "below-threshold", AT
    eve = seal(EVE, SealKind.DOCUMENT, Role.ISSUER, named)
    yield (
        "a stranger among them",
        replace(FIRST, seals=(ann, eve)),
        own,
        "wrong-key",
        f"{AT}.seals[1]",
    )
    yield (
        "a stranger beside them",
        replace(FIRST, seals=(ann, ben, eve)),
        own,
        "wrong-key",
        f"{AT}.seals[2]",
    )
    for name, kind, role in (
        ("sealed as a publisher", SealKind.DOCUMENT, Role.PUBLISHER),
        ("sealed as an order", SealKind.ORDER, Role.ISSUER),
    ):
        wrong = replace(FIRST, seals=(ann, seal(BEN, kind, role, named)))
        yield name, wrong, own, "bad-signature", f"{AT}.seals[1]"
    other = replace(
        FIRST, document=replace(FIRST.document, cedar="permit (principal, action, resource);//")
    )
    yield "another text than was sealed", other, own, "bad-signature", f"{AT}.seals[0]"
    mine = document(by=(EVE,), officers=Officers(keys=(EVE.public,)), version=2, previous=named)
    yield (
        "a successor that appoints its own judges",
        mine,
        FIRST.document,
        "wrong-key",
        f"{AT}.seals[0]",
    )
    lowered = document(by=(ANN,), officers=replace(BOTH, amend=1), version=2, previous=named)
    yield "a successor by its own lower threshold", lowered, FIRST.document, "below-threshold", AT

    others = {"officers": Officers(keys=(EVE.public,))}
    for name, by, changes in (
        ("other officers by officers, where there is a root", (ANN, BEN), others),
        ("no root any more, by officers", (ANN, BEN), {"root": None}),
        ("the text alone, by root", (ROOT_KEY,), {"cedar": ""}),
    ):
        made = successor(ROOTED, by=by, **changes)
        yield name, made, ROOTED.document, "wrong-key", f"{AT}.seals[0]"


def _unsound() -> Iterator[tuple[str, SignedDocument, Document | None, str, str]]:
    previous = digest_of(FIRST.document)
    for name, changes, reason, where in (
        ("a successor of the same version", {"version": 1}, "rollback", f"{AT}.version"),
        ("a version left out", {"version": 3}, "rollback", f"{AT}.version"),
        ("a successor of nothing", {"previous": None}, "rollback", f"{AT}.version"),
        (
            "a successor of itself",
            {"previous": digest_of(SECOND.document)},
            "rollback",
            f"{AT}.version",
        ),
        ("another issuer's", {"issuer": "other"}, "wrong-documents", AT),
        ("another document", {"name": "other"}, "wrong-documents", AT),
    ):
        fields: dict[str, Any] = {"officers": BOTH, "version": 2, "previous": previous}
        made = document(by=(ANN, BEN), **(fields | changes))
        yield name, made, FIRST.document, reason, where
    for name, officers, where in (
        ("a threshold of none", replace(BOTH, retire=0), "officers.retire"),
        ("a threshold of more than all", replace(BOTH, amend=3), "officers.amend"),
        ("an officer twice", replace(BOTH, keys=(ANN.public, ANN.public)), "officers.keys"),
    ):
        yield name, document(by=(ANN, BEN), officers=officers), None, "bad-officers", where
    for name, root, where in (
        ("a root that nobody makes up", Root(keys=(EVE.public,), threshold=2), "root.threshold"),
        ("a root's key twice", Root(keys=(EVE.public, EVE.public)), "root.keys"),
    ):
        made = document(by=(ANN, BEN), officers=BOTH, root=root)
        yield name, made, None, "bad-officers", where


def _invalid() -> Iterator[Case]:
    for name, made, before, reason, where in [*_unsealed(), *_unsound(), *_by_delegates()]:
        expect = {"reason": reason, "where": where}
        yield Case(name=name, data=encode(made), given=_given(before), expect=expect)
    plain = fields_of(FIRST.document)
    wrong: dict[str, tuple[dict[str, Any], str, str]] = {
        "a bound of nothing": ({"staleness_ms": 0}, "bad-field", ".staleness_ms"),
        "no officers": (
            {"officers": plain["officers"] | {"keys": []}},
            "bad-field",
            ".officers.keys",
        ),
        "a later version inside": ({"kind": "document/2"}, "wrong-kind", ".kind"),
        "a clause of its own": ({"exceptions": []}, "unknown-field", ""),
    }
    for name, (changes, reason, where) in wrong.items():
        expect = {"reason": reason, "where": f"{AT}.document{where}"}
        spoilt = with_fields(FIRST, {"document": plain | changes})
        yield Case(name=name, data=spoilt, expect=expect)
    long = with_fields(FIRST, {"document": plain | {"cedar": " " * 65_537}})
    head, _, tail = long.partition(b" " * 65_537)
    yield Case(
        name="a text that is too long",
        data=[(head, 1), (b" ", 65_537), (tail, 1)],
        expect={"reason": "bad-field", "where": f"{AT}.document.cedar"},
    )
    yield from spoiled(FIRST, DOCUMENT_BYTES_MAX, where=AT)


KIND = Kind(
    name="document",
    about="bytes: a SignedDocument. given.before: null, and then the document's own officers must have sealed "
    "it; or the encoding of the Document that it follows, whose officers must have, at least as many as "
    "that one's `amend`, or its root, if it has one and the document names other officers or another root; or a "
    "delegate's under the mandate that it names, as for mandate, whatever the time. "
    "expect.amend: how many of how many officers the next one needs; expect.issuer_id: the "
    "digest of the officers with their keys in ascending order, by which policies know the issuer.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
    given=_given(None),
)
