"""The cabal: what all liars of a schedule know together, and what they sign.

It keeps every vote that one of them saw, and puts certificates together as soon as the liars' own votes are all that
is missing: such a certificate is perhaps known to nobody else.
"""

import random
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from sojourn.core.base.encoding import digest_of
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import (
    Arrive,
    AskRound,
    AskVisa,
    Head,
    Nack,
    Proposal,
    Propose,
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
from sojourn.testing import history
from sojourn.testing.schedules.scene import Scene, ZoneScene
from sojourn.testing.schedules.simulator import Message, Simulator

if TYPE_CHECKING:
    from sojourn.testing.schedules.anchor import AnchorNode
    from sojourn.testing.schedules.host import HostNode

__all__ = ["Cabal"]

_SLOTS_KEPT: Final = 6
_HEARD_KEPT: Final = 48
_COUNTERS: Final = 10_000

VoteKey = tuple[Slot, Phase, int, bytes]


class Cabal:
    """What the liars know. `anchors` are those that lie, by zone and index; `hosts` by key."""

    def __init__(self, simulator: Simulator, scene: Scene, chance: random.Random) -> None:
        """Know nothing but the scene."""
        self.simulator, self.scene, self.chance = simulator, scene, chance
        self.anchors: dict[bytes, dict[int, AnchorNode]] = {}
        self.hosts: dict[bytes, HostNode] = {}
        self.everybody: dict[bytes, list[AnchorNode]] = {}
        self.slots: deque[Slot] = deque(maxlen=_SLOTS_KEPT)
        """The slots that are being decided, the newest last."""
        self.values: dict[Slot, list[bytes]] = {}
        self.proposals: dict[bytes, Proposal] = {}
        self.locks: dict[Slot, list[Certificate]] = {}
        self.commits: dict[Slot, list[Certificate]] = {}
        self.fresh: deque[Certificate] = deque(maxlen=32)
        """Certificates just put together, that no liar has made use of."""
        self.leaving: dict[tuple[Slot, int], dict[int, RoundVote]] = {}
        self.entries: dict[Slot, dict[int, RoundCertificate]] = {}
        self.heads: dict[bytes, list[Certified]] = {}
        self.applications: dict[bytes, AskVisa] = {}
        self.arrivals: deque[Arrive] = deque(maxlen=8)
        self.heard: deque[Message] = deque(maxlen=_HEARD_KEPT)
        self._votes: dict[VoteKey, dict[int, Vote]] = {}
        self._made: set[VoteKey] = set()
        self._signed: dict[tuple[Slot, int, Phase, int], bytes] = {}

    # --- who ------------------------------------------------------------------------------------------

    def honest(self, zone: bytes) -> "list[AnchorNode]":
        """Return a zone's anchors that are not of the cabal."""
        liars = self.anchors.get(zone, {})
        return [anchor for anchor in self.everybody[zone] if anchor.index not in liars]

    def has_captured(self, zone: bytes) -> bool:
        """Tell whether the liars of a zone are a quorum of it."""
        return len(self.anchors.get(zone, ())) >= self.scene.manifests[zone].committee.quorum

    # --- seeing ---------------------------------------------------------------------------------------

    def see(self, message: Message) -> None:
        """Learn from a message that a liar got, or overheard."""
        if self.learn(message.body):
            self.heard.append(message)

    def learn(self, body: object) -> bool:
        """Learn from what is said, or is going to be; tell whether there was anything to learn."""
        seeing = _SEEING.get(type(body))
        if seeing is not None:
            seeing(self, body)
        return seeing is not None

    def _see_vote(self, reply: Voted) -> None:
        self._keep_vote(reply.vote)

    def _see_leaving(self, reply: RoundVoted) -> None:
        ballot = reply.vote.vote.ballot
        if ballot.slot.group not in self.scene.manifests:
            return
        cast = self.leaving.setdefault((ballot.slot, ballot.round), {})
        cast[ballot.anchor] = reply.vote
        self._keep_proposal(ballot.slot, reply.proposal)
        self._leave(ballot.slot, ballot.round, cast)

    def _see_propose(self, ask: Propose) -> None:
        self._keep_slot(ask.slot)
        self._keep_proposal(ask.slot, ask.proposal)
        if ask.justification is not None:
            self._keep_lock(ask.justification)
        if ask.entry is not None:
            self.entries.setdefault(ask.slot, {})[ask.round] = ask.entry

    def _see_round(self, ask: AskRound) -> None:
        self._keep_slot(ask.slot)
        if ask.entry is not None:
            self.entries.setdefault(ask.slot, {})[ask.round] = ask.entry

    def _see_lock(self, show: ShowLock) -> None:
        self._keep_lock(show.certificate)
        self._keep_proposal(show.certificate.slot, show.proposal)

    def _see_commit(self, show: ShowCommit) -> None:
        slot = show.certificate.slot
        self._keep_proposal(slot, show.proposal)
        self.commits.setdefault(slot, []).append(show.certificate)
        proposal = self.proposals.get(show.certificate.value)
        if proposal is not None:
            done = Certified(transition=proposal.transition, certificate=show.certificate)
            self._keep_head(done)

    def _see_nack(self, nack: Nack) -> None:
        if nack.lock is not None:
            self._keep_lock(nack.lock)
            self._keep_proposal(nack.lock.slot, nack.proposal)

    def _see_head(self, head: Head) -> None:
        for known in (head.certified, head.opened, head.onward, head.refusal):
            if known is not None:
                self._keep_head(known)

    def _see_application(self, ask: AskVisa) -> None:
        self.applications[ask.terms.agent] = ask
        self._keep_head(ask.head)

    def _see_arrival(self, arrive: Arrive) -> None:
        self.arrivals.append(arrive)
        self._keep_head(arrive.departure)

    def _keep_slot(self, slot: Slot) -> None:
        if slot in self.slots:
            self.slots.remove(slot)
        self.slots.append(slot)

    def _keep_proposal(self, slot: Slot, proposal: Proposal | None) -> None:
        if proposal is None:
            return
        value = proposal.transition.digest
        if value not in self.proposals:
            self.proposals[value] = proposal
            self.values.setdefault(slot, []).append(value)

    def _keep_lock(self, lock: Certificate) -> None:
        known = self.locks.setdefault(lock.slot, [])
        if all((each.round, each.value) != (lock.round, lock.value) for each in known):
            known.append(lock)

    def _keep_head(self, head: Certified) -> None:
        known = self.heads.setdefault(head.record.agent_id, [])
        if all(each.certificate.value != head.certificate.value for each in known[-8:]):
            known.append(head)

    def _keep_vote(self, vote: Vote) -> None:
        ballot = vote.ballot
        if ballot.slot.group not in self.scene.manifests or ballot.phase is Phase.ROUND:
            return
        key = (ballot.slot, ballot.phase, ballot.round, ballot.value)
        cast = self._votes.setdefault(key, {})
        cast.setdefault(ballot.anchor, vote)
        if key not in self._made:
            self._certify(key, cast)

    # --- certificates -----------------------------------------------------------------------------------

    def _certify(self, key: VoteKey, cast: dict[int, Vote]) -> None:
        """Put a certificate together if the liars' own votes are all that is missing."""
        slot, phase, round, value = key
        committee = self.scene.manifests[slot.group].committee
        liars = [index for index in self.anchors.get(slot.group, {}) if index not in cast]
        missing = committee.quorum - len(cast)
        if missing > len(liars) or phase is Phase.VISA:
            return
        self._made.add(key)
        leaned = {vote.ballot.justification for vote in cast.values()} - {None}
        just = max(leaned, default=None, key=lambda named: named or b"")
        own = [self.vote(slot, round, phase, value, index, just) for index in liars[:missing]]
        votes = self.chance.sample([*cast.values(), *own], committee.quorum)
        made = certify(votes, committee)
        self.fresh.append(made)
        if phase is Phase.LOCK:
            self._keep_lock(made)
        else:
            self.commits.setdefault(slot, []).append(made)

    def certificate(self, slot: Slot, value: bytes, phase: Phase) -> Certificate:
        """Return what a captured zone's liars certify among themselves, in whatever round they like."""
        committee = self.scene.manifests[slot.group].committee
        signers = self.chance.sample(list(self.anchors[slot.group]), committee.quorum)
        round = self.chance.choice((0, 0, 1, 2))
        votes = [self.vote(slot, round, phase, value, index) for index in signers]
        return certify(votes, committee)

    def _leave(self, slot: Slot, round: int, cast: dict[int, RoundVote]) -> None:
        """Put the certificate together that a round was left, as soon as the liars' votes are all that is missing."""
        entries = self.entries.setdefault(slot, {})
        if round + 1 in entries:
            return
        committee = self.scene.manifests[slot.group].committee
        liars = [index for index in self.anchors.get(slot.group, {}) if index not in cast]
        missing = committee.quorum - len(cast)
        if missing > len(liars):
            return
        votes = dict(cast)
        for index in liars[: max(0, missing)]:
            votes[index] = self.leaving_vote(slot, round, index)
        chosen = sorted(self.chance.sample(sorted(votes), committee.quorum))
        shown = tuple(votes[index] for index in chosen)
        entries[round + 1] = RoundCertificate(slot=slot, round=round, votes=shown)

    # --- signing --------------------------------------------------------------------------------------

    def vote(
        self,
        slot: Slot,
        round: int,
        phase: Phase,
        value: bytes,
        index: int,
        justification: bytes | None = None,
    ) -> Vote:
        """Return a liar's vote for anything; count it if it contradicts one that was signed before."""
        ballot = Ballot(
            slot=slot,
            round=round,
            phase=phase,
            value=value,
            anchor=index,
            counter=self.chance.randrange(1, _COUNTERS),
            justification=justification if phase is Phase.LOCK else None,
        )
        said = self._signed.setdefault((slot, round, phase, index), value)
        if said != value and phase is not Phase.VISA:
            self.simulator.counts["liar: contradicted itself"] += 1
        vote = self.zone(slot).vote(ballot)
        self.simulator.history.cast.append(history.Cast(self.simulator.now_ms, vote, False))
        return vote

    def leaving_vote(
        self, slot: Slot, round: int, index: int, lock: Certificate | None = None
    ) -> RoundVote:
        """Return a liar's vote to leave a round, which hides whatever it is locked on, or tells of `lock`."""
        summary = LockSummary()
        if lock is not None and lock.round <= round:
            summary = LockSummary(round=lock.round, value=lock.value)
        vote = self.vote(slot, round, Phase.ROUND, digest_of(summary), index)
        return RoundVote(vote=vote, summary=summary)

    def zone(self, slot: Slot) -> ZoneScene:
        """Return the zone that a slot is decided in."""
        return self.scene.of(slot.group)

    # --- choosing -------------------------------------------------------------------------------------

    def a_slot(self, zone: bytes | None = None) -> Slot | None:
        """Return a slot that is being decided, of one zone or any: most often the newest."""
        known = [slot for slot in self.slots if zone in (None, slot.group)]
        if not known:
            return None
        return known[-1] if self.chance.random() < 0.7 else self.chance.choice(known)

    def a_proposal(self, slot: Slot) -> Proposal | None:
        """Return one of the proposals for a slot."""
        values = self.values.get(slot)
        return self.proposals[self.chance.choice(values)] if values else None

    def a_head(self, agent: bytes) -> Certified | None:
        """Return something that was decided about an agent, old or new."""
        known = self.heads.get(agent)
        return self.chance.choice(known) if known else None


_SEEING: Final[dict[type, Callable[[Cabal, Any], None]]] = {
    Voted: Cabal._see_vote,
    RoundVoted: Cabal._see_leaving,
    Propose: Cabal._see_propose,
    AskRound: Cabal._see_round,
    ShowLock: Cabal._see_lock,
    ShowCommit: Cabal._see_commit,
    Nack: Cabal._see_nack,
    Head: Cabal._see_head,
    AskVisa: Cabal._see_application,
    Arrive: Cabal._see_arrival,
}
