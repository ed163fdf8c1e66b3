"""What the two sides of an execution tell each other, whatever the substrate.

The agent's side numbers its questions; each is answered by one `Reply` with that number, in any order.
`Commit`, `Ask`, `Intend`, `Spawn`, `Depart`, `Rest` and `Broke` change or end the journal: the host's side takes them
one at a time, in the order they came. It trusts none of it: what is malformed or out of turn is `Rejected`.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from sojourn.core.agent.approvals import Petition
from sojourn.core.agent.memory.field import Form, Labels
from sojourn.core.agent.memory.marks import Mark
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import Count, Digest, Name, Text, Value, shown
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import (
    BLOCK_BYTES_MAX,
    JOURNAL_RECORDS_PER_STEP_MAX,
    MESSAGE_BYTES_MAX,
)
from sojourn.runtime.ports import Assessment, Message
from sojourn.runtime.records import RECORD_BYTES_MAX, SEGMENTS_MAX, Failure, Resume, Roots

__all__ = [
    "FRAME_BYTES_MAX",
    "PARCEL_BYTES",
    "RECALL_MAX",
    "SPELLED_BYTES_MAX",
    "Anew",
    "Answer",
    "Ask",
    "AskRelease",
    "Await",
    "Bear",
    "Begotten",
    "Block",
    "Broke",
    "Commit",
    "Depart",
    "Diverged",
    "Done",
    "Fetch",
    "FromAgent",
    "FromHost",
    "Go",
    "History",
    "Intend",
    "Keep",
    "Listen",
    "Load",
    "Loaded",
    "Mail",
    "Perform",
    "Permitted",
    "Petitioned",
    "Places",
    "Problem",
    "Question",
    "Recall",
    "Release",
    "Remark",
    "Reply",
    "Rest",
    "Shelf",
    "Sleep",
    "Spawn",
    "Start",
    "Survey",
    "Touch",
    "Unapproved",
    "Unfit",
    "Withdraw",
    "decode_from_agent",
    "decode_from_host",
    "digest_of_records",
    "encode_frame",
]

FRAME_BYTES_MAX: Final = MESSAGE_BYTES_MAX
PARCEL_BYTES: Final = FRAME_BYTES_MAX // 4
"""Where a series of blocks or records is parted into frames. What goes beyond it is one of them."""
RECALL_MAX: Final = 4096
"""Blocks named in one question."""
SPELLED_BYTES_MAX: Final = RECORD_BYTES_MAX // 2
"""The arguments of an action that people are asked about: they are shown all of it."""
Spelled: TypeAlias = Annotated[bytes, Meta(max_length=SPELLED_BYTES_MAX)]
Released: TypeAlias = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=32)]
Spent: TypeAlias = Annotated[dict[Name, Count], Meta(max_length=32)]


def digest_of_records(records: Sequence[bytes]) -> bytes:
    """Return the digest of records, in their order."""
    return digest(msgspec.msgpack.encode(records))


NO_RECORDS: Final = digest_of_records(())


class _Frame(Value, tag_field="kind", tag=True):
    """A frame names its kind."""


class Load(_Frame):
    """To the agent: load this code. `source` maps paths to files, `entry` is "module:Class"."""

    source: dict[str, bytes]
    entry: str


class Loaded(_Frame):
    """To the host: the code is loaded."""


class Unfit(_Frame):
    """To the host: the code cannot be loaded, and why."""

    problem: Text
    remedy: Text


class Shelf(Value):
    """A compartment as the agent's side sees it; `held_by` is the zone it stayed in, else None.

    `key` names the key that it is encrypted under. One that `is_erased` can be used nowhere.
    """

    form: Form
    root: Digest
    held_by: Digest | None = None
    labels: Labels = ()
    residency: Labels = ()
    key: Digest | None = None
    is_erased: bool = False

    @property
    def mark(self) -> Mark:
        """What its data is bound by, perhaps nothing."""
        return Mark(labels=self.labels, residency=self.residency)


class Start(_Frame):
    """To the agent: who it is, its memory, and where `run` resumes. `History` frames and `Go` follow.

    `length` counts the journal's records so far; `budgets` says what is left of each. A `fresh` agent has no
    journal yet.
    """

    agent: Digest
    zone: Digest
    shelves: dict[Name, Shelf]
    resume: Resume
    length: Count
    budgets: dict[Name, Count]
    fresh: bool


class History(_Frame):
    """To the agent: the next records of a segment."""

    segment: Count
    records: tuple[bytes, ...]


class Go(_Frame):
    """To the agent: the history is complete; run."""


class Keep(_Frame):
    """To the host: new blocks, children first, that the next `Commit` counts on."""

    blocks: tuple[bytes, ...]


class Touch(_Frame):
    """To the host: the code is about to use a compartment with labels or residency.

    `roots` is memory at this moment, `snapshots` memory at the restart points, and so many `records` of the next
    `Commit` are made, with this digest: they owe nothing to that compartment.
    """

    compartment: Name
    roots: Roots = {}
    snapshots: Annotated[tuple[Roots, ...], Meta(max_length=SEGMENTS_MAX)] = ()
    records: Count = 0
    digest: Digest = NO_RECORDS


class Anew(_Frame):
    """To the host: what comes now may not remember what came before; this side has stopped.

    The agent is to be executed again, at once, from its last restart point.
    """


class Remark(_Frame):
    """To the host: a warning about the agent's code, for the log."""

    text: Text


class Diverged(_Frame):
    """To the host: the code does not repeat the journal; this side has stopped."""

    text: Text


class Broke(_Frame):
    """To the host: the state of this side cannot be made final; the agent has failed, for this reason."""

    failure: Failure


class Rest(_Frame):
    """To the host: nothing runs until a time (None: no time), or a message if it is `listening`."""

    until_ms: Count | None
    listening: bool


class _Question(_Frame):
    ask: Count


class Commit(_Question):
    """Make records, memory and resume information final together: the state at rest after the last record.

    With `rest`, and let the agent rest by the same transition, which is the last that it has steps or time for.
    """

    records: Annotated[tuple[bytes, ...], Meta(max_length=JOURNAL_RECORDS_PER_STEP_MAX)]
    roots: Roots
    resume: Resume
    spent: Spent
    rest: Rest | None = None


class Intend(_Question):
    """Ask the gate for an action; once permitted, the intent is final in the journal.

    `spends` is what the step takes from other budgets, with the intent or not at all. `petition` is the one that was
    approved, if there is one.
    """

    call: Count
    step: Name
    arguments: Digest
    action: Name
    effect: Literal["idempotent", "once"]
    cost_micros: Count = 0
    tokens: Count = 0
    spends: Spent = {}
    petition: Petition | None = None


class Ask(_Question):
    """Ask people to approve an action that the gate permits only so. `spelled` are the arguments' bytes."""

    call: Count
    step: Name
    arguments: Digest
    action: Name
    effect: Literal["idempotent", "once"]
    spelled: Spelled
    cost_micros: Count = 0
    tokens: Count = 0


class Release(_Question):
    """Ask the gate whether a step may take these labels off its result, which goes `into` a compartment.

    `spends` is what the step takes from budgets, with the intent or not at all. `petition` is the one that was
    approved, if there is one.
    """

    call: Count
    step: Name
    arguments: Digest
    labels: Released
    into: Name
    spends: Spent = {}
    petition: Petition | None = None


class AskRelease(_Question):
    """Ask people to approve what the gate permits a declassifying step only so."""

    call: Count
    step: Name
    arguments: Digest
    labels: Released
    into: Name
    spelled: Spelled


class Spawn(_Question):
    """Ask the gate for a child; once permitted, the SPAWN is final, and the child's genesis in the journal.

    `step` is its class in the code; `spelled` are the bytes of all that is wished for, whose digest `arguments` is.
    """

    call: Count
    step: Name
    arguments: Digest
    spelled: Annotated[bytes, Meta(max_length=BLOCK_BYTES_MAX)]
    action: Literal["spawn"] = "spawn"
    effect: Literal["once"] = "once"


class Bear(_Question):
    """Have a child born whose SPAWN, at this version, is final. Answered by `Done`, or the problem."""

    genesis: Annotated[bytes, Meta(max_length=RECORD_BYTES_MAX)]
    version: Count


class Await(_Question):
    """Ask to be told, by `Done`, when people have answered a petition: the gate, asked again, says what."""

    petition: Petition


class Withdraw(_Question):
    """Say that nobody waits for the answer to this petition any more."""

    petition: Digest


class Perform(_Question):
    """Ask whether the lease is live, right before a step with an effect (protocol §10)."""


class Depart(_Question):
    """Move to a zone. Answered only if the agent stays."""

    zone: Digest


class Fetch(_Question):
    """Ask for a block."""

    digest: Digest


class Recall(_Question):
    """Name blocks that a replay made anew, parents first, so that new ones may link to what is below them."""

    digests: Annotated[tuple[Digest, ...], Meta(max_length=RECALL_MAX)]


class Sleep(_Question):
    """Ask to be answered when it is that time."""

    until_ms: Count


class Listen(_Question):
    """Ask for the message with this index, or for None once it is that time."""

    index: Count
    until_ms: Count | None


class Survey(_Question):
    """Ask for the agent's judgement of all places known."""


class Done(_Frame):
    """It is done. If `is_spent`, the agent's steps or time are used up: it may lie down, and nothing else."""

    is_spent: bool = False


class Unapproved(_Frame):
    """The policies permit it only together with an approval: `Ask` for one."""


class Petitioned(_Frame):
    """People are asked: the petition is final in the journal. `is_spent` as for `Done`."""

    petition: Petition
    is_spent: bool = False


class Permitted(_Frame):
    """The intent is final: the effect may be had under this key. `is_spent` as for `Done`."""

    key: Name
    is_spent: bool = False


class Begotten(_Frame):
    """The SPAWN of a child is final, with its genesis: `Bear` it. `given` is what its parent has spent by that."""

    genesis: bytes
    version: Count
    given: dict[Name, Count]
    is_spent: bool = False


class Block(_Frame):
    """The block asked for."""

    data: bytes


class Mail(_Frame):
    """The message asked for, or None because the time is up."""

    message: Message | None


class Places(_Frame):
    """The agent's judgement of all places known."""

    places: tuple[Assessment, ...]


class Problem(_Frame):
    """It is not done, and why. `is_spent` as for `Done`."""

    cause: Literal["denied", "refused", "exhausted"]
    problem: Text
    remedy: Text = ""
    is_spent: bool = False


Answer: TypeAlias = (
    Done | Permitted | Unapproved | Petitioned | Begotten | Block | Mail | Places | Problem
)


class Reply(_Frame):
    """To the agent: the answer to the question with this number."""

    ask: Count
    answer: Answer


Question: TypeAlias = (
    Commit
    | Intend
    | Release
    | Ask
    | AskRelease
    | Spawn
    | Bear
    | Await
    | Withdraw
    | Perform
    | Depart
    | Fetch
    | Recall
    | Sleep
    | Listen
    | Survey
)
FromAgent: TypeAlias = (
    Question | Keep | Touch | Anew | Remark | Diverged | Broke | Rest | Loaded | Unfit
)
FromHost: TypeAlias = Load | Start | History | Go | Reply

_from_agent = msgspec.msgpack.Decoder(FromAgent)
_from_host = msgspec.msgpack.Decoder(FromHost)
_encoder = msgspec.msgpack.Encoder()


def encode_frame(frame: FromAgent | FromHost) -> bytes:
    """Return a frame's bytes."""
    return _encoder.encode(frame)


def decode_from_agent(data: bytes) -> FromAgent:
    """Return the frame that an agent's side sent. Raises `Rejected`."""
    frame: FromAgent = _decode(_from_agent, data)
    return frame


def decode_from_host(data: bytes) -> FromHost:
    """Return the frame that the host's side sent. Raises `Rejected`."""
    frame: FromHost = _decode(_from_host, data)
    return frame


def _decode(decoder: Any, data: bytes) -> Any:
    if len(data) > FRAME_BYTES_MAX:
        problem = f"a frame has {len(data)} bytes, more than the limit of {FRAME_BYTES_MAX}"
        raise Rejected(problem, reason="too-large", where="frame")
    try:
        return decoder.decode(data)
    except (ValueError, OverflowError, RecursionError) as error:  # of msgspec, and of its UTF-8
        raise Rejected(
            f"not a frame: {shown(str(error))}", reason="malformed", where="frame"
        ) from None
