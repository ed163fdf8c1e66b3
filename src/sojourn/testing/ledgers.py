"""The ledger of a rehearsal: what its steps with an effect did outside, as a receiver would keep it, by key."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.steps import Step, effect_key
from sojourn.runtime.typed import to_plain

__all__ = ["Entry", "Ledger"]


@dataclass(slots=True, kw_only=True)
class Entry:
    """What came under one effect key: how often it was begun, and how often that ended without raising."""

    key: str
    step: str
    effect: str
    arguments: tuple[Any, ...]
    begun: int = 0
    done: int = 0


class Ledger:
    """Every effect that was begun, by key, in the order in which the keys first came.

    A receiver applies what comes under one key once (protocol §10.3); so it counts keys and not calls.
    """

    def __init__(self) -> None:
        """Begin with nothing; steps are kept by name, and what stands in for them."""
        self._entries: dict[str, Entry] = {}
        self.stand_ins: dict[str, Callable[..., Any]] = {}

    @property
    def entries(self) -> list[Entry]:
        """All that came, one for each key."""
        return list(self._entries.values())

    def of(self, step: str) -> list[Entry]:
        """Return what came from one step."""
        return [entry for entry in self._entries.values() if entry.step == step]

    def count(self, step: str, *arguments: Any) -> int:
        """Return how often the effect of a step was had: with these arguments, if any are given."""
        had = (entry for entry in self.of(step) if entry.done)
        return sum(1 for entry in had if not arguments or entry.arguments == arguments)

    def counts(self, effect: str) -> Counter[str]:
        """Return how often each effect of a kind was had, by step and arguments, as builtins, as text."""
        had = (entry for entry in self._entries.values() if entry.done and entry.effect == effect)
        return Counter(f"{entry.step}{_plain(entry)!r}" for entry in had)

    # --- what a substrate tells it ---------------------------------------------------------------------

    def stand_in_of(self, step: str) -> Callable[..., Any] | None:
        """Return what is called instead of the step of that name, if anything is."""
        return self.stand_ins.get(step)

    def performing(self, agent: Agent, step: Step[..., Any], arguments: tuple[Any, ...]) -> None:
        """Take down that an effect is begun."""
        key = effect_key.get()
        if key is not None:
            entry = self._entries.setdefault(
                key, Entry(key=key, step=step.name, effect=step.effect, arguments=arguments)
            )
            entry.begun += 1

    def after_performing(
        self, agent: Agent, step: Step[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        """Take down that it was had."""
        key = effect_key.get()
        if key is not None:
            self._entries[key].done += 1


def _plain(entry: Entry) -> tuple[Any, ...]:
    """Return arguments as builtins: a set has its items in an order that is the same in every replay."""
    plain: Any = to_plain(entry.arguments, what="the arguments of a step")
    return tuple(plain)
