"""One schedule: a scene, nodes, mishaps drawn from a seed; a storm, a calm, and a judgement."""

from functools import cached_property
from typing import Final

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.protocol.anchor import rule
from sojourn.core.protocol.custody import Chapter
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.messages import ShowCommit
from sojourn.core.quorum.certificates import Certificate
from sojourn.testing import history
from sojourn.testing.checkers import (
    blame,
    counted,
    culprits,
    effects,
    entitled,
    exposure,
    fork,
    leases,
    letters,
    loss,
    memory,
    orders,
    permission,
)
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation
from sojourn.testing.schedules.anchor import AnchorNode
from sojourn.testing.schedules.asking import Library
from sojourn.testing.schedules.host import HostNode
from sojourn.testing.schedules.liars.cabal import Cabal
from sojourn.testing.schedules.liars.choice import Liar, is_above
from sojourn.testing.schedules.liars.kinds import ANCHORS as ANCHOR_LIES
from sojourn.testing.schedules.liars.kinds import HOSTS as HOST_LIES
from sojourn.testing.schedules.liars.lie import LyingAnchor, LyingHost
from sojourn.testing.schedules.mishaps import Mishaps
from sojourn.testing.schedules.patience import longest_calm_ms
from sojourn.testing.schedules.plan import Plan, draw, generator
from sojourn.testing.schedules.profile import Profile
from sojourn.testing.schedules.run import journal_after
from sojourn.testing.schedules.scene import CODE, AgentScene, Scene, ZoneScene, locks, scene
from sojourn.testing.schedules.shared import Shared
from sojourn.testing.schedules.simulator import Node, Simulator

__all__ = ["Schedule"]

CALM_EVENTS_MAX: Final = 60_000


class Schedule:
    """One run of one seed."""

    def __init__(
        self,
        seed: int,
        profile: Profile,
        *,
        plan: Plan | None = None,
        ideal: bool = True,
        tells: bool = False,
    ) -> None:
        """Set the scene; nothing happens before `storm`. A `plan` stands for what the seed would choose."""
        self.seed, self.profile = seed, profile
        self.plan = plan = plan or draw(seed, profile)
        self.simulator = Simulator(plan.seed + (plan.luck << 64), tells=tells)
        self.scene: Scene = scene(plan.size, plan.zones, plan.variant, plan.agents, ideal=ideal)
        self.wishes = dict(plan.wishes)
        self.resting: set[bytes] = set()
        self.library, self.shared = Library(), Shared(self.scene)
        self.library.add(CODE)
        self.library.add(encode(self.scene.document.document))
        self.anchors: list[AnchorNode] = []
        self.hosts: list[HostNode] = []
        self.cabal = Cabal(
            self.simulator, self.scene, generator(plan.seed + (plan.luck << 64), "lies")
        )
        if plan.liars and plan.overhears:
            self.simulator.overheard = self.cabal.see
        self._people_zones()
        self._tell_all()
        self.mishaps = Mishaps(self, plan)
        self._calm_ms = 0.0

    def _people_zones(self) -> None:
        everybody = self.cabal.everybody
        for zone in self.scene.zones.values():
            made = [self._anchor(zone, index) for index in range(len(zone.identities))]
            hosts = [self._host(zone, index) for index in range(len(zone.hosts))]
            for anchor in made:
                anchor.peers, anchor.hosts, anchor.everybody = made, list(hosts), everybody
            for host in hosts:
                host.everybody, host.wishes = everybody, self.wishes
                host.resting = self.resting
            everybody[zone.zone] = made
            self.anchors += made
            self.hosts += hosts

    def _anchor(self, zone: ZoneScene, index: int) -> AnchorNode:
        told = (self.simulator, self.scene, self.shared, self.library, zone, index)
        liar = self._liar(zone, index, is_host=False)
        if liar is None:
            return AnchorNode(*told)
        anchor = LyingAnchor(*told, cabal=self.cabal, liar=liar)
        anchor.lies = [ANCHOR_LIES[name](anchor) for name in liar.lies]
        return anchor

    def _host(self, zone: ZoneScene, index: int) -> HostNode:
        told = (self.simulator, self.scene, self.shared, self.library, zone, index)
        liar = self._liar(zone, index, is_host=True)
        if liar is None:
            return HostNode(*told)
        host = LyingHost(*told, cabal=self.cabal, liar=liar)
        host.lies = [HOST_LIES[name](host) for name in liar.lies]
        return host

    def _liar(self, zone: ZoneScene, index: int, *, is_host: bool) -> Liar | None:
        """Return who lies in this place, if anybody does."""
        at = (zone.name, index, is_host)
        return next((x for x in self.plan.liars if (x.zone, x.index, x.is_host) == at), None)

    def _tell_all(self) -> None:
        """Let every anchor know what is decided already, and hosts take up what is theirs."""
        stored = {digest(CODE), digest_of(self.scene.document.document)}
        settled: dict[bytes, _Settled] = {}
        for anchor in self.anchors:
            anchor.disk.content.blocks |= stored
            anchor.disk.content.counter = 1  # what the scene's certificates show of each anchor
            at_home = [agent for agent in self.scene.agents if agent.home == anchor.place]
            if any(agent.agent not in settled for agent in at_home):
                anchor.start(asked=True)
                settled |= {agent.agent: _settled(anchor, agent) for agent in at_home}
            for agent in at_home:  # all anchors of its zone come to the same
                self._store(anchor, agent.agent, settled[agent.agent])
            anchor.start(asked=True)
            for agent in at_home:
                fence = agent.head.record.custody.fence
                anchor.leases.renew(agent.agent, fence, anchor.boot_ms())
        for host in self.hosts:
            self._put_to_work(host)

    def _put_to_work(self, host: HostNode) -> None:
        host.start(idle=True)
        for agent in self.scene.agents:
            if host.identity.public == agent.head.record.custody.host:
                host.take_up(agent.head)

    def _store(self, anchor: AnchorNode, agent: bytes, settled: "_Settled") -> None:
        content, (dossier, chapters) = anchor.disk.content, settled
        content.dossiers[agent] = dossier
        for chapter in chapters:
            named = digest_of(chapter)
            self.shared.chapters[named] = chapter
            content.chapters[agent, chapter.opened.record.custody.term] = chapter
            content.blocks.add(named)

    # --- who ------------------------------------------------------------------------------------------

    @property
    def nodes(self) -> list[Node]:
        """All processes."""
        return [*self.anchors, *self.hosts]

    @property
    def honest_anchors(self) -> list[AnchorNode]:
        """The anchors that follow the protocol."""
        return [anchor for anchor in self.anchors if anchor.is_honest]

    def spare_anchors(self) -> list[AnchorNode]:
        """Return the honest anchors of zones that tolerate one more fault."""
        faulty: dict[str, int] = {}
        for anchor in self.anchors:
            if not anchor.is_honest:
                faulty[anchor.place] = faulty.get(anchor.place, 0) + 1
        return [
            anchor
            for anchor in self.honest_anchors
            if faulty.get(anchor.place, 0) < anchor.manifest.f
        ]

    # --- running --------------------------------------------------------------------------------------

    def run(self) -> list[Violation]:
        """Let the schedule happen; return what it broke."""
        self.storm()
        late = self.calm()
        return [*self.judge(), *late]

    def storm(self) -> None:
        """Let anything happen for as long as the seed says."""
        simulator, plan = self.simulator, self.plan
        while simulator.events < plan.events and simulator.now_ms < plan.storm_ms:
            if not simulator.step():
                break

    def calm(self) -> list[Violation]:
        """Stop all mishaps; return the agents that make no step for as long as anything may take (P6)."""
        simulator = self.simulator
        simulator.note("* calm")
        self.mishaps.calm()
        for host in self.hosts:
            if not host.is_honest:
                host.crash()  # nobody promises an agent that a lying host goes on with it
        for wish in self.wishes:
            self.wishes[wish] = 1.0 if wish == "step" else 0.0
        since_ms, seen = simulator.now_ms, len(simulator.history.applied)
        waiting = {agent.agent for agent in self.scene.agents} - self._unpromised()
        last, longest_ms = simulator.events + CALM_EVENTS_MAX, longest_calm_ms(self.anchors)
        while waiting and simulator.now_ms - since_ms < longest_ms and simulator.events < last:
            if not simulator.step():
                break
            applied = simulator.history.applied
            while seen < len(applied):
                done = applied[seen].certified
                seen += 1
                if done.transition.kind is TransitionKind.STEP:
                    waiting.discard(done.record.agent_id)
                    self.resting.add(done.record.agent_id)
        waiting -= self._unpromised()
        self._calm_ms = simulator.now_ms - since_ms
        waited = f"{self._calm_ms:.0f} ms of calm, of {longest_ms:.0f} that it may take"
        return [
            Violation("P6 live", f"agent {agent.hex()[:8]} makes no step in {waited}", agent)
            for agent in sorted(waiting)
        ]

    def _unpromised(self) -> set[bytes]:
        """Return the agents to which nobody promises that they advance."""
        if not self.above:
            return set()
        return self.exposed(Decisions(self.simulator.history, self.scene.manifests))

    # --- judging --------------------------------------------------------------------------------------

    def judge(self) -> list[Violation]:
        """Return what does not hold of all that happened."""
        self._note_standing()
        decisions = Decisions(self.simulator.history, self.scene.manifests)
        documents = (self.scene.document.document,)
        found = [
            *fork.check(decisions),
            *loss.check(decisions),
            *effects.check(decisions),
            *leases.check(decisions),
            *letters.check(decisions),
            *orders.check(decisions, {self.scene.issuer.public}),
            *permission.check(decisions, documents, self.scene.memo),
            *entitled.check(decisions),
            *counted.check(decisions),
            *blame.check(decisions),
            *memory.check(decisions, journal_after),
        ]
        return self._beyond_bound(decisions, found) if self.above else found

    def _beyond_bound(self, decisions: Decisions, found: list[Violation]) -> list[Violation]:
        """Return what is still promised where a zone has more liars than it tolerates; and its culprits (P5)."""
        chains = [
            (agent.agent, anchor.past(agent.agent))
            for anchor in self.honest_anchors
            for agent in self.scene.agents
            if anchor.dossier(agent.agent).proved
        ]
        births = {agent.agent: agent.born.record for agent in self.scene.agents}
        return [
            *exposure.still_promised(found, self.exposed(decisions)),
            *exposure.check(decisions, chains, births, self.above),
            *culprits.check(
                self.certificates(),
                {**locks(self.scene), **self.simulator.history.certificates},
                self.scene.manifests,
                {(x.zone.zone, x.index) for x in self.anchors if not x.is_honest},
            ),
        ]

    @cached_property
    def above(self) -> set[bytes]:
        """The zones that have more liars than they tolerate."""
        return {self.scene.zones[name].zone for name in is_above(self.plan.liars, self.plan.size)}

    def exposed(self, decisions: Decisions) -> set[bytes]:
        """Return the agents that such zones held, or were to hold."""
        homes = {agent.agent: self.scene.zones[agent.home].zone for agent in self.scene.agents}
        return exposure.exposed(decisions, homes, self.above)

    def certificates(self) -> list[Certificate]:
        """Return the commit certificates that honest anchors hold."""
        held = [fact.certified for fact in self.simulator.history.applied if fact.is_honest]
        for anchor in self.honest_anchors:
            for dossier in anchor.content.dossiers.values():
                arrived = dossier.arrival.arrive.departure if dossier.arrival else None
                held += [x for x in (arrived, dossier.onward, dossier.refusal) if x is not None]
            for chapter in anchor.content.chapters.values():
                decided = (chapter.opened, chapter.closed, chapter.refusal)
                held += [x for x in decided if x is not None]
        return list(
            {(x.certificate.slot, x.certificate.value): x.certificate for x in held}.values()
        )

    def _note_standing(self) -> None:
        for anchor in self.honest_anchors:
            if anchor.is_retired:
                continue
            for agent in self.scene.agents:
                dossier = anchor.dossier(agent.agent)
                fact = history.Stood(
                    anchor.zone.zone,
                    anchor.index,
                    agent.agent,
                    dossier.head,
                    dossier.proved,
                    anchor.content.blocks,
                )
                self.simulator.history.stood.append(fact)

    @property
    def was_eventful(self) -> bool:
        """Whether anything was decided in it: a schedule in which nothing happened proves nothing."""
        return bool(self.simulator.history.applied)


_Settled = tuple[Dossier, list[Chapter]]
"""What an anchor knows of an agent once its first decisions were shown to it."""


def _settled(anchor: AnchorNode, agent: AgentScene) -> _Settled:
    chapters: list[Chapter] = []
    dossier = Dossier(agent=agent.agent)
    for certified, proposal in ((agent.born, agent.genesis), (agent.head, agent.binding)):
        show = ShowCommit(certificate=certified.certificate, proposal=proposal)
        ruling = rule(dossier, show, b"", anchor.view())
        assert ruling.dossier is not None, ruling.answer
        dossier = ruling.dossier
        chapters += ruling.chapters
    return dossier, chapters
