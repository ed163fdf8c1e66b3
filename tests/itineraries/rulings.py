"""Cedar asked once for each action: in these worlds every policy permits whatever it is asked.

What a policy that names nothing says of an action does not depend on the agent, the place or the time. Asking
costs a tenth of an itinerary; so all but a slice of the seeds ask once, and go by that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from sojourn.core.policy import cedar
from sojourn.core.policy.cedar import Answer, Compiled
from sojourn.core.policy.request import PolicyRequest

__all__ = ["asked_once"]


@contextmanager
def asked_once() -> Iterator[None]:
    """Let Cedar be asked once by each policy about each action, while the block runs."""
    known: dict[tuple[int, str], tuple[Compiled, Answer]] = {}
    authorize = cedar.authorize

    def again(compiled: Compiled, request: PolicyRequest, action: str) -> Answer:
        key = (id(compiled), action)
        if key not in known:
            known[key] = compiled, authorize(compiled, request, action)
        return known[key][1]

    with patch.object(cedar, "authorize", again):
        yield
