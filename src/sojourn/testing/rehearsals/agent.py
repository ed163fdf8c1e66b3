"""One agent in a rehearsal, the first or a child: what a test says to it, expects of it, and looks at."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from sojourn.core.agent.eligibility import Budget, Status
from sojourn.core.agent.memory.blocks import BlockSource, load_block
from sojourn.core.agent.memory.field import Form
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping as MemoryMapping
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import ZERO, link_digest
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Misused
from sojourn.runtime.apart import of_the_agent, told
from sojourn.runtime.errors import ReplayMismatch
from sojourn.runtime.host_side.ending import Ending, How
from sojourn.runtime.records import Denial, Record, decode_record
from sojourn.runtime.typed import to_plain
from sojourn.testing.clocks import EPOCH_MS
from sojourn.testing.rehearsals.calls import Calling
from sojourn.testing.rehearsals.corresponding import Correspondence
from sojourn.testing.rehearsals.custody import Decided
from sojourn.testing.rehearsals.family import FOR_EVER_NS, Family, Host
from sojourn.testing.rehearsals.people import People
from sojourn.testing.timeline import NS_PER_MS, NS_PER_S, Timer
from sojourn.testing.unmet import Unmet

__all__ = ["BornChild", "Rehearsed"]

_GOES_ON: Final = frozenset({How.DEPARTED, How.ANEW, How.BROKEN})
_SHOWN_MAX: Final = 5
"""Children that are described in one line."""

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Rehearsed(People, Correspondence, Calling):
    """An agent in a rehearsal. Time passes for its whole family, in the methods that expect something.

    What is final can be looked at whenever they are back.
    """

    def __init__(self, family: Family, decided: Decided, given: Arguments = ((), {})) -> None:
        """Be an agent that has not begun. `given` are the arguments of `run`, unless its journal has them."""
        self.decided = self._decided = decided
        self.given = given
        self.host: Host | None = None
        self._family = family
        self._ending: Ending | None = None
        self._wants_message = self._wants_place = self._wants_answer = self._wants_call = False
        self._alarm: Timer | None = None
        decided.mail.arrived = self._note_mail
        decided.common.agents[decided.record.agent_id] = decided
        family.agents.append(self)

    def __repr__(self) -> str:
        return f"<a rehearsal of {self.record.capabilities.entry}: {self.describe()}>"

    @property
    def name(self) -> str:
        """What points call it: "Reader 1" for the first child of that class, "" for the agent that is rehearsed."""
        return self.decided.name

    # --- what the test says ---------------------------------------------------------------------------

    def send(self, body: Any, *, sender: str = "tester", after: float = 0.0) -> None:
        """Put a message into the agent's inbox, now or in so many seconds."""
        plain = to_plain(body, what="a message")
        self._family.timeline.after(round(after * NS_PER_S), self._deliver, sender, plain)

    def _deliver(self, sender: str, body: Any) -> None:
        self.decided.mail.put(sender, body, self._wall_ms())

    def _note_mail(self) -> None:
        self.decided.stir()
        if self._wants_message or (self._wants_call and self.decided.mail.is_called):
            self.wake()

    def grant(self, **budgets: int) -> None:
        """Raise limits of the agent's budgets, as its officers may. One that had nothing left goes on."""
        eligibility = self.record.eligibility
        raised = {
            name: Budget(limit=budget.limit + budgets.get(name, 0), spent=budget.spent)
            for name, budget in eligibility.budgets.items()
        }
        if unknown := sorted(budgets.keys() - raised.keys()):
            problem = f"the agent has no budget {unknown[0]!r}"
            raise Misused(problem, remedy="Give it one to begin with: rehearse(..., budgets=...)")
        after = msgspec.structs.replace(eligibility, budgets=raised)
        self.decided.record = msgspec.structs.replace(self.record, eligibility=after)
        if self._ending is not None and not self.has_ended:
            self._ending = None
            self.wake()

    def look_again(self) -> None:
        """Go on if it rests until a place is another: one is."""
        if self._wants_place:
            self.wake()

    # --- time -----------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """Virtual wall time."""
        return datetime.fromtimestamp(self._wall_ms() / 1000, UTC)

    def _wall_ms(self) -> int:
        return self._family.wall_ms()

    def _until(self, is_so: Callable[[], bool], why: str) -> None:
        if not self._family.pass_time(is_so, FOR_EVER_NS):
            raise Unmet(f"expected that {self._who} {why}; it is {self.describe()}")

    @property
    def _who(self) -> str:
        return self.name or "the agent"

    def wake(self) -> None:
        """Let a host have the agent and execute it, unless one does."""
        if self.host is not None or self.is_over:
            return
        self._wants_message = self._wants_place = self._wants_answer = self._wants_call = False
        self.decided.mail.news.clear()
        if self._alarm is not None:
            self._alarm.cancel()
        self._family.begin(self)

    def _wake(self) -> None:
        self.wake()

    def take(self, ending: Ending) -> None:
        """Take note of how an execution ended, and see to what follows."""
        if ending.how in _GOES_ON:
            self.wake()
        elif ending.how is How.RESTING:
            self._wants_place = bool(ending.sought)
            self._rest()
        elif ending.how is How.DIVERGED:
            self._family.error = ReplayMismatch(
                f"{self.name}: {ending.text}" if self.name else ending.text
            )
        else:
            self._ending = ending

    def _rest(self) -> None:
        eligibility = self.record.eligibility
        if eligibility.is_exhausted:
            self._ending = Ending(how=How.RESTING, text=eligibility.describe())
            return
        self._wants_message = any(wake.on_message for wake in eligibility.wake)
        self._wants_answer = any(wake.on_answer for wake in eligibility.wake)
        self._wants_call = any(wake.on_call for wake in eligibility.wake)
        times = [wake.at_ms for wake in eligibility.wake if wake.at_ms is not None]
        has_message = self._wants_message and self.decided.mail.is_waiting
        is_called = self._wants_call and self.decided.mail.is_called
        if has_message or is_called or (self._wants_answer and self._has_answer()):
            self.wake()
        elif times:
            at_ns = (min(times) - EPOCH_MS) * NS_PER_MS
            self._alarm = self._family.timeline.at(at_ns, self.wake)

    # --- what came of it ------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or has nothing left to go on with."""
        return self._ending is not None

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
    def record(self) -> AgentRecord:
        """The newest final record."""
        return self.decided.record

    @property
    def place(self) -> str:
        """The name of the place where the agent is."""
        return self.decided.place.name

    @property
    def status(self) -> Status:
        """Whether it is active or dormant."""
        return self.record.eligibility.status

    @property
    def children(self) -> list["BornChild"]:
        """The children that it has had, oldest first."""
        born = {id(each.decided): each for each in self._family.agents}
        found = (born[id(child)] for child in self.decided.children)
        return [each for each in found if isinstance(each, BornChild)]

    @property
    def log(self) -> list[str]:
        """The lines of the host's log: what the gate permitted, and warnings about the code."""
        return [f"{source}: {text}" for source, text in self.decided.lines]

    def journal(self) -> list[Record]:
        """Return every record of the journal that is final, oldest first."""
        root = self.record.memory.journal
        if root == ZERO:
            return []
        record, blocks = self._shown()
        entries = Log.load(link_digest(load_block(blocks, root)["log"]), blocks).slice(0)
        return [decode_record(encode_block(told(each, record, blocks))) for each in entries]

    def _shown(self) -> tuple[AgentRecord, BlockSource]:
        """Return the record and the blocks with all memory in plaintext."""
        return self.decided.common.keys.shown(self.record, self.decided.stored)

    def denials(self) -> list[Denial]:
        """Return what the gate denied, oldest first, with why."""
        return [each for each in self.journal() if isinstance(each, Denial)]

    def memory(self, compartment: str) -> Any:
        """Return what is in a compartment: a list for a log, a dictionary for a mapping.

        Raises `Misused` for one that there is not, and for one that was erased.
        """
        record, blocks = self._shown()
        kept = record.memory.compartments.get(compartment)
        if kept is None:
            known = ", ".join(sorted(self.record.memory.compartments)) or "none"
            problem = f"the agent has no compartment {compartment!r}"
            raise Misused(problem, remedy=f"It has {known}")
        if kept.is_erased:
            problem = f"compartment {compartment!r} was erased: nobody can read it"
            raise Misused(problem, remedy="Look at it before rehearsal.erase(...)")
        if kept.form is Form.LOG:
            return list(Log.load(kept.root, blocks).slice(0))
        return dict(MemoryMapping.load(kept.root, blocks).items())

    def describe(self) -> str:
        """Return where it is and what it does, and which of its children have not ended, for people."""
        return "; ".join((self._described(), *self._described_children()))

    def _described(self) -> str:
        if self.has_ended:
            assert self._ending is not None
            return f"at its end: it {self._ending.how}"
        waits = ", for a message" if self._wants_message else ""
        waits += ", for an answer" if self._wants_answer else ""
        asks = f", for {len(self._waiting())} approvals" if self._waiting() else ""
        state = self.record.eligibility.describe()
        newest = self.decided.newest
        return f"{state} in {self.place}{waits}{asks}, {newest}, at {self.now:%Y-%m-%d %H:%M:%S}"

    def _described_children(self) -> list[str]:
        left = [each for each in self.children if not each.has_ended]
        shown = [f"{each.name} is {each.describe()}" for each in left[:_SHOWN_MAX]]
        return [*shown, f"{len(left) - _SHOWN_MAX} more go on"] if left[_SHOWN_MAX:] else shown


class BornChild(Rehearsed):
    """A child that a rehearsed agent has had, and that is rehearsed with it."""

    @property
    def agent_id(self) -> bytes:
        """Its identifier."""
        return self.record.agent_id

    @property
    def entry(self) -> str:
        """Its class, as "module:Class"."""
        return self.record.capabilities.entry

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What its `run` was given, as builtins."""
        resume = load_block(self.decided.stored, self.record.memory.journal)["resume"]
        return tuple(resume["arguments"][0])

    @property
    def budgets(self) -> Mapping[str, int]:
        """The limits of its budgets, by name."""
        return {name: each.limit for name, each in self.record.eligibility.budgets.items()}
