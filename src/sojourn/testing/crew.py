"""The threads of a simulation: one at a time is at work, and the others wait for it.

An agent's `run` reads memory without awaiting: a block that is not at hand is waited for by the thread that it
runs on, deep inside a callback. In production that is the agents' thread, and the host's goes on. Here whoever
runs the timeline steps aside with all that is on its stack, and another thread goes on in its place; when the
block has come, that one waits in its turn until the first has done with its callbacks.

    test ── lead ──► first ── step_aside ──► second ── resume ──► first ── leave ──► second ── finish ──► test

No two threads are ever at work at once, so the order of everything is the seed's and not the system's.
"""

import threading
from collections.abc import Callable

__all__ = ["Crew"]

Work = Callable[[], None]


class _Member:
    """One thread; the test's own is the first."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.work: Work | None = None
        self.thread: threading.Thread | None = None
        self.was_replaced = False
        self.resumed_by: _Member | None = None
        self.error: BaseException | None = None

    def wait(self) -> None:
        """Wait for a turn. Raises what went wrong in another's."""
        self.go.acquire()
        error, self.error = self.error, None
        if error is not None:
            raise error


class Crew:
    """The threads of one world."""

    def __init__(self) -> None:
        """Begin with the thread of the test."""
        self._test = self._current = _Member()
        self._idle: list[_Member] = []

    def lead(self, work: Work) -> None:
        """Have `work` begun by a thread, which others may replace; return after `finish`, raising its error."""
        assert self._current is self._test, (
            "time passes already: this is called from inside the world"
        )
        self._hand_over(self._employ(work))
        self._test.wait()

    def finish(self, error: BaseException | None = None) -> None:
        """Let the test go on. This thread returns from its work next."""
        self._retire(self._current, self._test, error)

    @property
    def was_replaced(self) -> bool:
        """Whether the thread at work stepped aside once, so that another goes on in its place."""
        return self._current.was_replaced

    def step_aside(self, work: Work) -> object:
        """Wait to be resumed; meanwhile another thread does `work`, or goes on with what it does."""
        mine = self._current
        other, mine.resumed_by = mine.resumed_by, None
        mine.was_replaced = True
        self._hand_over(other or self._employ(work))
        mine.wait()
        return mine

    @property
    def at_work(self) -> object:
        """The thread that is at work."""
        return self._current

    def resume(self, waiting: object) -> None:
        """Let a thread that stepped aside go on, until it leaves or steps aside again. Raises what it raised."""
        assert isinstance(waiting, _Member)
        mine = self._current
        waiting.resumed_by = mine
        self._hand_over(waiting)
        mine.wait()

    def leave(self, error: BaseException | None = None) -> None:
        """Let the one go on that resumed this thread, which returns from its work next."""
        mine = self._current
        assert mine.resumed_by is not None
        other, mine.resumed_by = mine.resumed_by, None
        mine.was_replaced = False
        self._retire(mine, other, error)

    def close(self) -> None:
        """End all threads; none is at work or waits."""
        for member in self._idle:
            assert member.thread is not None
            member.work = None
            member.go.release()
            member.thread.join()
        self._idle.clear()

    def _employ(self, work: Work) -> _Member:
        """Return an idle thread, with something to do."""
        member = self._idle.pop() if self._idle else _Member()
        member.work = work
        if member.thread is None:
            member.thread = threading.Thread(
                target=_live, args=(member,), name="sojourn-simulation", daemon=True
            )
            member.thread.start()
        return member

    def _retire(self, mine: _Member, other: _Member, error: BaseException | None) -> None:
        self._idle.append(mine)
        other.error = error
        self._hand_over(other)

    def _hand_over(self, other: _Member) -> None:
        self._current = other
        other.go.release()


def _live(member: _Member) -> None:
    while True:
        member.wait()
        work, member.work = member.work, None
        if work is None:
            return
        work()
