"""Errors on the wire: which cross, as what, and with which words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import (
    Denied,
    Failed,
    Misused,
    Refused,
    Rejected,
    SojournError,
    StoreFailed,
    Unreachable,
)
from sojourn.transports.faults import FAULT_BYTES_MAX, decode_fault, encode_fault

printable = st.text(st.characters(exclude_categories=("C", "Z")), max_size=200)


def test_the_bytes_of_a_fault_are_fixed() -> None:
    fault = {"code": "denied", "reason": "", "where": "", "problem": "no", "remedy": "ask"}
    assert encode(fault) == encode_fault(Denied("no", remedy="ask"))


@given(printable, printable, printable, printable)
def test_a_rejection_comes_back_whole(problem: str, reason: str, where: str, remedy: str) -> None:
    reason = reason[:64]
    error = decode_fault(encode_fault(Rejected(problem, reason=reason, where=where, remedy=remedy)))
    assert isinstance(error, Rejected)
    expected = (problem, reason, where, remedy)
    assert expected == (error.problem, error.reason, error.where, error.remedy)


@pytest.mark.parametrize("error", [Denied, Refused, Misused, Failed])
@given(problem=printable, remedy=printable)
def test_other_errors_come_back_as_their_class(
    error: type[SojournError], problem: str, remedy: str
) -> None:
    decoded = decode_fault(encode_fault(error(problem, remedy=remedy)))
    assert error is type(decoded)
    assert (problem, remedy) == (decoded.problem, decoded.remedy)


@pytest.mark.parametrize("error", [Unreachable, StoreFailed, SojournError])
def test_the_other_ends_broken_world_is_not_ours(error: type[SojournError]) -> None:
    assert Failed is type(decode_fault(encode_fault(error("p"))))


@given(st.text(max_size=5000), st.text(max_size=5000))
def test_any_error_fits(problem: str, where: str) -> None:
    error = Rejected(problem * 3, reason=problem, where=where, remedy=where * 3)
    body = encode_fault(error)
    assert len(body) <= FAULT_BYTES_MAX
    decoded = decode_fault(body)
    assert isinstance(decoded, Rejected)
    assert len(decoded.problem) <= 2048


def test_texts_that_quote_hostile_bytes_can_be_sent() -> None:
    decoded = decode_fault(encode_fault(Failed("file \udcff\x00.toml")))
    assert "file ?\ufffd.toml" == decoded.problem


def test_texts_cannot_steer_a_terminal() -> None:
    decoded = decode_fault(encode_fault(Denied("\x1b[2J\r\nroot# ", remedy="\u202egnp.exe")))
    assert "\ufffd[2J\ufffd\ufffdroot# " == decoded.problem
    assert "\ufffdgnp.exe" == decoded.remedy


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "truncated"),
        (b"\xff", "malformed"),
        (encode({"code": "denied"}), "bad-field"),
        (
            encode({"code": "own", "reason": "", "where": "", "problem": "", "remedy": ""}),
            "bad-field",
        ),
        (encode(["denied"]), "bad-field"),
        (bytes(FAULT_BYTES_MAX + 1), "too-large"),
    ],
    ids=["empty", "not CBOR", "fields missing", "unknown code", "not a map", "too large"],
)
def test_a_body_that_is_no_fault_is_rejected(body: bytes, reason: str) -> None:
    error = decode_fault(body)
    assert isinstance(error, Rejected)
    assert reason == error.reason


@given(st.binary(max_size=200))
def test_any_bytes_give_an_error_to_raise(body: bytes) -> None:
    assert isinstance(decode_fault(body), SojournError)
