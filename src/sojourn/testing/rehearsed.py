"""What is final in a rehearsal, and the custodian that makes it so: a zone's word without a zone.

A *point* is a moment right before, or right after, something becomes final. They are counted through all lives of
the agent, from 0, even ones before and odd ones after, so that a host can be killed at each of them: all that an
agent can lose lies between two.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from sojourn.core.agent.actions import fields_of
from sojourn.core.agent.approvals import Demand, Petition, SignedApproval
from sojourn.core.agent.budgets import charged, check_affordable, spend
from sojourn.core.agent.capabilities import Capabilities, Requirements
from sojourn.core.agent.eligibility import Budget, Eligibility, Status, check_budgets
from sojourn.core.agent.governance import Governance
from sojourn.core.agent.inquiries import SignedAnswer
from sojourn.core.agent.lineage import Lineage
from sojourn.core.agent.memory.blocks import BlockSource, MissingBlock, NewBlocks, NoBlocks, links
from sojourn.core.agent.memory.field import Memory, check_compartments
from sojourn.core.agent.record import AgentRecord, Custody
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.agent.trust import Trust
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Denied, Refused, Rejected
from sojourn.core.policy.decision import Ask
from sojourn.core.protocol.asking import Unapproved, pending
from sojourn.core.protocol.spawning import Gift, begotten
from sojourn.host.queues import Queues
from sojourn.runtime.ports import Assessment, Draft, Intent, Message, Parcel, Permit
from sojourn.runtime.processes import clock
from sojourn.runtime.sought import Sought
from sojourn.testing.anybody import Answering
from sojourn.testing.corresponding import RehearsedLetters
from sojourn.testing.founding import Keep, compartment, person_key
from sojourn.testing.person import approval
from sojourn.testing.rehearsed_places import Place
from sojourn.testing.rehearsed_rules import Rules

__all__ = ["Decided", "RehearsedCustody", "Stored", "first_record"]

_RULES: Final = digest(b"the rules of a rehearsal")


class Stored:
    """Stored blocks."""

    def __init__(self) -> None:
        self.by_digest: dict[bytes, bytes] = {}

    def get(self, named: bytes) -> bytes:
        """Return a block. Raises `MissingBlock`."""
        if named not in self.by_digest:
            raise MissingBlock(named)
        return self.by_digest[named]


@dataclass
class Decided:
    """All that is final of one agent, and what it waits for.

    `points` says of each point what it lies before or after. `answers` holds what people said to petitions, by
    digest; `approver` answers every one with yes.
    """

    record: AgentRecord
    places: dict[bytes, Place]
    stored: Stored
    entropy: bytes
    rules: Rules | None = None
    points: list[str] = field(default_factory=list)
    inbox: list[Message] = field(default_factory=list)
    consumed: int = 0
    asked: dict[bytes, Petition] = field(default_factory=dict)
    answers: dict[bytes, SignedApproval] = field(default_factory=dict)
    said: dict[bytes, list[SignedAnswer]] = field(default_factory=dict)
    over: set[bytes] = field(default_factory=set)
    children: list[AgentRecord] = field(default_factory=list)
    born: set[bytes] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    letters: dict[str, Parcel] = field(default_factory=dict)
    answering: Callable[[Any], Any] | None = None
    lines: list[tuple[str, str]] = field(default_factory=list)
    approver: str = ""
    watchers: list[asyncio.Future[None]] = field(default_factory=list)

    @property
    def place(self) -> Place:
        """Where the agent is."""
        return self.places[self.record.custody.zone]

    def stir(self) -> None:
        """Let who waits look again."""
        watchers, self.watchers = self.watchers, []
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)

    # --- transitions ----------------------------------------------------------------------------------

    def step(self, draft: Draft) -> None:
        """Make a step final."""
        check_compartments(self.record.memory.compartments, draft.memory.compartments)
        eligibility = self.record.eligibility
        waits = tuple(each for each in eligibility.petitions if each.petition not in self.over)
        self._advance(
            TransitionKind.STEP,
            draft,
            status=draft.status or eligibility.status,
            wake=draft.wake,
            petitions=waits,
        )
        self.consumed = max(self.consumed, draft.inbox)

    def intend(self, intent: Intent, draft: Draft) -> None:
        """Make an intent final."""
        if intent.key in self.keys:
            raise AssertionError(f"the effect key {intent.key} was given twice")
        self.keys.add(intent.key)
        named = digest_of(intent.petition) if intent.petition else None
        waits = (each for each in self.record.eligibility.petitions if each.petition != named)
        declared = {"cost_micros": intent.cost_micros, "tokens": intent.tokens}
        self._advance(TransitionKind.INTEND, draft, declared, petitions=tuple(waits))

    def ask(self, petition: Petition, draft: Draft) -> None:
        """Make a petition final."""
        waits = (*self.record.eligibility.petitions, pending(petition))
        self._advance(TransitionKind.ASK, draft, petitions=waits)
        self.asked[digest_of(petition)] = petition

    def spawn(self, child: AgentRecord, draft: Draft) -> None:
        """Make a SPAWN final."""
        given = {name: budget.limit for name, budget in child.eligibility.budgets.items()}
        count = self.record.eligibility.children + 1
        self._advance(
            TransitionKind.SPAWN, draft, given, children=count, last_decision=child.digest
        )

    def move(self, place: Place) -> None:
        """Make a departure to a place, and the admission there, final; what may not be there stays behind."""
        old = self.record
        here = old.custody
        compartments = {
            name: msgspec.structs.replace(c, held_by=self._holder(name, c.held_by, place))
            for name, c in old.memory.compartments.items()
        }
        custody = msgspec.structs.replace(here, zone=place.zone, term=here.term + 1, binding=0)
        memory = msgspec.structs.replace(old.memory, compartments=compartments)
        self._decide(TransitionKind.DEPART, {}, memory=memory, custody=custody)

    def _holder(self, name: str, held_by: bytes | None, place: Place) -> bytes | None:
        """Return the zone that holds a compartment when the agent has moved to a place; None if it travels."""
        if held_by is not None:
            return None if held_by == place.zone else held_by
        return self.record.custody.zone if name in place.stays else None

    def _advance(
        self,
        kind: TransitionKind,
        draft: Draft,
        declared: Mapping[str, int] | None = None,
        **changes: object,
    ) -> None:
        for named, data in draft.blocks.items():
            for below in links(data):
                self.stored.get(below)
            self.stored.by_digest[named] = data
        eligibility = self.record.eligibility
        budgets = spend(eligibility.budgets, draft.spent)
        after = msgspec.structs.replace(eligibility, budgets=budgets, **changes)
        self._decide(kind, declared or {}, memory=draft.memory, eligibility=after)

    def _decide(self, kind: TransitionKind, declared: Mapping[str, int], **changes: object) -> None:
        old = self.record
        new = msgspec.structs.replace(
            old, agent=old.agent_id, version=old.version + 1, parent=old.digest, **changes
        )
        new = charged(kind, old, new, clock.wall_ms(), declared)
        check_budgets(old.eligibility.budgets, new.eligibility.budgets)
        self.record = new
        self.stir()


class RehearsedCustody(Answering, RehearsedLetters):
    """A `Custodian`: one host's custody of the agent, as long as that lives.

    `pass_point` is awaited at every point, and does not return if the host is killed there.
    """

    def __init__(self, final: Decided, pass_point: Callable[[int], Awaitable[None]]) -> None:
        """Have custody of what is final."""
        self._final = final
        self._pass_point = pass_point
        self._queues = Queues(lambda: final.place.queues)

    @property
    def record(self) -> AgentRecord:
        """The newest final record."""
        return self._final.record

    @property
    def blocks(self) -> BlockSource:
        """All blocks."""
        return self._final.stored

    async def fetch(self, digests: Sequence[bytes]) -> None:
        """Find that nobody has what is not at hand: it stayed behind, or never was."""
        for named in digests:
            self._final.stored.get(named)

    async def commit(self, draft: Draft) -> AgentRecord:
        """Make a step final."""
        await self._become(_what(draft), lambda: self._final.step(draft))
        return self.record

    async def intend(self, intent: Intent, draft: Draft) -> Permit:
        """Ask the place for an action, then make the intent final."""
        declared = {"cost_micros": intent.cost_micros, "tokens": intent.tokens}
        check_affordable(TransitionKind.INTEND, self.record, declared)
        place = self._check_permitted(intent.action)
        rules = self._final.rules
        said = () if rules is None else rules.judge(intent, self.record, place, self.now_ms())
        self._check_has(intent.secrets)
        if intent.action in place.asks and not intent.approvals:
            raise Unapproved(f"{intent.action} wants an approval in {place.name}")
        what = f"the intent of {intent.step}"
        await self._become(what, lambda: self._final.intend(intent, draft))
        return Permit(policies=said or (f"Permitted in {place.name}.",))

    def _check_permitted(self, action: str) -> Place:
        place = self._final.place
        why = place.why_denied(action)
        if why is not None:
            raise Denied(why, remedy="This place was rehearsed so: see Place(denies=...)")
        return place

    def _check_has(self, names: Sequence[str]) -> None:
        place = self._final.place
        lacking = [name for name in names if name not in place.secrets]
        if lacking:
            remedy = f"Rehearse it with Place(secrets={{{lacking[0]!r}: ...}})"
            raise Denied(f"{place.name} has no secret {lacking[0]!r}", remedy=remedy)

    async def secrets(self, step: str, action: str, names: Sequence[str]) -> dict[str, str]:
        """Return what the place has."""
        self._check_has(names)
        return {name: self._final.place.secrets[name] for name in names}

    async def petition(self, intent: Intent) -> Petition:
        """Return what people are to be asked."""
        place, now_ms = self._final.place, self.now_ms()
        return Petition(
            agent=self.record.agent_id,
            version=self.record.version + 1,
            policy=_RULES,
            request=intent.arguments,
            demands=(Demand(policy=_RULES, asks=(Ask(document="rules", group=place.name),)),),
            **fields_of(intent),
            asked_ms=now_ms,
            expires_ms=now_ms + round(place.asks_for * 1000),
        )

    async def ask(self, petition: Petition, draft: Draft) -> None:
        """Make a petition final."""
        what = f"the petition for {petition.step}"
        await self._become(what, lambda: self._final.ask(petition, draft))

    async def answered(self, petition: Petition) -> tuple[SignedApproval, ...]:
        """Wait for an answer, until the petition expires."""
        final, named = self._final, digest_of(petition)
        while True:
            if final.approver and named not in final.answers:
                final.answers[named] = approval(
                    petition, final.approver, self.now_ms(), is_approved=True, reason=""
                )
            said = final.answers.get(named)
            if said is not None and said.approval.is_approved:
                return (said,)
            if said is not None:
                self.withdraw(named)
                why = f": {said.approval.reason}" if said.approval.reason else ""
                raise Denied(f"{petition.action} was declined{why}")
            if self.now_ms() >= petition.expires_ms:
                self.withdraw(named)
                raise Denied(f"{petition.action} was not approved in time: the petition is over")
            left_s = (petition.expires_ms - self.now_ms()) / 1000
            await asyncio.wait((self._watcher(),), timeout=left_s)

    def withdraw(self, petition: bytes) -> None:
        """Let a petition be dropped with the next step."""
        self._final.over.add(petition)

    async def beget(self, gift: Gift, memory: Memory) -> AgentRecord:
        """Return the genesis of the next child."""
        try:
            return begotten(self.record, gift, memory, digest(b"no parentage in a rehearsal"))
        except Rejected as error:
            raise Denied(f"no child: {error}") from None

    async def spawn(self, child: AgentRecord, draft: Draft) -> Permit:
        """Ask the place for a child, then make its SPAWN final."""
        given = {name: budget.limit for name, budget in child.eligibility.budgets.items()}
        check_affordable(TransitionKind.SPAWN, self.record, given)
        place = self._check_permitted("spawn")
        await self._become("a spawn", lambda: self._final.spawn(child, draft))
        return Permit(policies=(f"Permitted in {place.name}.",))

    async def bear(self, child: AgentRecord, version: int) -> None:
        """Note that a child was born. It is not run: rehearse its class by itself."""
        if child.digest not in self._final.born:
            self._final.born.add(child.digest)
            self._final.children.append(child)

    async def places(self) -> tuple[Assessment, ...]:
        """Return the agent's judgement of every place."""
        current = self.record.custody.zone
        return tuple(place.assessed(current) for place in self._final.places.values())

    async def depart(self, zone: bytes) -> None:
        """Move to a place, if it takes the agent in."""
        place = self._final.places.get(zone)
        if place is None or place.refuses:
            raise Refused(place.refuses if place else "no such place is known")
        check_affordable(TransitionKind.DEPART, self.record)
        await self._become(f"the move to {place.name}", lambda: self._final.move(place))

    async def seek(self, sought: Sought) -> Assessment:
        """Wait for a place."""
        while True:
            fitting = [place for place in await self.places() if self._fits(place, sought)]
            if fitting:
                return min(fitting, key=lambda place: (place.price_micros or 0, place.name))
            await self._watcher()

    def _fits(self, place: Assessment, sought: Sought) -> bool:
        offer, price = self._final.places[place.zone].offer, place.price_micros
        return price is not None and sought.fits(place.name, offer, price) and sought.admits(place)

    async def receive(self, index: int, answers: str = "") -> Message:
        """Wait for a message, or the answer to a letter."""
        if answers:
            return await self.answer_to(answers)
        while index >= len(self._final.inbox):
            await self._watcher()
        return self._final.inbox[index]

    async def sleep_until(self, at_ms: int) -> None:
        """Wait until it is that time."""
        while (left_ms := at_ms - self.now_ms()) > 0:
            await asyncio.sleep(left_ms / 1000)

    async def enter(self, queue: str) -> Callable[[], None]:
        """Wait for a place in a queue of the place where it is."""
        return await self._queues.enter(self.record.agent_id, queue)

    def lease_valid(self) -> bool:
        """Return True: a host that has lost its lease is one that was killed."""
        return True

    def now_ms(self) -> int:
        """Return virtual wall time."""
        return clock.wall_ms()

    def entropy(self, size: int) -> bytes:
        """Return bytes that are the same in every rehearsal of a seed."""
        return self._final.entropy[:size]

    def log(self, source: str, text: str) -> None:
        """Keep a line."""
        self._final.lines.append((source, text))

    def _watcher(self) -> asyncio.Future[None]:
        watcher = asyncio.get_running_loop().create_future()
        self._final.watchers.append(watcher)
        return watcher

    async def _become(self, what: str, become_final: Callable[[], None]) -> None:
        """Pass the point before something becomes final, make it so, and pass the point after."""
        await asyncio.sleep(0)
        await self._pass(f"before {what}")
        become_final()
        await self._pass(f"after {what}")
        await asyncio.sleep(0)

    async def _pass(self, where: str) -> None:
        self._final.points.append(where)
        await self._pass_point(len(self._final.points) - 1)


def _what(draft: Draft) -> str:
    if draft.status is Status.DORMANT:
        return "the agent's rest or end"
    if draft.status is not None:
        return "the agent's waking"
    return f"a step with {draft.records} records"


def first_record(
    seed: str,
    entry: str,
    home: Place,
    memory: Mapping[str, Any],
    budgets: Mapping[str, int],
    stored: Stored,
) -> AgentRecord:
    """Return the genesis of an agent, its memory stored."""
    blocks = NewBlocks(NoBlocks())
    kept = {name: _kept(values) for name, values in memory.items()}
    compartments = {name: compartment(keep, blocks) for name, keep in kept.items()}
    stored.by_digest.update(blocks.made)
    return AgentRecord(
        realm="rehearsed",
        agent=ZERO,
        version=0,
        parent=digest(seed.encode()),
        custody=Custody(zone=home.zone, term=0, binding=0, host=person_key("a host")),
        migration=None,
        governance=Governance(documents=(_RULES,), version=1),
        memory=Memory(compartments=compartments),
        lineage=Lineage(),
        eligibility=Eligibility(
            status=Status.ACTIVE,
            budgets={name: Budget(limit=limit) for name, limit in budgets.items()},
        ),
        trust=Trust(),
        capabilities=Capabilities(
            requires=Requirements(), code=_RULES, entry=entry, publisher=person_key("publisher")
        ),
    )


def _kept(values: Any) -> Keep:
    if isinstance(values, Keep):
        return values
    return Keep(values=() if values is None else values)
