"""The newest progress of agents in this zone, as their hosts tell it: in memory alone, for people who watch."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from sojourn.core.base.errors import Refused
from sojourn.core.protocol.messages import Applied
from sojourn.core.protocol.progress import AskProgress, ProgressTold, PutProgress, SignedProgress

if TYPE_CHECKING:
    from sojourn.anchor.server import Anchor

__all__ = ["Progressing"]

KEPT_MAX: Final = 4_096
"""Agents whose progress an anchor remembers: whoever tells next takes the place of who told longest ago."""


class Progressing:
    """What hosts told of agents, by agent."""

    def __init__(self, anchor: "Anchor") -> None:
        """Begin with none."""
        self._anchor = anchor
        self._told: OrderedDict[bytes, SignedProgress] = OrderedDict()

    def answer(self, request: PutProgress | AskProgress) -> Applied | ProgressTold:
        """Keep what a bound host tells, or tell the newest. Raises `Refused`, and `Rejected` for anybody else."""
        if isinstance(request, PutProgress):
            return self._put(request.told)
        head = self._anchor.shelf.dossier(request.agent).head
        told = self._told.get(request.agent)
        if head is None or told is None:
            return ProgressTold(told=None)
        fence = told.progress.term, told.progress.binding
        is_newest = fence == head.record.custody.fence
        return ProgressTold(told=told if is_newest else None)

    def _put(self, told: SignedProgress) -> Applied:
        agent = told.progress.agent
        head = self._anchor.shelf.dossier(agent).head
        if head is None:
            raise Refused("this zone has never held that agent")
        told.check(head.record.custody.host, head.record.custody.fence)
        known = self._told.get(agent)
        if known is None or _order(known) < _order(told):
            self._told[agent] = told
            self._told.move_to_end(agent)
        while len(self._told) > KEPT_MAX:
            self._told.popitem(last=False)
        return Applied()


def _order(told: SignedProgress) -> tuple[int, int, int]:
    return told.progress.term, told.progress.binding, told.progress.told_ms
