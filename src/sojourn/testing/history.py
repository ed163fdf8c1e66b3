"""What happened in a simulated run, as plain facts in true time: what checkers judge by.

A simulator writes facts down as they happen, of the honest and of liars alike; it judges nothing. Times are
milliseconds of the simulation's own time, which no process sees.
"""

from collections.abc import Set
from typing import NamedTuple

from sojourn.core.agent.record import Fence
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.letters import Letter
from sojourn.core.protocol.messages import Proposal
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.votes import Vote

__all__ = ["Acted", "Applied", "Cast", "History", "Kept", "Performed", "Stood"]


class Cast(NamedTuple):
    """An anchor signed a vote, and its answer left."""

    at_ms: float
    vote: Vote
    is_honest: bool


class Applied(NamedTuple):
    """An anchor wrote down a decision as its own. `is_honest` tells whether it follows the protocol."""

    at_ms: float
    zone: bytes
    anchor: int
    certified: Certified
    is_honest: bool


class Performed(NamedTuple):
    """An effect happened in the world: a host performed it, with this key, for an agent under this fence."""

    at_ms: float
    zone: bytes
    host: bytes
    agent: bytes
    fence: Fence
    key: str
    is_honest: bool


class Acted(NamedTuple):
    """A host had an agent do the next thing under this fence, with its lease held as far as it knew."""

    at_ms: float
    agent: bytes
    fence: Fence
    is_honest: bool


class Kept(NamedTuple):
    """An anchor keeps a letter, for the agent that it is for."""

    at_ms: float
    zone: bytes
    anchor: int
    letter: Letter
    is_honest: bool


class Stood(NamedTuple):
    """How an honest anchor stood at the end: the newest head it knows of an agent, and what it can prove."""

    zone: bytes
    anchor: int
    agent: bytes
    head: Certified | None
    is_proved: bool
    blocks: Set[bytes]
    """The names of the blocks it stores."""


class History:
    """The facts of one run, each kind in the order of time."""

    __slots__ = (
        "acted",
        "applied",
        "cast",
        "certificates",
        "kept",
        "performed",
        "proposals",
        "stood",
    )

    def __init__(self) -> None:
        """Begin with none."""
        self.cast: list[Cast] = []
        self.applied: list[Applied] = []
        self.performed: list[Performed] = []
        self.acted: list[Acted] = []
        self.stood: list[Stood] = []
        self.kept: list[Kept] = []
        self.certificates: dict[bytes, Certificate] = {}
        """Lock certificates by digest: what the justification of a vote may name."""
        self.proposals: dict[bytes, Proposal] = {}
        """What was proposed, by the value that votes name."""
