"""One random schedule of one slot: conflicting proposers, a liar, lost and repeated messages, crashes.

Everything is pure and real: rulings, proposers, round changes, signatures. What is random comes from one seed, so
a seed and a commit replay any run: `python -m tests.simulation.replay SEED` writes it down, event by event.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from msgspec.structs import replace

from sojourn.core.agent.governance import Document
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import ROUND_BASE_MS
from sojourn.core.protocol import decree
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.duties import Task, duties_of
from sojourn.core.protocol.messages import (
    AskRound,
    Proposal,
    Propose,
    Reply,
    Request,
    ShowCommit,
    ShowLock,
)
from sojourn.core.protocol.proposer import Send
from sojourn.core.quorum.votes import Slot
from tests.rulings import PureAnchor, PureZone, World
from tests.samples import NOW_MS
from tests.simulation.adversary import Adversary
from tests.simulation.driving import Driver, client, leader, leaver

__all__ = ["Schedule"]

LEASE_MS: Final = 10_000_000
SETTINGS: Final = 8
WEATHER: Final[dict[type, list[float]]] = {
    Propose: [0, 0, 0.3],
    ShowLock: [0, 0.5, 0.9, 1],
    ShowCommit: [0, 0.5, 0.9],
    AskRound: [0, 0, 0.3],
}
"""How much of each kind of request may be lost; a seed draws from it."""
HAPPENINGS: Final = ([60], [0, 1, 5], [0, 2, 10], [2, 5, 10], [0, 2, 5], [5, 10, 30])
"""How likely a delivery, a loss, a repetition, the passing of time, a retry, a scheme may be."""


@dataclass(frozen=True)
class Setting:
    """A zone with an agent, and steps that compete for its next version. Who leads when depends on the agent."""

    agent: bytes
    slot: Slot
    steps: tuple[Proposal, ...]
    dossiers: tuple[Dossier, ...]
    boot_ms: int
    library: Mapping[bytes, Document]


def _world() -> tuple[World, PureZone]:
    world = World("a", lease_ms=LEASE_MS)
    return world, world.zones[0]


@cache
def _setting(number: int) -> Setting:
    world, zone = _world()
    born = world.genesis(zone).transition.record
    named = replace(born.capabilities, entry=f"agent:Agent{number}")
    head = world.launch(zone, capabilities=named)
    agent = head.record.agent_id
    steps = []
    for i in range(3):
        memory = replace(head.record.memory, journal=digest(b"step %d" % i))
        steps.append(world.step_proposal(zone, head, memory=memory))
        world.clock.wall_ms += 1  # leaders prefer the newest
    dossiers = tuple(anchor.dossier(agent) for anchor in zone.anchors)
    slot = zone.slot(steps[0], head)
    library = dict(world.known.library)
    return Setting(agent, slot, tuple(steps), dossiers, world.clock.boot_ms, library)


@dataclass
class Message:
    """A request on its way to an anchor, or the anchor's reply on its way back."""

    driver: Driver
    anchor: int
    body: Request | Reply
    is_reply: bool = False

    def __str__(self) -> str:
        who = f"anchor {self.driver.by}" if self.driver.by >= 0 else "a client"
        way = f"{self.anchor} → {who}" if self.is_reply else f"{who} → {self.anchor}"
        return f"{type(self.body).__name__} {way}"


class Schedule:
    """One run. `forgets` plants anchors that lose what they had promised when they crash."""

    def __init__(self, seed: int, *, forgets: bool = False) -> None:
        self.seed, self.forgets = seed, forgets
        self.chance = random.Random(seed)
        self.trace: list[str] = []
        self.wire: list[Message] = []
        self.losses: dict[type, float] = {}
        self.setting = _setting(self.chance.randrange(SETTINGS))
        self.world, self.zone = _world()
        self.world.known.library |= self.setting.library
        self.world.clock.boot_ms, self.world.clock.wall_ms = self.setting.boot_ms, NOW_MS
        self.steps = list(self.setting.steps)
        early = self.chance.choice([1, 1, 2, 3])
        liar = decree.leader(self.setting.slot, early, self.zone.manifest)
        self.adversary = Adversary(
            self.zone.sample, liar, self.setting.slot, self.steps, self.chance, self._aim
        )
        self.correct = [anchor for anchor in self.zone.anchors if anchor.index != liar]
        for anchor, dossier in zip(self.zone.anchors, self.setting.dossiers, strict=True):
            anchor.dossiers[self.setting.agent] = dossier
            anchor.blocks |= {step.transition.record.memory.journal for step in self.steps}
            anchor.blocks |= self.setting.library.keys()
            self._renew(anchor)

    def _renew(self, anchor: PureAnchor) -> None:
        """Give the host its lease: leases are not what this is about."""
        anchor.leases.renew(self.setting.agent, (0, 1), self.world.clock.boot_ms)

    def _aim(self, request: Request) -> None:
        """Send a request of the adversary's to some correct anchor."""
        driver = Driver(self.adversary.liar, [], lambda _anchor, _reply: [])
        self.wire.append(Message(driver, self.chance.choice(self.correct).index, request))

    def say(self, event: str) -> None:
        """Write an event into the trace."""
        self.trace.append(f"{self.world.clock.boot_ms - self.setting.boot_ms:>6} ms  {event}")

    # --- running --------------------------------------------------------------------------------------

    def storm(self, check: Callable[["Schedule"], None]) -> None:
        """Let anything happen; check after each event. Each seed has a weather of its own."""
        self.losses = {kind: self.chance.choice(losses) for kind, losses in WEATHER.items()}
        for step in self.chance.sample(self.steps, self.chance.randint(1, 3)):
            self.start(self.client(step))
        happenings: list[Callable[[], None]] = [
            self.deliver,
            self.drop,
            self.repeat,
            self.pass_time,
            self.retry,
            self.adversary.scheme,
        ]
        weights = [self.chance.choice(weights) for weights in HAPPENINGS]
        for _ in range(self.chance.choice([50, 100, 250, 400])):
            self.chance.choices(happenings, weights)[0]()
            check(self)
        self.losses.clear()

    def calm(self, rounds: int, check: Callable[["Schedule"], None]) -> bool:
        """Let everything be delivered, and everybody see to their duties; tell whether the slot is decided.

        The liar goes on lying. A fresh step is proposed each time, as a live host would.
        """
        self.say("calm")
        for _ in range(rounds):
            self.start(self.client(self.fresh()))
            for _ in range(1_000):
                if not self.wire:
                    break
                self.deliver(calm=True)
                check(self)
            if all(self.is_decided(anchor) for anchor in self.correct):
                return True
            self.see_to_duties()
        return False

    def is_decided(self, anchor: PureAnchor) -> bool:
        """Tell whether an anchor knows of a decision."""
        head = anchor.dossier(self.setting.agent).head
        return head is not None and head.record.version >= self.setting.slot.version

    def client(self, step: Proposal) -> Driver:
        """Return somebody who proposes a step."""
        head = self.setting.dossiers[0].head
        return client(step, self.setting.slot, self.zone.manifest, head)

    def fresh(self) -> Proposal:
        """Return a step of this moment."""
        head = self.setting.dossiers[0].head
        assert head is not None
        memory = replace(head.record.memory, journal=digest(b"fresh %d" % len(self.steps)))
        self.zone.give(memory.journal)
        self.steps.append(self.world.step_proposal(self.zone, head, memory=memory))
        return self.steps[-1]

    # --- messages -------------------------------------------------------------------------------------

    def start(self, driver: Driver) -> None:
        """Put a driver's first messages on the wire."""
        self.send(driver, driver.first)

    def send(self, driver: Driver, steps: Sequence[Send]) -> None:
        """Put requests on the wire, but for those that the weather takes."""
        self.wire += [
            Message(driver, step.anchor, step.request)
            for step in steps
            if self.chance.random() >= self.losses.get(type(step.request), 0)
        ]

    def take(self) -> Message | None:
        """Take a message from the wire: often one of the newest, so that conversations get somewhere."""
        if not self.wire:
            return None
        newest = 6 if self.chance.random() < 0.7 else len(self.wire)
        return self.wire.pop(self.chance.randrange(max(0, len(self.wire) - newest), len(self.wire)))

    def deliver(self, *, calm: bool = False) -> None:
        """Deliver a message; an anchor may crash on it, before or after what it writes is durable."""
        message = self.take()
        if message is None:
            self.pass_time()
        elif message.is_reply:
            self.hear(message)
        else:
            crash = 1.0 if calm else self.chance.random()
            self.answer(message, "before" if crash < 0.03 else "after" if crash < 0.06 else "")

    def hear(self, message: Message) -> None:
        """Give a driver an answer."""
        assert isinstance(message.body, Reply)
        self.say(str(message))
        try:
            self.send(message.driver, message.driver.hear(message.anchor, message.body))
        except Rejected as error:
            self.say(f"  a lie: {error.reason}")

    def answer(self, message: Message, crash: str) -> None:
        """Have an anchor answer a request."""
        assert isinstance(message.body, Request)
        anchor, request = self.zone.anchors[message.anchor], message.body
        self.adversary.see_request(request)
        if anchor.index == self.adversary.liar:
            reply = self.adversary.lie(request)
        else:
            reply = self.ruled(anchor, request, message.driver.by, crash)
        self.say(f"{message}: {type(reply).__name__}{f', crashed {crash}' * bool(crash)}")
        if reply is not None:
            self.adversary.see_reply(reply)
            self.wire.append(Message(message.driver, message.anchor, reply, is_reply=True))

    def ruled(self, anchor: PureAnchor, request: Request, by: int, crash: str) -> Reply | None:
        """Return a correct anchor's answer; none if it crashes first."""
        is_client = by < 0
        sender = self.zone.hosts[0].public if is_client else self.zone.anchors[by].identity.public
        ruling, before = anchor.ruling(request, sender), anchor.dossier(self.setting.agent)
        if not crash:
            anchor.keep(ruling)
            return anchor.answer(ruling)
        if crash == "after":
            anchor.keep(ruling)
        leaked = None
        if (
            crash == "after" and self.forgets
        ):  # the answer left, and what it promises was not durable
            leaked = anchor.answer(ruling)
            anchor.dossiers[self.setting.agent] = before
        anchor.restart()
        self._renew(anchor)
        return leaked

    def drop(self) -> None:
        """Lose a message."""
        if message := self.take():
            self.say(f"lost: {message}")

    def repeat(self) -> None:
        """Put a message on the wire again."""
        if self.wire:
            self.wire.append(self.chance.choice(self.wire))

    def retry(self) -> None:
        """Have a client ask anew."""
        self.start(self.client(self.chance.choice(self.setting.steps)))

    # --- time and duties ------------------------------------------------------------------------------

    def pass_time(self) -> None:
        """Let time pass, and anchors see to what is due."""
        self.world.clock.boot_ms += self.chance.choice([50, 500, ROUND_BASE_MS])
        for anchor in self.correct:
            if self.chance.random() < 0.5:
                self.see_to(anchor)

    def see_to_duties(self) -> None:
        """Let time pass until something is due somewhere, and everybody see to it."""
        due = [
            duty.due_ms
            for anchor in self.correct
            for duty in duties_of(anchor.dossier(self.setting.agent), anchor.view())
            if duty.task in (Task.LEAD, Task.LEAVE_ROUND)
        ]
        clock = self.world.clock
        clock.pass_ms(max(0, min(due, default=clock.boot_ms) - clock.boot_ms) + 5 * ROUND_BASE_MS)
        for anchor in self.correct:
            self.see_to(anchor)

    def see_to(self, anchor: PureAnchor) -> None:
        """Have an anchor begin what is due."""
        dossier, manifest = anchor.dossier(self.setting.agent), self.zone.manifest
        for duty in duties_of(dossier, anchor.view()):
            if dossier.open is None or duty.due_ms > self.world.clock.boot_ms:
                continue
            if duty.task is Task.LEAVE_ROUND:
                note = self.adversary.see_entry
                self.start(leaver(anchor.index, dossier.open, manifest, note))
            elif duty.task is Task.LEAD:
                head = self.setting.dossiers[0].head
                self.start(leader(anchor.index, dossier.open, manifest, head))
