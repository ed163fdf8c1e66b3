"""Where the source of an agent comes from that a test launches."""

import inspect
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.code import collect_source

__all__ = ["source_of"]


def source_of(agent: type[Agent] | str, folder: Path | None) -> tuple[Mapping[str, bytes], str]:
    """Return an agent's source files, by path, and its entry point.

    `agent` is a class of a module, or "module:Class" with the `folder` where that is. Raises `Misused` if its source
    cannot travel.
    """
    if isinstance(agent, str):
        if folder is None:
            raise Misused(f"where is {agent}?", remedy="Give the folder that its module is in")
        return collect_source(agent, folder), agent
    if "<locals>" in agent.__qualname__:
        raise Misused(
            f"{agent.__qualname__} is defined inside a function",
            remedy="Define it in a module: its source travels to the hosts",
        )
    file = Path(inspect.getfile(agent))
    entry = f"{file.stem}:{agent.__qualname__}"
    return _imported(entry, file.parent), entry


@cache
def _imported(entry: str, folder: Path) -> Mapping[str, bytes]:
    """Return the source of a class that was imported: it stays as it is, whatever becomes of its file."""
    return collect_source(entry, folder)
