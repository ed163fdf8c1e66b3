"""`sojourn demo`: an agent crosses trust zones on real data, as real processes on this machine."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from sojourn.cli.help import Command
from sojourn.cli.home import Home
from sojourn.cli.options import json_option
from sojourn.cli.output import emit, say
from sojourn.cli.reach import perform
from sojourn.cli.showing.show import show
from sojourn.demo.report import render_report, render_terminal
from sojourn.demo.schedule import default_schedule, load_schedule

__all__ = ["demo"]

_WIDTH = 140
"""Columns for whoever reads the output from a pipe or a file."""


@click.command(cls=Command)
@click.option(
    "--schedule",
    "schedule_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Another schedule of zones, prices, capacity and kills (its form: sojourn/demo/schedule.py).",
)
@click.option(
    "--report",
    "report_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a self-contained HTML page of the run.",
)
@click.option(
    "--capsule",
    "capsule_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the exported agent; it is verified offline in any case.",
)
@click.option("--keep", is_flag=True, help="Keep the folder with keys, stores and logs.")
@json_option
def demo(
    schedule_file: Path | None,
    report_file: Path | None,
    capsule_file: Path | None,
    keep: bool,
    as_json: bool,
) -> None:
    """Run the risk desk: an agent that judges places and moves by itself.

    Brings up the zones of a schedule: by default three in the EU and one outside it, with four anchors and two
    hosts each, all separate processes. Launches an agent that estimates the risk of the S&P 500 with rolling
    GARCH models, changes prices and capacity while it runs, kills an anchor and the host that runs it, and shows
    where it went and why, with certificates. Nothing but this machine's loopback is used.

    Example:
      sojourn demo --report desk.html
    """
    schedule = load_schedule(schedule_file) if schedule_file else default_schedule()
    tell = (lambda _text: None) if as_json else say
    tell(schedule.note)
    with _folder(keep, tell) as folder:
        data = perform(show(Home(folder), schedule, tell, capsule_file=capsule_file))
    if report_file is not None:
        report_file.write_text(render_report(data), encoding="utf-8")
        tell(f"report: {report_file}")

    def render(_data: object) -> None:
        console = Console()
        if not console.is_terminal:
            console = Console(width=_WIDTH)
        console.print(render_terminal(data))

    emit(data, as_json, render)


@contextmanager
def _folder(keep: bool, tell: object) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="sojourn-demo-"))
    try:
        yield folder
    finally:
        if keep:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
