"""Freshness: whether an anchor knows of late what is newest of the documents that rule an agent (protocol §8.11).

A document may bound its staleness. An anchor then votes for what an agent under it does only while it holds a head
no older than that: an officer's word for what is newest. Where no news comes from, the agent stands (it fails
closed), and goes on when a head is heard of.

What a head says is measured against what is known here. It counts if it names the document that rules, one whose
place that took, or one that is known to follow it: then nothing that was published before the head was sealed is
missed here. And whoever sealed it has to be an officer by the newest document of the line that is known here: one
who was voted out vouches for nothing any more where that is known.
"""

from collections.abc import Iterator
from typing import Final

from sojourn.core.agent.governance import Document
from sojourn.core.agent.heads import staleness_of
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Refused, Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS, SUCCESSORS_PER_LINE_MAX
from sojourn.core.protocol.dossier import View
from sojourn.core.protocol.governed import documents_of

__all__ = ["check_current", "is_vouched_for"]


_BOUNDED: Final = frozenset(
    {
        TransitionKind.STEP,
        TransitionKind.ADOPT,
        TransitionKind.INTEND,
        TransitionKind.ASK,
        TransitionKind.SPAWN,
        TransitionKind.DEPART,
        TransitionKind.ADMIT,
    }
)
"""What needs late news of what rules. Custody, how the agent ends, and what officers published do not."""


def check_current(kind: TransitionKind, record: AgentRecord, view: View) -> None:
    """Raise `Refused` unless each document that rules an agent is vouched for as late as is asked of it.

    A visa is judged as what it is for. While a document cools that one took the place of, its bound counts, too
    (§8.6). Raises `Missing` ("blocks") for a document that is not stored here.
    """
    if kind not in _BOUNDED:
        return
    governance = record.governance
    ruling = documents_of(governance.documents, view)
    cooling = {
        d for each in governance.cooling if view.now_ms < each.until_ms for d in each.documents
    }
    bounding = (*ruling, *documents_of(cooling.difference(governance.documents), view))
    for document in ruling:
        bounds = [
            bound
            for each in bounding
            if (each.issuer, each.name) == (document.issuer, document.name)
            and (bound := staleness_of(each)) is not None
        ]
        if bounds and not is_vouched_for(document, min(bounds), view):
            problem = (
                f"no officer has vouched in the last {min(bounds) // 1000} s that version "
                f"{document.version} of {document.name} is the newest, as far as this anchor has heard"
            )
            raise Refused(problem, remedy="Have one publish a head of it: `sojourn policy head`")


def is_vouched_for(document: Document, staleness_ms: int, view: View) -> bool:
    """Tell whether a head is held here that is no older than that, of what is newest of a document's line."""
    later = view.edicts.successors.later(digest_of(document))
    newest = later[-1] if later else document
    for named in _line(document, later, view):
        vouched = view.edicts.heads.of(named)
        for head in (vouched[key].head for key in newest.officers.keys if key in vouched):
            ends_ms = min(head.until_ms, head.at_ms + staleness_ms)
            if head.at_ms - CLOCK_SKEW_MS <= view.now_ms < ends_ms:
                return True
    return False


def _line(document: Document, later: tuple[Document, ...], view: View) -> Iterator[bytes]:
    """Yield a document, those known to follow it, and those before it as far back as they are stored here."""
    yield digest_of(document)
    yield from map(digest_of, later)
    for _ in range(SUCCESSORS_PER_LINE_MAX):
        if document.previous is None:
            return
        yield document.previous
        try:
            document = view.documents[document.previous]
        except (KeyError, Rejected):
            return
