"""Nothing unordered (P3): what was carried out officers ordered, of just this agent, in its time, and once."""

from collections.abc import Set

from sojourn.core.agent.orders import Act, SignedOrder
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.seals import Kind, Role, is_sealed
from sojourn.core.protocol.custody import Certified
from sojourn.testing.checkers.decisions import Decisions
from sojourn.testing.checkers.verdict import Violation

__all__ = ["check"]

_KINDS = frozenset(map(str, Act))


def check(decisions: Decisions, officers: Set[bytes]) -> list[Violation]:
    """Return orders that were carried out though none of these officers had sealed them, or twice."""
    found: list[Violation] = []
    carried_out: dict[bytes, Certified] = {}
    for value, done in decisions.applied.items():
        if str(done.transition.kind) not in _KINDS:
            continue
        proposal, record = decisions.history.proposals.get(value), done.record
        signed = None if proposal is None else proposal.evidence.order
        problem = _problem(signed, done, officers)
        if signed is not None and not problem:
            first = carried_out.setdefault(digest_of(signed.order), done)
            if first.transition.digest != done.transition.digest:
                problem = f"version {first.record.version} carried it out"
        if problem:
            what = f"version {record.version} ({done.transition.kind}): {problem}"
            found.append(Violation("nothing unordered", what, record.agent_id, record.version))
    return found


def _problem(signed: SignedOrder | None, done: Certified, officers: Set[bytes]) -> str:
    """Return what is wrong with the order under a decision: "" if it is its officers'."""
    if signed is None:
        return "nobody ordered it"
    order, named = signed.order, digest_of(signed.order)
    if (order.agent, str(order.act)) != (done.record.agent_id, str(done.transition.kind)):
        return "something else was ordered"
    if done.transition.at_ms > order.expires_ms:
        return "its time was over"
    is_theirs = any(
        seal.signer in officers and is_sealed(Kind.ORDER, Role.ISSUER, named, seal)
        for seal in signed.seals
    )
    return "" if is_theirs else "no officer has sealed it"
