"""What is bound to a place is nowhere else: not on a disk, not on the way (protocol §10.10, §10.14).

Values that occur nowhere else, *canaries*, stand in compartments with a residency. Every byte that is sent to a
process, and every byte on a disk, is searched for them.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from sojourn.testing.checkers.verdict import Violation

__all__ = ["PREFIX", "Canaries"]

PREFIX: Final = b"CANARY-"
"""What every canary begins with, and nothing else holds."""
_PROMISE: Final = "nothing leaves its residency"


class Canaries:
    """Canaries with their residencies, and where they were seen.

    `jurisdictions` are those of each process, by its name; one that it does not name, a person's, may see anything.
    """

    def __init__(self, jurisdictions: Mapping[str, Collection[str]]) -> None:
        """Begin with none."""
        self._jurisdictions = jurisdictions
        self._residency: dict[bytes, frozenset[str]] = {}
        self._ends: dict[tuple[str, str], bytes] = {}
        self._lengths: tuple[int, ...] = (0,)
        """Those that canaries have, the longest last."""
        self.seen = 0
        self.violations: list[Violation] = []

    def add(self, canary: bytes, residency: Iterable[str]) -> None:
        """Watch for a canary, which may be in these jurisdictions and nowhere else."""
        assert canary.startswith(PREFIX), canary
        self._residency[canary] = frozenset(residency)
        self._lengths = tuple(sorted({*self._lengths, len(canary)}))

    def sent(self, source: str, target: str, data: bytes) -> None:
        """Look at what one process sent another; what it sent before may have ended with half a canary."""
        before = self._ends.get((source, target), b"")
        self._look(before + data, target, f"on its way from {source} to {target}", len(before))
        self._ends[source, target] = (before + data)[1 - self._lengths[-1] :]

    def stored(self, process: str, what: str, data: bytes) -> None:
        """Look at what is on a process's disk."""
        self._look(data, process, f"on the disk of {process}, in {what}", 0)

    def _look(self, data: bytes, process: str, where: str, old: int) -> None:
        if PREFIX not in data:
            return
        places = self._jurisdictions.get(process)
        for canary in self._found(data, old):
            self.seen += 1
            residency = self._residency[canary]
            if places is not None and not residency.intersection(places):
                bound = ", ".join(sorted(residency))
                problem = f"{canary.decode()}, bound to {bound}, is {where}"
                self.violations.append(Violation(_PROMISE, problem))

    def _found(self, data: bytes, old: int) -> dict[bytes, None]:
        """Return the canaries that end behind the first `old` bytes, each once, however many are watched for."""
        found: dict[bytes, None] = {}
        at = data.find(PREFIX)
        while at >= 0:
            for length in self._lengths:
                canary = data[at : at + length]
                if canary in self._residency and at + length > old:
                    found[canary] = None
            at = data.find(PREFIX, at + 1)
        return found
