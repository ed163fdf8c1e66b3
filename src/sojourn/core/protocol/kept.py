"""What an anchor has to hold of an agent before it votes for it: its memory, and its share of each key (trap 23)."""

from sojourn.core.agent.memory.field import travelling_roots
from sojourn.core.agent.record import AgentRecord
from sojourn.core.protocol.dossier import View
from sojourn.core.protocol.keeping import check_shares
from sojourn.core.protocol.missing import Missing

__all__ = ["check_blocks", "check_born"]


def check_blocks(record: AgentRecord, view: View) -> None:
    """Raise `Missing` ("blocks") unless what is here of its memory, its code, and what proves a parent are stored."""
    roots = (
        *travelling_roots(record.memory, view.zone),
        *record.proofs,
        *record.capabilities.codes,
    )
    lacking = view.lacking(roots)
    if lacking:
        raise Missing("blocks", tuple(lacking))


def check_born(genesis: AgentRecord, view: View) -> None:
    """Raise as `check_shares` and `check_blocks`, for an agent that is about to be born here."""
    check_shares(genesis, view)
    check_blocks(genesis, view)
