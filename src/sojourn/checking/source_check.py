"""The door: an agent's source in, findings out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sojourn.checking.allowing import allowed, faulty_comments
from sojourn.checking.catching import repeated_steps, swallowed_errors
from sojourn.checking.findings import Finding
from sojourn.checking.meaning import Frame
from sojourn.checking.order import unordered_uses
from sojourn.checking.reach import agents_in, replayed, stepped
from sojourn.checking.shared import shared_writes, steps_leavings
from sojourn.checking.sources import Sources, parse_sources
from sojourn.checking.steps import held_in_steps, never_awaited
from sojourn.checking.turns import lost_in_turns
from sojourn.checking.using import hazards_used

__all__ = ["Checked", "check_source"]


@dataclass(frozen=True)
class Checked:
    """What was checked, and what was found, by file and line. `agents` are entry points, "module:Class"."""

    agents: tuple[str, ...]
    findings: tuple[Finding, ...]


def check_source(source: Mapping[str, bytes], entry: str = "", *, path: str = "") -> Checked:
    """Return what a replay of the agents in these source files could not repeat.

    `source` are files by relative path, as `collect_source` has them. `entry` ("module:Class") is the agent that is
    meant, if one is: its class need not be seen to be an agent. With `path` only the agents in that file are meant.
    Nothing is imported or run. Raises `Misused` for a file that is no Python, and for an entry that is not there.
    """
    sources = parse_sources(source)
    agents = [form for form in agents_in(sources, entry) if path in {"", form.module.path}]
    found = _found(sources, replayed(sources, agents), stepped(sources, agents))
    silent = allowed(sources.modules.values())
    kept: dict[tuple[str, int, int, str, str], Finding] = {}
    for each in found:
        if (each.path, each.line, each.rule) not in silent:
            kept.setdefault((each.path, each.line, each.column, each.rule, each.what), each)
    return Checked(
        agents=tuple(f"{form.module.name}:{form.name}" for form in agents),
        findings=tuple(kept[place] for place in sorted(kept)),
    )


def _found(sources: Sources, run: list[Frame], steps: list[Frame]) -> Iterator[Finding]:
    for frame in run:
        yield from hazards_used(frame)
        yield from unordered_uses(frame)
        yield from shared_writes(frame)
        yield from never_awaited(frame)
        yield from swallowed_errors(frame)
        yield from repeated_steps(frame)
        yield from lost_in_turns(frame)
    yield from steps_leavings(run, steps)
    yield from held_in_steps(run, steps)
    yield from faulty_comments(sources.modules.values())
