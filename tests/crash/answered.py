"""What an anchor has answered, over all its lives: what must be true of it for ever after."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sojourn.core.agent.memory.encryption import Encryption
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import encode
from sojourn.core.protocol import gossip
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import (
    AnyReply,
    AnyRequest,
    Consumed,
    PutBlocks,
    PutMessage,
    SignedMessage,
)
from sojourn.core.protocol.keeping import AskErased, KeepShare, SignedErasure
from sojourn.core.protocol.messages import (
    Applied,
    Arrive,
    AskHead,
    AskVisa,
    Head,
    Propose,
    RoundVoted,
    ShowCommit,
    Voted,
)
from sojourn.core.quorum.votes import Ballot, Phase, Slot, Vote

__all__ = ["Answered"]

Place = tuple[Slot, int, Phase]


@dataclass
class Answered:
    """All of it. `note` fails where an answer contradicts an earlier one."""

    votes: dict[Place, bytes] = field(default_factory=dict)
    counters: dict[int, Ballot] = field(default_factory=dict)
    heads: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    """The term and version of the newest decision of each agent that was applied or shown."""
    applications: dict[bytes, AskVisa] = field(default_factory=dict)
    arrivals: dict[bytes, Arrive] = field(default_factory=dict)
    blocks: set[bytes] = field(default_factory=set)
    messages: dict[bytes, SignedMessage] = field(default_factory=dict)
    consumed: set[bytes] = field(default_factory=set)
    going: set[bytes] = field(default_factory=set)
    """Messages of which it was asked that they be dropped, whether or not it has answered yet."""
    zones: set[bytes] = field(default_factory=set)
    dealt: set[bytes] = field(default_factory=set)
    """Keys of which it was asked to keep a share, whether or not it has answered yet."""
    shares: set[bytes] = field(default_factory=set)
    """Keys of which it keeps a share."""
    condemned: set[bytes] = field(default_factory=set)
    """Keys whose erasure it has voted for: their shares go when that is decided."""
    erased: set[bytes] = field(default_factory=set)
    transient: set[bytes] = field(default_factory=set)
    """Blocks that nothing names and that may be collected: of these nothing is expected."""

    @property
    def newest(self) -> int:
        """The highest counter of a vote that was answered."""
        return max(self.counters, default=0)

    def copy(self) -> "Answered":
        """Return what was answered so far, apart."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return Answered(**{name: type(value)(value) for name, value in fields.items()})

    def note(self, request: AnyRequest, reply: AnyReply) -> None:
        """Take in one answer."""
        match reply:
            case Voted():
                self._note_vote(reply.vote)
            case RoundVoted():
                self._note_vote(reply.vote.vote)
            case Head() if reply.certified is not None:
                self._note_head(reply.certified)
        if isinstance(reply, Applied | Voted | Head | SignedErasure):
            self._note_done(request)

    def _note_done(self, request: AnyRequest) -> None:
        match request:
            case Propose():
                self._note_blocks(request.blocks)
                if (order := request.proposal.evidence.order) is not None:
                    self.condemned.update(order.order.keys)
            case PutBlocks():
                self._note_blocks(request.blocks)
            case AskVisa():
                self.applications[request.terms.agent] = request
            case Arrive():
                self.arrivals[request.departure.record.agent_id] = request
            case ShowCommit():
                agent = request.certificate.slot.agent
                slot = request.certificate.slot
                self._raise_head(agent, (slot.term, slot.version))
                self.applications.pop(agent, None)
                self.arrivals.pop(agent, None)
            case PutMessage():
                self.messages[request.message.digest] = request.message
            case Consumed():
                self.consumed.update(request.messages)
            case gossip.Tell():
                self.zones.update(signed.manifest.zone_id for signed in request.news.manifests)
            case KeepShare():
                self.shares.add(Encryption(commitments=request.commitments).key)
            case AskErased():
                self.erased.update(request.order.order.keys)
            case AskHead():
                pass

    def _note_vote(self, vote: Vote) -> None:
        ballot = vote.ballot
        place = (ballot.slot, ballot.round, ballot.phase)
        before = self.votes.setdefault(place, ballot.value)
        assert before == ballot.value, f"two {ballot.phase} votes in {ballot.slot.describe()}"
        same = self.counters.setdefault(ballot.counter, ballot)
        assert encode(same) == encode(ballot), f"two votes with counter {ballot.counter}"

    def _note_head(self, known: Certified) -> None:
        slot = known.certificate.slot
        self._raise_head(slot.agent, (slot.term, slot.version), shown=True)

    def _raise_head(self, agent: bytes, at: tuple[int, int], *, shown: bool = False) -> None:
        before = self.heads.get(agent, (-1, -1))
        assert not shown or at >= before, f"the head went back from {before} to {at}"
        self.heads[agent] = max(before, at)

    def _note_blocks(self, blocks: Sequence[bytes]) -> None:
        self.blocks.update(map(digest, blocks))
