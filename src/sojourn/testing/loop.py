"""The event loop of one simulated process: production code runs on it unchanged, in virtual time.

Every process has a loop of its own, so that its tasks, timers and callbacks are known to be its: it can be
held up, and it can end at any point, whereupon nothing of it runs any more. Of asyncio's loop it has what
Sojourn uses: callbacks, timers, futures, tasks and an executor. Sockets, files and signals are not there.

Tasks and futures hash by their number, not by their address: code that keeps them in sets does the same in
every run.
"""

import asyncio
import itertools
import math
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import Context
from typing import Any, Final, NoReturn, TypeVar

from sojourn.testing.clocks import MachineClock
from sojourn.testing.timeline import NS_PER_S, Timeline, Timer

__all__ = ["Complaints", "ProcessLoop", "new_loop"]

T = TypeVar("T")
Complaints = Callable[[str, BaseException | None], None]
"""Takes what a callback raised and nobody caught, and what it was doing."""

_CLOSINGS_MAX: Final = 100
"""How often a coroutine that is dropped may wait for something once more before it is left as it is."""


class _Future(asyncio.Future[Any]):
    """A future that hashes by its number."""

    def __init__(self, *, loop: "ProcessLoop") -> None:
        self._number = next(loop.numbers)
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._number


class _Task(asyncio.Task[Any]):
    """A task that hashes by its number."""

    def __init__(
        self, coro: Coroutine[Any, Any, Any], *, loop: "ProcessLoop", **options: Any
    ) -> None:
        self.number = next(loop.numbers)
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self.number


class _TimerHandle(asyncio.TimerHandle):
    """A handle that knows its timer."""

    __slots__ = ("timer",)
    timer: Timer


class ProcessLoop(asyncio.AbstractEventLoop):
    """A loop on a timeline, by one machine's clock."""

    def __init__(self, timeline: Timeline, clock: MachineClock, complain: Complaints) -> None:
        """Begin with nothing ready; `complain` gets what nobody caught."""
        self.numbers = itertools.count()
        self._timeline, self._clock, self._complain = timeline, clock, complain
        self._ready: deque[asyncio.Handle] = deque()
        self._tasks: weakref.WeakValueDictionary[int, _Task] = weakref.WeakValueDictionary()
        self._holds = 0
        self._is_listed = False
        self.has_ended = False

    # --- turns ----------------------------------------------------------------------------------------

    @property
    def wants_turn(self) -> bool:
        """Whether something is ready and may run; asked by the timeline at the end of a turn."""
        self._is_listed = bool(self._ready) and not self._holds
        return self._is_listed

    def run_ready(self) -> None:
        """Run the callbacks that are ready now; what they make ready comes next time."""
        if self._holds:
            return
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)  # as `running` does, without a generator for each turn
        try:
            for _ in range(len(self._ready)):
                if not self._ready or self._holds:  # it ended, or was held up, by its own doing
                    return
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            asyncio._set_running_loop(before)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Be the loop that runs on this thread."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            yield
        finally:
            asyncio._set_running_loop(before)

    def hold_up(self) -> None:
        """Run nothing until it is let go as often as it was held up."""
        self._holds += 1

    def let_go(self) -> None:
        """Run again, unless something else still holds it up."""
        self._holds -= 1
        if self._ready:
            self._list()

    def _list(self) -> None:
        if not self._is_listed and not self._holds:
            self._is_listed = True
            self._timeline.wants_turn(self)

    # --- the end --------------------------------------------------------------------------------------

    def end(self) -> None:
        """Drop all that is ready or timed, and whatever comes later."""
        self.has_ended = True
        self._ready.clear()

    def bury(self) -> None:
        """Close the coroutines of all tasks, in the order they were made. Nothing they do counts any more."""
        # Held while they are sorted: each may be collected at any time.
        tasks = sorted(self._tasks.values(), key=lambda task: task.number)
        with self.running():
            for task in tasks:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                _close(task.get_coro())

    # --- asyncio's loop -------------------------------------------------------------------------------

    def time(self) -> float:
        """Return this machine's time since it booted, in seconds."""
        return self._clock.local_ns() / NS_PER_S

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Make a callback ready."""
        handle = asyncio.Handle(callback, args, self, context)
        if not self.has_ended:
            self._ready.append(handle)
            if not self._is_listed:
                self._list()
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Make a callback ready after so many seconds."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Make a callback ready at a time of `time`."""
        handle = _TimerHandle(when, callback, args, self, context)
        # A nanosecond late: `time` counts in floats, and whoever wakes before his time sleeps once more.
        true_ns = self._clock.true_ns(math.ceil(when * NS_PER_S) + 1)
        handle.timer = self._timeline.at(true_ns, self._due, handle)
        return handle

    def _due(self, handle: asyncio.TimerHandle) -> None:
        if not self.has_ended:
            self._ready.append(handle)
            self._list()

    def _timer_handle_cancelled(self, handle: _TimerHandle) -> None:
        handle.timer.cancel()

    def create_future(self) -> asyncio.Future[Any]:
        """Return a new future."""
        return _Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, T], **options: Any) -> asyncio.Task[T]:  # type: ignore[override]
        """Return a new task; of a process that has ended it never runs."""
        task = _Task(coro, loop=self, **options)
        if self.has_ended:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            _close(coro)
        else:
            self._tasks[task.number] = task
        return task

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Have a function called by an executor of this world, or at once: a process has no threads of its own."""
        if executor is None:
            done: asyncio.Future[T] = self.create_future()
            try:
                done.set_result(func(*args))
            except Exception as error:
                done.set_exception(error)
            return done
        return asyncio.wrap_future(executor.submit(func, *args), loop=self)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Pass on what nobody caught; of a process that has ended nothing counts."""
        error = context.get("exception")
        if not self.has_ended:
            self._complain(str(context.get("message")), error)

    def get_debug(self) -> bool:
        """Return False."""
        return False

    def is_running(self) -> bool:
        """Tell whether a callback of this loop is running."""
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        """Tell whether the process has ended."""
        return self.has_ended


def new_loop(timeline: Timeline, clock: MachineClock, complain: Complaints) -> ProcessLoop:
    """Return a loop on which nothing is ready."""
    return ProcessLoop(timeline, clock, complain)  # type: ignore[abstract] # see below: the rest refuse


class _Unwound(BaseException):
    """Thrown into what will never be resumed. Not `GeneratorExit`: that leaves behind what waits once more."""


def _close(coro: Any) -> None:
    """Unwind a coroutine that will never be resumed, however often it would wait again."""
    for _ in range(_CLOSINGS_MAX):
        try:
            coro.throw(_Unwound)
        except BaseException:
            return


def _refuse(name: str) -> Callable[..., NoReturn]:
    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise NotImplementedError(f"a simulated process has no {name}")

    return refuse


for _name in vars(asyncio.AbstractEventLoop):
    if not _name.startswith("_") and _name not in vars(ProcessLoop):
        setattr(ProcessLoop, _name, _refuse(_name))
