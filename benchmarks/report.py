"""What the driver prints, and the file it writes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Result

__all__ = ["Report"]


class Report:
    """Collects results; a benchmark that failed is in it with its reason and without figures."""

    def __init__(self, configuration: Mapping[str, Any], console: Console) -> None:
        """Print the configuration."""
        self._console = console
        self._written: dict[str, Any] = {
            "format": 1,
            "configuration": dict(configuration),
            "benchmarks": {},
        }
        self.failed: list[str] = []
        table = Table(title="Configuration", show_header=False, title_justify="left")
        for key, value in configuration.items():
            table.add_row(key.replace("_", " "), _said(value))
        console.print(table)

    def add(self, name: str, about: str, result: Result) -> None:
        """Print a benchmark's figures and keep them."""
        cases = {
            case.name: {what: figure.plain() for what, figure in case.figures.items()}
            for case in result.cases
        }
        self._written["benchmarks"][name] = {
            "about": about,
            "settings": dict(result.settings),
            "cases": cases,
            "failed": dict(result.failed),
        }
        if result.cases:
            self._console.print(_table(name, about, result))
        for case, why in result.failed.items():
            self._say_failed(f"{name}, {case}", why)

    def add_failure(self, name: str, about: str, why: str) -> None:
        """Say that a whole benchmark failed and why; it has no figures."""
        self._written["benchmarks"][name] = {"about": about, "failed": why}
        self._say_failed(name, why)

    def _say_failed(self, what: str, why: str) -> None:
        self.failed.append(what)
        self._console.print(f"\n{what}: FAILED. {why}", style="bold red", markup=False)

    def note(self, key: str, value: Any) -> None:
        """Add to the configuration what is known only afterwards."""
        self._written["configuration"][key] = value

    def write(self, folder: Path) -> Path:
        """Write everything as `<date>-<commit>.json`; return the file."""
        configuration = self._written["configuration"]
        day = configuration["date"][:10]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{day}-{configuration['commit'].replace('+', '-changed')}.json"
        text = json.dumps(self._written, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
        return path


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return str(value)


def _table(name: str, about: str, result: Result) -> Table:
    """Return the figures, a line for each case; the columns are those that any case has."""
    table = Table(title=f"\n{name}: {about}", title_justify="left", caption_justify="left")
    columns = list(dict.fromkeys(what for case in result.cases for what in case.figures))
    table.add_column("")
    for what in columns:
        unit = next(c.figures[what].unit for c in result.cases if what in c.figures)
        table.add_column(f"{what}, {unit}" if unit else what, justify="right")
    for case in result.cases:
        cells = [str(case.figures[what]) if what in case.figures else "" for what in columns]
        table.add_row(case.name, *cells)
    if result.settings:
        table.caption = _said(result.settings)
    return table
