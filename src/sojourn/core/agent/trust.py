"""Trust: how much an agent relies on a place, apart from what it is permitted to do there.

An agent trusts issuers; issuers endorse zones, for operations, up to a level, for a time, and may let the
endorsed endorse further to a bounded depth. Counted events only ever lower the result. The receiver
recomputes a level from signed endorsements; it never believes one.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
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
    "TrustFinding",
    "TrustedIssuer",
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


_Reach = tuple[int, tuple[bytes, ...]]
"""A level, and the digests of the endorsements it was reached by."""


def _best_chain(
    trust: Trust, subject: bytes, live: list[Endorsement]
) -> tuple[int, tuple[bytes, ...], str]:
    issued: dict[bytes, list[Endorsement]] = {}
    for item in live:
        issued.setdefault(item.issuer, []).append(item)

    @cache
    def links(key: bytes) -> list[tuple[Endorsement, bytes]]:
        return [(item, digest_of(item)) for item in issued.get(key, ())]

    roots = sorted(trust.issuers, key=lambda issuer: issuer.key)
    found = [(_best_from(root, subject, links), root.name) for root in roots]
    (level, chain), name = min(found, key=lambda one: _order(one[0]), default=((0, ()), ""))
    return level, chain, name


def _best_from(
    root: TrustedIssuer,
    subject: bytes,
    links: Callable[[bytes], Iterable[tuple[Endorsement, bytes]]],
) -> _Reach:
    """Return the best chain from one issuer, in whatever order its links are given.

    Chains grow one link at a time, all of them together. Of those that end at the same key with the same depth
    left only the best goes on, and only if none reached that key as high before: the work is bounded by the
    number of endorsements, not by that of the paths through them.
    """
    best: _Reach = (0, ())
    highest: dict[bytes, list[int]] = {}
    ends: dict[tuple[bytes, int], _Reach] = {(root.key, root.depth): (root.level, ())}
    while ends:
        longer: dict[tuple[bytes, int], _Reach] = {}
        for (key, depth), (level, chain) in ends.items():
            for item, named in links(key):
                reach = (min(level, item.level), (*chain, named))
                if item.subject == subject:
                    best = min(best, reach, key=_order)
                further = min(depth - 1, item.depth)
                if further > 0:
                    end = (item.subject, further)
                    longer[end] = min(longer.get(end, reach), reach, key=_order)
        ends = _rising(longer, highest)
    return best


def _order(reach: _Reach) -> tuple[int, int, tuple[bytes, ...]]:
    """Sort the highest level first, then the shortest chain, then by digests."""
    level, chain = reach
    return (-level, len(chain), chain)


def _rising(
    ends: Mapping[tuple[bytes, int], _Reach], highest: dict[bytes, list[int]]
) -> dict[tuple[bytes, int], _Reach]:
    """Return the ends that lie above all before them with at least that depth left; note them."""
    rising: dict[tuple[bytes, int], _Reach] = {}
    for (key, depth), reach in sorted(ends.items(), key=lambda end: -end[0][1]):
        levels = highest.setdefault(key, [0] * (ENDORSEMENT_DEPTH_MAX + 1))
        if reach[0] > levels[depth]:
            rising[key, depth] = reach
            levels[: depth + 1] = [max(reach[0], level) for level in levels[: depth + 1]]
    return rising


def check_events(old: Mapping[str, int], new: Mapping[str, int]) -> None:
    """Raise `Rejected` unless every counted event is still counted: events only ever lower trust."""
    for subject, count in old.items():
        if new.get(subject, 0) < count:
            problem = f"counted events against {subject[:16]} fell from {count}"
            raise Rejected(problem, reason="bad-change", where="trust.events")
