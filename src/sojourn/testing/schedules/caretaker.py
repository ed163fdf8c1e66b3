"""An anchor's duties: which are due, when, and how they are seen to (protocol §3, §5, §6).

What is due comes from `duties_of`; what is asked and proposed, from the same machines as in production.
"""

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from sojourn.core.agent.budgets import charged
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import PRESS_EVERY_MS, PRESS_EVERY_MS_MAX
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.admission import returned
from sojourn.core.protocol.applying import is_behind
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.duties import (
    Duty,
    Task,
    duties_of,
    has_live_host,
    is_overdue,
    lead_again_ms,
    may_owe_more,
)
from sojourn.core.protocol.exchange import AskPast, Past, Work, WorkItem
from sojourn.core.protocol.messages import (
    Arrive,
    AskHead,
    AskRound,
    Declined,
    Evidence,
    Head,
    Proposal,
)
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.rounds import Leading, RoundChange
from sojourn.core.protocol.validate import slot_for
from sojourn.core.protocol.waiting import carrying_next
from sojourn.core.protocol.whereabouts import decided_on, newer_head, onward_of
from sojourn.testing.schedules.asking import Asking, Deciding, as_reply
from sojourn.testing.schedules.scene import seal

if TYPE_CHECKING:
    from sojourn.testing.schedules.anchor import AnchorNode

__all__ = ["Caretaker"]

_AGAIN_MS: Final = 200
_CATCH_UP_MS: Final = 300


class Caretaker:
    """The duties of one anchor."""

    def __init__(self, anchor: "AnchorNode") -> None:
        """Owe nothing yet."""
        self._anchor = anchor
        self._planned: dict[tuple[bytes, Task], int] = {}
        self._pressed: dict[bytes, int] = {}
        self._busy: set[tuple[bytes, Task]] = set()
        self._behind: set[bytes] = set()
        self._leading = Leading()

    # --- when -----------------------------------------------------------------------------------------

    def note(self, before: Dossier, after: Dossier) -> None:
        """Plan what a ruling has made due."""
        if before.open is not None and after.open is None:
            self._leading.forget(after.agent)
        if may_owe_more(before, after):
            self.plan(after)

    def plan(self, dossier: Dossier) -> None:
        """Note what one agent's dossier makes due, and begin to catch up if it is behind."""
        if is_behind(dossier) and dossier.agent not in self._behind:
            self._behind.add(dossier.agent)
            self._anchor.after(_CATCH_UP_MS, lambda: self._catch_up(dossier.agent, _CATCH_UP_MS))
        for duty in duties_of(dossier, self._anchor.view()):
            self._plan(dossier.agent, duty)

    def _plan(self, agent: bytes, duty: Duty) -> None:
        key = (agent, duty.task)
        if self._planned.get(key, duty.due_ms + 1) <= duty.due_ms:
            return
        self._planned[key] = duty.due_ms
        self._anchor.when_boot(duty.due_ms, lambda: self._due(agent, duty))

    def _due(self, agent: bytes, duty: Duty) -> None:
        key = (agent, duty.task)
        if self._planned.get(key) != duty.due_ms:
            return
        del self._planned[key]
        if key in self._busy:
            return
        dossier = self._anchor.dossier(agent)
        due = {each.task: each.due_ms for each in duties_of(dossier, self._anchor.view())}
        if duty.task not in due:
            return
        is_early = due[duty.task] > self._anchor.boot_ms()
        if is_early and not is_overdue(
            dossier, duty.task, self._anchor.leases, self._anchor.boot_ms()
        ):
            self._plan(agent, Duty(due[duty.task], duty.task))
            return
        self._anchor.simulator.counts[f"duty: {duty.task}"] += 1
        self._busy.add(key)
        self._perform(dossier, duty.task)

    def _done(self, agent: bytes, task: Task, again_ms: float = _AGAIN_MS) -> None:
        """End a task, and plan what is due now, but not at once."""
        self._busy.discard((agent, task))
        not_before = self._anchor.boot_ms() + int(again_ms)
        for duty in duties_of(self._anchor.dossier(agent), self._anchor.view()):
            self._plan(agent, Duty(max(duty.due_ms, not_before), duty.task))

    def _perform(self, dossier: Dossier, task: Task) -> None:
        match task:
            case Task.LEAVE_ROUND:
                self._leave_round(dossier)
            case Task.LEAD:
                self._lead(dossier)
            case Task.PRESS:
                self._press(dossier)
            case Task.OFFER:
                self.offer_arrival(dossier, to_all=True)
                self._done(dossier.agent, task, self._anchor.manifest.lease_ms)
            case Task.REFUSE:
                self._refuse(dossier)
            case Task.REBIND:
                self._rebind(dossier)
            case Task.OBEY:
                self._obey(dossier)

    # --- a slot that is stuck -------------------------------------------------------------------------

    def _leave_round(self, dossier: Dossier) -> None:
        """Ask all to leave the round; with their certificate they, and this anchor, enter the next."""
        state, anchor, agent = dossier.open, self._anchor, dossier.agent
        if state is None:
            self._done(agent, Task.LEAVE_ROUND)
            return
        committee = anchor.manifest.committee
        change = RoundChange(state.slot, state.round, committee)
        ask = AskRound(slot=state.slot, round=state.round, entry=state.entry)
        is_woken = False

        def heard(index: int, body: object) -> bool:
            nonlocal is_woken
            change.heard(index, as_reply(body))
            if change.decided is not None or change.certificate is not None:
                return True
            if len(change.votes) >= committee.honest_witness and not is_woken:
                is_woken = True  # who has seen nothing of the slot opens it on the word of f+1
                anchor.after(20, wake)
            return False

        def wake() -> None:
            if not asking.is_over:
                asking.ask(replace(ask, votes=change.votes))

        def done() -> None:
            self._left(change, ask)
            self._done(agent, Task.LEAVE_ROUND)

        asking = Asking(anchor, anchor.peers, heard, done)
        asking.ask(ask)

    def _left(self, change: RoundChange, ask: AskRound) -> None:
        """Take over a decision that showed; or have everybody enter the next round."""
        if change.decided is not None:
            self._anchor.adopt(change.decided)
        elif change.certificate is not None:
            entered = AskRound(slot=ask.slot, round=ask.round + 1, entry=change.certificate)
            for peer in self._anchor.peers:
                self._anchor.say(peer, entered)

    def _lead(self, dossier: Dossier) -> None:
        """Propose in the round this anchor leads: the highest lock's value, or else a pending one."""
        state, anchor, agent = dossier.open, self._anchor, dossier.agent
        if state is None or state.entry is None:
            self._done(agent, Task.LEAD)
            return
        change = RoundChange(state.slot, state.round, anchor.manifest.committee)
        answered: set[int] = set()

        def heard(index: int, body: object) -> bool:
            change.heard(index, as_reply(body))
            if not isinstance(body, Declined):
                answered.add(index)
            enough = len(answered) >= anchor.manifest.committee.quorum
            return change.decided is not None or enough

        def done() -> None:
            if change.decided is not None:
                anchor.adopt(change.decided)
                self._done(agent, Task.LEAD)
                return
            change.remember(state.proposals)
            change.recall(self._leading.shown(state.slot))
            try:
                choice = change.choice(self._leading.said(state, anchor.wall_ms()))
            except Rejected:
                self._done(agent, Task.LEAD)
                return
            self._leading.note(state, choice)
            self._leading.note_lock(change.shown)
            proposer = Proposer(
                choice,
                state.slot,
                anchor.manifest,
                parent=dossier.head,
                application=dossier.application,
                round=state.round,
                entry=state.entry,
                justification=change.lock,
            )
            self._decide(agent, Task.LEAD, proposer)

        asking = Asking(anchor, anchor.peers, heard, done)
        asking.ask(AskRound(slot=state.slot, round=state.round, entry=state.entry))

    def _decide(self, agent: bytes, task: Task, proposer: Proposer) -> None:
        anchor = self._anchor

        def done(ended: Proposer) -> None:
            if ended.decided is not None:
                anchor.adopt(ended.decided)
            self._leading.note_lock(ended.shown)
            state = anchor.dossier(agent).open if task is Task.LEAD else None
            self._done(agent, task, lead_again_ms(state.round) if state else _AGAIN_MS)

        Deciding(anchor, anchor.peers, proposer, anchor.library.of, done)

    # --- a departure, an arrival ----------------------------------------------------------------------

    def _press(self, dossier: Dossier) -> None:
        """Show a departure to its target until the target has decided; then take the answer home."""
        anchor, head, agent = self._anchor, dossier.head, dossier.agent
        if head is None or head.record.migration is None:
            self._done(agent, Task.PRESS)
            return
        target = anchor.everybody[head.record.migration.to_zone]
        proved: list[Certified] = []

        def heard(_index: int, body: object) -> bool:
            if isinstance(body, Head):
                proved.extend(decided_on(head, body, anchor.scene.manifests))
            return bool(proved)

        def done() -> None:
            if proved:
                self._pressed.pop(agent, None)
                if proved[0].transition.kind is TransitionKind.ADMIT:
                    anchor.note_onward(agent, proved[0])
                    self._done(agent, Task.PRESS)
                else:
                    self._return(head, proved[0])
                return
            tries = self._pressed.get(agent, 0)
            self._pressed[agent] = tries + 1
            if tries > 0:
                self._hear_others(head)
            self._done(agent, Task.PRESS, min(PRESS_EVERY_MS << min(tries, 8), PRESS_EVERY_MS_MAX))

        visa = dossier.visa
        ask = Arrive(departure=head, visa=visa) if visa else AskHead(agent=agent)
        Asking(anchor, target, heard, done, within_ms=500).ask(ask)

    def _return(self, gone: Certified, refusal: Certified) -> None:
        record = returned(gone.record, gone.certificate.slot)
        transition = self._transition(TransitionKind.RETURN, gone, record)
        evidence = Evidence(refusal=refusal)
        self._propose(Task.PRESS, transition, gone, evidence, shown=gone)

    def _refuse(self, dossier: Dossier) -> None:
        if dossier.arrival is None:
            self._done(dossier.agent, Task.REFUSE)
            return
        departure = dossier.arrival.arrive.departure
        transition = self._transition(TransitionKind.REFUSE, departure, departure.record)
        evidence = Evidence(departure=departure)
        self._propose(Task.REFUSE, transition, departure, evidence, shown=None)

    def _transition(
        self, kind: TransitionKind, parent: Certified, record: AgentRecord
    ) -> Transition:
        at_ms = self._anchor.wall_ms()
        if kind is not TransitionKind.REFUSE:
            record = charged(kind, parent.record, record, at_ms)
        return Transition(
            kind=kind,
            parent=parent.record.digest,
            record=record,
            author=self._anchor.identity.public,
            at_ms=at_ms,
        )

    def _propose(
        self,
        task: Task,
        transition: Transition,
        parent: Certified,
        evidence: Evidence,
        *,
        shown: Certified | None,
    ) -> None:
        anchor = self._anchor
        sealed = seal(anchor.identity, Kind.TRANSITION, Role.ANCHOR, transition.digest)
        proposal = Proposal(transition=transition, seals=(sealed,), evidence=evidence)
        anchor.simulator.history.proposals[transition.digest] = proposal
        slot = slot_for(parent, transition, anchor.manifest)
        proposer = Proposer(proposal, slot, anchor.manifest, parent=shown)
        self._decide(parent.record.agent_id, task, proposer)

    def offer_arrival(self, dossier: Dossier, *, to_all: bool) -> None:
        """Tell hosts of an arrival: the one that its visa names, or all."""
        if dossier.arrival is None:
            return
        item = WorkItem(arrive=dossier.arrival.arrive, application=dossier.application)
        named = dossier.arrival.arrive.visa.terms.host
        self._offer(item, None if to_all else named)

    # --- what officers published ----------------------------------------------------------------------

    def _obey(self, dossier: Dossier) -> None:
        """Propose what officers published and what comes next, as whoever carries it."""
        anchor, head = self._anchor, dossier.head
        proposal = carrying_next(dossier, anchor.view(), anchor.identity)
        if proposal is None:
            self._done(dossier.agent, Task.OBEY)
            return
        anchor.simulator.history.proposals[proposal.transition.digest] = proposal
        slot = slot_for(head, proposal.transition, anchor.manifest)
        proposer = Proposer(proposal, slot, anchor.manifest, parent=head)
        self._decide(dossier.agent, Task.OBEY, proposer)

    # --- a dead host ----------------------------------------------------------------------------------

    def _rebind(self, dossier: Dossier) -> None:
        """Offer an agent without a live host to every host; and ask whether others know more."""
        agent = dossier.agent
        leases, boot_ms = self._anchor.leases, self._anchor.boot_ms()
        if dossier.head is not None and not has_live_host(dossier, leases, boot_ms):
            self.offer_head(dossier.head)
            self._hear_others(dossier.head)
        self._done(agent, Task.REBIND, self._anchor.manifest.lease_ms)

    def offer_head(self, head: Certified) -> None:
        """Tell hosts of an agent: all that may bind it."""
        self._offer(WorkItem(head=head), None)

    def _offer(self, item: WorkItem, only: bytes | None) -> None:
        anchor = self._anchor
        for host in anchor.hosts:
            if only is None or host.identity.public == only:  # type: ignore[attr-defined]
                anchor.say(host, Work(items=(item,)))

    def work_for(self, host: bytes) -> tuple[WorkItem, ...]:
        """Return what a host should see to: agents that are bound to it or to nobody, and arrivals for it."""
        anchor, found = self._anchor, []
        for dossier in anchor.content.dossiers.values():
            head, arrival = dossier.head, dossier.arrival
            is_here = head is not None and head.record.custody.zone == anchor.zone.zone
            if head is not None and is_here and head.record.custody.host in (host, None):
                found.append(WorkItem(head=head))
            if arrival is not None and arrival.arrive.visa.terms.host == host:
                found.append(WorkItem(arrive=arrival.arrive, application=dossier.application))
        return tuple(found)

    # --- decisions that were missed -------------------------------------------------------------------

    def _hear_others(self, head: Certified) -> None:
        """Take over what a quorum of this zone's anchors knows beyond our head: a newer one, or where it went."""
        anchor, newest = self._anchor, head
        onward: list[Certified] = []
        answered: set[int] = set()

        def heard(index: int, body: object) -> bool:
            nonlocal newest
            answered.add(index)
            if isinstance(body, Head):
                onward.extend(onward_of(head, body, anchor.scene.manifests))
                newest = newer_head(newest, body, anchor.scene.manifests)
            return len(answered) >= anchor.manifest.committee.quorum

        def done() -> None:
            if newest is not head:
                anchor.adopt(newest)
            elif onward:
                anchor.note_onward(head.record.agent_id, onward[0])

        Asking(anchor, anchor.peers, heard, done, within_ms=500).ask(
            AskHead(agent=head.record.agent_id)
        )

    def _catch_up(self, agent: bytes, pause_ms: float) -> None:
        """Ask the others for the past of an agent until nothing of it is lacking."""
        anchor = self._anchor
        dossier = anchor.dossier(agent)
        if not is_behind(dossier):
            self._behind.discard(agent)
            return

        def heard(_index: int, body: object) -> bool:
            if isinstance(body, Past) and body.chapters:
                anchor.note_past(agent, body)
            return not is_behind(anchor.dossier(agent))

        def done() -> None:
            again_ms = min(2 * pause_ms, 5_000)
            anchor.after(again_ms, lambda: self._catch_up(agent, again_ms))

        Asking(anchor, anchor.peers, heard, done, within_ms=500).ask(AskPast(agent=agent))
