"""Watermarks: the newest vote seen of each peer, so that one restored from an old copy is noticed.

Every vote carries its anchor's counter. A peer that starts asks what others have seen of it; a vote proves
itself, so no liar can retire an honest anchor (protocol §13, trap 7).
"""

from sojourn.core.protocol.dossier import Dossier
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.committee import Committee
from sojourn.core.quorum.votes import Vote

__all__ = ["Watermarks"]


class Watermarks:
    """The vote with the highest counter seen of each anchor of a committee."""

    def __init__(self, committee: Committee) -> None:
        """Begin having seen no vote."""
        self._committee = committee
        self._votes: dict[int, Vote] = {}

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

    def of(self, anchor: int) -> Vote | None:
        """Return the newest vote seen of an anchor."""
        return self._votes.get(anchor)
