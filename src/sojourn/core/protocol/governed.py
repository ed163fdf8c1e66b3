"""What rules an agent, and what proves it, from among what is stored at an anchor."""

from collections.abc import Iterable, Mapping, Sequence

from sojourn.core.agent.governance import Document, Governing
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.protocol.custody import Chapter, zones_in
from sojourn.core.protocol.dossier import View
from sojourn.core.protocol.kinship import Kin, family_zones
from sojourn.core.protocol.missing import Missing
from sojourn.core.protocol.parentage import Parentage
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["documents_of", "governing", "kin_of", "proving_zones"]


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


def kin_of(view: View, manifests: Mapping[bytes, ZoneManifest]) -> Kin:
    """Return where the proof of an agent's ancestors is looked for: among the blocks stored here.

    What it finds raises `Missing` ("blocks") for what is not stored, `Rejected` for a block that is none.
    """

    def parentage(named: bytes) -> Parentage:
        if named not in view.parentages:
            raise Missing("blocks", (named,))
        return view.parentages[named]

    def chapter(named: bytes) -> Chapter:
        if named not in view.chapters:
            raise Missing("blocks", (named,))
        return view.chapters[named]

    return Kin(parentage=parentage, chapter=chapter, manifests=manifests, chains=view.chains)


def proving_zones(chapters: Sequence[Chapter], view: View) -> set[bytes]:
    """Return the zones by which an agent's chain is proved, and, if its first chapter is shown, its ancestors'."""
    first = chapters[0]
    if first.opened.transition.kind is not TransitionKind.GENESIS:
        return zones_in(chapters)
    return zones_in(chapters) | family_zones(first, kin_of(view, {}))
