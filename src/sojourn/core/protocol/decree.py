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

from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import ROUND_BASE_MS, ROUND_DOUBLINGS_MAX, ROUNDS_MAX
from sojourn.core.protocol.binding import rank
from sojourn.core.protocol.dossier import CastRound, CastVote, OpenSlot
from sojourn.core.protocol.messages import Nack, Proposal, Propose
from sojourn.core.quorum.certificates import Certificate, LockSummary, RoundCertificate
from sojourn.core.quorum.committee import Committee
from sojourn.core.quorum.votes import Ballot, Phase, Slot
from sojourn.core.zone.manifest import ZoneManifest

__all__ = [
    "check_entry",
    "check_justification",
    "commit_vote",
    "enter",
    "is_unlocked_for",
    "leader",
    "lock_vote",
    "nack",
    "round_timeout_ms",
    "round_vote",
]

UNCOUNTED = 0
"""The counter of a ballot that is not signed yet; the shell gives it the next one."""


def leader(slot: Slot, round: int, manifest: ZoneManifest) -> int:
    """Return the index of the anchor that proposes in a round >= 1: rendezvous rank over the anchors."""
    context = digest_of(slot) + round.to_bytes(8, "big")
    keys = [anchor.identity for anchor in manifest.anchors]
    return keys.index(rank(context, keys)[0])


def round_timeout_ms(round: int) -> int:
    """Return how long an anchor stays in a round before it votes to leave it: T0 * 2^round, bounded."""
    return ROUND_BASE_MS << min(round, ROUND_DOUBLINGS_MAX)


def nack(state: OpenSlot) -> Nack:
    """Return the refusal to vote that hides nothing."""
    lock = state.lock
    proposal = state.proposal_of(lock.value) if lock else None
    return Nack(round=state.round, lock=lock, proposal=proposal)


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
        commit_voted=None,
        entry=entry,
        proposals=_kept(state),
    )


def _kept(state: OpenSlot) -> tuple[Proposal, ...]:
    """Return the proposals a new round must remember: the locked one, or else all (any may be proposed)."""
    if state.lock is None:
        return state.proposals[-2:]
    locked = state.proposal_of(state.lock.value)
    return (locked,) if locked else ()


def _remembering(state: OpenSlot, proposal: Proposal) -> OpenSlot:
    """Return the slot with a valid proposal that got no vote as the newest one pending.

    A later leader may propose it: the value voted for may be too old by then for anchors that never saw it.
    """
    value = proposal.transition.digest
    needed = {state.lock_voted, state.lock.value if state.lock else None}
    kept = tuple(p for p in state.proposals if p.transition.digest in needed - {value})
    return msgspec.structs.replace(state, proposals=(*kept, proposal))


def is_unlocked_for(state: OpenSlot, ask: Propose) -> bool:
    """Tell whether rule 4 lets this anchor lock-vote for the proposed value."""
    if state.lock is None or state.lock.value == ask.proposal.transition.digest:
        return True
    return ask.justification is not None and ask.justification.round > state.lock.round


def lock_vote(state: OpenSlot, ask: Propose, anchor: int) -> tuple[OpenSlot, CastVote | Nack]:
    """Return the slot after a valid proposal for its current round, and a lock vote or a NACK.

    The caller has checked entry, justification, proposer and value, and entered the round.
    """
    value = ask.proposal.transition.digest
    assert state.slot == ask.slot and state.round == ask.round
    if state.lock_voted not in (None, value) or not is_unlocked_for(state, ask):
        return _remembering(state, ask.proposal), nack(state)
    ballot = Ballot(
        slot=state.slot,
        round=state.round,
        phase=Phase.LOCK,
        value=value,
        justification=digest_of(ask.justification) if ask.justification else None,
        anchor=anchor,
        counter=UNCOUNTED,
    )
    kept = tuple(p for p in _kept(state) if p.transition.digest != value)
    voted = msgspec.structs.replace(state, lock_voted=value, proposals=(*kept, ask.proposal))
    return voted, CastVote(ballot)


def commit_vote(
    state: OpenSlot, lock: Certificate, anchor: int, now_ms: int
) -> tuple[OpenSlot, CastVote | Nack]:
    """Return the slot after a checked lock certificate, and a commit vote, or a NACK for an old round.

    A vote for a round already left would let two rounds decide (trap 4).
    """
    assert lock.slot == state.slot and lock.phase is Phase.LOCK
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
    return msgspec.structs.replace(state, lock=lock, commit_voted=lock.value), CastVote(ballot)


def round_vote(state: OpenSlot, anchor: int, now_ms: int) -> CastRound | Nack:
    """Return a vote to leave the current round once its time is up, carrying the lock held here."""
    if now_ms - state.entered_ms < round_timeout_ms(state.round):
        return nack(state)
    lock = state.lock
    summary = LockSummary(round=lock.round, value=lock.value) if lock else LockSummary()
    ballot = Ballot(
        slot=state.slot,
        round=state.round,
        phase=Phase.ROUND,
        value=digest_of(summary),
        anchor=anchor,
        counter=UNCOUNTED,
    )
    pending = state.proposal_of(lock.value) if lock else next(reversed(state.proposals), None)
    return CastRound(ballot=ballot, summary=summary, lock=lock, proposal=pending)
