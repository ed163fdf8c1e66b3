"""What the host's side proposes for an agent: batches, intents, departures, rest, and its end.

One proposal at a time, each on top of what is final; one that fails leaves nothing behind. None without a
live lease (protocol §10).
"""

from collections import ChainMap, Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from sojourn.core.agent.approvals import Petition, SignedApproval
from sojourn.core.agent.budgets import COUNTED, STEPS
from sojourn.core.agent.eligibility import Status, Wake
from sojourn.core.agent.memory.blocks import links_in
from sojourn.core.agent.memory.field import Compartment, Memory
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, cid_text, digest
from sojourn.core.base.encoding import decode, encode, encode_block
from sojourn.core.base.errors import BudgetExhausted, Denied, Rejected
from sojourn.runtime.errors import LeaseLost
from sojourn.runtime.frames import SPELLED_BYTES_MAX, Ask, Commit, Intend, Rest
from sojourn.runtime.holdings import Holdings, size_change
from sojourn.runtime.journal import Journal, Saved, at_hand, plain_record
from sojourn.runtime.newborn import gift_of, memory_of, read_wish
from sojourn.runtime.ports import Assessment, Custodian, Draft, Intent
from sojourn.runtime.records import (
    Asked,
    Considered,
    Denial,
    Failure,
    Intended,
    Outcome,
    Raised,
    Record,
    Spawned,
    parse_record,
)

__all__ = ["Proposer", "read_spelled"]

_LINK: Final = b"\xd8\x2a"
"""The tag of a link, as DAG-CBOR writes it."""
REASON_CHARS_MAX: Final = 16_384
"""Of why the gate denied an effect: all rules of both parties that decided, and the values that they saw."""


class Proposer:
    """Proposes one agent's transitions. `journal` is the final one; `holdings` says what is the agent's."""

    def __init__(self, custodian: Custodian, journal: Journal, holdings: Holdings) -> None:
        self.journal = journal
        self._holdings = holdings
        self._custodian = custodian
        self._staying: dict[bytes, Collection[str]] = {}
        self._held: list[tuple[Commit, Mapping[bytes, bytes]]] = []

    def check_lease(self) -> None:
        """Raise `LeaseLost` unless this host may act for the agent at this moment."""
        if not self._custodian.lease_valid():
            raise LeaseLost("the lease of this host for the agent has run out")

    def check_may_act(self) -> None:
        """Raise `LeaseLost` unless an effect whose intent is final may be had at this moment.

        The gate is not asked again for it; in quarantine it waits all the same (protocol §8.7).
        """
        self.check_lease()
        if self._custodian.record.eligibility.is_alone:
            raise LeaseLost("in quarantine: it acts on nothing until that is lifted")

    async def commit(self, frame: Commit, kept: Mapping[bytes, bytes]) -> None:
        """Make a batch final, with the new blocks that came with it.

        Where the agent's steps or time are used up, it becomes final with the one that lays the agent to rest.

        Raises `Rejected` for what the agent's side may not say.
        """
        if not frame.spent.keys().isdisjoint(COUNTED):
            problem = "the agent's side counts what is counted for it"
            raise Rejected(problem, reason="out-of-turn", where="frame.spent")
        is_last = frame.rest is not None or frame.resume.ended is not None
        if self._custodian.record.eligibility.is_exhausted and not is_last:
            self._held.append((frame, kept))
            return
        frame, kept = self._joined(frame, kept)
        parsed = [parse_record(data) for data in frame.records]
        if any(isinstance(record, Asked | Intended | Denial | Spawned) for record, _ in parsed):
            problem = "the agent's side wrote what the gate answered"
            raise Rejected(problem, reason="out-of-turn", where="frame")
        plain = [plain for _, plain in parsed]
        _check_unlinked(frame.records, plain)
        journal = self.journal.append(plain, frame.resume)
        self._check_roots(frame)
        compartments = await self._changed(frame.roots, kept)
        await self._propose(
            journal,
            self._status(frame),
            compartments=compartments,
            blocks=kept,
            records=len(plain),
            spent={**frame.spent, STEPS: _steps(record for record, _ in parsed)},
            wake=() if frame.rest is None else (_wake(frame.rest),),
        )

    def _joined(
        self, frame: Commit, kept: Mapping[bytes, bytes]
    ) -> tuple[Commit, Mapping[bytes, bytes]]:
        """Return a batch with those before it that wait to become final."""
        frames = [*(held for held, _ in self._held), frame]
        blocks = [*(held for _, held in self._held), kept]
        self._held = []
        spent: Counter[str] = Counter()
        for each in frames:
            spent.update(each.spent)
        records = tuple(record for each in frames for record in each.records)
        joined = msgspec.structs.replace(frame, records=records, spent=dict(spent))
        return joined, dict(ChainMap(*map(dict, reversed(blocks))))

    async def intend(self, frame: Intend, approvals: tuple[SignedApproval, ...] = ()) -> str:
        """Make an intent final and return its effect key. Raises `Denied`, and then nothing has changed.

        `approvals` are the answers to the petition that it names.
        """
        await self._wake_up()
        intent = msgspec.structs.replace(
            self._intent(frame), petition=frame.petition, approvals=approvals
        )
        record = _intended(frame, intent.key, approvals)
        saved = self.journal.append([plain_record(record)]).save(self._elsewhere())
        self.check_lease()
        try:
            permit = await self._custodian.intend(intent, self._draft(saved, records=1))
        finally:
            saved.forget()
        self.journal = saved.journal
        self._custodian.log("gate", f"{frame.action} permitted. {' '.join(permit.policies)}")
        return intent.key

    async def ask(self, frame: Ask) -> Petition:
        """Make a petition for an action final and return it. Raises `Denied`, and then nothing has changed."""
        if digest(frame.spelled) != frame.arguments:
            problem = "the arguments to approve are not those of the step"
            raise Rejected(problem, reason="bad-field", where="frame.spelled")
        spelled = read_spelled(frame.spelled)
        await self._wake_up()
        petition = await self._custodian.petition(self._intent(frame))
        record = _asked(frame, petition, spelled)
        saved = self.journal.append([plain_record(record)]).save(self._elsewhere())
        self.check_lease()
        try:
            await self._custodian.ask(petition, self._draft(saved, records=1))
        finally:
            saved.forget()
        self.journal = saved.journal
        self._custodian.log("gate", f"{frame.action} waits for an approval by {petition.asked_of}")
        return petition

    async def spawn(self, frame: Spawn) -> tuple[AgentRecord, int]:
        """Make the SPAWN of a child final; return its genesis, and the version of the SPAWN.

        Raises `Denied`, and then nothing has changed.
        """
        if digest(frame.spelled) != frame.arguments:
            problem = "the child wished for is another"
            raise Rejected(problem, reason="bad-field", where="frame.spelled")
        wish = read_wish(frame.spelled)
        await self._wake_up()
        memory, blocks = memory_of(wish, self._custodian)
        child = await self._custodian.beget(gift_of(wish), memory)
        version = self._custodian.record.version + 1
        record = _spawned(frame, child, version)
        saved = self.journal.append([plain_record(record)]).save(self._elsewhere())
        draft = self._draft(saved, records=1)
        draft = msgspec.structs.replace(draft, blocks={**blocks, **draft.blocks})
        self.check_lease()
        try:
            permit = await self._custodian.spawn(child, draft)
        finally:
            saved.forget()
        self.journal = saved.journal
        self._custodian.log("gate", f"spawn permitted. {' '.join(permit.policies)}")
        return child, version

    async def _wake_up(self) -> None:
        """Make the agent active, if it rested for want of steps or time and goes on with what it asks now."""
        if self._awake() is not None:
            await self._propose(self.journal, self._awake())

    def _intent(self, frame: Intend | Ask) -> Intent:
        record = self._custodian.record
        return Intent(
            key=f"{cid_text(record.agent_id)}/{record.custody.term}/{record.version + 1}/0",
            step=frame.step,
            action=frame.action,
            effect=frame.effect,
            arguments=frame.arguments,
            cost_micros=frame.cost_micros,
            tokens=frame.tokens,
        )

    async def deny(self, frame: Intend | Ask | Spawn, denied: Denied) -> None:
        """Make final that the gate denied an effect, and why: the code is told of it only afterwards."""
        record = plain_record(self._denial(frame, denied))
        await self._propose(self.journal.append([record]), self._awake(), records=1)

    def _denial(self, frame: Intend | Ask | Spawn, denied: Denied) -> Denial:
        record = self._custodian.record
        return Denial(
            call=frame.call,
            step=frame.step,
            arguments=frame.arguments,
            action=frame.action,
            effect=frame.effect,
            at_ms=self._custodian.now_ms(),
            zone=record.custody.zone,
            version=record.version,
            cause="exhausted" if isinstance(denied, BudgetExhausted) else "denied",
            reason=denied.problem[:REASON_CHARS_MAX],
            remedy=denied.remedy[:REASON_CHARS_MAX],
        )

    def note_places(self, places: Sequence[Assessment]) -> None:
        """Remember which compartments would stay behind when the agent leaves for these places."""
        self._staying = {place.zone: place.stays for place in places}

    async def depart(self, zone: bytes) -> None:
        """Move the agent to a zone. Raises `Refused` or `Denied` if it stays."""
        staying = self._staying.get(zone, ())
        if staying:  # the journal travels: it must not link to what does not
            await self._propose(self.journal, self._awake(), unlinked=staying)
        self.check_lease()
        await self._custodian.depart(zone)

    async def rest(self, frame: Rest) -> None:
        """Let the agent rest, dormant, until a time or a message."""
        if self._held:
            last, kept = self._held.pop()
            await self.commit(msgspec.structs.replace(last, rest=frame), kept)
        else:
            await self._propose(self.journal, Status.DORMANT, wake=(_wake(frame),))

    async def fail(self, failure: Failure) -> None:
        """Record that the agent has failed, on top of what is final."""
        ended = msgspec.structs.replace(self.journal.resume, ended="raised")
        journal = self.journal.append([plain_record(Raised(failure=failure))], ended)
        await self._propose(journal, Status.DORMANT, records=1)

    async def _propose(
        self,
        journal: Journal,
        status: Status | None,
        *,
        compartments: Mapping[str, Compartment] | None = None,
        blocks: Mapping[bytes, bytes] | None = None,
        records: int = 0,
        spent: Mapping[str, int] | None = None,
        wake: tuple[Wake, ...] = (),
        unlinked: Collection[str] = (),
    ) -> None:
        """Make a step final, and its journal with it."""
        saved = journal.save({*self._elsewhere(), *unlinked})
        draft = self._draft(saved, records=records, compartments=compartments)
        self.check_lease()
        try:
            await self._custodian.commit(
                msgspec.structs.replace(
                    draft,
                    blocks={**(blocks or {}), **draft.blocks},
                    spent=dict(spent or {}),
                    status=status,
                    wake=wake,
                )
            )
        finally:
            saved.forget()
        self.journal = saved.journal

    def _draft(
        self,
        saved: Saved,
        *,
        records: int,
        compartments: Mapping[str, Compartment] | None = None,
    ) -> Draft:
        memory = msgspec.structs.replace(
            self._memory,
            journal=saved.root,
            compartments=dict(compartments or self._memory.compartments),
        )
        inbox = saved.journal.resume.inbox
        return Draft(memory=memory, blocks=saved.blocks, records=records, inbox=inbox)

    async def _changed(
        self, roots: Mapping[str, bytes], kept: Mapping[bytes, bytes]
    ) -> dict[str, Compartment]:
        """Return the compartments with new roots and sizes."""
        changed = dict(self._memory.compartments)
        for name, root in roots.items():
            old = changed[name]
            if root != old.root:
                weigh = partial(size_change, old.root, root, kept, self._custodian.blocks)
                size = max(0, old.size + await at_hand(self._custodian, weigh))
                changed[name] = msgspec.structs.replace(old, root=root, size=size)
        return changed

    def _check_roots(self, frame: Commit) -> None:
        """Check that all roots are the agent's own, and that what is held elsewhere does not change."""
        compartments, elsewhere = self._memory.compartments, self._elsewhere()
        for roots in (frame.roots, *(segment.memory for segment in frame.resume.segments)):
            unknown = roots.keys() - compartments.keys()
            if unknown:
                problem = f"there is no compartment {min(unknown)!r}"
                raise Rejected(problem, reason="bad-field", where="frame")
            self._holdings.check_own(root for root in roots.values() if root != ZERO)
        if any(frame.roots.get(n, compartments[n].root) != compartments[n].root for n in elsewhere):
            problem = "a compartment that is held elsewhere has changed"
            raise Rejected(problem, reason="bad-change", where="frame")

    def _elsewhere(self) -> set[str]:
        """Return the names of the compartments that stayed behind in other zones."""
        here = (None, self._custodian.record.custody.zone)
        return {n for n, c in self._memory.compartments.items() if c.held_by not in here}

    def _status(self, frame: Commit) -> Status | None:
        return Status.DORMANT if frame.resume.ended or frame.rest else self._awake()

    def _awake(self) -> Status | None:
        return None if self._custodian.record.eligibility.status is Status.ACTIVE else Status.ACTIVE

    @property
    def _memory(self) -> Memory:
        return self._custodian.record.memory


def _check_unlinked(records: Sequence[bytes], plain: Sequence[Any]) -> None:
    """Raise `Rejected` if a record links to a block: the journal travels with all that is below it (protocol §10.10).

    No value of an agent's has links, so that one was written past the runtime: to a neighbour's memory, or to what
    may not leave. Few records have the bytes that begin one, and only these are looked through.
    """
    for data, value in zip(records, plain, strict=True):
        if _LINK in data and links_in(value):
            problem = "a record of the journal links to a block"
            raise Rejected(problem, reason="bad-link", where="frame")


def read_spelled(data: bytes) -> Any:
    """Return a step's arguments, [positional, named], as people are shown them and a journal keeps them.

    Raises `Denied` where that cannot be: for links, which would reach into anybody's memory, and deep nesting.
    """
    try:
        plain = decode(data, Any, what="arguments", limit=SPELLED_BYTES_MAX)
        encode_block([[plain]])
        msgspec.convert(plain, tuple[list[Any], dict[str, Any]])
    except (Rejected, msgspec.ValidationError) as error:
        raise Denied(f"people cannot be shown what is to be approved: {error}") from None
    return plain


def _asked(frame: Ask, petition: Petition, spelled: Any) -> Asked:
    return Asked(
        call=frame.call,
        step=frame.step,
        arguments=frame.arguments,
        petition=petition,
        spelled=spelled,
    )


def _spawned(frame: Spawn, child: AgentRecord, version: int) -> Spawned:
    return Spawned(
        call=frame.call,
        step=frame.step,
        arguments=frame.arguments,
        child=child.digest,
        genesis=encode(child),
        version=version,
    )


def _wake(rest: Rest) -> Wake:
    return Wake(at_ms=rest.until_ms, on_message=rest.listening)


def _steps(records: Iterable[Record]) -> int:
    """Return how many steps of the code the records of a batch stand for: outcomes, and considerations."""
    return sum(isinstance(record, Outcome | Considered) for record in records)


def _intended(frame: Intend, key: str, approvals: tuple[SignedApproval, ...]) -> Intended:
    return Intended(
        call=frame.call,
        step=frame.step,
        arguments=frame.arguments,
        action=frame.action,
        effect=frame.effect,
        key=key,
        cost_micros=frame.cost_micros,
        tokens=frame.tokens,
        approvals=approvals,
    )
