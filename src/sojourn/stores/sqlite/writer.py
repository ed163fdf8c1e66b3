"""Group commit: all the commits that wait become one transaction, with one fsync for all.

While a group is being synced the next one gathers; nothing waits for company, so a lone commit goes
at once. A group takes two steps:

    fill      on the event loop: the changes go into the open transaction, 6 µs a row
    commit    on the writer's thread: write the log, fsync, release those who wait (protocol §13)

The statements run on the event loop because a thread has to win the interpreter's lock back after
each of them, and beside a busy loop it may wait for milliseconds every time: with both steps on the
thread, 64 callers beside a loop that verified signatures got 4,500 commits/s at 12 ms; this way
they get 20,000 at 1.7 ms. Only bulk, which would hold up the loop, is filled on the thread.

A loop that is always busy and never lets go of the lock for long can still starve the thread, for
seconds (each brief release wakes it up too late, and starts its waiting anew). So a loop that finds
a group unfinished after `PATIENCE_S` stands still for up to `PAUSE_S`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Event, Thread
from typing import Final

import apsw

from sojourn.core.base.errors import StoreFailed
from sojourn.stores.sqlite.chain import Link
from sojourn.stores.sqlite.group import Commit, begin_group
from sojourn.stores.sqlite.mark import Mark

__all__ = ["Writer"]

GROUP_COMMITS_MAX: Final = 256
GROUP_BYTES_MAX: Final = 8 * 1024 * 1024
"""The commit that crosses it is a group's last."""
BULK_BYTES: Final = 256 * 1024
"""A group of so many bytes is filled on the writer's thread as well: about 1 ms."""
PATIENCE_S: Final = 0.02
PAUSE_S: Final = 0.005
CHECKPOINT_PAGES: Final = 4_000
"""16 MiB of log. A longer one recovers more slowly, a shorter one is copied more often."""


class Writer:
    """Owns the writing connection, up to `finish`. Used from one event loop at a time.

    `on_failure` is called with the first error, on any thread, and returns what every commit raises
    from then on.
    """

    def __init__(
        self,
        database: apsw.Connection,
        newest: Link,
        mark: Mark,
        on_failure: Callable[[BaseException], StoreFailed],
    ) -> None:
        self._database = database
        self._newest = newest
        self._mark = mark
        self._on_failure = on_failure
        self._failed: StoreFailed | None = None
        self._line: deque[Commit] = deque()
        self._group: list[Commit] = []  # under way; the connection is the thread's until it is done
        self._begun: Link | None = None  # the newest link once the open transaction is committed
        self._log_pages = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._groups: SimpleQueue[list[Commit] | None] = SimpleQueue()
        self._ended = Event()
        database.set_wal_hook(self._note_log_pages)

    def submit(self, commit: Commit) -> None:
        """Put a commit in line."""
        if commit.loop is not self._loop:
            self.finish()
            self._loop = commit.loop
            self._thread = Thread(
                target=self._run, args=(self._loop,), name="store-writer", daemon=True
            )
            self._thread.start()
        self._line.append(commit)
        if len(self._line) == 1:
            # In the loop's next turn, so that all who commit in this one share a transaction.
            self._loop.call_soon(self._begin)

    def finish(self) -> None:
        """Make durable what is in line or under way, on this thread; end the writer's thread."""
        if self._thread is not None:
            self._groups.put(None)
            self._thread.join()
            self._thread = self._loop = None  # it has told its loop of what it did
        while self._take_group():
            self._attempt(self._commit)
            _settle(self._group, self._failed)

    def _begin(self) -> None:
        """Start on the next group, if there is one and none is under way."""
        if self._group or not self._take_group():
            return
        if sum(commit.size for commit in self._group) < BULK_BYTES:
            self._attempt(self._fill)
        self._ended.clear()
        self._groups.put(self._group)
        self._watch(self._group)

    def _watch(self, group: list[Commit]) -> None:
        assert self._loop is not None
        self._loop.call_later(PATIENCE_S, self._let_thread_run, group)

    def _let_thread_run(self, group: list[Commit]) -> None:
        if group is self._group:
            self._ended.wait(PAUSE_S)
            self._watch(group)

    def _take_group(self) -> list[Commit]:
        group: list[Commit] = []
        size = 0
        while self._line and len(group) < GROUP_COMMITS_MAX and size < GROUP_BYTES_MAX:
            group.append(self._line.popleft())
            size += group[-1].size
        self._group = group
        return group

    def _fill(self) -> None:
        self._begun = begin_group(self._database, self._newest, self._group)

    def _commit(self) -> None:
        if self._begun is None:
            self._fill()
        assert self._begun is not None
        self._database.execute("COMMIT")
        self._mark.write(self._begun.seq)
        self._newest, self._begun = self._begun, None

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Serve as the writer's thread: commit each group, then tell the loop."""
        while group := self._groups.get():
            self._attempt(self._commit)
            failed = self._failed
            if self._log_pages >= CHECKPOINT_PAGES:
                _tell(loop, partial(_settle, group, failed))  # who waits need not wait for this
                self._attempt(self._checkpoint)
            _tell(loop, partial(self._end, group, failed))
            self._ended.set()

    def _end(self, group: list[Commit], failed: StoreFailed | None) -> None:
        _settle(group, failed)
        if group is self._group:  # and not one that `finish` has seen to
            self._group = []
            # After those who have just been released: they may have more to commit.
            asyncio.get_running_loop().call_soon(self._begin)

    def _attempt(self, work: Callable[[], None]) -> None:
        """Do `work` unless something has failed before; its failure is final."""
        if self._failed is not None:
            return
        try:
            work()
        except BaseException as error:  # whatever it is: nobody may believe that the work was done
            self._failed = self._on_failure(error)

    def _note_log_pages(self, database: apsw.Connection, name: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        """Copy the log into the database, so that it can begin anew.

        SQLite's own automatic checkpoint passes over errors; but a sync that failed may succeed the
        next time although the pages are gone.
        """
        self._database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


def _settle(group: Iterable[Commit], failed: StoreFailed | None) -> None:
    """Release those who wait for a group, and have neither been released nor cancelled."""
    for commit in group:
        if not commit.waiter.done():
            with suppress(RuntimeError):  # its loop is closed: nobody waits there any more
                commit.settle(failed)


def _tell(loop: asyncio.AbstractEventLoop, message: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # it is closed; `finish` will do what it no longer does
        loop.call_soon_threadsafe(message)
