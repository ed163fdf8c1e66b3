"""The receiver of all effects: a SQLite file, which takes what is idempotent once by its key; and its judge."""

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Account", "Ledger"]

_BUSY_S = 60.0
_TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE entered (key TEXT PRIMARY KEY, workflow INT, number INT, weight INT, tries INT);
CREATE TABLE paid (key TEXT, workflow INT, number INT, weight INT);
CREATE TABLE closed (key TEXT PRIMARY KEY, workflow INT, unsure TEXT, moved INT, tries INT);
"""


@dataclass(frozen=True, slots=True)
class Account:
    """What a judged ledger holds. `problems` has a line for each promise that was broken."""

    closed: int
    mates: int
    moved: int
    entered: int
    repeated: int
    paid: int
    unsure: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        """Return a line for people."""
        return (
            f"{self.closed:,} workflows ended, {self.moved:,} of them behind a move and {self.mates:,} with a "
            f"child's answer; {self.entered:,} idempotent effects, {self.repeated:,} of them tried again under "
            f"their key; {self.paid:,} effects had once, {self.unsure:,} of unknown outcome"
        )


class Ledger:
    """The file, as the drill sees it."""

    def __init__(self, path: Path) -> None:
        """Make it."""
        self.path = path
        with self._connected() as connection:
            connection.executescript(_TABLES)

    def ended(self) -> set[int]:
        """Return the workflows that have closed their account."""
        with self._connected() as connection:
            return {workflow for (workflow,) in connection.execute("SELECT workflow FROM closed")}

    def judge(self, workflows: int, turns: int, parents: Collection[int] = ()) -> Account:
        """Hold the ledger against what so many workflows of so many turns each may have done.

        Behind its turns a parent's mate enters one weight, and the parent itself enters the answer.
        """
        with self._connected() as connection:
            entered = connection.execute(
                "SELECT workflow, number, weight, tries FROM entered"
            ).fetchall()
            paid = connection.execute("SELECT workflow, number, weight FROM paid").fetchall()
            closed = connection.execute("SELECT workflow, unsure, moved FROM closed").fetchall()
        payable = {(workflow, n) for workflow in range(workflows) for n in range(turns)}
        expected = payable | {(parent, n) for parent in parents for n in (turns, turns + 1)}
        unsure = {(w, n) for w, numbers, _ in closed for n in json.loads(numbers)}
        ends = Counter(workflow for workflow, _, _ in closed)
        entries = Counter((workflow, number) for workflow, number, _, _ in entered)
        payments = Counter((workflow, number) for workflow, number, _ in paid)
        weights = {(w, n, weight) for w, n, weight, _ in entered} | set(paid)
        found = {
            "lost": set(range(workflows)) - ends.keys(),
            "ended under two keys": {each for each, times in ends.items() if times > 1},
            "never entered": expected - entries.keys(),
            "entered under two keys": {each for each, times in entries.items() if times > 1},
            "paid twice": {each for each, times in payments.items() if times > 1},
            "not paid, and nobody in doubt": payable - payments.keys() - unsure,
            "never ordered": (entries.keys() - expected) | ((payments.keys() | unsure) - payable),
            "of a false weight": {each for each in weights if each[0] * 1000 + each[1] != each[2]},
        }
        return Account(
            closed=len(ends),
            mates=len(parents),
            moved=sum(moved for _, _, moved in closed),
            entered=len(entered),
            repeated=sum(tries > 1 for _, _, _, tries in entered),
            paid=len(paid),
            unsure=len(unsure),
            problems=tuple(
                f"{len(which)} {what}: {sorted(which)[:10]}"
                for what, which in found.items()
                if which
            ),
        )

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=_BUSY_S)
        try:
            with connection:
                yield connection
        finally:
            connection.close()
