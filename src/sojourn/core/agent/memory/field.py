"""Memory: the field. Compartments with labels and residency, by root; and the agent's own books.

A compartment that may not travel stays behind in the zone that holds it, its digest still in the record
(`held_by`). What a place may hold is decided by labels against the place's attributes, by policy; residency
is the part of it that no policy can waive.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from sojourn.core.base.digests import ZERO
from sojourn.core.base.encoding import Count, Digest, Name, Value
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import COMPARTMENTS_MAX

__all__ = ["Compartment", "Form", "Labels", "Memory", "may_reside", "travelling_roots"]

Labels = Annotated[tuple[Name, ...], Meta(max_length=32)]


class Form(StrEnum):
    """How a compartment is organised."""

    MAPPING = "mapping"
    LOG = "log"


class Compartment(Value):
    """One compartment: its root (all zeros when empty), what its data is called and where it may be.

    `residency` lists jurisdictions; a place qualifies if it lies in at least one of them; empty means
    anywhere. `held_by` is the zone where the blocks stayed behind, or None while they travel along.
    `size` is the number of bytes in its blocks, as the host that wrote it counted them.
    """

    form: Form
    root: Digest
    labels: Labels = ()
    residency: Labels = ()
    held_by: Digest | None = None
    size: Count = 0


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
    for name, compartment in old.items():
        after = new.get(name)
        if after is None:
            raise Rejected(f"compartment {name!r} vanished", reason="bad-change", where="memory")
        kept = ("form", "labels", "residency", "held_by")
        if any(getattr(compartment, part) != getattr(after, part) for part in kept):
            problem = f"a step may not relabel compartment {name!r}"
            raise Rejected(problem, reason="bad-change", where=f"memory.{name}")
        if compartment.held_by is not None and compartment.root != after.root:
            problem = f"compartment {name!r} is held elsewhere and cannot change here"
            raise Rejected(problem, reason="bad-change", where=f"memory.{name}")
