"""Slips: what an anchor has to know of an agent at rest when it starts, without reading its dossier (ADR 0053).

slip         agent                      Slip

A zone may have a hundred thousand agents that sleep, and to read all of their dossiers takes an anchor half a minute.
A slip is written in one commit with the dossier that it is of, and names it by the mark of its row, which the store
holds against its chain without reading the dossier. It decides nothing: where there is none, or one of another
dossier, the dossier itself is read.

Agents at rest are those to whom nothing is owed before they wake, as far as their dossier says, and that have never
been in another zone: of these the one chapter of custody stands in the dossier.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from sojourn.core.agent.eligibility import ENDED, Status
from sojourn.core.agent.record import Fence
from sojourn.core.base.encoding import Count, Digest, PublicKey, Value, encode
from sojourn.core.protocol.applying import is_behind
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier, zones_of
from sojourn.runtime.store import Change, Delete, Put, Store, row_mark

__all__ = ["ANY_HOST", "Common", "Slip", "Want", "agents_with_slips", "slip_changes", "want_of"]

ANY_HOST: Final = b""
_FIRST_TERM: Final = 0
_PAGE: Final = 128
"""Rows read at once."""


class Want(NamedTuple):
    """The host that an agent wants, or `ANY_HOST`; its fence, None if it is to arrive; and from when on.

    `from_ms` is wall time; 0 for an agent that does not sleep.
    """

    host: bytes
    fence: Fence | None
    from_ms: int = 0


class Common(Value, tag_field="kind", tag="slip-common/1"):
    """What many agents have in common: the zones that prove where they are, what rules them, and whom they trust.

    `zone` is where they are, `issuer` whose they are, `documents` name their policies, those that rule first.
    """

    zone: Digest
    zones: tuple[Digest, ...]
    issuer: Digest
    documents: tuple[Digest, ...]
    trusted: tuple[PublicKey, ...]


class Slip(Value, tag_field="kind", tag="slip/1"):
    """What an anchor has to know of one agent at rest when it starts.

    `dossier` is the mark of the dossier's row, `common` an encoded `Common`. If time wakes the agent, `wakes_ms`
    is when (ms since 1970); `host` is the one that it is bound to. `counters` are the numbers of the votes behind
    its head, by anchor, in the committee of `epoch`.
    """

    dossier: Digest
    common: bytes
    term: Count
    binding: Count
    host: PublicKey | None = None
    wakes_ms: Count | None = None
    epoch: Count = 0
    counters: tuple[tuple[Count, Count], ...] = ()
    ancestors: tuple[Digest, ...] = ()

    def want(self) -> Want | None:
        """Return the host that the agent wants, and from when on; None if no time wakes it."""
        if self.wakes_ms is None:
            return None
        return Want(self.host or ANY_HOST, (self.term, self.binding), self.wakes_ms)


def want_of(dossier: Dossier, zone: bytes) -> Want | None:
    """Return the host that an agent wants in `zone`; None if it wants none."""
    if dossier.arrival is not None:
        return Want(dossier.arrival.arrive.visa.terms.host, None)
    head = dossier.head
    if head is None or head.record.custody.zone != zone:
        return None
    eligibility, custody = head.record.eligibility, head.record.custody
    if not eligibility.is_acting:
        return None
    from_ms = 0
    if eligibility.status is Status.DORMANT:
        times = [wake.at_ms for wake in eligibility.wake if wake.at_ms is not None]
        if not times:
            return None
        from_ms = min(times)
    return Want(custody.host or ANY_HOST, custody.fence, from_ms)


def slip_changes(before: Dossier | None, after: Dossier, row: bytes) -> list[Change]:
    """Return what keeps the slip of a dossier that is written as `row`; None before if it is not known what was."""
    head = _head_at_rest(after)
    if head is not None:
        return [Put("slip", after.agent, encode(_slip(after, head, row)))]
    is_left = before is None or _head_at_rest(before) is not None
    return [Delete("slip", after.agent)] if is_left else []


def agents_with_slips(
    store: Store, read: Callable[[bytes], Slip]
) -> Iterator[tuple[bytes, Slip | None]]:
    """Yield each agent, and the slip that is of its very dossier, if there is one. No dossier is read."""
    after = b""
    while marks := store.marks("dossier", after=after, limit=_PAGE):
        kept = dict(store.scan("slip", after=after, limit=_PAGE))
        for agent, mark in marks:
            slip = read(kept[agent]) if agent in kept else None
            yield agent, slip if slip is not None and slip.dossier == mark else None
        after = marks[-1][0]


def _head_at_rest(dossier: Dossier) -> Certified | None:
    """Return the head of an agent to whom nothing is owed before it wakes; None if there may be something."""
    head, chapter = dossier.head, dossier.chapter
    is_open = dossier.open is not None or dossier.application is not None
    if head is None or chapter is None or is_open or dossier.arrival is not None:
        return None
    status = head.record.eligibility.status
    is_away = status is Status.DEPARTED and dossier.onward is not None
    if not (status is Status.DORMANT or status in ENDED or is_away) or is_behind(dossier):
        return None
    terms = (head.record.custody.term, chapter.opened.record.custody.term)
    return head if terms == (_FIRST_TERM, _FIRST_TERM) else None


def _slip(dossier: Dossier, head: Certified, row: bytes) -> Slip:
    record = head.record
    custody, governance = record.custody, record.governance
    common = Common(
        zone=custody.zone,
        zones=tuple(sorted(zones_of(dossier))),
        issuer=governance.issuer,
        documents=governance.named,
        trusted=tuple(issuer.key for issuer in record.trust.issuers),
    )
    want, slot = want_of(dossier, custody.zone), head.certificate.slot
    is_own = slot.group == custody.zone
    return Slip(
        dossier=row_mark("dossier", dossier.agent, row),
        common=encode(common),
        term=custody.term,
        binding=custody.binding,
        host=custody.host,
        wakes_ms=want.from_ms if want is not None else None,
        epoch=slot.epoch,
        counters=tuple((v.anchor, v.counter) for v in head.certificate.votes) if is_own else (),
        ancestors=tuple(each.agent for each in record.eligibility.ancestors),
    )
