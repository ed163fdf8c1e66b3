"""What a check finds, and the rules by their names."""

from enum import StrEnum
from typing import Final

import msgspec

__all__ = ["RULES", "Finding", "Severity"]

RULES: Final = {
    "allow": "a comment that allows a rule says which, and why",
    "chance": "randomness is asked of ctx",
    "clock": "time is asked of ctx",
    "identity": "what differs from process to process decides nothing",
    "in-step": "a step works on its arguments alone",
    "not-awaited": "steps and what ctx does are awaited",
    "order": "what has no order is put in one",
    "outside": "the world outside is for steps",
    "repeated": "what may be done only once is not tried again blindly",
    "shared-state": "what must last is in ctx.memory",
    "swallowed": "a refusal or an uncertain outcome is dealt with",
    "turns": "what must survive a turn is in ctx.memory",
}
"""Each rule, and what it asks for. The names are what `# sojourn: allow` takes, and stay."""


class Severity(StrEnum):
    """Whether a replay may come out otherwise, or it is only likely to be meant otherwise."""

    ERROR = "error"
    WARNING = "warning"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One place in the source that breaks a rule.

    `path` is relative to the agent's folder; `line` and `column` count from 1. `what` says what is there, `instead`
    what to write. `reached` is how it comes to be executed: the method that it began in, and the functions from
    there to it.
    """

    path: str
    line: int
    column: int
    rule: str
    severity: Severity
    what: str
    instead: str
    reached: tuple[str, ...] = ()

    @property
    def is_error(self) -> bool:
        """Whether it is more than a warning."""
        return self.severity is Severity.ERROR
