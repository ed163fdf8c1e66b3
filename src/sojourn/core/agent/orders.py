"""Orders: what an agent's officers may have done to it, whoever its custodian is, and what each leads to.

Officers sign an order, never a parent digest that the agent's next step would outrun (protocol §2). Whoever comes
by it may carry it to the agent's zone, once: a record remembers when the newest order of each matter that was
carried out was issued, and no older one of that matter is carried out after it. So nobody who kept a suspension can
repeat it after the agent has been resumed; and a resumption does not void a quarantine that comes late.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sojourn.core.agent.capabilities import Capabilities, OrderedUpgrade, Upgrade
from sojourn.core.agent.delegation import Mandate, Power
from sojourn.core.agent.eligibility import ACTING, Budget, Eligibility, Status
from sojourn.core.agent.events import forgiven
from sojourn.core.agent.governance import Document, Matter, acting_under
from sojourn.core.agent.memory.encryption import Keys
from sojourn.core.agent.memory.field import Memory, erased
from sojourn.core.agent.officers import Officers, check_sealed, check_threshold
from sojourn.core.agent.trust import Trust
from sojourn.core.agent.upgrading import (
    check_code,
    check_upgradable,
    check_upgrade,
    ordered_upgrade,
)
from sojourn.core.base.encoding import Count, Digest, Name, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.base.seals import Kind, Seal

__all__ = [
    "MATTERS",
    "THRESHOLDS",
    "Act",
    "Order",
    "SignedOrder",
    "carried_out",
    "carried_out_on",
    "check_authorised",
    "is_carried_out",
    "is_carried_out_on",
    "raised",
]

LIMIT_MAX: Final = 2**63 - 1
"""The highest limit of a budget: the largest `Count`."""


class Act(StrEnum):
    """What officers may order.

    suspend      it takes no step until it is resumed
    resume       it takes steps again
    quarantine   it takes steps, and acts on nothing and goes nowhere
    lift         it may act and travel again
    retire       it has ended, in honour: nothing follows
    revoke       it has ended, for it may not be trusted: nothing follows
    forgive      what was counted against places is counted no more, but that their anchors lied
    grant        it may spend more, by what the order adds to its limits
    erase        keys of its memory are destroyed: nobody can read what is encrypted under them
    upgrade      it has other code from its next restart point on
    """

    SUSPEND = "suspend"
    RESUME = "resume"
    QUARANTINE = "quarantine"
    LIFT = "lift"
    RETIRE = "retire"
    REVOKE = "revoke"
    FORGIVE = "forgive"
    GRANT = "grant"
    ERASE = "erase"
    UPGRADE = "upgrade"


THRESHOLDS: Final[Mapping[Act, str]] = {
    Act.SUSPEND: "revoke",
    Act.RESUME: "amend",
    Act.QUARANTINE: "revoke",
    Act.LIFT: "amend",
    Act.RETIRE: "retire",
    Act.REVOKE: "revoke",
    Act.FORGIVE: "amend",
    Act.GRANT: "amend",
    Act.ERASE: "amend",
    Act.UPGRADE: "amend",
}
"""By which of the officers' thresholds each act is ordered: to restrain an agent is quick, to set it free takes as
many of them as a change of its policy."""


MATTERS: Final[Mapping[Act, Matter]] = {
    Act.SUSPEND: Matter.SUSPENSION,
    Act.RESUME: Matter.SUSPENSION,
    Act.QUARANTINE: Matter.QUARANTINE,
    Act.LIFT: Matter.QUARANTINE,
    Act.RETIRE: Matter.END,
    Act.REVOKE: Matter.END,
    Act.FORGIVE: Matter.EVENTS,
    Act.GRANT: Matter.BUDGETS,
    Act.ERASE: Matter.MEMORY,
    Act.UPGRADE: Matter.CODE,
}
"""What each act is about."""


class Order(Value, tag_field="kind", tag="order/1"):
    """What officers order an agent's custodians to do.

    Times are milliseconds since 1970. It may be carried out until `expires_ms`, and only after every order of the
    same matter that was issued before it: a later one voids it. `grants` is what a grant adds to limits, by the
    budgets' names, `keys` are those that an erasure destroys, `upgrade` is other code; no other act has any.
    """

    agent: Digest
    act: Act
    issued_ms: Count
    expires_ms: Count
    grants: Annotated[dict[Name, Count], Meta(max_length=32)] = {}
    keys: Keys = ()
    upgrade: Upgrade | UnsetType = UNSET

    def check_upgradable(self, capabilities: Capabilities) -> None:
        """Raise `Rejected` ("bad-status") if it is an upgrade, and not of the code that an agent has."""
        if self.upgrade is not UNSET:
            check_upgradable(capabilities, self.upgrade)

    def erased_from(self, memory: Memory) -> Memory:
        """Return an agent's memory after the order was carried out: as it is, but for an erasure.

        Raises `Rejected` ("bad-status") if there is nothing left to erase of what it names.
        """
        return erased(memory, self.keys) if self.act is Act.ERASE else memory

    def upgraded(self, capabilities: Capabilities, seals: tuple[Seal, ...]) -> Capabilities:
        """Return an agent's capabilities after the order was carried out: as they are, but for an upgrade.

        `seals` are the order's. Raises `Rejected` ("bad-status") as `check_upgradable`.
        """
        if self.upgrade is UNSET:
            return capabilities
        issued_ms, expires_ms = self.issued_ms, self.expires_ms
        ordered = OrderedUpgrade(
            issued_ms=issued_ms, expires_ms=expires_ms, upgrade=self.upgrade, seals=seals
        )
        return ordered_upgrade(capabilities, ordered)

    @property
    def matter(self) -> Matter:
        """What it is about."""
        return MATTERS[self.act]


class SignedOrder(Value):
    """An order with its officers' seals.

    Where the seals are a delegate's, it leans on the mandate that it is `under`; else that is absent from the bytes.
    """

    order: Order
    seals: Annotated[tuple[Seal, ...], Meta(max_length=64)]
    under: Mandate | UnsetType = UNSET

    @property
    def mandate(self) -> Mandate | None:
        """What a delegate sealed it under; None where the issuer's own officers sealed it."""
        return None if self.under is UNSET else self.under

    @property
    def ends_ms(self) -> int:
        """When it may be carried out no more: with its own end, or its delegate's."""
        ends_ms = self.order.expires_ms
        return ends_ms if self.under is UNSET else min(ends_ms, self.under.until_ms)

    def check(self, first: Document, *, ordered_ms: int, at_ms: int) -> None:
        """Raise `Rejected` unless enough officers sealed the order, and it may be carried out at `at_ms`.

        `first` is the first document of the agent: its officers may order, or who acts for them. `ordered_ms` is when
        the newest order of its matter that was carried out was issued.
        """
        order = self.order
        if (order.act is Act.GRANT) != bool(order.grants) or 0 in order.grants.values():
            problem = f"to {order.act} an agent it adds {order.grants} to budgets"
            raise Rejected(problem, reason="bad-field", where="order.grants")
        if (order.act is Act.ERASE) != bool(order.keys) or len(set(order.keys)) < len(order.keys):
            problem = f"to {order.act} an agent it names {len(order.keys)} keys"
            raise Rejected(problem, reason="bad-field", where="order.keys")
        if (order.act is Act.UPGRADE) != (order.upgrade is not UNSET):
            problem = f"to {order.act} an agent it names {'no' if order.upgrade is UNSET else 'other'} code"
            raise Rejected(problem, reason="bad-field", where="order.upgrade")
        if order.upgrade is not UNSET:
            check_upgrade(order.upgrade, where="order.upgrade")
        if order.issued_ms <= ordered_ms:
            problem = (
                f"an order about {order.matter} issued at {ordered_ms} was carried out, "
                f"this one is of {order.issued_ms}"
            )
            raise Rejected(problem, reason="rollback", where="order.issued_ms")
        if not order.issued_ms - CLOCK_SKEW_MS <= at_ms < order.expires_ms:
            problem = f"it holds from {order.issued_ms} until {order.expires_ms}, it is {at_ms}"
            raise Rejected(problem, reason="outside-window", where="order")
        self.check_officers(first, at_ms=at_ms)

    def check_officers(
        self, first: Document, *, at_ms: int | None = None, where: str = "order"
    ) -> None:
        """Raise `Rejected` unless as many of an agent's officers sealed it as its act needs, and nobody else.

        Or of a delegate's, whose delegation must hold at `at_ms`, the time at which it is carried out; None: whether
        that could be at some time.
        """
        officers, whose = first.officers, "this issuer"
        if self.under is not UNSET:
            officers, whose = self._acting(first, self.under, at_ms, where), self.under.name
        threshold = getattr(officers, THRESHOLDS[self.order.act])
        named = digest_of(self.order)
        check_threshold(
            Kind.ORDER, named, self.seals, officers, threshold, where=where, whose=whose
        )

    def _acting(self, first: Document, mandate: Mandate, at_ms: int | None, where: str) -> Officers:
        act = self.order.act
        if act.value not in set(Power):
            problem = f"to {act} is delegated to nobody"
            remedy = "Have the issuer's own officers order it"
            raise Rejected(problem, reason="beyond-mandate", where=where, remedy=remedy)
        if at_ms is not None:
            mandate.check_holds(at_ms, where=where)
        return acting_under(mandate, first, Power(act.value), where=where)

    def check_seals(self) -> None:
        """Raise `Rejected` unless somebody sealed it, and each seal is of the key that it names.

        That is all that can be told where nothing is known of the agent.
        """
        check_sealed(Kind.ORDER, digest_of(self.order), self.seals, where="order")
        if self.under is not UNSET:
            self.under.check_seals()


def check_authorised(agent: bytes, has: Capabilities, born: Capabilities, first: Document) -> None:
    """Raise `Rejected` unless officers ordered whatever code an agent has, or waits for, that it was not born with.

    `first` is the agent's first document. A zone is believed about what it decided, and not about what officers want.
    """
    if has.adopted == born.adopted and msgspec.structs.replace(has, upgrade=born.upgrade) != born:
        problem = "it has other code than it was born with, by nobody's order"
        raise Rejected(problem, reason="no-order", where="capabilities.code")
    check_code(has)
    for ordered in (has.adopted, has.upgrade):
        if ordered is UNSET:
            continue
        order = Order(
            agent=agent,
            act=Act.UPGRADE,
            issued_ms=ordered.issued_ms,
            expires_ms=ordered.expires_ms,
            upgrade=ordered.upgrade,
        )
        signed = SignedOrder(order=order, seals=ordered.seals)
        signed.check_officers(first, where="capabilities.upgrade")


def carried_out_on(
    act: Act, eligibility: Eligibility, trust: Trust, grants: Mapping[str, int] | None = None
) -> tuple[Eligibility, Trust]:
    """Return an agent's eligibility and its trust after an act was carried out. Raises as `carried_out`."""
    if act is not Act.FORGIVE:
        return carried_out(act, eligibility, grants), trust
    if eligibility.status not in ACTING or is_carried_out_on(act, eligibility, trust):
        raise _idle(act, eligibility)
    return eligibility, msgspec.structs.replace(trust, events=forgiven(trust.events))


def is_carried_out_on(act: Act, eligibility: Eligibility, trust: Trust) -> bool:
    """Tell whether an agent is what an act makes of it, by whatever order."""
    if act is Act.FORGIVE:
        return forgiven(trust.events) == trust.events
    return is_carried_out(act, eligibility)


def carried_out(
    act: Act, eligibility: Eligibility, grants: Mapping[str, int] | None = None
) -> Eligibility:
    """Return an agent's eligibility after an act was carried out, which added `grants` to its limits.

    All acts but `forgive`, `erase` and `upgrade` change that alone. Raises `Rejected` ("bad-status") if there is
    nothing to do: it has ended or is between zones, or is so already; "no-budget" for a name that it has no budget
    of, "over-budget" for a limit that no number says.
    """
    if eligibility.status not in ACTING or is_carried_out(act, eligibility):
        raise _idle(act, eligibility)
    if act in (
        Act.ERASE,
        Act.UPGRADE,
    ):  # memory or capabilities alone: `Order.erased_from`, `upgraded`
        return eligibility
    if act is Act.GRANT:
        budgets = _granted(eligibility.budgets, grants or {})
        return msgspec.structs.replace(eligibility, budgets=budgets)
    return msgspec.structs.replace(eligibility, **_CHANGED[act])


def raised(old: Mapping[str, Budget], new: Mapping[str, Budget]) -> dict[str, int]:
    """Return by how much limits differ, by the name of the budget."""
    found = {name: new[name].limit - budget.limit for name, budget in old.items() if name in new}
    return {name: amount for name, amount in found.items() if amount}


def _granted(budgets: Mapping[str, Budget], grants: Mapping[str, int]) -> dict[str, Budget]:
    after = dict(budgets)
    for name, amount in grants.items():
        where = f"order.grants.{name}"
        if name not in after:
            problem = f"it has no budget {name!r}, and so no limit that could be raised"
            raise Rejected(problem, reason="no-budget", where=where)
        limit = after[name].limit + amount
        if limit > LIMIT_MAX:
            problem = f"a limit of {limit} for {name}, the highest is {LIMIT_MAX}"
            raise Rejected(problem, reason="over-budget", where=where)
        after[name] = msgspec.structs.replace(after[name], limit=limit)
    return after


def is_carried_out(act: Act, eligibility: Eligibility) -> bool:
    """Tell whether an agent's eligibility is what such an act makes of it, by whatever order.

    A grant always adds to what there was.
    """
    return act in _CHANGED and all(
        getattr(eligibility, name) == value for name, value in _CHANGED[act].items()
    )


def _idle(act: Act, eligibility: Eligibility) -> Rejected:
    problem = f"there is nothing to {act}: the agent is {eligibility.describe()}"
    return Rejected(problem, reason="bad-status", where="eligibility.status")


_CHANGED: Final[Mapping[Act, Mapping[str, object]]] = {
    Act.SUSPEND: {"is_suspended": True},
    Act.RESUME: {"is_suspended": False},
    Act.QUARANTINE: {"is_quarantined": True},
    Act.LIFT: {"is_quarantined": False},
    Act.RETIRE: {"status": Status.RETIRED, "wake": ()},
    Act.REVOKE: {"status": Status.REVOKED, "wake": ()},
}
