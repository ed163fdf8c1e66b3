"""What an anchor has heard of that keeps it from voting for now (protocol §4 checks 6b, 6c and 9).

Another correct anchor may not have heard of it, or of more: so all of it says "not now", and no value that is locked
waits for it.
"""

from typing import Final

from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.errors import Refused
from sojourn.core.protocol.dossier import Dossier, View
from sojourn.core.protocol.freshness import check_current
from sojourn.core.protocol.revoked import check_unrevoked
from sojourn.core.protocol.waiting import what_waits

__all__ = ["check_heard"]

_HELD_UP: Final = (
    TransitionKind.STEP,
    TransitionKind.ADOPT,
    TransitionKind.INTEND,
    TransitionKind.ASK,
    TransitionKind.SPAWN,
    TransitionKind.DEPART,
)
"""What the agent does: it waits for what its officers published. Its custody, and how it ends, do not."""


def check_heard(dossier: Dossier, transition: Transition, record: AgentRecord, view: View) -> None:
    """Raise `Refused` if what was heard of goes before a transition after `record`, or keeps it from happening.

    Raises `Missing` ("blocks") for documents that are not stored here, and would have to say so.
    """
    if transition.kind in _HELD_UP and (waiting := what_waits(dossier, view, transition.kind)):
        raise Refused(waiting)
    check_current(transition.kind, record, view)
    check_unrevoked(transition, record, view)
