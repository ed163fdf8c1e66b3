"""The caretaker: does what an anchor owes when nobody else acts (protocol §3, §5, §6).

One timer for all agents: a heap of what is due. An agent without duties is not in it.
"""

import asyncio
import heapq
from typing import TYPE_CHECKING, Final

import structlog

from sojourn.anchor.catching_up import CatchingUp
from sojourn.anchor.pace import Pace
from sojourn.anchor.reapplying import apply_again
from sojourn.core.agent.budgets import charged
from sojourn.core.agent.memory.blocks import MissingBlock
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.errors import SojournError, StoreFailed
from sojourn.core.base.limits import PRESS_EVERY_MS, PRESS_EVERY_MS_MAX
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol import exchange
from sojourn.core.protocol.admission import returned
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier, OpenSlot
from sojourn.core.protocol.duties import (
    Duty,
    Task,
    duties_of,
    has_live_host,
    is_overdue,
    lead_again_ms,
    may_owe_more,
)
from sojourn.core.protocol.messages import (
    Arrive,
    AskHead,
    AskRound,
    Declined,
    Evidence,
    Head,
    Need,
    Proposal,
    ShowCommit,
)
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.revoked import is_stopped
from sojourn.core.protocol.rounds import Leading, RoundChange
from sojourn.core.protocol.validate import slot_for
from sojourn.core.protocol.waiting import carrying_next
from sojourn.core.protocol.whereabouts import decided_on, newer_head, onward_of
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.runtime.clients.zone_client import Overtaken, Stalled, ZoneClient
from sojourn.runtime.processes import clock

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Caretaker"]

log = structlog.get_logger("anchor")

_AGAIN_MS: Final = 200
"""A task that changed nothing is tried again after this long at the earliest."""
_TASKS_MAX: Final = 64
_ASK_S: Final = 2.0


class Caretaker:
    """The duties of one anchor, and the task that performs them."""

    def __init__(self, anchor: "Anchor") -> None:
        self._anchor = anchor
        self._due: list[tuple[int, bytes, Task]] = []
        self._planned: dict[tuple[bytes, Task], int] = {}
        self._pressed: dict[bytes, int] = {}
        self._busy: set[tuple[bytes, Task]] = set()
        self._wake = asyncio.Event()
        self._running = 0
        self._pace = Pace()
        self._leading = Leading()
        self._catching_up = CatchingUp(anchor)

    # --- when -----------------------------------------------------------------------------------------

    def note(self, before: Dossier, after: Dossier) -> None:
        """Plan what a ruling has made due, and learn from it how fast decisions are made."""
        was, now = before.open, after.open
        if was is not None and now is None:
            self._pace.note(max(0, clock.boot_ms() - was.entered_ms))
            self._leading.forget(after.agent)
        if may_owe_more(before, after):
            self.plan(after)

    def plan(self, dossier: Dossier) -> None:
        """Note what one agent's dossier makes due; what is no longer due lapses when its time comes.

        If it is behind, what it lacks is asked of the other anchors.
        """
        self._catching_up.begin(dossier)
        for duty in self._duties(dossier):
            self._plan(dossier.agent, duty)

    def plan_waking(self, agent: bytes, at_ms: int) -> None:
        """Note that an agent at rest may be without a host when it wakes, at a wall time that is not soon."""
        self._plan(agent, Duty(clock.boot_ms() + at_ms - clock.wall_ms(), Task.REBIND))

    def _duties(self, dossier: Dossier) -> list[Duty]:
        return [self._patient(dossier, d) for d in duties_of(dossier, self._anchor.view())]

    def _patient(self, dossier: Dossier, duty: Duty) -> Duty:
        """Return a duty with the patience that the present pace asks for."""
        if duty.task is not Task.LEAVE_ROUND or dossier.open is None:
            return duty
        entered_ms = dossier.open.entered_ms
        if entered_ms > clock.boot_ms():
            return duty  # before a reboot
        return Duty(max(duty.due_ms, entered_ms + self._pace.patience_ms), duty.task)

    def _plan(self, agent: bytes, duty: Duty) -> None:
        key = (agent, duty.task)
        if self._planned.get(key, duty.due_ms + 1) <= duty.due_ms:
            return
        self._planned[key] = duty.due_ms
        heapq.heappush(self._due, (duty.due_ms, agent, duty.task))
        self._wake.set()

    async def run(self) -> None:
        """See to duties for ever."""
        while True:
            now_ms = clock.boot_ms()
            while self._due and self._due[0][0] <= now_ms and self._running < _TASKS_MAX:
                due_ms, agent, task = heapq.heappop(self._due)
                if self._planned.get((agent, task)) == due_ms:
                    del self._planned[agent, task]
                    self._begin(agent, task)
            await self._sleep()

    def _begin(self, agent: bytes, task: Task) -> None:
        """Begin a task, unless it is under way: then it plans by itself what is due after it."""
        if (agent, task) in self._busy:
            return
        self._busy.add((agent, task))
        self._running += 1
        self._anchor.begin(self._see_to, agent, task)

    async def _sleep(self) -> None:
        """Wait until something is due, planned, or done."""
        self._wake.clear()
        is_idle = not self._due or self._running >= _TASKS_MAX
        wait_ms = None if is_idle else max(self._due[0][0] - clock.boot_ms(), 1)
        try:
            async with asyncio.timeout(None if wait_ms is None else wait_ms / 1000):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _see_to(self, agent: bytes, task: Task) -> None:
        try:
            await self._perform_if_due(agent, task)
        finally:
            self._busy.discard((agent, task))
            self._running -= 1
            self._wake.set()

    async def _perform_if_due(self, agent: bytes, task: Task) -> None:
        """Perform a task if it is still due by the dossier as it is now; else plan anew."""
        dossier = self._anchor.shelf.dossier(agent)
        due = {duty.task: duty.due_ms for duty in self._duties(dossier)}
        if task not in due:
            if task is Task.PRESS:
                self._pressed.pop(agent, None)
            return
        if due[task] > clock.boot_ms() and not self._is_overdue(dossier, task):
            self._plan(agent, Duty(due[task], task))
            return
        again_ms = _AGAIN_MS
        try:
            again_ms = await self._perform(dossier, task)
        except StoreFailed:
            raise
        except SojournError as error:
            log.info("a duty brought nothing", task=str(task), problem=str(error))
        not_before = clock.boot_ms() + again_ms
        for duty in self._duties(self._anchor.shelf.dossier(agent)):
            self._plan(agent, Duty(max(duty.due_ms, not_before), duty.task))

    def _is_overdue(self, dossier: Dossier, task: Task) -> bool:
        return is_overdue(dossier, task, self._anchor.leases, clock.boot_ms())

    async def _perform(self, dossier: Dossier, task: Task) -> int:
        """Perform a task; return after how many milliseconds it may be tried again."""
        match task:
            case Task.LEAVE_ROUND:
                await self._leave_round(dossier)
            case Task.LEAD:
                await self._lead(dossier)
                return lead_again_ms(dossier.open.round) if dossier.open else _AGAIN_MS
            case Task.PRESS:
                return await self._press(dossier)
            case Task.OFFER:
                self._anchor.offer_arrival(dossier, to_all=True)
                return self._anchor.manifest.lease_ms
            case Task.REFUSE:
                await self._refuse(dossier)
            case Task.REBIND:
                await self._rebind(dossier)
                return self._anchor.manifest.lease_ms
            case Task.OBEY:
                await self._obey(dossier)
        return _AGAIN_MS

    # --- a slot that is stuck -------------------------------------------------------------------------

    async def _leave_round(self, dossier: Dossier) -> None:
        """Ask all to leave the round; with their certificate they, and this anchor, enter the next."""
        state = dossier.open
        if state is None:
            return
        zone, committee = self._anchor.zone, self._anchor.manifest.committee
        change = RoundChange(state.slot, state.round, committee)
        ask = AskRound(slot=state.slot, round=state.round, entry=state.entry)
        await self._hear(change, ask)
        self._anchor.proofs.heard(change)
        is_settled = change.decided is not None or change.certificate is not None
        if not is_settled and len(change.votes) >= committee.honest_witness:
            # Who has seen nothing of the slot opens it on the word of f+1, and then votes as well.
            await self._hear(
                change,
                AskRound(slot=ask.slot, round=ask.round, entry=ask.entry, votes=change.votes),
            )
        if change.decided is not None:
            await self._adopt(change.decided)
        elif change.certificate is not None:
            following = AskRound(slot=ask.slot, round=ask.round + 1, entry=change.certificate)
            zone.tell_all(following, timeout_s=_ASK_S)

    async def _hear(self, change: RoundChange, ask: AskRound) -> None:
        """Collect votes until they are enough, or a decision shows."""

        def take(anchor: int, reply: exchange.AnyReply) -> bool:
            change.heard(anchor, reply)
            return change.decided is not None or change.certificate is not None

        await self._anchor.zone.ask_each(ask, take, timeout_s=_ASK_S)

    async def _lead(self, dossier: Dossier) -> None:
        """Propose in the round this anchor leads: the highest lock's value, or else a pending one."""
        state = dossier.open
        if state is None or state.entry is None:
            return
        change = await self._locks_known(state)
        if change.decided is not None:
            await self._adopt(change.decided)
            return
        change.remember(state.proposals)
        change.recall(self._leading.shown(state.slot))
        choice = change.choice(self._leading.said(state, clock.wall_ms()))
        self._leading.note(state, choice)
        self._leading.note_lock(change.shown)
        proposer = Proposer(
            choice,
            state.slot,
            self._anchor.manifest,
            parent=dossier.head,
            application=dossier.application,
            round=state.round,
            entry=state.entry,
            justification=change.lock,
        )
        await self._drive(proposer)
        self._leading.note_lock(proposer.shown)

    async def _locks_known(self, state: OpenSlot) -> RoundChange:
        """Ask what is locked: a quorum's answers hold every lock that could have decided."""
        change = RoundChange(state.slot, state.round, self._anchor.manifest.committee)
        heard = set[int]()

        def take(anchor: int, reply: exchange.AnyReply) -> bool:
            change.heard(anchor, reply)
            if not isinstance(reply, Declined):
                heard.add(anchor)
            return change.decided is not None or len(heard) >= self._anchor.zone.quorum

        ask = AskRound(slot=state.slot, round=state.round, entry=state.entry)
        await self._anchor.zone.ask_each(ask, take, timeout_s=_ASK_S)
        self._anchor.proofs.heard(change)
        return change

    async def _drive(self, proposer: Proposer) -> None:
        try:
            await self._anchor.zone.decide(proposer, _OwnBlocks(self._anchor))
        except Overtaken as error:
            await self._adopt(error.decided)
        except Stalled as error:
            log.info("no decision yet", problem=str(error))

    async def _adopt(self, decided: Certified) -> None:
        """Apply here what others have decided; `ShowCommit` checks it like any stranger's."""
        shown = Proposal(transition=decided.transition, seals=())
        show = ShowCommit(certificate=decided.certificate, proposal=shown)
        await self._anchor.decide(show, self._anchor.identity.public)

    # --- a departure, an arrival ----------------------------------------------------------------------

    async def _press(self, dossier: Dossier) -> int:
        """Show a departure to its target until the target has decided; then take the answer home.

        A never acts on time: only the target's admission or refusal ends it (protocol §5, trap 16). A target that
        has nothing to say may have said it to the others here long ago. Returns after how many milliseconds to
        press again.
        """
        head = dossier.head
        if head is None or head.record.migration is None:
            return _AGAIN_MS
        target = self._anchor.manifests.get(head.record.migration.to_zone)
        answer = await self._ask_target(dossier, head, target) if target is not None else None
        if answer is None:
            tries = self._pressed.get(dossier.agent, 0)
            self._pressed[dossier.agent] = tries + 1
            if tries > 0:
                await self._hear_others(head)
            return min(PRESS_EVERY_MS << min(tries, 8), PRESS_EVERY_MS_MAX)
        self._pressed.pop(dossier.agent, None)
        if answer.transition.kind is TransitionKind.ADMIT:
            await self._anchor.note_onward(dossier.agent, answer)
        else:
            await self._return(head, answer)
        return _AGAIN_MS

    async def _ask_target(
        self, dossier: Dossier, head: Certified, target: ZoneManifest
    ) -> Certified | None:
        """Return what the target has decided about a departure, as the first of its anchors proves it."""
        client = ZoneClient(target, self._anchor.connections)
        visa = dossier.visa
        ask = Arrive(departure=head, visa=visa) if visa else AskHead(agent=dossier.agent)
        proved: list[Certified] = []
        unknown = set[int]()

        def take(anchor: int, reply: exchange.AnyReply) -> bool:
            if isinstance(reply, Head):
                proved.extend(decided_on(head, reply, self._anchor.manifests))
            if isinstance(reply, Need) and reply.what == "visa":
                unknown.add(anchor)
            return bool(proved)

        await client.ask_each(ask, take, timeout_s=_ASK_S)
        if visa is not None and len(unknown) > target.f and not proved:
            apply_again(self._anchor, head, visa, client)
        return proved[0] if proved else None

    async def _return(self, gone: Certified, refusal: Certified) -> None:
        record, at_ms = returned(gone.record, gone.certificate.slot), clock.wall_ms()
        transition = Transition(
            kind=TransitionKind.RETURN,
            parent=gone.record.digest,
            record=charged(TransitionKind.RETURN, gone.record, record, at_ms),
            author=self._anchor.identity.public,
            at_ms=at_ms,
            reason=refusal.transition.reason,
        )
        await self._propose(transition, gone, Evidence(refusal=refusal))

    async def _refuse(self, dossier: Dossier) -> None:
        """Refuse an arrival whose deadline has passed on this anchor's clock; others judge by theirs."""
        if dossier.arrival is None:
            return
        departure = dossier.arrival.arrive.departure
        transition = Transition(
            kind=TransitionKind.REFUSE,
            parent=departure.record.digest,
            record=departure.record,
            author=self._anchor.identity.public,
            at_ms=clock.wall_ms(),
            reason="no host admitted it before the deadline",
        )
        await self._propose(transition, departure, Evidence(departure=departure))

    async def _propose(self, transition: Transition, parent: Certified, evidence: Evidence) -> None:
        covered = statement(Kind.TRANSITION, Role.ANCHOR, transition.digest)
        identity = self._anchor.identity
        seal = Seal(signer=identity.public, signature=identity.sign(covered))
        proposal = Proposal(transition=transition, seals=(seal,), evidence=evidence)
        slot = slot_for(parent, transition, self._anchor.manifest)
        is_own = transition.kind is TransitionKind.RETURN
        await self._drive(
            Proposer(proposal, slot, self._anchor.manifest, parent=parent if is_own else None)
        )

    # --- what officers published ----------------------------------------------------------------------

    async def _obey(self, dossier: Dossier) -> None:
        """Propose what officers published and what comes next: the agent's host need not be asked."""
        head, view = dossier.head, self._anchor.view()
        proposal = carrying_next(dossier, view, self._anchor.identity)
        if proposal is not None:
            slot = slot_for(head, proposal.transition, view.manifest)
            await self._drive(Proposer(proposal, slot, view.manifest, parent=head))

    # --- a dead host ----------------------------------------------------------------------------------

    async def _rebind(self, dossier: Dossier) -> None:
        """Offer an agent without a live host to every live one; they rank themselves (protocol §6).

        That nobody renews a lease here may also mean that this anchor was away, and others know more.
        """
        if dossier.head is None or has_live_host(dossier, self._anchor.leases, clock.boot_ms()):
            return
        if is_stopped(dossier, None, self._anchor.view()):
            return
        self._anchor.hosts.offer(self._anchor.live_hosts(), exchange.WorkItem(head=dossier.head))
        await self._hear_others(dossier.head)

    # --- decisions that were missed -------------------------------------------------------------------

    async def _hear_others(self, head: Certified) -> None:
        """Take over what a quorum of this zone's anchors knows beyond our head: a newer one, or where it went."""
        newest, onward = head, list[Certified]()
        heard, manifests = set[int](), self._anchor.manifests

        def take(anchor: int, reply: exchange.AnyReply) -> bool:
            nonlocal newest
            heard.add(anchor)
            if isinstance(reply, Head):
                onward.extend(onward_of(head, reply, manifests))
                newest = newer_head(newest, reply, manifests)
            return len(heard) >= self._anchor.zone.quorum

        ask = AskHead(agent=head.record.agent_id)
        await self._anchor.zone.ask_each(ask, take, timeout_s=_ASK_S)
        if newest is not head:
            await self._adopt(newest)
        elif onward:
            await self._anchor.note_onward(head.record.agent_id, onward[0])


class _OwnBlocks:
    """The blocks of this anchor's store, for anchors that lack them."""

    def __init__(self, anchor: "Anchor") -> None:
        self._anchor = anchor

    def get(self, named: bytes) -> bytes:
        """Return a block's bytes. Raises `MissingBlock`."""
        data = self._anchor.shelf.block(named) or self._anchor.edicts.document(named)
        if data is None:
            raise MissingBlock(named)
        return data
