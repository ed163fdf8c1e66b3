"""A custodian for tests: one zone that forgets nothing, and hosts that break in named ways.

`Zone` is what is final: the record, the blocks, the inbox, a clock that only moves when someone sleeps. Each
`FakeCustodian` is one host's custody of the agent in it. The zone checks what anchors would: that whoever
stores a block stores all it links to, that a step leaves alone what is not its own, that keys never repeat.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from sojourn.core.agent.approvals import Approvers, Demand, Petition, SignedApproval
from sojourn.core.agent.budgets import charged, check_affordable, spend
from sojourn.core.agent.capabilities import Capabilities, Offer, Requirements
from sojourn.core.agent.eligibility import Budget, Eligibility, Status, check_budgets
from sojourn.core.agent.governance import Governance
from sojourn.core.agent.inquiries import Inquiry, SignedAnswer
from sojourn.core.agent.lineage import Lineage
from sojourn.core.agent.memory.blocks import BlockSource, MissingBlock, links
from sojourn.core.agent.memory.field import Compartment, Form, Memory, check_compartments
from sojourn.core.agent.record import AgentRecord, Custody
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.agent.trust import Trust
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.errors import Denied, Refused, Rejected
from sojourn.core.policy.decision import Ask
from sojourn.core.protocol.querying import Disclosure
from sojourn.host.queues import Queues
from sojourn.runtime.errors import Undeliverable
from sojourn.runtime.host_side.cipher import BlockCipher
from sojourn.runtime.ports import (
    Assessment,
    Draft,
    Finding,
    Intent,
    Message,
    Parcel,
    Permit,
    Postmark,
)
from sojourn.runtime.sought import Sought
from sojourn.testing.rehearsals.mail import is_call_next

__all__ = ["HOME", "Blocks", "Crash", "FakeCustodian", "Zone", "first_record", "place"]

HOME = digest(b"home")


class Crash(BaseException):
    """The host dies here: nothing that comes after happens. No code may catch it."""


def first_record(compartments: dict[str, Form], budgets: dict[str, int]) -> AgentRecord:
    """Return an agent's first record."""
    return AgentRecord(
        realm="test",
        agent=ZERO,
        version=0,
        parent=ZERO,
        custody=Custody(zone=HOME, term=0, binding=0, host=digest(b"host")),
        migration=None,
        governance=Governance(documents=(), version=0),
        memory=Memory(
            compartments={n: Compartment(form=form, root=ZERO) for n, form in compartments.items()}
        ),
        lineage=Lineage(),
        eligibility=Eligibility(
            status=Status.ACTIVE,
            budgets={name: Budget(limit=limit) for name, limit in budgets.items()},
        ),
        trust=Trust(),
        capabilities=Capabilities(
            requires=Requirements(), code=digest(b"code"), entry="a:A", publisher=digest(b"p")
        ),
    )


class Blocks:
    """Blocks at hand: a dictionary that is a `BlockSource`."""

    def __init__(self, stored: dict[bytes, bytes]) -> None:
        self.stored = stored

    def get(self, named: bytes) -> bytes:
        """Return a block."""
        if named not in self.stored:
            raise MissingBlock(named)
        return self.stored[named]


@dataclass
class Zone:
    """What is final. `points` counts how often something became, or was about to become, final."""

    record: AgentRecord = field(
        default_factory=lambda: first_record(
            {"book": Form.MAPPING, "risk": Form.LOG}, {"orders": 9}
        )
    )
    stored: dict[bytes, bytes] = field(default_factory=dict)
    inbox: list[Message] = field(default_factory=list)
    letters: dict[str, Parcel] = field(default_factory=dict)
    tells: Disclosure | None = None
    tells_after_s: float = 0
    undeliverable: str = ""
    now_ms: int = 1_800_000_000_000
    keys: list[str] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    intents: list[Intent] = field(default_factory=list)
    places: tuple[Assessment, ...] = ()
    points: int = 0
    petitions: list[Petition] = field(default_factory=list)
    withdrawn: list[bytes] = field(default_factory=list)
    waiting: int = 0
    answers: list[SignedAnswer] = field(default_factory=list)
    settled: list[bytes] = field(default_factory=list)
    has_said: bool = False
    watchers: list[asyncio.Future[None]] = field(default_factory=list)
    ciphers: dict[bytes, BlockCipher] = field(default_factory=dict)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something that changes with this zone is so."""
        while not is_so():
            self.watchers.append(asyncio.get_running_loop().create_future())
            await self.watchers[-1]

    def stir(self) -> None:
        """Let who waits look again."""
        self._notify()

    def _notify(self) -> None:
        for watcher in self.watchers:
            if not watcher.done():
                watcher.set_result(None)
        self.watchers.clear()

    def send(self, body: Any, labels: tuple[str, ...] = ()) -> None:
        """Put a message into the inbox: with labels, an agent's that has used such data."""
        index = len(self.inbox)
        mark = Postmark(agent=ZERO, zone=ZERO, letter="l", labels=labels) if labels else None
        message = Message(index=index, sender="tester", body=body, sent_ms=self.now_ms, mark=mark)
        self.inbox.append(message)
        self._notify()

    def accept(self, draft: Draft) -> None:
        """Make a step final, as anchors would."""
        old, new = self.record.memory, draft.memory
        check_compartments(old.compartments, new.compartments)
        self._store(draft)
        elsewhere = {
            compartment.root
            for compartment in new.compartments.values()
            if compartment.held_by not in (None, self.record.custody.zone)
        }
        for root in set(new.roots()) - elsewhere:
            if root not in self.stored:
                raise Rejected(f"root {root.hex()} is not stored", reason="missing", where="memory")
        eligibility = self.record.eligibility
        budgets = spend(eligibility.budgets, draft.spent)
        status = draft.status or eligibility.status
        self._advance(
            TransitionKind.STEP,
            memory=new,
            eligibility=replace(eligibility, status=status, wake=draft.wake, budgets=budgets),
        )
        self.drafts.append(draft)
        self._notify()

    def intend(self, intent: Intent, draft: Draft) -> None:
        """Make an intent final."""
        assert self.record.eligibility.status is Status.ACTIVE
        assert intent.key not in self.keys, "an effect key repeats"
        self.keys.append(intent.key)
        self.intents.append(intent)
        self._store(draft)
        assert draft.memory == replace(self.record.memory, journal=draft.memory.journal)
        declared = {"cost_micros": intent.cost_micros, "tokens": intent.tokens}
        eligibility = self.record.eligibility
        eligibility = replace(eligibility, budgets=spend(eligibility.budgets, draft.spent))
        self._advance(TransitionKind.INTEND, declared, memory=draft.memory, eligibility=eligibility)

    def ask(self, petition: Petition, draft: Draft) -> None:
        """Make a petition final."""
        assert self.record.eligibility.status is Status.ACTIVE
        assert self.record.version + 1 == petition.version
        self._store(draft)
        assert draft.memory == replace(self.record.memory, journal=draft.memory.journal)
        self._advance(TransitionKind.ASK, memory=draft.memory)
        self.petitions.append(petition)
        self.stir()

    def move(self, zone: bytes) -> None:
        """Decide a departure and an admission; what stays behind is held by the zone that is left."""
        chosen = next(place for place in self.places if place.zone == zone)
        here = self.record.custody
        compartments = {
            name: replace(c, held_by=here.zone if name in chosen.stays else c.held_by)
            for name, c in self.record.memory.compartments.items()
        }
        memory = replace(self.record.memory, compartments=compartments)
        self._advance(
            TransitionKind.DEPART,
            memory=memory,
            custody=replace(here, zone=zone, term=here.term + 1, binding=0),
        )
        self.places = tuple(replace(p, current=p.zone == zone) for p in self.places)
        travelling = {c.root for c in compartments.values() if c.held_by in (None, zone)}
        self._drop_all_but({*travelling, memory.journal})

    def _drop_all_but(self, roots: set[bytes]) -> None:
        """Keep only what a target would have been sent: the blocks below these roots."""
        kept: dict[bytes, bytes] = {}
        todo = list(roots - {ZERO})
        while todo:
            named = todo.pop()
            if named not in kept:
                kept[named] = self.stored[named]
                todo += links(kept[named])
        self.stored = kept

    def _advance(
        self,
        kind: TransitionKind,
        declared: dict[str, int] | None = None,
        **changes: object,
    ) -> None:
        old = self.record
        new = replace(old, agent=old.agent_id, version=old.version + 1, **changes)
        new = charged(kind, old, new, self.now_ms, declared or {})
        if kind is not TransitionKind.DEPART and old.eligibility.is_exhausted:
            assert (kind, new.eligibility.status) == (TransitionKind.STEP, Status.DORMANT)
            assert Status.ACTIVE is old.eligibility.status
        check_budgets(old.eligibility.budgets, new.eligibility.budgets)
        self.record = new

    def _store(self, draft: Draft) -> None:
        assert draft.records <= 1024
        for named, data in draft.blocks.items():
            assert digest(data) == named
            for below in links(data):
                if below not in self.stored:
                    problem = f"a block links to {below.hex()}, which nobody has"
                    raise Rejected(problem, reason="missing-block", where="draft")
            self.stored[named] = data


class FakeCustodian:
    """One host's custody. What can go wrong with it has a name:

    crash_at         the host dies at this point of the zone (`Zone.points`): an even one is right before
                     something becomes final, the odd one after it is right after
    denied           actions that the gate denies
    lease_lost_at    the lease is lost from this point on; it is for the execution to notice
    refuses          the target refuses whoever comes
    is_cold          it has no block at hand, and fetches each one
    given            the secrets that it hands out, by name
    queues           the queues of its host
    """

    def __init__(
        self,
        zone: Zone,
        *,
        crash_at: int | None = None,
        denied: frozenset[str] = frozenset(),
        lease_lost_at: int | None = None,
        refuses: str = "",
        is_cold: bool = False,
        given: Mapping[str, str] | None = None,
        queues: Queues | None = None,
    ) -> None:
        self.zone = zone
        self.crash_at = crash_at
        self.denied = denied
        self.lease_lost_at = lease_lost_at
        self.refuses = refuses
        self.given = dict(given or {})
        self.queues = queues or Queues()
        self.handed: list[tuple[str, str, tuple[str, ...]]] = []
        self.lines: list[tuple[str, str]] = []
        self.fetched: list[bytes] = []
        self._local = Blocks({} if is_cold else zone.stored)
        self._is_cold = is_cold

    @property
    def record(self) -> AgentRecord:
        return self.zone.record

    @property
    def blocks(self) -> BlockSource:
        return self._local

    async def fetch(self, digests: Sequence[bytes]) -> None:
        await asyncio.sleep(0)
        for named in digests:
            self.fetched.append(named)
            if named not in self.zone.stored:
                raise MissingBlock(named)
            self._local.stored[named] = self.zone.stored[named]

    async def commit(self, draft: Draft) -> AgentRecord:
        await self._at_point(lambda: self.zone.accept(draft))
        return self.zone.record

    async def intend(self, intent: Intent, draft: Draft) -> Permit:
        declared = {"cost_micros": intent.cost_micros, "tokens": intent.tokens}
        check_affordable(TransitionKind.INTEND, self.zone.record, declared)
        if intent.action in self.denied:
            raise Denied(f"{intent.action} is denied here", remedy="Ask for less")
        await self._at_point(lambda: self.zone.intend(intent, draft))
        return Permit(policies=("Permitted by test.",))

    async def secrets(self, step: str, action: str, names: Sequence[str]) -> dict[str, str]:
        self.handed.append((step, action, tuple(names)))
        for name in names:
            if name not in self.given:
                raise Denied(f"this host has no secret {name!r}", remedy="Add it")
        return {name: self.given[name] for name in names}

    async def petition(self, intent: Intent) -> Petition:
        return Petition(
            agent=self.zone.record.agent_id,
            version=self.zone.record.version + 1,
            policy=digest(b"policy"),
            request=digest(b"request"),
            demands=(Demand(policy=ZERO, asks=(Ask(document="rules", group="desk"),)),),
            step=intent.step,
            action=intent.action,
            effect=intent.effect,
            arguments=intent.arguments,
            labels=intent.labels,
            labels_dropped=intent.labels_dropped,
            residency=intent.residency,
            residency_dropped=intent.residency_dropped,
            cost_micros=intent.cost_micros,
            tokens=intent.tokens,
            secrets=intent.secrets,
            asked_ms=self.zone.now_ms,
            expires_ms=self.zone.now_ms + 1000,
        )

    async def ask(self, petition: Petition, draft: Draft) -> None:
        await self._at_point(lambda: self.zone.ask(petition, draft))

    async def answered(self, petition: Petition) -> tuple[SignedApproval, ...]:
        raise Denied("nobody is asked here")

    def withdraw(self, petition: bytes) -> None:
        self.zone.withdrawn.append(petition)
        self.zone.stir()

    async def approvers(self) -> Sequence[Mapping[str, Approvers]]:
        return [{"desk": Approvers(keys=(digest(b"ann"),), lasts_ms=60_000)}]

    async def hear(
        self, inquiry: Inquiry, unfit: Collection[bytes], said: Collection[bytes]
    ) -> SignedAnswer | None:
        passed = {*unfit, *said}
        await self.zone.until(lambda: any(a.digest not in passed for a in self.zone.answers))
        return next(a for a in self.zone.answers if a.digest not in passed)

    def progress(self, text: str, done: int | None, total: int | None) -> None:
        self.lines.append(("progress", f"{text} {done}/{total}"))

    def settle(self, settled: Collection[bytes]) -> None:
        self.zone.settled += settled

    async def places(self) -> tuple[Assessment, ...]:
        return self.zone.places

    async def depart(self, zone: bytes) -> None:
        if self.refuses or zone not in {place.zone for place in self.zone.places}:
            raise Refused(self.refuses or "no such place is known")
        await self._at_point(lambda: self.zone.move(zone))

    async def seek(self, sought: Sought) -> Assessment:
        def fitting() -> list[Assessment]:
            places = (p for p in self.zone.places if p.price_micros is not None)
            return [p for p in places if sought.fits(p.name, Offer(slots=1), p.price_micros or 0)]

        await self.zone.until(lambda: bool(fitting()))
        return fitting()[0]

    async def receive(
        self, index: int, answers: str = "", by: bytes = b"", *, calls: bool = False
    ) -> Message:
        inbox = self.zone.inbox
        await self.zone.until(
            lambda: index < len(inbox) and (not calls or is_call_next(inbox, index))
        )
        return inbox[index]

    async def newest_letter(self, to: bytes) -> int:
        return 0

    async def cycle(self, asked: bytes) -> None:
        await asyncio.get_running_loop().create_future()

    async def waits(self, asked: bytes | None = None) -> str:
        return ""

    async def deliver(self, parcel: Parcel) -> None:
        if self.zone.undeliverable:
            raise Undeliverable(self.zone.undeliverable, remedy="Do without")
        self.zone.letters.setdefault(parcel.key, parcel)

    async def query(self, parcel: Parcel) -> Disclosure:
        assert self.zone.tells is not None
        await asyncio.sleep(self.zone.tells_after_s)
        return self.zone.tells

    async def sleep_until(self, at_ms: int) -> None:
        await asyncio.sleep(0)
        self.zone.now_ms = max(self.zone.now_ms, at_ms)

    async def enter(self, queue: str) -> Callable[[], None]:
        return await self.queues.enter(self.record.agent_id, queue)

    def lease_valid(self) -> bool:
        return self.lease_lost_at is None or self.zone.points < self.lease_lost_at

    def now_ms(self) -> int:
        return self.zone.now_ms

    def entropy(self, size: int) -> bytes:
        return digest(b"entropy")[:size]

    def log(self, source: str, text: str) -> None:
        self.lines.append((source, text))

    async def _at_point(self, become_final: Callable[[], None]) -> None:
        await asyncio.sleep(0)
        self._pass_point()
        become_final()
        if self._is_cold:
            self._local.stored.update(
                {n: d for n, d in self.zone.stored.items() if n not in self._local.stored}
            )
        elif self._local.stored is not self.zone.stored:
            self._local.stored = self.zone.stored
        self._pass_point()

    def _pass_point(self) -> None:
        point = self.zone.points
        self.zone.points += 1
        if point == self.crash_at:
            raise Crash


def place(
    name: str,
    price: int,
    *,
    current: bool = False,
    eligible: bool = True,
    stays: tuple[str, ...] = (),
) -> Assessment:
    """Return a place; its zone is the digest of its name."""
    yes = Finding(passes=True, reasons=())
    return Assessment(
        zone=digest(name.encode()),
        name=name,
        governance=yes if eligible else Finding(passes=False, reasons=("policy says no",)),
        capability=yes,
        trust=yes,
        price_micros=price,
        host=None,
        stays=stays,
        current=current,
    )
