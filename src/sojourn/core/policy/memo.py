"""A bounded memory of decisions: a pure data structure, passed explicitly.

A decision depends on the policies and the request alone: on the digest of the policies, and on what the request
holds (`PolicyRequest.key`). That its own digest need not be computed is a third of what it takes to remember.
"""

from collections import OrderedDict
from typing import Final

from sojourn.core.policy.decision import Decision
from sojourn.core.policy.request import PolicyRequest, RequestKey

__all__ = ["Memo"]

_DECISIONS_MAX: Final = 4096


class Memo:
    """Remembers the decisions used last, at most `limit` of them (a decision is about 1–2 KB).

    Not for use from several threads at once.
    """

    def __init__(self, limit: int = _DECISIONS_MAX) -> None:
        assert limit > 0
        self._limit = limit
        self._decisions: OrderedDict[tuple[bytes, RequestKey], Decision] = OrderedDict()

    def __len__(self) -> int:
        return len(self._decisions)

    def get(self, policy_digest: bytes, request: PolicyRequest) -> Decision | None:
        """Return the remembered decision of these policies on this request, if there is one."""
        key = (policy_digest, request.key)
        decision = self._decisions.get(key)
        if decision is not None:
            self._decisions.move_to_end(key)
        return decision

    def put(self, request: PolicyRequest, decision: Decision) -> None:
        """Remember a decision on this request, and forget the one unused for longest if there are too many."""
        self._decisions[decision.policy_digest, request.key] = decision
        if len(self._decisions) > self._limit:
            self._decisions.popitem(last=False)
