"""What a command says when nothing was decided: what anchors agree on, and not that others were first."""

import pytest

from sojourn.cli.reach import _said
from sojourn.core.base.errors import Denied, Refused, Rejected, SojournError
from sojourn.core.protocol.messages import Declined
from sojourn.runtime.clients.zone_client import Stalled
from tests.samples import found


def said(n: int, *reasons: str) -> SojournError:
    """Return what is said of a zone of n anchors that decline, each for a reason."""
    declined = {
        index: Declined(reason=reason, problem=f"{reason}: so it is", for_now=reason == "refused")
        for index, reason in enumerate(reasons)
    }
    return _said(Stalled("no quorum", declined=declined), found("a", n).manifest)


@pytest.mark.parametrize(
    ("n", "reasons", "kind"),
    [
        (4, ("denied", "denied"), Denied),
        (4, ("denied", "refused", "refused"), Refused),
        (4, ("bad-change", "bad-change"), Rejected),
        (4, ("denied", "refused"), Stalled),
        (4, (), Stalled),
        (1, ("denied",), Denied),
    ],
)
def test_what_more_than_f_anchors_agree_on_is_said(
    n: int, reasons: tuple[str, ...], kind: type[SojournError]
) -> None:
    assert kind is type(said(n, *reasons))


@pytest.mark.parametrize("n", [1, 4])
def test_that_another_was_first_is_no_refusal_but_may_be_tried_again(n: int) -> None:
    assert Stalled is type(said(n, *["nack"] * n))
