"""Ordering an agent about: an order of its officers, carried to the zone where it is, or else published.

What can be reached is ordered at once, and the answer says what the agent is now. Where it cannot be, whatever
anchors are known are given the order: it comes to the agent by itself.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from sojourn.cli.address_book import entry_of
from sojourn.cli.agent_view import BudgetShown, budgets_shown
from sojourn.cli.carrying import any_bearer, carry, decide_borne
from sojourn.cli.finding import Found
from sojourn.cli.home import Home
from sojourn.cli.mandates import check_usable, read_mandate
from sojourn.cli.options import milliseconds
from sojourn.cli.publishing import Published, publish
from sojourn.cli.reach import Reach
from sojourn.core.agent.ancestry import BINDING
from sojourn.core.agent.delegation import Mandate, Power
from sojourn.core.agent.eligibility import ACTING, Status
from sojourn.core.agent.orders import Act, Order, SignedOrder, is_carried_out_on
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Failed, Misused, Refused, Unreachable
from sojourn.core.base.keys import KeyPair
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.ordering import carrying, sealed
from sojourn.runtime.clients.zone_client import Stalled
from sojourn.runtime.processes import clock

__all__ = ["OnItsWay", "Ordered", "order", "parse_grants", "parse_limits", "signed_order"]

_NAME_MAX: Final = 128
_LASTS_MS: Final = 7 * 24 * 60 * 60 * 1000
"""An order that was not carried out by then, to an agent that could not be reached, has lapsed."""


class Ordered(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is after an order, and where; what it may spend. `before` says that it was so already."""

    agent: str
    status: str
    version: int
    zone: str
    before: bool
    budgets: dict[str, BudgetShown]


class OnItsWay(msgspec.Struct, frozen=True, kw_only=True):
    """An order that anchors spread now, and why it could not be carried to the agent at once.

    It is carried out when it reaches the agent, if that is before `expires_ms` (milliseconds since 1970).
    """

    agent: str
    act: str
    expires_ms: int
    why: str
    published: Published


def signed_order(
    home: Home,
    name: str,
    act: Act,
    officers: Sequence[KeyPair],
    until: datetime | None,
    grants: Mapping[str, int] | None = None,
    keys: tuple[bytes, ...] = (),
    under: Path | None = None,
) -> SignedOrder:
    """Return an order about the agent with a local name, sealed; a grant adds `grants`, an erasure destroys `keys`.

    `under` is the file of a mandate, if a delegate gives it: it lapses with that. Raises `Misused`.
    """
    mandate = _mandate(under, act, officers) if under is not None else None
    agent, now_ms = entry_of(home, name).agent_id, clock.wall_ms()
    lasts_ms = min(now_ms + _LASTS_MS, mandate.until_ms if mandate else now_ms + _LASTS_MS)
    ends_ms = milliseconds(until) if until is not None else lasts_ms
    if ends_ms <= now_ms:
        raise Misused("the order would have lapsed already", remedy="Give a later --until")
    given = Order(
        agent=agent,
        act=act,
        issued_ms=now_ms,
        expires_ms=ends_ms,
        grants=dict(grants or {}),
        keys=keys,
    )
    signed = sealed(given, officers)
    return signed if mandate is None else msgspec.structs.replace(signed, under=mandate)


def _mandate(file: Path, act: Act, officers: Sequence[KeyPair]) -> Mandate:
    """Return the mandate in a file. Raises `Misused` unless these officers may order the act under it now."""
    if act.value not in set(Power):
        problem = f"to {act} is delegated to nobody"
        raise Misused(problem, remedy="Have the issuer's own officers order it")
    mandate = read_mandate(file)
    check_usable(mandate, Power(act.value), [pair.public for pair in officers])
    return mandate


async def order(
    reach: Reach, home: Home, name: str, signed: SignedOrder, reason: str
) -> Ordered | OnItsWay:
    """Have done what officers ordered of the agent with a local name; where it cannot be reached, publish it.

    Raises as `decide` for what its zone will not do, `Refused` for an agent that has ended, `Misused` for a grant of
    what it has no budget of; `Unreachable` if neither its zone answers nor anybody to publish it to, else `Failed`.
    """
    try:
        return await _carry(reach, home, name, signed, reason)
    except _Ungrantable:
        raise
    except (_InFlight, _Outlived, Misused, Unreachable, Stalled) as error:
        problem = error
    try:
        published = await publish(reach, home, [signed])
    except Failed as failed:
        if isinstance(problem, Unreachable):
            both = f"{problem.problem}; {failed.problem}"
            raise Unreachable(both, remedy=failed.remedy) from None
        raise
    return OnItsWay(
        agent=cid_text(signed.order.agent),
        act=str(signed.order.act),
        expires_ms=signed.ends_ms,
        why=problem.problem,
        published=published,
    )


class _Ungrantable(Misused):
    """It was reached, and has no budget of what was to be granted."""


class _InFlight(Refused):
    """The agent is between zones: nothing can be ordered of it there."""


class _Outlived(Refused):
    """The agent has ended, and what is ordered of it binds those that descend from it (protocol §8.13)."""


async def _carry(reach: Reach, home: Home, name: str, signed: SignedOrder, reason: str) -> Ordered:
    act, bearer = signed.order.act, any_bearer()

    async def once(found: Found) -> Ordered:
        _check_granted(name, found, signed.order.grants)
        if is_carried_out_on(act, found.record.eligibility, found.record.trust):
            return _told(found.head, found, before=True)
        ordered_ms = found.record.governance.last_ordered_ms(signed.order.matter)
        if ordered_ms == signed.order.issued_ms:
            return _told(found.head, found, before=False)  # an anchor had it decided for us
        _check_reachable(name, act, found)
        proposal = carrying(signed, found.head, bearer, at_ms=clock.wall_ms(), reason=reason)
        return _told(await decide_borne(reach, found, proposal), found, before=False)

    return await carry(reach, home, name, once)


def _check_reachable(name: str, act: Act, found: Found) -> None:
    eligibility = found.record.eligibility
    if eligibility.status is Status.DEPARTED:
        raise _InFlight(f"{name} has left {found.zone.name} and not arrived yet")
    if eligibility.status in ACTING:
        return
    if eligibility.children and act in BINDING:
        raise _Outlived(f"{name} is {eligibility.status}, but it may have children that are not")
    raise Refused(f"{name} is {eligibility.status}: nothing follows", remedy="Launch another")


def _check_granted(name: str, found: Found, grants: Mapping[str, int]) -> None:
    budgets = found.record.eligibility.budgets
    for budget in grants.keys() - budgets.keys():
        problem = f"{name} has no budget {budget!r}, and so no limit that could be raised"
        known = ", ".join(sorted(budgets)) or "none"
        raise _Ungrantable(problem, remedy=f"Its budgets: {known}")


def parse_grants(texts: Sequence[str]) -> dict[str, int]:
    """Return what is to be added to limits, as people write it: `steps=+1000`. Raises `Misused`."""
    grants: dict[str, int] = {}
    for text in texts:
        name, _, amount = text.partition("=+")
        if not name or not amount.isascii() or not amount.isdigit() or name in grants:
            problem = f"{text!r} says not what is added to which budget"
            raise Misused(problem, remedy="Write each budget once, as in steps=+1000")
        grants[name] = int(amount[:20])
        if not 0 < grants[name] < 2**63:
            problem = f"{text!r} adds nothing, or more than a limit can be"
            raise Misused(problem, remedy="Add at least 1, and less than 2^63")
    return grants


def parse_limits(texts: Sequence[str]) -> dict[str, int]:
    """Return limits of budgets, as people write them: `steps=1000`. Raises `Misused`."""
    limits: dict[str, int] = {}
    for text in texts:
        name, _, amount = text.partition("=")
        if not name or not amount.isascii() or not amount.isdigit() or name in limits:
            problem = f"{text!r} says not which budget is limited to what"
            raise Misused(problem, remedy="Write each budget once, as in steps=1000")
        limits[name] = int(amount[:20])
        if limits[name] >= 2**63 or len(name) > _NAME_MAX:
            problem = f"{text!r} is more than a limit, or its name, can be"
            raise Misused(problem, remedy="Limit it to less than 2^63")
    return limits


def _told(head: Certified, found: Found, *, before: bool) -> Ordered:
    return Ordered(
        agent=cid_text(head.record.agent_id),
        status=head.record.eligibility.describe(),
        version=head.record.version,
        zone=found.zone.name,
        before=before,
        budgets=budgets_shown(head.record),
    )
