"""What the searches found in the product, mended since: each input is tried for ever."""

from typing import Final

import pytest

from sojourn.core.base.encoding import encode_block
from tests.fuzz.found_certificates import NAME_OF_A_WRONG_TYPE, NAME_THAT_IS_NO_ASCII
from tests.fuzz.target import examine
from tests.fuzz.targets import by_name

DIGITS: Final = b"9" * 5000
"""More than Python turns into a number: it raises a plain `ValueError`."""

FOUND: Final[dict[str, tuple[str, bytes]]] = {
    "a number of 5,000 digits in an offer": ("offer", b"slots = " + DIGITS),
    "a number of 5,000 digits in an agent's file": ("agent file", b"[budgets]\ncalls = " + DIGITS),
    "a number of 5,000 digits in a schedule": ("schedule", b"title = " + DIGITS),
    "tables nested beyond the parser's depth in a schedule": ("schedule", b"a={" * 5000),
    "a line of source that is all minus signs": ("agent source", b"-" * 32_768),
    "a threshold that is a digit and no number": ("threshold", "amend=²".encode()),
    "a threshold of 5,000 digits": ("threshold", b"amend=" + DIGITS),
    "tolerated faults that are a digit and no number": ("tolerated", "²".encode()),
    "tolerated faults of 5,000 digits": ("tolerated", DIGITS),
    "a date that is a book": ("date", b"[" * 32_768),
    "a date before all dates, once in UTC": ("date", b"0001-01-01T00:00+23:59"),
    "a date after all dates, once in UTC": ("date", b"9999-12-31T23:59-23:59"),
    "a field of a journal's record that steers a terminal": (
        "journal record",
        encode_block({"kind": "woke", "cal\x1b[2J": 0}),
    ),
    "a field of a journal's root that steers a terminal": (
        "journal root",
        encode_block({"kind": "journal/1", "log": None, "resume": {"\x1b[2J": 0}}),
    ),
    "a certificate whose name has a value of a type that it cannot have": (
        "certificate",
        NAME_OF_A_WRONG_TYPE,
    ),
    "a certificate whose name is beyond ASCII": ("certificate", NAME_THAT_IS_NO_ASCII),
    "a key whose seed is beyond ASCII": (
        "key file",
        'format = "sojourn-key/1"\npurpose = "person"\nseed = "é"\npublic = "00"\n'.encode(),
    ),
    "a format of a journal that steers a terminal": (
        "journal root",
        encode_block({"kind": "journal/\u202e", "log": None, "resume": {}}),
    ),
    "a field of a wish for a child that steers a terminal": (
        "wish",
        encode_block({"entry": "a:B", "confi\x1b[2J": 0}),
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_once_is_rejected_as_it_should_be(name: str) -> None:
    target, data = FOUND[name]
    assert not examine(by_name[target], data)
