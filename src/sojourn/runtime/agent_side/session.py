"""A session: the agent's side of an execution. It runs `run`, performs its calls, or replays them.

Everything the code does happens in drives of its own loop; between two drives the code is *at rest*. Results
are handed to it one at a time, each with a drive of its own, in the order of the journal:

    live      an operation ends → its record is collected → the code is driven with what the record says
    replay    the next record of the journal → the code is driven with what it says

So the code at rest, and its memory with it, is a function of the records handed to it. Batches are cut at
rest, and a replay that ends with other memory than the journal's is found out. Calls that the journal does
not answer, because they were under way when it ended, are begun when the replay is over.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from sojourn.core.base.errors import BudgetExhausted, Misused, Unreachable
from sojourn.runtime.agent_side.adopting import Adoption, check_goes_on
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.allowance import Allowance
from sojourn.runtime.agent_side.arguments import bind
from sojourn.runtime.agent_side.batch import Batch
from sojourn.runtime.agent_side.call_checks import CallChecks
from sojourn.runtime.agent_side.calls import Calls
from sojourn.runtime.agent_side.compartments import WorkingMemory
from sojourn.runtime.agent_side.context import Context
from sojourn.runtime.agent_side.course import Course
from sojourn.runtime.agent_side.functions import Functions
from sojourn.runtime.agent_side.link import FetchedBlocks, Link
from sojourn.runtime.agent_side.listening import Listening
from sojourn.runtime.agent_side.operations import Operation
from sojourn.runtime.agent_side.parting import parting
from sojourn.runtime.agent_side.performing import PerformStep
from sojourn.runtime.agent_side.queueing import Line
from sojourn.runtime.agent_side.replay import Replay
from sojourn.runtime.agent_side.reporting import run_and_report
from sojourn.runtime.agent_side.run import Restarting, Run, idle_run
from sojourn.runtime.agent_side.sagas import Sagas
from sojourn.runtime.agent_side.steps import Step
from sojourn.runtime.agent_side.turns import Loops
from sojourn.runtime.errors import ReplayMismatch
from sojourn.runtime.failures import failure_of, last_record, stuck
from sojourn.runtime.frames import Anew, Broke, Progressed, Remark, Start
from sojourn.runtime.questions import Answer, Question
from sojourn.runtime.records import (
    Began,
    Raised,
    Record,
    Resume,
    Roots,
    decode_record,
    encode_record,
)

__all__ = ["Session"]

R = TypeVar("R", bound=Record)


class Session(CallChecks):
    """One agent's code, from `begin` until it has ended or `stop` is called.

    Lives on the agents' loop, `outer`; steps that are functions run in the threads of `functions`.
    """

    def __init__(
        self,
        form: type[Agent],
        start: Start,
        history: list[list[bytes]],
        link: Link,
        functions: Functions,
        now_ms: Callable[[], int],
    ) -> None:
        self.outer = link.outer
        self.functions = functions
        self.now_ms = now_ms
        self.zone, self.parent, self.is_fork = start.zone, start.parent, start.is_fork
        self.consumed = start.resume.inbox
        self.is_over = False
        self.course = Course(start)
        self._form = form
        self._link = link
        self.forget, self.leave, self.line = link.forget, link.leave, Line()
        source = FetchedBlocks(link)
        self._source = source
        self.memory = WorkingMemory(
            start.shelves,
            source,
            self.check_in_run,
            given=frozenset(start.resume.marks),
            on_touch=self._touch,
        )
        self._committed = {n: s.root for n, s in start.shelves.items() if s.held_by is None}
        self.allowance = Allowance(start.budgets)
        self._batch = Batch(link, self.memory, source, self.allowance, self._cut, self.go_on)
        self._replay = None if start.fresh else Replay(history, self._go_on_as_fork)
        self._run, self.adoption = idle_run(), Adoption(form, start)
        self.calls = self._calls = Calls()
        self.listening = Listening(self)
        self.loops, self.sagas = Loops(), Sagas()
        self._parted: ReplayMismatch | None = None
        self._ended: Literal["returned", "raised"] | None = None
        self._is_going = False
        self._is_resting = False

    @property
    def agent_id(self) -> bytes:
        """The agent's identifier; in a replay of what a fork has of its origin, the origin's."""
        return self.course.agent

    # --- from outside --------------------------------------------------------------------------------

    def begin(self) -> None:
        """Run the code, or replay it as far as the journal goes and then run it."""
        try:
            if self.adoption.changes_memory:
                self._replay, self._run = None, self.adoption.run(self)
                self._run.drive()
                arguments = self.adoption.arguments(self._run, self.course.arguments)
                self._begin_run(arguments, anew=not self.adoption.is_fresh)
            elif self._replay is None:
                self._begin_run(self.course.arguments, anew=False)
            else:
                replay = self._replay
                self.enter_segment(0)
                self._make_run()
                self._replay_all(replay)
            self._adopt()
        except Misused as error:
            self.break_off(error)
        except Unreachable:
            self._retire()
        self.go_on()

    def _adopt(self) -> None:
        """Have the host take this code for the agent's own, once it has shown that it goes on from here."""
        if self.adoption.is_tried and self._parted is None and not self.is_over:
            check_goes_on(self._run)
            self._batch.flush(anyway=True)

    def stop(self) -> None:
        """Drop the code where it is. What is not final by now is lost, by design (protocol §6)."""
        if not self.is_over:
            self._retire()

    # --- for the code, in a drive --------------------------------------------------------------------

    def tell(self, told: Progressed) -> None:
        """Tell people who watch; a replay tells nothing."""
        if self._replay is None:
            self._link.send(told)

    def note(self, form: type[R], make: Callable[[int], R]) -> R:
        """Journal a call that is answered at once; `make` gives the record of this call's number."""
        call = self.next_call()
        if self._replay is None:
            made = encode_record(make(call), what=f"a {form.__name__} record")
            record: R = self._collect(made)
            return record
        try:
            return self._replay.take(form, call)
        except ReplayMismatch as error:
            raise self.part(error) from None

    async def perform(self, operation: Operation) -> Any:
        """Perform an operation, or let the journal answer it."""
        return await self._calls.perform(operation)

    async def perform_step(self, step: Step[..., Any], args: Any, kwargs: Any) -> Any:
        """Perform a step, or let the journal answer it. Raises `Denied` if its result has no place."""
        self.check_in_run()
        if step.into:
            self.memory.admit(step.into, step.declassifies)
        return await self.perform(PerformStep(self, self.next_call(), step, args, kwargs))

    def part(self, error: ReplayMismatch) -> ReplayMismatch:
        """Remember that the code has parted from the journal, whatever it does with the error."""
        self._parted = self._parted or error
        return error

    def _go_on_as_fork(self) -> None:
        """Be the fork from here on: nobody has written to it yet."""
        self.course.go_on_as_fork()
        self.consumed = 0

    # --- for durable loops ---------------------------------------------------------------------------

    def is_resuming(self) -> bool:
        """Tell whether the journal goes on behind the beginning of the loop that is entered now."""
        replay = self._replay
        return replay is not None and not replay.is_last_segment and replay.next_record() is None

    def enter_segment(self, segment: int) -> None:
        """Go on with the memory and the records of a later segment of the journal."""
        if segment:
            assert self._replay is not None
            self._replay.enter_next_segment()
        self.course.enter_segment(segment)
        self.memory.restore(self.course.snapshots[segment])
        if self._replay and self._replay.is_at_end and self.memory.is_at(self._committed):
            self._replay = None  # nothing has come of the code behind this: it goes on live

    def miss_items(self, segment: int) -> ReplayMismatch:
        """Return the error for a loop that ends before the turn that the journal names."""
        assert self._replay is not None
        return self.part(self._replay.mismatch(f"loop {segment - 1} with fewer items"))

    # --- for operations, at rest or on the loop ------------------------------------------------------

    def ask(self, form: type[Question], on_answer: Callable[[Any], None], **fields: Any) -> int:
        """Ask the host's side; return the question's number. The answer comes unless the session is over by then."""

        def hand_on(answer: Answer) -> None:
            if not self.is_over:
                on_answer(answer)

        return self._link.ask(form, hand_on, **fields)

    def call_soon(self, callback: Callable[..., None], *args: Any) -> None:
        """Call back on the loop, from any thread; not at all if it is closed by then."""
        self._link.call_soon(callback, *args)

    def answer(self, operation: Operation, record: bytes) -> None:
        """Take the record that opens or answers an operation, unless the code has cancelled it."""
        if not self.is_over and self._ended is None:
            self._calls.note_answer(operation, record)
            self.go_on()

    def settle(self, operation: Operation) -> None:
        """Be done with what was given up and turned out to have no effect."""
        self._calls.settle(operation)

    def spend(self, amounts: Mapping[str, int]) -> BudgetExhausted | None:
        """Take amounts from the budgets, all or none; return what is lacking, if something is."""
        return self._batch.reserve(amounts)

    def flush(self, then: Callable[[], None] | None = None) -> None:
        """Send what is not final yet to become so, and call back at rest once it is."""
        self._batch.flush()
        if then is not None:
            self._batch.when_final(then)

    def _touch(self, name: str) -> None:
        """Tell the host's side that the code will be bound by more from now on."""
        self._batch.touch(name, None if self._replay is not None else self.course.snapshots)

    def begin_anew(self) -> None:
        """Stop, for the host's side to execute the agent again from the restart point that is put here.

        Local variables would carry what was read into code that is bound by less (protocol §10.14).
        """
        self.flush()
        self._link.send(Anew())
        self._retire()

    # --- going on, at rest ---------------------------------------------------------------------------

    def go_on(self) -> None:
        """Do what can be done until only the world outside can bring more. At rest."""
        if self._is_going or self.is_over:
            return
        self._is_going = True
        try:
            while self._go_one():
                pass
            if not self._is_held_up:
                self._batch.settle()
        except Misused as error:
            self.break_off(error)
        except Unreachable:  # the line was closed while a block was waited for
            self._retire()
        finally:
            self._is_going = False

    @property
    def _is_held_up(self) -> bool:
        """Whether it is over, or the host's side may yet write a record before the newest restart point.

        Once it says that steps or time are used up it writes none for what it was asked before.
        """
        return self.is_over or (self.course.is_unsettled and not self.allowance.is_told)

    def _go_one(self) -> bool:
        """Do one thing; return False if there is nothing to do."""
        if self._is_held_up:
            return False
        if self._ended is not None:
            if self._batch.is_final:
                self._retire()
            return False
        if self._has_left_off and not self._is_carrying():
            return self._conclude()
        if self._calls.has_made:
            self._begin_calls()
        elif not self.listening.has_taken() and not self._calls.has_answers:
            return self._lie_down()
        elif not self._batch.has_room:
            return self._batch.settle()
        else:
            self._hand_next()
        return True

    @property
    def _has_left_off(self) -> bool:
        return self._parted is not None or self._run.has_left_off

    def _is_carrying(self) -> bool:
        """Tell whether calls of code that has left off are carried through: it has not come to its end before."""
        self._calls.give_up()
        return self._calls.is_carrying and self._parted is None

    def _begin_calls(self) -> None:
        admits = self.allowance.admits
        made = self._calls.take_made(lambda op: op.is_under_way or admits(op.is_step))
        for operation in made:
            operation.reserve()
        if any(operation.is_gated for operation in made):
            self.flush()  # whatever leaves the zone waits for what came before it (protocol §0)
        for operation in made:
            operation.begin()

    def _hand_next(self) -> None:
        answer = self._calls.next_answer()
        if answer is None:
            return
        operation, data = answer
        self._is_resting = False
        self._batch.spend(operation.more)
        is_answered = self._hand(operation, self._collect(self._opened(operation, data)))
        if self._has_left_off:
            return
        if operation.is_effect:
            self.flush()
        if not is_answered:
            operation.proceed()

    def _opened(self, operation: Operation, data: bytes) -> bytes:
        """Return a record with what was kept sealed until the code is bound by its labels (protocol §10.40).

        What the code has given up nobody opens.
        """
        if operation.sealed is None or self._calls.is_carried(operation):
            return data
        told = self._batch.open(operation.sealed, self.course.snapshots)
        return operation.unsealed(decode_record(data), told)

    def _hand(self, operation: Operation, record: Record) -> bool:
        """Hand a record to the operation and, if that answers it, drive the code; tell whether it does."""
        if self._calls.is_carried(operation):
            self._calls.settle(operation)
            return True
        if not operation.deliver(record):
            return False
        if self.is_over:  # it was a restart point behind which all begins anew
            return True
        self._calls.close(operation)
        self._run.drive()
        return True

    def _lie_down(self) -> bool:
        """Tell the host's side when nothing but waiting is left to do."""
        self.listening.look()
        is_called = self.listening.is_open
        if not self._calls and not self._calls.is_carrying and not is_called:
            self._finish("raised", Raised(failure=failure_of(stuck())))
            return True
        if self.allowance.is_spent:
            return self._lie_down_at_last()
        if not self._is_resting and self._calls.are_waits:
            self._is_resting = True
            self.flush()
            self._link.send(self._calls.rest(self.now_ms(), calls=is_called))
        return False

    def _lie_down_at_last(self) -> bool:
        """Rest, once all is recorded that is under way: the agent has no steps or no time left.

        What it called and could not begin it calls again when it goes on, as soon as it may.
        """
        if self._calls.is_one_under_way:
            return False
        self._batch.flush(self._calls.rest(self.now_ms(), calls=self.listening.is_open))
        self._retire()
        return True

    def _collect(self, data: bytes) -> Any:
        """Collect a record and return it as a replay will read it.

        Raises `Misused` if the code makes too many.
        """
        self.course.check_recordable(data)
        self._batch.add(data)
        warning = self.course.count_record()
        if warning:
            self._link.send(Remark(text=warning))
        record = decode_record(data)
        self.allowance.note(record)
        return record

    def _cut(self) -> tuple[Roots, Resume]:
        roots = self.memory.save(*self.course.snapshots)
        return roots, self.course.resume(consumed=self.consumed, ended=self._ended)

    # --- the run itself ------------------------------------------------------------------------------

    def _begin_run(self, arguments: Any, *, anew: bool) -> None:
        began = self._collect(encode_record(Began(arguments=arguments), what="arguments of run"))
        memory = self.memory
        forgets = anew and memory.begin_run(carrying=any(began.arguments))
        self.course.begin_run(began.arguments, memory.snapshot(), anew=anew)
        if forgets or (anew and self.adoption.is_due):
            self.begin_anew()
        else:
            self._make_run()

    def _make_run(self) -> None:
        """Let the code begin; what an earlier run has left behind is unwound, and changes nothing."""
        self._run.unwind()
        self._calls.drop()
        self.listening.begin(None)
        self.loops, self.sagas = Loops(), Sagas()
        self._run = Run(self._code)
        self._run.drive()

    async def _code(self) -> Any:
        args, kwargs = bind(self._form.run, *self.course.arguments)
        self.agent = self._form()
        self.agent._session = self
        return await run_and_report(self, Context(self), *args, **kwargs)

    def _conclude(self) -> bool:
        """Go by how the code left off: parted, restarting, returned or raised.

        An end is recorded before a batch is cut: a replay could not tell that it was one. Returns False if a
        restart has to wait for room.
        """
        error = self._run.error
        if self._parted is not None:
            self._link.send(parting(self._parted, self.memory.lost))
            self._retire()
        elif isinstance(error, Restarting):
            if not self._batch.has_room:
                return self._batch.settle()
            self._begin_run(error.arguments, anew=True)
        elif error is not None:
            self._finish("raised", Raised(failure=failure_of(error)))
        else:
            record = last_record(self._run.result)
            self._finish("raised" if isinstance(record, Raised) else "returned", record)
        return True

    def _finish(self, how: Literal["returned", "raised"], record: Record) -> None:
        self._calls.drop()
        self._ended = how
        self._collect(encode_record(record, what="the end of run"))
        self.flush()

    def break_off(self, error: Misused) -> None:
        """Fail the agent from the host's side: what it did cannot be made final."""
        self._link.send(Broke(failure=failure_of(error)))
        self._retire()

    def _retire(self) -> None:
        self.is_over = True
        self._batch.cancel_timer()
        self._run.unwind()
        self._calls.drop()

    def _carries(self, operation: Operation | None) -> bool:
        """Tell whether code that has left off has an operation carried through."""
        return self._is_carrying() and operation is not None and self._calls.is_carried(operation)

    # --- replaying -----------------------------------------------------------------------------------

    def _replay_all(self, replay: Replay) -> None:
        """Hand the journal's records to the code, as far as they go together."""
        while self._parted is None and self._replay is not None:
            record = replay.next_record()
            operation = self._calls.of(getattr(record, "call", -1))
            operation = operation or self.listening.handles(record)
            if record is None or (self._run.has_left_off and not self._carries(operation)):
                break
            if operation is None or not operation.accepts(record):
                called = operation.called if operation is not None else None
                self.part(replay.mismatch(self._calls.doing(), called))
            else:
                replay.pass_record(record)
                self._hand(operation, record)
        if self._replay is None:
            return
        doing, carries = self._calls.doing(), self._calls.has_carried
        error = replay.end(self._run, doing, self.memory.save(), self._committed, carries=carries)
        if error is not None:
            self.part(error)
        if self._parted is None:
            self._source.recall(self.memory.take_made_anew())
        self._calls.make_again()
        self._replay = None
