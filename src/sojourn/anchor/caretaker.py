"""The caretaker: does what an anchor owes when nobody else acts, and gossips (protocol §3, §5, §6, §11).

One timer for all agents: a heap of what is due. An agent without duties is not in it.
"""

import asyncio
import heapq
import random
from typing import TYPE_CHECKING, Final

import structlog

from sojourn.core.agent.memory.blocks import MissingBlock
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.encoding import Value
from sojourn.core.base.errors import SojournError, StoreFailed
from sojourn.core.base.limits import GOSSIP_ROUND_MS, PRESS_EVERY_MS, PRESS_EVERY_MS_MAX
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol import exchange, gossip
from sojourn.core.protocol.admission import returned
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier, OpenSlot
from sojourn.core.protocol.duties import Duty, Task, duties_of
from sojourn.core.protocol.messages import (
    Arrive,
    AskHead,
    AskRound,
    Evidence,
    Head,
    Proposal,
    ShowCommit,
)
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.rounds import RoundChange
from sojourn.core.protocol.validate import slot_for
from sojourn.core.zone.manifest import ZoneManifest
from sojourn.runtime import clock
from sojourn.runtime.zone_client import Overtaken, Stalled, ZoneClient

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Caretaker"]

log = structlog.get_logger("anchor")

_AGAIN_MS: Final = 200
"""A task that changed nothing is tried again after this long at the earliest."""
_TASKS_MAX: Final = 64


class Caretaker:
    """The duties of one anchor, and the task that performs them."""

    def __init__(self, anchor: "Anchor") -> None:
        self._anchor = anchor
        self._due: list[tuple[int, bytes, Task]] = []
        self._planned: dict[tuple[bytes, Task], int] = {}
        self._pressed: dict[bytes, int] = {}
        self._unasked = {i for i in range(anchor.zone.n) if i != anchor.index}
        self._wake = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._chance = random.Random()  # noqa: S311 - which peer to gossip with; nothing secret

    def start(self) -> None:
        """Plan what the store says is owed, and begin."""
        for dossier in self._anchor.shelf.dossiers(limit=1_000_000):
            self.plan(dossier)
        self._loops = [asyncio.create_task(self._watch()), asyncio.create_task(self._gossip())]

    async def stop(self) -> None:
        """Stop, and wait until nothing runs."""
        tasks = [*self._loops, *self._running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def plan(self, dossier: Dossier) -> None:
        """Note what one agent's dossier makes due; what is no longer due lapses when its time comes."""
        for duty in duties_of(dossier, self._anchor.view()):
            self._plan(dossier.agent, duty)

    def _plan(self, agent: bytes, duty: Duty) -> None:
        key = (agent, duty.task)
        if self._planned.get(key, duty.due_ms + 1) <= duty.due_ms:
            return
        self._planned[key] = duty.due_ms
        heapq.heappush(self._due, (duty.due_ms, agent, duty.task))
        self._wake.set()

    async def _watch(self) -> None:
        while True:
            now_ms = clock.boot_ms()
            while self._due and self._due[0][0] <= now_ms and len(self._running) < _TASKS_MAX:
                due_ms, agent, task = heapq.heappop(self._due)
                if self._planned.get((agent, task)) == due_ms:
                    del self._planned[agent, task]
                    self._run(agent, task)
            await self._sleep()

    async def _sleep(self) -> None:
        self._wake.clear()
        wait_ms = self._due[0][0] - clock.boot_ms() if self._due else None
        if len(self._running) >= _TASKS_MAX:
            wait_ms = _AGAIN_MS
        try:
            async with asyncio.timeout(None if wait_ms is None else max(wait_ms, 1) / 1000):
                await self._wake.wait()
        except TimeoutError:
            return

    def _run(self, agent: bytes, task: Task) -> None:
        """Perform a task if it is still due by the dossier as it is now; else plan anew."""
        dossier = self._anchor.shelf.dossier(agent)
        due = {duty.task: duty.due_ms for duty in duties_of(dossier, self._anchor.view())}
        if task not in due:
            return
        is_recomputed = task in (Task.PRESS, Task.REBIND)  # these are counted from now each time
        if due[task] > clock.boot_ms() and not self._is_expired(dossier, task, is_recomputed):
            self._plan(agent, Duty(due[task], task))
            return
        work = asyncio.create_task(self._perform(dossier, task))
        self._running.add(work)
        work.add_done_callback(self._running.discard)

    def _is_expired(self, dossier: Dossier, task: Task, is_recomputed: bool) -> bool:
        if not is_recomputed:
            return False
        if task is Task.PRESS:
            return True
        return not self._has_live_host(dossier)

    def _has_live_host(self, dossier: Dossier) -> bool:
        if dossier.head is None:
            return True
        custody = dossier.head.record.custody
        if custody.host is None:
            return False
        until_ms = self._anchor.leases.until_ms(dossier.agent, custody.fence)
        return until_ms > clock.boot_ms()

    async def _perform(self, dossier: Dossier, task: Task) -> None:
        again_ms = _AGAIN_MS
        try:
            match task:
                case Task.LEAVE_ROUND:
                    await self._leave_round(dossier)
                case Task.LEAD:
                    await self._lead(dossier)
                case Task.PRESS:
                    again_ms = await self._press(dossier)
                case Task.OFFER:
                    self._anchor.offer_arrival(dossier, to_all=True)
                    again_ms = self._anchor.manifest.lease_ms
                case Task.REFUSE:
                    await self._refuse(dossier)
                case Task.REBIND:
                    self._rebind(dossier)
                    again_ms = self._anchor.manifest.lease_ms
        except StoreFailed as failure:
            if not self._anchor.failed.done():
                self._anchor.failed.set_result(failure)
            return
        except SojournError as error:
            log.info("a duty brought nothing", task=str(task), problem=str(error))
        self._replan(dossier.agent, again_ms)

    def _replan(self, agent: bytes, again_ms: int) -> None:
        not_before = clock.boot_ms() + again_ms
        dossier = self._anchor.shelf.dossier(agent)
        for duty in duties_of(dossier, self._anchor.view()):
            self._plan(agent, Duty(max(duty.due_ms, not_before), duty.task))

    # --- a slot that is stuck -------------------------------------------------------------------------

    async def _leave_round(self, dossier: Dossier) -> None:
        """Ask all to leave the round; show the certificate, and lead if it is this anchor's turn."""
        state = dossier.open
        if state is None:
            return
        change = await self._ask_round(state, state.round, state)
        if change.decided is not None:
            await self._adopt(change.decided)
        elif change.certificate is not None:
            ask = AskRound(slot=state.slot, round=state.round + 1, entry=change.certificate)
            await self._anchor.zone.ask_all(ask, Value)

    async def _ask_round(self, state: OpenSlot, round: int, own: OpenSlot) -> RoundChange:
        ask = AskRound(
            slot=state.slot, round=round, entry=own.entry if own.round == round else None
        )
        replies = await self._anchor.zone.ask_all(ask, Value)
        change = RoundChange(state.slot, round, self._anchor.manifest.committee)
        for anchor, reply in replies.items():
            try:
                change.heard(anchor, reply)
            except SojournError as error:
                log.warning("an anchor lies", anchor=anchor, problem=str(error))
        return change

    async def _lead(self, dossier: Dossier) -> None:
        """Propose in the round this anchor leads: the highest lock's value, or else a pending one."""
        state = dossier.open
        if state is None or state.entry is None:
            return
        change = await self._ask_round(state, state.round, state)
        if change.decided is not None:
            await self._adopt(change.decided)
            return
        change.remember(state.proposals)
        proposer = Proposer(
            change.choice(),
            state.slot,
            self._anchor.manifest,
            parent=dossier.head,
            application=dossier.application,
            round=state.round,
            entry=state.entry,
            justification=change.lock,
        )
        await self._drive(proposer)

    async def _drive(self, proposer: Proposer) -> Certified | None:
        try:
            return await self._anchor.zone.decide(proposer, _OwnBlocks(self._anchor))
        except Overtaken as error:
            await self._adopt(error.decided)
            return None
        except Stalled as error:
            log.info("no decision yet", problem=str(error))
            return None

    async def _adopt(self, decided: Certified) -> None:
        """Apply here what others have decided; `ShowCommit` checks it like any stranger's."""
        shown = Proposal(transition=decided.transition, seals=())
        await self._anchor.decide(
            ShowCommit(certificate=decided.certificate, proposal=shown),
            self._anchor.identity.public,
        )

    # --- a departure, an arrival, a dead host ---------------------------------------------------------

    async def _press(self, dossier: Dossier) -> int:
        """Show a departure to its target until the target has decided; then take the answer home.

        A never acts on time: only the target's admission or refusal ends it (protocol §5, trap 16).
        """
        head = dossier.head
        chapter = dossier.chapter
        if head is None or head.record.migration is None or chapter is None:
            return _AGAIN_MS
        target = self._anchor.places.manifests.get(head.record.migration.to_zone)
        if target is not None:
            for reply in (await self._ask_target(dossier, head, target)).values():
                if await self._take_home(dossier, reply):
                    self._pressed.pop(dossier.agent, None)
                    return _AGAIN_MS
        tries = self._pressed.get(dossier.agent, 0)
        self._pressed[dossier.agent] = tries + 1
        return min(PRESS_EVERY_MS << min(tries, 8), PRESS_EVERY_MS_MAX)

    async def _ask_target(
        self, dossier: Dossier, head: Certified, target: ZoneManifest
    ) -> dict[int, Head]:
        client = ZoneClient(target, self._anchor.connections)
        visa = dossier.visa
        if visa is None:
            return await client.ask_all(AskHead(agent=dossier.agent), Head)
        return await client.ask_all(Arrive(departure=head, visa=visa), Head)

    async def _take_home(self, dossier: Dossier, reply: Head) -> bool:
        """Use one anchor's answer if it proves the target's decision; tell whether it did."""
        head = dossier.head
        assert head is not None
        for known in (reply.certified, reply.opened, reply.refusal):
            if known is None or known.transition.parent != head.record.digest:
                continue
            if known.transition.kind is TransitionKind.ADMIT:
                await self._anchor.note_onward(dossier.agent, known)
                return True
            if known.transition.kind is TransitionKind.REFUSE:
                await self._return(head, known)
                return True
        return False

    async def _return(self, gone: Certified, refusal: Certified) -> None:
        record = returned(gone.record, gone.certificate.slot)
        transition = Transition(
            kind=TransitionKind.RETURN,
            parent=gone.record.digest,
            record=record,
            author=self._anchor.identity.public,
            at_ms=clock.wall_ms(),
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
        digest = transition.digest
        covered = statement(Kind.TRANSITION, Role.ANCHOR, digest)
        identity = self._anchor.identity
        seal = Seal(signer=identity.public, signature=identity.sign(covered))
        proposal = Proposal(transition=transition, seals=(seal,), evidence=evidence)
        slot = slot_for(parent, transition, self._anchor.manifest)
        is_own = transition.kind is TransitionKind.RETURN
        await self._drive(
            Proposer(proposal, slot, self._anchor.manifest, parent=parent if is_own else None)
        )

    def _rebind(self, dossier: Dossier) -> None:
        """Offer an agent without a live host to every live host; they rank themselves (protocol §6)."""
        if dossier.head is not None and not self._has_live_host(dossier):
            item = exchange.WorkItem(head=dossier.head)
            self._anchor.offer(self._anchor.live_hosts(), item)

    # --- gossip ---------------------------------------------------------------------------------------

    async def _gossip(self) -> None:
        """Each round: one other anchor of this zone, and one of another zone, chosen by chance."""
        while True:
            await self._ask_watermarks()
            await asyncio.sleep(GOSSIP_ROUND_MS / 1000 * self._chance.uniform(0.8, 1.2))
            self._anchor.places.expire(clock.wall_ms())
            for client, index in self._partners():
                try:
                    await self._gossip_with(client, index)
                except StoreFailed:
                    raise
                except SojournError as error:
                    log.debug("no gossip", zone=client.manifest.name, problem=str(error))

    async def _ask_watermarks(self) -> None:
        """Ask each peer once, as soon as it can be reached, what it has seen of this anchor's votes."""
        ask = exchange.AskWatermark(anchor=self._anchor.index)
        for peer in sorted(self._unasked):
            try:
                reply = await self._anchor.zone.call(peer, ask, timeout_s=GOSSIP_ROUND_MS / 1000)
                if isinstance(reply, exchange.Watermark):
                    self._anchor.check_watermark(reply)
                    self._unasked.discard(peer)
            except SojournError as error:
                log.debug("no watermark", peer=peer, problem=str(error))

    def _partners(self) -> list[tuple[ZoneClient, int]]:
        own = [i for i in range(self._anchor.zone.n) if i != self._anchor.index]
        found = [(self._anchor.zone, self._chance.choice(own))] if own else []
        others = [
            signed.manifest
            for signed in self._anchor.places.known_zones()
            if signed.manifest.zone_id != self._anchor.zone_id
        ]
        if others:
            manifest = self._chance.choice(others)
            client = ZoneClient(manifest, self._anchor.connections)
            found.append((client, self._chance.randrange(client.n)))
        return found

    async def _gossip_with(self, client: ZoneClient, index: int) -> None:
        ask = gossip.Exchange(summary=self._anchor.places.summary())
        reply = await client.call(index, ask, timeout_s=GOSSIP_ROUND_MS / 1000)
        if not isinstance(reply, gossip.Exchanged):
            return
        await self._anchor.take_news(reply.news)
        lacking = self._anchor.places.lacking_in(reply.summary)
        if lacking.manifests or lacking.envelopes or lacking.endorsements:
            await client.call(index, gossip.Tell(news=lacking), timeout_s=GOSSIP_ROUND_MS / 1000)


class _OwnBlocks:
    """The blocks of this anchor's store, for anchors that lack them."""

    def __init__(self, anchor: "Anchor") -> None:
        self._anchor = anchor

    def get(self, named: bytes) -> bytes:
        """Return a block's bytes. Raises `MissingBlock`."""
        data = self._anchor.shelf.block(named)
        if data is None:
            raise MissingBlock(named)
        return data
