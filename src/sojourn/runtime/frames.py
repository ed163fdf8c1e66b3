"""What the two sides of an execution tell each other, whatever the substrate.

The agent's side numbers its questions; each is answered by one `Reply` with that number, in any order.
`Commit`, `Intend`, `Depart`, `Rest` and `Broke` change or end the journal: the host's side takes them one at
a time, in the order they came. It trusts none of it: what is malformed or out of turn is `Rejected`.
"""

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from sojourn.core.agent.memory.field import Form
from sojourn.core.base.encoding import Count, Digest, Name, Text, Value, shown
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import JOURNAL_RECORDS_PER_STEP_MAX, MESSAGE_BYTES_MAX
from sojourn.runtime.ports import Assessment, Message
from sojourn.runtime.records import Failure, Resume, Roots

__all__ = [
    "FRAME_BYTES_MAX",
    "PARCEL_BYTES",
    "RECALL_MAX",
    "Answer",
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
    "Places",
    "Problem",
    "Question",
    "Recall",
    "Remark",
    "Reply",
    "Rest",
    "Shelf",
    "Sleep",
    "Start",
    "Survey",
    "Unfit",
    "decode_from_agent",
    "decode_from_host",
    "encode_frame",
]

FRAME_BYTES_MAX: Final = MESSAGE_BYTES_MAX
PARCEL_BYTES: Final = FRAME_BYTES_MAX // 4
"""Where a series of blocks or records is parted into frames. What goes beyond it is one of them."""
RECALL_MAX: Final = 4096
"""Blocks named in one question."""


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

    One that `is_erased` can be used nowhere.
    """

    form: Form
    root: Digest
    held_by: Digest | None = None
    is_erased: bool = False


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
    spent: Annotated[dict[Name, Count], Meta(max_length=32)]
    rest: Rest | None = None


class Intend(_Question):
    """Ask the gate for an action; once permitted, the intent is final in the journal."""

    call: Count
    step: Name
    arguments: Digest
    action: Name
    effect: Literal["idempotent", "once"]
    cost_micros: Count = 0
    tokens: Count = 0


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


class Permitted(_Frame):
    """The intent is final: the effect may be had under this key. `is_spent` as for `Done`."""

    key: Name
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


Answer: TypeAlias = Done | Permitted | Block | Mail | Places | Problem


class Reply(_Frame):
    """To the agent: the answer to the question with this number."""

    ask: Count
    answer: Answer


Question: TypeAlias = Commit | Intend | Perform | Depart | Fetch | Recall | Sleep | Listen | Survey
FromAgent: TypeAlias = Question | Keep | Remark | Diverged | Broke | Rest | Loaded | Unfit
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
