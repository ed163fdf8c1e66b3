"""The print at the end of a run, in terminals of any width."""

import io

import pytest
from msgspec.structs import replace
from rich.console import Console

from sojourn.demo.report import ReportData, render_terminal


def printed(data: ReportData, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(render_terminal(data))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_print_says_everything(sample: ReportData) -> None:
    text = printed(sample)
    told = [zone.name for zone in sample.zones]
    told += [move.why for move in sample.migrations]
    told += [entry.digest[-12:] for entry in sample.certificates]
    told += [loss.note for loss in sample.losses]
    told += [*sample.capsule.checks, "verified with no network", "recorded schedule"]
    told += ["✕ no", "◔ later", "✓ yes", "Kupiec", "Acerbi–Székely", "0, 1, 3 of 4"]
    assert [] == [one for one in told if one not in text]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_print_fits_its_terminal(sample: ReportData, width: int) -> None:
    assert max(map(len, printed(sample, width).splitlines())) <= width


@pytest.mark.parametrize("width", [100, 140])
def test_nothing_is_cut_off_at_the_edge(sample: ReportData, width: int) -> None:
    long = "Denied: " + "the agent's policy does not permit it; " * 12
    entries = tuple(
        replace(entry, governance=replace(entry.governance, reasons=(long,)))
        for entry in sample.assessments
    )
    words = printed(replace(sample, assessments=entries), width).split()
    told = {word for entry in entries for word in entry.outcome.split()}
    assert {"agent", *told} <= set(words)


def test_names_are_not_read_as_console_markup(sample: ReportData) -> None:
    losses = tuple(replace(loss, note="[bold]not bold[/bold] [/]") for loss in sample.losses)
    assert "[bold]not bold[/bold] [/]" in printed(replace(sample, losses=losses))


def test_refusal_and_failure_are_told(sample: ReportData) -> None:
    first, *rest = sample.migrations
    moves = (replace(first, refusal="the zone is full"), *rest)
    capsule = replace(sample.capsule, verified=False)
    text = printed(replace(sample, migrations=moves, capsule=capsule))
    assert "refused: the zone is full" in text
    assert "did NOT verify" in text
