"""What a lie is, and the nodes that tell lies: an anchor, and a host, with a few kinds each.

A liar that does not lie about a message does with it what an honest node would. One that lies may do so in answer
to what it hears (`Lie.hears`), or unasked (`Lie.schemes`).
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import AskVisa, Proposal
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.quorum.votes import Phase, Slot, Vote
from sojourn.testing.schedules.anchor import AnchorNode
from sojourn.testing.schedules.asking import Library
from sojourn.testing.schedules.host import HostNode
from sojourn.testing.schedules.liars.cabal import Cabal
from sojourn.testing.schedules.liars.choice import Liar
from sojourn.testing.schedules.run import Run
from sojourn.testing.schedules.scene import Scene, ZoneScene
from sojourn.testing.schedules.shared import Shared
from sojourn.testing.schedules.simulator import Message, Simulator

__all__ = ["HostLie", "Lie", "LyingAnchor", "LyingHost"]


class Lie:
    """One kind of lie of one anchor."""

    name: ClassVar[str]

    def __init__(self, liar: "LyingAnchor") -> None:
        """Begin; nothing is said yet."""
        self.liar, self.cabal, self.chance = liar, liar.cabal, liar.cabal.chance

    def hears(self, message: Message) -> bool:
        """Deal with a message instead of the anchor; or return False, and leave it to others."""
        return False

    def schemes(self) -> None:
        """Do something unasked."""

    def did(self) -> None:
        """Count a deed."""
        self.liar.simulator.counts[f"liar: {self.name}"] += 1


class LyingAnchor(AnchorNode):
    """An anchor that lies."""

    def __init__(
        self,
        simulator: Simulator,
        scene: Scene,
        shared: Shared,
        library: Library,
        zone: ZoneScene,
        index: int,
        *,
        cabal: Cabal,
        liar: Liar,
    ) -> None:
        """Join the cabal, without any lies yet: see `lies`."""
        super().__init__(simulator, scene, shared, library, zone, index)
        self.is_honest = False
        self.cabal, self._liar = cabal, liar
        self.lies: Sequence[Lie] = ()
        cabal.anchors.setdefault(zone.zone, {})[index] = self

    def receive(self, message: Message) -> None:
        """Learn from a message; lie about it, or do what an honest anchor does; perhaps do something unasked."""
        chance = self.cabal.chance
        if self.simulator.overheard is None:
            self.cabal.see(message)
        is_lying = chance.random() < self._liar.boldness
        if not (is_lying and any(lie.hears(message) for lie in self.lies)):
            self.as_honest(message)
        if not message.is_reply and chance.random() < self._liar.busyness:
            chance.choice(self.lies).schemes()

    def as_honest(self, message: Message) -> None:
        """Do with a message what an honest anchor would."""
        super().receive(message)

    # --- what lies are made of --------------------------------------------------------------------------

    def own_vote(
        self, slot: Slot, round: int, phase: Phase, value: bytes, just: bytes | None = None
    ) -> Vote:
        """Return this anchor's vote for anything."""
        return self.cabal.vote(slot, round, phase, value, self.index, just)

    def a_peer(self) -> AnchorNode | None:
        """Return an honest anchor of this zone, if there is one."""
        honest = self.cabal.honest(self.zone.zone)
        return self.cabal.chance.choice(honest) if honest else None


class HostLie:
    """One kind of lie of one host."""

    name: ClassVar[str]
    afterwards_ms: ClassVar[int] = 200
    """How long after a lie the host goes on as if nothing had been."""

    def __init__(self, liar: "LyingHost") -> None:
        """Begin; nothing is said yet."""
        self.liar, self.cabal, self.chance = liar, liar.cabal, liar.cabal.chance

    def hears(self, message: Message) -> None:
        """Learn from a message."""

    def instead(self, run: Run, proposal: Proposal) -> bool:
        """Do something before a proposal of the host's own is decided on; tell whether anything was done."""
        return False

    def schemes(self, run: Run) -> None:
        """Do something about an agent that is, or was, bound to this host."""

    def did(self) -> None:
        """Count a deed."""
        self.liar.simulator.counts[f"liar: {self.name}"] += 1


class LyingHost(HostNode):
    """A host that lies. In the calm it falls silent: nobody promises an agent that such a host goes on with it."""

    is_honest = False

    def __init__(
        self,
        simulator: Simulator,
        scene: Scene,
        shared: Shared,
        library: Library,
        zone: ZoneScene,
        index: int,
        *,
        cabal: Cabal,
        liar: Liar,
    ) -> None:
        """Join the cabal, without any lies yet: see `lies`."""
        super().__init__(simulator, scene, shared, library, zone, index)
        self.cabal, self._liar = cabal, liar
        self.lies: Sequence[HostLie] = ()
        self.past_runs: list[Run] = []
        self.clings = False
        """Whether it takes every lease for held, for ever."""
        cabal.hosts[self.identity.public] = self

    def receive(self, message: Message) -> None:
        """Do what an honest host does, and lie beside it."""
        chance = self.cabal.chance
        if self.simulator.overheard is None:
            self.cabal.see(message)
        for lie in self.lies:
            lie.hears(message)
        super().receive(message)
        for run in self.runs.values():
            if run not in self.past_runs[-4:]:
                self.past_runs.append(run)
        if self.past_runs and chance.random() < self._liar.busyness:
            chance.choice(self.lies).schemes(chance.choice(self.past_runs[-2:]))

    def decide(
        self,
        proposal: Proposal,
        parent: Certified,
        done: Callable[[Proposer], None],
        *,
        blocks: tuple[bytes, ...] = (),
        application: AskVisa | None = None,
        until_applied: bool = False,
    ) -> None:
        """Try to have a proposal decided, unless one of its lies does something else first."""
        run = self.runs.get(parent.record.agent_id)
        waits = [lie.afterwards_ms for lie in self.lies if run and lie.instead(run, proposal)]

        def go_on() -> None:
            decide = super(LyingHost, self).decide
            decide(
                proposal,
                parent,
                done,
                blocks=blocks,
                application=application,
                until_applied=until_applied,
            )

        self.after(max(waits, default=0), go_on)

    def say_to_all(self, body: object) -> None:
        """Tell all anchors of the zone something; the cabal hears what they answer."""
        for anchor in self.anchors:
            self.say(anchor, body)
