"""The running total: read, added to, joined; and the command that does it."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from sojourn.cli import main
from sojourn.cli import sim as command
from sojourn.core.base.errors import Misused
from sojourn.testing.schedules.report import ProfileReport, Report
from sojourn.testing.schedules.totals import Run, Totals, read, runs_of, text_of, write

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "docs" / "simulated.toml"

RUN = Run(
    profile="migrate",
    commit="0123456789",
    date="2026-11-22",
    seeds=(0, 99),
    schedules=98,
    violations=0,
    real=2,
    repeated=1,
)

PART = ProfileReport(
    profile="migrate",
    about="",
    seeds=(100, 200),
    schedules=99,
    uneventful=1,
    real=2,
    repeated=1,
    events=20_000,
    violations=0,
    per_core_s=100.0,
    bound=3 / 99,
    reached={},
    never=(),
)

REPORT = Report(profiles=(PART,), jobs=2, took_s=1.0, is_cut_short=False, shrunk=(), failing=())


def test_a_total_is_what_was_written(tmp_path: Path) -> None:
    file = tmp_path / "total.toml"
    assert Totals() == read(file)
    other = replace(RUN, profile="sizes", violations=1, failing=(7,))
    write(file, Totals(), [RUN, other])
    assert Totals((RUN, other)) == read(file)
    assert "[total.migrate]\nschedules = 98\nviolations = 0\n" in file.read_text()


def test_it_goes_on_after_the_last_seed_of_a_profile() -> None:
    totals = Totals((RUN,))
    assert (100, 0) == (totals.next_seed("migrate"), totals.next_seed("sizes"))


def test_runs_of_one_commit_whose_seeds_follow_are_joined(tmp_path: Path) -> None:
    file = tmp_path / "total.toml"
    [more] = runs_of(REPORT, RUN.commit)
    now = write(file, Totals((RUN,)), [more])
    [joined] = now.run
    assert ((0, 199), 98 + 99, 4, 2) == (
        joined.seeds,
        joined.schedules,
        joined.real,
        joined.repeated,
    )
    apart = write(file, Totals((RUN,)), runs_of(REPORT, "fedcba9876"))
    assert 2 == len(apart.run)
    assert 98 + 99 == apart.schedules() == apart.schedules("migrate")


@pytest.mark.parametrize("text", ["run = 7", "[[run]]\nprofile = 1", "]", "[[run]]\nodd = 1"])
def test_a_file_that_is_no_total_is_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "total.toml"
    file.write_text(text)
    with pytest.raises(Misused, match="is no running total"):
        read(file)
    assert text == file.read_text()


def test_the_recorded_total_can_be_read_and_adds_up() -> None:
    totals = read(RECORDED)
    assert text_of(totals) == RECORDED.read_text()


# The command


class Ended:
    """How the command ended."""

    def __init__(self, capture: pytest.CaptureFixture[str], *arguments: object) -> None:
        capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["sim", *map(str, arguments)])
        self.code = ended.value.code
        self.out, self.err = capture.readouterr()


def test_it_runs_seeds_and_says_so_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    done = Ended(capsys, "--profile", "calm", "--seeds", "0..3", "--jobs", 1, "--json")
    assert 0 == done.code, done.err
    [calm] = json.loads(done.out)["profiles"]
    assert (3, 0, 1) == (calm["schedules"], calm["violations"], calm["repeated"])


def test_it_says_what_was_reached_and_what_it_does_not_prove(
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = Ended(capsys, "--profile", "calm", "--seeds", "0..3", "--jobs", 1)
    assert 0 == done.code, done.err
    assert "applied: step" in done.out
    assert "never reached: " in done.out
    assert "at 95%, fewer than 1 in 1 of such schedules do (3/N)" in done.out


def test_it_replays_a_seed(capsys: pytest.CaptureFixture[str]) -> None:
    done = Ended(capsys, "--profile", "calm", "--replay", 5)
    assert 0 == done.code, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("seed 5: 2 agents in 3 zones of 4;")
    assert any("proposes" in line and "→" in line for line in lines)
    assert any("= decided: version 2 in term 0 is " in line for line in lines)
    assert done.out == Ended(capsys, "--profile", "calm", "--replay", 5).out


def test_it_lists_the_profiles(capsys: pytest.CaptureFixture[str]) -> None:
    done = Ended(capsys, "--profiles")
    assert 0 == done.code
    assert "migrate" in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seeds", "5"], "--seeds is '5'. Write A..B"),
        (["--seeds", "5..5"], "there is no seed in 5..5"),
        (["--seeds", "+5"], "--add-to"),
        (["--profile", "nowhere"], "there is no profile 'nowhere'"),
    ],
)
def test_misuse_is_said(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    done = Ended(capsys, *arguments)
    assert 2 == done.code
    assert said in done.err


def test_a_broken_promise_ends_with_1_and_an_interrupt_with_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(REPORT, failing=(("migrate", 7, "no fork: planted"),))
    for found, code in ((broken, 1), (replace(REPORT, is_cut_short=True), 130), (REPORT, 0)):
        monkeypatch.setattr(command, "_run", lambda *_, found=found: found)
        done = Ended(capsys)
        assert code == done.code
        assert ("BROKEN  migrate, seed 7: no fork: planted" in done.out) == (found is broken)


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Let git say what the test says."""
    said = {"rev-parse": "0123456789", "status": ""}
    monkeypatch.setattr(command, "_git", lambda what, *_: said[what])
    monkeypatch.setattr(command, "_run", lambda *_: REPORT)
    return said


def test_what_was_run_is_added(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, tree: dict[str, str]
) -> None:
    file = tmp_path / "total.toml"
    done = Ended(capsys, "--seeds", "+100", "--add-to", file)
    assert 0 == done.code, done.err
    [run] = read(file).run
    assert ("0123456789", (100, 199), 99) == (run.commit, run.seeds, run.schedules)
    assert "migrate, 99 schedules ever, 0 violations" in done.out


def test_a_source_that_nobody_can_get_is_not_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, tree: dict[str, str]
) -> None:
    file = tmp_path / "total.toml"
    tree["status"] = " M src/sojourn/core/quorum/votes.py"
    done = Ended(capsys, "--add-to", file)
    assert 2 == done.code
    assert "the source differs from its commit" in done.err
    assert not file.exists()
    assert 0 == Ended(capsys, "--add-to", file, "--dirty").code
    assert "0123456789 and changes" == read(file).run[0].commit
