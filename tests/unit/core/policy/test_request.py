"""What a policy is asked."""

from typing import Any

from msgspec.structs import replace

from sojourn.core.base.encoding import decode, digest_of, encode
from sojourn.core.policy.request import PolicyRequest, RequestContext, ZoneEntity
from tests.unit.core.policy.samples import AGENT, IRELAND, VIRGINIA, request, zone


def test_sets_have_one_order_and_no_doubles() -> None:
    assert ("a", "b") == RequestContext(labels=("b", "a", "b")).labels
    assert zone(jurisdiction=("IE", "EU")) == IRELAND
    assert request(labels=("b", "a")).digest() == request(labels=("a", "b", "a")).digest()


def test_the_digest_is_that_of_the_stated_parts() -> None:
    asked = request(origin=VIRGINIA, labels=("a",))
    parts = [AGENT.digest(), "travel", IRELAND.digest(), VIRGINIA.digest(), asked.context]
    assert digest_of(parts) == asked.digest()
    assert digest_of(IRELAND) == IRELAND.digest()
    assert digest_of([*parts[:3], None, asked.context]) == request(labels=("a",)).digest()


def test_every_part_changes_the_digest_and_the_key() -> None:
    asked = request()
    circumstances: dict[str, Any] = {
        "labels": ("a",),
        "labels_dropped": ("a",),
        "residency": ("a",),
        "residency_dropped": ("a",),
        "effect": "once",
        "step": "hedge",
        "cost_micros": 1,
        "own_process": True,
        "confined": True,
        "counterpart": "agent-2",
        "outlives": True,
        "secrets": ("a",),
    }
    assert {*RequestContext.__struct_fields__} == {*circumstances}
    changed = [
        replace(asked, agent=replace(AGENT, code="code-2")),
        replace(asked, agent=replace(AGENT, depth=1)),
        replace(asked, action="execute"),
        replace(asked, zone=zone(price_micros=None)),
        replace(asked, zone=zone(price_micros=0)),
        replace(asked, origin=IRELAND),
        replace(asked, origin=VIRGINIA),
        *(request(**{name: value}) for name, value in circumstances.items()),
    ]
    all_of_them = [asked, *changed]
    assert len(all_of_them) == len({each.digest() for each in all_of_them})
    assert len(all_of_them) == len({each.key for each in all_of_them})


def test_a_changed_copy_does_not_keep_the_digest() -> None:
    asked = request()
    asked.digest()
    other = replace(asked, action="execute")
    assert other.digest() == request("execute").digest()
    assert other.key == request("execute").key


def test_a_request_survives_encoding() -> None:
    asked = request(origin=VIRGINIA, labels=("b", "a"), counterpart="x")
    back = decode(encode(asked), PolicyRequest, what="request", limit=4096)
    assert (asked, asked.digest()) == (back, back.digest())
    assert IRELAND == decode(encode(IRELAND), ZoneEntity, what="zone", limit=4096)
