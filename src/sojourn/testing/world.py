"""A simulated world: zones, a network, agents, and what a test does to them."""

import inspect
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sojourn.anchor.server import Anchor
from sojourn.core.agent.approvals import Approvers
from sojourn.core.agent.capabilities import Offer, Requirements
from sojourn.core.agent.governance import Document, SignedDocument
from sojourn.core.agent.trust import SignedEndorsement, Trust
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Misused
from sojourn.core.protocol.gossip import News
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.code import load_agent
from sojourn.runtime.agent_side.steps import Step
from sojourn.testing import person
from sojourn.testing.agents import WITHIN_S, LaunchedAgent
from sojourn.testing.facts import Happening, Performed
from sojourn.testing.faults import Faults, Storm
from sojourn.testing.founding import PERMIT_ALL, RELYING, Keep, found, genesis, policy_of, successor
from sojourn.testing.loop import Complaints
from sojourn.testing.network import Network
from sojourn.testing.processes import AnchorProcess, Client, HostProcess, MakeAnchor, Process
from sojourn.testing.promises import broken_promises
from sojourn.testing.publishing import Publishing
from sojourn.testing.source import source_of
from sojourn.testing.substrate import Watch
from sojourn.testing.timeline import NS_PER_S, Timeline
from sojourn.testing.trace import Trace
from sojourn.testing.unmet import Unmet
from sojourn.testing.watching import Watching
from sojourn.testing.zones import Places, Zone, machines

__all__ = ["World"]

_OFFER: Final = Offer(cpu_millis=8_000, memory_mib=16_384, slots=100)


class World(Publishing):
    """Zones of production's processes, in virtual time; made by `simulate`.

    Time passes only inside the methods that let it: `run`, `run_until`, `zone`, `launch`, and those of agents
    that expect something. What a method does to a process is done at once.
    """

    def __init__(self, seed: int, faults: Faults | None = None) -> None:
        """Begin with no zone; `faults` begin when time first passes for an agent that was launched."""
        self.seed, self._faults = seed, faults or Faults()
        self.timeline = Timeline(self._chance("order"))
        self.trace = Trace(self.timeline)
        self.network = Network(self.timeline, self._chance("network"), self.trace.sent)
        self._watching = Watching()
        self.complaints: list[str] = []
        self._zones: dict[str, Zone] = {}
        self._agents: list[LaunchedAgent] = []
        self._policies: dict[bytes, Document] = {}
        self._changes: Counter[bytes] = Counter()
        self._draw = self._chance("world")
        self._storm: Storm | None = None
        self._person = Client(self)
        self._person.start()

    def _chance(self, use: str) -> random.Random:
        return random.Random(f"{self.seed}/{use}")  # noqa: S311 (it is to be the same in every run)

    @property
    def watch(self) -> Watch:
        """What is told of every step."""
        return self._watching

    @property
    def seed_text(self) -> str:
        """What every chance in this world comes from."""
        return str(self.seed)

    # --- zones ----------------------------------------------------------------------------------------

    def zone(
        self,
        name: str,
        *,
        anchors: int = 4,
        hosts: int = 1,
        policy: str = PERMIT_ALL,
        jurisdiction: tuple[str, ...] = ("EU",),
        price: float = 1.0,
        lease: float = 2.0,
        offer: Offer = _OFFER,
        drift: Mapping[str, float] | None = None,
        make_anchor: Mapping[int, MakeAnchor] | None = None,
        introduced: bool = True,
    ) -> Zone:
        """Found a zone, start its processes, and let all zones know each other, but those not `introduced`.

        `price` is what its hosts ask for an hour, `lease` how many seconds a host's lease lasts. `drift` gives
        clocks of a process ("anchor/0", "host/1") a rate error, beyond `CLOCK_DRIFT` if you like; others get one
        within `Faults.drift`. `make_anchor` puts anchors of another make, such as liars, at some indexes.
        """
        if name in self._zones:
            raise Misused(f"there is a zone {name!r} already", remedy="Choose another name")
        founded = found(
            name, anchors, hosts, policy, jurisdiction, round(price * 1e6), round(lease * 1000)
        )
        zone = self._zones[name] = Zone(founded, introduced=introduced)
        given, makes = dict(drift or {}), dict(make_anchor or {})
        for index in range(anchors):
            rate = given.pop(f"anchor/{index}", None)
            make = makes.pop(index, Anchor)
            zone.anchors.append(
                AnchorProcess(self, founded, index, make, self._rate(rate), self._note_row)
            )
        for index in range(hosts):
            rate = given.pop(f"host/{index}", None)
            zone.hosts.append(HostProcess(self, founded, index, offer, self._rate(rate)))
        if given or makes:
            raise Misused(f"zone {name} has no {[*given, *makes]}", remedy="Count from 0")
        zone.start()
        if introduced:
            self._introduce()
        return zone

    def _rate(self, given: float | None) -> float:
        most = self._faults.drift
        return self._draw.uniform(-most, most) if given is None else given

    def _introduce(self) -> None:
        manifests = [zone.founded.signed for zone in self._zones.values() if zone.introduced]
        self.perform(lambda: person.introduce(self._person.pool, manifests), "tell of zones")

    def tell(self, zone: Zone, *what: Zone | SignedEndorsement, anchor: int | None = None) -> None:
        """Tell a zone's anchors, or one of them, of zones and endorsements, as a person does.

        `sojourn zone meet` tells each of two zones of the other, and `sojourn zone endorse` of an endorsement.
        """
        news = News(
            manifests=tuple(each.founded.signed for each in what if isinstance(each, Zone)),
            endorsements=tuple(each for each in what if isinstance(each, SignedEndorsement)),
        )
        anchors = None if anchor is None else [anchor]
        self.perform(
            lambda: person.tell(self._person.pool, zone.manifest, news, anchors),
            f"tell {zone.name}",
        )

    def zones(self) -> list[Zone]:
        """Return all zones, in the order they were founded."""
        return list(self._zones.values())

    def zone_of(self, identifier: bytes) -> Zone:
        """Return the zone with an identifier."""
        return next(zone for zone in self._zones.values() if zone.id == identifier)

    def processes(self) -> list[Process]:
        """Return the processes of all zones."""
        return [process for zone in self._zones.values() for process in zone.processes]

    def anchors(self) -> list[AnchorProcess]:
        """Return the anchors of all zones."""
        return [anchor for zone in self._zones.values() for anchor in zone.anchors]

    def honest_anchors(self) -> list[AnchorProcess]:
        """Return the anchors that are production's."""
        return [anchor for anchor in self.anchors() if anchor.is_honest]

    # --- agents ---------------------------------------------------------------------------------------

    def launch(
        self,
        agent: type[Agent] | str,
        zone: Zone,
        *,
        memory: Mapping[str, Any] | None = None,
        folder: Path | None = None,
        policy: str = PERMIT_ALL,
        budgets: Mapping[str, int] | None = None,
        requires: Requirements | None = None,
        actions: Sequence[str] = (),
        cool_down: float = 0.0,
        holds: float | None = None,
        staleness: float | None = None,
        trust: Trust = RELYING,
        approvers: Mapping[str, Approvers] | None = None,
    ) -> LaunchedAgent:
        """Launch an agent into a zone, as `sojourn agent launch` does; return when its genesis is decided.

        `agent` is a class of a module, or "module:Class" with the `folder` where that is: its source travels, so
        that every host loads it anew. `memory` gives each compartment its first values: a dictionary makes a
        mapping, a list or None a log, `Keep` says more. `policy` is the agent's own, in Cedar; the actions of its
        steps are declared. It holds for so many seconds from now, for ever by default; when it was amended, it rules
        beside what took its place for `cool_down` seconds. `approvers` are the groups that it may ask, with keys as
        `person_key` gives them. With `staleness`, the agent acts only where a head of its policy was heard of
        (`vouch`) that is no older than so many seconds.
        """
        source, entry = source_of(agent, folder)
        declared = {*actions, *_actions_of(load_agent(entry, source))}
        born = genesis(
            zone.manifest,
            source,
            entry,
            nonce=self._draw.randbytes(32),
            now_ms=self._person.clock.wall_ms(),
            memory={name: _kept(values) for name, values in (memory or {}).items()},
            policy=policy_of(
                policy,
                tuple(sorted(declared)),
                outside=bool(declared),
                cool_down_ms=round(cool_down * 1000),
                approvers=tuple((approvers or {}).items()),
                staleness_ms=None if staleness is None else round(staleness * 1000),
                **self._window(holds),
            ),
            budgets=budgets or {},
            requires=requires or Requirements(),
            trust=trust,
        )
        certified = self.perform(
            lambda: person.launch(self._person.pool, zone.manifest, born), "launch an agent"
        )
        self._know(born.proposal.evidence.documents)
        name = f"agent {len(self._agents)}"
        launched = LaunchedAgent(self, name, certified)
        self._agents.append(launched)
        return launched

    def amend(
        self,
        agent: LaunchedAgent,
        *policies: str,
        cool_down: float = 0.0,
        holds: float | None = None,
        within: float = WITHIN_S,
    ) -> None:
        """Amend an agent's policy, as the officers of its issuer do; return when that is decided where it is.

        Each policy, in Cedar, succeeds the one before, and the last one rules from then on. `cool_down` and `holds`
        say of all of them what they say of the first one in `launch`.
        """
        old = before = self._policies[agent.record.governance.documents[0]]
        cools, run = round(cool_down * 1000), list[SignedDocument]()
        for cedar in policies:
            run.append(successor(before, cedar, cool_down_ms=cools, **self._window(holds)))
            before = run[-1].document
        self._know(run)
        self.perform(
            lambda: person.amend(
                self._person.pool,
                lambda: (agent.zone.manifest, agent.head),
                old,
                run,
                self._person.clock.wall_ms,
            ),
            f"amend {agent.name}",
            within,
        )

    def _know(self, policies: Sequence[SignedDocument]) -> None:
        """Remember policy documents, to sign their successors."""
        self._policies |= {digest_of(signed.document): signed.document for signed in policies}

    def _window(self, holds: float | None) -> dict[str, int]:
        if holds is None:
            return {}
        return {"not_after_ms": self._person.clock.wall_ms() + round(holds * 1000)}

    def stand_in(self, step: str, function: Callable[..., Any]) -> None:
        """Let a function be called instead of every step of that name, with the step's arguments.

        Say so before the agent's code is loaded: before `launch`, best.
        """
        self._watching.stand_ins[step] = function

    def at_step(
        self, step: str, action: Callable[[Performed], object], *, before: bool = False
    ) -> None:
        """Do something at the moment when a step was performed, or is about to be if `before`.

        Nothing of it is journaled at that moment: to kill the host then is the hardest time for an effect.
        """
        self._watching.at_step(step, action, before=before)

    # --- time -----------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return self.timeline.now_ns / NS_PER_S

    def run(self, seconds: float) -> None:
        """Let so many virtual seconds pass."""
        self._begin_storm()
        self.timeline.run(lambda: False, self.timeline.now_ns + round(seconds * NS_PER_S))

    def run_until(
        self,
        is_so: Callable[[], bool],
        why: str | Callable[[], str],
        within: float = WITHIN_S,
        watched: bytes | None = None,
    ) -> None:
        """Let time pass until something is so. Raises `Unmet`, saying `why`, if it is not within so many seconds.

        With `watched`, it is looked at only when something was written about that agent, or a step performed.
        """
        seen: tuple[int, int] | None = None
        if watched is not None:
            self._begin_storm()

        def look() -> bool:
            nonlocal seen
            if watched is not None:
                now = (self._changes[watched], len(self.performed))
                if now == seen:
                    return False
                seen = now
            return is_so()

        until_ns = self.timeline.now_ns + round(within * NS_PER_S)
        if not self.timeline.run(look, until_ns) and not is_so():
            expected = why if isinstance(why, str) else why()
            raise Unmet(f"not within {within:g} virtual seconds: {expected}")

    def _begin_storm(self) -> None:
        if self._storm is None and self._agents:
            self._storm = Storm(self, self._faults, self._chance("storm"))

    def perform(self, work: Callable[[], Any], what: str, within: float = WITHIN_S) -> Any:
        """Let a person's process do some asynchronous work, and return its result."""
        done = self._person.perform(work)
        self.run_until(done.done, what, within)
        return done.result()

    # --- faults ---------------------------------------------------------------------------------------

    def partition(
        self,
        some: Places,
        others: Places,
        *,
        one_way: bool = False,
    ) -> Callable[[], None]:
        """Let nothing pass between machines of two sides; `one_way` only cuts what the first side sends.

        Return what heals just this cut; `heal` heals all.
        """
        here, there = machines(some), machines(others)
        ways = [(a.name, b.name) for a in here for b in there if a is not b]
        ways += [] if one_way else [(b, a) for a, b in ways]
        arrow = "→" if one_way else "↔"
        self.note("network", f"cut: {_names(here)} {arrow} {_names(there)}")
        for way in ways:
            self.network.cut(*way)

        def heal() -> None:
            self.note("network", f"healed: {_names(here)} {arrow} {_names(there)}")
            for way in ways:
                self.network.heal(*way)

        return heal

    def heal(self) -> None:
        """Undo all partitions and all slowness of the network."""
        self.note("network", "healed")
        self.network.heal_all()

    def slow(self, some: Places, others: Places, times: float) -> None:
        """Let everything between machines of two sides take so many times as long as usual."""
        for near in machines(some):
            for far in machines(others):
                self.network.slow(near.name, far.name, times)
                self.network.slow(far.name, near.name, times)

    def break_connections(self, process: Process) -> None:
        """Break all connections of a process, some in the middle of a frame."""
        if process.life is not None:
            process.note("its connections break")
            self.network.break_wires(process.life)

    def calm(self) -> None:
        """Let no more faults happen; heal, resume, repair and start everything, and set every wall clock right."""
        self.note("world", "calm")
        if self._storm is not None:
            self._storm.end()
        self.network.heal_all()
        for process in self.processes():
            process.clock.wall_offset_ms = 0
            process.resume()
        for anchor in self.anchors():
            anchor.disk.repair()
            if anchor.disk.has_failed:
                anchor.kill()  # it is ending, but not yet gone
        for process in self.processes():
            process.start()

    # --- what was seen --------------------------------------------------------------------------------

    @property
    def performed(self) -> list[Performed]:
        """Every time that a step of any agent was performed, oldest first."""
        return self._watching.performed

    @property
    def digest(self) -> str:
        """A digest of every byte sent and everything that happened: equal for equal runs."""
        return self.trace.digest

    @property
    def happenings(self) -> list[Happening]:
        """What happened to processes, oldest first."""
        return self.trace.happenings

    def transcript(self, lines: int = 40) -> str:
        """Return the last messages and happenings, for people."""
        return self.trace.transcript(lines)

    def broken_promises(self) -> list[str]:
        """Return what Sojourn promises and did not keep in this run, as sentences; empty, one hopes."""
        return broken_promises(self)

    def changes_of(self, agent: bytes) -> int:
        """Return how often something was written about an agent, on any disk."""
        return self._changes[agent]

    def _note_row(self, table: str, key: bytes) -> None:
        if table == "dossier":
            self._changes[key] += 1

    # --- for processes --------------------------------------------------------------------------------

    def note(self, process: str, what: str) -> None:
        """Take note of a happening."""
        self.trace.note(process, what)

    def complain(self, process: str) -> Complaints:
        """Return what takes note of what nobody in a process caught."""

        def complaint(what: str, error: BaseException | None) -> None:
            if "never retrieved" in what:
                return  # said when garbage is collected, whenever that is
            self.complaints.append(f"{process}: {what}: {error!r}")
            self.note(process, f"complains: {what}")

        return complaint

    # --- the end --------------------------------------------------------------------------------------

    def close(self) -> None:
        """End every process; nothing happens any more."""
        if self._storm is not None:
            self._storm.end()
        for process in (*self.processes(), self._person):
            life, process.life = process.life, None
            if life is not None:
                life.end()
        self.timeline.crew.close()


def _names(of: Sequence[Process]) -> str:
    return ", ".join(process.name for process in of)


def _kept(values: Any) -> Keep:
    if isinstance(values, Keep):
        return values
    return Keep(values=() if values is None else values)


def _actions_of(form: type[Agent]) -> set[str]:
    found = (inspect.getattr_static(form, name) for name in dir(form))
    return {step.action for step in found if isinstance(step, Step) and step.action}
