"""The engine: one slot, one value (protocol §3).

Each (agent, version) is one tiny consensus instance, driven by whoever proposes, with no leader in the good
case and no order between agents. Two phases: a quorum of lock votes makes a lock certificate, a quorum of
commit votes on that makes a commit certificate, and only the second decides.

Rules, numbered as in protocol §3:

2. A proposal is for the current round, or for a later one with the certificate that the round before it was
   left. There are no free jumps: they would let one liar exhaust the rounds (trap 26).
3. One lock vote a round. The same value again gets the same vote again; another gets a NACK.
4. An anchor that is locked votes for another value only on a lock certificate for it from a later round than
   its own lock and an earlier one than this.
5. From round 1 on, only the round's leader proposes.

These functions take an `OpenSlot` and give the next one. They check nothing about the value itself: that is
`validate`'s, before a lock vote. A NACK always carries the round and the highest lock (trap 25).
"""

import msgspec

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import ROUND_BASE_MS, ROUND_DOUBLINGS_MAX, ROUNDS_MAX
from sojourn.core.protocol.binding import rank
from sojourn.core.protocol.dossier import CastRound, CastVote, OpenSlot
from sojourn.core.protocol.messages import AskRound, Nack, Proposal, Propose
from sojourn.core.quorum.certificates import Certificate, LockSummary, RoundCertificate
from sojourn.core.quorum.committee import Committee
from sojourn.core.quorum.votes import Ballot, Phase, Slot
from sojourn.core.zone.manifest import ZoneManifest

__all__ = [
    "check_entry",
    "check_justification",
    "check_stuck",
    "commit_vote",
    "enter",
    "is_unlocked_for",
    "leader",
    "lock_vote",
    "may_lock",
    "nack",
    "remember",
    "round_timeout_ms",
    "round_vote",
]

UNCOUNTED = 0
"""The counter of a ballot that is not signed yet; the shell gives it the next one."""


def leader(slot: Slot, round: int, manifest: ZoneManifest) -> int:
    """Return the index of the anchor that proposes in a round >= 1: in turn, from the slot's rendezvous order.

    In turn, so that of any f+1 rounds that follow each other a correct anchor leads one (protocol §3 rule 5).
    """
    keys = [anchor.identity for anchor in manifest.anchors]
    order = rank(digest_of(slot), keys)
    return keys.index(order[(round - 1) % len(order)])


def round_timeout_ms(round: int) -> int:
    """Return how long an anchor stays in a round before it votes to leave it: T0 * 2^round, bounded."""
    return ROUND_BASE_MS << min(round, ROUND_DOUBLINGS_MAX)


def nack(state: OpenSlot) -> Nack:
    """Return the refusal to vote that hides nothing: a leader that has seen no proposal learns of one here."""
    return Nack(round=state.round, lock=state.lock, proposal=_shown(state))


def _shown(state: OpenSlot) -> Proposal | None:
    """Return the value behind the lock held here, or else the newest that is pending."""
    if state.lock is not None:
        return state.proposal_of(state.lock.value)
    return next(reversed(state.proposals), None)


def check_entry(
    slot: Slot, round: int, entry: RoundCertificate | None, committee: Committee
) -> None:
    """Raise `Rejected` unless `entry` proves that the round before `round` was left (rule 2)."""
    if round > ROUNDS_MAX:
        raise Rejected(f"round {round} is beyond {ROUNDS_MAX}", reason="bad-round", where="round")
    if entry is None or (entry.slot, entry.round) != (slot, round - 1):
        problem = f"round {round} may be entered only with the certificate that round {round - 1} was left"
        raise Rejected(problem, reason="bad-round", where="entry")
    entry.check(committee, where="entry")


def check_justification(ask: Propose, committee: Committee) -> None:
    """Raise `Rejected` unless a justification is a lock certificate for this value, from an earlier round."""
    lock = ask.justification
    if lock is None:
        return
    expected = (ask.slot, Phase.LOCK, ask.proposal.transition.digest)
    if (lock.slot, lock.phase, lock.value) != expected or lock.round >= ask.round:
        problem = "the justification is no earlier lock on this value"
        raise Rejected(problem, reason="bad-justification", where="justification")
    lock.check(Phase.LOCK, committee, where="justification")


def check_stuck(ask: AskRound, committee: Committee) -> None:
    """Raise `Rejected` unless a correct anchor is in this round of this slot.

    That the round before was left says so, or f+1 votes to leave this one: so nobody else can have slots opened.
    """
    if ask.round > 0:
        check_entry(ask.slot, ask.round, ask.entry, committee)
        return
    anchors = {item.vote.ballot.anchor for item in ask.votes}
    if len(anchors) < committee.honest_witness:
        problem = "that slot is not open here, and no correct anchor is known to be stuck in it"
        raise Rejected(problem, reason="not-open", where="votes")
    for index, item in enumerate(ask.votes):
        where = f"votes[{index}]"
        if (item.vote.ballot.slot, item.vote.ballot.round) != (ask.slot, ask.round):
            raise Rejected("a vote of another slot or round", reason="wrong-slot", where=where)
        item.check(committee, where=where)


def enter(
    state: OpenSlot, round: int, now_ms: int, entry: RoundCertificate | None = None
) -> OpenSlot:
    """Return the slot in `round`; nothing changes unless it is later than the current one."""
    if round <= state.round:
        return state
    return msgspec.structs.replace(
        state,
        round=round,
        entered_ms=now_ms,
        lock_voted=None,
        lock_justification=None,
        commit_voted=None,
        round_voted=None,
        entry=entry,
        proposals=_carried(state),
    )


def _carried(state: OpenSlot) -> tuple[Proposal, ...]:
    """Return the proposals to take into a new round: the locked one, or else the newest (any may be proposed)."""
    if state.lock is None:
        return state.proposals[-2:]
    locked = state.proposal_of(state.lock.value)
    return (locked,) if locked else ()


def remember(state: OpenSlot, proposal: Proposal) -> OpenSlot:
    """Return the slot with `proposal` as the newest of its proposals, and none dropped that a vote rests on.

    A valid proposal that gets no vote may be proposed by a later leader: the value voted for may be too old by
    then for anchors that never saw it. Evidence that was judged here is not replaced by another copy's.
    """
    if not state.proposals:
        return msgspec.structs.replace(state, proposals=(proposal,))
    value = proposal.transition.digest
    needed = {state.lock_voted, state.lock.value if state.lock else None}
    others = [p for p in state.proposals if p.transition.digest != value]
    pending = [p for p in others if p.transition.digest not in needed][-1:]
    kept = [p for p in others if p.transition.digest in needed or p in pending]
    newest = state.proposal_of(value) or proposal
    return msgspec.structs.replace(state, proposals=(*kept, newest))


def is_unlocked_for(state: OpenSlot, ask: Propose) -> bool:
    """Tell whether rule 4 lets this anchor lock-vote for the proposed value."""
    if state.lock is None or state.lock.value == ask.proposal.transition.digest:
        return True
    return ask.justification is not None and ask.justification.round > state.lock.round


def may_lock(state: OpenSlot, ask: Propose) -> bool:
    """Tell whether rules 3 and 4 let this anchor lock-vote for the proposed value in its current round."""
    if state.lock_voted is not None:
        return state.lock_voted == ask.proposal.transition.digest
    return is_unlocked_for(state, ask)


def lock_vote(state: OpenSlot, ask: Propose, anchor: int) -> tuple[OpenSlot, CastVote]:
    """Return the slot after a proposal for its current round that it `may_lock`, and the lock vote.

    The caller has checked entry, justification, proposer and value, and entered the round.
    """
    value = ask.proposal.transition.digest
    assert state.slot == ask.slot and state.round == ask.round and may_lock(state, ask)
    if state.lock_voted is None:
        withheld = ask.proposal.transition.kind is TransitionKind.BIND
        state = msgspec.structs.replace(
            remember(state, ask.proposal),
            lock_voted=value,
            lock_justification=_leaned_on(state, ask),
            lease_withheld=state.lease_withheld or withheld,
        )
    ballot = Ballot(
        slot=state.slot,
        round=state.round,
        phase=Phase.LOCK,
        value=value,
        justification=state.lock_justification,
        anchor=anchor,
        counter=UNCOUNTED,
    )
    return state, CastVote(ballot)


def _leaned_on(state: OpenSlot, ask: Propose) -> bytes | None:
    """Return the digest of the highest lock for the proposed value, shown or held, if there is one.

    Held ones count: without a justification, a vote for the value of one's own lock looks like fraud to whoever
    knows of a commit vote for another value before that lock (protocol §11).
    """
    value = ask.proposal.transition.digest
    locks = [lock for lock in (ask.justification, state.lock) if lock and lock.value == value]
    return digest_of(max(locks, key=lambda lock: lock.round)) if locks else None


def commit_vote(
    state: OpenSlot, lock: Certificate, proposal: Proposal, anchor: int, now_ms: int
) -> tuple[OpenSlot, CastVote | Nack]:
    """Return the slot after a checked lock certificate, and a commit vote, or a NACK for an old round.

    A vote for a round already left would let two rounds decide (trap 4). `proposal` is the locked value's: who
    is locked holds the value, or it could be locked where nobody knows it.
    """
    assert lock.slot == state.slot and lock.phase is Phase.LOCK
    assert lock.value == proposal.transition.digest
    if lock.round < state.round:
        return state, nack(state)
    state = enter(state, lock.round, now_ms)
    if state.commit_voted not in (None, lock.value):
        return state, nack(state)
    ballot = Ballot(
        slot=state.slot,
        round=lock.round,
        phase=Phase.COMMIT,
        value=lock.value,
        anchor=anchor,
        counter=UNCOUNTED,
    )
    if state.commit_voted is None:
        state = msgspec.structs.replace(state, lock=lock, commit_voted=lock.value)
        state = remember(state, proposal)
    return state, CastVote(ballot)


def round_vote(
    state: OpenSlot, anchor: int, now_ms: int, stays_ms: int
) -> tuple[OpenSlot, CastRound | Nack]:
    """Return a vote to leave the current round once its time is up, carrying the lock held here.

    `stays_ms` is how long this anchor stays in it: `round_timeout_ms`, or less (`waiting.stays_ms`).
    Asked again it says the same again, whatever was locked since: two votes that differ would be fraud.
    """
    waited_ms = now_ms - state.entered_ms
    if 0 <= waited_ms < stays_ms:  # below 0: entered before a reboot
        return state, nack(state)
    lock = state.lock
    held = LockSummary(round=lock.round, value=lock.value) if lock else LockSummary()
    summary = state.round_voted or held
    ballot = Ballot(
        slot=state.slot,
        round=state.round,
        phase=Phase.ROUND,
        value=digest_of(summary),
        anchor=anchor,
        counter=UNCOUNTED,
    )
    cast = CastRound(ballot=ballot, summary=summary, lock=lock, proposal=_shown(state))
    return msgspec.structs.replace(state, round_voted=summary), cast
