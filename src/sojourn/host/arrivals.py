"""Arrivals as the anchors of a zone offer them: one alone may make them up, f+1 do not (protocol §5).

An admission is tried for as long as a visa waits, and meanwhile nothing else is done about that agent. A liar that
offers arrivals of it, one after the other, would keep a host from binding it for ever.
"""

from collections import OrderedDict
from typing import Final

from sojourn.core.protocol.messages import Arrive

__all__ = ["Arrivals"]

_KEPT_MAX: Final = 1024
"""Arrivals remembered of each anchor: who offers more displaces its own."""


class Arrivals:
    """The newest arrival of each agent that each anchor has offered."""

    def __init__(self, f: int) -> None:
        """Remember nothing yet; `f` anchors may lie."""
        self._f = f
        self._offered: dict[bytes, OrderedDict[bytes, bytes]] = {}

    def is_witnessed(self, anchor: bytes, arrive: Arrive) -> bool:
        """Note that an anchor, by its identity, offers an arrival; tell whether f+1 of them do."""
        gone = arrive.departure.record
        offered = self._offered.setdefault(anchor, OrderedDict())
        offered[gone.agent_id] = gone.digest
        offered.move_to_end(gone.agent_id)
        if len(offered) > _KEPT_MAX:
            offered.popitem(last=False)
        found = (known.get(gone.agent_id) == gone.digest for known in self._offered.values())
        return sum(found) > self._f
