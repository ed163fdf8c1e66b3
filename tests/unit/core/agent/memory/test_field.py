"""Memory as a field: what must be stored where, and what a step leaves alone."""

from typing import Any

from msgspec.structs import replace

from sojourn.core.agent.memory.field import (
    Compartment,
    Form,
    Memory,
    may_reside,
    travelling_roots,
)
from sojourn.core.base.digests import ZERO, digest

HERE, THERE = digest(b"here"), digest(b"there")
A, B, JOURNAL = digest(b"a"), digest(b"b"), digest(b"journal")


def kept(root: bytes, holder: bytes | None = None, **fields: Any) -> Compartment:
    return Compartment(form=Form.MAPPING, root=root, held_by=holder, **fields)


def test_trap_23_all_that_is_not_held_elsewhere_must_be_stored_here() -> None:
    memory = Memory(
        compartments={"a": kept(A), "b": kept(B, THERE), "c": kept(ZERO)}, journal=JOURNAL
    )
    assert [A, JOURNAL] == travelling_roots(memory, HERE)
    assert [A, B, JOURNAL] == travelling_roots(memory, THERE)
    assert [A, B, JOURNAL] == memory.roots()


def test_trap_23_a_compartment_travels_though_its_twin_stays_behind() -> None:
    """Equal data has equal roots; whether it must be stored is a question of each compartment."""
    memory = Memory(compartments={"stays": kept(A, THERE), "travels": kept(A)})
    assert [A] == travelling_roots(memory, HERE)


def test_labels_and_residency_are_those_of_what_travels() -> None:
    memory = Memory(
        compartments={
            "a": kept(A, labels=("x", "b"), residency=("EU",)),
            "b": kept(B, labels=("a", "x"), residency=("DE", "EU")),
            "c": kept(B, THERE, labels=("secret",), residency=("US",)),
        }
    )
    assert ("a", "b", "x") == memory.labels()
    assert ("DE", "EU") == memory.residency()


def test_residency_is_met_by_any_of_its_jurisdictions() -> None:
    free = kept(A)
    bound = replace(free, residency=("EU", "CH"))
    assert may_reside(free, ()) and may_reside(free, ("US",))
    assert may_reside(bound, ("CH",)) and may_reside(bound, ("US", "EU"))
    assert not may_reside(bound, ()) and not may_reside(bound, ("US",))
