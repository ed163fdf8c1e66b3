"""The tree of errors, split by whose fault it is.

    SojournError
    ├── Rejected      theirs: bytes that are malformed, forged, or not what they claim to be
    ├── Denied        a policy says no
    │   └── BudgetExhausted    a budget of the agent's does not hold what is needed
    ├── Refused       a zone or a host declines; recorded, not an accident
    ├── Misused       the user's: a file, setting or argument is wrong; always says what to do
    └── Failed        the world broke
        ├── Unreachable    nobody answers
        └── StoreFailed    storage lies or is full: the process that owns it must stop

Every message says what was wrong, with what value, and what to do. Agent authors raise two of their
own, `RetryableError` and `TerminalError`, which live with the runtime.
"""

from typing import ClassVar


class SojournError(Exception):
    """The root of every error Sojourn raises on purpose.

    `problem` says what was wrong and with what value; `remedy`, where there is one, what to do.
    """

    code: ClassVar[str] = "error"

    def __init__(self, problem: str, *, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}. {self.remedy}" if self.remedy else self.problem


class Rejected(SojournError):
    """Bytes from outside are malformed or forged, or are not what they claim to be.

    `reason` is a stable slug (the golden files name it); `where` is the path to the offending part,
    such as `certificate.votes[2].seal`.
    """

    code = "rejected"

    def __init__(self, problem: str, *, reason: str, where: str = "", remedy: str = "") -> None:
        super().__init__(problem, remedy=remedy)
        self.reason = reason
        self.where = where

    def __str__(self) -> str:
        place = f" (at {self.where})" if self.where else ""
        return f"{self.reason}: {super().__str__()}{place}"


class Denied(SojournError):
    """A policy says no: the agent's, an ancestor's or the zone's."""

    code = "denied"


class BudgetExhausted(Denied):
    """A budget of the agent's does not hold what an act needs: nothing was done, and nothing is spent."""

    code = "budget-exhausted"


class Refused(SojournError):
    """A zone or a host declines. A refusal is a valid, recorded outcome."""

    code = "refused"


class Misused(SojournError):
    """The caller's file, setting or argument is wrong. The remedy says what to do about it."""

    code = "misused"


class Failed(SojournError):
    """The world broke: neither party is at fault."""

    code = "failed"


class Unreachable(Failed):
    """A peer does not answer, or the connection to it broke."""

    code = "unreachable"


class StoreFailed(Failed):
    """Storage failed or lied. The process that owns the store must stop (protocol §13)."""

    code = "store-failed"
