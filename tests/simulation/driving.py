"""Those who ask anchors and hear their answers: clients, anchors that leave a round, leaders of the next one."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import OpenSlot
from sojourn.core.protocol.messages import (
    AskRound,
    Declined,
    Proposal,
    Reply,
    RoundVoted,
    ShowCommit,
)
from sojourn.core.protocol.proposer import Proposer, Send
from sojourn.core.protocol.rounds import RoundChange
from sojourn.core.quorum.certificates import RoundCertificate
from sojourn.core.quorum.votes import Slot
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["CLIENT", "Driver", "client", "leader", "leaver"]

CLIENT = -1


class Driver:
    """Somebody who asks: an anchor by index, or a client; what it asks first, and how it hears."""

    def __init__(
        self, by: int, first: Sequence[Send], hear: Callable[[int, Reply], Sequence[Send]]
    ) -> None:
        self.by, self.first, self.hear = by, first, hear


def client(step: Proposal, slot: Slot, manifest: ZoneManifest, parent: Certified | None) -> Driver:
    """Return somebody who proposes a step in round 0."""
    proposer = Proposer(step, slot, manifest, parent=parent)
    return Driver(CLIENT, _sends(proposer.start()), _hearing(proposer))


def leaver(
    by: int,
    state: OpenSlot,
    manifest: ZoneManifest,
    note: Callable[[RoundCertificate], object],
) -> Driver:
    """Return an anchor that asks all to leave its round, wakes those who know of none, and shows the proof."""
    change = RoundChange(state.slot, state.round, manifest.committee)
    ask = AskRound(slot=state.slot, round=state.round, entry=state.entry)
    everybody = range(len(manifest.anchors))
    asleep: set[int] = set()

    def hear(index: int, reply: Reply) -> Sequence[Send]:
        was_left = change.certificate is not None
        change.heard(index, reply)
        if isinstance(reply, Declined) and reply.reason == "not-open":
            asleep.add(index)
        if was_left:
            return []
        if change.decided is not None:
            return [_adopting(by, change.decided)]
        if change.certificate is not None:
            note(change.certificate)
            entered = AskRound(slot=state.slot, round=state.round + 1, entry=change.certificate)
            return [Send(i, entered) for i in everybody]
        if len(change.votes) < manifest.committee.honest_witness:
            return []
        woken = [Send(i, replace(ask, votes=change.votes)) for i in sorted(asleep)]
        asleep.clear()
        return woken

    return Driver(by, [Send(i, ask) for i in everybody], hear)


def leader(by: int, state: OpenSlot, manifest: ZoneManifest, parent: Certified | None) -> Driver:
    """Return the leader of a round: it asks what is locked, and once a quorum answered it proposes."""
    change = RoundChange(state.slot, state.round, manifest.committee)
    change.remember(state.proposals)
    ask = AskRound(slot=state.slot, round=state.round, entry=state.entry)
    heard: set[int] = set()
    proposers: list[Proposer] = []

    def hear(index: int, reply: Reply) -> Sequence[Send]:
        if proposers and not isinstance(reply, RoundVoted):
            return _hearing(proposers[0])(index, reply)
        change.heard(index, reply)
        heard.add(index)
        if change.decided is not None:
            return [_adopting(by, change.decided)]
        if len(heard) < manifest.committee.quorum or proposers:
            return []
        proposer = Proposer(
            change.choice(),
            state.slot,
            manifest,
            parent=parent,
            round=state.round,
            entry=state.entry,
            justification=change.lock,
        )
        proposers.append(proposer)
        return _sends(proposer.start())

    return Driver(by, [Send(i, ask) for i in range(len(manifest.anchors))], hear)


def _sends(steps: Sequence[object]) -> list[Send]:
    """Return the sends among a proposer's steps; no blocks are lacking here."""
    return [step for step in steps if isinstance(step, Send)]


def _hearing(proposer: Proposer) -> Callable[[int, Reply], list[Send]]:
    return lambda anchor, reply: _sends(proposer.heard(anchor, reply))


def _adopting(by: int, decided: Certified) -> Send:
    """Return what an anchor says to itself when it hears of a decision."""
    proposal = Proposal(transition=decided.transition, seals=())
    return Send(by, ShowCommit(certificate=decided.certificate, proposal=proposal))
