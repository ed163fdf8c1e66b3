"""LangGraph with its SQLite checkpointer, in `sync` durability.

A graph of three nodes in a row, compiled once; one thread of the checkpointer is one workflow. With
`sync` a node starts only when the checkpoint after the node before it is written.

Source: the project's documentation, "Persistence" and "Durable execution".
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

from benchmarks.peers import measure
from benchmarks.peers.measure import Durability, State


class Channels(TypedDict):
    """What the nodes hand on: the fields of a `State`."""

    workflow: int
    value: int


def _node(channels: Channels, *, index: int) -> State:
    return measure.step(cast("State", channels), index)


def three_steps(checkpointer: SqliteSaver) -> Any:
    """Return the compiled graph: its nodes, in a row."""
    graph = StateGraph(Channels)
    names = [f"step-{index}" for index in range(measure.STEPS)]
    for index, name in enumerate(names):
        graph.add_node(name, partial(_node, index=index))
    for before, after in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(before, after)
    return graph.compile(checkpointer=checkpointer)


class LangGraph:
    """The graph on its checkpointer."""

    def __init__(self, checkpointer: SqliteSaver) -> None:
        self._checkpointer = checkpointer
        self._graph = three_steps(checkpointer)

    def run(self, number: int) -> State:
        """Run one workflow to its end in the calling thread."""
        state = self._graph.invoke(measure.start(number), _thread(number), durability="sync")
        return cast("State", state)

    def steps_recorded(self, number: int) -> int:
        """Return how many checkpoints stand after a step: not those of the input and its start."""
        checkpoints = self._checkpointer.list(_thread(number))
        return sum(1 for checkpoint in checkpoints if checkpoint.metadata["step"] > 0)

    def durability(self) -> Durability:
        """Ask the one connection that the checkpointer writes through."""
        (journal_mode,) = self._checkpointer.conn.execute("PRAGMA journal_mode").fetchone()
        (synchronous,) = self._checkpointer.conn.execute("PRAGMA synchronous").fetchone()
        return Durability(
            store=f"SQLite {sqlite3.sqlite_version}",
            settings=measure.sqlite_settings(journal_mode, synchronous),
            mode="sync",
        )


def _thread(number: int) -> RunnableConfig:
    return {"configurable": {"thread_id": f"workflow-{number}"}}


@contextmanager
def open_langgraph(folder: Path) -> Iterator[LangGraph]:
    """Open the checkpointer on an empty database."""
    with SqliteSaver.from_conn_string(str(folder / "langgraph.sqlite")) as checkpointer:
        checkpointer.setup()
        yield LangGraph(checkpointer)


if __name__ == "__main__":
    measure.main("langgraph", open_langgraph)
