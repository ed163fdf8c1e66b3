"""Every order of messages, crashes and timers, for one agent, two zones and n = 4, to a stated depth.

In each zone one anchor lies: it votes for anything, so that whatever needs a quorum needs two honest votes. The
network keeps every message for ever and delivers it whenever it likes, again or never; proposers, hosts and leaders
are the network's puppets: whatever can be put together from votes that were cast may be shown to any anchor, and
any value may be proposed in any round by its leader. Leases hold or are over, and times are up, as suits each
request. An anchor that crashes and comes back is what its disk says, so that each state is written and read back.

What the machines are asked is a superset of what any schedule can ask them; what holds here holds in each.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from sojourn.core.agent.budgets import charged
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol import decree
from sojourn.core.protocol.admission import admitted, bound, child, departed, returned
from sojourn.core.protocol.anchor import rule
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.messages import (
    Arrive,
    AskRound,
    AskVisa,
    Evidence,
    Proposal,
    Propose,
    Request,
    ShowCommit,
    ShowLock,
)
from sojourn.core.protocol.validate import slot_for
from sojourn.core.protocol.visa import Visa, visa_slot, visa_terms
from sojourn.core.quorum.certificates import (
    Certificate,
    LockSummary,
    RoundCertificate,
    RoundVote,
    certify,
)
from sojourn.core.quorum.votes import Ballot, Phase, Slot
from sojourn.testing.checkers.blame import is_fraud
from sojourn.testing.schedules.clocks import EPOCH_MS
from sojourn.testing.schedules.scene import Scene, ZoneScene, scene, seal
from tests.exploration.locals import Local, Locals, Onward, VoteKey

__all__ = ["Explored", "Explorer"]

HONEST: Final = 3
NEEDED: Final = 2
"""Honest votes that make a quorum with the liar's."""
State = tuple[tuple[int, ...], tuple[int, ...]]
"""The numbers of the honest anchors' states, zone by zone. Anchors are alike: their order says nothing."""
Asked = Request | Onward


class Value(NamedTuple):
    """Something that may be decided: where, what for, and what must be there before it can be proposed."""

    name: str
    zone: int
    slot: Slot
    proposal: Proposal
    needs: tuple[VoteKey, ...] = ()
    needs_zone: int = 0


class Action(NamedTuple):
    """A request that may be shown to an anchor of a zone once its votes are there."""

    name: str
    zone: int
    request: Callable[[], Asked]
    needs: tuple[tuple[int, VoteKey, int], ...]
    """Zone, votes and how many honest ones of them."""


@dataclass
class Explored:
    """What an exploration saw."""

    states: int = 0
    moves: int = 0
    depth: int = 0
    is_whole: bool = False
    decided: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


class Explorer:
    """One agent at zone a that may step, be bound anew, or leave for zone b; rounds up to `rounds`."""

    def __init__(
        self,
        *,
        rounds: int,
        values: Iterable[str] = ("step", "bind", "depart", "admit", "rival", "refuse", "return"),
    ) -> None:
        """Set the scene."""
        self.scene: Scene = scene(4, 2, 0, 1)
        self.zones: list[ZoneScene] = list(self.scene.zones.values())
        self.rounds, self._wanted = rounds, set(values)
        self.chapters: dict[bytes, Chapter] = {}
        self.locals = [Locals(self.scene, zone, self.chapters) for zone in self.zones]
        self.certificates: dict[bytes, Certificate] = {}
        self.head = self.scene.agents[0].head
        self.start: State = self._start()
        self._propositions()
        self.actions: list[Action] = list(self._actions())

    # --- the scene ------------------------------------------------------------------------------------

    def _start(self) -> State:
        a, b = self.locals
        agent, dossier = self.scene.agents[0], Dossier(agent=self.head.record.agent_id)
        for certified, proposal in ((agent.born, agent.genesis), (agent.head, agent.binding)):
            show = ShowCommit(certificate=certified.certificate, proposal=proposal)
            ruling = rule(dossier, show, b"", a.view(show, holds=True))
            assert ruling.dossier is not None
            dossier = ruling.dossier
            for chapter in ruling.chapters:
                self.chapters[digest_of(chapter)] = chapter
        home = a.number(Local(dossier, (), frozenset(), frozenset()))
        empty = Local(Dossier(agent=agent.agent), (), frozenset(), frozenset())
        return (home,) * HONEST, (b.number(empty),) * HONEST

    def _propositions(self) -> None:
        """Make all that may be proposed, and what it leans on."""
        a, b = self.zones
        head, record = self.head, self.head.record
        terms = visa_terms(record, b.manifest, b.hosts[0].public, 1_000, 1_000)
        named = tuple(self.chapters)
        self.ask = AskVisa(terms=terms, head=head, chapters=named, manifests=(a.signed,))
        granted = (
            b.vote(
                Ballot(
                    slot=visa_slot(terms),
                    round=0,
                    phase=Phase.VISA,
                    value=digest_of(terms),
                    anchor=anchor,
                    counter=1,
                )
            )
            for anchor in range(3)
        )
        self.visa = Visa(terms=terms, certificate=certify(list(granted), b.manifest.committee))
        memory = replace(record.memory, journal=digest(b"entry"))
        slot = head.certificate.slot
        self.values: list[Value] = []
        self._add(
            0, "step", TransitionKind.STEP, head, child(record, slot, memory=memory), a.hosts[0]
        )
        self._add(0, "bind", TransitionKind.BIND, head, bound(head, a.hosts[1].public), a.hosts[1])
        visa_key = VoteKey(terms.term, 0, Phase.VISA, 0, digest_of(terms))
        left = departed(record, slot, self.visa, b.manifest)
        gone = self._certified(
            self._add(
                0,
                "depart",
                TransitionKind.DEPART,
                head,
                left,
                a.hosts[0],
                evidence=Evidence(visa=self.visa),
                needs=(visa_key,),
                needs_zone=1,
            )
        )
        self.gone = gone
        departure = Evidence(departure=gone, visa=self.visa)
        away = (self._commit_key(gone, 0),)
        for name, host in (("admit", b.hosts[0]), ("rival", b.hosts[1])):
            entered = admitted(gone.record, gone.certificate.slot, b.manifest, host.public)
            self._add(
                1, name, TransitionKind.ADMIT, gone, entered, host, evidence=departure, needs=away
            )
        no = self._add(
            1,
            "refuse",
            TransitionKind.REFUSE,
            gone,
            gone.record,
            b.identities[0],
            role=Role.ANCHOR,
            evidence=Evidence(departure=gone),
            needs=away,
        )
        refusal = self._certified(no)
        self._add(
            0,
            "return",
            TransitionKind.RETURN,
            gone,
            returned(gone.record, gone.certificate.slot),
            a.identities[0],
            role=Role.ANCHOR,
            evidence=Evidence(refusal=refusal),
            needs=(self._commit_key(refusal, 0),),
            needs_zone=1,
        )

    def _add(
        self,
        zone: int,
        name: str,
        kind: TransitionKind,
        parent: Certified,
        record: Any,
        author: Any,
        *,
        role: Role = Role.HOST,
        evidence: Evidence | None = None,
        needs: tuple[VoteKey, ...] = (),
        needs_zone: int = 0,
    ) -> Value:
        transition = Transition(
            kind=kind,
            parent=parent.record.digest,
            record=charged(kind, parent.record, record, EPOCH_MS),
            author=author.public,
            at_ms=EPOCH_MS,
        )
        sealed = seal(author, Kind.TRANSITION, role, transition.digest)
        proposal = Proposal(transition=transition, seals=(sealed,), evidence=evidence or Evidence())
        slot = slot_for(parent, transition, self.zones[zone].manifest)
        value = Value(name, zone, slot, proposal, needs, needs_zone)
        if name in self._wanted:
            self.values.append(value)
        return value

    def _certified(self, value: Value) -> Certified:
        digest = value.proposal.transition.digest
        certificate = self._certificate(value, Phase.COMMIT, 0)
        assert certificate.value == digest
        return Certified(transition=value.proposal.transition, certificate=certificate)

    @staticmethod
    def _commit_key(certified: Certified, round: int) -> VoteKey:
        slot = certified.certificate.slot
        return VoteKey(slot.term, slot.version, Phase.COMMIT, round, certified.certificate.value)

    def _certificate(self, value: Value, phase: Phase, round: int) -> Certificate:
        zone = self.zones[value.zone]
        ballots = (
            Ballot(
                slot=value.slot,
                round=round,
                phase=phase,
                anchor=anchor,
                counter=1,
                value=value.proposal.transition.digest,
            )
            for anchor in range(3)
        )
        made = certify([zone.vote(ballot) for ballot in ballots], zone.manifest.committee)
        self.certificates[digest_of(made)] = made
        return made

    def _entry(self, value: Value, round: int) -> RoundCertificate:
        zone, nothing = self.zones[value.zone], LockSummary()
        ballots = (
            Ballot(
                slot=value.slot,
                round=round,
                phase=Phase.ROUND,
                value=digest_of(nothing),
                anchor=anchor,
                counter=1,
            )
            for anchor in range(3)
        )
        votes = tuple(RoundVote(vote=zone.vote(ballot), summary=nothing) for ballot in ballots)
        return RoundCertificate(slot=value.slot, round=round, votes=votes)

    # --- what may happen ------------------------------------------------------------------------------

    def _actions(self) -> Iterator[Action]:
        for value in self.values:
            for round in range(self.rounds):
                yield from self._proposing(value, round)
                yield from self._showing(value, round)
        slots = {(value.zone, value.slot): value for value in self.values}
        for value in slots.values():
            for round in range(self.rounds):
                yield from self._leaving(value, round)
        yield Action("visa", 1, partial(_same, self.ask), ())
        if any(value.zone == 1 for value in self.values):
            gone = ((0, self._commit_key(self.gone, 0), NEEDED),)
            arrive = Arrive(departure=self.gone, visa=self.visa)
            yield Action("arrive", 1, partial(_same, arrive), gone)
            for value in self.values:
                if value.name in ("admit", "rival"):
                    done = self._certified(value)
                    needs = ((1, self._commit_key(done, 0), NEEDED),)
                    yield Action(f"onward {value.name}", 0, partial(_same, Onward(done)), needs)

    def _proposing(self, value: Value, round: int) -> Iterator[Action]:
        needs = [(value.needs_zone, key, NEEDED) for key in value.needs]
        entry = None
        if round > 0:
            needs.append((value.zone, self._round_key(value, round - 1), NEEDED))
            entry = self._entry(value, round - 1)
        for leaning in (None, *range(round)):
            more, lock = list(needs), None
            if leaning is not None:
                more.append((value.zone, self._key(value, Phase.LOCK, leaning), NEEDED))
                lock = self._certificate(value, Phase.LOCK, leaning)
            ask = Propose(
                slot=value.slot,
                round=round,
                proposal=value.proposal,
                entry=entry,
                justification=lock,
            )
            name = f"propose {value.name} {round} {leaning}"
            yield Action(name, value.zone, partial(_same, ask), tuple(more))
        if round == 0 and value.needs:  # whoever has no evidence may ask all the same
            bare = replace(value.proposal, evidence=Evidence())
            asked = Propose(slot=value.slot, round=0, proposal=bare)
            yield Action(f"propose {value.name} bare", value.zone, partial(_same, asked), ())

    def _showing(self, value: Value, round: int) -> Iterator[Action]:
        lock = self._certificate(value, Phase.LOCK, round)
        needs = ((value.zone, self._key(value, Phase.LOCK, round), NEEDED),)
        show = ShowLock(certificate=lock, proposal=value.proposal)
        yield Action(f"lock {value.name} {round}", value.zone, partial(_same, show), needs)
        commit = self._certificate(value, Phase.COMMIT, round)
        needs = ((value.zone, self._key(value, Phase.COMMIT, round), NEEDED),)
        decided = ShowCommit(certificate=commit, proposal=value.proposal)
        yield Action(f"commit {value.name} {round}", value.zone, partial(_same, decided), needs)

    def _leaving(self, value: Value, round: int) -> Iterator[Action]:
        """The last round may be asked for, too: whoever enters it stays."""
        entry, needs = None, ()
        if round > 0:
            entry = self._entry(value, round - 1)
            needs = ((value.zone, self._round_key(value, round - 1), NEEDED),)
        where = f"{value.zone} {value.slot.term}/{value.slot.version} {round}"
        ask = AskRound(slot=value.slot, round=round, entry=entry)
        yield Action(f"leave {where}", value.zone, partial(_same, ask), needs)
        if round == 0:
            votes = self._entry(value, 0).votes[:2]
            stuck = replace(ask, votes=votes)
            needs = ((value.zone, self._round_key(value, 0), 1),)
            yield Action(f"wake {where}", value.zone, partial(_same, stuck), needs)

    @staticmethod
    def _key(value: Value, phase: Phase, round: int) -> VoteKey:
        slot = value.slot
        return VoteKey(slot.term, slot.version, phase, round, value.proposal.transition.digest)

    @staticmethod
    def _round_key(value: Value, round: int) -> VoteKey:
        return VoteKey(value.slot.term, value.slot.version, Phase.ROUND, round, b"")

    def led_to(self, *names: str) -> "Explorer":
        """Begin after these requests were shown to every anchor of their zone, in this order."""
        for name in names:
            number = next(i for i, action in enumerate(self.actions) if action.name == name)
            action = self.actions[number]
            after = [self._after(number, action, local) for local in self.start[action.zone]]
            moved = tuple(sorted(after))
            assert moved != self.start[action.zone], f"{name} changes nothing"
            zones = (moved, self.start[1]) if action.zone == 0 else (self.start[0], moved)
            self.start = zones
        return self

    # --- exploring ------------------------------------------------------------------------------------

    def explore(self, *, depth: int, states_max: int) -> Explored:
        """Visit every state within so many moves of the start, level by level, until there are too many."""
        seen: set[State] = {self.start}
        level, found = [self.start], Explored(states=1)
        checked: list[set[int]] = [set(), set()]
        while level and found.depth < depth and len(seen) < states_max and not found.problems:
            following: list[State] = []
            for state in level:
                for after in self._successors(state):
                    found.moves += 1
                    if after not in seen:
                        seen.add(after)
                        following.append(after)
                        self._check(after, checked, found)
            found.depth += 1
            level = following
        found.states, found.is_whole = len(seen), not level
        return found

    def _successors(self, state: State) -> Iterator[State]:
        counts = [self._counts(zone, state[zone]) for zone in (0, 1)]
        for number, action in enumerate(self.actions):
            if any(counts[zone].get(key, 0) < needed for zone, key, needed in action.needs):
                continue
            mine = state[action.zone]
            for local in dict.fromkeys(mine):
                after = self._after(number, action, local)
                if after != local:
                    rest = list(mine)
                    rest[rest.index(local)] = after
                    moved = tuple(sorted(rest))
                    yield (moved, state[1]) if action.zone == 0 else (state[0], moved)

    def _after(self, number: int, action: Action, local: int) -> int:
        return self.locals[action.zone].after(local, number, action.request, self._sender(action))

    def _sender(self, action: Action) -> bytes:
        request = action.request()
        if isinstance(request, Propose) and request.round > 0:
            zone = self.zones[action.zone]
            return zone.identities[decree.leader(request.slot, request.round, zone.manifest)].public
        return b""

    def _counts(self, zone: int, numbers: tuple[int, ...]) -> dict[VoteKey, int]:
        counts: dict[VoteKey, int] = {}
        states = self.locals[zone].states
        for local in numbers:
            for key in states[local].votes:
                counts[key] = counts.get(key, 0) + 1
        return counts

    # --- what must hold -------------------------------------------------------------------------------

    def _check(self, state: State, checked: list[set[int]], found: Explored) -> None:
        decided = self._decided(state)
        found.decided |= decided
        for one, other in _EXCLUSIVE:
            if one in decided and other in decided:
                found.problems.append(f"both {one} and {other} are decided")
        for zone in (0, 1):
            for local in state[zone]:
                if local not in checked[zone]:
                    checked[zone].add(local)
                    found.problems += self._check_local(self.locals[zone].states[local])

    def _decided(self, state: State) -> set[str]:
        counts = [self._counts(zone, state[zone]) for zone in (0, 1)]
        return {
            value.name
            for value in self.values
            for round in range(self.rounds)
            if counts[value.zone].get(self._key(value, Phase.COMMIT, round), 0) >= NEEDED
        }

    def _check_local(self, local: Local) -> list[str]:
        ballots = local.ballots
        return [
            f"blamed for {one.phase} in round {one.round} and {other.phase} in round {other.round}"
            for i, one in enumerate(ballots)
            for other in ballots[i + 1 :]
            if is_fraud(one, other, self.certificates)
        ]


def _same(request: Asked) -> Asked:
    return request


_EXCLUSIVE: Final = (
    ("step", "bind"),
    ("step", "depart"),
    ("bind", "depart"),
    ("admit", "rival"),
    ("admit", "refuse"),
    ("rival", "refuse"),
    ("admit", "return"),
    ("rival", "return"),
)
"""What must never both be decided: values of one slot, and an admission with a return of the same departure."""
