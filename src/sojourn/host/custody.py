"""Custody of one agent: what its execution asks for becomes transitions that the anchors decide.

One proposal at a time. A proposal that stalls is proposed again, with a newer time when it grows old, for as long
as the lease holds; when the lease is lost or somebody else's transition was decided, this custody is over and the
execution with it: nothing that was not final ever had an effect (protocol §6).
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from sojourn.core.agent.actions import fields_of
from sojourn.core.agent.approvals import Approvers, Petition, SignedApproval
from sojourn.core.agent.budgets import check_affordable, spend
from sojourn.core.agent.eligibility import Eligibility, Status
from sojourn.core.agent.inquiries import Inquiry, SignedAnswer
from sojourn.core.agent.memory.field import Memory
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind, check_unhindered
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Denied, Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.policy.decision import Verdict
from sojourn.core.protocol import permission
from sojourn.core.protocol.admission import child
from sojourn.core.protocol.asking import (
    ApprovalDeclined,
    Unapproved,
    check_approved,
    pending,
    verdict_on,
)
from sojourn.core.protocol.assessment import Assessment
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Declined, Evidence, Intent, Proposal
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.querying import Disclosure
from sojourn.core.protocol.spawning import Gift
from sojourn.core.protocol.validate import Untimely, slot_for
from sojourn.host.binding import newest_head
from sojourn.host.inbox import Inbox
from sojourn.host.inquiries import Inquiries
from sojourn.host.leases import PATIENCE_LEASES
from sojourn.host.outbox import Outbox
from sojourn.host.petitions import Petitions
from sojourn.host.progressing import Telling
from sojourn.host.sleepers import LOOK_S_MAX
from sojourn.host.spawning import Nursery
from sojourn.host.travel import Departure
from sojourn.runtime import ports
from sojourn.runtime.clients.zone_client import Overtaken, Stalled
from sojourn.runtime.errors import LeaseLost, LeaseWithheld
from sojourn.runtime.processes import clock
from sojourn.runtime.sought import Sought

if TYPE_CHECKING:
    from sojourn.host.server import Host

__all__ = ["AgentCustody"]

log = structlog.get_logger("host")

_INLINE_BYTES_MAX: Final = 1024 * 1024
"""New blocks up to this size ride with the proposal; more go before it."""
_INLINE_MAX: Final = 1024
"""How many of them: a vote and its blocks are one commit."""
_ATTEMPT_S: Final = CLOCK_SKEW_MS / 2000
"""A proposal is given up when it is too old to be voted for."""
_RETRY_S: Final = 0.1
_RETRY_S_MAX: Final = 1.0
_SAID_NO: Final = frozenset({"denied", ApprovalDeclined.code})
_NEVER: Final = frozenset(
    {
        "denied",
        "bad-change",
        "over-budget",
        "miscounted",
        "bad-status",
        "missing-children",
        "no-petition",
    }
)
"""Reasons for which the same proposal will never be voted for."""


class AgentCustody:
    """A host's right to propose for one agent, as an execution's `Custodian`."""

    def __init__(self, host: "Host", head: Certified, mail: asyncio.Event) -> None:
        """Take up custody at `head`, whose bound host this is. `mail` is set when messages come."""
        self._host, self.head = host, head
        self.fence = head.record.custody.fence
        self._lock = asyncio.Lock()
        self._inquiries = Inquiries(host, self, mail)
        self._inbox = Inbox(host, self, mail, self._inquiries)
        self._outbox = Outbox(host, self)
        self._petitions = Petitions(host, self, mail)
        self._telling = Telling(host, self)
        self._nursery = Nursery(host, self)
        self._stall = ""
        self._sealed: list[bytes] = []
        self._began_ms = 0
        self._woken_ms = 0
        self.is_withheld = False
        self.blocks = host.blocks

    @property
    def agent(self) -> bytes:
        """The agent's identifier."""
        return self.head.record.agent_id

    @property
    def record(self) -> AgentRecord:
        """The newest final record."""
        return self.head.record

    # --- the port -------------------------------------------------------------------------------------

    async def fetch(self, digests: Sequence[bytes]) -> None:
        """Bring blocks to hand from the anchors."""
        await self._host.blocks.fetch(digests)

    async def commit(self, draft: ports.Draft) -> AgentRecord:
        """Make a step final and return the new record."""
        memory, blocks = await self._inbox.consumed(draft.memory, draft.inbox)
        memory, more, delivered = await self._outbox.noted(memory)
        kind = TransitionKind.STEP if draft.capabilities is None else TransitionKind.ADOPT
        record = child(
            self.record,
            self.head.certificate.slot,
            memory=memory,
            eligibility=self._spent(draft),
            capabilities=draft.capabilities or self.record.capabilities,
        )
        await self.decide(kind, record, blocks=(*draft.blocks.values(), *blocks, *more))
        self._inbox.forget(draft.inbox, draft.answered)
        self._outbox.forget(delivered)
        if draft.status is Status.DORMANT and not self.record.eligibility.is_exhausted:
            self._inquiries.tidy()
        return self.record

    async def intend(self, intent: ports.Intent, draft: ports.Draft) -> ports.Permit:
        """Ask the gate here, then the anchors; return once the intent is final."""
        shown = self._shown(intent)
        if intent.petition is not None:
            self._petitions.drop(digest_of(intent.petition))
        eligibility = msgspec.structs.replace(self._spent(draft), last_decision=digest_of(shown))
        record = self._journaled(draft, eligibility)
        evidence = Evidence(intent=shown, petition=intent.petition, approvals=intent.approvals)
        permit = await self._ask_gate(evidence, record)
        blocks = tuple(draft.blocks.values())
        done = await self.decide(TransitionKind.INTEND, record, blocks=blocks, evidence=evidence)
        self._outbox.note(shown, done)
        return permit

    def _shown(self, intent: ports.Intent) -> Intent:
        return Intent(
            **fields_of(intent),
            key=intent.key,
            petition=digest_of(intent.petition) if intent.petition else None,
            follows=intent.follows,
        )

    def _journaled(self, draft: ports.Draft, eligibility: Eligibility) -> AgentRecord:
        """Return the next record, of which memory changes in the journal alone."""
        slot = self.head.certificate.slot
        return child(self.record, slot, memory=self.journaled(draft), eligibility=eligibility)

    def journaled(self, draft: ports.Draft) -> Memory:
        """Return the agent's memory with a draft's journal, and all else as it is."""
        return msgspec.structs.replace(self.record.memory, journal=draft.memory.journal)

    def _check_not_quarantined(self) -> None:
        if self.record.eligibility.is_alone:
            raise LeaseLost("in quarantine: it acts on nothing until that is lifted")

    async def _ask_gate(self, evidence: Evidence, after: AgentRecord) -> ports.Permit:
        """Judge an intent as the anchors will: budgets, policies of agent and zone, approvals, then trust."""
        host, record, now_ms = self._host, self.record, clock.wall_ms()
        intent, petition = evidence.intent, evidence.petition
        assert intent is not None
        self._check_not_quarantined()
        check_affordable(TransitionKind.INTEND, record, intent.declared)
        host.provider.check(intent.secrets, record, intent.step, intent.action)
        governing = await host.outlook.governing(record, now_ms)
        verdict = verdict_on(intent, record, governing, host.manifest, host.memo)
        answers = evidence.approvals
        try:
            check_approved(verdict, intent, record, after, governing, petition, answers, now_ms)
        except Rejected as error:  # what people approved is not what would be done by now
            raise Unapproved(error.problem) from None
        endorsements = host.places.endorsements
        permission.check_trusted(record, host.zone_id, intent.action, endorsements, now_ms)
        return _permit(verdict)

    async def secrets(self, step: str, action: str, names: Sequence[str]) -> dict[str, str]:
        """Return the values of secrets for a step whose intent is final."""
        return await self._host.provider.hand_out(names, self.record, step, action)

    async def petition(self, intent: ports.Intent) -> Petition:
        """Return what people are to be asked about an intent, as of now."""
        self._check_not_quarantined()
        return await self._petitions.make(self._shown(intent))

    async def ask(self, petition: Petition, draft: ports.Draft) -> None:
        """Put a petition into the record; return once that is final."""
        before = self.record.eligibility
        petitions = (*before.petitions, pending(petition))
        record = self._journaled(draft, msgspec.structs.replace(before, petitions=petitions))
        blocks, evidence = tuple(draft.blocks.values()), Evidence(petition=petition)
        await self.decide(TransitionKind.ASK, record, blocks=blocks, evidence=evidence)
        log.info("asks", agent=self.agent.hex()[:12], action=petition.action, step=petition.step)

    async def answered(self, petition: Petition) -> tuple[SignedApproval, ...]:
        """Wait until a petition is approved, and return enough approvals."""
        return await self._petitions.answered(petition)

    def withdraw(self, petition: bytes) -> None:
        """Let a petition be dropped from the record with the next step."""
        self._petitions.drop(petition)

    async def approvers(self) -> Sequence[Mapping[str, Approvers]]:
        """Return the groups of approvers that each document declares which rules the agent."""
        governing = await self._host.outlook.governing(self.record, clock.wall_ms())
        return [document.approvers for document in governing.documents]

    async def hear(
        self, inquiry: Inquiry, unfit: Collection[bytes], said: Collection[bytes]
    ) -> SignedAnswer | None:
        """Wait for an answer to what the agent asks people; None when the time is up."""
        return await self._inquiries.hear(inquiry, unfit, said, self._inbox)

    def progress(self, text: str, done: int | None, total: int | None) -> None:
        """Tell people who watch how far the agent is."""
        self._telling.tell(text, done, total)

    def settle(self, settled: Collection[bytes]) -> None:
        """Let go of answers, and of all to inquiries, of which it is final what came of them."""
        self._inquiries.settle(settled)

    async def beget(self, gift: Gift, memory: Memory) -> AgentRecord:
        """Return the genesis of the child that the agent is to have next."""
        return await self._nursery.beget(gift, memory)

    async def spawn(self, newborn: AgentRecord, draft: ports.Draft) -> ports.Permit:
        """Ask the gate here, then the anchors, for a child; return once the SPAWN that names it is final."""
        self._check_not_quarantined()
        return _permit(await self._nursery.spawn(newborn, draft))

    async def bear(self, newborn: AgentRecord, version: int) -> None:
        """Have a child born that the SPAWN of this version names."""
        await self._nursery.bear(newborn, version)

    async def places(self) -> tuple[Assessment, ...]:
        """Return the agent's judgement of every place known here."""
        return await self._host.outlook.assess(self.record)

    async def depart(self, zone: bytes) -> None:
        """Move the agent to `zone`; return once the departure is decided and shown to the target."""
        check_unhindered(TransitionKind.DEPART, self.record)
        check_affordable(TransitionKind.DEPART, self.record)
        await Departure(self._host, self, zone).go()

    async def seek(self, sought: Sought) -> Assessment:
        """Wait until a known place is as sought, and return it."""
        return await self._host.outlook.seek(self, sought)

    async def receive(
        self, index: int, answers: str = "", by: bytes = b"", *, calls: bool = False
    ) -> ports.Message:
        """Wait for the message with this index, or the answer to a letter, and return it."""
        if answers:
            return await self._inbox.answer(answers, by)
        return await self._inbox.message(index, calls=calls)

    async def waits(self, asked: bytes | None = None) -> str:
        """Return who waits for whom."""
        return self._inbox.waits(asked)

    async def cycle(self, asked: bytes) -> None:
        """Wait until agents wait for each other."""
        await self._inbox.cycle(asked)

    async def newest_letter(self, to: bytes) -> int:
        """Return the version that sent the newest letter to an agent which was delivered."""
        return await self._outbox.newest(to)

    async def deliver(self, parcel: ports.Parcel) -> None:
        """Have a letter kept by the zone where its receiver is."""
        await self._outbox.deliver(parcel)

    async def query(self, parcel: ports.Parcel) -> Disclosure:
        """Have a question answered by the zone where the agent is that is asked."""
        return await self._outbox.query(parcel)

    async def sleep_until(self, at_ms: int) -> None:
        """Wait until wall time has reached a time."""
        while (left_ms := at_ms - clock.wall_ms()) > 0:
            await asyncio.sleep(min(left_ms / 1000, LOOK_S_MAX))
        self._woken_ms = max(self._woken_ms, at_ms)

    async def enter(self, queue: str) -> Callable[[], None]:
        """Wait for a place in a queue of this host's; return what gives it back."""
        return await self._host.queues.enter(self.agent, queue)

    def lease_valid(self) -> bool:
        """Tell whether this host may act at this very moment."""
        return self._host.leases.is_held(self.agent, self.fence)

    def now_ms(self) -> int:
        """Return wall time."""
        return clock.wall_ms()

    def entropy(self, size: int) -> bytes:
        """Return unpredictable bytes."""
        return self._host.entropy(size)

    def log(self, source: str, text: str) -> None:
        """Take a line of the agent's output."""
        text = self._host.provider.secrecy.redacted(text)
        log.info("agent output", agent=self.agent.hex()[:12], source=source, text=text)

    async def check_newest(self) -> None:
        """Raise `LeaseLost` if the agent has gone on without this host: an anchor says so, and shows it."""
        async with self._lock:  # what is being decided here is ours
            head = await newest_head(self._host, self.agent)
            if head is not None and head.record.version > self.record.version:
                kind, version = head.transition.kind, head.record.version
                raise LeaseLost(f"a {kind} was decided meanwhile, at version {version}")

    # --- deciding -------------------------------------------------------------------------------------

    def _spent(self, draft: ports.Draft) -> Eligibility:
        before = self.record.eligibility
        budgets = spend(before.budgets, draft.spent)
        status = before.status if draft.status is None else draft.status
        wake = before.wake if draft.status is None else draft.wake
        petitions = self._petitions.remaining()
        return msgspec.structs.replace(
            before, budgets=budgets, status=status, wake=wake, petitions=petitions
        )

    async def decide(
        self,
        kind: TransitionKind,
        record: AgentRecord,
        *,
        blocks: tuple[bytes, ...] = (),
        evidence: Evidence | None = None,
    ) -> Certified:
        """Have a transition to `record` decided, and move the head to it.

        Raises `LeaseLost` when custody is over, `Denied` or `Rejected` when it will never be decided.
        """
        async with self._lock:
            self._host.blocks.add(blocks)
            is_small = sum(map(len, blocks)) <= _INLINE_BYTES_MAX and len(blocks) <= _INLINE_MAX
            if not is_small:
                await self._host.zone.put_all(blocks)
            self._began_ms = clock.boot_ms()
            self._sealed.clear()  # what was given up before is not what is wanted now
            while True:
                self._check_clock()
                proposal = await self._host.signer.proposal(kind, self.head, record, evidence)
                self._sealed.append(proposal.transition.digest)
                done = await self._attempts(proposal, blocks if is_small else ())
                if done is not None:
                    self.head = done
                    return done

    def _check_clock(self) -> None:
        """Raise `LeaseLost` if it is not yet the time, any more, at which the agent was woken (protocol §10.27).

        The clock was set back: what was woken too early is dropped, and the agent sleeps on.
        """
        early_ms = self._woken_ms - clock.wall_ms()
        if early_ms > 0:
            raise LeaseLost(f"the clock went back: it was woken {early_ms} ms too early")

    async def _attempts(self, proposal: Proposal, blocks: tuple[bytes, ...]) -> Certified | None:
        """Propose until decided; return None when the proposal has grown old and must be sealed anew."""
        host, transition = self._host, proposal.transition
        slot = slot_for(self.head, transition, host.manifest)
        pause_s = _RETRY_S
        while abs(clock.wall_ms() - transition.at_ms) < CLOCK_SKEW_MS // 2:  # it may be set back
            if not self.lease_valid():
                raise LeaseLost("the lease ran out before the step was final")
            proposer = Proposer(proposal, slot, host.manifest, parent=self.head, blocks=blocks)
            try:
                async with host.deciding:
                    return await host.zone.decide(
                        proposer, host.blocks, bring=host.blocks.fetch, timeout_s=_ATTEMPT_S
                    )
            except Overtaken as overtaken:
                return self._own_or_lost(overtaken.decided, transition)
            except Stalled as stalled:
                self._check_hopeless(stalled)
                self._check_believed(stalled, transition.at_ms)
                self._check_withheld()
                self._note_stall(str(stalled))
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _RETRY_S_MAX)
        return None

    def _check_withheld(self) -> None:
        """Raise `LeaseWithheld` if nothing was decided for long, and an anchor declines the lease (protocol §6.10).

        With a liar among those that grant it a lease may be held and be of no use: of the others, some vote for
        nothing but a bind that was begun, and some for no bind.
        """
        waited_ms = clock.boot_ms() - self._began_ms
        is_long = waited_ms > PATIENCE_LEASES * self._host.manifest.lease_ms
        if is_long and self._host.leases.is_declined(self.agent, self.fence):
            self.is_withheld = True
            raise LeaseWithheld("anchors withhold the lease, and nothing is decided")

    def _check_believed(self, stalled: Stalled, at_ms: int) -> None:
        """Raise `LeaseWithheld` if more than f anchors say that this host's clock is wrong: then a correct one does.

        What it proposes will not be decided before somebody sets it. So it lets another host have the agent, and
        comes back if it can have a bind decided (protocol §6.11).
        """
        untimely = [each for each in stalled.declined.values() if each.reason == Untimely.code]
        is_fresh = abs(clock.wall_ms() - at_ms) < CLOCK_SKEW_MS // 2
        if is_fresh and len(untimely) > self._host.manifest.f:
            self.is_withheld = True
            problem = f"the clock of this host is wrong, as anchors say: {untimely[0].problem}"
            log.error("set the clock", agent=self.agent.hex()[:12], problem=problem)
            raise LeaseWithheld(problem)

    def _note_stall(self, problem: str) -> None:
        """Say once why the agent makes no progress, until the reason changes."""
        if self._stall != problem:
            self._stall = problem
            log.warning("no quorum", agent=self.agent.hex()[:12], problem=problem)

    def _own_or_lost(self, decided: Certified, wanted: Transition) -> Certified:
        """Return a decision that says what we wanted, only at another time; raise for any other.

        What was sealed here at another time charges other time (`core.agent.budgets`), and is ours all the same.
        An intent has to be one that was sealed here. An earlier life of this host may have sealed its equal and
        acted on it before it crashed (protocol §10.4).
        """
        kind, version = decided.transition.kind, decided.record.version
        is_sealed = decided.transition.digest in self._sealed
        is_equal = kind is wanted.kind and decided.record == wanted.record
        if not is_sealed and not is_equal:
            raise LeaseLost(f"a {kind} was decided instead, at version {version}")
        if kind is TransitionKind.INTEND and not is_sealed:
            raise LeaseLost(f"the intent of another life was decided, at version {version}")
        return decided

    def _check_hopeless(self, stalled: Stalled) -> None:
        """Raise if more than f anchors say that this will never do: then at least one correct one does."""
        final = [each for each in stalled.declined.values() if _is_final(each)]
        if len(final) <= self._host.manifest.f:
            return
        problem = final[0].problem
        if final[0].reason in _SAID_NO:
            raise Denied(problem)
        if final[0].reason == "no-petition":
            raise LeaseLost(f"it has to be asked anew: {problem}")
        raise Rejected(problem, reason=final[0].reason, where="transition")


def _is_final(declined: Declined) -> bool:
    """Tell whether an anchor says that this will never do: by rule, or since it knows of an approver's no."""
    is_never = not declined.for_now and declined.reason in _NEVER
    return is_never or declined.reason == ApprovalDeclined.code


def _permit(verdict: Verdict) -> ports.Permit:
    return ports.Permit(
        policies=tuple(
            f"{each.party}: {rule.title}"
            for each in verdict.decisions
            for rule in each.decision.rules
        )
    )
