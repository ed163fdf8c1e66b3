"""Leading astray: the rounds that are its own, with any value and any justification, to one anchor at a time."""

from typing import ClassVar

from msgspec.structs import replace

from sojourn.core.protocol import decree
from sojourn.core.protocol.messages import AskRound, Proposal, Propose
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.votes import Slot
from sojourn.testing.schedules.liars.lie import Lie

__all__ = ["Leading"]


class Leading(Lie):
    """The kind: it also has rounds left, one anchor at a time, so that there are some to lead."""

    name: ClassVar[str] = "leading"

    def schemes(self) -> None:
        """Lead a round of the cabal's, or have one left, or have somebody enter one."""
        slot, peer = self.cabal.a_slot(self.liar.zone.zone), self.liar.a_peer()
        if slot is None or peer is None:
            return
        entries = self.cabal.entries.get(slot, {})
        if sum(self._lead(slot, round) for round in entries):
            self.did()
        elif entries and self.chance.random() < 0.5:
            round = self.chance.choice(list(entries))
            self.liar.say(peer, AskRound(slot=slot, round=round, entry=entries[round]))
        else:
            round = max(entries, default=0)
            ask = AskRound(slot=slot, round=round, entry=entries.get(round))
            for anchor in self.cabal.honest(slot.group):
                self.liar.say(anchor, ask)

    def choice(self, slot: Slot, round: int) -> tuple[Certificate | None, Proposal | None]:
        """Return what to propose in a round, and a lock to lean on: any value, and any lock of it or none."""
        locks = [lock for lock in self.cabal.locks.get(slot, ()) if lock.round < round]
        just = self.chance.choice([None, *locks])
        proposal = self.cabal.proposals.get(just.value) if just else None
        if proposal is None:
            return None, self.cabal.a_proposal(slot)
        rival = self.cabal.a_proposal(slot)
        if just is None or rival is None or self.chance.random() < 0.7:
            return just, proposal
        forged = replace(just, value=rival.transition.digest, round=round - 1)
        return forged, rival

    def _lead(self, slot: Slot, round: int) -> bool:
        """Propose in a round, if a liar leads it, in that liar's name."""
        leading = decree.leader(slot, round, self.liar.manifest)
        liar = self.cabal.anchors[slot.group].get(leading)
        if liar is None:
            return False
        just, proposal = self.choice(slot, round)
        if proposal is None:
            return False
        ask = Propose(
            slot=slot,
            round=round,
            proposal=proposal,
            entry=self.cabal.entries[slot][round],
            justification=just,
        )
        honest = self.cabal.honest(slot.group)
        for anchor in self.chance.sample(honest, self.chance.randint(1, len(honest))):
            liar.say(anchor, ask)
        return True
