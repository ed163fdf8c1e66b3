"""What a checker says: which promise did not hold, and of what."""

from typing import NamedTuple

__all__ = ["Violation"]


class Violation(NamedTuple):
    """A promise that did not hold: its name, and a sentence with the values that show it."""

    promise: str
    problem: str
    agent: bytes | None = None
    """The agent concerned, if it is one,"""
    version: int | None = None
    """and its version, if it is one."""

    def __str__(self) -> str:
        return f"{self.promise}: {self.problem}"
