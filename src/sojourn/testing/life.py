"""A simulated machine, and the life of a process on it: from its start until it ends, or is killed.

A process is the loops its callbacks run on: one for itself and, on a host, one for its agents. Whatever comes
to it from outside is posted, in the process's own context, which holds its machine's clocks.
"""

import asyncio
import contextvars
import random
from collections.abc import Callable
from typing import Any

from sojourn.runtime.processes import clock
from sojourn.testing.clocks import MachineClock
from sojourn.testing.loop import Complaints, ProcessLoop, new_loop
from sojourn.testing.timeline import Timeline

__all__ = ["Life", "Machine", "current"]

current: contextvars.ContextVar["Life | None"] = contextvars.ContextVar("life", default=None)
"""The process whose callback is running; None outside all of them."""


class Machine:
    """What outlives a process: a name, clocks, chance, and whether there is power."""

    def __init__(self, name: str, timeline: Timeline, seed: str, drift: float = 0.0) -> None:
        """Be a machine that is on. `seed` is what its chance comes from."""
        self.name, self.timeline = name, timeline
        self.chance = random.Random(f"{seed}/{name}")  # noqa: S311 (it is to be the same in every run)
        self.clock = MachineClock(timeline, self.chance, drift)
        self.is_off = False

    def __repr__(self) -> str:
        return self.name

    def note(self, what: str) -> None:
        """Take note of something that happened to it."""


class Life:
    """One process, while it lives."""

    def __init__(self, machine: Machine, complain: Complaints) -> None:
        """Begin; `complain` gets what nobody in the process caught."""
        self.machine = machine
        self.has_ended = False
        self.is_paused = False
        self.main: asyncio.Task[None] | None = None
        """What the process does first and last; kept here, for a loop keeps no task alive."""
        self.complain = complain
        self.context = contextvars.Context()
        self.context.run(clock.given.set, machine.clock)
        self.context.run(current.set, self)
        self.loop = new_loop(machine.timeline, machine.clock, complain)
        self._loops: list[ProcessLoop] = [self.loop]

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.machine.name

    def add_loop(self, loop: ProcessLoop) -> None:
        """Let a loop run for as long as this process does."""
        self._loops.append(loop)
        if self.is_paused:
            loop.hold_up()
        if self.has_ended:
            loop.end()

    def post(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Let something happen to the process from outside, in its turn; nothing if it has ended."""
        if not self.has_ended:
            self.loop.call_soon(callback, *arguments, context=self.context.copy())

    def pause(self) -> None:
        """Stand still; clocks and timers go on."""
        self.is_paused = True
        for loop in self._loops:
            loop.hold_up()

    def resume(self) -> None:
        """Go on."""
        self.is_paused = False
        for loop in self._loops:
            loop.let_go()

    def end(self) -> None:
        """Never run again. What is unwound on the way has no effect on anything."""
        if self.has_ended:
            return
        self.has_ended = True
        for loop in self._loops:
            loop.end()
        self.machine.timeline.after_turn(self._bury)

    def _bury(self) -> None:
        for loop in self._loops:
            self.context.copy().run(loop.bury)
