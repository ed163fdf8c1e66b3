"""The code of an agent that is rehearsed: as files of a folder, or as a class that a test has at hand.

Its children are found as at a launch: in the same code. Of a class that is the modules which it was defined in and
took from; and, of one that is defined inside a function, the classes that its own methods name.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.code import entry_of, load_agent
from sojourn.runtime.agent_side.steps import Step
from sojourn.testing.source import source_of
from sojourn.testing.substrate import Load

__all__ = ["agent_of", "files_of", "relatives"]


def agent_of(
    agent: type[Agent] | str, folder: Path | None
) -> tuple[Mapping[str, bytes], str, Load]:
    """Return an agent's source, its entry, and what loads it. Raises `Misused` for what is no agent."""
    if isinstance(agent, str):
        return *source_of(agent, folder), load_agent
    given: Any = agent  # whatever a test has passed
    if not (isinstance(given, type) and issubclass(given, Agent) and hasattr(given, "run")):
        problem = f"{agent!r} is no agent"
        raise Misused(problem, remedy="Give a class derived from sojourn.Agent that has a run")
    return {}, entry_of(agent), lambda entry, _source: _loaded(agent, entry)


def _loaded(agent: type[Agent], entry: str) -> type[Agent]:
    """Return the class with an entry in the code of a class. Raises `Misused` if there is none."""
    if entry == entry_of(agent):
        return agent
    module, _, name = entry.partition(":")
    known = {entry_of(each): each for each in relatives(agent)}
    stems = {each.rpartition(".")[2]: form for each, form in known.items()}
    here = sys.modules.get(module)
    found = known.get(entry) or getattr(here, name, None) or stems.get(entry)
    if not (isinstance(found, type) and issubclass(found, Agent)):
        problem = f"{agent.__qualname__} has a child {entry!r}, which is no agent in its code"
        raise Misused(
            problem,
            remedy='Give ctx.spawn a class of its module, or "module:Class" as at a launch; '
            "or rehearse all of its code: rehearse('module:Class', folder=...)",
        )
    if not hasattr(found, "run"):
        raise Misused(f"{entry} has no run", remedy="Write: async def run(self, ctx): ...")
    return found


def relatives(agent: type[Agent]) -> list[type[Agent]]:
    """Return the agents that can be seen from an agent's code, itself first: those that it may have as children."""
    found, todo = dict[type[Agent], None](), [agent]
    while todo:
        each = todo.pop(0)
        if each not in found:
            found[each] = None
            todo += [form for form in _named_by(each) if form is not Agent]
    return list(found)


def files_of(agent: type[Agent]) -> frozenset[str]:
    """Return the files that an agent's code is in, as its frames name them."""
    modules = (sys.modules.get(each.__module__) for each in relatives(agent))
    return frozenset(str(getattr(module, "__file__", "")) for module in modules if module)


def _named_by(agent: type[Agent]) -> Iterator[type[Agent]]:
    """Yield the agents in the namespace of a class, and those that its methods have from around them."""
    module = sys.modules.get(agent.__module__)
    seen: list[Any] = list(vars(module).values()) if module is not None else []
    for base in agent.__mro__:
        for item in vars(base).values():
            function = item.function if isinstance(item, Step) else item
            if isinstance(function, FunctionType):
                seen += [cell.cell_contents for cell in function.__closure__ or () if _is_set(cell)]
    for item in seen:
        if isinstance(item, type) and issubclass(item, Agent):
            yield item


def _is_set(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 (it raises if there is nothing)
    except ValueError:
        return False
    return True
