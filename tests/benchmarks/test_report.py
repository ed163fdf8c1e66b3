"""What the driver prints and writes: figures of what worked, reasons for what did not."""

import io
import json
from pathlib import Path

from rich.console import Console

from benchmarks.measuring import Case, Result
from benchmarks.report import Report

CONFIGURATION = {"date": "2026-01-31T12:00:00+00:00", "commit": "abc123+", "packages": {"x": "1"}}
CASE = Case.of("16 agents", {"steps": "1/s"}, [{"steps": 4321.0}])


def _report() -> tuple[Report, io.StringIO]:
    printed = io.StringIO()
    return Report(CONFIGURATION, Console(file=printed, width=100)), printed


def test_the_configuration_comes_first_and_the_figures_after_it(tmp_path: Path) -> None:
    report, printed = _report()
    report.add("steps", "final steps", Result([CASE], {"anchors": 4}))
    text = printed.getvalue()
    assert text.index("abc123+") < text.index("4,321")
    path = report.write(tmp_path / "results")
    assert "2026-01-31-abc123-changed.json" == path.name
    written = json.loads(path.read_text(encoding="utf-8"))
    assert CONFIGURATION == written["configuration"]
    figure = written["benchmarks"]["steps"]["cases"]["16 agents"]["steps"]
    assert ([4321.0], "1/s") == (figure["values"], figure["unit"])
    assert [] == report.failed


def test_what_failed_has_a_reason_and_no_figures(tmp_path: Path) -> None:
    report, printed = _report()
    report.add_failure("gate", "decisions", "anchor 2 ended with exit code 74")
    report.add("steps", "final steps", Result([], {}, {"256 agents": "nothing more came"}))
    assert ["gate", "steps, 256 agents"] == report.failed
    assert "anchor 2 ended with exit code 74" in printed.getvalue()
    assert "nothing more came" in printed.getvalue()
    written = json.loads(report.write(tmp_path).read_text(encoding="utf-8"))["benchmarks"]
    assert {"about": "decisions", "failed": "anchor 2 ended with exit code 74"} == written["gate"]
    assert ({}, {"256 agents": "nothing more came"}) == (
        written["steps"]["cases"],
        written["steps"]["failed"],
    )
