"""`sojourn agent check`: what in an agent's code a replay could not repeat, by reading it alone."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click
import msgspec

from sojourn.checking.findings import Finding, Severity
from sojourn.checking.source_check import Checked, check_source
from sojourn.cli.agent_file import read_agent_file
from sojourn.cli.help import Command
from sojourn.cli.options import json_option
from sojourn.cli.output import clean, counted, emit, say
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.code import SOURCE_FILES_MAX, collect_source

__all__ = ["check", "said", "said_instead"]

_FOUND: Final = 1
_PACKAGE: Final = "__init__.py"


class CheckRun(msgspec.Struct, frozen=True, kw_only=True):
    """What was checked, by entry point, and what was found there, by file and line."""

    agents: tuple[str, ...]
    files: int
    errors: int
    warnings: int
    findings: tuple[Finding, ...]


@click.command(cls=Command)
@click.argument("targets", metavar="WHAT...", nargs=-1, required=True)
@json_option
def check(targets: tuple[str, ...], as_json: bool) -> int:
    """Check the code of agents for what a replay could not repeat. Nothing of it is imported or run.

    WHAT is the file that an agent is launched from, a Python file, a folder of them, or module:Class in this folder.
    From run on, through the agent's own functions and modules, but not in its steps: clocks, chance, the world
    outside, sets whose order is taken, state that is shared, steps that are not awaited. What cannot be told by
    reading is not reported.

    A line with the comment `# sojourn: allow RULE (reason)` is allowed to break that rule. It ends with exit code 1
    if there are errors.

    Example:
      sojourn agent check risk_desk.toml
    """
    found: dict[Finding, None] = {}
    agents: dict[str, None] = {}
    files = set[Path]()
    for target in targets:
        folder, source, checked = _checked(target)
        files |= {folder / path for path in source}
        agents |= dict.fromkeys(checked.agents)
        for each in checked.findings:
            found[msgspec.structs.replace(each, path=str(folder / each.path))] = None
    counts = Counter(each.severity for each in found)
    run = CheckRun(
        agents=tuple(agents),
        files=len(files),
        errors=counts[Severity.ERROR],
        warnings=counts[Severity.WARNING],
        findings=tuple(found),
    )
    emit(run, as_json, _render)
    return _FOUND if run.errors else 0


def said(finding: Finding) -> str:
    """Return a finding as one line for people."""
    place = f"{clean(finding.path)}:{finding.line}:{finding.column}"
    return f"{place}: {finding.severity}, {finding.rule}: {clean(finding.what)}"


def said_instead(finding: Finding) -> str:
    """Return what to write instead, and how a replay comes there if that is not seen at once."""
    way = f" (by {' > '.join(finding.reached)})" if len(finding.reached) > 1 else ""
    return f"{finding.instead}{clean(way)}"


def _render(run: CheckRun) -> None:
    for finding in run.findings:
        say(said(finding))
        say(f"    {said_instead(finding)}")
    what = f"{counted(len(run.agents), 'agent')}, {counted(run.files, 'file')}"
    say(f"{what}: {counted(run.errors, 'error')}, {counted(run.warnings, 'warning')}")


def _checked(target: str) -> tuple[Path, Mapping[str, bytes], Checked]:
    """Return the folder and the files of what a target names, and what was found in them."""
    path = Path(target)
    if target and path.is_dir():
        folder, source, checked = _folder_checked(path)
    elif path.suffix == ".py":
        folder, source, checked = _file_checked(path)
    elif path.suffix == ".toml" or ":" not in target:
        entry = read_agent_file(path).agent.entry
        folder, source = path.parent, collect_source(entry, path.parent)
        checked = check_source(source, entry)
    else:
        folder, source = Path(), collect_source(target, Path())
        checked = check_source(source, target)
    if not checked.agents:
        problem = f"there is no agent in {target}: no class that is derived from sojourn.Agent"
        raise Misused(problem, remedy="Name the file that has one, or its class as module:Class")
    return folder, source, checked


def _file_checked(path: Path) -> tuple[Path, Mapping[str, bytes], Checked]:
    """Check the agents of one file, whose folder is taken for theirs."""
    if not path.is_file():
        raise Misused(f"there is no file {path}", remedy="Check the path")
    if not path.stem.isidentifier():
        problem = f"{path} has a name that no import can name"
        raise Misused(problem, remedy="Give it one such as desk.py")
    source = collect_source(f"{path.stem}:_", path.parent)
    return path.parent, source, check_source(source, path=path.name)


def _folder_checked(folder: Path) -> tuple[Path, Mapping[str, bytes], Checked]:
    """Check all agents whose files lie in a folder, or in packages there."""
    source: dict[str, bytes] = {}
    for module in _modules_in(folder):
        source |= collect_source(f"{module}:_", folder)
        if len(source) > SOURCE_FILES_MAX:
            problem = f"{folder} has more than {SOURCE_FILES_MAX} Python files"
            raise Misused(problem, remedy="Name the files of agents instead")
    return folder, source, check_source(source)


def _modules_in(folder: Path) -> Iterator[str]:
    for each in sorted(folder.iterdir()):
        is_module = each.suffix == ".py" and each.name != _PACKAGE and each.is_file()
        if each.stem.isidentifier() and (is_module or (each / _PACKAGE).is_file()):
            yield each.stem
