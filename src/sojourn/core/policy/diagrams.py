"""Decision diagrams: functions of many small choices, each kept once.

A diagram is a function from choices to a value: a number that names either a value or a choice with
a diagram for each of its alternatives. Choices are met in one order, equal parts are one part, and a
choice that makes no difference is left out; so equal functions are equal numbers, and whether a
function ever has a value is a walk to it. (Bryant, "Graph-Based Algorithms for Boolean Function
Manipulation", 1986; with more than two alternatives and values: Bahar and others, 1993.)
"""

from collections.abc import Callable, Hashable
from typing import Final, NamedTuple

__all__ = ["Diagram", "Diagrams", "TooLarge"]

Diagram = int
"""Names a diagram, among those of one `Diagrams`."""

_CHOICES_MAX: Final = 400
"""How many choices one function may depend on: it is walked by recursion."""


class TooLarge(Exception):
    """More steps or choices than were allowed."""


class _Part(NamedTuple):
    """A choice, by its place in the order, and what each alternative leads to; or a value."""

    choice: int
    then: tuple[Diagram, ...]


_VALUE: Final = 1 << 60
"""Stands for the choice of a value: after all choices."""


class Diagrams:
    """Diagrams that share their parts, made in at most `steps_max` steps.

    `steps` counts those that were taken: alternatives of choices that a function was applied to.
    """

    def __init__(self, steps_max: int) -> None:
        self._steps_max = steps_max
        self.steps = 0
        self._parts: list[_Part] = []
        self._values: list[Hashable] = []
        self._found: dict[Hashable, Diagram] = {}
        self._applied: dict[tuple[Hashable, ...], Diagram] = {}
        self._choices = 0

    def choice(self, count: int) -> int:
        """Return a new choice of so many alternatives, the last in the order; raises `TooLarge`."""
        self._choices += 1
        if self._choices > _CHOICES_MAX:
            raise TooLarge(f"{_CHOICES_MAX} choices")
        assert count > 0
        return self._choices - 1

    def constant(self, value: Hashable) -> Diagram:
        """Return the function that always has this value. True is not 1 here."""
        key = (type(value), value)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._keep(_Part(_VALUE, ()), value)
        return found

    def of(self, choice: int, then: tuple[Diagram, ...]) -> Diagram:
        """Return the function that is `then[i]` for alternative i of a choice before theirs."""
        if all(each == then[0] for each in then):
            return then[0]
        part = _Part(choice, then)
        found = self._found.get(part)
        if found is None:
            found = self._found[part] = self._keep(part, None)
        return found

    def apply(
        self, function: Callable[..., Hashable], *diagrams: Diagram, by: Hashable = None
    ) -> Diagram:
        """Return the function whose value is `function` of theirs.

        `by` names the function for the memory of what was applied; without it, it is itself.
        """
        key = (function if by is None else by, *diagrams)
        found = self._applied.get(key)
        if found is not None:
            return found
        parts = [self._parts[each] for each in diagrams]
        first = min(part.choice for part in parts)
        if first == _VALUE:
            made = self.constant(function(*(self._values[each] for each in diagrams)))
        else:
            then = []
            # A loop, so that each choice takes one frame of the stack and no more.
            for operands in self._split(first, parts, diagrams):
                then.append(self.apply(function, *operands, by=by))  # noqa: PERF401
            made = self.of(first, tuple(then))
        self._applied[key] = made
        return made

    def values(self, diagram: Diagram) -> list[Hashable]:
        """Return all values that a function can have, in a fixed order."""
        seen: dict[Diagram, None] = {}
        pending = [diagram]
        while pending:
            each = pending.pop()
            if each not in seen:
                seen[each] = None
                pending.extend(reversed(self._parts[each].then))
        return [self._values[each] for each in seen if not self._parts[each].then]

    def way(self, diagram: Diagram, value: Hashable) -> dict[int, int] | None:
        """Return choices that lead to a value, by place, without those that do not matter.

        None if the function never has it. The first alternatives are preferred.
        """
        dead: set[Diagram] = set()
        return self._way(diagram, self.constant(value), dead)

    def _way(self, diagram: Diagram, goal: Diagram, dead: set[Diagram]) -> dict[int, int] | None:
        if diagram == goal:
            return {}
        for alternative, then in enumerate(self._parts[diagram].then):
            if then not in dead:
                way = self._way(then, goal, dead)
                if way is not None:
                    return {self._parts[diagram].choice: alternative} | way
        dead.add(diagram)
        return None

    def _split(
        self, choice: int, parts: list[_Part], diagrams: tuple[Diagram, ...]
    ) -> list[tuple[Diagram, ...]]:
        """Return what the diagrams lead to, for each alternative of their first choice."""
        count = next(len(part.then) for part in parts if part.choice == choice)
        self.steps += count
        if self.steps > self._steps_max:
            raise TooLarge(f"{self._steps_max} steps on decision diagrams")
        return [
            tuple(
                part.then[alternative] if part.choice == choice else each
                for part, each in zip(parts, diagrams, strict=True)
            )
            for alternative in range(count)
        ]

    def _keep(self, part: _Part, value: Hashable) -> Diagram:
        self._parts.append(part)
        self._values.append(value)
        return len(self._parts) - 1
