"""DBOS Transact on the database it comes with: a SQLite file under its own settings.

It writes a row when a workflow begins, one for the outcome of each step, and one when it ends.

Source: the project's Python documentation, "Workflows", "Steps" and "Database connections".
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dbos import DBOS, DBOSConfig, SetWorkflowID
from sqlalchemy import text

from benchmarks.peers import measure
from benchmarks.peers.measure import Durability, State


@DBOS.step()
def step(state: State, index: int) -> State:
    """Do one step; the engine records its outcome."""
    return measure.step(state, index)


@DBOS.workflow()
def three_steps(number: int) -> State:
    """Do the steps in a row."""
    state = measure.start(number)
    for index in range(measure.STEPS):
        state = step(state, index)
    return state


class Dbos:
    """The engine, launched."""

    def __init__(self, engine: DBOS) -> None:
        self._engine = engine

    def run(self, number: int) -> State:
        """Run one workflow to its end in the calling thread."""
        with SetWorkflowID(f"workflow-{number}"):
            return three_steps(number)

    def steps_recorded(self, number: int) -> int:
        """Return how many step outcomes the system database holds."""
        return len(DBOS.list_workflow_steps(f"workflow-{number}"))

    def durability(self) -> Durability:
        """Ask a connection from the pool that the engine itself writes through."""
        with self._engine._sys_db.engine.connect() as connection:
            journal_mode = connection.execute(text("PRAGMA journal_mode")).scalar_one()
            synchronous = connection.execute(text("PRAGMA synchronous")).scalar_one()
        return Durability(
            store=f"SQLite {sqlite3.sqlite_version}",
            settings=measure.sqlite_settings(str(journal_mode), int(synchronous)),
            mode="every step's outcome before the next step",
        )


@contextmanager
def launched(database_url: str) -> Iterator[DBOS]:
    """Launch the engine on an empty database, quietly."""
    config: DBOSConfig = {
        "name": "three-steps",
        "system_database_url": database_url,
        "log_level": "ERROR",
    }
    engine = DBOS(config=config)
    DBOS.launch()
    try:
        yield engine
    finally:
        DBOS.destroy()


@contextmanager
def open_dbos(folder: Path) -> Iterator[Dbos]:
    """Launch the engine on a SQLite file."""
    with launched(f"sqlite:///{folder / 'dbos.sqlite'}") as engine:
        yield Dbos(engine)


if __name__ == "__main__":
    measure.main("dbos", open_dbos)
