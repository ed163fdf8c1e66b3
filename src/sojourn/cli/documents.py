"""Policy documents: made from Cedar text, signed by officers, kept as files and read back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sojourn.core.agent.governance import Document, Officers, SignedDocument
from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import DOCUMENT_BYTES_MAX
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.policy.document import check_policy
from sojourn.runtime.processes.files import read_bounded, write_atomically

__all__ = ["SIGNED_SUFFIX", "read_founding", "read_signed", "sign_document", "write_signed"]

SIGNED_SUFFIX: Final = ".signed"
_FILE_BYTES_MAX: Final = 2 * DOCUMENT_BYTES_MAX


def sign_document(document: Document, by: Sequence[KeyPair]) -> SignedDocument:
    """Return a document sealed by officers. The officers it names and its policy are checked before.

    Raises `Misused`. Whether these keys suffice depends on what it succeeds: `SignedDocument.check` says so.
    """
    check_policy(document.cedar, document.actions, name=document.name, approvers=document.approvers)
    try:
        # Through the door that it will be read by: what is out of bounds shows here.
        data = encode(document)
        decode(data, Document, what="document", limit=DOCUMENT_BYTES_MAX).check()
    except Rejected as error:
        problem = f"that makes no document: {error.problem} ({error.where})"
        raise Misused(problem, remedy="Correct what it is made of") from None
    covered = statement(Kind.DOCUMENT, Role.ISSUER, digest_of(document))
    seals = tuple(Seal(signer=key.public, signature=key.sign(covered)) for key in by)
    return SignedDocument(document=document, seals=seals)


def read_signed(path: Path) -> SignedDocument:
    """Return the signed document in a file. Raises `Misused`; `Rejected` for bytes that are none.

    Its seals are checked where it is known by whom it must be signed.
    """
    data = read_bounded(path, what="signed policy", limit=_FILE_BYTES_MAX)
    signed: SignedDocument = decode(
        data, SignedDocument, what="signed policy", limit=_FILE_BYTES_MAX
    )
    return signed


def read_founding(path: Path) -> SignedDocument:
    """Return the signed document in a file that stands by itself: signed by the officers that it names.

    Raises `Misused`; `Rejected` if too few of them signed it.
    """
    signed = read_signed(path)
    officers: Officers = signed.document.officers
    signed.document.check()
    signed.check(officers, officers.amend, where=str(path))
    return signed


def write_signed(path: Path, signed: SignedDocument) -> None:
    """Keep a signed document in a file. Raises `Misused`."""
    write_atomically(path, encode(signed))
