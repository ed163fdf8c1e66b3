"""Edicts: what officers publish, and how it comes to wherever the agents are with nobody carrying it there.

They are orders, documents that take the place of others (`successors`), word of which is newest (`heads`), and
what may not be relied on any more (`revocations`).
An order given to any anchor anywhere is told on by gossip (protocol §11). An anchor where the agent is proposes it
itself, and until it is carried out votes for nothing that the agent does (protocol §8.8).

What an order proves depends on who looks: only the documents of the agent's record say who its officers are. So

    here      the agent is here, and enough of its officers sealed it: always taken
    proved    so they did by the documents of an agent that was here: it takes a stranger's place
    strange   nothing is known of the agent, or its officers may have changed since: each teller has a share
    false     the agent is here, and its officers did not seal it: passed over. Whoever told of it could not know
    over      an order of its matter issued since was carried out, or the agent has ended; and it binds no child

Whatever it is, its seals must be those of the keys that they name: what is not is rejected on sight.

Source: Demers et al., "Epidemic algorithms for replicated database maintenance" (1987); protocol §8, §11.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from enum import IntEnum
from typing import Final, NamedTuple

from sojourn.core.agent.ancestry import BINDING, carried_out_about, ordered_ms_of
from sojourn.core.agent.eligibility import ENDED, Status
from sojourn.core.agent.governance import Document, Matter
from sojourn.core.agent.orders import Order, SignedOrder, carried_out_on
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import (
    CLOCK_SKEW_MS,
    ORDER_BYTES_MAX,
    ORDER_LEFT_MS_MAX,
    ORDER_LEFT_MS_MIN,
    ORDERS_MAX,
    ORDERS_PER_AGENT_MAX,
    STRANGE_ORDERS_MAX,
)
from sojourn.core.protocol.heads import KnownHeads
from sojourn.core.protocol.revocations import KnownRevocations
from sojourn.core.protocol.strangers import Strangers
from sojourn.core.protocol.successors import KnownSuccessors

__all__ = ["Examined", "KnownEdicts", "Standing", "standing_of"]


class Standing(IntEnum):
    """What an order is worth here; what is worth more is told first."""

    HERE = 0
    PROVED = 1
    STRANGE = 2
    FALSE = 3
    OVER = 4


_KEPT: Final = frozenset({Standing.HERE, Standing.PROVED, Standing.STRANGE})


class Examined(NamedTuple):
    """An order that is news, the digest of all its bytes, and what it is worth."""

    named: bytes
    signed: SignedOrder
    standing: Standing


Judge = Callable[[SignedOrder], Standing]
"""Tells what an order is worth where it is told: `standing_of`, with what is known there of the agent."""


def standing_of(
    signed: SignedOrder,
    record: AgentRecord | None,
    documents: Mapping[bytes, Document],
    zone: bytes,
) -> Standing:
    """Return what an order is worth in a zone whose newest record of the agent is `record`.

    Or, where the agent never was, of one that descends from it: both have the same officers. What was carried out on
    an agent that has children is kept, for it binds them wherever they are.
    """
    if record is None:
        return Standing.STRANGE
    if record.agent_id != signed.order.agent:
        is_proved = _is_sealed(signed, record, documents)
        return Standing.PROVED if is_proved else Standing.STRANGE
    is_here = record.custody.zone == zone and record.eligibility.status is not Status.DEPARTED
    ordered_ms = record.governance.last_ordered_ms(signed.order.matter)
    is_late = signed.order.issued_ms <= ordered_ms
    if is_late or record.eligibility.status in ENDED:
        is_binding = signed.order.act in BINDING and record.eligibility.children > 0
        is_kept = is_binding and _is_sealed(signed, record, documents)
        return Standing.PROVED if is_kept else Standing.OVER
    first = _first(record, documents)
    if first is None:
        return Standing.STRANGE
    try:
        signed.check_officers(first)
    except Rejected:
        return Standing.FALSE if is_here else Standing.STRANGE
    return Standing.HERE if is_here else Standing.PROVED


def _is_sealed(
    signed: SignedOrder, record: AgentRecord, documents: Mapping[bytes, Document]
) -> bool:
    """Tell whether enough officers of an agent's first document, which is stored here, sealed an order."""
    first = _first(record, documents)
    if first is None:
        return False
    try:
        signed.check_officers(first)
    except Rejected:
        return False
    return True


def _check_due(order: Order, record: AgentRecord) -> None:
    """Raise `Rejected` if an order changes nothing: of the agent, or of one that descends from whom it is about."""
    if order.agent == record.agent_id:
        carried_out_on(order.act, record.eligibility, record.trust, order.grants)
        order.erased_from(record.memory)
        order.check_upgradable(record.capabilities)
    else:
        carried_out_about(order.act, record.eligibility, order.agent, order.issued_ms)


def _first(record: AgentRecord, documents: Mapping[bytes, Document]) -> Document | None:
    """Return an agent's first document, which says who may order it about, if that is stored here."""
    try:
        return documents[record.governance.documents[0]]
    except (KeyError, Rejected):
        return None


class KnownEdicts:
    """The orders that an anchor knows, each under the digest of all its bytes, seals too; and the other edicts.

    A copy with a seal taken away or added is another statement: else it would keep out the one that holds.
    """

    def __init__(self) -> None:
        """Know of none."""
        self.successors, self.heads = KnownSuccessors(), KnownHeads()
        self.revocations = KnownRevocations()
        self._orders: dict[bytes, SignedOrder] = {}
        self._standing: dict[bytes, Standing] = {}
        self._about: dict[bytes, set[bytes]] = {}
        self._counts: Counter[Standing] = Counter()
        self._strangers = Strangers()
        self._over: dict[bytes, int] = {}

    # --- what is known --------------------------------------------------------------------------------

    def names(self) -> Set[bytes]:
        """Return the digests of the orders known here."""
        return self._orders.keys()

    def about(self, agent: bytes) -> list[SignedOrder]:
        """Return the orders known about an agent, oldest first."""
        named = self._about.get(agent, ())
        return [self._orders[each] for each in sorted(named, key=self._age)]

    def _age(self, named: bytes) -> tuple[int, bytes]:
        return self._orders[named].order.issued_ms, named

    def _worth(self, named: bytes) -> tuple[bool, int, bytes]:
        return *_worth_of(self._orders[named]), named

    def next_for(
        self,
        record: AgentRecord,
        documents: Mapping[bytes, Document],
        at_ms: int,
        counts: Callable[[SignedOrder], bool] = lambda _: True,
    ) -> SignedOrder | None:
        """Return the order that is to be carried out on an agent next, if any: just what its zone would vote for.

        `counts` tells of one that holds whether it was sealed by who may still be relied on here.

        It is the oldest that holds and changes something: a later one of its matter would void it. An order about an
        agent that it descends from is carried out on it as well (protocol §8.13).
        """
        family = (*(each.agent for each in record.eligibility.ancestors), record.agent_id)
        known = [each for each in family if each in self._about]
        first = _first(record, documents) if known else None
        if first is None:
            return None
        about = [named for each in known for named in self._about[each]]
        for signed in (self._orders[named] for named in sorted(about, key=self._age)):
            try:
                ordered_ms = ordered_ms_of(record, signed.order.agent, signed.order.matter) or 0
                signed.check(first, ordered_ms=ordered_ms, at_ms=at_ms)
                _check_due(signed.order, record)
            except Rejected:
                continue
            if counts(signed):
                return signed
        return None

    # --- learning -------------------------------------------------------------------------------------

    def examine(
        self, orders: Iterable[SignedOrder], now_ms: int, teller: bytes | None, judge: Judge
    ) -> list[Examined]:
        """Return those that are news and that there is room for; nothing changes before they are taken.

        `teller` has a share of the room for strangers; None for what was known here before. Raises `Rejected` for
        a false one: too large, or with a seal that is not of the key it names.
        """
        found: dict[bytes, Examined] = {}
        strange = self._strangers.share_of(teller)
        for signed in orders:
            named = digest_of(signed)
            if named in self._orders or named in self._over or named in found:
                continue
            if not _is_current(signed, now_ms):
                continue
            check_size(signed)
            standing = judge(signed)
            if standing is Standing.STRANGE:
                is_brief = teller is not None and not _is_worth_carrying(signed, now_ms)
                if is_brief or (teller is not None and strange >= STRANGE_ORDERS_MAX):
                    continue
                strange += 1
            if standing in (Standing.STRANGE, Standing.FALSE):
                signed.check_seals()
            if standing is not Standing.FALSE:
                found[named] = Examined(named, signed, standing)
        return list(found.values())

    def take(self, examined: Iterable[Examined], teller: bytes | None) -> list[SignedOrder]:
        """Take in what was examined just before; return what there was room for, and is to be told on."""
        for each in examined:
            if each.standing is Standing.OVER:
                self._note_over(each.named, each.signed)
            elif self._has_room(each):
                self._add(each)
                if each.standing is Standing.STRANGE:
                    self._strangers.add(each.named, teller)
        return [each.signed for each in examined if each.named in self._orders]

    def _add(self, each: Examined) -> None:
        self._orders[each.named], self._standing[each.named] = each.signed, each.standing
        self._about.setdefault(each.signed.order.agent, set()).add(each.named)
        self._counts[each.standing] += 1

    def _has_room(self, new: Examined) -> bool:
        """Make room for one more if it is of worth; tell if there is any.

        About an agent the newest of each matter count: a later order voids those before it. Delegates' give way to
        the issuer's own first: else who was revoked since could keep these out.
        """
        if new.standing is not Standing.STRANGE:
            proved = self._proved_of(new.signed.order.agent, new.signed.order.matter)
            if len(proved) >= ORDERS_PER_AGENT_MAX:
                least = min(proved, key=self._worth)
                if self._worth(least)[:2] >= _worth_of(new.signed):
                    return False
                self._forget(least)
        elsewhere = len(self._orders) - self._counts[Standing.HERE]
        if new.standing is Standing.HERE or elsewhere < ORDERS_MAX:
            return True
        victim = self._strangers.newest() if new.standing is Standing.PROVED else None
        if victim is None:
            return False
        self._forget(victim)
        return True

    def _proved_of(self, agent: bytes, matter: Matter) -> list[bytes]:
        """Return the orders of one matter about an agent that somebody here knows to hold."""
        return [
            named
            for named in self._about.get(agent, ())
            if self._orders[named].order.matter is matter
            and self._standing[named] is not Standing.STRANGE
        ]

    # --- letting go -----------------------------------------------------------------------------------

    def settle(self, agent: bytes, judge: Judge) -> None:
        """Look again at what is known about an agent, which has changed: what is of no use any more goes."""
        for named in tuple(self._about.get(agent, ())):
            signed, standing = self._orders[named], judge(self._orders[named])
            if standing not in _KEPT:
                self._forget(named)
                if standing is Standing.OVER:
                    self._note_over(named, signed)
            elif standing is not Standing.STRANGE:  # what was proved once stays so
                self._counts[self._standing[named]] -= 1
                self._counts[standing] += 1
                self._standing[named] = standing
                self._strangers.discard(named)

    def expire(self, now_ms: int) -> None:
        """Let go of what may not be carried out any more."""
        for named in [n for n, s in self._orders.items() if s.ends_ms <= now_ms]:
            self._forget(named)
        self._over = {named: ends for named, ends in self._over.items() if ends > now_ms}

    def _forget(self, named: bytes) -> None:
        agent = self._orders.pop(named).order.agent
        self._counts[self._standing.pop(named)] -= 1
        self._strangers.discard(named)
        self._about[agent].discard(named)
        if not self._about[agent]:
            del self._about[agent]

    def _note_over(self, named: bytes, signed: SignedOrder) -> None:
        """Remember that an order is over for as long as others may tell of it: so they need not."""
        self._over[named] = signed.ends_ms
        if len(self._over) > ORDERS_MAX:
            del self._over[next(iter(self._over))]

    # --- telling --------------------------------------------------------------------------------------

    def summary(self) -> tuple[bytes, ...]:
        """Return what is known, by name, with what is over: as much as a summary has room for."""
        return tuple(sorted({*self._orders, *self._over}))[: 2 * ORDERS_MAX]

    def lacking_in(self, known: Sequence[bytes]) -> tuple[SignedOrder, ...]:
        """Return what is not known to whoever sent a summary: what is of worth first, and of that the oldest."""
        lacking = self._orders.keys() - set(known)
        told = sorted(lacking, key=lambda named: (self._standing[named], *self._age(named)))
        return tuple(self._orders[named] for named in told)


def _worth_of(signed: SignedOrder) -> tuple[bool, int]:
    """Return what tells of two orders of a matter which is to be kept: the issuer's own, and the newer."""
    return signed.mandate is None, signed.order.issued_ms


def check_size(signed: SignedOrder) -> None:
    """Raise `Rejected` for an order that is too large to be told of."""
    size = len(encode(signed))
    if size > ORDER_BYTES_MAX:
        problem = f"it has {size} bytes, more than the limit of {ORDER_BYTES_MAX}"
        raise Rejected(problem, reason="too-large", where="orders")


def _is_current(signed: SignedOrder, now_ms: int) -> bool:
    return signed.order.issued_ms - CLOCK_SKEW_MS <= now_ms < signed.ends_ms


def _is_worth_carrying(signed: SignedOrder, now_ms: int) -> bool:
    """Tell whether an order about an agent that nobody knows here may still reach it, and does not stay for ever."""
    left_ms = signed.ends_ms - now_ms
    return ORDER_LEFT_MS_MIN <= left_ms <= ORDER_LEFT_MS_MAX
