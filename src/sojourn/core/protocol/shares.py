"""Which keys an anchor holds its share of, and which agents they are for (protocol §10.21).

A key's commitments stand in a record that anybody may read. So to name a key gives nobody a right to it: it is for
the agent that it was dealt for, and for those whose genesis this zone decided with it, which are that one and its
forks. What a record says later, and in another zone, makes no difference.
"""

from typing import Protocol

from sojourn.core.agent.memory.encryption import keys_of
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.protocol.custody import Chapter

__all__ = ["NoShares", "Shares", "was_born_with"]


class Shares(Protocol):
    """The shares that one anchor holds, by the names of their keys (32 bytes)."""

    def __contains__(self, key: object, /) -> bool:
        """Tell whether it holds its share of a key."""

    def is_dealt_for(self, key: bytes, agent: bytes) -> bool:
        """Tell whether its share of a key was given for that agent, which was to be launched."""

    def is_for(self, key: bytes, agent: bytes) -> bool:
        """Tell whether a key is that agent's: it was dealt for it, or its genesis was decided here with it."""


def was_born_with(key: bytes, first: Chapter, zone: bytes) -> bool:
    """Tell whether a chapter is an agent's first one, and its zone decided a genesis that names a key."""
    opened = first.opened
    is_birth = opened.transition.kind is TransitionKind.GENESIS
    if not is_birth or opened.certificate.slot.group != zone:
        return False
    return key in keys_of(c.encryption for c in opened.record.memory.compartments.values())


class NoShares:
    """What an anchor holds that was never given any."""

    def __contains__(self, key: object, /) -> bool:
        """Tell that it holds none."""
        return False

    def is_dealt_for(self, key: bytes, agent: bytes) -> bool:
        """Tell that it holds none."""
        return False

    def is_for(self, key: bytes, agent: bytes) -> bool:
        """Tell that it holds none."""
        return False
