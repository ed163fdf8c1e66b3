"""The adversary: it sees every vote that is cast, holds one anchor's key, and chooses what is shown to whom.

Its anchor votes for anything asked of it and remembers nothing. It puts certificates together from what it has
seen, with its own vote where one is missing, shows them to one anchor at a time, and leads the rounds that are its
own with any value and any justification.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from sojourn.core.base.encoding import digest_of
from sojourn.core.protocol import decree
from sojourn.core.protocol.messages import (
    AskRound,
    Head,
    Nack,
    Proposal,
    Propose,
    Reply,
    Request,
    RoundVoted,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.quorum.certificates import (
    Certificate,
    LockSummary,
    RoundCertificate,
    RoundVote,
    certify,
)
from sojourn.core.quorum.votes import Ballot, Phase, Slot, Vote
from tests.samples import SampleZone

__all__ = ["Adversary"]


class Adversary:
    """One liar's key, and all that was seen. `aim` sends a request to an anchor of its choice."""

    def __init__(
        self,
        zone: SampleZone,
        liar: int,
        slot: Slot,
        steps: Sequence[Proposal],
        chance: random.Random,
        aim: Callable[[Request], object],
    ) -> None:
        self.zone, self.liar, self.slot, self.steps = zone, liar, slot, steps
        self.chance, self.aim = chance, aim
        self.entries: dict[int, RoundCertificate] = {}
        self.certificates: dict[bytes, Certificate] = {}
        self._votes: dict[tuple[Phase, int, bytes], dict[int, Vote]] = defaultdict(dict)
        self._leaving: dict[int, dict[int, RoundVote]] = defaultdict(dict)

    # --- seeing ---------------------------------------------------------------------------------------

    def see_reply(self, reply: Reply) -> None:
        """Remember the vote in a reply."""
        if isinstance(reply, Voted):
            ballot = reply.vote.ballot
            self._votes[ballot.phase, ballot.round, ballot.value][ballot.anchor] = reply.vote
        if isinstance(reply, RoundVoted):
            ballot = reply.vote.vote.ballot
            self._leaving[ballot.round][ballot.anchor] = reply.vote

    def see_request(self, request: Request) -> None:
        """Remember the certificates in a request."""
        if isinstance(request, ShowLock):
            self._keep(request.certificate)
        if isinstance(request, Propose) and request.justification is not None:
            self._keep(request.justification)

    def see_entry(self, entry: RoundCertificate) -> None:
        """Remember that a round was left."""
        self.entries[entry.round + 1] = entry

    def _keep(self, certificate: Certificate) -> Certificate:
        """Remember a certificate by the digest that votes may name."""
        self.certificates[digest_of(certificate)] = certificate
        return certificate

    def step_of(self, value: bytes) -> Proposal | None:
        """Return the proposal behind a value."""
        return next((s for s in self.steps if s.transition.digest == value), None)

    # --- lying ----------------------------------------------------------------------------------------

    def lie(self, request: Request) -> Reply | None:
        """Return what the liar answers: its vote for anything, or nothing, or half the truth."""
        if self.chance.random() < 0.15:
            return None
        match request:
            case Propose():
                value, just = request.proposal.transition.digest, request.justification
                ballot = self.ballot(Phase.LOCK, request.round, value)
                leaned = digest_of(just) if just else None
                return Voted(vote=self.zone.vote(replace(ballot, justification=leaned)))
            case ShowLock():
                lock = request.certificate
                return Voted(vote=self.zone.vote(self.ballot(Phase.COMMIT, lock.round, lock.value)))
            case AskRound():
                shown = self.chance.choice([None, *self.steps])
                return RoundVoted(vote=self._leaving_vote(request.round), proposal=shown)
        nothing: list[Reply] = [Head(certified=None), Nack(round=0)]
        return self.chance.choice(nothing)

    def ballot(self, phase: Phase, round: int, value: bytes) -> Ballot:
        """Return what the liar signs."""
        return Ballot(
            slot=self.slot, round=round, phase=phase, value=value, anchor=self.liar, counter=1
        )

    def _leaving_vote(self, round: int) -> RoundVote:
        """Return the liar's vote to leave a round, which hides whatever it is locked on."""
        summary = LockSummary()
        ballot = self.ballot(Phase.ROUND, round, digest_of(summary))
        return RoundVote(vote=self.zone.vote(ballot), summary=summary)

    # --- scheming -------------------------------------------------------------------------------------

    def scheme(self) -> None:
        """Use what was seen: show a certificate to somebody, or lead a round of one's own."""
        ways = [self._show_lock, self._show_commit, self._show_entry, self._lead_astray]
        self.chance.choice(ways)()

    def _chosen(self, anchors: dict[int, object]) -> list[int] | None:
        """Return a quorum of those anchors and the liar, if they are enough."""
        quorum = self.zone.manifest.committee.quorum
        able = sorted({*anchors, self.liar})
        return sorted(self.chance.sample(able, quorum)) if len(able) >= quorum else None

    def _made(self, phase: Phase) -> list[Certificate]:
        """Return a certificate of every round and value that can be put together."""
        found = []
        for (kind, round, value), cast in list(self._votes.items()):
            chosen = self._chosen(dict(cast)) if kind is phase else None
            if chosen is None:
                continue
            own = self.zone.vote(self.ballot(phase, round, value))
            votes = {**cast, self.liar: own}
            made = certify([votes[a] for a in chosen], self.zone.manifest.committee)
            found.append(self._keep(made))
        return found

    def _show_lock(self) -> None:
        """Show a lock that perhaps nobody else knows of to one anchor."""
        if locks := self._made(Phase.LOCK):
            lock = self.chance.choice(locks)
            self.aim(ShowLock(certificate=lock, proposal=self.step_of(lock.value)))

    def _show_commit(self) -> None:
        """Show a decision to one anchor."""
        if commits := self._made(Phase.COMMIT):
            commit = self.chance.choice(commits)
            self.aim(ShowCommit(certificate=commit, proposal=self.step_of(commit.value)))

    def _show_entry(self) -> None:
        """Have one anchor enter a round, with the liar's vote where one is missing."""
        for round, cast in list(self._leaving.items()):
            chosen = self._chosen(dict(cast))
            if chosen is None:
                continue
            votes = {**cast, self.liar: self._leaving_vote(round)}
            entry = RoundCertificate(
                slot=self.slot, round=round, votes=tuple(votes[a] for a in chosen)
            )
            self.see_entry(entry)
            self.aim(AskRound(slot=self.slot, round=round + 1, entry=entry))

    def _lead_astray(self) -> None:
        """Propose in rounds that the liar leads: any value, any justification, to one anchor at a time."""
        for round, entry in self.entries.items():
            if decree.leader(self.slot, round, self.zone.manifest) != self.liar:
                continue
            locks = [lock for lock in self._made(Phase.LOCK) if lock.round < round]
            just = self.chance.choice([None, *locks])
            step = self.step_of(just.value) if just else None
            self.aim(
                Propose(
                    slot=self.slot,
                    round=round,
                    proposal=step or self.chance.choice(self.steps[:3]),
                    entry=entry,
                    justification=just if step else None,
                )
            )
