"""A host: leases, steps and effects for the agents bound to it, and their arrival (protocol §5, §6, §10).

What an agent does is left to chance: it steps, has effects, asks for what is forbidden, moves on. What the host
does about it is what production does, with the same machines: `HostLease`, `Proposer`, records computed by
`core.protocol.admission`.
"""

from collections.abc import Callable
from typing import Final

from sojourn.core.agent.budgets import charged
from sojourn.core.agent.eligibility import ACTING
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.limits import RANK_STEP_MS
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.admission import admitted, bound
from sojourn.core.protocol.binding import (
    Claim,
    Heartbeat,
    HeartbeatReply,
    HostLease,
    away_ms,
    candidates,
)
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import AskWork, Work, WorkItem
from sojourn.core.protocol.messages import Arrive, AskHead, AskVisa, Evidence, Head, Proposal
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.validate import slot_for
from sojourn.host.arrivals import Arrivals
from sojourn.testing.schedules.anchor import AnchorNode
from sojourn.testing.schedules.asking import Asking, Deciding, Library
from sojourn.testing.schedules.run import Run
from sojourn.testing.schedules.scene import Scene, ZoneScene, seal
from sojourn.testing.schedules.shared import Shared
from sojourn.testing.schedules.simulator import Message, Node, Simulator

__all__ = ["HostNode"]

_BEATS_PER_LEASE: Final = 4
_RETRY_MS: Final = 100
_LOOK_AGAIN_MS: Final = 500
_RETRY_MS_MAX: Final = 1_000


class HostNode(Node):
    """One host of a zone."""

    is_honest = True

    def __init__(
        self,
        simulator: Simulator,
        scene: Scene,
        shared: Shared,
        library: Library,
        zone: ZoneScene,
        index: int,
    ) -> None:
        """Be a host of a zone; `start` lets it work."""
        super().__init__(simulator, f"{zone.name}-host{index}", zone.name)
        self.scene, self.shared, self.library = scene, shared, library
        self.zone, self.identity = zone, zone.hosts[index]
        self.manifest = zone.manifest
        self.everybody: dict[bytes, list[AnchorNode]] = {}
        self.wishes: dict[str, float] = {"step": 1.0}
        """What agents like to do, by weight."""
        self.resting: set[bytes] = set()
        """Agents that have done enough: they only hold their leases."""

    @property
    def anchors(self) -> list[AnchorNode]:
        """The anchors of this host's zone."""
        return self.everybody[self.zone.zone]

    # --- life -----------------------------------------------------------------------------------------

    def start(self, *, idle: bool = False) -> None:
        """Begin with nothing but the key: hosts keep nothing (protocol §13.7). If not `idle`, ask for work."""
        committee = self.manifest.committee
        self.is_up = True
        self.lease = HostLease(self.manifest.lease_ms, committee.n, committee.quorum)
        self.runs: dict[bytes, Run] = {}
        self._seen_to: set[bytes] = set()
        self._away_from: dict[bytes, bytes] = {}
        self._arrivals = Arrivals(self.manifest.f)
        self._sequence = self.wall_ms()
        self._beats = 0
        for anchor in () if idle else self.anchors:
            self.say(anchor, AskWork(host=self.identity.public))

    def restart(self) -> None:
        """Start again."""
        if not self.is_up:
            self.start()

    def receive(self, message: Message) -> None:
        """Take work, or the answer to a question."""
        body, asking = message.body, message.about
        if callable(asking):
            asking(message)
        elif isinstance(body, Work):
            assert isinstance(message.source, AnchorNode)
            for item in body.items:
                self._see_to(item, message.source.identity.public)
        elif isinstance(body, HeartbeatReply):
            assert isinstance(message.source, AnchorNode)
            self.lease.acknowledged(message.source.index, body)
            for run in list(self.runs.values()):
                run.lease_renewed()

    # --- leases ---------------------------------------------------------------------------------------

    def holds(self, record: AgentRecord) -> bool:
        """Tell whether this host may act for an agent at this moment."""
        return self.lease.is_held(record.agent_id, record.custody.fence, self.boot_ms())

    def take_up(self, head: Certified) -> None:
        """Claim an agent that is bound to this host, and run it once the lease is granted."""
        known = self.runs.get(head.record.agent_id)
        if known is not None and not known.is_over:
            return
        run = self.runs[head.record.agent_id] = Run(self, head)
        run.begin()
        self._beats += 1
        self._beat(self._beats)

    def give_up(self, run: Run) -> None:
        """Claim an agent no longer."""
        if self.runs.get(run.agent) is run:
            del self.runs[run.agent]
            self.lease.forget(run.agent)

    def _beat(self, beats: int) -> None:
        """Send a heartbeat, and another one a quarter of a lease later; `beats` tells old timers from the newest."""
        if beats != self._beats or not self.runs:
            return
        self._sequence += 1
        custodies = [(agent, run.head.record.custody) for agent, run in self.runs.items()]
        claims = tuple(
            Claim(agent=agent, term=custody.term, binding=custody.binding)
            for agent, custody in custodies
        )
        beat = Heartbeat(host=self.identity.public, sequence=self._sequence, claims=claims)
        self.lease.sent(beat, self.boot_ms())
        for anchor in self.anchors:
            self.say(anchor, beat)
        self.after(self.manifest.lease_ms / _BEATS_PER_LEASE, lambda: self._beat(beats))

    # --- proposals ------------------------------------------------------------------------------------

    def proposal(
        self,
        kind: TransitionKind,
        parent: Certified,
        record: AgentRecord,
        evidence: Evidence | None = None,
        *,
        is_charged: bool = True,
    ) -> Proposal:
        """Return a sealed proposal of this moment, with what is due charged to the agent's budgets."""
        at_ms = self.wall_ms()
        declared = evidence.intent.declared if evidence and evidence.intent else {}
        if is_charged:
            record = charged(kind, parent.record, record, at_ms, declared)
        transition = Transition(
            kind=kind,
            parent=parent.record.digest,
            record=record,
            author=self.identity.public,
            at_ms=at_ms,
        )
        sealed = seal(self.identity, Kind.TRANSITION, Role.HOST, transition.digest)
        proposal = Proposal(transition=transition, seals=(sealed,), evidence=evidence or Evidence())
        self.simulator.history.proposals[transition.digest] = proposal
        return proposal

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
        """Try once to have a proposal decided here."""
        slot = slot_for(parent, proposal.transition, self.manifest)
        proposer = Proposer(
            proposal,
            slot,
            self.manifest,
            parent=parent,
            application=application,
            blocks=blocks,
        )
        applied_by = self.manifest.committee.quorum if until_applied else 0
        Deciding(self, self.anchors, proposer, self.library.of, done, applied_by=applied_by)

    # --- work -----------------------------------------------------------------------------------------

    def _see_to(self, item: WorkItem, anchor: bytes) -> None:
        if item.head is not None:
            self._find(item.head.record.agent_id)
        if item.arrive is None or not self._arrivals.is_witnessed(anchor, item.arrive):
            return
        if item.application is not None:
            self._admit(item.arrive, item.application)

    def _find(self, agent: bytes) -> None:
        """Ask a quorum for the newest head of an agent; take it up if it is ours, bind it if nobody has it."""
        if agent in self.runs or agent in self._seen_to:
            return
        self._seen_to.add(agent)
        self._newest(agent, lambda head: self._found(agent, head))

    def _newest(self, agent: bytes, then: Callable[[Certified | None], None]) -> None:
        heads: list[Certified] = []
        answers: set[int] = set()
        known = {self.zone.zone: self.manifest}

        def heard(index: int, body: object) -> bool:
            if isinstance(body, Head):
                answers.add(index)
                head = body.certified
                if head is not None and head.record.agent_id == agent:
                    head.check(known)
                    heads.append(head)
            return len(answers) >= self.manifest.committee.quorum

        def done() -> None:
            then(max(heads, key=lambda head: head.record.version, default=None))

        Asking(self, self.anchors, heard, done, within_ms=500).ask(AskHead(agent=agent))

    def _found(self, agent: bytes, head: Certified | None) -> None:
        self._seen_to.discard(agent)
        if head is None or agent in self.runs:
            return
        custody, status = head.record.custody, head.record.eligibility.status
        if custody.zone != self.zone.zone or status not in ACTING:
            return
        if (
            custody.host == self.identity.public
            and self._away_from.get(agent) != head.record.digest
        ):
            self.take_up(head)
            return
        self._seen_to.add(agent)
        self.after(self._rank(head.record) * RANK_STEP_MS + 1, lambda: self._bind(head))

    def lost(self, head: Certified, *, is_withheld: bool) -> None:
        """Look again at an agent whose lease is lost; if it is withheld, only to bind it anew (protocol §6.10)."""
        agent = head.record.agent_id
        if not is_withheld:
            self.after(_LOOK_AGAIN_MS, lambda: self._find(agent))
            return
        self.simulator.counts["bound anew"] += 1
        self._away_from[agent] = head.record.digest
        self._seen_to.add(agent)
        wait_ms = away_ms(self.manifest.lease_ms)
        self.after(wait_ms, lambda: self._newest(agent, lambda newest: self._found(agent, newest)))

    def _rank(self, record: AgentRecord) -> int:
        order = list(candidates(record, self.zone.envelopes))
        return order.index(self.identity.public)

    def _bind(self, head: Certified) -> None:
        agent = head.record.agent_id
        record = bound(head, self.identity.public)
        proposal = self.proposal(TransitionKind.BIND, head, record)

        def done(proposer: Proposer) -> None:
            self._seen_to.discard(agent)
            self._settle(proposer)

        self.decide(proposal, head, done, until_applied=True)

    def _settle(self, proposer: Proposer) -> bool:
        """Take up what was decided if it is ours; tell whether anything was."""
        decided = proposer.decided
        if decided is None:
            return False
        if decided.record.custody.host == self.identity.public:
            self.take_up(decided)
        return True

    # --- arrivals -------------------------------------------------------------------------------------

    def _admit(self, arrive: Arrive, application: AskVisa) -> None:
        """Have the admission of an arrival decided here; the host that its visa names is the first to try."""
        agent = arrive.departure.record.agent_id
        migration = arrive.departure.record.migration
        if agent in self._seen_to or agent in self.runs:
            return
        if migration is None or arrive.visa.digest != migration.visa:
            return
        self._seen_to.add(agent)
        is_named = arrive.visa.terms.host == self.identity.public
        wait_ms = 0 if is_named else (1 + self._rank(arrive.departure.record)) * RANK_STEP_MS
        over_ms = self.boot_ms() + arrive.visa.terms.deadline_ms
        self.after(wait_ms, lambda: self._try_admit(arrive, application, over_ms, _RETRY_MS))

    def _try_admit(
        self, arrive: Arrive, application: AskVisa, over_ms: int, pause_ms: float
    ) -> None:
        gone = arrive.departure
        agent = gone.record.agent_id
        if self.boot_ms() >= over_ms:
            self._seen_to.discard(agent)
            return
        record = admitted(gone.record, gone.certificate.slot, self.manifest, self.identity.public)
        evidence = Evidence(departure=gone, visa=arrive.visa)
        proposal = self.proposal(TransitionKind.ADMIT, gone, record, evidence)

        def done(proposer: Proposer) -> None:
            never = sum(not declined.for_now for declined in proposer.declined.values())
            if self._settle(proposer) or never > self.manifest.f:
                self._seen_to.discard(agent)
                return
            longer_ms = min(2 * pause_ms, _RETRY_MS_MAX)
            self.after(pause_ms, lambda: self._try_admit(arrive, application, over_ms, longer_ms))

        self.decide(proposal, gone, done, application=application, until_applied=True)
