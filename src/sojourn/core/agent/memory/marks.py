"""Marks: what binds data to its labels and residency, whoever has read it and wherever it is written.

A compartment with labels or residency has a mark. Whoever reads it is marked, and so is all it makes from then on:
what is written must be kept where every mark is kept too (protocol §10.14). Only a step that declares so takes
labels off its result, if the policies permit.
"""

from collections.abc import Iterable
from typing import TypeAlias

from sojourn.core.agent.memory.field import Compartment, Labels
from sojourn.core.base.encoding import Digest, Value

__all__ = [
    "Mark",
    "Marks",
    "covers",
    "declassified",
    "described",
    "home_of",
    "labels_of",
    "listed",
    "mark_of",
    "residency_of",
    "told_marks",
]


class Mark(Value):
    """The labels and residency of one source of data, sorted. Neither is empty in both.

    `key` names the key that the source is encrypted under, if it is.
    """

    labels: Labels = ()
    residency: Labels = ()
    key: Digest | None = None


Marks: TypeAlias = frozenset[Mark]
"""What data is bound by that came of several sources: all of them."""


def mark_of(labels: Iterable[str], residency: Iterable[str], key: bytes | None = None) -> Marks:
    """Return what data of these labels and this residency is bound by: one mark, or none.

    To be encrypted, under `key`, binds nobody by itself.
    """
    mark = Mark(labels=tuple(sorted(set(labels))), residency=tuple(sorted(set(residency))), key=key)
    return frozenset((mark,)) if mark.labels or mark.residency else frozenset()


def told_marks(labels: Iterable[str]) -> Marks:
    """Return what is bound that somebody else was told of data with these labels: one mark for each.

    What others tell has no residency: they may be anywhere.
    """
    return frozenset(Mark(labels=(label,)) for label in labels)


def listed(marks: Marks) -> tuple[Mark, ...]:
    """Return marks in the order in which they are written down."""
    return tuple(sorted(marks, key=lambda mark: (mark.labels, mark.residency, mark.key or b"")))


def labels_of(marks: Marks) -> tuple[str, ...]:
    """Return all labels of some data, sorted."""
    return tuple(sorted({label for mark in marks for label in mark.labels}))


def home_of(marks: Marks) -> tuple[str, ...] | None:
    """Return the jurisdictions that each source allows, sorted; empty: anywhere; None: there is none in common."""
    bounds = [set(mark.residency) for mark in marks if mark.residency]
    if not bounds:
        return ()
    return tuple(sorted(set.intersection(*bounds))) or None


def residency_of(marks: Marks) -> tuple[str, ...]:
    """Return all jurisdictions that the residency of some data names, sorted."""
    return tuple(sorted({place for mark in marks for place in mark.residency}))


def described(marks: Marks) -> str:
    """Return what data is bound by, for people."""
    labels, home = labels_of(marks), home_of(marks)
    called = "data" if not labels else f"data labelled {', '.join(labels)}"
    return f"{called}, bound to {', '.join(home)}" if home else called


def covers(compartment: Compartment | Mark, marks: Marks) -> bool:
    """Tell whether a compartment may hold data with these marks: it has all labels, within each residency."""
    labels, residency = set(compartment.labels), set(compartment.residency)
    return all(
        labels.issuperset(mark.labels)
        and (not mark.residency or (bool(residency) and residency.issubset(mark.residency)))
        for mark in marks
    )


def declassified(marks: Marks, labels: Iterable[str]) -> Marks:
    """Return the marks without these labels.

    A source that had no others binds the result no more, nor does its residency: it is what the labels say that
    may not leave. A residency without labels stays.
    """
    taken = set(labels)
    left = (
        Mark(
            labels=tuple(label for label in mark.labels if label not in taken),
            residency=mark.residency,
            key=mark.key,
        )
        for mark in marks
        if not mark.labels or not taken.issuperset(mark.labels)
    )
    return frozenset(left)
