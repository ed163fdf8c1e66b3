"""Marks: labels and residency of data, wherever it is written."""

import pytest

from sojourn.core.agent.memory.field import Compartment, Form
from sojourn.core.agent.memory.marks import (
    Mark,
    Marks,
    covers,
    declassified,
    home_of,
    labels_of,
    listed,
    mark_of,
)
from sojourn.core.base.digests import ZERO

CLIENTS = mark_of(("pii", "client"), ("EU",))
SALARIES = mark_of(("salary",), ("EU", "CH"))
INTERNAL = mark_of(("internal",), ())


def shelf(labels: tuple[str, ...] = (), residency: tuple[str, ...] = ()) -> Compartment:
    return Compartment(form=Form.LOG, root=ZERO, labels=labels, residency=residency)


def test_what_has_neither_labels_nor_residency_has_no_mark() -> None:
    assert mark_of((), ()) == frozenset()
    assert mark_of(("b", "a", "b"), ()) == {Mark(labels=("a", "b"))}
    assert mark_of((), ("EU",)) == {Mark(residency=("EU",))}


def test_a_key_goes_with_what_binds_and_binds_nobody_by_itself() -> None:
    key = b"k" * 32
    sealed = mark_of(("pii",), ("EU",), key)
    assert sealed == {Mark(labels=("pii",), residency=("EU",), key=key)}
    assert mark_of((), (), key) == frozenset()
    assert covers(shelf(("pii",), ("EU",)), sealed), "it may be written where as much binds"
    assert declassified(sealed, ("other",)) == sealed
    assert listed(sealed | mark_of(("pii",), ("EU",)))[1] in sealed


def test_labels_add_up() -> None:
    assert labels_of(CLIENTS | SALARIES | INTERNAL) == ("client", "internal", "pii", "salary")
    assert labels_of(frozenset()) == ()


@pytest.mark.parametrize(
    ("marks", "home"),
    [
        (frozenset(), ()),
        (INTERNAL, ()),
        (SALARIES, ("CH", "EU")),
        (SALARIES | CLIENTS | INTERNAL, ("EU",)),
        (CLIENTS | mark_of(("x",), ("US",)), None),
    ],
)
def test_data_of_several_sources_may_be_where_each_of_them_may(
    marks: Marks, home: tuple[str, ...] | None
) -> None:
    assert home_of(marks) == home


@pytest.mark.parametrize(
    ("labels", "residency", "is_covered"),
    [
        (("pii", "client"), ("EU",), True),
        (("pii", "client", "more"), ("EU",), True),
        (("pii",), ("EU",), False),
        (("pii", "client"), (), False),
        (("pii", "client"), ("EU", "US"), False),
        (("pii", "client"), ("US",), False),
    ],
)
def test_a_compartment_covers_a_mark_with_all_labels_and_no_wider_residency(
    labels: tuple[str, ...], residency: tuple[str, ...], is_covered: bool
) -> None:
    assert covers(shelf(labels, residency), CLIENTS) is is_covered


def test_a_compartment_covers_many_marks_only_if_it_covers_each() -> None:
    both = CLIENTS | SALARIES
    assert covers(shelf(("client", "pii", "salary"), ("EU",)), both)
    assert not covers(shelf(("client", "pii", "salary"), ("CH",)), both)
    assert not covers(shelf(("client", "pii"), ("EU",)), both)
    assert covers(shelf(), frozenset())


def test_declassifying_takes_off_labels_and_with_the_last_one_the_residency() -> None:
    assert declassified(CLIENTS, ("pii",)) == {Mark(labels=("client",), residency=("EU",))}
    assert declassified(CLIENTS | INTERNAL, ("pii", "client")) == INTERNAL
    assert declassified(CLIENTS, ("other",)) == CLIENTS


def test_a_residency_without_labels_cannot_be_taken_off() -> None:
    bound = mark_of((), ("EU",))
    assert declassified(bound, ("pii", "")) == bound
