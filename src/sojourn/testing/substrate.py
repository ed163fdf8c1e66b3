"""The substrate of simulated hosts: a loop for the agents, whose steps are watched, or stood in for."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Protocol

from sojourn.core.base.encoding import digest_of
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.code import forget_loaded, load_agent
from sojourn.runtime.agent_side.serving import Server
from sojourn.runtime.agent_side.steps import Step
from sojourn.runtime.ports import Channel, LogSink, Mode
from sojourn.substrates.local import AgentsSide, LocalSubstrate
from sojourn.testing.agents_loop import AgentsLoop, Pool
from sojourn.testing.life import Life

__all__ = ["Load", "SimulatedSubstrate", "Watch", "watched"]

Load = Callable[[str, Mapping[str, bytes]], type[Agent]]


class Watch(Protocol):
    """Is told of every step that a host begins to perform, and says what stands in for it."""

    def stand_in_of(self, step: str) -> Callable[..., Any] | None:
        """Return what is called instead of the step of that name, if anything is."""

    def performing(self, agent: Agent, step: "Step[..., Any]", arguments: tuple[Any, ...]) -> None:
        """Take note that a step is being performed now. Raises for a process that has ended."""

    def after_performing(
        self, agent: Agent, step: "Step[..., Any]", arguments: tuple[Any, ...]
    ) -> None:
        """Take note that it was performed, just now; nothing of it is journaled yet."""


class SimulatedSubstrate(LocalSubstrate):
    """Runs all agents of a host inside its process, also those that want one of their own.

    That keeps no agent's crash apart from the host's, which is no matter of the protocol.
    """

    def __init__(self, life: Life, watch: Watch, load: Load = load_agent) -> None:
        """Run agents in this life; `load` finds an agent's class."""
        super().__init__()
        self._life, self._watch, self._load = life, watch, load

    async def start(
        self, source: Mapping[str, bytes], entry: str, mode: Mode, *, log: LogSink
    ) -> Channel:
        """Load an agent's code, and return the line to it."""
        return await super().start(source, entry, "inside", log=log)

    def _begin_agents(self) -> AgentsSide:
        return _Side(self._life, self._watch, self._load)


class _Side:
    """The loop of a host's agents, and the code that is loaded there."""

    def __init__(self, life: Life, watch: Watch, load: Load) -> None:
        machine = life.machine
        self.loop = AgentsLoop(machine.timeline, machine.clock, life.complain)  # type: ignore[abstract]
        life.add_loop(self.loop)
        self._pool = Pool(self.loop, machine.chance.random)
        self._watch, self._load_form = watch, load
        self._forms: dict[tuple[str, bytes], type[Agent]] = {}

    def server(self, transmit: Callable[[bytes], None], now_ms: Callable[[], int]) -> Server:
        """Return what serves one agent's line."""
        return Server(transmit, self._pool, now_ms=now_ms, load=self._load, wait=self.loop.wait_for)

    async def close(self) -> None:
        """Leave it to the end of the process."""

    def _load(self, entry: str, source: Mapping[str, bytes]) -> type[Agent]:
        """Return an agent's class with its steps watched; each host has modules of its own."""
        key = (entry, digest_of(dict(source)))
        if key not in self._forms:
            forget_loaded()
            self._forms[key] = watched(self._load_form(entry, source), self._watch)
        return self._forms[key]


def watched(form: type[Agent], watch: Watch) -> type[Agent]:
    """Return a class like an agent's whose steps tell `watch` when they are performed."""
    found = {name: inspect.getattr_static(form, name) for name in dir(form)}
    steps = {n: _watched(step, watch) for n, step in found.items() if isinstance(step, Step)}
    names = {"__module__": form.__module__, "__qualname__": form.__qualname__}
    return type(form.__name__, (form,), {**names, **steps})


def _watched(step: "Step[..., Any]", watch: Watch) -> "Step[..., Any]":
    stand_in = watch.stand_in_of(step.name)
    is_async = step.is_async or inspect.iscoroutinefunction(stand_in)
    function = step.function if stand_in is None else _of_any_agent(stand_in)

    @wraps(step.function)
    def perform(agent: Agent, *args: Any, **kwargs: Any) -> Any:
        arguments = (*args, *kwargs.values())
        watch.performing(agent, step, arguments)
        result = function(agent, *args, **kwargs)
        watch.after_performing(agent, step, arguments)
        return result

    @wraps(step.function)
    async def perform_async(agent: Agent, *args: Any, **kwargs: Any) -> Any:
        arguments = (*args, *kwargs.values())
        watch.performing(agent, step, arguments)
        result = function(agent, *args, **kwargs)
        if inspect.isawaitable(result):
            result = await result
        watch.after_performing(agent, step, arguments)
        return result

    made = step.performed_by(perform_async if is_async else perform)
    made.is_async = is_async
    return made


def _of_any_agent(stand_in: Callable[..., Any]) -> Callable[..., Any]:
    def call(_agent: Agent, *args: Any, **kwargs: Any) -> Any:
        return stand_in(*args, **kwargs)

    return call
