"""What an anchor's answer shows of where an agent is by now. Whoever answers may lie: all of it is checked.

A decision proves itself, so one answer is enough; what it does not show proves nothing (protocol §5, §6).
"""

from collections.abc import Mapping

from sojourn.core.agent.budgets import check_transition
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.custody import Certified, check_refusal
from sojourn.core.protocol.messages import Head
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["decided_on", "followed", "newer_head", "onward_of"]

Manifests = Mapping[bytes, ZoneManifest]


def decided_on(gone: Certified, reply: Head, manifests: Manifests) -> list[Certified]:
    """Return the decisions on a departure in an answer. Raises `Rejected` if one is not what it says."""
    found = []
    for known in (reply.certified, reply.opened, reply.refusal):
        if known is None or known.transition.parent != gone.record.digest:
            continue
        if known.transition.kind is TransitionKind.ADMIT:
            slot = gone.certificate.slot
            check_transition(known.transition, gone.record, slot)
            known.check(manifests, where="onward")
        else:
            check_refusal(known, gone.record, manifests, where="answer")
        found.append(known)
    return found


def onward_of(gone: Certified, reply: Head, manifests: Manifests) -> list[Certified]:
    """Return the admission elsewhere of exactly this departure, if an answer shows it. Raises `Rejected`."""
    onward = reply.onward
    if onward is None or onward.transition.kind is not TransitionKind.ADMIT:
        return []
    return decided_on(gone, Head(certified=onward), manifests)


def followed(agent: bytes, zone: bytes, reply: Head, manifests: Manifests) -> Certified | None:
    """Return where an agent was admitted that departed from `zone`, if an answer of an anchor there shows it.

    What is shown beside it is not believed: anybody's zone may certify that it admitted an agent which it was never
    given. Raises `Rejected`.
    """
    gone = reply.certified
    if gone is None or reply.onward is None:
        return None
    if (gone.certificate.slot.group, gone.record.agent_id) != (zone, agent):
        raise Rejected("a head of something else", reason="wrong-agent", where="certified")
    gone.check(manifests)
    return next(iter(onward_of(gone, reply, manifests)), None)


def newer_head(known: Certified, reply: Head, manifests: Manifests) -> Certified:
    """Return the later of two heads of one agent in one zone. Raises `Rejected` for one that is none."""
    shown, slot = reply.certified, known.certificate.slot
    if shown is None or _order(shown) <= _order(known):
        return known
    if (shown.certificate.slot.group, shown.certificate.slot.agent) != (slot.group, slot.agent):
        raise Rejected("a head of something else", reason="wrong-agent", where="certified")
    # A refusal is a decision, and later than any head before it.
    if shown.transition.kind is TransitionKind.REFUSE:
        raise Rejected("a refusal is no head", reason="wrong-kind", where="certified")
    shown.check(manifests)
    return shown


def _order(certified: Certified) -> tuple[int, int]:
    slot = certified.certificate.slot
    return slot.term, slot.version
