"""The default store: one SQLite file per process, where one fsync covers rows and blocks alike.

    store     the adapter: reads here, commits to the writer, one owner at a time
    writer    group commit: many commits become one transaction, and who syncs it
    group     what such a transaction does
    chain     what binds rows to their place and commits to their order
    audit     the check when a file is opened
    wal       whether a damaged write-ahead log has lost commits
    mark      which commit was the last to be acknowledged
    suspicion whether damage was found in service, so that all is read when it is opened
    schema    the file's format: tables, version, settings
    lock      one process per store
    failures  what SQLite's errors mean for the store's owner

What belongs here: everything that knows SQLite. What does not: anything that a store in another
database would need as well; that is the port's (`sojourn.runtime.store`).
"""

from sojourn.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
