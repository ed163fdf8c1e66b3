"""Strangers: what is told of by whoever likes, and of no use here yet: each teller has a share of the room.

Worth decides what takes a stranger's place (protocol §11.1); among strangers, who is known already stays.
"""

from collections import Counter

__all__ = ["Strangers"]


class Strangers:
    """Statements of no use here yet, the newest last, and by whom each was told (None: known here before)."""

    def __init__(self) -> None:
        """Know of none."""
        self._told: dict[bytes, bytes | None] = {}
        self._shares: Counter[bytes | None] = Counter()

    def add(self, named: bytes, teller: bytes | None) -> None:
        """Take in one more, in its teller's share."""
        self._told[named] = teller
        self._shares[teller] += 1

    def discard(self, named: bytes) -> None:
        """Let go of one, if it is a stranger's; its teller has that room again."""
        if named in self._told:
            self._shares -= Counter((self._told.pop(named),))

    def share_of(self, teller: bytes | None) -> int:
        """Return how many there are of one teller."""
        return self._shares[teller]

    def newest(self) -> bytes | None:
        """Return the one that goes first where there is no room."""
        return next(reversed(self._told), None)

    def names(self) -> list[bytes]:
        """Return all of them, the newest last."""
        return list(self._told)

    def __copy__(self) -> "Strangers":
        twin = Strangers()
        twin._told, twin._shares = dict(self._told), Counter(self._shares)
        return twin
