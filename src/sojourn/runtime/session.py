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
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, Final, Literal, TypeVar

from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import RUN_RECORDS_WARN
from sojourn.runtime.agent import Agent
from sojourn.runtime.arguments import bind
from sojourn.runtime.batch import Batch
from sojourn.runtime.compartments import WorkingMemory
from sojourn.runtime.context import Context, Restarting
from sojourn.runtime.course import Course
from sojourn.runtime.errors import ReplayMismatch
from sojourn.runtime.failures import failure_of
from sojourn.runtime.frames import Answer, Broke, Diverged, Question, Remark, Rest, Start
from sojourn.runtime.link import FetchedBlocks, Link
from sojourn.runtime.loop import AgentLoop
from sojourn.runtime.operations import Operation, WaitForMessage, WaitForTime
from sojourn.runtime.performing import PerformStep
from sojourn.runtime.records import (
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
from sojourn.runtime.steps import Step
from sojourn.runtime.turns import Turns

__all__ = ["Session"]

R = TypeVar("R", bound=Record)

UNWINDING_DRIVES_MAX: Final = 8
"""How often code that is stopped is driven so that its `finally` blocks run."""


class Session:
    """One agent's code, from `begin` until `finished` is done or `stop` is called.

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
        self.finished: asyncio.Future[None] = self.outer.create_future()
        self.loop = AgentLoop()
        self.course = Course(start)
        self._form = form
        self._link = link
        source = FetchedBlocks(link)
        self.memory = WorkingMemory(start.shelves, source, self.check_in_run)
        self._committed = {n: s.root for n, s in start.shelves.items() if s.held_by is None}
        self._batch = Batch(link, self.memory, source, self._cut, self._go_on)
        self._budgets = dict(start.budgets)
        self._replay = None if start.fresh else Replay(history)
        self._main: asyncio.Task[Any]
        self._open: dict[int, Operation] = {}
        self._called: list[Operation] = []
        self._answered: deque[tuple[Operation, bytes]] = deque()
        self._active_loop: weakref.ref[Turns[Any]] | None = None
        self._escaped: BaseException | None = None
        self._parted: ReplayMismatch | None = None
        self._ended: Literal["returned", "raised"] | None = None
        self._is_going = False
        self._is_resting = False
        self._is_iterating = False
        self._has_warned = False

    # --- from outside ------------------------------------------------------------------------

    def begin(self) -> None:
        """Run the code, or replay it as far as the journal goes and then run it."""
        if self._replay is None:
            self._guarded(self._begin_run, self.course.arguments, anew=False)
        else:
            self.memory.restore(self._roots_of_segment(0))
            self._make_run()
            self._replay_all(self._replay)
        self._go_on()

    def stop(self) -> None:
        """Drop the code where it is. What is not final by now is lost, by design (protocol §6)."""
        if self.is_over:
            return
        self._retire()
        for _ in range(UNWINDING_DRIVES_MAX):
            if not self.loop.cancel_all():
                break
            self._drive()

    def _retire(self) -> None:
        self.is_over = True
        self._batch.cancel_timer()
        for operation in self._open.values():
            operation.abandon()
        if not self.finished.done():
            self.finished.set_result(None)
