"""Group commit: one thread makes all the commits that wait one transaction, with one fsync for all.

While one group is being synced the next one gathers. Nothing waits for company, so a lone commit
goes at once; and what gathers is bounded, so that a group is synced in milliseconds.

Order (protocol §13): write, sync, release those who wait; then, when the log has grown long, copy
it into the database, which delays no answer but the next group's.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import groupby
from operator import attrgetter
from queue import SimpleQueue
from threading import Thread
from typing import Final

import apsw

from sojourn.core.base.errors import StoreFailed
from sojourn.stores.sqlite.chain import Link
from sojourn.stores.sqlite.group import Commit, write_group

__all__ = ["Writer"]

GROUP_COMMITS_MAX: Final = 256
GROUP_BYTES_MAX: Final = 8 * 1024 * 1024
"""The commit that crosses it is a group's last."""
CHECKPOINT_PAGES: Final = 4_000
"""16 MiB of log. A longer one recovers more slowly, a shorter one is copied more often."""


class Writer:
    """The thread that writes, from construction to `stop`.

    `on_failure` is called on that thread with the first error, and returns what every commit raises
    from then on.
    """

    def __init__(
        self,
        database: apsw.Connection,
        newest: Link,
        on_failure: Callable[[BaseException], StoreFailed],
    ) -> None:
        self._database = database
        self._newest = newest
        self._on_failure = on_failure
        self._failed: StoreFailed | None = None
        self._queue: SimpleQueue[Commit | None] = SimpleQueue()
        self._log_pages = 0
        database.set_wal_hook(self._note_log_pages)
        self._thread = Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, commit: Commit) -> None:
        """Put a commit in line."""
        self._queue.put(commit)

    def stop(self) -> None:
        """Finish the commits in line; return when the thread has ended."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while group := self._gather():
            self._attempt(partial(self._write, group))
            _release(group, self._failed)
            self._attempt(self._checkpoint)

    def _attempt(self, work: Callable[[], None]) -> None:
        """Do `work` unless something has failed before; its failure is final."""
        if self._failed is not None:
            return
        try:
            work()
        except BaseException as error:  # whatever it is: nobody may believe that the work was done
            self._failed = self._on_failure(error)

    def _gather(self) -> list[Commit]:
        """Wait for a commit and take what else is in line; return nothing at the end."""
        group: list[Commit] = []
        size = 0
        while not group or self._has_room(len(group), size):
            commit = self._queue.get()
            if commit is None:
                self._queue.put(None)  # the next call finds it
                break
            group.append(commit)
            size += commit.size
        return group

    def _has_room(self, commits: int, size: int) -> bool:
        return commits < GROUP_COMMITS_MAX and size < GROUP_BYTES_MAX and self._queue.qsize() > 0

    def _write(self, group: list[Commit]) -> None:
        self._newest = write_group(self._database, self._newest, group)

    def _note_log_pages(self, database: apsw.Connection, name: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        # SQLite's own automatic checkpoint would pass over errors, and a failed fsync may succeed
        # the next time although the pages are gone.
        if self._log_pages >= CHECKPOINT_PAGES:
            self._database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


def _release(group: Iterable[Commit], failed: StoreFailed | None) -> None:
    """Wake the callers of a group: one call into their event loop for all of them."""
    for loop, commits in groupby(group, key=attrgetter("loop")):
        waiters = [commit.waiter for commit in commits]
        with suppress(RuntimeError):  # a loop that has been closed: nobody waits there any more
            loop.call_soon_threadsafe(_settle, waiters, failed)


def _settle(waiters: Iterable[asyncio.Future[None]], failed: StoreFailed | None) -> None:
    for waiter in waiters:
        if waiter.done():  # the caller was cancelled
            continue
        if failed is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(StoreFailed(failed.problem, remedy=failed.remedy))
