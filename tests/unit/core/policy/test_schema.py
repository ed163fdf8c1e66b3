"""The published vocabulary."""

import re

import pytest

from sojourn.core.base.errors import Misused
from sojourn.core.policy.document import check_policy
from sojourn.core.policy.request import AgentEntity, RequestContext, ZoneEntity
from sojourn.core.policy.schema import APPLICATION, STANDARD_ACTIONS, check_actions, schema_text


def _attributes(declaration: str) -> set[str]:
    start = schema_text().index(declaration)
    return set(re.findall(r"^  (\w+)\??:", schema_text()[start:].partition("};")[0], re.MULTILINE))


@pytest.mark.parametrize(
    ("declaration", "fields"),
    [
        ("entity Agent", {*AgentEntity.__struct_fields__} - {"id"}),
        ("entity Zone", {*ZoneEntity.__struct_fields__} - {"id"}),
        ("type Circumstances", {*RequestContext.__struct_fields__, "origin"}),
    ],
    ids=["agent", "zone", "context"],
)
def test_the_schema_and_the_request_have_the_same_attributes(
    declaration: str, fields: set[str]
) -> None:
    assert fields == _attributes(declaration)


@pytest.mark.parametrize("action", [*STANDARD_ACTIONS, APPLICATION, "order.place"])
def test_a_rule_may_name_every_action(action: str) -> None:
    text = f'permit (principal, action == Action::"{action}", resource);'
    check_policy(text, ["order.place"])


def test_equal_sets_of_actions_give_equal_text() -> None:
    assert schema_text(["b.x", "a.x", "b.x"]) == schema_text(["a.x", "b.x"])
    assert ("a.x", "b.x") == check_actions(["b.x", "a.x", "b.x"])


@pytest.mark.parametrize(
    "name",
    [
        *("", "travel", "application", "order", "Order.place", "order.", ".place", "a..b"),
        *('a.b"', "a b.c", "a.b\n", "a." + "b" * 63),
    ],
)
def test_an_action_name_that_could_clash_or_escape_is_refused(name: str) -> None:
    with pytest.raises(Misused, match=r"cannot be the name .*order\.place"):
        schema_text([name])


def test_the_number_of_actions_is_limited() -> None:
    schema_text(f"a.x{n}" for n in range(64))
    with pytest.raises(Misused, match="65 actions are declared, more than the limit of 64"):
        schema_text(f"a.x{n}" for n in range(65))
