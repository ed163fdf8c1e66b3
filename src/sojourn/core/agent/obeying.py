"""Obeying: that a record is what an order made of it, to the letter, and that none was forgotten (protocol §2)."""

import msgspec

from sojourn.core.agent.ancestry import BINDING, carried_out_about, ordered_about
from sojourn.core.agent.eligibility import Ancestor
from sojourn.core.agent.governance import Governance, Matter
from sojourn.core.agent.orders import MATTERS, Act, carried_out_on, raised
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.upgrading import check_ordered_upgrade
from sojourn.core.base.errors import Rejected

__all__ = ["check_carried_out", "check_not_set_back"]


def check_carried_out(act: Act, old: AgentRecord, new: AgentRecord) -> None:
    """Raise `Rejected` unless an order was carried out, to the letter, and after those of its matter before it."""
    budgets, uncharged_since_ms = new.eligibility.budgets, new.eligibility.uncharged_since_ms
    about = ordered_about(old.eligibility, new.eligibility) if act in BINDING else None
    if about is not None:
        noted, trust = about[1], old.trust
        issued_ms = noted.last_ordered_ms(MATTERS[act])
        eligibility = carried_out_about(act, old.eligibility, noted.agent, issued_ms)
    else:
        grants = raised(old.eligibility.budgets, budgets)
        eligibility, trust = carried_out_on(act, old.eligibility, old.trust, grants)
    eligibility = msgspec.structs.replace(
        eligibility, budgets=budgets, uncharged_since_ms=uncharged_since_ms
    )
    if (new.eligibility, new.trust) != (eligibility, trust):
        raise _bad(f"to {act} an agent changes something else", "eligibility")
    if act is Act.ERASE and new.memory == old.memory:
        raise _bad("an erasure destroys keys, and none of these was", "memory.compartments")
    if act is Act.UPGRADE:
        ordered_ms = new.governance.last_ordered_ms(Matter.CODE)
        check_ordered_upgrade(old.capabilities, new.capabilities, ordered_ms)
    matter, before, after = MATTERS[act], old.governance, new.governance
    if about is not None:
        if after.ordered_ms != before.ordered_ms:
            problem = "an order about an ancestor is none about the agent"
            raise _bad(problem, "governance.ordered_ms")
        _check_ordered_since(matter, *about, may_be_same=False)
        return
    _check_ordered_since(matter, before, after, may_be_same=False)
    if after.ordered_ms != before.ordered(matter, after.last_ordered_ms(matter)).ordered_ms:
        raise _bad(f"an order to {act} is about {matter} alone", "governance.ordered_ms")


def _check_ordered_since(
    matter: Matter, old: Governance | Ancestor, new: Governance | Ancestor, *, may_be_same: bool
) -> None:
    before, after = old.last_ordered_ms(matter), new.last_ordered_ms(matter)
    if after < before or (after == before and not may_be_same):
        problem = (
            f"an order about {matter} issued at {before} was carried out before one of {after}"
        )
        raise Rejected(problem, reason="rollback", where="governance.ordered_ms")


def check_not_set_back(old: Governance, new: Governance) -> None:
    """Raise `Rejected` for what no amendments make of the field: as many documents, and the same if there was none.

    Nor may an order that was carried out have been forgotten.
    """
    for matter in old.ordered_ms:
        _check_ordered_since(matter, old, new, may_be_same=True)
    if new.version < old.version:
        problem = f"version {new.version} of its governance follows version {old.version}"
        raise Rejected(problem, reason="rollback", where="governance.version")
    is_amended = new.version > old.version
    if len(new.documents) != len(old.documents) or is_amended == (new.documents == old.documents):
        raise _bad("its documents changed in no amendment", "governance.documents")
    if not is_amended and new.cooling != old.cooling:
        raise _bad("what cools changed in no amendment", "governance.cooling")


def _bad(problem: str, where: str) -> Rejected:
    return Rejected(problem, reason="bad-change", where=where)
