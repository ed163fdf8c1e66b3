"""Sieges: one value is decided where half of the honest see it; the others are kept apart until they decide another.

They are asked to leave one round after another, until a liar leads the next: then they are shown another value, and
no lock. What proves this is not two votes of one round, but what the later votes lean on (protocol §11.5).
"""

from collections.abc import Sequence
from typing import ClassVar, Final

from sojourn.core.protocol import decree
from sojourn.core.protocol.exchange import PutBlocks
from sojourn.core.protocol.messages import AskRound, Proposal, Propose, RoundVoted
from sojourn.core.protocol.validate import slot_for
from sojourn.core.quorum.votes import Slot
from sojourn.testing.schedules.anchor import AnchorNode
from sojourn.testing.schedules.liars.equivocation import another_step
from sojourn.testing.schedules.liars.forking import ForkingSteps
from sojourn.testing.schedules.liars.lie import LyingHost
from sojourn.testing.schedules.run import Run

__all__ = ["Sieges"]

_ROUNDS: Final = 4
_SOON_MS: Final = 60


class Sieges(ForkingSteps):
    """The kind."""

    name: ClassVar[str] = "sieges"
    afterwards_ms: ClassVar[int] = 60_000

    def __init__(self, liar: LyingHost) -> None:
        """Begin; no siege is laid."""
        super().__init__(liar)
        self._laid: set[bytes] = set()

    def schemes(self, run: Run) -> None:
        """Have one step decided by some, and begin to lead the others astray; once for each version."""
        if run.head.certificate.value in self._laid:
            return
        self._laid.add(run.head.certificate.value)
        honest = list(self.cabal.honest(self.liar.zone.zone))
        self.chance.shuffle(honest)
        half = self.chance.randint(1, max(1, len(honest) - 1))
        some, others = honest[:half], honest[half:]
        proposal, blocks = another_step(self.liar, run.head)
        rival, more = another_step(self.liar, run.head)
        slot = slot_for(run.head, proposal.transition, self.liar.manifest)
        self.did()
        self._propose(slot, proposal, blocks, some)
        # Who has voted for the rival has blocks and slot; who has not opens the slot by the liars' votes to leave.
        if self.chance.random() < 0.3:
            self._propose(slot, rival, more, others[: self.chance.randint(0, len(others))])
        self._store(more, others)
        self.liar.after(self._lasts_ms(0), lambda: self._leave(slot, 0, rival, others))

    def _propose(
        self, slot: Slot, proposal: Proposal, blocks: tuple[bytes, ...], to: Sequence[AnchorNode]
    ) -> None:
        ask = Propose(slot=slot, round=0, proposal=proposal, blocks=blocks)
        self.cabal.learn(ask)
        for anchor in to:
            self.liar.say(anchor, ask)

    def _store(self, blocks: tuple[bytes, ...], to: Sequence[AnchorNode]) -> None:
        for anchor in to:
            self.liar.say(anchor, PutBlocks(blocks=blocks))

    def _lasts_ms(self, round: int) -> int:
        return decree.round_timeout_ms(round) + _SOON_MS

    def _leave(self, slot: Slot, round: int, rival: Proposal, others: list[AnchorNode]) -> None:
        """Ask the others to leave a round, as a liar among them would."""
        liars = self.cabal.anchors[slot.group]
        entry = self.cabal.entries.get(slot, {}).get(round)
        votes = [self.cabal.leaving_vote(slot, round, index) for index in sorted(liars)]
        ask = AskRound(slot=slot, round=round, entry=entry, votes=tuple(votes))
        for vote in votes:
            self.cabal.learn(RoundVoted(vote=vote))
        for anchor in others:
            self.liar.say(anchor, ask)
        self.liar.after(_SOON_MS, lambda: self._enter(slot, round + 1, rival, others))

    def _enter(self, slot: Slot, round: int, rival: Proposal, others: list[AnchorNode]) -> None:
        """Lead the next round if a liar does; or wait for one that a liar leads."""
        entry = self.cabal.entries.get(slot, {}).get(round)
        if entry is None or round > _ROUNDS:
            return
        leader = self.cabal.anchors[slot.group].get(decree.leader(slot, round, self.liar.manifest))
        for anchor in others:
            if leader is not None:
                ask = Propose(slot=slot, round=round, proposal=rival, entry=entry)
                leader.say(anchor, ask)
            else:
                self.liar.say(anchor, AskRound(slot=slot, round=round, entry=entry))
        if leader is None:
            wait_ms = self._lasts_ms(round)
            self.liar.after(wait_ms, lambda: self._leave(slot, round, rival, others))
