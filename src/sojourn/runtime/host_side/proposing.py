"""What the host's side proposes for an agent: batches, intents, departures, rest, and its end.

One proposal at a time, each on top of what is final; one that fails leaves nothing behind. None without a
live lease (protocol §10).
"""

from collections import ChainMap, Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET

from sojourn.core.agent.approvals import Petition, SignedApproval
from sojourn.core.agent.budgets import COUNTED, STEPS, check_affordable
from sojourn.core.agent.capabilities import Capabilities
from sojourn.core.agent.eligibility import Status, Wake
from sojourn.core.agent.memory.blocks import NewBlocks, links_in
from sojourn.core.agent.memory.field import Compartment, Memory
from sojourn.core.agent.memory.marks import Marks, home_of, labels_of, residency_of
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import ZERO, cid_text, digest
from sojourn.core.base.errors import Denied, Rejected
from sojourn.runtime.agent_side.inquiring import settled_by
from sojourn.runtime.apart import of_the_agent, put_apart
from sojourn.runtime.errors import LeaseLost
from sojourn.runtime.holdings import Holdings, size_change
from sojourn.runtime.host_side.flow import Course, Flow
from sojourn.runtime.host_side.following import addressed, answered_in
from sojourn.runtime.host_side.journal import (
    Journal,
    Saved,
    at_hand,
    check_resume,
    own_roots,
    plain_record,
)
from sojourn.runtime.host_side.newborn import newborn, spawned_record
from sojourn.runtime.host_side.written import (
    OF_THE_HOST,
    Gated,
    action_of,
    asked,
    denial_of,
    effect_of,
    intended,
    read_spelled,
)
from sojourn.runtime.ports import Assessment, Custodian, Draft, Intent
from sojourn.runtime.questions import Ask, AskRelease, Commit, Intend, Release, Rest, Spawn
from sojourn.runtime.records import (
    Considered,
    Failure,
    Outcome,
    Raised,
    Record,
    Resume,
    Unshown,
    parse_record,
)

__all__ = ["Proposer"]

T = TypeVar("T")

_LINK: Final = b"\xd8\x2a"
"""The tag of a link, as DAG-CBOR writes it."""


class Proposer:
    """Proposes one agent's transitions. `journal` is the final one; `holdings` says what is the agent's.

    `flow` says by what it is bound. `adopts` is what becomes of an upgrade with the next step.
    """

    def __init__(
        self, custodian: Custodian, journal: Journal, holdings: Holdings, flow: Flow
    ) -> None:
        self.journal = journal
        self._holdings = holdings
        self._flow = flow
        self._custodian = custodian
        self._staying: dict[bytes, Collection[str]] = {}
        self.adopts: Capabilities | None = None
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
        _check_uncounted(frame.spent)
        is_last = frame.rest is not None or frame.resume.ended is not None
        if self._custodian.record.eligibility.is_exhausted and not is_last:
            self._flow.hold(frame.records)
            self._held.append((frame, kept))
            return
        batches, restart_points = 1 + len(self._held), self.journal.restart_points
        frame, kept = self._joined(frame, kept)
        parsed = [parse_record(data) for data in frame.records]
        if any(isinstance(record, OF_THE_HOST) for record, _ in parsed):
            problem = "the agent's side wrote what the host alone writes"
            raise Rejected(problem, reason="out-of-turn", where="frame")
        plain = [plain for _, plain in parsed]
        _check_unlinked(frame.records, plain)
        before, after = len(self.journal), len(self.journal) + len(parsed)
        check_resume(frame.resume, after)
        self._check_roots(frame)
        course = await self._follow(frame, [record for record, _ in parsed], kept)
        marks = self._flow.marks_of(frame.records)
        resume = self._flow.bound(self.journal.resume, frame.resume, before, marks)
        compartments = await self._changed(frame.roots, kept)
        await self._record(
            [plain for _, plain in parsed],
            marks,
            resume,
            self._status(frame),
            compartments=compartments,
            blocks=kept,
            spent={**frame.spent, STEPS: _steps(record for record, _ in parsed)},
            wake=() if frame.rest is None else (_wake(frame.rest),),
            answered=answered_in(record for record, _ in parsed),
        )
        self._flow.settle(frame, course)
        has_moved = self.journal.restart_points != restart_points
        roots = partial(own_roots, self._custodian.record, resume) if has_moved else None
        self._holdings.settle(batches, roots)
        self._custodian.settle(settled_by(record for record, _ in parsed))

    async def _follow(
        self, frame: Commit, records: Sequence[Record], kept: Mapping[bytes, bytes]
    ) -> Course:
        """Check what became of memory against what the code has used, and return what it has come to."""
        source = NewBlocks(self._custodian.blocks, dict(kept))
        course = await at_hand(self._custodian, partial(self._flow.follow, frame, records, source))
        snapshots = (segment.memory for segment in frame.resume.segments)
        for name, root in (item for roots in (frame.roots, *snapshots) for item in roots.items()):
            if root != ZERO:
                for holders in self._holdings.file(name, root):
                    self._flow.check_links(name, holders)
        return course

    async def _record(
        self,
        records: list[Any],
        marks: Sequence[Marks],
        resume: Resume,
        status: Status | None,
        *,
        compartments: dict[str, Compartment] | None = None,
        blocks: Mapping[bytes, bytes] | None = None,
        spent: Mapping[str, int] | None = None,
        wake: tuple[Wake, ...] = (),
        answered: tuple[str, ...] = (),
    ) -> None:
        """Make plain records final, apart from the journal if they may not be wherever that is."""
        record = self._custodian.record
        if compartments:
            memory = msgspec.structs.replace(record.memory, compartments=compartments)
            record = msgspec.structs.replace(record, memory=memory)
        put = partial(put_apart, records, marks, record, self._custodian.blocks)
        entries, kept, made = await at_hand(self._custodian, put)
        await self._propose(
            self.journal.append(entries, resume),
            status,
            compartments=kept,
            blocks={**(blocks or {}), **made},
            records=len(entries),
            spent=spent,
            wake=wake,
            answered=answered,
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

    async def intend(
        self, frame: Intend | Release, approvals: tuple[SignedApproval, ...] = ()
    ) -> str:
        """Make an intent final and return its effect key. Raises `Denied`, and then nothing has changed.

        `approvals` are the answers to the petition that it names. What the step spends is spent by it.
        """
        _check_uncounted(frame.spends)
        await self._wake_up()
        check_affordable(TransitionKind.INTEND, self._custodian.record, frame.spends)
        intent = await addressed(self._intent(frame), self._flow.marks, self._custodian)
        intent = msgspec.structs.replace(intent, petition=frame.petition, approvals=approvals)
        record = intended(frame.call, intent)
        rule = partial(self._custodian.intend, intent)
        permit = await self._rule(record, rule, spent=frame.spends)
        if isinstance(frame, Release):
            self._flow.permit(frame)
        self._custodian.log("gate", f"{intent.action} permitted. {' '.join(permit.policies)}")
        return intent.key

    async def ask(self, frame: Ask | AskRelease) -> Petition:
        """Make a petition for an action final and return it. Raises `Denied`, and then nothing has changed."""
        if home_of(self._flow.marks):
            raise Denied(
                f"step {frame.step!r} waits for an approval, and its agent has used what may not be everywhere: "
                "what people are shown stands in the journal, which travels",
                remedy="Ask before that is used, or behind a restart point",
            )
        if digest(frame.spelled) != frame.arguments:
            problem = "the arguments to approve are not those of the step"
            raise Rejected(problem, reason="bad-field", where="frame.spelled")
        spelled = read_spelled(frame.spelled)
        await self._wake_up()
        petition = await self._custodian.petition(self._intent(frame))
        record = asked(frame, petition, spelled)
        await self._rule(record, partial(self._custodian.ask, petition))
        action, people = petition.action, petition.asked_of
        self._custodian.log("gate", f"{action} waits for an approval by {people}")
        return petition

    async def spawn(self, frame: Spawn) -> tuple[AgentRecord, int]:
        """Make the SPAWN of a child final; return its genesis, and the version of the SPAWN.

        Raises `Denied`, and then nothing has changed.
        """
        _check_may_give(self._flow.marks)
        await self._wake_up()
        child, blocks = await newborn(frame, self._custodian)
        version = self._custodian.record.version + 1
        record = spawned_record(frame, child, version)
        permit = await self._rule(record, partial(self._custodian.spawn, child), blocks)
        self._custodian.log("gate", f"spawn permitted. {' '.join(permit.policies)}")
        return child, version

    async def _rule(
        self,
        record: Record,
        rule: Callable[[Draft], Awaitable[T]],
        blocks: Mapping[bytes, bytes] | None = None,
        spent: Mapping[str, int] | None = None,
    ) -> T:
        """Have made final by `rule` what is journaled as `record`; return what it returns."""
        saved = self.journal.append([plain_record(record)]).save(self._elsewhere())
        draft = self._draft(saved, records=1)
        draft = msgspec.structs.replace(
            draft, blocks={**(blocks or {}), **draft.blocks}, spent=dict(spent or {})
        )
        self.check_lease()
        try:
            ruled = await rule(draft)
        finally:
            saved.forget()
        self.journal = saved.journal
        return ruled

    async def _wake_up(self) -> None:
        """Make the agent active, if it rested for want of steps or time and goes on with what it asks now."""
        if self._awake() is not None:
            await self._propose(self.journal, self._awake())

    async def deny(self, frame: Gated | Spawn, denied: Denied) -> None:
        """Make final that the gate denied an effect or a release, and why, before the code is told of it.

        It says what bound code has asked for, and stands where its other records do (protocol §10.10).
        """
        record = plain_record(denial_of(frame, denied, self._custodian))
        marks, resume = [self._flow.marks], self.journal.resume
        bound = self._flow.bound(resume, resume, len(self.journal), marks)
        await self._record([record], marks, bound, self._awake())

    def _intent(self, frame: Gated) -> Intent:
        """Return what the gate is asked, with the labels of all that the code has used."""
        record, used = self._custodian.record, self._flow.marks
        intent = Intent(
            key=f"{cid_text(record.agent_id)}/{record.custody.term}/{record.version + 1}/0",
            step=frame.step,
            action=action_of(frame),
            effect=effect_of(frame),
            arguments=frame.arguments,
            labels=labels_of(used),
            residency=residency_of(used),
        )
        if isinstance(frame, Intend | Ask):
            return msgspec.structs.replace(
                intent,
                cost_micros=frame.cost_micros,
                tokens=frame.tokens,
                counterpart=frame.counterpart,
                secrets=frame.secrets,
            )
        kept = self._flow.check_release(frame)
        labels, residency = labels_of(kept), residency_of(kept)
        return msgspec.structs.replace(
            intent,
            labels=labels,
            residency=residency,
            labels_dropped=tuple(label for label in intent.labels if label not in labels),
            residency_dropped=tuple(place for place in intent.residency if place not in residency),
        )

    async def note(self, noted: Unshown) -> None:
        """Make final why the agent's code got nowhere, unless the journal says so last of all."""
        last = await at_hand(self._custodian, self.journal.last_unshown)
        if last is None or not noted.repeats(last):
            await self._propose(self.journal.append([plain_record(noted)]), None, records=1)

    async def give_up(self, noted: Unshown, kept: Capabilities) -> None:
        """Make final that an upgrade is not adopted, and why; `kept` are the capabilities that the agent keeps."""
        self.adopts = kept
        await self._propose(self.journal.append([plain_record(noted)]), None, records=1)

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

    @property
    def is_holding(self) -> bool:
        """Whether there is what can become final with the transition alone that lays the agent to rest."""
        return bool(self._held)

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
        record = plain_record(Raised(failure=failure))
        await self._record([record], [self._flow.marks], ended, Status.DORMANT)

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
        answered: tuple[str, ...] = (),
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
                    answered=answered,
                    capabilities=self.adopts,
                )
            )
        finally:
            saved.forget()
        self.journal, self.adopts = saved.journal, None

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
        compartments, elsewhere = of_the_agent(self._memory.compartments), self._elsewhere()
        for roots in (frame.roots, *(segment.memory for segment in frame.resume.segments)):
            unknown = roots.keys() - compartments.keys()
            if unknown:
                problem = f"there is no compartment {min(unknown)!r}"
                raise Rejected(problem, reason="bad-field", where="frame")
            self._holdings.check_own(root for root in roots.values() if root != ZERO)
        away = elsewhere & compartments.keys()
        if any(frame.roots.get(n, compartments[n].root) != compartments[n].root for n in away):
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


def _check_uncounted(spent: Mapping[str, int]) -> None:
    if not spent.keys().isdisjoint(COUNTED):
        problem = "the agent's side counts what is counted for it"
        raise Rejected(problem, reason="out-of-turn", where="frame.spent")


def _check_may_give(marks: Marks) -> None:
    """Raise `Denied` if what an agent's code is bound by keeps it from giving a child anything."""
    if marks:
        raise Denied(
            "its agent has used what may not be everywhere, and a child may go anywhere",
            remedy="Spawn before that is used, or behind a restart point",
        )


def _check_unlinked(records: Sequence[bytes], plain: Sequence[Any]) -> None:
    """Raise `Rejected` if a record links to a block: the journal travels with all that is below it (protocol §10.10).

    No value of an agent's has links, so that one was written past the runtime: to a neighbour's memory, or to what
    may not leave. Few records have the bytes that begin one, and only these are looked through.
    """
    for data, value in zip(records, plain, strict=True):
        if _LINK in data and links_in(value):
            problem = "a record of the journal links to a block"
            raise Rejected(problem, reason="bad-link", where="frame")


def _wake(rest: Rest) -> Wake:
    listening, inquiring, on_call = rest.listening, rest.inquiring, rest.calls or UNSET
    return Wake(at_ms=rest.until_ms, on_message=listening, on_answer=inquiring, on_call=on_call)


def _steps(records: Iterable[Record]) -> int:
    """Return how many steps of the code the records of a batch stand for: outcomes, and considerations."""
    return sum(isinstance(record, Outcome | Considered) for record in records)
