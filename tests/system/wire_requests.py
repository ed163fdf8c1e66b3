"""Well-formed requests that say what is not so, each with the reason for which an anchor declines it."""

from collections.abc import Callable
from typing import Final

import msgspec

from sojourn.core.base.digests import link_to
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol import exchange, gossip
from sojourn.core.protocol.binding import Claim, Heartbeat
from sojourn.core.protocol.messages import Arrive, AskRound, AskVisa, Evidence, ShowLock
from sojourn.core.protocol.visa import Visa, visa_terms
from sojourn.core.quorum.votes import Phase
from sojourn.runtime.processes import clock
from tests.system.wire_scene import Scene
from tests.village import key, seal

__all__ = ["REQUESTS"]

Make = Callable[[Scene], exchange.AnyRequest]
STRANGER: Final = key("stranger")
NOBODY: Final = bytes(31) + b"\1"
DAY_MS: Final = 86_400_000


def a_change_of_policy(s: Scene) -> exchange.AnyRequest:
    governance = msgspec.structs.replace(s.head.record.governance, version=2)
    return s.propose(s.proposal(s.record(governance=governance)))


def a_seal_in_another_role(s: Scene) -> exchange.AnyRequest:
    proposal = s.proposal()
    wrong = seal(s.host, Kind.TRANSITION, Role.ANCHOR, proposal.transition.digest)
    return s.propose(msgspec.structs.replace(proposal, seals=(wrong,)))


def a_seal_of_another_step(s: Scene) -> exchange.AnyRequest:
    other = s.proposal(at_ms=clock.wall_ms() - 1000)
    return s.propose(msgspec.structs.replace(s.proposal(), seals=other.seals))


def a_second_birth(s: Scene) -> exchange.AnyRequest:
    born = s.past[0].transition
    return s.propose(msgspec.structs.replace(s.proposal(), transition=born, evidence=Evidence()))


def signed_by(*anchors: int) -> Make:
    """Return a maker of certificates that these anchors are said to have signed."""

    def make(s: Scene) -> exchange.AnyRequest:
        part = s.head.certificate.votes[0]
        return s.decided(
            votes=tuple(msgspec.structs.replace(part, anchor=anchor) for anchor in anchors)
        )

    return make


def a_certificate_of_epoch_1(s: Scene) -> exchange.AnyRequest:
    show = s.decided()
    slot = msgspec.structs.replace(show.certificate.slot, epoch=1)
    certificate = msgspec.structs.replace(show.certificate, slot=slot)
    return msgspec.structs.replace(show, certificate=certificate)


def a_commit_for_a_lock(s: Scene) -> exchange.AnyRequest:
    show = s.decided()
    return ShowLock(certificate=show.certificate, proposal=show.proposal)


def an_application(s: Scene) -> AskVisa:
    terms = visa_terms(s.head.record, s.zone, s.host.public, 1, 1000)
    return AskVisa(terms=terms, head=s.head, chapters=(), manifests=(s.signed,))


def an_arrival(s: Scene) -> exchange.AnyRequest:
    visa = Visa(terms=an_application(s).terms, certificate=s.head.certificate)
    return Arrive(departure=s.head, visa=visa)


def a_message(s: Scene) -> exchange.AnyRequest:
    message = exchange.AgentMessage(
        agent=s.head.record.agent_id,
        sender=STRANGER.public,
        sent_ms=clock.wall_ms(),
        nonce=NOBODY,
        body=encode_block("hello"),
    )
    sealed = seal(s.host, Kind.MESSAGE, Role.PERSON, NOBODY)
    return exchange.PutMessage(message=exchange.SignedMessage(message=message, seal=sealed))


def a_heartbeat(s: Scene) -> exchange.AnyRequest:
    claim = Claim(agent=s.head.record.agent_id, term=0, binding=1)
    return Heartbeat(host=s.host.public, sequence=1, claims=(claim,))


def told(s: Scene, **changes: object) -> gossip.Tell:
    """Return the zone's own manifest with some fields changed, and the seals that it had."""
    forged = msgspec.structs.replace(s.signed, manifest=msgspec.structs.replace(s.zone, **changes))
    return gossip.Tell(news=gossip.News(manifests=(forged,)))


STEPS: Final[dict[str, tuple[Make, str]]] = {
    "in another zone's slot": (lambda s: s.propose(group=NOBODY), "wrong-zone"),
    "in another realm": (lambda s: s.propose(realm="production"), "wrong-realm"),
    "in a later epoch": (lambda s: s.propose(epoch=1), "wrong-epoch"),
    "in another agent's slot": (lambda s: s.propose(agent=s.other.record.agent_id), "wrong-slot"),
    "over a version": (lambda s: s.propose(version=s.head.record.version + 2), "wrong-slot"),
    "in a later term": (lambda s: s.propose(term=1), "wrong-slot"),
    "on another parent": (lambda s: s.propose(s.proposal(parent=NOBODY)), "wrong-parent"),
    "to another record's child": (
        lambda s: s.propose(s.proposal(s.record(parent=NOBODY))),
        "wrong-parent",
    ),
    "to another policy": (a_change_of_policy, "bad-change"),
    "by a stranger": (lambda s: s.propose(s.proposal(author=STRANGER)), "wrong-author"),
    "sealed by a stranger": (lambda s: s.propose(s.proposal(signer=STRANGER)), "wrong-key"),
    "sealed in another role": (a_seal_in_another_role, "bad-signature"),
    "with the seal of another": (a_seal_of_another_step, "bad-signature"),
    "without a seal": (
        lambda s: s.propose(msgspec.structs.replace(s.proposal(), seals=())),
        "wrong-author",
    ),
    "of yesterday": (
        lambda s: s.propose(s.proposal(at_ms=clock.wall_ms() - DAY_MS)),
        "untimely",
    ),
    "without a lease": (lambda s: s.propose(), "refused"),
    "in a round that nobody entered": (
        lambda s: msgspec.structs.replace(s.propose(), round=2**31),
        "wrong-leader",
    ),
    "that gives birth again": (a_second_birth, "wrong-slot"),
}

CERTIFICATES: Final[dict[str, tuple[Make, str]]] = {
    "of another zone": (
        lambda s: msgspec.structs.replace(s.decided(), certificate=s.foreign.certificate),
        "wrong-zone",
    ),
    "with another zone's votes": (
        lambda s: s.decided(votes=s.foreign.certificate.votes),
        "no-quorum",
    ),
    "with another agent's votes": (
        lambda s: s.decided(votes=s.other.certificate.votes),
        "bad-signature",
    ),
    "with an earlier version's votes": (lambda s: s.decided(), "bad-signature"),
    "of a later epoch": (a_certificate_of_epoch_1, "wrong-epoch"),
    "for another value": (lambda s: s.decided(value=NOBODY), "wrong-value"),
    "in which one signs three times": (signed_by(0, 0, 0), "duplicate-signer"),
    "by too few": (signed_by(0, 1), "no-quorum"),
    "by anchors that are none": (signed_by(1, 2, 9), "unknown-anchor"),
    "out of order": (signed_by(2, 1, 0), "duplicate-signer"),
    "of locks": (lambda s: s.decided(phase=Phase.LOCK), "wrong-phase"),
    "of commits, shown as locks": (a_commit_for_a_lock, "wrong-phase"),
}

OTHERS: Final[dict[str, tuple[Make, str]]] = {
    "a slot opened by assertion": (lambda s: AskRound(slot=s.propose().slot, round=0), "not-open"),
    "a visa for where it is": (an_application, "wrong-zone"),
    "an arrival that never left": (an_arrival, "wrong-kind"),
    "a block without what it links to": (
        lambda s: exchange.PutBlocks(blocks=(encode_block([link_to(NOBODY)]),)),
        "missing-children",
    ),
    "a block that is none": (lambda s: exchange.PutBlocks(blocks=(b"\xff",)), "malformed"),
    "a block in another form": (
        lambda s: exchange.PutBlocks(blocks=(b"\x18\x01",)),
        "non-canonical",
    ),
    "a message that another sealed": (a_message, "wrong-key"),
    "a heartbeat for another host": (a_heartbeat, "wrong-key"),
    "a question for another's work": (
        lambda s: exchange.AskWork(host=s.host.public),
        "wrong-key",
    ),
    "mail dropped by a stranger": (
        lambda s: exchange.Consumed(agent=s.head.record.agent_id, messages=(NOBODY,)),
        "wrong-key",
    ),
    "a forged manifest": (lambda s: told(s, name="elsewhere"), "bad-signature"),
    "a manifest of another realm": (lambda s: told(s, realm="production"), "wrong-realm"),
}

REQUESTS: Final = (
    {f"a step {name}": case for name, case in STEPS.items()}
    | {f"a certificate {name}": case for name, case in CERTIFICATES.items()}
    | OTHERS
)
