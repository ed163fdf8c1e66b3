"""What happens in a schedule, in words: who says what to whom, about which version of which agent.

Nothing here is computed unless somebody asked for a transcript. A value is shown by the first four digits of its
digest: `a3f1`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from sojourn.core.protocol.binding import Heartbeat, HeartbeatReply
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import (
    AskPast,
    AskWatermark,
    AskWork,
    Past,
    PutBlocks,
    PutMessage,
    Work,
)
from sojourn.core.protocol.messages import (
    Applied,
    Arrive,
    AskHead,
    AskRound,
    AskVisa,
    Declined,
    Head,
    Nack,
    Need,
    Proposal,
    Propose,
    RoundVoted,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.votes import Slot

__all__ = ["MESSAGES", "About", "Line", "about", "decision", "is_routine", "say", "short"]


class About(NamedTuple):
    """Which version of which agent something is about; nothing of it need be known."""

    agent: bytes | None = None
    version: int | None = None


class Line(NamedTuple):
    """One line of a transcript: what happened, between whom if it is a message."""

    at_ms: float
    text: str
    about: About = About()
    source: str = ""
    target: str = ""
    is_fault: bool = False
    is_routine: bool = False
    """Heartbeats and the like: what happens all the time."""

    def __str__(self) -> str:
        who = f"{self.source} → {self.target}: " if self.target else f"{self.source}: "
        return f"{self.at_ms:>9.1f} ms  {who if self.source else ''}{self.text}"


def short(value: bytes | None) -> str:
    """Return the first digits of a digest."""
    return value.hex()[:4] if value else "nothing"


# --- what it is about ---------------------------------------------------------------------------------


def about(body: object, asked: object = None) -> About:
    """Return what a message is about: an answer that does not say so, what was asked."""
    found = _about(body)
    if found.agent is None and asked is not None:
        found = _about(asked)
    return found


def _about(body: object) -> About:
    topic = _TOPICS.get(type(body))
    return topic(body) if topic is not None else About()


def _slot(slot: Slot) -> About:
    return About(slot.agent, slot.version)


def _certified(certified: Certified) -> About:
    return About(certified.record.agent_id, certified.record.version)


def _claimed(body: Heartbeat) -> About:
    return About(body.claims[0].agent) if body.claims else About()


def _offered(body: Work) -> About:
    for item in body.items:
        shown = item.arrive.departure if item.arrive is not None else item.head
        if shown is not None:
            return _certified(shown)
    return About()


_TOPICS: Final[Mapping[type, Callable[[Any], About]]] = {
    Propose: lambda body: _slot(body.slot),
    AskRound: lambda body: _slot(body.slot),
    ShowLock: lambda body: _slot(body.certificate.slot),
    ShowCommit: lambda body: _slot(body.certificate.slot),
    Voted: lambda body: _slot(body.vote.ballot.slot),
    RoundVoted: lambda body: _slot(body.vote.vote.ballot.slot),
    AskVisa: lambda body: _certified(body.head),
    Arrive: lambda body: _certified(body.departure),
    AskHead: lambda body: About(body.agent),
    AskPast: lambda body: About(body.agent),
    PutMessage: lambda body: _certified(body.message.final),
    Heartbeat: _claimed,
    Work: _offered,
}


# --- what it says -------------------------------------------------------------------------------------


def decision(certified: Certified) -> str:
    """Return a decided transition in words."""
    slot, kind = certified.certificate.slot, certified.transition.kind
    value = short(certified.certificate.value)
    return f"version {slot.version} in term {slot.term}: {kind} {value}"


def say(body: object) -> str:
    """Return a message in words."""
    words = _WORDS.get(type(body))
    return words(body) if words is not None else type(body).__name__


def is_routine(body: object) -> bool:
    """Tell whether a message is one of those that go to and fro all the time."""
    return isinstance(body, Heartbeat | HeartbeatReply)


def _propose(body: Propose) -> str:
    transition = body.proposal.transition
    because = ""
    if body.justification is not None:
        because = f", for it was locked in round {body.justification.round}"
    what = f"{transition.kind} {short(transition.digest)}"
    return f"proposes {what} as version {body.slot.version}, round {body.round}{because}"


def _ask_round(body: AskRound) -> str:
    entered = f"enters round {body.round}, and " if body.entry is not None else ""
    woken = f" ({len(body.votes)} did)" if body.votes else ""
    return f"{entered}asks to leave round {body.round} of version {body.slot.version}{woken}"


def _voted(body: Voted) -> str:
    ballot = body.vote.ballot
    if ballot.phase == "visa":
        return f"votes for visa {short(ballot.value)}"
    where = f"version {ballot.slot.version}, round {ballot.round}"
    return f"votes to {ballot.phase} {short(ballot.value)} ({where})"


def _round_voted(body: RoundVoted) -> str:
    ballot, summary = body.vote.vote.ballot, body.vote.summary
    locked = "locked on nothing"
    if summary.value is not None:
        locked = f"locked on {short(summary.value)} in round {summary.round}"
    return f"votes to leave round {ballot.round}, {locked}"


def _nack(body: Nack) -> str:
    return f"does not vote: in round {body.round}, {_locked(body.lock)}{_pending(body.proposal)}"


def _certificate(shown: Certificate) -> str:
    return f"{short(shown.value)} (version {shown.slot.version}, round {shown.round})"


def _locked(lock: Certificate | None) -> str:
    return f"locked on {short(lock.value)} in round {lock.round}" if lock else "locked on nothing"


def _pending(proposal: Proposal | None) -> str:
    return f", knows {short(proposal.transition.digest)}" if proposal is not None else ""


def _head(body: Head) -> str:
    if body.certified is None:
        return "knows nothing of the agent"
    onward = "; it went on" if body.onward is not None else ""
    refused = "; refused" if body.refusal is not None else ""
    return f"knows {decision(body.certified)}{onward}{refused}"


def _work(body: Work) -> str:
    what = []
    for item in body.items:
        if item.arrive is not None:
            what.append(f"arrival of {decision(item.arrive.departure)}")
        elif item.head is not None:
            what.append(f"to run: {decision(item.head)}")
    return f"has work: {', '.join(what) or 'none'}"


def _heartbeat(body: Heartbeat) -> str:
    claims = ", ".join(f"{short(claim.agent)} under {claim.fence}" for claim in body.claims)
    return f"claims {claims or 'nothing'}"


_WORDS: Final[Mapping[type, Callable[[Any], str]]] = {
    Propose: _propose,
    ShowLock: lambda body: f"shows that {_certificate(body.certificate)} is locked",
    ShowCommit: lambda body: f"shows that {_certificate(body.certificate)} is decided",
    AskRound: _ask_round,
    AskVisa: lambda body: f"asks for a visa for version {body.head.record.version}",
    Arrive: lambda body: f"shows the departure {decision(body.departure)}",
    AskHead: lambda body: f"asks for the newest of {short(body.agent)}",
    AskPast: lambda body: f"asks for the past of {short(body.agent)}",
    AskWork: lambda _: "asks for work",
    AskWatermark: lambda body: f"asks which votes of anchor {body.anchor} were seen",
    PutMessage: lambda body: f"posts letter {short(body.message.digest)}",
    PutBlocks: lambda body: f"stores {len(body.blocks)} blocks",
    Voted: _voted,
    RoundVoted: _round_voted,
    Nack: _nack,
    Head: _head,
    Need: lambda body: f"needs {body.what} first",
    Declined: lambda body: f"declines: {body.reason}",
    Applied: lambda _: "done",
    Past: lambda body: f"shows a past of {len(body.chapters)} terms",
    Work: _work,
    Heartbeat: _heartbeat,
    HeartbeatReply: lambda body: f"renews all but {len(body.declined)}",
}

MESSAGES: Final = tuple(sorted(kind.__name__ for kind in _WORDS))
"""The kinds of messages there are."""
