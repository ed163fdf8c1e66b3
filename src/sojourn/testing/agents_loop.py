"""The agents' side of a simulated host: a loop whose callbacks may wait, and the threads of steps."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Final, ParamSpec, TypeVar

from sojourn.core.base.errors import Unreachable
from sojourn.runtime.questions import Answer
from sojourn.testing.loop import ProcessLoop
from sojourn.testing.timeline import NS_PER_MS, NS_PER_S

__all__ = ["AgentsLoop", "Pool"]

P = ParamSpec("P")
R = TypeVar("R")

_TAKES_NS_MAX: Final = 5 * NS_PER_MS


class AgentsLoop(ProcessLoop):
    """The loop of a host's agents: a callback of it may wait for a block with all that is on its stack."""

    _waiting: object | None = None
    _is_answered = False

    @property
    def wants_turn(self) -> bool:
        """Whether something is ready, or what it waited for is there, and it may run."""
        self._is_listed = (bool(self._ready) or self._is_answered) and not self._holds
        return self._is_listed

    def run_ready(self) -> None:
        """Run what is ready, or go on with what waited."""
        if self._holds:
            return
        if self._is_answered:
            self._is_answered = False
            self._timeline.crew.resume(self._waiting)
        else:
            super().run_ready()

    def wait_for(self, future: Future[Answer]) -> Answer:
        """Hold up the agents until there is an answer. Raises `Unreachable` when the process ends."""
        if not future.done() and not self.has_ended:
            self._waiting = self._timeline.crew.at_work
            self.hold_up()
            future.add_done_callback(self._answered)
            self._timeline.step_aside()
            self._waiting = None
        if self.has_ended:
            raise Unreachable("the process has ended")
        return future.result()

    def _answered(self, _future: Future[Answer]) -> None:
        if not self.has_ended:
            self._is_answered = True
            self._holds -= 1
            self._list()

    def bury(self) -> None:
        """Unwind what waits, then all tasks. An answer that has come meanwhile is nobody's any more."""
        self._is_answered = False
        while self._waiting is not None:
            self._timeline.crew.resume(self._waiting)
        super().bury()


class Pool(Executor):
    """The threads of steps, and of loading code: each call takes a little time, then runs in one piece."""

    def __init__(self, loop: ProcessLoop, random: Callable[[], float]) -> None:
        """Run calls on `loop`; `random` says how long each takes, as a part of the longest."""
        self._loop, self._random = loop, random

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Have a function called."""
        future: Future[R] = Future()
        delay_s = self._random() * _TAKES_NS_MAX / NS_PER_S
        self._loop.call_later(delay_s, self._run, future, fn, args, kwargs)
        return future

    @staticmethod
    def _run(future: Future[Any], fn: Callable[..., Any], args: Any, kwargs: Any) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = fn(*args, **kwargs)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)
