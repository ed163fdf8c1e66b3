"""What is held against the promises at the end of a simulated world."""

from dataclasses import make_dataclass
from typing import Any

from sojourn.testing.facts import Performed
from sojourn.testing.ledgers import Entry, Ledger
from sojourn.testing.promises import _twice


def order(amount: int, *tags: str) -> Any:
    """Return an order of a class of its own, as each host that loads the code has one."""
    return make_dataclass("Order", ["amount", "tags"])(amount, set(tags))


def performed(argument: Any, effect: str = "idempotent") -> Performed:
    return Performed(
        at_ms=1.0,
        zone="a",
        process="a/host/0",
        agent=b"a",
        fence=None,
        in_lease=True,
        step="place",
        effect=effect,
        key="k",
        arguments=(argument,),
    )


def test_what_is_repeated_by_another_host_with_classes_of_its_own_is_the_same() -> None:
    assert [] == _twice([performed(order(1, "a", "b")), performed(order(1, "b", "a"))])
    different = [performed(order(1)), performed(order(2))]
    assert ["different effects were had under k"] == _twice(different)
    assert 1 == len(_twice([performed(order(1), "once")] * 2))


def test_a_ledger_counts_effects_by_what_they_were_given() -> None:
    ledger = Ledger()
    for key, tags in (("k", "ab"), ("l", "ba")):
        made = Entry(key=key, step="place", effect="once", arguments=(order(1, *tags),), done=1)
        ledger._entries[key] = made
    assert [2] == list(ledger.counts("once").values())
