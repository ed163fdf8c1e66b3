"""What an error says to people and to programs."""

import pytest

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


def test_a_message_is_the_problem_and_the_remedy() -> None:
    error = Misused("there is no zone 'eu'", remedy="List the zones with `sojourn zone status`")
    assert "there is no zone 'eu'. List the zones with `sojourn zone status`" == str(error)
    assert "no permit applies" == str(Denied("no permit applies"))


def test_a_rejection_names_its_reason_and_its_place() -> None:
    error = Rejected("anchor 7 is unknown", reason="unknown-anchor", where="certificate.votes[2]")
    assert "unknown-anchor: anchor 7 is unknown (at certificate.votes[2])" == str(error)
    assert "truncated: it ends too soon" == str(Rejected("it ends too soon", reason="truncated"))


def test_every_error_is_of_the_tree_and_has_a_code_of_its_own() -> None:
    """Codes go over the wire, in an anchor's refusals: they stay what they are."""
    codes: dict[type[SojournError], str] = {
        SojournError: "error",
        Rejected: "rejected",
        Denied: "denied",
        Refused: "refused",
        Misused: "misused",
        Failed: "failed",
        Unreachable: "unreachable",
        StoreFailed: "store-failed",
    }
    kinds = list(codes)
    assert codes == {kind: kind.code for kind in kinds}
    assert len(kinds) == len(set(codes.values()))
    assert all(issubclass(kind, SojournError) for kind in kinds)
    assert [Unreachable, StoreFailed] == [
        k for k in kinds if issubclass(k, Failed) and k is not Failed
    ]


@pytest.mark.parametrize(
    "error", [Rejected("p", reason="r", where="w", remedy="m"), Failed("p", remedy="m")]
)
def test_errors_keep_their_parts(error: SojournError) -> None:
    assert ("p", "m") == (error.problem, error.remedy)
