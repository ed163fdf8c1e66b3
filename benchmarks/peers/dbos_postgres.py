"""DBOS Transact on PostgreSQL, the database that its documentation recommends for production.

The same workflow as in `dbos`, on a cluster of its own with the settings of the distribution: each commit is
forced to the disk before it is acknowledged.

Source: the project's Python documentation, "Database connections".
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from benchmarks.peers import measure
from benchmarks.peers.dbos import Dbos, launched
from benchmarks.peers.measure import Durability
from benchmarks.peers.postgres import cluster


class DbosOnPostgres(Dbos):
    """The engine, launched on PostgreSQL."""

    def durability(self) -> Durability:
        """Ask a connection from the pool that the engine itself writes through."""
        with self._engine._sys_db.engine.connect() as connection:
            shown = {
                name: connection.execute(text(f"SHOW {name}")).scalar_one()
                for name in ("server_version", "fsync", "synchronous_commit", "full_page_writes")
            }
        return Durability(
            store=f"PostgreSQL {shown.pop('server_version')}",
            settings=" ".join(f"{name}={value}" for name, value in shown.items()),
            mode="every step's outcome before the next step",
        )


@contextmanager
def open_dbos_on_postgres(folder: Path) -> Iterator[DbosOnPostgres]:
    """Start a cluster, and launch the engine on an empty database of it."""
    with cluster(folder) as url:
        driven = url.replace("postgresql://", "postgresql+psycopg://")
        with launched(driven) as engine:
            yield DbosOnPostgres(engine)


if __name__ == "__main__":
    measure.main("dbos", open_dbos_on_postgres)
