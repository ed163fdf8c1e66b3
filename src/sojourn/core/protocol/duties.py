"""Duties: what an anchor must see to by itself when nobody else does (protocol §3, §5, §6).

Every anchor that holds a vote, a departure or an expired lease without an outcome acts after a delay that
grows with its rank, so that nothing depends on a host or a client surviving, and anchors do not all act at
once. A duty is a time and a task; an agent without duties costs no timer.
"""

from enum import StrEnum

import msgspec

from sojourn.core.agent.eligibility import Eligibility, Status
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.limits import ARRIVAL_PATIENCE_MS, RANK_STEP_MS
from sojourn.core.protocol import decree
from sojourn.core.protocol.binding import LeaseBook, rank
from sojourn.core.protocol.dossier import Dossier, View
from sojourn.core.protocol.waiting import is_due, stays_ms

__all__ = [
    "Duty",
    "Task",
    "duties_of",
    "has_live_host",
    "is_overdue",
    "lead_again_ms",
    "may_owe_more",
]


class Task(StrEnum):
    """What an anchor does by itself."""

    LEAD = "lead"
    """Propose in a round that this anchor leads."""
    LEAVE_ROUND = "leave-round"
    """Ask all anchors to leave a round that brought no decision."""
    PRESS = "press"
    """Show a departure to its target, and bring home what the target decided."""
    OFFER = "offer"
    """Offer an arrival to the other hosts: the one that its visa names has not admitted it."""
    REFUSE = "refuse"
    """Refuse an arrival whose deadline has passed."""
    REBIND = "rebind"
    """Offer an agent without a live host to the hosts of the zone."""
    OBEY = "obey"
    """Propose what an agent's officers published, an order or a document, and nobody has carried out."""


class Duty(msgspec.Struct, frozen=True, order=True):
    """A task that is due at `due_ms` on the boot clock."""

    due_ms: int
    task: Task


def duties_of(dossier: Dossier, view: View) -> list[Duty]:
    """Return everything this anchor must see to for one agent, earliest first."""
    place = _place(dossier, view)
    found = [*_slot_duties(dossier, view, place), *_custody_duties(dossier, view, place)]
    return sorted(found)


def lead_again_ms(round: int) -> int:
    """Return after how long a leader that brought no decision proposes again in its round.

    Those who refused for now, for a lease that has yet to run out, may vote for the same value by and by.
    """
    return decree.round_timeout_ms(round) // 8


def is_overdue(dossier: Dossier, task: Task, leases: LeaseBook, boot_ms: int) -> bool:
    """Tell whether a task whose time is counted from now each time, and so never comes, is due."""
    is_idle = task is Task.REBIND and not has_live_host(dossier, leases, boot_ms)
    return task in (Task.PRESS, Task.OBEY) or is_idle


def has_live_host(dossier: Dossier, leases: LeaseBook, boot_ms: int) -> bool:
    """Tell whether an agent's bound host may still be acting, or there is no agent to act for."""
    if dossier.head is None:
        return True
    custody = dossier.head.record.custody
    return custody.host is not None and leases.until_ms(dossier.agent, custody.fence) > boot_ms


def may_owe_more(before: Dossier, after: Dossier) -> bool:
    """Tell whether a ruling may have made something due that is not planned: most only go on in a slot."""
    was, now = before.open, after.open
    if now is not None and (was is None or (was.slot, was.round) != (now.slot, now.round)):
        return True
    if (before.arrival, before.onward) != (after.arrival, after.onward):
        return True
    if (
        before.proved and not after.proved
    ):  # an amendment was missed: its seals are asked of the others
        return True
    if before.head is after.head or after.head is None:
        return False
    if before.head is None:
        return True
    old, new = before.head.record, after.head.record
    was_so = (old.custody, old.eligibility, old.governance)
    return was_so != (new.custody, new.eligibility, new.governance)


def _place(dossier: Dossier, view: View) -> int:
    """Return this anchor's rank for the agent's present slot."""
    slot = dossier.head.certificate.slot if dossier.head else None
    context = dossier.agent + (digest_of(slot) if slot else b"")
    keys = [anchor.identity for anchor in view.manifest.anchors]
    return rank(context, keys).index(keys[view.index])


def _slot_duties(dossier: Dossier, view: View, place: int) -> list[Duty]:
    state = dossier.open
    if state is None:
        return []
    found = []
    leads = state.round > 0 and decree.leader(state.slot, state.round, view.manifest) == view.index
    entered_ms = _since(state.entered_ms, view)
    if leads and state.entry is not None:
        found.append(Duty(entered_ms, Task.LEAD))
    wait_ms = stays_ms(state, dossier, view) + place * RANK_STEP_MS
    found.append(Duty(entered_ms + wait_ms, Task.LEAVE_ROUND))
    return found


def _since(entered_ms: int, view: View) -> int:
    """Return a time on this boot's clock for one that may be of an earlier boot's: then at once."""
    return entered_ms if entered_ms <= view.boot_ms else 0


def _custody_duties(dossier: Dossier, view: View, place: int) -> list[Duty]:
    found = []
    if dossier.arrival is not None:
        seen_ms = dossier.arrival.seen_at(view.boot)
        patience_ms = ARRIVAL_PATIENCE_MS + place * RANK_STEP_MS
        found.append(Duty(seen_ms + patience_ms, Task.OFFER))
        waited_for = dossier.arrival.arrive.visa.terms.deadline_ms + place * RANK_STEP_MS
        found.append(Duty(seen_ms + waited_for, Task.REFUSE))
    head = dossier.head
    if head is None or head.record.custody.zone != view.zone:
        return found
    record = head.record
    if record.eligibility.status is Status.DEPARTED:
        if dossier.onward is None:
            found.append(Duty(view.boot_ms + RANK_STEP_MS * (1 + place), Task.PRESS))
    elif _wants_host(record.eligibility):
        found.append(Duty(_unhosted_ms(record, view, place), Task.REBIND))
    if is_due(dossier, view):
        found.append(Duty(view.boot_ms + place * RANK_STEP_MS, Task.OBEY))
    return found


def _wants_host(eligibility: Eligibility) -> bool:
    """Tell whether an agent needs a host now or at a known time: it is active, or will wake by a timer."""
    if not eligibility.is_acting:
        return False
    wakes_by_time = any(wake.at_ms is not None for wake in eligibility.wake)
    return eligibility.status is Status.ACTIVE or wakes_by_time


def _unhosted_ms(record: AgentRecord, view: View, place: int) -> int:
    """Return when an agent may be without a live host: at once if unbound, else when the lease ends."""
    if record.custody.host is None:
        due = view.boot_ms + place * RANK_STEP_MS
    else:
        lease_ends = view.leases.until_ms(record.agent_id, record.custody.fence)
        due = max(lease_ends, view.boot_ms) + 1 + place * RANK_STEP_MS
    wakes = [wake.at_ms for wake in record.eligibility.wake if wake.at_ms is not None]
    if record.eligibility.status is Status.DORMANT and wakes:
        due = max(due, view.boot_ms + max(0, min(wakes) - view.now_ms))
    return due
