"""What happened in a simulated world, in true time: plain facts, for a test to look at and for checkers to judge.

Times are milliseconds since the world began, by no process's clock.
"""

from dataclasses import dataclass
from typing import Any

from sojourn.core.agent.record import Fence

__all__ = ["Happening", "Performed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """A step was performed: its function was called, or what stands in for it.

    `key` is the effect key, None for a step without effect. `fence` is what its host held the agent under, and
    `in_lease` whether that host's lease held at this moment by its own clock (protocol §6).
    """

    at_ms: float
    zone: str
    process: str
    agent: bytes
    fence: Fence | None
    in_lease: bool
    step: str
    effect: str
    key: str | None
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that the world did to its processes, or that they did: killed, paused, cut, decided, complained."""

    at_ms: float
    process: str
    what: str

    def __str__(self) -> str:
        return f"{self.at_ms / 1000:10.3f} s  {self.process:<14}  {self.what}"
