"""Inputs of nothing but size: no decoder takes more memory or more than linear time for them."""

from typing import Any, Final

import pytest

from sojourn.core.base import encoding
from tests.fuzz import bombs
from tests.fuzz.target import Finding, Target
from tests.fuzz.targets import TARGETS, by_name

SIZE: Final = 8_192
SIZE_SOAK: Final = 65_536

DOTTED: Final = {"dots", "dotted numbers"}
OWN_FILES: Final = {
    *("offer", "anchor settings", "anchor public", "address book", "agent file", "schedule"),
    "file of approvers",
    "secrets",
}
"""The standard library walks a dotted key of TOML anew for each dot. These files are a person's own."""
SYNTAX_TREES: Final = {"agent check", "agent source", "agent steps"}
"""CPython makes up to a kilobyte of syntax tree for each byte of source; a source has a limit."""


def tried(target: Target, size: int) -> None:
    for name, make in bombs.of(target):
        if target.name in OWN_FILES and name in DOTTED:
            continue
        try:
            if target.name not in SYNTAX_TREES:
                bombs.check_memory(target, make(4 * size))
            bombs.check_growth(target, make, size)
        except Finding as finding:
            raise AssertionError(f"{name}: {finding}") from finding


QUICK: Final = ("request", "block", "frames", "certificate", "child's frame", "agent file")


@pytest.mark.parametrize("name", QUICK)
def test_size_alone_costs_a_decoder_no_more_than_its_bytes(name: str) -> None:
    tried(by_name[name], SIZE)


@pytest.mark.soak
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_size_alone_costs_no_decoder_more_than_its_bytes(target: Target) -> None:
    tried(target, SIZE_SOAK)


def test_a_list_reserved_for_what_its_header_promises_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoding, "_check_claims", lambda _data, _what: None)
    with pytest.raises(AssertionError, match="held"):
        tried(by_name["block"], SIZE)


def test_work_that_grows_with_the_square_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    check = encoding._check_claims

    def check_again(data: bytes, what: str) -> None:
        """Look at each byte together with all before it, as a careless scanner would."""
        for at in range(0, len(data), 2):
            data[:at].count(b"\x18")
        check(data, what)

    monkeypatch.setattr(encoding, "_check_claims", check_again)
    with pytest.raises(AssertionError, match="take"):
        tried(by_name["block"], 2 * SIZE)


def test_recursion_without_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def depth(plain: Any) -> int:
        return 1 + max(map(depth, plain), default=0) if isinstance(plain, list) else 0

    monkeypatch.setattr(encoding, "_check_depth", lambda plain, _what: depth(plain))
    with pytest.raises(AssertionError, match="RecursionError"):
        tried(by_name["block"], SIZE)
