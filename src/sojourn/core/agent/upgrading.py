"""Upgrading: other code for an agent that lives, by order of its officers, sealed by the code's publisher.

    upgrade   an order, carried out like any other: the record names what is to follow, and the code stays what it is
    adopt     the bound host's, at a restart point: the code is the new one; or stays, if the new one would not do

So a record always says which code acts, and an agent never has both (protocol §8.16).
"""

from collections.abc import Collection

from msgspec import UNSET
from msgspec.structs import replace

from sojourn.core.agent.capabilities import Capabilities, OrderedUpgrade, Upgrade
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.core.base.seals import Kind, Role, Seal, check_seal, statement

__all__ = [
    "adopted",
    "check_adopted",
    "check_code",
    "check_lasting",
    "check_ordered_upgrade",
    "check_published",
    "check_upgradable",
    "check_upgrade",
    "check_vouched",
    "declined",
    "ordered_upgrade",
    "vouched_by",
]


def vouched_by(publisher: KeyPair, code: bytes) -> Seal:
    """Return a publisher's seal of code, which is known by its digest."""
    covered = statement(Kind.CODE, Role.PUBLISHER, code)
    return Seal(signer=publisher.public, signature=publisher.sign(covered))


def check_published(
    capabilities: Capabilities, sealed_by: Collection[bytes], *, where: str = "capabilities"
) -> None:
    """Raise `Rejected` unless the publisher that a genesis names has sealed its code, or the genesis itself.

    `sealed_by` are the keys that sealed the genesis. Without this anybody's name could stand for anybody's code.
    """
    if isinstance(capabilities.vouched, Seal):
        check_vouched(
            capabilities.code,
            capabilities.publisher,
            capabilities.vouched,
            where=f"{where}.vouched",
        )
    elif capabilities.publisher not in sealed_by:
        problem = f"{key_text(capabilities.publisher)}, its publisher, has not sealed its code"
        raise Rejected(problem, reason="unpublished", where=f"{where}.publisher")


def check_vouched(code: bytes, publisher: bytes, seal: Seal, *, where: str) -> None:
    """Raise `Rejected` unless `seal` is a publisher's of code."""
    if seal.signer != publisher:
        problem = f"{key_text(seal.signer)} sealed it, its publisher is {key_text(publisher)}"
        raise Rejected(problem, reason="wrong-key", where=where)
    check_seal(Kind.CODE, Role.PUBLISHER, code, seal, where=where)


def check_upgrade(upgrade: Upgrade, *, where: str) -> None:
    """Raise `Rejected` unless it leads to other code, which its publisher sealed."""
    if upgrade.code == upgrade.replaces:
        raise Rejected("it leads to the code that it replaces", reason="bad-field", where=where)
    check_vouched(upgrade.code, upgrade.publisher, upgrade.vouched, where=f"{where}.vouched")


def check_upgradable(before: Capabilities, upgrade: Upgrade) -> None:
    """Raise `Rejected` ("bad-status") if an agent has other code by now than it replaces, or waits for it already."""
    if before.code != upgrade.replaces:
        problem = "the agent has other code by now than the upgrade replaces"
        raise Rejected(problem, reason="bad-status", where="capabilities.code")
    if before.upgrade is not UNSET and before.upgrade.upgrade == upgrade:
        problem = "there is nothing to upgrade: it waits for the agent's next restart point"
        raise Rejected(problem, reason="bad-status", where="capabilities.upgrade")


def ordered_upgrade(before: Capabilities, ordered: OrderedUpgrade) -> Capabilities:
    """Return an agent's capabilities once an upgrade was ordered: it takes the place of one that still waits.

    Raises `Rejected` as `check_upgradable`.
    """
    check_upgradable(before, ordered.upgrade)
    return replace(before, upgrade=ordered)


def adopted(before: Capabilities) -> Capabilities:
    """Return an agent's capabilities with the code that it was to have. There is an upgrade."""
    assert before.upgrade is not UNSET, "nothing was ordered"
    to = before.upgrade.upgrade
    return replace(
        before,
        code=to.code,
        entry=to.entry,
        publisher=to.publisher,
        vouched=to.vouched,
        adopted=before.upgrade,
        upgrade=UNSET,
    )


def declined(before: Capabilities) -> Capabilities:
    """Return an agent's capabilities with the code that it has, and no upgrade any more."""
    return replace(before, upgrade=UNSET)


def check_ordered_upgrade(before: Capabilities, after: Capabilities, issued_ms: int) -> None:
    """Raise `Rejected` unless an upgrade was ordered at that time, and nothing else changed."""
    ordered = after.upgrade
    if ordered is UNSET or after != ordered_upgrade(before, ordered):
        raise _bad("an order to upgrade says what is to follow, and nothing else")
    if ordered.issued_ms != issued_ms:
        raise _bad("the order that the upgrade names is another")
    check_upgrade(ordered.upgrade, where="capabilities.upgrade")


def check_adopted(before: Capabilities, after: Capabilities) -> None:
    """Raise `Rejected` unless an upgrade that was ordered was adopted, or given up."""
    if before.upgrade is UNSET:
        raise _bad("there is no upgrade to adopt")
    if after not in (adopted(before), declined(before)):
        raise _bad("to adopt is to have the code that was ordered, or to keep the old")


def check_lasting(before: Capabilities, after: Capabilities) -> None:
    """Raise `Rejected` if anything changed but the code, whose it is, and what is to follow.

    Other code is that of an upgrade, whose officers' seals are checked where their documents are.
    """
    names = ("code", "entry", "publisher", "vouched", "adopted", "upgrade")
    same = replace(after, **{name: getattr(before, name) for name in names})
    if same != before:
        raise _bad("no transition may change what an agent requires and offers")
    if _code_of(before) != _code_of(after) and after.adopted == before.adopted:
        raise _bad("its code changed, and no upgrade was adopted")
    check_code(after)


def check_code(has: Capabilities) -> None:
    """Raise `Rejected` if an agent has other code than it has adopted, or an upgrade that nobody vouched for."""
    for ordered, where in ((has.adopted, "adopted"), (has.upgrade, "upgrade")):
        if ordered is not UNSET:
            check_upgrade(ordered.upgrade, where=f"capabilities.{where}")
    if has.adopted is not UNSET:
        to = has.adopted.upgrade
        if _code_of(has) != (to.code, to.entry, to.publisher, to.vouched):
            raise _bad("its code is not the one that it has adopted")


def _code_of(has: Capabilities) -> tuple[bytes, str, bytes, object]:
    return has.code, has.entry, has.publisher, has.vouched


def _bad(problem: str) -> Rejected:
    return Rejected(problem, reason="bad-change", where="capabilities")
