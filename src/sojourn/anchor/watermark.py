"""Watermarks: the newest vote seen of each peer, so that one restored from an old copy is noticed.

Every vote carries its anchor's counter. A peer that starts asks what others have seen of it; a vote proves
itself, so no liar can retire an honest anchor (protocol §13, trap 7). What has been seen is kept, not at each vote
but now and then: all anchors of a zone may start at once, one of them from a copy.

seen         anchor                     Vote
"""

from typing import Final

from sojourn.anchor.shelf import load_row
from sojourn.core.base.encoding import encode
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.committee import Committee
from sojourn.core.quorum.votes import Vote
from sojourn.runtime.store import Put, Store

__all__ = ["Watermarks"]

_KEPT_EVERY: Final = 16
"""So many votes of a peer may go by before what was seen of it is written again."""


class Watermarks:
    """The vote with the highest counter seen of each anchor of a committee."""

    def __init__(self, committee: Committee, store: Store) -> None:
        """Begin with what was kept."""
        self._committee = committee
        rows = store.scan("seen", limit=committee.n)
        self._votes = {
            vote.ballot.anchor: vote for _, data in rows for vote in [load_row(data, Vote)]
        }
        self._kept = {anchor: vote.ballot.counter for anchor, vote in self._votes.items()}

    def note_dossier(self, dossier: Dossier) -> None:
        """Take in the certificates of a stored dossier: each was checked before it was stored."""
        if dossier.head is not None:
            self.note(dossier.head.certificate)
        if dossier.open is not None and dossier.open.lock is not None:
            self.note(dossier.open.lock)

    def note(self, certificate: Certificate) -> None:
        """Take in a checked certificate of this committee; others are passed over."""
        slot = certificate.slot
        if (slot.group, slot.epoch) != (self._committee.zone, self._committee.epoch):
            return
        for part in certificate.votes:
            known = self._votes.get(part.anchor)
            if known is None or known.ballot.counter < part.counter:
                self._votes[part.anchor] = certificate.vote(part)

    def changes(self) -> list[Put]:
        """Return the changes that keep what was seen since the last; once returned, they count as made."""
        fresh = [
            vote
            for anchor, vote in sorted(self._votes.items())
            if vote.ballot.counter - self._kept.get(anchor, -_KEPT_EVERY) >= _KEPT_EVERY
        ]
        self._kept |= {vote.ballot.anchor: vote.ballot.counter for vote in fresh}
        return [Put("seen", vote.ballot.anchor.to_bytes(2, "big"), encode(vote)) for vote in fresh]

    def of(self, anchor: int) -> Vote | None:
        """Return the newest vote seen of an anchor."""
        return self._votes.get(anchor)
