"""Capabilities: what the agent needs to run, what it offers, and the code it is.

A match against a host's current envelope is a question of fact, apart from permission: a mismatch means
impossible here and now, not forbidden (architecture §4).
"""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from sojourn.core.base.encoding import Count, Digest, Name, PublicKey, Value
from sojourn.core.base.seals import Seal

__all__ = ["Capabilities", "Offer", "OrderedUpgrade", "Requirements", "Upgrade", "mismatches"]

Names = Annotated[tuple[Name, ...], Meta(max_length=128)]


class Requirements(Value):
    """What the agent requires of a host. `cpu_millis`: thousandths of a core; packages: `name` or `name>=1.2`."""

    cpu_millis: Count = 0
    memory_mib: Count = 0
    gpus: Count = 0
    packages: Names = ()
    models: Names = ()
    accelerators: Names = ()
    confined: bool = False


class Offer(Value):
    """What a host has to give at this moment; the part of an envelope that capabilities are held against."""

    cpu_millis: Count = 0
    memory_mib: Count = 0
    gpus: Count = 0
    slots: Count = 0
    packages: Annotated[dict[Name, Name], Meta(max_length=1024)] = {}
    models: Names = ()
    accelerators: Names = ()
    confines: bool = False


class Upgrade(Value):
    """Other code for an agent: what it replaces, and what it is: its digest, entry point and publisher.

    `vouched` is the publisher's seal of the code.
    """

    replaces: Digest
    code: Digest
    entry: Name
    publisher: PublicKey
    vouched: Seal


class OrderedUpgrade(Value):
    """An upgrade that officers ordered: all that their seals cover, beside whose it is and that it is an upgrade."""

    issued_ms: Count
    expires_ms: Count
    upgrade: Upgrade
    seals: Annotated[tuple[Seal, ...], Meta(max_length=64)]


class Capabilities(Value):
    """The field: requirements, skills offered, and the code: its digest, entry point and publisher.

    `entry` is `module:Class`. `code` names a block that lists the source files. `vouched` is the publisher's seal of
    it; an agent without one was launched by its publisher. `adopted` is the upgrade by which it is no more the code
    that the agent was born with, `upgrade` what officers ordered to follow at the agent's next restart point. Each is
    absent from the bytes where there is none.
    """

    requires: Requirements
    code: Digest
    entry: Name
    publisher: PublicKey
    offers: Names = ()
    appraisal: Digest | None = None
    vouched: Seal | UnsetType = UNSET
    adopted: OrderedUpgrade | UnsetType = UNSET
    upgrade: OrderedUpgrade | UnsetType = UNSET

    @property
    def codes(self) -> tuple[bytes, ...]:
        """The digests of the code that it has, and of that which is to follow: both are stored wherever it is."""
        return (self.code,) if self.upgrade is UNSET else (self.code, self.upgrade.upgrade.code)


def mismatches(requires: Requirements, offer: Offer, *, has_slot: bool = False) -> list[str]:
    """Return, as sentences, everything `requires` that `offer` lacks; empty means it fits.

    `has_slot` says that the agent needs no free slot, whatever is offered.
    """
    found = [
        f"needs {getattr(requires, name)} {unit}, {getattr(offer, name)} offered"
        for name, unit in (("cpu_millis", "mCPU"), ("memory_mib", "MiB"), ("gpus", "GPUs"))
        if getattr(requires, name) > getattr(offer, name)
    ]
    if offer.slots < 1 and not has_slot:
        found.append("no free slot")
    if requires.confined and not offer.confines:
        found.append("needs confinement, none offered")
    for kind in ("models", "accelerators"):
        lacking = sorted(set(getattr(requires, kind)) - set(getattr(offer, kind)))
        found += [f"lacks {kind[:-1]} {name}" for name in lacking]
    return found + [text for item in requires.packages if (text := _package_lack(item, offer))]


def _package_lack(requirement: str, offer: Offer) -> str:
    name, relation, least = requirement.partition(">=")
    installed = offer.packages.get(name.strip())
    if installed is None:
        return f"lacks package {name.strip()}"
    if relation and _parts(installed) < _parts(least):
        return f"has {name.strip()} {installed}, {requirement} needed"
    return ""


def _parts(version: str) -> tuple[int, ...]:
    """Return the leading numeric parts of a version, without final zeros: enough to compare releases."""
    parts: list[int] = []
    for part in version.strip().split("."):
        if not (
            part.isascii() and part.isdigit()
        ):  # a stranger wrote it: "²" is a digit, not a number
            break
        parts.append(int(part))
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)
