"""What a test changes in a process of ours before it runs: its pace; and bugs that the checks must find."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

__all__ = ["plant"]


def calm() -> None:
    """Let no timer of its own drive a slot while a test takes its time; have a log that is copied now and then.

    Round 1 alone can be left at once. The log is begun anew after 40 pages, not after 4,000.
    """
    from sojourn.core.protocol import decree
    from sojourn.stores.sqlite import writer

    decree.round_timeout_ms = lambda round: 0 if round == 1 else 600_000
    writer.CHECKPOINT_PAGES = 40


def answer_before_sync() -> None:
    """Send a vote first, write it 20 ms later (trap 5)."""
    import asyncio

    from sojourn.runtime.store import Change, Put
    from sojourn.stores.sqlite.group import Commit
    from sojourn.stores.sqlite.store import SqliteStore

    async def commit(store: SqliteStore, changes: Sequence[Change]) -> None:
        made = Commit(changes)
        if any(isinstance(change, Put) and change.key == b"counter" for change in changes):
            asyncio.get_running_loop().call_later(0.02, store._writer.submit, made)
        else:
            store._writer.submit(made)
            await made.waiter

    SqliteStore._commit = commit  # type: ignore[method-assign]


def _synchronous(value: str) -> None:
    from sojourn.stores.sqlite import schema

    connect = schema.connect

    def connect_so(*args: object, **named: object) -> object:
        database = connect(*args, **named)  # type: ignore[arg-type]
        database.execute(f"PRAGMA synchronous = {value}")
        return database

    schema.connect = connect_so  # type: ignore[assignment]


def synchronous_normal() -> None:
    """Sync the log only when it is copied (trap 5)."""
    _synchronous("NORMAL")


def synchronous_off() -> None:
    """Sync nothing (trap 5)."""
    _synchronous("OFF")


def names_unsynced() -> None:
    """Sync files and never their directories: a rename, a new key, a new folder may be gone (trap 5)."""
    from sojourn.cli import founding
    from sojourn.runtime.processes import files, keyfile
    from sojourn.stores.sqlite import schema

    def sync_nothing(path: object) -> None:
        """Leave it to the system."""

    for module in (files, keyfile, schema, founding):
        module.sync_directory = sync_nothing  # type: ignore[attr-defined]


def start_unsynced() -> None:
    """Sync nothing while a store is opened, when what is in its log is copied; everything after that (trap 5)."""
    from sojourn.stores.sqlite.store import SqliteStore

    _synchronous("OFF")
    open_ = SqliteStore.open

    def open_so(*args: object, **named: object) -> SqliteStore:
        opened = open_(*args, **named)  # type: ignore[arg-type]
        opened._writing.execute("PRAGMA synchronous = FULL")
        return opened

    SqliteStore.open = open_so  # type: ignore[method-assign,assignment]


def log_written_anew() -> None:
    """Write the log anew before a store is opened."""
    from sojourn.stores.sqlite import wal

    is_damaged = wal.header_is_damaged

    def written_anew(log: Path) -> bool:
        if log.exists():
            data = log.read_bytes()
            log.unlink()
            log.write_bytes(data)
        return is_damaged(log)

    wal.header_is_damaged = written_anew


def error_logged() -> None:
    """Log an error of a commit, and answer (trap 6)."""
    from sojourn.stores.sqlite.writer import Writer

    def attempt(writer: Writer, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            print(f"commit: {error}", flush=True)  # noqa: T201
            writer._begun = None

    Writer._attempt = attempt  # type: ignore[method-assign]


def chain_unchecked() -> None:
    """Open a store without its audit: only what is read is checked."""
    from sojourn.stores.sqlite import audit, store

    def newest(database: object, path: object, *, is_suspect: bool) -> object:
        fields = database.execute(  # type: ignore[attr-defined]
            "SELECT seq, previous, changes, total FROM chain ORDER BY seq DESC LIMIT 1"
        ).fetchall()
        return audit.Link(*fields[0])

    store.audit = newest  # type: ignore[assignment]


def values_unchecked() -> None:
    """Read what rows hold as it stands in the file."""
    from sojourn.stores.sqlite import store

    store.is_intact = lambda *row: True


def vote_forgotten() -> None:
    """Sign a vote, and keep neither it nor its counter."""
    from sojourn.anchor.scribe import Scribe

    write = Scribe.write

    async def write_no_dossier(scribe: Scribe, changes: object, ballot: object = None) -> object:
        kept = [c for c in changes if ballot is None or getattr(c, "table", "") != "dossier"]  # type: ignore[attr-defined]
        return await write(scribe, kept, ballot)  # type: ignore[arg-type]

    Scribe.write = write_no_dossier  # type: ignore[method-assign,assignment]


def share_unsynced() -> None:
    """Acknowledge a share that no sync made durable."""
    from sojourn.stores.shares import ShareFiles

    def keep(shares: ShareFiles, key: bytes, share: bytes, agent: bytes) -> None:
        (shares._directory / key.hex()).write_bytes(share + agent)
        shares._names.add(key)

    ShareFiles._keep = keep  # type: ignore[method-assign]


def share_unlinked() -> None:
    """Destroy a share by removing its name."""
    from sojourn.stores.shares import ShareFiles

    ShareFiles._destroy = staticmethod(lambda path: path.unlink(missing_ok=True))  # type: ignore[method-assign]


_PLANTS: Final[dict[str, Callable[[], None]]] = {
    "calm": calm,
    "answer before sync": answer_before_sync,
    "synchronous normal": synchronous_normal,
    "synchronous off": synchronous_off,
    "names unsynced": names_unsynced,
    "start unsynced": start_unsynced,
    "log written anew": log_written_anew,
    "error logged": error_logged,
    "chain unchecked": chain_unchecked,
    "values unchecked": values_unchecked,
    "vote forgotten": vote_forgotten,
    "share unsynced": share_unsynced,
    "share unlinked": share_unlinked,
}


def plant(name: str) -> None:
    """Make the change of that name."""
    _PLANTS[name]()
