"""What is exchanged beside votes: blocks, an agent's past, messages to it, leases, and what places there are.

None of these decide anything, so none is ruled on: an anchor answers from its store and from what it knows.
"""

from typing import Annotated, Any

from msgspec import Meta

from sojourn.core.agent.approvals import SignedApproval
from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.inquiries import SignedAnswer, decode_value
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.base.encoding import (
    Count,
    Digest,
    Name,
    PublicKey,
    Value,
    decode,
    digest_of,
)
from sojourn.core.base.limits import (
    ANCHORS_MAX,
    BLOCK_BYTES_MAX,
    MESSAGE_BYTES_MAX,
)
from sojourn.core.base.seals import Kind, Seal, check_own
from sojourn.core.protocol.binding import Heartbeat, HeartbeatReply
from sojourn.core.protocol.custody import Certified, Chapter
from sojourn.core.protocol.gossip import Exchange, Exchanged, Tell
from sojourn.core.protocol.keeping import AskErased, AskShare, KeepShare, KeyShare, SignedErasure
from sojourn.core.protocol.letters import Letter
from sojourn.core.protocol.messages import Arrive, AskVisa, Reply, Request
from sojourn.core.protocol.progress import AskProgress, ProgressTold, PutProgress
from sojourn.core.protocol.querying import AnyQuestion, AskQuery, PutDisclosure, Queried
from sojourn.core.protocol.unread import Unread
from sojourn.core.protocol.visa import Visa
from sojourn.core.quorum.fraud import Fraud
from sojourn.core.quorum.votes import Vote
from sojourn.core.zone.manifest import SignedManifest

__all__ = [
    "AgentMessage",
    "AgentSummary",
    "Agents",
    "AnchorStatus",
    "AnyMessage",
    "AnyReply",
    "AnyRequest",
    "Approvals",
    "AskAgents",
    "AskApprovals",
    "AskBlocks",
    "AskMessages",
    "AskMissing",
    "AskPast",
    "AskProofs",
    "AskStatus",
    "AskWatermark",
    "AskWork",
    "Blocks",
    "Consumed",
    "Mailed",
    "Messages",
    "Missing",
    "Past",
    "Proofs",
    "PutBlocks",
    "PutMessage",
    "ShowVotes",
    "SignedMessage",
    "Watermark",
    "Work",
    "WorkItem",
    "decode_body",
    "decode_reply",
    "decode_request",
    "decode_work",
]

Digests = Annotated[tuple[Digest, ...], Meta(max_length=65_536)]


BlockBytes = Annotated[bytes, Meta(max_length=BLOCK_BYTES_MAX)]
"""One block: canonical DAG-CBOR, named by the digest of its bytes."""


class PutBlocks(Value, tag_field="kind", tag="put-blocks"):
    """Store these blocks. A block is accepted when all that it links to is stored: children go first."""

    blocks: Annotated[tuple[BlockBytes, ...], Meta(max_length=65_536)]


class AskMissing(Value, tag_field="kind", tag="ask-missing"):
    """Say which of these blocks are not stored with you, with all they link to."""

    digests: Digests


class Missing(Value, tag_field="kind", tag="missing"):
    """These."""

    digests: Digests


class AskBlocks(Value, tag_field="kind", tag="ask-blocks"):
    """Send me these blocks. What does not fit in one reply, or is not stored, is left out."""

    digests: Digests


class Blocks(Value, tag_field="kind", tag="blocks"):
    """These blocks."""

    blocks: Annotated[tuple[BlockBytes, ...], Meta(max_length=65_536)]


class AskPast(Value, tag_field="kind", tag="ask-past"):
    """Send me an agent's chapters from a term on (None: none), and its decided transitions from a version on.

    Likewise the orders of officers that such transitions carried out, at most as many.

    What does not fit in one reply is left out.
    """

    agent: Digest
    from_term: Count | None = 0
    from_version: Count = 0
    limit: Annotated[int, Meta(ge=0, le=1024)] = 0


class Past(Value, tag_field="kind", tag="past"):
    """Chapters and decided transitions, oldest first; the visa of the departure that is the head.

    `next_term` is that of the first chapter that was left out. `orders` are those that transitions from the
    version asked for on have carried out, oldest first, as far as the anchor was shown them.
    """

    chapters: tuple[Chapter, ...]
    next_term: Count | None = None
    visa: Visa | None = None
    history: tuple[Certified, ...] = ()
    orders: tuple[SignedOrder, ...] = ()


class AgentMessage(Value, tag_field="kind", tag="message/1"):
    """A message to an agent. `body` is a value's DAG-CBOR; its digest with the rest makes it exactly one."""

    agent: Digest
    sender: PublicKey
    sent_ms: Count
    nonce: Digest
    body: bytes


class SignedMessage(Value, tag_field="kind", tag="signed-message/1"):
    """A message with its sender's seal."""

    message: AgentMessage
    seal: Seal

    @property
    def digest(self) -> bytes:
        """What the receiver counts as one message."""
        return digest_of(self.message)

    @property
    def agent(self) -> bytes:
        """The agent that it is for."""
        return self.message.agent

    @property
    def sent_ms(self) -> int:
        """When it was sent, as its sender says (milliseconds since 1970)."""
        return self.message.sent_ms

    def check(self, *, where: str = "message") -> None:
        """Raise `Rejected` unless the sender it names sealed it, and an agent can take its body."""
        decode_body(self.message.body)
        check_own(Kind.MESSAGE, self.digest, self.seal, self.message.sender, where=where)


def decode_body(body: bytes) -> Any:
    """Return the value in a message's body: what its sender gave.

    Raises `Rejected` for one that is too long, is no value without links, or is nested so deeply that no record
    of a journal holds it: an agent that was given it could not go on.
    """
    return decode_value(body, where="message.body")


AnyMessage = SignedMessage | Letter | Unread
"""A message that waits for an agent: from a person, from another agent, or word that one was not read."""
Mailed = AnyMessage | SignedAnswer
"""All that waits for an agent at its anchors: messages, and answers to what it asks people."""


class PutMessage(Value, tag_field="kind", tag="put-message"):
    """Keep this message, or answer, until the agent's host has consumed it."""

    message: Mailed


class AskMessages(Value, tag_field="kind", tag="ask-messages"):
    """Send me the messages waiting for an agent."""

    agent: Digest


class Messages(Value, tag_field="kind", tag="messages"):
    """These, oldest first, the answers before the messages."""

    messages: tuple[Mailed, ...]


class AskApprovals(Value, tag_field="kind", tag="ask-approvals"):
    """Send me what approvers answered to an agent's pending petitions."""

    agent: Digest


class Approvals(Value, tag_field="kind", tag="approvals"):
    """These answers; `version` is the agent's newest as far as this anchor knows."""

    approvals: tuple[SignedApproval, ...]
    version: Count = 0


class Consumed(Value, tag_field="kind", tag="consumed"):
    """These messages are part of the agent's final memory now; drop them."""

    agent: Digest
    messages: Digests


class WorkItem(Value):
    """Something a host should see to: an agent to bind, to wake (`has_mail` if by a message), or to admit.

    Or a question to an agent, which is answered beside all that.
    """

    has_mail: bool = False
    head: Certified | None = None
    arrive: Arrive | None = None
    application: AskVisa | None = None
    question: AnyQuestion | None = None


class AskWork(Value, tag_field="kind", tag="ask-work"):
    """Which agents are waiting for a host like me? Hosts ask at their start, and after a silence."""

    host: PublicKey


class Work(Value, tag_field="kind", tag="work"):
    """These agents: bound to the asker, or bindable, or arriving for it. Also sent as a notice."""

    items: tuple[WorkItem, ...]


class AskAgents(Value, tag_field="kind", tag="ask-agents"):
    """Which agents does this zone hold? Identifiers after `after`, in order."""

    after: Digest | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 1000


class AgentSummary(Value):
    """One agent as this anchor knows it."""

    agent: Digest
    status: Status
    version: Count
    term: Count
    binding: Count
    host: PublicKey | None
    to_zone: Digest | None = None


class Agents(Value, tag_field="kind", tag="agents"):
    """These agents."""

    agents: tuple[AgentSummary, ...]


class AskStatus(Value, tag_field="kind", tag="ask-status"):
    """Say how you are."""


class AnchorStatus(Value, tag_field="kind", tag="anchor-status"):
    """How this anchor is: counts, and how long it has been up (milliseconds)."""

    zone: Digest
    index: Count
    epoch: Count
    agents: Count
    places: Count
    votes: Count
    up_ms: Count
    software: Name


class AskWatermark(Value, tag_field="kind", tag="ask-watermark"):
    """Which vote of mine with the highest counter have you seen? Asked by an anchor at its start."""

    anchor: Count


class Watermark(Value, tag_field="kind", tag="watermark"):
    """This one, if any: a vote proves itself."""

    vote: Vote | None = None


class ShowVotes(Value, tag_field="kind", tag="show-votes"):
    """These are votes that I was given for a proposal that was not decided: compare them with those shown to you."""

    votes: Annotated[tuple[Vote, ...], Meta(max_length=3 * ANCHORS_MAX)]


class AskProofs(Value, tag_field="kind", tag="ask-proofs"):
    """Send me proofs against anchors, of culprits after `after`, in order: what fits in one reply."""

    after: Digest | None = None


class Proofs(Value, tag_field="kind", tag="proofs"):
    """These proofs, each with the manifest of its zone among `manifests`."""

    proofs: tuple[Fraud, ...]
    manifests: tuple[SignedManifest, ...] = ()


AnyRequest = (
    Request
    | PutBlocks
    | AskMissing
    | AskBlocks
    | AskPast
    | PutMessage
    | AskMessages
    | AskApprovals
    | Consumed
    | AskWork
    | AskAgents
    | AskStatus
    | AskWatermark
    | ShowVotes
    | AskProofs
    | Heartbeat
    | Exchange
    | Tell
    | KeepShare
    | AskShare
    | AskErased
    | PutProgress
    | AskProgress
    | AskQuery
    | PutDisclosure
)
"""Everything an anchor can be asked."""

AnyReply = (
    Reply
    | Missing
    | Blocks
    | Past
    | Messages
    | Approvals
    | Work
    | Agents
    | AnchorStatus
    | Watermark
    | Proofs
    | HeartbeatReply
    | Exchanged
    | KeyShare
    | SignedErasure
    | ProgressTold
    | Queried
)
"""Everything an anchor answers."""


def decode_request(data: bytes) -> AnyRequest:
    """Return the request in a frame's body. Raises `Rejected`."""
    request: AnyRequest = decode(data, AnyRequest, what="request", limit=MESSAGE_BYTES_MAX)
    return request


def decode_reply(data: bytes) -> AnyReply:
    """Return the reply in a frame's body. Raises `Rejected`."""
    reply: AnyReply = decode(data, AnyReply, what="reply", limit=MESSAGE_BYTES_MAX)
    return reply


def decode_work(data: bytes) -> Work:
    """Return the notice in a frame's body: what an anchor has for a host. Raises `Rejected`."""
    return decode(data, Work, what="notice", limit=MESSAGE_BYTES_MAX)
