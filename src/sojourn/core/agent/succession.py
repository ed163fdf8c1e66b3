"""Successions: what proves, to whoever trusts no zone, that an agent's documents are its issuer's still.

The documents that a genesis names have their officers' seals in its `Warrant`. A document that came later has the
seals of those who were officers, or root, before it; these stand in the newest chapter of custody, and the
documents are blocks. Who were officers all along vouch for the newest document directly, so a succession must hold
the newest document of each line, and those before it by which other officers or another root were named: what it
takes grows with the changes of keys, not with the changes of text. Of the others, which ruled in between or were
passed over, it holds the newest few, so that whoever reads a capsule can follow a line from version to version.

A line is known by issuer and name. No two documents of one agent share theirs (`core.policy.engine`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from sojourn.core.agent.delegation import Mandate, Power
from sojourn.core.agent.governance import (
    KEPT,
    Document,
    Governance,
    Seals,
    SignedDocument,
    acting_under,
    check_signed,
)
from sojourn.core.agent.officers import Officers, Root, check_threshold
from sojourn.core.base.encoding import Count, Digest, Value, digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import (
    SUCCESSION_MAX,
    SUCCESSION_SPARE_BYTES_MAX,
    SUCCESSION_SPARE_MAX,
)
from sojourn.core.base.seals import Kind

__all__ = ["Delegated", "Find", "Sealed", "Succession", "check_succession", "extended"]

Find = Callable[[bytes], Document]
"""Returns the document with a digest, or raises."""


class Delegated(Value):
    """Under which mandate a delegate sealed a document, and when an amendment took that, in its transition's time."""

    mandate: Mandate
    at_ms: Count


class Sealed(Value):
    """A later document, by digest, with its seals by who had to sign it where the one that it `follows` ruled.

    Of one that a delegate sealed there is what that is `delegated` by; else this is absent from the bytes.
    """

    document: Digest
    follows: Digest
    seals: Seals
    delegated: Delegated | UnsetType = UNSET


Succession = Annotated[tuple[Sealed, ...], Meta(max_length=SUCCESSION_MAX)]


def check_succession(
    born: Sequence[bytes],
    succession: Sequence[Sealed],
    governance: Governance,
    find: Find,
    *,
    where: str,
) -> None:
    """Raise `Rejected` unless a succession leads from the documents of a genesis to those of `governance`.

    Raises what `find` raises: a later document is looked for only if enough of the officers before it, or of their
    root, sealed its digest, so that a stranger's is never asked for.
    """
    newest = list(born)
    vouched = _vouched_by_issuer(succession)
    for index, sealed in enumerate(succession):
        place = f"{where}[{index}]"
        if sealed.follows not in newest:
            problem = "it follows a document that did not rule"
            raise Rejected(problem, reason="wrong-documents", where=place)
        before = find(sealed.follows)
        _check_vouched(before, sealed, place)
        if sealed.delegated is not UNSET and sealed.document not in vouched:
            sealed.delegated.mandate.check_holds(sealed.delegated.at_ms, where=place)
        _check_later(before, find(sealed.document), sealed, place)
        newest[newest.index(sealed.follows)] = sealed.document
    if tuple(newest) != governance.documents:
        problem = "it does not lead to the documents that the record names"
        raise Rejected(problem, reason="wrong-documents", where=where)


def _vouched_by_issuer(succession: Sequence[Sealed]) -> set[bytes]:
    """Return the documents that led to one which the issuer's own sealed: by that it took their delegates' word."""
    vouched: set[bytes] = set()
    for sealed in reversed(succession):
        if sealed.delegated is UNSET or sealed.document in vouched:
            vouched.add(sealed.follows)
    return vouched


def extended(
    succession: Sequence[Sealed],
    run: Iterable[SignedDocument],
    known: Mapping[bytes, Document],
    at_ms: int,
) -> tuple[Sealed, ...]:
    """Return a succession with a run of successors after it, without what is spare and too much or too old.

    The run was taken at `at_ms`. Spare is a document that was succeeded and named no other officers and no other
    root than the one that it follows; nor changed anything that a delegate who sealed the next one had to leave.
    `known` holds documents by digest; what is not there is not left out.
    """
    found = list(succession)
    own: dict[bytes, Document] = {}
    for signed in run:
        document, digest = signed.document, digest_of(signed.document)
        follows = document.previous
        assert follows is not None, "a successor names what it succeeds"
        by = signed.mandate
        delegated = UNSET if by is None else Delegated(mandate=by, at_ms=at_ms)
        found.append(
            Sealed(document=digest, follows=follows, seals=signed.seals, delegated=delegated)
        )
        own[digest] = document
    while (
        left_out := _too_much(found, lambda named: own.get(named) or known.get(named))
    ) is not None:
        found = _without(found, left_out)
    return tuple(found)


def _too_much(found: Sequence[Sealed], known: Callable[[bytes], Document | None]) -> Sealed | None:
    """Return the oldest spare document if there is no room for all of them: without it, others follow another."""
    spare = [each for each in found if _is_spare(each, found, known)]
    return spare[0] if len(spare) > _room(spare, len(found) - len(spare)) else None


def _is_spare(
    sealed: Sealed, among: Iterable[Sealed], known: Callable[[bytes], Document | None]
) -> bool:
    after = next((each for each in among if each.follows == sealed.document), None)
    if after is None:
        return False
    before, document = known(sealed.follows), known(sealed.document)
    if before is None or document is None:
        return False
    left = KEPT if after.delegated is not UNSET else ("officers", "root")
    return all(getattr(before, name) == getattr(document, name) for name in left)


def _room(spare: Sequence[Sealed], others: int) -> int:
    """Return how many of the spare documents, the newest, there is room for beside so many others."""
    sizes = accumulate(len(encode(each)) for each in reversed(spare))
    count = sum(size <= SUCCESSION_SPARE_BYTES_MAX for size in sizes)
    return max(0, min(count, SUCCESSION_SPARE_MAX, SUCCESSION_MAX - others))


def _without(found: Iterable[Sealed], spare: Sealed) -> list[Sealed]:
    """Return a succession without a spare document: what followed it follows the one before, by the same officers."""
    return [
        replace(each, follows=spare.follows) if each.follows == spare.document else each
        for each in found
        if each is not spare
    ]


def _check_vouched(before: Document, sealed: Sealed, where: str) -> None:
    """Raise `Rejected` unless enough of the root's keys, of the officers, or of a delegate's sealed a digest.

    Whatever it is of.
    """
    if sealed.delegated is not UNSET:
        acting = acting_under(sealed.delegated.mandate, before, Power.AMEND, where=where)
        _check_seals(sealed, acting, acting.amend, where)
        return
    if before.root is not None:
        try:
            _check_seals(sealed, before.root, before.root.threshold, where)
        except Rejected:
            pass
        else:
            return
    _check_seals(sealed, before.officers, before.officers.amend, where)


def _check_later(before: Document, document: Document, sealed: Sealed, where: str) -> None:
    if (document.issuer, document.name) != (before.issuer, before.name):
        problem = "the document succeeds another one"
        raise Rejected(problem, reason="wrong-documents", where=where)
    if document.version <= before.version:
        problem = f"version {document.version} is not later than version {before.version}"
        raise Rejected(problem, reason="rollback", where=where)
    mandate = None if sealed.delegated is UNSET else sealed.delegated.mandate
    check_signed(before, document, sealed.seals, mandate, where=where)
    document.check()


def _check_seals(sealed: Sealed, signers: Officers | Root, threshold: int, where: str) -> None:
    check_threshold(Kind.DOCUMENT, sealed.document, sealed.seals, signers, threshold, where=where)
