"""Successions: what proves, to whoever trusts no zone, that an agent's documents are its issuer's still.

The documents that a genesis names have their officers' seals in its `Warrant`. A document that came later has the
seals of those who were officers, or root, before it; these stand in the newest chapter of custody, and the
documents are blocks. Who were officers all along vouch for the newest document directly, so a succession holds the
newest document of each line, and those before it by which other officers or another root were named: what it takes
grows with the changes of keys, not with the changes of text.

A line is known by issuer and name. No two documents of one agent share theirs (`core.policy.engine`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated

from msgspec import Meta

from sojourn.core.agent.governance import (
    Document,
    Governance,
    Officers,
    Root,
    Seals,
    SignedDocument,
    check_threshold,
    signers_of,
)
from sojourn.core.base.encoding import Digest, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import SUCCESSION_MAX
from sojourn.core.base.seals import Kind

__all__ = ["Find", "Sealed", "Succession", "check_succession", "extended"]

Find = Callable[[bytes], Document]
"""Returns the document with a digest, or raises."""


class Sealed(Value):
    """A later document, by digest, with its seals by who had to sign it where the one that it `follows` ruled."""

    document: Digest
    follows: Digest
    seals: Seals


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
    for index, sealed in enumerate(succession):
        place = f"{where}[{index}]"
        if sealed.follows not in newest:
            problem = "it follows a document that did not rule"
            raise Rejected(problem, reason="wrong-documents", where=place)
        before = find(sealed.follows)
        _check_vouched(before, sealed, place)
        _check_later(before, find(sealed.document), sealed, place)
        newest[newest.index(sealed.follows)] = sealed.document
    if tuple(newest) != governance.documents:
        problem = "it does not lead to the documents that the record names"
        raise Rejected(problem, reason="wrong-documents", where=where)


def extended(
    succession: Sequence[Sealed], run: Iterable[SignedDocument], known: Mapping[bytes, Document]
) -> tuple[Sealed, ...]:
    """Return a succession with a run of successors after it, without what need not be shown any more.

    That is a document that named no other officers and no other root than the one that it follows. `known` holds
    documents by digest; what is not there is not left out.
    """
    found = {each.document: each for each in succession}
    own: dict[bytes, Document] = {}
    for signed in run:
        document, digest = signed.document, digest_of(signed.document)
        follows = document.previous
        assert follows is not None, "a successor names what it succeeds"
        if follows in found and _is_spare(found[follows], lambda d: own.get(d) or known.get(d)):
            follows = found.pop(follows).follows
        found[digest] = Sealed(document=digest, follows=follows, seals=signed.seals)
        own[digest] = document
    return tuple(found.values())


def _is_spare(sealed: Sealed, known: Callable[[bytes], Document | None]) -> bool:
    before, document = known(sealed.follows), known(sealed.document)
    if before is None or document is None:
        return False
    return (before.officers, before.root) == (document.officers, document.root)


def _check_vouched(before: Document, sealed: Sealed, where: str) -> None:
    """Raise `Rejected` unless enough of the root's keys, or of the officers, sealed a digest, whatever it is of."""
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
    signers, threshold = signers_of(before, document)
    _check_seals(sealed, signers, threshold, where)
    document.check()


def _check_seals(sealed: Sealed, signers: Officers | Root, threshold: int, where: str) -> None:
    check_threshold(Kind.DOCUMENT, sealed.document, sealed.seals, signers, threshold, where=where)
