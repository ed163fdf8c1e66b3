"""Watching steps: who performed what, when and under which lease, and what stands in for a step."""

from collections.abc import Callable
from typing import Any

from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.steps import Step, effect_key
from sojourn.testing.facts import Performed
from sojourn.testing.life import Life, current
from sojourn.testing.processes import HostProcess

__all__ = ["Watching"]

Action = Callable[[Performed], object]


class _Ended(BaseException):
    """A step began in a process that has ended: it has no effect on the world."""


class Watching:
    """The world's `Watch`."""

    def __init__(self) -> None:
        """Begin with nothing performed."""
        self.performed: list[Performed] = []
        self.stand_ins: dict[str, Callable[..., Any]] = {}
        self._actions: list[tuple[str, bool, Action]] = []

    def at_step(self, step: str, action: Action, *, before: bool) -> None:
        """Do something whenever a step of that name was performed, or is about to be."""
        self._actions.append((step, before, action))

    def stand_in_of(self, step: str) -> Callable[..., Any] | None:
        """Return what is called instead of the step of that name."""
        return self.stand_ins.get(step)

    def performing(self, agent: Agent, step: Step[..., Any], arguments: tuple[Any, ...]) -> None:
        """Take note that a step is performed now."""
        life = _living()
        fact = _fact(life, agent, step, arguments)
        self._call(life, fact, before=True)
        if life.has_ended:
            raise _Ended
        self.performed.append(fact)
        if step.effect != "none":
            life.machine.note(f"performs {step.name} under {fact.key}")

    def after_performing(
        self, agent: Agent, step: Step[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        """Take note that a step was performed just now."""
        life = _living()
        self._call(life, _fact(life, agent, step, arguments), before=False)

    def _call(self, life: Life, fact: Performed, *, before: bool) -> None:
        for step, is_before, action in list(self._actions):
            if step == fact.step and is_before is before:
                try:
                    action(fact)
                except Exception as error:  # the step would be tried again, and the test not know
                    life.complain(f"what was to be done at step {step} failed", error)
                    raise


def _living() -> Life:
    life = current.get()
    if life is None or life.has_ended:
        raise _Ended
    return life


def _fact(life: Life, agent: Agent, step: Step[..., Any], arguments: tuple[Any, ...]) -> Performed:
    assert agent._session is not None
    identifier = agent._session.agent_id
    process = life.machine
    assert isinstance(process, HostProcess)
    assert process.host is not None
    leases = process.host.leases
    fence = leases.fence_of(identifier)
    return Performed(
        at_ms=process.timeline.now_ms,
        zone=process.name.partition("/")[0],
        process=process.name,
        agent=identifier,
        fence=fence,
        in_lease=fence is not None and leases.is_held(identifier, fence),
        step=step.name,
        effect=step.effect,
        key=effect_key.get(),
        arguments=arguments,
    )
