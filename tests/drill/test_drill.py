"""Workflows under a nemesis: effects at their ledger as often as promised, and none lost (protocol §10)."""

import asyncio
import json
import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from sojourn.testing.schedules.totals import read
from tests.drill.drill import Drill, Outcome, defects_in, parts, run
from tests.drill.ledger import Account, Ledger
from tests.drill.totals import Totals, run_of, stuck, write

RECORDED = Path(__file__).parents[2] / "docs" / "drills.toml"


def carried_out(drill: Drill, folder: Path) -> None:
    outcome = asyncio.run(run(drill, folder))
    assert () == outcome.account.problems
    assert drill.count == outcome.account.closed
    assert outcome.kills.total() > 0


def test_workflows_end_and_have_their_effects_as_promised(tmp_path: Path) -> None:
    carried_out(Drill(count=12, seed=0, every_s=0.8, zones=1), tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 4))
def test_many_workflows_in_two_zones_do(tmp_path: Path, seed: int) -> None:
    carried_out(Drill(count=300, seed=seed), tmp_path)


def test_what_was_run_broke_nothing() -> None:
    totals = read(RECORDED, Totals)
    assert [] == [problem for run in totals.run for problem in run.problems]
    assert totals.of("workflows") == totals.of("ended")


GOOD = (
    ("INSERT INTO entered VALUES (?, 0, 0, 0, 1)", ("e0",)),
    ("INSERT INTO entered VALUES (?, 0, 1, 1, 2)", ("e1",)),
    ("INSERT INTO entered VALUES (?, 0, 2, 2, 1)", ("m",)),
    ("INSERT INTO entered VALUES (?, 0, 3, 3, 1)", ("a",)),
    ("INSERT INTO paid VALUES (?, 0, 0, 0)", ("p0",)),
    ("INSERT INTO closed VALUES (?, 0, '[1]', 0, 1)", ("c",)),
)
"""A workflow of two turns with a mate: its second entry was tried twice, its second payment is in doubt."""


@pytest.mark.parametrize(
    ("done", "problem"),
    [
        ("DELETE FROM closed", "1 lost: [0]"),
        ("INSERT INTO closed VALUES ('d', 0, '[1]', 0, 1)", "1 ended under two keys: [0]"),
        ("DELETE FROM entered WHERE number = 1", "1 never entered: [(0, 1)]"),
        ("INSERT INTO entered VALUES ('x', 0, 0, 0, 1)", "1 entered under two keys: [(0, 0)]"),
        ("INSERT INTO paid VALUES ('p0', 0, 0, 0)", "1 paid twice: [(0, 0)]"),
        ("DELETE FROM paid", "1 not paid, and nobody in doubt: [(0, 0)]"),
        ("INSERT INTO paid VALUES ('x', 0, 2, 2)", "1 never ordered: [(0, 2)]"),
        ("UPDATE paid SET weight = 7", "1 of a false weight: [(0, 0, 7)]"),
        ("UPDATE closed SET unsure = '[1, 2]'", "1 never ordered: [(0, 2)]"),
        ("DELETE FROM entered WHERE number = 2", "1 never entered: [(0, 2)]"),
        ("UPDATE entered SET number = 4 WHERE number = 3", "1 never entered: [(0, 3)]"),
    ],
)
def test_the_judge_sees_a_broken_promise(tmp_path: Path, done: str, problem: str) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    with sqlite3.connect(ledger.path) as connection:
        for sql, values in GOOD:
            connection.execute(sql, values)
    connection.close()
    account = ledger.judge(1, 2, {0})
    assert ((), 1, 4, 1, 1, 1) == (
        account.problems,
        account.closed,
        account.entered,
        account.repeated,
        account.paid,
        account.unsure,
    )
    with sqlite3.connect(ledger.path) as connection:
        connection.execute(done)
    connection.close()
    assert problem in ledger.judge(1, 2, {0}).problems


def test_a_mate_that_nobody_has_enters_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    with sqlite3.connect(ledger.path) as connection:
        for sql, values in GOOD:
            connection.execute(sql, values)
    connection.close()
    assert ("2 never ordered: [(0, 2), (0, 3)]",) == ledger.judge(1, 2).problems


def test_what_nobody_expects_in_a_log_is_a_problem() -> None:
    defect = {"event": "a defect in the host", "exception": "Traceback\n  File\nIndexError: far\n"}
    lines = ['{"event": "rea', '{"event": "ready"}', json.dumps(defect), ""]
    assert ["a defect in the host: IndexError: far"] == defects_in("\n".join(lines))


def test_the_seed_says_who_does_what() -> None:
    drill = Drill(count=400, seed=7)
    planned = parts(drill)
    assert planned == parts(drill) != parts(replace(drill, seed=8))
    for what in ("goal", "sleep_ms", "mate"):
        assert 60 < sum(bool(getattr(part, what)) for part in planned) < 140
    assert all(part.goal != part.home for part in planned)
    assert not any(part.goal for part in parts(replace(drill, zones=1)))


def test_the_total_is_read_as_it_was_written(tmp_path: Path) -> None:
    file, drill = tmp_path / "drills.toml", Drill(count=5, seed=3)
    account = Account(5, 1, 2, 12, 3, 10, 1, ("1 paid twice: [(0, 0)]",))
    outcome = Outcome(account, Counter(host=2, anchor=5), 61.4)
    runs = (run_of(drill, "abc", outcome), stuck(replace(drill, seed=4), "abc", "no further"))
    write(file, Totals(runs))
    totals = read(file, Totals)
    assert runs == totals.run
    assert (10, 5, 2, 5, 61, 2, 5) == (
        *(totals.of(name) for name in ("workflows", "ended", "hosts_killed", "anchors_killed")),
        totals.of("seconds"),
        totals.of("violations"),
        totals.next_seed,
    )
    assert "\nended = 5\n" in file.read_text().partition("[[run]]")[0]
