"""A run: one agent on this host, from the lease to its end, its rest or its departure.

hold the lease ─► may it execute here? ─► execute ─┬─ returned, raised ─► nothing is left to do
       ▲                                           ├─ resting ─► woken by time or message
       ├── from its restart point ◄── anew ◄───────┤
       │                                           ├─ departed ─► another zone's
       └── newest head ◄── lease lost, broken ◄────┘
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import structlog

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.errors import Denied, Misused, Rejected, SojournError
from sojourn.core.protocol.custody import Certified
from sojourn.host.binding import bind_anew, newest_head
from sojourn.host.code import source_of
from sojourn.host.custody import AgentCustody
from sojourn.host.keys import decrypted
from sojourn.host.modes import permitted_mode
from sojourn.host.upgrading import is_to_upgrade, try_upgrade
from sojourn.runtime.clients.drive import ended
from sojourn.runtime.errors import LeaseLost, LeaseWithheld
from sojourn.runtime.holdings import Holdings
from sojourn.runtime.host_side.execution import Ending, Execution, How
from sojourn.runtime.host_side.flow import Flow
from sojourn.runtime.host_side.journal import Journal, first_resume
from sojourn.runtime.host_side.proposing import Proposer
from sojourn.runtime.host_side.written import barred_by, parted_by
from sojourn.runtime.ports import Mode
from sojourn.runtime.processes import clock
from sojourn.runtime.records import Unshown

if TYPE_CHECKING:
    from sojourn.host.server import Host

__all__ = ["AgentRun"]

log = structlog.get_logger("host")

_AGAIN_S: Final = 0.2
_AGAIN_S_MAX: Final = 5.0
_LOOK_AGAIN_S: Final = 0.5
_LOOK_AGAIN_S_MAX: Final = 30.0


class _Pause:
    """How long to wait before the next try: twice as long each time."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self._next_s = first_s

    def next_s(self) -> float:
        """Return the next pause, in seconds."""
        pause_s, self._next_s = self._next_s, min(2 * self._next_s, self._longest_s)
        return pause_s

    def reset(self) -> None:
        """Begin with the shortest again."""
        self._next_s = self._first_s


class AgentRun:
    """One agent's time on this host."""

    def __init__(self, host: "Host", head: Certified, mail: asyncio.Event) -> None:
        """Prepare to run the agent at `head`, whose bound host this is. `mail` is set when messages come."""
        self._host, self._mail = host, mail
        self.custody = AgentCustody(host, head, mail)
        self._after_failure = _Pause(_AGAIN_S, _AGAIN_S_MAX)
        self._after_refusal = _Pause(_LOOK_AGAIN_S, _LOOK_AGAIN_S_MAX)
        self._denied = ""

    async def live(self) -> None:
        """Run until nothing is left to do here for now.

        An agent that may not execute, or that does not repeat its journal, stays bound and is looked at again
        later: let go, it would be bound by one host after another, to no end.
        """
        while self._is_ours() and self._has_work():
            began_ms, version = clock.boot_ms(), self.custody.record.version
            ending = await self._execute_once()
            sought = ending.sought if ending is not None else ()
            self._host.watch.rest(self.custody.agent, sought)
            if ending is not None and ending.how is How.ANEW:
                if self.custody.record.version > version:
                    continue
                ending = Ending(how=How.BROKEN, text="it begins anew, and gets nowhere")
            if ending is None or ending.how is How.DIVERGED:
                await self._look_again(self._after_refusal.next_s())
            elif ending.how in (How.LEASE_LOST, How.BROKEN):
                log.info("runs again", agent=self._name, why=str(ending.how), problem=ending.text)
                if clock.boot_ms() - began_ms > _AGAIN_S_MAX * 1000:
                    self._after_failure.reset()
                await self._look_again(self._after_failure.next_s())
        self._fall_asleep()

    async def _bind_anew(self) -> None:
        """Become the bound host once more: some anchors renew the lease, others began to bind a rival (§6.10)."""
        head = await bind_anew(self._host, self.custody.head)
        if head is not None:
            self.custody = AgentCustody(self._host, head, self._mail)

    async def _look_again(self, pause_s: float) -> None:
        """Go on after a pause, with what the anchors say is the newest head by then."""
        await asyncio.sleep(pause_s)
        head = await newest_head(self._host, self.custody.agent)
        if head is not None:
            self.custody = AgentCustody(self._host, head, self._mail)

    @property
    def _name(self) -> str:
        return self.custody.agent.hex()[:12]

    def _is_ours(self) -> bool:
        custody = self.custody.record.custody
        return (custody.zone, custody.host) == (self._host.zone_id, self._host.key.public)

    def _has_work(self) -> bool:
        """Tell whether there is anything to execute: the agent acts, or one of its wake triggers is due."""
        eligibility = self.custody.record.eligibility
        if not eligibility.is_acting:
            return False
        is_due = eligibility.status is not Status.DORMANT
        if is_due or self._host.watch.has_news(self.custody.agent):
            return True
        now_ms = clock.wall_ms()
        return any(
            (wake.at_ms is not None and wake.at_ms <= now_ms)
            or ((wake.on_message or wake.on_answer or wake.on_call) and self._mail.is_set())
            for wake in eligibility.wake
        )

    def _fall_asleep(self) -> None:
        """Leave the time at which the agent wakes with the host's one timer.

        One that is held up does not wake by time: the anchors offer it when it may act again.
        """
        record = self.custody.record
        times = [wake.at_ms for wake in record.eligibility.wake if wake.at_ms is not None]
        eligibility = record.eligibility
        is_dormant = eligibility.is_acting and eligibility.status is Status.DORMANT
        if self._is_ours() and is_dormant and times:
            self._host.sleepers.add(record, min(times))

    async def _execute_once(self) -> Ending | None:
        """Hold the lease, ask whether the agent may execute here, and execute it; None if it may not."""
        record = self.custody.record
        try:
            await self._host.leases.hold(self.custody.agent, record.custody.fence)
            mode = await self._permitted_mode(record)
            if mode is None:
                return None
            ending = await self._while_held(self._execute(record, mode))
            if ending.how is How.DIVERGED:
                await self._note_parting(ending.text)
            if self.custody.is_withheld:
                self._host.leases.release(self.custody.agent)
                await self._bind_anew()
        except LeaseWithheld as withheld:
            await self._bind_anew()
            return Ending(how=How.LEASE_LOST, text=str(withheld))
        except LeaseLost as lost:
            return Ending(how=How.LEASE_LOST, text=str(lost))
        except (Denied, Misused, Rejected) as error:
            log.warning("does not execute", agent=self._name, problem=str(error))
            return None
        except SojournError as error:
            return Ending(how=How.BROKEN, text=str(error))
        say = log.error if ending.how is How.DIVERGED else log.info
        say("ended", agent=self._name, how=str(ending.how), problem=ending.text)
        return ending

    async def _while_held(self, execution: Awaitable[Ending]) -> Ending:
        """Return how an execution ended; end it when the lease runs out (protocol §6, P4).

        It need not propose anything to notice: a host that is cut off stops before another may begin.
        """
        custody = self.custody
        executing = asyncio.ensure_future(execution)
        try:
            while not executing.done():
                left_ms = self._host.leases.left_ms(custody.agent, custody.fence)
                if left_ms <= 0:
                    return Ending(how=How.LEASE_LOST, text="the lease ran out")
                await asyncio.wait([executing], timeout=left_ms / 1000)
            return executing.result()
        finally:
            await ended([executing])

    async def _permitted_mode(self, record: AgentRecord) -> Mode | None:
        """Return where the code may run; None if it may not run here.

        That is journaled, with the reason, if it still is so when it is asked again: a host that has just started
        may not have heard yet who vouches for its zone.
        """
        before, self._denied = self._denied, ""
        try:
            return await self._ask_mode(record)
        except Denied as denied:
            log.warning("does not execute", agent=self._name, problem=str(denied))
            self._denied = denied.problem
            if before == denied.problem:
                await self._bar(denied)
            return None

    async def _bar(self, denied: Denied) -> None:
        """Make a denial part of what the agent carries, if that can be decided now: its code cannot ask for it."""
        await self._note(lambda _: barred_by(denied, self.custody))

    async def _note_parting(self, text: str) -> None:
        """Make it part of what the agent carries where its code parted from the journal."""
        await self._note(lambda journal: parted_by(text, journal.resume, self.custody))

    async def _note(self, noted: Callable[[Journal], Unshown]) -> None:
        """Have the agent's journal say why its code got nowhere, if that can be decided now."""
        journal = await Journal.load(self.custody)
        if journal is None:
            journal = Journal.begin(self.custody, first_resume(self.custody))
        if journal.resume.ended is None:
            try:
                flow = Flow(self.custody.record, journal.resume)
                await Proposer(self.custody, journal, Holdings(set()), flow).note(noted(journal))
            except (Denied, Rejected) as error:  # it may have no steps left
                log.info(
                    "why it got nowhere is not journaled", agent=self._name, problem=str(error)
                )

    async def _ask_mode(self, record: AgentRecord) -> Mode:
        return await permitted_mode(self._host, record)

    async def _execute(self, record: AgentRecord, mode: Mode) -> Ending:
        capabilities = record.capabilities
        custodian = await decrypted(self._host, self.custody)
        if await is_to_upgrade(custodian):
            return await try_upgrade(self._host, self.custody, custodian, self._ask_mode)
        await self._host.blocks.fetch([capabilities.code])
        source = source_of(self._host.blocks.get(capabilities.code))
        channel = await self._host.substrate.start(
            source, capabilities.entry, mode, log=self.custody.log
        )
        log.info("executes", agent=self._name, version=record.version, mode=mode)
        return await Execution(custodian, channel, caller=self._host.caller_for(mode)).run()
