"""What one anchor knows of anchors that lied: noticed, kept before it is told on, and counted by agents here.

It compares what it is shown and told (`core.quorum.witness`), where it remembers nothing of a slot with what is
stored, and takes what others prove (`core.protocol.proofs`). A proof that is news is written, told on at once, and
counted by each agent here that relies on that zone (`caretaker`): those that sleep do so when they wake.
"""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import structlog

from sojourn.anchor.sweep import Sweep
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.protocol.dossier import Dossier, Ruling
from sojourn.core.protocol.exchange import Proofs as ProofsTold
from sojourn.core.protocol.gossip import NOBODY, News
from sojourn.core.protocol.messages import AskRound, Propose, Request, ShowCommit, ShowLock
from sojourn.core.protocol.proofs import KnownProofs
from sojourn.core.protocol.rounds import RoundChange
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.fraud import Fraud
from sojourn.core.quorum.votes import Slot, Vote, check_vote
from sojourn.core.quorum.witness import Witness

if TYPE_CHECKING:
    from sojourn.anchor.caretaker import Caretaker
    from sojourn.anchor.heralding import Heralding
    from sojourn.anchor.server import Anchor

__all__ = ["Proofs"]

log = structlog.get_logger("anchor")

_PROOFS_IN_REPLY: Final = 32


class Proofs:
    """The proofs of one anchor, and what it witnesses of its own zone."""

    def __init__(self, anchor: "Anchor", caretaker: "Caretaker", heralding: "Heralding") -> None:
        """Know of none yet; who has them counted is told of them, and who spreads them."""
        self._anchor, self._heralding = anchor, heralding
        self._witness = Witness(anchor.manifest.committee)
        self._writing = asyncio.Lock()
        self._accusations = Sweep(anchor, caretaker.plan)
        self.known = KnownProofs()

    # --- witnessing -----------------------------------------------------------------------------------

    def note(self, before: Dossier, request: Request, ruling: Ruling) -> None:
        """Compare what was shown with what was seen; remember it if the ruling rests on it, for then it was checked.

        What an agent counts that somebody brought is taken in as well.
        """
        self._recollect(before)
        match request:
            case ShowCommit(certificate=shown) if _is_accusation(ruling):
                self._spread_counted(before, shown)
            case ShowLock(certificate=shown) | ShowCommit(certificate=shown):
                if ruling.dossier is not None:
                    self._convict(self._witness.take([shown]))
                elif self._witness.has_seen(shown.slot):
                    self._convict(self._witness.compare([shown]))
                else:
                    self._convict(self._against_decided(shown.slot, certificates=[shown]))
            case Propose(justification=Certificate() as shown):
                self._convict(self._witness.compare([shown]))
            case AskRound(votes=votes, entry=entry):
                left = entry.votes if entry is not None else ()
                self._convict(self._witness.compare(votes=[v.vote for v in (*votes, *left)]))

    def _spread_counted(self, before: Dossier, shown: Certificate) -> None:
        proposal = before.open.proposal_of(shown.value) if before.open else None
        given = proposal.evidence.accusation if proposal else None
        if given is not None:
            news = News(
                manifests=(given.manifest,), endorsements=given.endorsements, proofs=given.proofs
            )
            self._anchor.begin(self._anchor.take_news, news)

    def heard(self, change: RoundChange) -> None:
        """Take in what this anchor was told when it asked all to leave a round."""
        votes = [item.vote for item in change.votes]
        for agent in {vote.ballot.slot.agent for vote in votes}:
            self._recollect(self._anchor.shelf.dossier(agent))
        self._convict(self._witness.take(change.locks, votes))

    def testified(self, votes: Iterable[Vote]) -> None:
        """Compare votes that somebody was given with what was seen, and remember them. Raises `Rejected`.

        Remembered only of slots that are open here or of which something was seen: others are of no use, and nobody
        fills the room with them.
        """
        mine, others = list[Vote](), list[Vote]()
        for vote in votes:
            (mine if self._is_of_use(vote.ballot.slot) else others).append(vote)
        for index, vote in enumerate(mine):
            check_vote(vote, self._anchor.manifest.committee, where=f"votes[{index}]")
        self._convict(self._witness.take(votes=mine))
        for slot in {vote.ballot.slot for vote in others}:
            about = [vote for vote in others if vote.ballot.slot == slot]
            self._convict(self._against_decided(slot, votes=about))

    def _is_of_use(self, slot: Slot) -> bool:
        if self._witness.has_seen(slot):
            return True
        dossier = self._anchor.shelf.dossier(slot.agent)
        self._recollect(dossier)
        return dossier.open is not None and dossier.open.slot == slot

    def _recollect(self, dossier: Dossier) -> None:
        """Remember again what is stored of a slot that is open, if nothing of it is: what was seen before a restart.

        That is the newest lock, and how the round before it was left. Both were checked before they were stored.
        """
        state = dossier.open
        if state is not None and not self._witness.has_seen(state.slot):
            locks = [state.lock] if state.lock is not None else []
            left = [item.vote for item in state.entry.votes] if state.entry is not None else []
            self._convict(self._witness.take(locks, left))

    def _against_decided(
        self,
        slot: Slot,
        certificates: Iterable[Certificate] = (),
        votes: Iterable[Vote] = (),
    ) -> list[Fraud]:
        """Return what is proved by this of an old slot, of which only what was decided is known."""
        stored = self._anchor.shelf.history(slot.agent, slot.version, limit=1, bytes_max=0)
        decided = Witness(self._anchor.manifest.committee)
        decided.take(each.certificate for each in stored if each.certificate.slot == slot)
        return decided.compare(certificates, votes)

    def _convict(self, found: list[Fraud]) -> None:
        if found:
            liars = sorted(proof.anchor for proof in found)
            log.warning("anchors of this zone are proved to have lied", anchors=liars)
            self._anchor.begin(self.take, tuple(found), NOBODY)

    # --- learning -------------------------------------------------------------------------------------

    def recall(self) -> None:
        """Know again what was known before; the manifests are known by now."""
        self._learn(self._anchor.shelf.proofs(), None)

    def _learn(self, proofs: Iterable[Fraud], teller: bytes | None) -> list[Fraud]:
        places = self._anchor.places
        return self.known.learn(proofs, teller, places.signed_manifest, places.is_of_worth)

    async def take(self, proofs: tuple[Fraud, ...], teller: bytes) -> None:
        """Take in proofs that are news, durably; then have them counted, and tell them on. Raises `Rejected`."""
        async with self._writing:  # who tells of one that is being written waits until it is
            learned = self._learn(proofs, teller)
            await self._anchor.write(self._anchor.shelf.proof_changes(learned))
        if learned:
            self._accusations.begin()
            self._heralding.spread(learned, teller)

    async def expire(self) -> None:
        """Let go of what is proved of zones that are not known here any more. Raises `StoreFailed`."""
        self.known.forget_zones(self._anchor.manifests.keys())
        await self._anchor.write(self._anchor.shelf.told_removals("proof", self.known.names()))

    # --- telling --------------------------------------------------------------------------------------

    def lacking_in(self, names: tuple[bytes, ...]) -> tuple[Fraud, ...]:
        """Return what is not known to whoever sent a summary."""
        return self.known.lacking_in(names, self._anchor.places.is_of_worth)

    def after(self, culprit: bytes | None) -> ProofsTold:
        """Return the proofs against those after a culprit, in order, as many as go in a reply."""
        every = [p for zone in self.known.zones() for p in self.known.against(zone)]
        later = sorted((p for p in every if p.culprit > (culprit or b"")), key=lambda p: p.culprit)
        told = later[:_PROOFS_IN_REPLY]
        zones = sorted({proof.zone for proof in told})
        manifests = tuple(self.known.manifest(zone) for zone in zones)
        return ProofsTold(proofs=tuple(told), manifests=manifests)

    def left_out(self, news: News) -> str:
        """Return why one of these proofs is not known here, in words; nothing if there is none."""
        for proof in news.proofs:
            if proof.culprit not in self.known.names():
                known = self._anchor.places.signed_manifest(proof.zone)
                why = "its zone is not known here" if known is None else "there is no room"
                return f"the proof against anchor {proof.anchor} is not taken: {why}"
        return ""


def _is_accusation(ruling: Ruling) -> bool:
    return ruling.applied is not None and ruling.applied.transition.kind is TransitionKind.ACCUSE
