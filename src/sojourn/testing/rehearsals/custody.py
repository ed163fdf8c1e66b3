"""What is final in a rehearsal, and the custodian that makes it so: a zone's word without a zone.

A *point* is a moment right before, or right after, something becomes final. They are counted from 0 through all
lives of the agent and of its family, so that a host can be killed at each of them: all that an agent can lose lies
between two.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from sojourn.core.agent.actions import fields_of
from sojourn.core.agent.approvals import Demand, Petition, SignedApproval
from sojourn.core.agent.budgets import charged, check_affordable, spend
from sojourn.core.agent.eligibility import Status, check_budgets
from sojourn.core.agent.inquiries import SignedAnswer
from sojourn.core.agent.memory.blocks import BlockSource, MissingBlock, links
from sojourn.core.agent.memory.field import (
    Compartment,
    Memory,
    check_compartments,
    erased,
    may_travel,
)
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Denied, Refused, Rejected
from sojourn.core.policy.decision import Ask
from sojourn.core.protocol.asking import Unapproved, pending
from sojourn.core.protocol.querying import Query
from sojourn.core.protocol.spawning import Gift, begotten, spawn_context
from sojourn.host.queues import Queues
from sojourn.runtime.host_side.consulting import Consultation
from sojourn.runtime.ports import Assessment, Draft, Intent, Message, Parcel, Permit
from sojourn.runtime.processes import clock
from sojourn.runtime.sought import Sought
from sojourn.testing.anybody import Answering
from sojourn.testing.founding import person_key
from sojourn.testing.person import approval
from sojourn.testing.rehearsals.corresponding import RehearsedLetters, tell_unread
from sojourn.testing.rehearsals.keys import Keyring
from sojourn.testing.rehearsals.mail import Mail
from sojourn.testing.rehearsals.places import Place
from sojourn.testing.rehearsals.rules import Rules

__all__ = ["HOST", "RULES", "Common", "Decided", "RehearsedCustody", "Stored"]

RULES: Final = digest(b"the rules of a rehearsal")
HOST: Final = person_key("a host")


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
class Common:
    """What all agents of a rehearsal have in common, and they themselves by identifier, the first one first.

    `points` says of each point what it lies before or after. `approver` answers every petition with yes. `consult`
    has a query run on an agent's newest memory, and `bear` begins to run a child.
    """

    places: dict[bytes, Place]
    stored: Stored
    keys: Keyring
    rules: Rules | None
    points: list[str] = field(default_factory=list)
    answering: Callable[[Any], Any] | None = None
    approver: str = ""
    agents: dict[bytes, "Decided"] = field(default_factory=dict)
    consult: Callable[["Decided", Query, Message], Awaitable[Consultation]] = field(init=False)
    bear: Callable[["Decided"], None] = field(init=False)
    now_ms: Callable[[], int] = field(init=False)

    def stir(self) -> None:
        """Let who waits look again, whichever agent it is."""
        for each in self.agents.values():
            each.stir()


@dataclass
class Decided:
    """All that is final of one agent, and what it waits for.

    `name` is what points call it: "" is the agent that is rehearsed. `answers` holds what people said to petitions,
    by digest, `labels` those of each intent by its effect key.
    """

    common: Common
    name: str
    record: AgentRecord
    entropy: bytes
    newest: str = "its genesis"
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    mail: Mail = field(default_factory=Mail)
    asked: dict[bytes, Petition] = field(default_factory=dict)
    answers: dict[bytes, SignedApproval] = field(default_factory=dict)
    said: dict[bytes, list[SignedAnswer]] = field(default_factory=dict)
    over: set[bytes] = field(default_factory=set)
    children: list["Decided"] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    letters: dict[str, Parcel] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    watchers: list[asyncio.Future[None]] = field(default_factory=list)

    @property
    def places(self) -> dict[bytes, Place]:
        """All places."""
        return self.common.places

    @property
    def stored(self) -> Stored:
        """All blocks."""
        return self.common.stored

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
        self.mail.consume(draft.inbox, draft.answered)
        if draft.status is Status.DORMANT:
            tell_unread(self)

    def intend(self, intent: Intent, draft: Draft) -> None:
        """Make an intent final."""
        if intent.key in self.keys:
            raise AssertionError(f"the effect key {intent.key} was given twice")
        self.keys.add(intent.key)
        self.labels[intent.key] = intent.labels
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

    def bind(self) -> None:
        """Let a host have the agent, which was born just now."""
        custody = msgspec.structs.replace(self.record.custody, binding=1, host=HOST)
        self._decide(TransitionKind.BIND, {}, custody=custody)

    def move(self, place: Place) -> None:
        """Make a departure to a place, and the admission there, final; what may not be there stays behind."""
        old = self.record
        here = old.custody
        compartments = {
            name: msgspec.structs.replace(c, held_by=self._holder(name, c, place))
            for name, c in old.memory.compartments.items()
        }
        custody = msgspec.structs.replace(here, zone=place.zone, term=here.term + 1, binding=0)
        memory = msgspec.structs.replace(old.memory, compartments=compartments)
        self._decide(TransitionKind.DEPART, {}, memory=memory, custody=custody)

    def _holder(self, name: str, kept: Compartment, place: Place) -> bytes | None:
        """Return the zone that holds a compartment when the agent has moved to a place; None if it travels."""
        here = self.record.custody.zone
        if kept.held_by is not None or place.zone == here:
            return None if kept.held_by == place.zone else kept.held_by
        stays = name in place.stays or not may_travel(kept, place.jurisdiction)
        return here if stays else None

    def staying(self, place: Place) -> tuple[str, ...]:
        """Return the compartments that would not be there when the agent has moved to a place."""
        kept = self.record.memory.compartments
        return tuple(n for n, c in sorted(kept.items()) if self._holder(n, c, place) is not None)

    def tried(self) -> "Decided":
        """Return the same, to try something that is not final."""
        return replace(self, watchers=[])

    def erase(self, key: bytes) -> None:
        """Make an order of officers final by which a key was destroyed."""
        self._decide(TransitionKind.ERASE, {}, memory=erased(self.record.memory, [key]))

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

    def __init__(
        self, final: Decided, queues: Queues, pass_point: Callable[[int], Awaitable[None]]
    ) -> None:
        """Have custody of what is final. `queues` are the host's."""
        self._final, self._queues = final, queues
        self._pass_point = pass_point
        self._received = 0
        self._is_new = final.record.memory.journal == ZERO

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
        rules = self._final.common.rules
        said = () if rules is None else rules.judge(intent, self.record, place, self.now_ms())
        self._check_has(intent.secrets)
        if intent.action in place.asks and not intent.approvals:
            raise Unapproved(f"{intent.action} wants an approval in {place.name}")
        what = f"the intent of {intent.step}"
        await self._become(what, lambda: self._final.intend(intent, draft))
        return Permit(policies=said or (f"Permitted in {place.name}.",))

    def _check_permitted(self, action: str) -> Place:
        self._final.place.check_permitted(action)
        return self._final.place

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
            policy=RULES,
            request=intent.arguments,
            demands=(Demand(policy=RULES, asks=(Ask(document="rules", group=place.name),)),),
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
            approver = final.common.approver
            if approver and named not in final.answers:
                final.answers[named] = approval(
                    petition, approver, self.now_ms(), is_approved=True, reason=""
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
        place, rules = self._check_permitted("spawn"), self._final.common.rules
        if rules is not None:
            rules.check("spawn", spawn_context(child), self.record, place, self.now_ms())
        await self._become("a spawn", lambda: self._final.spawn(child, draft))
        return Permit(policies=(f"Permitted in {place.name}.",))

    async def bear(self, child: AgentRecord, version: int) -> None:
        """Have a child born, once; it begins to run in the place where its parent was permitted to have it."""
        final = self._final
        if child.digest not in final.common.agents:
            named = child.capabilities.entry.rpartition(":")[2].rpartition(".")[2]
            names = (each.name.rpartition(" ")[0] for each in final.common.agents.values())
            number = 1 + sum(name == named for name in names)
            entropy = digest(final.entropy + child.digest)
            born = Decided(final.common, f"{named} {number}", child, entropy)
            final.common.agents[child.digest] = born
            final.children.append(born)
            born.bind()
            final.common.bear(born)
        await self._pass("after a child was born")

    async def places(self) -> tuple[Assessment, ...]:
        """Return the agent's judgement of every place."""
        current = self.record.custody.zone
        return tuple(
            place.assessed(current, self._final.staying(place))
            for place in self._final.places.values()
        )

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
        """Return bytes that are the same in every rehearsal of a seed: others for the run than for each child."""
        if self._is_new:  # the first question of all is for the run's own
            self._is_new = False
            return self._final.entropy[:size]
        number = self.record.eligibility.children
        return digest(self._final.entropy + number.to_bytes(8, "big"))[:size]

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
        final, points = self._final, self._final.common.points
        final.newest = where
        points.append(f"{where} ({final.name})" if final.name else where)
        await self._pass_point(len(points) - 1)


def _what(draft: Draft) -> str:
    if draft.status is Status.DORMANT:
        return "the agent's rest or end"
    if draft.status is not None:
        return "the agent's waking"
    return f"a step with {draft.records} records"
