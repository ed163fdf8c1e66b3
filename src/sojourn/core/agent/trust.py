"""Trust: how much an agent relies on a place, apart from what it is permitted to do there.

An agent trusts issuers; issuers endorse zones, for operations, up to a level, for a time, and may let the
endorsed endorse further to a bounded depth. Counted events only ever lower the result, by a public rule
(`core.agent.events`). The receiver recomputes a level from signed endorsements; it never believes one.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Annotated

from msgspec import Meta

from sojourn.core.agent.events import LEVEL_MAX, OTHERS, Events, events_of, levels_lost
from sojourn.core.base.encoding import Count, Digest, Name, PublicKey, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import ENDORSEMENT_DEPTH_MAX, EVENTS_MAX, RELATIONSHIPS_MAX
from sojourn.core.base.seals import Kind, Role, Seal, check_seal

__all__ = [
    "Endorsement",
    "SignedEndorsement",
    "Trust",
    "TrustFinding",
    "TrustedIssuer",
    "is_vouched_for",
    "judge",
    "vouchers",
]

Level = Annotated[int, Meta(ge=0, le=LEVEL_MAX)]
"""0 is none; 10 is the most. What a level allows is the agent's own `minimum`."""
Operations = Annotated[tuple[Name, ...], Meta(max_length=64)]
Zone = Annotated[str, Meta(pattern=f"^([0-9a-f]{{64}}|{OTHERS})$")]
"""A zone's identifier in hexadecimal, or `OTHERS`."""


class TrustedIssuer(Value):
    """An issuer the agent relies on: up to which level, how long a chain it may start, for what, until when.

    An empty `operations` means all; without `not_after_ms` (milliseconds since 1970) it is relied on for good.
    """

    name: Name
    key: PublicKey
    level: Level = LEVEL_MAX
    depth: Annotated[int, Meta(ge=1, le=ENDORSEMENT_DEPTH_MAX)] = 1
    operations: Operations = ()
    not_after_ms: Count | None = None

    def vouches(self, operation: str | None, now_ms: int) -> bool:
        """Tell whether it is relied on for an operation, or for any at all, at `now_ms`."""
        is_over = self.not_after_ms is not None and now_ms >= self.not_after_ms
        return not is_over and _is_for(self.operations, operation)


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
    """The field: trusted issuers, the level each operation needs, and counted events by zone.

    `minimum` gives the level an operation needs; an operation that is not listed needs 1. `events` are what went
    wrong with a zone, by its identifier in hexadecimal, or `OTHERS`.
    """

    issuers: Annotated[tuple[TrustedIssuer, ...], Meta(max_length=RELATIONSHIPS_MAX)] = ()
    minimum: Annotated[dict[Name, Level], Meta(max_length=64)] = {}
    events: Annotated[dict[Zone, Events], Meta(max_length=EVENTS_MAX)] = {}


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
    best chain counts; what is counted against the subject then lowers it.
    """
    level, chain, issuer = _best_chain(trust, subject, operation, endorsements, now_ms)
    needed = trust.minimum.get(operation, 1)
    events = events_of(trust.events, subject)
    lowered = max(0, level - levels_lost(events))
    if not chain:
        reason = f"no issuer I know endorses this place for {operation}"
    elif lowered < level:
        reason = f"{issuer} endorses it at level {level}, lowered by {events.describe()}"
    else:
        reason = f"{issuer} endorses it at level {level}"
    return TrustFinding(
        operation=operation, level=lowered, needed=needed, reason=reason, chain=chain
    )


def is_vouched_for(
    trust: Trust, subject: bytes, endorsements: Iterable[SignedEndorsement], now_ms: int
) -> bool:
    """Tell whether the agent relies, for anything at all, on someone who vouches for `subject` at `now_ms`."""
    return bool(vouchers(trust, subject, endorsements, now_ms))


def vouchers(
    trust: Trust, subject: bytes, endorsements: Iterable[SignedEndorsement], now_ms: int
) -> tuple[SignedEndorsement, ...]:
    """Return the endorsements by which the agent relies on `subject` for anything at all, in order; or none."""
    known = list(endorsements)
    _, chain, _ = _best_chain(trust, subject, None, known, now_ms)
    named = {digest_of(signed.endorsement): signed for signed in known}
    return tuple(named[link] for link in chain)


def _is_for(operations: tuple[str, ...], operation: str | None) -> bool:
    return operation is None or not operations or operation in operations


_Reach = tuple[int, tuple[bytes, ...]]
"""A level, and the digests of the endorsements it was reached by."""


def _best_chain(
    trust: Trust,
    subject: bytes,
    operation: str | None,
    endorsements: Iterable[SignedEndorsement],
    now_ms: int,
) -> tuple[int, tuple[bytes, ...], str]:
    """Return the best chain to a subject for an operation (None: any): its level, its links, who starts it."""
    issued: dict[bytes, list[Endorsement]] = {}
    for item in (signed.endorsement for signed in endorsements):
        if item.not_before_ms <= now_ms < item.not_after_ms and _is_for(item.operations, operation):
            issued.setdefault(item.issuer, []).append(item)

    @cache
    def links(key: bytes) -> list[tuple[Endorsement, bytes]]:
        return [(item, digest_of(item)) for item in issued.get(key, ())]

    relied_on = (issuer for issuer in trust.issuers if issuer.vouches(operation, now_ms))
    roots = sorted(relied_on, key=lambda issuer: issuer.key)
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
