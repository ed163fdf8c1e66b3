"""A session: the agent's side of an execution. It runs `run`, performs its calls, or replays them.

Everything the code does happens in drives of its own loop; between two drives the code is *at rest*. Results
are handed to it one at a time, each with a drive of its own, in the order of the journal:

    live      an operation ends → its record is collected → the code is driven with what the record says
    replay    the next record of the journal → the code is driven with what it says

So the code at rest, and its memory with it, is a function of the records handed to it. Batches are cut at
rest, and a replay that ends with other memory than the journal's is found out. Calls that the journal does
not answer, because they were under way when it ended, are begun when the replay is over.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any, Final, Literal, TypeVar

from sojourn.core.base.errors import BudgetExhausted, Misused, Unreachable
from sojourn.core.base.limits import RUN_RECORDS_WARN
from sojourn.runtime.agent import Agent
from sojourn.runtime.allowance import Allowance
from sojourn.runtime.arguments import bind
from sojourn.runtime.batch import Batch
from sojourn.runtime.compartments import WorkingMemory
from sojourn.runtime.context import Context
from sojourn.runtime.course import Course
from sojourn.runtime.errors import ReplayMismatch
from sojourn.runtime.failures import failure_of
from sojourn.runtime.frames import Answer, Broke, Question, Remark, Start
from sojourn.runtime.link import FetchedBlocks, Link
from sojourn.runtime.loop import AgentLoop
from sojourn.runtime.operations import Operation, WaitForMessage, rest_of
from sojourn.runtime.parting import parting
from sojourn.runtime.performing import PerformStep
from sojourn.runtime.records import (
    REPLAY_RECORDS_MAX,
    Began,
    Raised,
    Record,
    Resume,
    Returned,
    Roots,
    decode_record,
    encode_record,
)
from sojourn.runtime.replay import Replay
from sojourn.runtime.run import Restarting, Run, idle_run
from sojourn.runtime.steps import Step
from sojourn.runtime.turns import Loops
from sojourn.runtime.typed import to_plain

__all__ = ["Session"]

R = TypeVar("R", bound=Record)

_RESTART: Final = "Put restart points into run: ctx.turns or ctx.restart"


class Session:
    """One agent's code, from `begin` until it has ended or `stop` is called.

    Lives on the agents' loop, `outer`; steps that are functions run in `pool`.
    """

    def __init__(
        self,
        form: type[Agent],
        start: Start,
        history: list[list[bytes]],
        link: Link,
        pool: Executor,
        now_ms: Callable[[], int],
    ) -> None:
        self.outer = link.outer
        self.pool = pool
        self.now_ms = now_ms
        self.zone = start.zone
        self.agent_id = start.agent
        self.consumed = start.resume.inbox
        self.is_over = False
        self.course = Course(start)
        self._form = form
        self._link = link
        source = FetchedBlocks(link)
        self._source = source
        self.memory = WorkingMemory(start.shelves, source, self.check_in_run)
        self._committed = {n: s.root for n, s in start.shelves.items() if s.held_by is None}
        self.allowance = Allowance(start.budgets)
        self._batch = Batch(link, self.memory, source, self.allowance, self._cut, self._go_on)
        self._replay = None if start.fresh else Replay(history)
        self._run = idle_run()
        self._open: dict[int, Operation] = {}
        self._called: list[Operation] = []
        self._answered: deque[tuple[Operation, bytes]] = deque()
        self.loops = Loops()
        self._parted: ReplayMismatch | None = None
        self._ended: Literal["returned", "raised"] | None = None
        self._is_going = False
        self._is_resting = False
        self._has_warned = False

    # --- from outside --------------------------------------------------------------------------------

    def begin(self) -> None:
        """Run the code, or replay it as far as the journal goes and then run it."""
        try:
            if self._replay is None:
                self._begin_run(self.course.arguments, anew=False)
            else:
                self.enter_segment(0)
                self._make_run()
                self._replay_all(self._replay)
        except Misused as error:
            self.break_off(error)
        except Unreachable:
            self._retire()
        self._go_on()

    def stop(self) -> None:
        """Drop the code where it is. What is not final by now is lost, by design (protocol §6)."""
        if not self.is_over:
            self._retire()

    @property
    def loop(self) -> AgentLoop:
        """The loop of the code."""
        return self._run.loop

    # --- for the code, in a drive --------------------------------------------------------------------

    def check_in_run(self) -> None:
        """Raise `Misused` anywhere but in `run` and what it calls; cancel code that is stopped."""
        if self.is_over or self._run.is_unwinding:
            raise asyncio.CancelledError
        if not self.loop.is_running():
            raise Misused(
                "ctx, memory and steps were used outside run",
                remedy="A step and rank work on their arguments alone: use these in run",
            )

    def _check_call(self) -> None:
        self.check_in_run()
        if self.loops.is_iterating:
            raise Misused(
                "what ctx.turns iterates over called a step or ctx",
                remedy="Iterate over what is known when the loop begins, and call steps in its turns",
            )

    def next_call(self) -> int:
        """Return the number of the call that the code makes now. Raises `Misused` where it may not."""
        self._check_call()
        return self.course.next_call()

    def next_sole_call(self, what: str) -> int:
        """Do the same for a call beside which no other may be under way. Raises `Misused` if one is."""
        self._check_call()
        if self._open:
            raise Misused(f"{what} came while {self._doing()}", remedy="Await that first")
        return self.course.next_call()

    def check_not_receiving(self) -> None:
        """Raise `Misused` while the code waits for a message already."""
        if any(isinstance(operation, WaitForMessage) for operation in self._open.values()):
            raise Misused("ctx.receive came while another is under way", remedy="Await that first")

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
        self._open[operation.call] = operation
        self._called.append(operation)
        try:
            return await operation.future
        finally:
            if self._open.get(operation.call) is operation:  # the code has cancelled the call
                del self._open[operation.call]
                operation.abandon()

    async def perform_step(self, step: Step[..., Any], args: Any, kwargs: Any) -> Any:
        """Perform a step, or let the journal answer it."""
        return await self.perform(PerformStep(self, self.next_call(), step, args, kwargs))

    def part(self, error: ReplayMismatch) -> ReplayMismatch:
        """Remember that the code has parted from the journal, whatever it does with the error."""
        self._parted = self._parted or error
        return error

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

    def miss_items(self, segment: int) -> ReplayMismatch:
        """Return the error for a loop that ends before the turn that the journal names."""
        assert self._replay is not None
        return self.part(self._replay.mismatch(f"loop {segment - 1} with fewer items"))

    # --- for operations, at rest or on the loop ------------------------------------------------------

    def ask(self, form: type[Question], on_answer: Callable[[Any], None], **fields: Any) -> None:
        """Ask the host's side; the answer comes unless the session is over by then."""

        def hand_on(answer: Answer) -> None:
            if not self.is_over:
                on_answer(answer)

        self._link.ask(form, hand_on, **fields)

    def call_soon(self, callback: Callable[..., None], *args: Any) -> None:
        """Call back on the loop, from any thread; not at all if it is closed by then."""
        self._link.call_soon(callback, *args)

    def answer(self, operation: Operation, record: bytes) -> None:
        """Take the record that opens or answers an operation, unless the code has cancelled it."""
        if not self.is_over and self._ended is None:
            self._answered.append((operation, record))
            self._go_on()

    def spend(self, amounts: Mapping[str, int]) -> BudgetExhausted | None:
        """Take amounts from the budgets, all or none; return what is lacking, if something is."""
        amounts = self.allowance.known(amounts)
        lacking = self.allowance.lacking(amounts)
        if lacking is None:
            self._batch.spend(amounts)
        return lacking

    def count_ruling(self) -> None:
        """Count a record that the host's side has written: what the gate permitted, or denied."""
        self.course.length += 1

    def flush(self) -> None:
        """Send what is not final yet to become so."""
        self._batch.flush()

    # --- going on, at rest ---------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Do what can be done until only the world outside can bring more."""
        if self._is_going or self.is_over:
            return
        self._is_going = True
        try:
            while self._go_one():
                pass
            if not self.is_over:
                self._batch.settle()
        except Misused as error:
            self.break_off(error)
        except Unreachable:  # the line was closed while a block was waited for
            self._retire()
        finally:
            self._is_going = False

    def _go_one(self) -> bool:
        """Do one thing; return False if there is nothing to do."""
        if self.is_over:
            return False
        if self._ended is not None:
            if self._batch.is_final:
                self._retire()
            return False
        if self._has_left_off:
            return self._conclude()
        if self._called:
            self._begin_called()
        elif not self._answered:
            return self._lie_down()
        elif not self._batch.has_room:
            return self._batch.settle()
        else:
            self._hand_next()
        return True

    @property
    def _has_left_off(self) -> bool:
        return self._parted is not None or self._run.has_left_off

    def _begin_called(self) -> None:
        called = [op for op in self._called if self._open.get(op.call) is op]
        called = [op for op in called if op.is_under_way or self.allowance.admits(op.is_step)]
        self._called = []
        for operation in called:
            operation.reserve()
        if any(operation.is_effect for operation in called):
            self.flush()  # whatever leaves the zone waits for what came before it (protocol §0)
        for operation in called:
            operation.begin()

    def _hand_next(self) -> None:
        operation, data = self._answered.popleft()
        if self._open.get(operation.call) is not operation:
            return
        self._is_resting = False
        self._batch.spend(operation.more)
        is_answered = self._hand(operation, self._collect(data))
        if self._has_left_off:
            return
        if operation.is_effect:
            self.flush()
        if not is_answered:
            operation.proceed()

    def _hand(self, operation: Operation, record: Record) -> bool:
        """Hand a record to the operation and, if that answers it, drive the code; tell whether it does."""
        if not operation.deliver(record):
            return False
        del self._open[operation.call]
        self._run.drive()
        return True

    def _lie_down(self) -> bool:
        """Tell the host's side when nothing but waiting is left to do."""
        if not self._open:
            self._finish("raised", Raised(failure=failure_of(_stuck())))
            return True
        if self.allowance.is_spent:
            return self._lie_down_at_last()
        if not self._is_resting and all(op.is_wait for op in self._open.values()):
            self._is_resting = True
            self.flush()
            self._link.send(rest_of(self._open.values(), self.now_ms()))
        return False

    def _lie_down_at_last(self) -> bool:
        """Rest, once all is recorded that is under way: the agent has no steps or no time left.

        What it called and could not begin it calls again when it goes on, as soon as it may.
        """
        if any(operation.is_under_way for operation in self._open.values()):
            return False
        self._batch.flush(rest_of(self._open.values(), self.now_ms()))
        self._retire()
        return True

    def _collect(self, data: bytes) -> Any:
        """Collect a record and return it as a replay will read it.

        Raises `Misused` if the code makes too many.
        """
        if self.course.records_to_replay >= REPLAY_RECORDS_MAX:
            problem = f"run has made {REPLAY_RECORDS_MAX} records since its last restart point"
            raise Misused(problem, remedy=_RESTART)
        self._batch.add(data)
        self.course.length += 1
        record = decode_record(data)
        self.allowance.note(record)
        if self.course.records_to_replay > RUN_RECORDS_WARN and not self._has_warned:
            self._has_warned = True
            text = f"a resume would replay more than {RUN_RECORDS_WARN} records. {_RESTART}"
            self._link.send(Remark(text=text))
        return record

    def _cut(self) -> tuple[Roots, Resume]:
        roots = self.memory.save(*self.course.snapshots)
        return roots, self.course.resume(consumed=self.consumed, ended=self._ended)

    # --- the run itself ------------------------------------------------------------------------------

    def _begin_run(self, arguments: Any, *, anew: bool) -> None:
        began = self._collect(encode_record(Began(arguments=arguments), what="arguments of run"))
        self.course.begin_run(began.arguments, self.memory.snapshot(), anew=anew)
        self._make_run()

    def _make_run(self) -> None:
        """Let the code begin; what an earlier run has left behind is unwound, and changes nothing."""
        self._run.unwind()
        self._drop_calls()
        self.loops = Loops()
        self.memory.opened.clear()
        self._run = Run(self._code)
        self._run.drive()

    async def _code(self) -> Any:
        args, kwargs = bind(self._form.run, *self.course.arguments)
        self.agent = self._form()
        self.agent._session = self
        return await self.agent.run(Context(self), *args, **kwargs)

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
            self._return(self._run.result)
        return True

    def _return(self, result: Any) -> None:
        try:
            record = Returned(result=to_plain(result, what="the result of run"))
            encode_record(record, what="the result of run")
        except Misused as error:
            self._finish("raised", Raised(failure=failure_of(error)))
        else:
            self._finish("returned", record)

    def _finish(self, how: Literal["returned", "raised"], record: Record) -> None:
        self._drop_calls()
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
        self._drop_calls()

    def _drop_calls(self) -> None:
        for operation in self._open.values():
            operation.abandon()
        self._open.clear()
        self._called.clear()
        self._answered.clear()

    # --- replaying -----------------------------------------------------------------------------------

    def _replay_all(self, replay: Replay) -> None:
        """Hand the journal's records to the code, as far as they go together."""
        while not self._has_left_off:
            record = replay.next_record()
            if record is None:
                break
            operation = self._open.get(getattr(record, "call", -1))
            if operation is None or not operation.accepts(record):
                self.part(replay.mismatch(self._doing()))
            else:
                replay.pass_record(record)
                self._hand(operation, record)
        self._check_end(replay)
        if self._parted is None:
            made_anew = list(self.memory.new.made)
            self._source.recall(made_anew[::-1])
            self.memory.new.forget(made_anew)
        self._called = list(self._open.values())
        self._replay = None

    def _check_end(self, replay: Replay) -> None:
        """Check that the code is at rest where the journal is, with the same memory."""
        error = self._run.error
        if self._run.has_left_off and not isinstance(error, Restarting):
            what = "returned" if error is None else f"raised {type(error).__qualname__}: {error}"
            self.part(replay.mismatch(f"run {what}"))
        elif replay.next_record() is not None or not replay.is_last_segment:
            self.part(replay.mismatch("ctx.restart" if error is not None else self._doing()))
        else:
            roots = self.memory.save()
            differing = [n for n, root in self._committed.items() if roots[n] != root]
            if differing:
                self.part(replay.mismatch(f"another content of memory: {', '.join(differing)}"))

    def _doing(self) -> str:
        under_way = ", ".join(operation.describe() for operation in self._open.values())
        return f"{under_way} is under way" if under_way else "nothing is under way"


def _stuck() -> Misused:
    return Misused(
        "run waits for something that nothing will bring: no step, sleep or message is under way",
        remedy="Wait for a step, a message or ctx.sleep",
    )
