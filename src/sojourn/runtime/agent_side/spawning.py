"""`ctx.spawn`: an agent has a child (protocol §8.13).

    ask ─► the SPAWN is final, and with it the child's genesis in the journal ─► it is borne ─► its identifier
        └► denied: journaled, then told

Between the two the host may die. Whoever replays the journal finds the genesis there and has that one borne, however
often, and no other: one SPAWN names one child.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sojourn.core.agent.budgets import STEPS
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import cid_text, digest
from sojourn.core.base.encoding import Count, Digest, Name, Value, decode
from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import RECORD_BYTES_MAX
from sojourn.runtime.agent_side.operations import Operation
from sojourn.runtime.errors import OriginsChild
from sojourn.runtime.failures import exception_of, refusal
from sojourn.runtime.questions import Answer, Bear, Begotten, Done, Problem, Spawn
from sojourn.runtime.records import Denial, Failure, Outcome, Record, Spawned
from sojourn.runtime.typed import kind_of

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["Child", "SpawnChild", "Wish"]


class Child(Value):
    """A child that an agent has had: its identifier, 32 bytes, and its class in the agent's code.

    As text it is the identifier as people write it.
    """

    agent_id: Digest
    entry: Name

    def __str__(self) -> str:
        """Return the identifier as text."""
        return cid_text(self.agent_id)


class Wish(Value):
    """What child the code asks for: all that its genesis says beyond what its parent's record gives.

    `arguments` are those of its `run`. `memory` holds what its compartments begin with, by name: a dict makes a
    mapping, a list a log.
    """

    entry: Name
    arguments: tuple[Any, ...] = ()
    memory: dict[Name, Any] = {}
    budgets: dict[Name, Count] = {}
    outlives: bool = False
    confined: bool = False


def first_values(memory: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the compartments of a child begin with. Raises `Misused` for what makes neither form."""
    for name, values in memory.items():
        if not isinstance(values, dict | list | None):
            problem = f"ctx.spawn was given a {kind_of(values)} for compartment {name!r}"
            raise Misused(problem, remedy="Give a dict for a mapping, a list or None for a log")
    return {name: [] if values is None else values for name, values in memory.items()}


class SpawnChild(Operation):
    """One call of `ctx.spawn`. `spelled` are the bytes of its wish."""

    is_effect = True

    def __init__(self, session: "Session", call: int, entry: str, spelled: bytes) -> None:
        super().__init__(session, call)
        self._entry, self._spelled, self._arguments = entry, spelled, digest(spelled)
        self._spawned: Spawned | None = None
        self._denial: Failure | None = None
        self._is_asked = False

    @property
    def is_step(self) -> bool:
        """Whether to begin it takes one of the agent's steps."""
        return True

    @property
    def is_under_way(self) -> bool:
        """Whether it may have been permitted: what comes of it is to be recorded."""
        is_asked = self._is_asked and not self.session.allowance.is_told
        return self._spawned is not None or is_asked

    @property
    def is_carried_through(self) -> bool:
        """Whether it has been asked for: what comes of that is recorded."""
        return self._is_asked or self._spawned is not None or self._denial is not None

    @property
    def called(self) -> tuple[str, bytes]:
        """The child's class, and the digest of what is wished for."""
        return self._entry, self._arguments

    def describe(self) -> str:
        """Return a line for people."""
        return f"call {self.call}: spawn {self._entry}({self._arguments.hex()[:8]})"

    def accepts(self, record: Record) -> bool:
        """Tell whether it is of the same child."""
        is_ruled = self._spawned is not None or self._denial is not None
        if not isinstance(record, Outcome) and (
            is_ruled or not isinstance(record, Spawned | Denial)
        ):
            return False
        return (record.step, record.arguments) == self.called

    def deliver(self, record: Record) -> bool:
        """Give the code its child, or raise why it has none."""
        if isinstance(record, Spawned):
            self._spawned = record
            return False
        if isinstance(record, Denial):
            self._denial = refusal(record.cause, record.reason, record.remedy)
            return False
        assert isinstance(record, Outcome)
        if record.failure is not None:
            self.future.set_exception(exception_of(record.failure, self._entry, record.attempts))
        else:
            child = Child(agent_id=record.result, entry=self._entry)
            self.session.course.note_child(child)
            self.future.set_result(child)
        return True

    def begin(self) -> None:
        """Ask for it, or go on with a child that the journal names."""
        if self._denial is not None:
            self._fail(self._denial)
        elif self._spawned is not None:
            self._bear(self._spawned.genesis, self._spawned.version)
        else:
            self._is_asked = True
            self._ask_gate()

    def _ask_gate(self) -> None:
        """Ask what the host's side writes a record about."""
        course = self.session.course
        writing = course.begin_writing()

        def hand_on(answer: Answer) -> None:
            course.end_writing(writing, is_written=True)
            self._decided(answer)
            self.session.go_on()

        self.session.ask(
            Spawn,
            hand_on,
            call=self.call,
            step=self._entry,
            arguments=self._arguments,
            spelled=self._spelled,
        )

    def _decided(self, answer: Answer) -> None:
        if isinstance(answer, Problem):
            self.session.allowance.use_up({STEPS: 1})
            assert answer.cause != "refused", "only a move is refused"
            self.note_spent(answer)
            self._fail(refusal(answer.cause, answer.problem, answer.remedy))
            return
        assert isinstance(answer, Begotten)
        self.session.allowance.use_up(answer.given)
        self.note_spent(answer)
        self._bear(answer.genesis, answer.version)

    def _bear(self, genesis: bytes, version: int) -> None:
        if self._is_origins(genesis):
            child = cid_text(digest(genesis))
            self._fail(Failure(cause="uncertain", kind=OriginsChild.__name__, message=child))
            return

        def hand_on(answer: Answer) -> None:
            self._borne(answer, digest(genesis))

        self.session.ask(Bear, hand_on, genesis=genesis, version=version)

    def _is_origins(self, genesis: bytes) -> bool:
        """Tell whether a child is that of the agent that this one was forked from."""
        child = decode(genesis, AgentRecord, what="genesis", limit=RECORD_BYTES_MAX)
        return child.eligibility.ancestors[-1].agent != self.session.agent_id

    def _borne(self, answer: Answer, child: bytes) -> None:
        if isinstance(answer, Done):
            self.answer(self._outcome(result=child))
            return
        assert isinstance(answer, Problem)
        message = f"the child was not born: {answer.problem}"
        self._fail(Failure(cause="failed", kind="Stillborn", message=message))

    def _fail(self, failure: Failure) -> None:
        self.answer(self._outcome(failure=failure))

    def _outcome(self, *, result: Any = None, failure: Failure | None = None) -> Outcome:
        return Outcome(
            call=self.call,
            step=self._entry,
            arguments=self._arguments,
            attempts=1,
            result=result,
            failure=failure,
        )
