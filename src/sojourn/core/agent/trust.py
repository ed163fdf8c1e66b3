"""Trust: how much an agent relies on a place, apart from what it is permitted to do there.

An agent trusts issuers; issuers endorse zones, for operations, up to a level, for a time, and may let the
endorsed endorse further to a bounded depth. Counted events only ever lower the result. The receiver
recomputes a level from signed endorsements; it never believes one.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated

from msgspec import Meta

from sojourn.core.base.encoding import Count, Digest, Name, PublicKey, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import ENDORSEMENT_DEPTH_MAX, RELATIONSHIPS_MAX
from sojourn.core.base.seals import Kind, Role, Seal, check_seal

__all__ = [
    "Endorsement",
    "SignedEndorsement",
    "Trust",
    "TrustedIssuer",
    "TrustFinding",
    "check_events",
    "judge",
]

Level = Annotated[int, Meta(ge=0, le=10)]
"""0 is none; 10 is the most. What a level allows is the agent's own `minimum`."""
Operations = Annotated[tuple[Name, ...], Meta(max_length=64)]


class TrustedIssuer(Value):
    """An issuer the agent relies on: up to which level, and how long a chain it may start."""

    name: Name
    key: PublicKey
    level: Level = 10
    depth: Annotated[int, Meta(ge=1, le=ENDORSEMENT_DEPTH_MAX)] = 1


class Endorsement(Value, tag_field="kind", tag="endorsement/1"):
    """An issuer's statement about a subject: a zone's identifier, or another issuer's key.

    An empty `operations` means all. `depth` is how many further endorsements may hang below this one.
    """

    issuer: PublicKey
    subject: Digest
    level: Level
    not_before_ms: Count
    not_after_ms: Count
    operations: Operations = ()
    depth: Annotated[int, Meta(ge=0, le=ENDORSEMENT_DEPTH_MAX)] = 0


class SignedEndorsement(Value, tag_field="kind", tag="signed-endorsement/1"):
    """An endorsement with its issuer's seal."""

    endorsement: Endorsement
    seal: Seal

    def check(self, *, where: str = "endorsement") -> None:
        """Raise `Rejected` unless the issuer it names sealed it."""
        if self.seal.signer != self.endorsement.issuer:
            raise Rejected("sealed by another key", reason="wrong-key", where=where)
        check_seal(
            Kind.ENDORSEMENT, Role.ISSUER, digest_of(self.endorsement), self.seal, where=where
        )


class Trust(Value):
    """The field: trusted issuers, the level each operation needs, and counted events by subject.

    `minimum` gives the level an operation needs; an operation that is not listed needs 1. An event is
    something that went wrong with a subject (a zone's hex identifier); each lowers its level by one.
    """

    issuers: Annotated[tuple[TrustedIssuer, ...], Meta(max_length=RELATIONSHIPS_MAX)] = ()
    minimum: Annotated[dict[Name, Level], Meta(max_length=64)] = {}
    events: Annotated[dict[Name, Count], Meta(max_length=RELATIONSHIPS_MAX)] = {}


class TrustFinding(Value):
    """The level found for one subject and operation, the level needed, and why."""

    operation: Name
    level: Level
    needed: Level
    reason: str
    chain: tuple[Digest, ...] = ()

    @property
    def is_enough(self) -> bool:
        """Whether the level found reaches the level needed."""
        return self.level >= self.needed


def judge(
    trust: Trust,
    subject: bytes,
    operation: str,
    endorsements: Iterable[SignedEndorsement],
    now_ms: int,
) -> TrustFinding:
    """Return how far the agent trusts `subject` for `operation` at `now_ms`.

    `endorsements` are ones whose seals the caller has checked. A chain's level is the least along it; the
    best chain counts; every counted event against the subject then lowers it by one.
    """
    live = [
        item.endorsement
        for item in endorsements
        if item.endorsement.not_before_ms <= now_ms < item.endorsement.not_after_ms
        and (not item.endorsement.operations or operation in item.endorsement.operations)
    ]
    level, chain, issuer = _best_chain(trust, subject, live)
    needed = trust.minimum.get(operation, 1)
    events = trust.events.get(subject.hex(), 0)
    lowered = max(0, level - events)
    if not chain:
        reason = f"no issuer I know endorses this place for {operation}"
    elif events:
        reason = f"{issuer} endorses it at level {level}, lowered by {events} counted events"
    else:
        reason = f"{issuer} endorses it at level {level}"
    return TrustFinding(
        operation=operation, level=lowered, needed=needed, reason=reason, chain=chain
    )


def _best_chain(
    trust: Trust, subject: bytes, live: list[Endorsement]
) -> tuple[int, tuple[bytes, ...], str]:
    best: tuple[int, tuple[bytes, ...], str] = (0, (), "")
    for root in sorted(trust.issuers, key=lambda issuer: issuer.key):
        frontier: list[tuple[bytes, int, int, tuple[bytes, ...]]] = [
            (root.key, root.level, root.depth, ())
        ]
        while frontier:
            key, level, depth, chain = frontier.pop()
            for item in live:
                if item.issuer != key or digest_of(item) in chain:
                    continue
                reached = min(level, item.level)
                longer = (*chain, digest_of(item))
                if item.subject == subject:
                    best = max(best, (reached, longer, root.name), key=lambda found: found[0])
                further = min(depth - 1, item.depth)
                if further > 0:
                    frontier.append((item.subject, reached, further, longer))
    return best


def check_events(old: Mapping[str, int], new: Mapping[str, int]) -> None:
    """Raise `Rejected` unless every counted event is still counted: events only ever lower trust."""
    for subject, count in old.items():
        if new.get(subject, 0) < count:
            problem = f"counted events against {subject[:16]} fell from {count}"
            raise Rejected(problem, reason="bad-change", where="trust.events")
