"""One schedule: a scene, nodes, mishaps drawn from a seed; a storm, a calm, and a judgement."""

from typing import Final

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.protocol.anchor import rule
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.messages import ShowCommit
from sojourn.testing import history
from sojourn.testing.checkers import blame, effects, fork, leases, loss, memory, permission
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation
from sojourn.testing.schedules.anchor import AnchorNode, Shared
from sojourn.testing.schedules.asking import Library
from sojourn.testing.schedules.host import HostNode
from sojourn.testing.schedules.mishaps import Mishaps
from sojourn.testing.schedules.profile import Profile
from sojourn.testing.schedules.run import journal_after
from sojourn.testing.schedules.scene import CODE, AgentScene, Scene, scene
from sojourn.testing.schedules.simulator import Node, Simulator

__all__ = ["Schedule"]

VARIANTS: Final = 8
CALM_MS_MAX: Final = 400_000.0
CALM_EVENTS_MAX: Final = 60_000


class Schedule:
    """One run of one seed."""

    def __init__(
        self, seed: int, profile: Profile, *, ideal: bool = True, tells: bool = False
    ) -> None:
        """Set the scene; nothing happens before `storm`."""
        self.seed, self.profile = seed, profile
        self.simulator = Simulator(seed, tells=tells)
        chance = self.simulator.chance
        size = chance.choice(profile.sizes)
        variant = chance.randrange(VARIANTS)
        self.scene: Scene = scene(size, profile.zones, variant, profile.agents, ideal=ideal)
        self.wishes = dict(profile.wishes)
        self.resting: set[bytes] = set()
        self.library, self.shared = Library(), Shared(self.scene)
        self.library.add(CODE)
        self.library.add(encode(self.scene.document.document))
        self.anchors: list[AnchorNode] = []
        self.hosts: list[HostNode] = []
        self._people_zones()
        self._tell_all()
        self.mishaps = Mishaps(self)
        self.mishaps.plan()
        self._calm_ms = 0.0

    def _people_zones(self) -> None:
        everybody: dict[bytes, list[AnchorNode]] = {}
        for zone in self.scene.zones.values():
            made = [
                AnchorNode(self.simulator, self.scene, self.shared, self.library, zone, index)
                for index in range(len(zone.identities))
            ]
            hosts = [
                HostNode(self.simulator, self.scene, self.shared, self.library, zone, index)
                for index in range(len(zone.hosts))
            ]
            for anchor in made:
                anchor.peers, anchor.hosts, anchor.everybody = made, list(hosts), everybody
            for host in hosts:
                host.everybody, host.wishes = everybody, self.wishes
                host.resting = self.resting
            everybody[zone.zone] = made
            self.anchors += made
            self.hosts += hosts

    def _tell_all(self) -> None:
        """Let every anchor know what is decided already, and hosts take up what is theirs."""
        stored = {digest(CODE), digest_of(self.scene.document.document)}
        for anchor in self.anchors:
            anchor.disk.content.blocks |= stored
            anchor.start(asked=True)
            at_home = [agent for agent in self.scene.agents if agent.home == anchor.place]
            for agent in at_home:
                self._show(anchor, agent)
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

    def _show(self, anchor: AnchorNode, agent: AgentScene) -> None:
        content, dossier = anchor.disk.content, Dossier(agent=agent.agent)
        for certified, proposal in ((agent.born, agent.genesis), (agent.head, agent.binding)):
            show = ShowCommit(certificate=certified.certificate, proposal=proposal)
            ruling = rule(dossier, show, b"", anchor.view())
            assert ruling.dossier is not None, ruling.answer
            dossier = ruling.dossier
            for chapter in ruling.chapters:
                self.shared.chapters[digest_of(chapter)] = chapter
                content.chapters[agent.agent, chapter.opened.record.custody.term] = chapter
                content.blocks.add(digest_of(chapter))
        content.dossiers[agent.agent] = dossier

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
        return [*late, *self.judge()]

    def storm(self) -> None:
        """Let anything happen for as long as the seed says."""
        events = self.simulator.chance.choice(self.profile.events)
        simulator = self.simulator
        while simulator.events < events and simulator.now_ms < self.profile.storm_ms:
            if not simulator.step():
                break

    def calm(self) -> list[Violation]:
        """Stop all mishaps; return the agents that make no step for as long as anything may take (P6)."""
        simulator = self.simulator
        simulator.note("* calm")
        self.mishaps.calm()
        for wish in self.wishes:
            self.wishes[wish] = 1.0 if wish == "step" else 0.0
        since_ms, seen = simulator.now_ms, len(simulator.history.applied)
        waiting = {agent.agent for agent in self.scene.agents}
        last = simulator.events + CALM_EVENTS_MAX
        while waiting and simulator.now_ms - since_ms < CALM_MS_MAX and simulator.events < last:
            if not simulator.step():
                break
            applied = simulator.history.applied
            while seen < len(applied):
                done = applied[seen].certified
                seen += 1
                if done.transition.kind is TransitionKind.STEP:
                    waiting.discard(done.record.agent_id)
                    self.resting.add(done.record.agent_id)
        self._calm_ms = simulator.now_ms - since_ms
        waited = f"{self._calm_ms:.0f} ms of calm"
        return [
            Violation("P6 live", f"agent {agent.hex()[:8]} makes no step in {waited}")
            for agent in sorted(waiting)
        ]

    # --- judging --------------------------------------------------------------------------------------

    def judge(self) -> list[Violation]:
        """Return what does not hold of all that happened."""
        self._note_standing()
        decisions = Decisions(self.simulator.history, self.scene.manifests)
        documents = (self.scene.document.document,)
        return [
            *fork.check(decisions),
            *loss.check(decisions),
            *effects.check(decisions),
            *leases.check(decisions),
            *permission.check(decisions, documents, self.scene.memo),
            *blame.check(decisions),
            *memory.check(decisions, journal_after),
        ]

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
