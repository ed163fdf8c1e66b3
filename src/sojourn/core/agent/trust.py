"""Trust: how much an agent relies on a place, apart from what it is permitted to do there.

An agent trusts issuers; issuers endorse zones, for operations, up to a level, for a time, and may let the
endorsed endorse further to a bounded depth. Counted events only ever lower the result, by a public rule
(`core.agent.events`). The receiver recomputes a level from signed endorsements; it never believes one.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Final, NamedTuple, TypeAlias, overload

from msgspec import Meta

from sojourn.core.agent.events import LEVEL_MAX, OTHERS, Events, events_of, levels_lost
from sojourn.core.base.encoding import Count, Digest, Name, PublicKey, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import ENDORSEMENT_DEPTH_MAX, EVENTS_MAX, RELATIONSHIPS_MAX
from sojourn.core.base.seals import Kind, Role, Seal, check_seal

__all__ = [
    "Endorsement",
    "EndorsementChain",
    "Endorsements",
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
_CHAINS_REMEMBERED: Final = 4096
_ALWAYS_MS: Final = (0, 2**63)
"""All times there are: from the first on, and until before the last."""


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
    best chain counts; what is counted against the subject then lowers it. Of `Endorsements` the chain is remembered;
    what is counted, and what is needed, never is.
    """
    best = _as_one(endorsements).best(trust.issuers, subject, operation, now_ms)
    needed = trust.minimum.get(operation, 1)
    events = events_of(trust.events, subject)
    lowered = max(0, best.level - levels_lost(events))
    if not best.names:
        reason = f"no issuer I know endorses this place for {operation}"
    elif lowered < best.level:
        reason = f"{best.issuer} endorses it at level {best.level}, lowered by {events.describe()}"
    else:
        reason = f"{best.issuer} endorses it at level {best.level}"
    return TrustFinding(
        operation=operation, level=lowered, needed=needed, reason=reason, chain=best.names
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
    return _as_one(endorsements).best(trust.issuers, subject, None, now_ms).links


class EndorsementChain(NamedTuple):
    """The best chain to a subject, who starts it, and when it is the best: from one time on, until before another."""

    level: int
    names: tuple[bytes, ...]
    links: tuple[SignedEndorsement, ...]
    issuer: str
    from_ms: int
    until_ms: int


_Question: TypeAlias = tuple[tuple[TrustedIssuer, ...], bytes, str | None]
"""Issuers relied on, a subject, and an operation, or None for any: all that a chain depends on beside the time."""


class Endorsements(Sequence[SignedEndorsement]):
    """Endorsements whose seals were checked, as one value that never changes, and whom they vouch for.

    A chain that was found is remembered together with the span of time in which the search finds it again: the
    clock matters to it only by what begins or ends at a time. Nothing else can make it wrong, since whoever learns
    or drops an endorsement has another value, which remembers nothing. Not for use from several threads at once.
    """

    def __init__(self, known: Iterable[SignedEndorsement] = ()) -> None:
        self._known = tuple(known)
        self._found: OrderedDict[_Question, EndorsementChain] = OrderedDict()
        self._issued: dict[tuple[bytes, bytes | None], list[SignedEndorsement]] | None = None

    @overload
    def __getitem__(self, index: int) -> SignedEndorsement: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[SignedEndorsement, ...]: ...
    def __getitem__(self, index: int | slice) -> SignedEndorsement | tuple[SignedEndorsement, ...]:
        return self._known[index]

    def __iter__(self) -> Iterator[SignedEndorsement]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def best(
        self,
        issuers: tuple[TrustedIssuer, ...],
        subject: bytes,
        operation: str | None,
        now_ms: int,
    ) -> EndorsementChain:
        """Return the best chain from one of `issuers` to a subject for an operation (None: any) at `now_ms`."""
        question = (issuers, subject, operation)
        chain = self._found.get(question)
        if chain is None or not chain.from_ms <= now_ms < chain.until_ms:
            chain = self._found[question] = self._search(question, _Clock(now_ms))
        self._found.move_to_end(question)
        if len(self._found) > _CHAINS_REMEMBERED:
            self._found.popitem(last=False)
        return chain

    def _search(self, question: _Question, clock: "_Clock") -> EndorsementChain:
        issuers, subject, operation = question
        by_name: dict[bytes, SignedEndorsement] = {}

        @cache
        def links(key: bytes) -> list[tuple[Endorsement, bytes]]:
            current = [
                (signed.endorsement, digest_of(signed.endorsement), signed)
                for signed in self._leading(key, subject)
                if _is_for(signed.endorsement.operations, operation)
                and clock.is_within(
                    signed.endorsement.not_before_ms, signed.endorsement.not_after_ms
                )
            ]
            by_name.update((name, signed) for _, name, signed in current)
            return [(item, name) for item, name, _ in current]

        roots = sorted(_relied_on(issuers, operation, clock), key=lambda issuer: issuer.key)
        found = [(_best_from(root, subject, links), root.name) for root in roots]
        best, issuer = min(found, key=lambda one: _order(one[0]), default=((0, ()), ""))
        level, names = best
        vouching = tuple(by_name[name] for name in names)
        return EndorsementChain(level, names, vouching, issuer, clock.from_ms, clock.until_ms)

    def _leading(self, issuer: bytes, subject: bytes) -> list[SignedEndorsement]:
        """Return an issuer's endorsements that may lead to a subject: of it, or of others who may endorse further."""
        if self._issued is None:
            self._issued = {}
            for signed in self._known:
                item = signed.endorsement
                end = None if item.depth else item.subject
                self._issued.setdefault((item.issuer, end), []).append(signed)
        further = self._issued.get((issuer, None), [])
        return [*further, *self._issued.get((issuer, subject), ())]


class _Clock:
    """A time, and the span around it in which all that was asked of it has the same answers."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self.from_ms, self.until_ms = _ALWAYS_MS

    def is_within(self, from_ms: int, until_ms: int) -> bool:
        """Tell whether the time is at or after one, and before another."""
        for bound in (from_ms, until_ms):
            if bound <= self._now_ms:
                self.from_ms = max(self.from_ms, bound)
            else:
                self.until_ms = min(self.until_ms, bound)
        return from_ms <= self._now_ms < until_ms


def _as_one(endorsements: Iterable[SignedEndorsement]) -> Endorsements:
    return endorsements if isinstance(endorsements, Endorsements) else Endorsements(endorsements)


def _relied_on(
    issuers: Iterable[TrustedIssuer], operation: str | None, clock: _Clock
) -> Iterator[TrustedIssuer]:
    """Yield the issuers that are relied on for an operation, or for any at all, at a time."""
    first_ms, last_ms = _ALWAYS_MS
    for issuer in issuers:
        ends_ms = last_ms if issuer.not_after_ms is None else issuer.not_after_ms
        if _is_for(issuer.operations, operation) and clock.is_within(first_ms, ends_ms):
            yield issuer


def _is_for(operations: tuple[str, ...], operation: str | None) -> bool:
    return operation is None or not operations or operation in operations


_Reach = tuple[int, tuple[bytes, ...]]
"""A level, and the digests of the endorsements it was reached by."""


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
