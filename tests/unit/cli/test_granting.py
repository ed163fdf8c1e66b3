"""What people write to grant an agent more."""

import pytest

from sojourn.cli.ordering import parse_grants
from sojourn.core.base.errors import Misused


def test_each_amount_is_added_to_one_budget() -> None:
    assert {"steps": 1000, "cost_micros": 5} == parse_grants(("steps=+1000", "cost_micros=+5"))
    assert {"steps": 2**63 - 1} == parse_grants((f"steps=+{2**63 - 1}",))


@pytest.mark.parametrize(
    "texts",
    [
        ("steps",),
        ("steps=1000",),
        ("steps=+",),
        ("=+1",),
        ("steps=+-1",),
        ("steps=+1_000",),
        ("steps=+\u0661",),  # a digit, in another script
        ("steps=+1", "steps=+2"),
        ("steps=+0",),
        (f"steps=+{2**63}",),
        ("steps=+" + "9" * 5_000,),
    ],
)
def test_what_is_no_grant_says_how_to_write_one(texts: tuple[str, ...]) -> None:
    with pytest.raises(Misused) as caught:
        parse_grants(texts)
    assert caught.value.remedy
