"""What rules an agent, from among the documents that are stored at an anchor."""

from collections.abc import Iterable

from sojourn.core.agent.governance import Document, Governing
from sojourn.core.agent.record import AgentRecord
from sojourn.core.protocol.dossier import View
from sojourn.core.protocol.missing import Missing

__all__ = ["documents_of", "governing"]


def documents_of(digests: Iterable[bytes], view: View) -> tuple[Document, ...]:
    """Return documents by digest, from among the blocks stored here.

    Raises `Missing` ("blocks") with those that are not, `Rejected` for a block that is none.
    """
    named = tuple(digests)
    if missing := tuple(digest for digest in named if digest not in view.documents):
        raise Missing("blocks", missing)
    return tuple(view.documents[digest] for digest in named)


def governing(record: AgentRecord, at_ms: int, view: View) -> Governing:
    """Return what rules `record` at `at_ms`: its documents, and those that cool.

    Raises `Missing` ("blocks") if one is not stored here, `Rejected` outside a document's window.
    """
    return record.governance.governing(documents_of(record.governance.named, view), at_ms)
