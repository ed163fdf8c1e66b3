"""Forgeries: bad signatures, others' votes, votes added up over rounds and phases, signers counted twice.

And certificates of another epoch, realm, zone, term or version. Each is made from something that is in order.
"""

from collections.abc import Callable
from typing import ClassVar, Final

from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.protocol.messages import AskRound, Propose, ShowCommit, ShowLock, Voted
from sojourn.core.quorum.certificates import Certificate, RoundCertificate
from sojourn.core.quorum.votes import Phase, Vote
from sojourn.testing.schedules.anchor import AnchorNode
from sojourn.testing.schedules.liars.lie import Lie
from sojourn.testing.schedules.simulator import Message

__all__ = ["Forgeries"]

_NO_SIGNATURE: Final = b"\0" * 64


class Forgeries(Lie):
    """The kind."""

    name: ClassVar[str] = "forgeries"

    def hears(self, message: Message) -> bool:
        """Answer with somebody else's vote, or with one that is not signed."""
        if not isinstance(message.body, Propose | ShowLock | AskRound):
            return False
        votes = [each.body for each in self.cabal.heard if isinstance(each.body, Voted)]
        if not votes or self.chance.random() < 0.5:
            return False
        self.did()
        shown = self.chance.choice(votes)
        vote = self.chance.choice(
            [shown.vote, self._renamed(shown.vote), self._unsigned(shown.vote)]
        )
        self.liar.answer(message, Voted(vote=vote))
        return True

    def _renamed(self, vote: Vote) -> Vote:
        return replace(vote, ballot=replace(vote.ballot, anchor=self.liar.index))

    def _unsigned(self, vote: Vote) -> Vote:
        return replace(vote, seal=replace(vote.seal, signature=_NO_SIGNATURE))

    def schemes(self) -> None:
        """Show somebody a certificate that is none."""
        slot, peer = self.cabal.a_slot(self.liar.zone.zone), self.liar.a_peer()
        if slot is None or peer is None:
            return
        known = [*self.cabal.locks.get(slot, ()), *self.cabal.commits.get(slot, ())]
        if self.chance.random() < 0.2:
            self._round(peer)
        elif known:
            self.did()
            forged = self._forged(self.chance.choice(known))
            proposal = self.cabal.proposals.get(forged.value)
            kind = ShowLock if self.chance.random() < 0.5 else ShowCommit
            self.liar.say(peer, kind(certificate=forged, proposal=proposal))

    def _forged(self, true: Certificate) -> Certificate:
        return self.chance.choice(_WAYS)(self, true)

    def _round(self, peer: AnchorNode) -> None:
        """Show that a round was left which was not: votes of another round, or one vote often."""
        if not self.cabal.leaving:
            return
        (slot, round), cast = self.chance.choice(list(self.cabal.leaving.items()))
        shown = self.chance.choice(list(cast.values()))
        many = [
            replace(shown, vote=self._as(shown.vote, index))
            for index in range(self.liar.manifest.committee.quorum)
        ]
        votes = self.chance.choice([tuple(many), (shown,) * len(many)])
        entry = RoundCertificate(slot=slot, round=round + self.chance.randint(0, 1), votes=votes)
        self.did()
        self.liar.say(peer, AskRound(slot=slot, round=entry.round + 1, entry=entry))

    def _as(self, vote: Vote, index: int) -> Vote:
        return replace(vote, ballot=replace(vote.ballot, anchor=index))

    # --- ways -----------------------------------------------------------------------------------------

    def _bad_signature(self, true: Certificate) -> Certificate:
        first, *rest = true.votes
        bad = replace(first, seal=replace(first.seal, signature=_NO_SIGNATURE))
        return replace(true, votes=(bad, *rest))

    def _others(self, true: Certificate) -> Certificate:
        """Let its votes be those of other anchors."""
        n = self.liar.manifest.committee.n
        parts = [replace(part, anchor=(part.anchor + 1) % n) for part in true.votes]
        return replace(true, votes=tuple(sorted(parts, key=lambda part: part.anchor)))

    def _twice(self, true: Certificate) -> Certificate:
        """Count a signer twice."""
        return replace(true, votes=(true.votes[0], *true.votes[:-1]))

    def _few(self, true: Certificate) -> Certificate:
        return replace(true, votes=true.votes[:-1])

    def _other_phase(self, true: Certificate) -> Certificate:
        """Take locks for commits, or commits for locks."""
        phase = Phase.COMMIT if true.phase is Phase.LOCK else Phase.LOCK
        return replace(true, phase=phase)

    def _added_up(self, true: Certificate) -> Certificate:
        """Add up votes over rounds and phases."""
        known = [*self.cabal.locks.get(true.slot, ()), *self.cabal.commits.get(true.slot, ())]
        parts = {part.anchor: part for each in known for part in each.votes}
        quorum = self.liar.manifest.committee.quorum
        chosen = [parts[anchor] for anchor in sorted(parts)][:quorum]
        return replace(true, round=true.round + 1, votes=tuple(chosen))

    def _other_value(self, true: Certificate) -> Certificate:
        values = self.cabal.values.get(true.slot)
        value = self.chance.choice(values) if values else digest(b"nothing")
        if value == true.value:
            value = digest(value)
        return replace(true, value=value)

    def _elsewhere(self, true: Certificate) -> Certificate:
        """Let it be of another epoch, realm, zone, term or version."""
        slot = true.slot
        zones = [zone for zone in self.cabal.everybody if zone != slot.group]
        group = self.chance.choice(zones) if zones else digest(b"nowhere")
        bent = self.chance.choice(
            [
                replace(slot, epoch=slot.epoch + 1),
                replace(slot, realm="elsewhere"),
                replace(slot, group=group),
                replace(slot, term=slot.term + 1),
                replace(slot, version=slot.version + 1),
            ]
        )
        return replace(true, slot=bent)


_WAYS: Final[tuple[Callable[[Forgeries, Certificate], Certificate], ...]] = (
    Forgeries._bad_signature,
    Forgeries._others,
    Forgeries._twice,
    Forgeries._few,
    Forgeries._other_phase,
    Forgeries._added_up,
    Forgeries._other_value,
    Forgeries._elsewhere,
)
