"""Rehearsing an agent in one test: production's runtime, and a custodian that remembers in place of zones.

    from sojourn.testing import rehearse

    def test_it_pays() -> None:
        rehearsal = rehearse(Desk, 3)
        rehearsal.stand_in("pay", lambda amount: None)
        assert rehearsal.result() == [10, 20, 30]
        assert rehearsal.ledger.count("pay") == 3

Time is virtual and leaps to whatever comes next, so that a sleep of years is over at once. Nothing is drawn by real
chance. What a zone decides is decided here at once, by what the test says (`Place`); whether zones keep their
promises is what `simulate` is for.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from sojourn.core.agent.eligibility import Budget, Status
from sojourn.core.agent.memory.blocks import load_block
from sojourn.core.agent.memory.field import Form
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping as MemoryMapping
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, digest, link_digest
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.code import entry_of, load_agent
from sojourn.runtime.agent_side.steps import Step
from sojourn.runtime.apart import of_the_agent, told
from sojourn.runtime.errors import ReplayMismatch
from sojourn.runtime.host_side.ending import Ending, How
from sojourn.runtime.host_side.execution import Execution
from sojourn.runtime.ports import Message
from sojourn.runtime.records import Denial, Record, decode_record
from sojourn.runtime.typed import to_plain
from sojourn.testing.clocks import EPOCH_MS
from sojourn.testing.corresponding import Correspondence
from sojourn.testing.ledgers import Ledger
from sojourn.testing.life import Life, Machine
from sojourn.testing.rehearsed import Decided, RehearsedCustody, Stored, first_record
from sojourn.testing.rehearsed_people import People
from sojourn.testing.rehearsed_places import Place
from sojourn.testing.rehearsed_rules import Rules, actions_of
from sojourn.testing.source import source_of
from sojourn.testing.substrate import Load, SimulatedSubstrate
from sojourn.testing.timeline import NS_PER_MS, NS_PER_S, Timeline, Timer
from sojourn.testing.unmet import Unmet

__all__ = ["BornChild", "Rehearsal", "agent_of", "hang", "rehearse"]

POINTS_MAX: Final = 200_000
"""Points in one rehearsal. An agent without end is rehearsed for a while: `run(seconds=...)`."""
_FOR_EVER_NS: Final = 10**21
_GOES_ON: Final = frozenset({How.DEPARTED, How.ANEW, How.BROKEN})


async def hang(*_arguments: Any, **_named: Any) -> None:
    """Stand in for a step that never ends: `rehearsal.stand_in("quote", hang)`."""
    await asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True, kw_only=True)
class BornChild:
    """A child that a rehearsed agent had; it is not run. `arguments` are those of its `run`, as builtins."""

    agent_id: bytes
    entry: str
    arguments: tuple[Any, ...]
    budgets: Mapping[str, int]


def rehearse(
    agent: type[Agent] | str,
    *arguments: Any,
    memory: Mapping[str, Any] | None = None,
    budgets: Mapping[str, int] | None = None,
    places: Sequence[Place] = (Place("home"), Place("elsewhere", price=2.0)),
    folder: Path | None = None,
    seed: int = 0,
    kill_at: int | Iterable[int] = (),
    move_at: int | Iterable[int] = (),
    policy: str = "",
    **named: Any,
) -> "Rehearsal":
    """Return the rehearsal of an agent, whose `run` gets these arguments. Nothing happens before it is asked for.

    A class is used as it is, wherever it is defined. "module:Class" with the `folder` of its module is loaded anew
    for each host, as in production: what it keeps in globals is lost with the host. `memory` is what its
    compartments begin with (a dict makes a mapping, a list or None a log, or a `Keep`), `budgets` its limits by
    name. It begins in the first of `places`. At each point in `kill_at` its host is killed, and another goes on;
    at each in `move_at` as well, and it goes on in the next place. Points are counted from 0 (`rehearsal.points`).
    `policy` is the agent's, in Cedar: with it, that and each place's own decide what the gate permits.

    Raises `Misused` for no agent, and for places that are none or of one name.
    """
    source, entry, load = agent_of(agent, folder)
    given = (tuple(arguments), dict(named))
    plain: Any = to_plain(given, what="an argument of the rehearsed run")
    by_zone = {place.zone: place for place in places}
    if not places or len(by_zone) != len(places):
        problem = f"a rehearsal was given {[place.name for place in places]} for places"
        raise Misused(problem, remedy="Give one place or more, each with a name of its own")
    stored = Stored()
    record = first_record(f"{seed}", entry, places[0], memory or {}, budgets or {}, stored)
    rules = Rules(policy, actions_of(load(entry, source))) if policy else None
    ruled = record if rules is None else rules.given_to(record)
    decided = Decided(ruled, by_zone, stored, digest(f"entropy|{seed}".encode()), rules)
    made = Rehearsal(decided, load, source, entry, (tuple(plain[0]), plain[1]), seed)
    made._kills, made._moves = _points(kill_at), _points(move_at)
    return made


def _points(at: int | Iterable[int]) -> frozenset[int]:
    return frozenset((at,) if isinstance(at, int) else at)


def agent_of(
    agent: type[Agent] | str, folder: Path | None
) -> tuple[Mapping[str, bytes], str, Load]:
    """Return an agent's source, its entry, and what loads it. Raises `Misused` for what is no agent."""
    if isinstance(agent, str):
        return *source_of(agent, folder), load_agent
    given: Any = agent  # whatever a test has passed
    if not (isinstance(given, type) and issubclass(given, Agent) and hasattr(given, "run")):
        problem = f"{agent!r} is no agent"
        raise Misused(problem, remedy="Give a class derived from sojourn.Agent that has a run")
    return {}, entry_of(agent), lambda _entry, _source: agent


class Rehearsal(People, Correspondence):
    """One agent, from its genesis on. Made by `rehearse`.

    Time passes only in the methods that let it: `run`, and those that expect something. What is final can be looked
    at whenever they are back.
    """

    def __init__(
        self,
        decided: Decided,
        load: Load,
        source: Mapping[str, bytes],
        entry: str,
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
        seed: int,
    ) -> None:
        """Begin at the genesis."""
        self.ledger = Ledger()
        self._decided = decided
        self._load, self._source, self._entry = load, source, entry
        self._arguments = arguments
        self._timeline = Timeline(Random(f"{seed}/rehearsal"))  # noqa: S311 (the same in every run)
        self._machine = Machine("host", self._timeline, f"{seed}")
        self._life: Life | None = None
        self._ending: Ending | None = None
        self._wants_message = self._wants_place = self._wants_answer = False
        self._alarm: Timer | None = None
        self._has_begun = False
        self._error: BaseException | None = None
        self._complaints: list[str] = []
        self._kills: frozenset[int] = frozenset()
        self._moves: frozenset[int] = frozenset()

    def __repr__(self) -> str:
        return f"<a rehearsal of {self._entry}: {self.describe()}>"

    # --- what the test says beforehand, or meanwhile ---------------------------------------------------

    def stand_in(self, step: str, function: Callable[..., Any]) -> None:
        """Let a function, or a coroutine function, be called instead of every step of that name.

        It gets the step's arguments. What it raises the step raises, `RetryableError` as well; `hang` never ends.
        Say so before time passes. Raises `Misused` for a step that the agent does not have.
        """
        if self._has_begun:
            problem = f"a stand-in for {step!r} came when the agent had begun"
            raise Misused(problem, remedy="Say what stands in before time passes")
        form = self._load(self._entry, self._source)
        if not isinstance(getattr(form, step, None), Step):
            known = sorted(n for n in dir(form) if isinstance(getattr(form, n, None), Step))
            problem = f"{self._entry} has no step {step!r}"
            raise Misused(problem, remedy=f"It has {', '.join(known) or 'none at all'}")
        self.ledger.stand_ins[step] = function

    def send(self, body: Any, *, sender: str = "tester", after: float = 0.0) -> None:
        """Put a message into the agent's inbox, now or in so many seconds."""
        plain = to_plain(body, what="a message")
        self._timeline.after(round(after * NS_PER_S), self._deliver, sender, plain)

    def _deliver(self, sender: str, body: Any) -> None:
        message = Message(
            index=len(self._decided.inbox), sender=sender, body=body, sent_ms=self._wall_ms()
        )
        self._decided.inbox.append(message)
        self._decided.stir()
        if self._wants_message:
            self._wake()

    def change(self, place: str, **changes: Any) -> None:
        """Let a place be another from now on: `rehearsal.change("elsewhere", price=0.5)`."""
        zone = Place(place).zone
        if zone not in self._decided.places:
            known = ", ".join(each.name for each in self._decided.places.values())
            raise Misused(f"no place is called {place!r}", remedy=f"There are {known}")
        self._decided.places[zone] = replace(self._decided.places[zone], **changes)
        self._decided.stir()
        if self._wants_place and self._life is None:
            self._begin()

    def grant(self, **budgets: int) -> None:
        """Raise limits of the agent's budgets, as its officers may. One that had nothing left goes on."""
        eligibility = self._decided.record.eligibility
        raised = {
            name: Budget(limit=budget.limit + budgets.get(name, 0), spent=budget.spent)
            for name, budget in eligibility.budgets.items()
        }
        if unknown := sorted(budgets.keys() - raised.keys()):
            problem = f"the agent has no budget {unknown[0]!r}"
            raise Misused(problem, remedy="Give it one to begin with: rehearse(..., budgets=...)")
        after = msgspec.structs.replace(eligibility, budgets=raised)
        self._decided.record = msgspec.structs.replace(self._decided.record, eligibility=after)
        if self._ending is not None and not self.has_ended:
            self._ending = None
            self._begin()

    # --- time -----------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """Virtual wall time."""
        return datetime.fromtimestamp(self._wall_ms() / 1000, UTC)

    def _wall_ms(self) -> int:
        return EPOCH_MS + self._timeline.now_ns // NS_PER_MS

    def run(self, seconds: float | None = None) -> "Rehearsal":
        """Let time pass: so many seconds, or until the agent has ended or waits for what does not come by itself.

        Raises `ReplayMismatch` if the code did not repeat its journal after a kill, a move or a rest.
        """
        if seconds is None:
            self._pass_time(lambda: False, _FOR_EVER_NS)
        else:
            until_ns = self._timeline.now_ns + round(seconds * NS_PER_S)
            if not self._pass_time(lambda: False, until_ns) and not self.has_ended:
                self._timeline.now_ns = max(self._timeline.now_ns, until_ns)
        return self

    def _pass_time(self, is_enough: Callable[[], bool], until_ns: int) -> bool:
        """Let things happen until it is enough, the agent has ended or nothing is left to happen; tell if enough."""
        if not self._has_begun:
            self._has_begun = True
            self._begin()
        before = len(self.points)

        def is_over() -> bool:
            stopped = self._error is not None or self._ending is not None or self._timeline.is_still
            return stopped or is_enough() or len(self.points) - before > POINTS_MAX

        try:
            self._timeline.run(is_over, until_ns)
        finally:
            self._timeline.crew.close()
        if self._error is not None:
            raise self._error
        if len(self.points) - before > POINTS_MAX:
            problem = f"the agent came through {POINTS_MAX} points and has not ended"
            raise Unmet(f"{problem}: run(seconds=...) rehearses a part of it")
        if self._complaints:
            raise AssertionError("; ".join(self._complaints))
        return is_enough()

    def _until(self, is_so: Callable[[], bool], why: str) -> None:
        if not self._pass_time(is_so, _FOR_EVER_NS):
            raise Unmet(f"expected that the agent {why}; it is {self.describe()}")

    # --- lives ----------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._life is None:
            self._begin()

    def _begin(self) -> None:
        """Let a host have the agent and execute it."""
        self._wants_message = self._wants_place = self._wants_answer = False
        if self._alarm is not None:
            self._alarm.cancel()
        life = self._life = Life(self._machine, self._complain)
        life.post(self._begin_in, life)

    def _begin_in(self, life: Life) -> None:
        life.main = life.loop.create_task(self._execute(life))

    async def _execute(self, life: Life) -> None:
        try:
            substrate = SimulatedSubstrate(life, self.ledger, self._load)
            custody = RehearsedCustody(self._decided, lambda point: self._pass_point(life, point))
            channel = await substrate.start(self._source, self._entry, "inside", log=custody.log)
            execution = Execution(custody, channel, arguments=self._arguments)
            self._take(life, await execution.run())
        except Exception as error:
            self._error = error

    def _take(self, life: Life, ending: Ending) -> None:
        """Take note of how an execution ended, and see to what follows."""
        life.end()
        self._life = None
        if ending.how in _GOES_ON:
            self._begin()
        elif ending.how is How.RESTING:
            self._wants_place = bool(ending.sought)
            self._rest()
        elif ending.how is How.DIVERGED:
            self._error = ReplayMismatch(ending.text)
        else:
            self._ending = ending

    def _rest(self) -> None:
        eligibility = self._decided.record.eligibility
        if eligibility.is_exhausted:
            self._ending = Ending(how=How.RESTING, text=eligibility.describe())
            return
        decided = self._decided
        self._wants_message = any(wake.on_message for wake in eligibility.wake)
        self._wants_answer = any(wake.on_answer for wake in eligibility.wake)
        times = [wake.at_ms for wake in eligibility.wake if wake.at_ms is not None]
        has_message = self._wants_message and len(decided.inbox) > decided.consumed
        if has_message or (self._wants_answer and self._has_answer()):
            self._begin()
        elif times:
            at_ns = (min(times) - EPOCH_MS) * NS_PER_MS
            self._alarm = self._timeline.at(at_ns, self._begin)

    async def _pass_point(self, life: Life, point: int) -> None:
        if point not in self._kills and point not in self._moves:
            return
        if point in self._moves:
            zones = list(self._decided.places)
            here = zones.index(self._decided.record.custody.zone)
            onward = zones[(here + 1) % len(zones)]
            self._decided.move(self._decided.places[onward])
        life.end()
        self._timeline.after(0, self._begin)
        await life.loop.create_future()  # it is never gone on with

    def _complain(self, what: str, error: BaseException | None) -> None:
        if "never retrieved" not in what:
            self._complaints.append(f"{what}: {error!r}")

    # --- what came of it ------------------------------------------------------------------------------

    @property
    def has_ended(self) -> bool:
        """Whether `run` has returned or raised."""
        return self._ending is not None and self._ending.how in (How.RETURNED, How.RAISED)

    def result(self) -> Any:
        """Expect `run` to return, and return what it returned, as builtins."""
        ending = self._end("returns")
        if ending.how is How.RAISED:
            raise Unmet(f"expected that run returns; it raised {ending.text}")
        return ending.result

    def failure(self) -> str:
        """Expect `run` to raise, and return what it raised as text."""
        ending = self._end("raises")
        if ending.how is How.RETURNED:
            raise Unmet(f"expected that run raises; it returned {ending.result!r}")
        return ending.text

    def _end(self, how: str) -> Ending:
        self._until(lambda: self.has_ended, f"{how} in the end")
        assert self._ending is not None, "it has ended"
        return self._ending

    @property
    def outcome(self) -> tuple[str, Any]:
        """How `run` ended, and with what: ("returned", result) or ("raised", text). Empty before it has."""
        if self._ending is None:
            return ("", None)
        text = self._ending.text if self._ending.how is How.RAISED else self._ending.result
        return (str(self._ending.how), text)

    @property
    def compartments(self) -> list[str]:
        """The names of the agent's compartments."""
        return sorted(of_the_agent(self.record.memory.compartments))

    @property
    def points(self) -> tuple[str, ...]:
        """What each point so far lies before or after: where a host can be killed (`kill_at`)."""
        return tuple(self._decided.points)

    @property
    def record(self) -> AgentRecord:
        """The newest final record."""
        return self._decided.record

    @property
    def place(self) -> str:
        """The name of the place where the agent is."""
        return self._decided.place.name

    @property
    def status(self) -> Status:
        """Whether it is active or dormant."""
        return self.record.eligibility.status

    @property
    def children(self) -> list[BornChild]:
        """The children that it had, oldest first."""
        return [self._born(child) for child in self._decided.children]

    def _born(self, child: AgentRecord) -> BornChild:
        resume = load_block(self._decided.stored, child.memory.journal)["resume"]
        budgets = {n: budget.limit for n, budget in child.eligibility.budgets.items()}
        return BornChild(
            agent_id=child.agent_id,
            entry=child.capabilities.entry,
            arguments=tuple(resume["arguments"][0]),
            budgets=budgets,
        )

    @property
    def log(self) -> list[str]:
        """The lines of the host's log: what the gate permitted, and warnings about the code."""
        return [f"{source}: {text}" for source, text in self._decided.lines]

    def journal(self) -> list[Record]:
        """Return every record of the journal that is final, oldest first."""
        root, stored = self.record.memory.journal, self._decided.stored
        if root == ZERO:
            return []
        log = link_digest(load_block(stored, root)["log"])
        entries = Log.load(log, stored).slice(0)
        return [decode_record(encode_block(told(each, self.record, stored))) for each in entries]

    def denials(self) -> list[Denial]:
        """Return what the gate denied, oldest first, with why."""
        return [each for each in self.journal() if isinstance(each, Denial)]

    def memory(self, compartment: str) -> Any:
        """Return what is in a compartment: a list for a log, a dictionary for a mapping.

        Raises `Misused` for one that there is not.
        """
        kept = self.record.memory.compartments.get(compartment)
        if kept is None:
            known = ", ".join(sorted(self.record.memory.compartments)) or "none"
            problem = f"the agent has no compartment {compartment!r}"
            raise Misused(problem, remedy=f"It has {known}")
        if kept.form is Form.LOG:
            return list(Log.load(kept.root, self._decided.stored).slice(0))
        return dict(MemoryMapping.load(kept.root, self._decided.stored).items())

    def describe(self) -> str:
        """Return where it is and what it does, for people."""
        if self.has_ended:
            assert self._ending is not None
            return f"at its end: it {self._ending.how}"
        waits = ", for a message" if self._wants_message else ""
        waits += ", for an answer" if self._wants_answer else ""
        asks = f", for {len(self._waiting())} approvals" if self._waiting() else ""
        newest = self.points[-1] if self.points else "its genesis"
        state = self.record.eligibility.describe()
        return f"{state} in {self.place}{waits}{asks}, {newest}, at {self.now:%Y-%m-%d %H:%M:%S}"
