"""A committee of n anchors, at most f of them faulty, and the arithmetic of its quorums.

With n >= 3f+1 and q = n - f, two quorums share at least 2q - n = n - 2f >= f+1 anchors, so at least one
correct one; and the n - f correct anchors are a quorum by themselves. "2f+1" is that number only where
n = 3f+1, and is unsafe elsewhere (protocol §0): it appears nowhere in this code.
"""

from typing import Annotated

from msgspec import Meta

from sojourn.core.base.encoding import Count, Digest, PublicKey, Value
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import ANCHORS_MAX

__all__ = ["Committee"]


class Committee(Value):
    """The vote keys of one zone in one epoch, by anchor index, and f."""

    zone: Digest
    epoch: Count
    vote_keys: Annotated[tuple[PublicKey, ...], Meta(max_length=ANCHORS_MAX)]
    f: Count

    @property
    def n(self) -> int:
        """How many anchors there are."""
        return len(self.vote_keys)

    @property
    def quorum(self) -> int:
        """How many distinct anchors must agree: q = n - f."""
        return self.n - self.f

    @property
    def honest_witness(self) -> int:
        """How many distinct anchors hold at least one correct one: f + 1."""
        return self.f + 1

    def check(self) -> None:
        """Raise `Rejected` unless n >= 3f+1, n is within limits and the keys are distinct."""
        if not 1 <= self.n <= ANCHORS_MAX:
            problem = f"a committee has {self.n} anchors; 1 to {ANCHORS_MAX} are allowed"
            raise Rejected(problem, reason="bad-committee", where="committee")
        if self.n < 3 * self.f + 1:
            problem = f"{self.n} anchors cannot tolerate f={self.f}: n >= 3f+1 is needed"
            raise Rejected(problem, reason="bad-committee", where="committee.f")
        if len(set(self.vote_keys)) != self.n:
            raise Rejected(
                "two anchors share a vote key", reason="bad-committee", where="committee"
            )

    def describe(self) -> str:
        """Return, for people, how much loss this committee stands."""
        return f"{self.n} anchors, any {self.f} may fail or lie, {self.quorum} decide"
