"""Memory: the field. Compartments with labels and residency, by root; and the agent's own books.

A compartment that may not travel stays behind in the zone that holds it, its digest still in the record
(`held_by`). What a place may hold is decided by labels against the place's attributes, by policy; residency
is the part of it that no policy can waive.
"""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from sojourn.core.agent.memory.encryption import Encryption, keys_of
from sojourn.core.base.digests import ZERO
from sojourn.core.base.encoding import Count, Digest, Name, Value
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import COMPARTMENTS_MAX, LABELS_MAX

__all__ = [
    "Compartment",
    "Form",
    "Labels",
    "Memory",
    "erased",
    "may_reside",
    "may_travel",
    "travelling_roots",
]

Labels = Annotated[tuple[Name, ...], Meta(max_length=LABELS_MAX)]


class Form(StrEnum):
    """How a compartment is organised."""

    MAPPING = "mapping"
    LOG = "log"


class Compartment(Value):
    """One compartment: its root (all zeros when empty), what its data is called and where it may be.

    `residency` lists jurisdictions; a place qualifies if it lies in at least one of them; empty means
    anywhere. `held_by` is the zone where the blocks stayed behind, or None while they travel along.
    `size` is the number of bytes in its blocks, as the host that wrote it counted them. `encryption` says under which
    key they are encrypted, or None.
    """

    form: Form
    root: Digest
    labels: Labels = ()
    residency: Labels = ()
    held_by: Digest | None = None
    size: Count = 0
    encryption: Encryption | None = None

    @property
    def key(self) -> bytes | None:
        """The name of the key that it is encrypted under, or None."""
        return self.encryption.key if self.encryption is not None else None

    @property
    def is_erased(self) -> bool:
        """Whether its key was destroyed: nothing in it can be read or written any more."""
        return self.encryption is not None and self.encryption.is_erased


class Memory(Value):
    """The field: compartments by name, and the roots of journal, inbox and outbox."""

    compartments: Annotated[dict[Name, Compartment], Meta(max_length=COMPARTMENTS_MAX)]
    journal: Digest = ZERO
    inbox: Digest = ZERO
    outbox: Digest = ZERO

    def roots(self) -> Iterable[bytes]:
        """Return every root that is not empty, held elsewhere or not."""
        named = [c.root for _, c in sorted(self.compartments.items())]
        return [root for root in (*named, self.journal, self.inbox, self.outbox) if root != ZERO]

    def labels(self) -> tuple[str, ...]:
        """Return the labels of all data that travels along, sorted."""
        along = (c for c in self.compartments.values() if c.held_by is None)
        return tuple(sorted({label for c in along for label in c.labels}))

    def residency(self) -> tuple[str, ...]:
        """Return the jurisdictions named by data that travels along, sorted."""
        along = (c for c in self.compartments.values() if c.held_by is None)
        return tuple(sorted({place for c in along for place in c.residency}))


def may_reside(compartment: Compartment, jurisdictions: Iterable[str]) -> bool:
    """Tell whether a place in these jurisdictions may hold the compartment."""
    return not compartment.residency or bool(set(compartment.residency) & set(jurisdictions))


def may_travel(compartment: Compartment, jurisdictions: Iterable[str]) -> bool:
    """Tell whether a compartment goes along to a place in these jurisdictions.

    An encrypted one stays where its key is (ADR 0039).
    """
    return compartment.encryption is None and may_reside(compartment, jurisdictions)


def travelling_roots(memory: Memory, zone: bytes) -> list[bytes]:
    """Return the roots whose blocks must be stored in `zone`: all but those held by another zone."""
    here = [c.root for _, c in sorted(memory.compartments.items()) if c.held_by in (None, zone)]
    return [root for root in (*here, memory.journal, memory.inbox, memory.outbox) if root != ZERO]


def check_compartments(old: Mapping[str, Compartment], new: Mapping[str, Compartment]) -> None:
    """Raise `Rejected` unless a step leaves every compartment's name, form, labels and residency alone.

    Changing a label or residency is an act of its own, judged by policy (protocol §4).
    """
    for name in sorted(new.keys() - old.keys()):
        if new[name].held_by is not None:  # nobody would have to store it (trap 23)
            problem = f"a new compartment, {name!r}, cannot be held elsewhere"
            raise Rejected(problem, reason="bad-change", where=f"memory.{name}")
        _check_key_of_new(name, new[name], old)
    for name, compartment in old.items():
        after = new.get(name)
        if after is None:
            raise Rejected(f"compartment {name!r} vanished", reason="bad-change", where="memory")
        kept = ("form", "labels", "residency", "held_by", "encryption")
        if any(getattr(compartment, part) != getattr(after, part) for part in kept):
            problem = f"a step may not relabel compartment {name!r}"
            raise Rejected(problem, reason="bad-change", where=f"memory.{name}")
        is_away = compartment.held_by is not None
        if (is_away or compartment.is_erased) and compartment.root != after.root:
            why = "is held elsewhere" if is_away else "was erased"
            problem = f"compartment {name!r} {why} and cannot change here"
            raise Rejected(problem, reason="bad-change", where=f"memory.{name}")


def _check_key_of_new(name: str, made: Compartment, old: Mapping[str, Compartment]) -> None:
    """Check that a compartment which a step makes is under a key that was dealt for one that is here."""
    key = made.encryption
    here = [item.encryption for item in old.values() if item.held_by is None]
    if key is not None and (key.is_erased or key not in here):
        problem = f"the key of a new compartment, {name!r}, was not dealt here"
        raise Rejected(problem, reason="bad-change", where=f"memory.{name}")


def erased(memory: Memory, keys: Collection[bytes]) -> Memory:
    """Return the memory after these keys were destroyed.

    Raises `Rejected` unless each is that of a compartment, and one of them is not erased yet.
    """
    where, present = "memory.compartments", memory.compartments.values()
    unknown = set(keys) - {c.encryption.key for c in present if c.encryption is not None}
    if unknown:
        problem = f"no compartment is encrypted under key {min(unknown).hex()[:16]}…"
        raise Rejected(problem, reason="bad-status", where=where)
    if keys_of(c.encryption for c in present).keys().isdisjoint(keys):
        raise Rejected("there is nothing left to erase", reason="bad-status", where=where)
    compartments = {
        name: _without_key(item) if item.encryption and item.encryption.key in keys else item
        for name, item in memory.compartments.items()
    }
    return replace(memory, compartments=compartments)


def _without_key(compartment: Compartment) -> Compartment:
    assert compartment.encryption is not None
    return replace(compartment, encryption=replace(compartment.encryption, is_erased=True))
