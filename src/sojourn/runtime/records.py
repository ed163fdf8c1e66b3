"""The journal's records, and where a resume begins.

Every record is one small DAG-CBOR map with its `kind`. `call` counts the durable calls of a segment of `run`,
from 0, in the order the code makes them; records stand in the order in which their results reached the code.
A call is answered by one record, or opened by one and answered by a later one:

    now, log                    at once
    outcome                     a step; with an effect, after its `intent` or once `denied`, perhaps first `asked`
    sleeping → woke             waiting → received              seeking → found
    outcome                     a child; after it was `spawned`, or `denied`
    considered → settled        began, turn, returned, raised: of the run itself
    inquired → answered         people; or withdrawn, at once
    apart                       stands for any of these, which may not be everywhere
    forked                      between what a fork has of its origin, and its own
    barred, parted              of the host, and no part of what is replayed

A `Resume` says which of them a replay needs. It names records by their position in the whole journal and
memory by roots, so that its size does not grow with the agent's age (architecture §5).
"""

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sojourn.core.agent.actions import Action
from sojourn.core.agent.approvals import Petition, SignedApproval
from sojourn.core.agent.inquiries import Inquiry, SignedAnswer
from sojourn.core.agent.memory.marks import Mark, Marks
from sojourn.core.base.encoding import (
    Count,
    Digest,
    Name,
    Text,
    Value,
    bad_field,
    decode_block,
)
from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import COMPARTMENTS_MAX, LABELS_MAX
from sojourn.core.policy.request import Effect
from sojourn.runtime.notes import Barred, Parted, Unshown
from sojourn.runtime.ports import Assessment, Postmark
from sojourn.runtime.sought import Sought
from sojourn.runtime.typed import encode_plain, to_plain

__all__ = [
    "RECORD_BYTES_MAX",
    "REPLAY_RECORDS_MAX",
    "SEGMENTS_MAX",
    "Answered",
    "Apart",
    "Asked",
    "Barred",
    "Began",
    "Considered",
    "Denial",
    "Failure",
    "Forked",
    "Found",
    "Here",
    "Inquired",
    "Intended",
    "Line",
    "Now",
    "Outcome",
    "Parted",
    "Raised",
    "Received",
    "Record",
    "Resume",
    "Returned",
    "Roots",
    "Said",
    "Seeking",
    "Segment",
    "Settled",
    "Sleeping",
    "Spawned",
    "Turn",
    "Unshown",
    "Waiting",
    "Withdrawn",
    "Woke",
    "decode_record",
    "describe",
    "encode_record",
    "parse_record",
]

RECORD_BYTES_MAX: Final = 512 * 1024
"""A record, which means: a step's result. What is larger belongs into memory, where it is kept in parts."""
REPLAY_RECORDS_MAX: Final = 100_000
"""Records that a resume replays: some seconds. `run` is warned long before (`RUN_RECORDS_WARN`)."""
SEGMENTS_MAX: Final = 32
"""Durable loops one after another in one `run`. Each adds the roots of memory to what a resume needs."""


class Failure(Value):
    """Why a step or `run` failed. `cause` says which class `run` sees; `trace` is for people."""

    cause: Literal["failed", "denied", "exhausted", "uncertain", "timeout", "undeliverable"]
    kind: Name
    message: Text
    remedy: Text = ""
    trace: Text = ""


class Began(Value, tag_field="kind", tag="began"):
    """`run` begins, for the first time or anew, with these arguments."""

    arguments: tuple[tuple[Any, ...], dict[str, Any]]


class Turn(Value, tag_field="kind", tag="turn"):
    """Turn `turn` of the durable loop `loop` begins (both count from 0), or the loop has ended."""

    loop: Count
    turn: Count
    ended: bool = False


class Outcome(Value, tag_field="kind", tag="outcome"):
    """A step ended: with a result, or with a failure."""

    call: Count
    step: Name
    arguments: Digest
    attempts: Count
    result: Any = None
    failure: Failure | None = None


class Asked(Value, tag_field="kind", tag="asked"):
    """A step with an effect waits for an approval (protocol §10). `spelled` are its arguments, for who approves.

    They are [positional, named]; their digest is `arguments`.
    """

    call: Count
    step: Name
    arguments: Digest
    petition: Petition
    spelled: Any


class Intended(Action, kw_only=True, tag_field="kind", tag="intent"):
    """A step with an effect was permitted: it may begin under `key` once this is final (protocol §10).

    So was one that declassifies: its effect is "none", and a replay that finds no outcome asks for it anew. What
    the gate was told of the memory that the code had used is kept, with all else that it judged, so that the intent
    can be made again from this. `approvals` are those with which it was permitted, if it had to be approved. Of a
    message, `follows` is the version that sent the one before it to that party.
    """

    call: Count
    key: Name
    approvals: tuple[SignedApproval, ...] = ()
    follows: Count = 0


class Spawned(Value, tag_field="kind", tag="spawned"):
    """A child was permitted, and named by the SPAWN that made this final: its genesis, to be borne from now on.

    `step` is the child's class in the code, `arguments` the digest of what was wished for, `version` that of the
    SPAWN. The host's side writes it.
    """

    call: Count
    step: Name
    arguments: Digest
    child: Digest
    genesis: bytes
    version: Count


class Denial(Value, tag_field="kind", tag="denied"):
    """A step with an effect, or one that declassifies, was denied: by whom and why, as the gate explains it.

    One that declassifies has the effect "none" (protocol §10). `cause` is "exhausted" if a budget did not hold what
    it needed, and "denied" for what policies or trust forbid. The host's side writes it, so that no code can leave
    it out. `at_ms` is its clock (milliseconds since 1970), `version` the newest version when it was asked, whose
    policies ruled, in `zone`.
    """

    call: Count
    step: Name
    arguments: Digest
    action: Name
    effect: Effect
    at_ms: Count
    zone: Digest
    version: Count
    reason: Text
    remedy: Text = ""
    cause: Literal["denied", "exhausted"] = "denied"


class Now(Value, tag_field="kind", tag="now"):
    """The code asked for the time."""

    call: Count
    at_ms: Count


class Here(Value, tag_field="kind", tag="here"):
    """The code asked where it can be written to: by a zone, which is another one after a move."""

    call: Count
    zone: Digest


class Line(Value, tag_field="kind", tag="log"):
    """The code logged a line."""

    call: Count
    at_ms: Count
    text: Text
    fields: dict[str, Any]


class Sleeping(Value, tag_field="kind", tag="sleeping"):
    """The code sleeps until a time."""

    call: Count
    until_ms: Count


class Woke(Value, tag_field="kind", tag="woke"):
    """The sleep that `call` began is over."""

    call: Count


class Waiting(Value, tag_field="kind", tag="waiting"):
    """The code waits for a message, until a time if that is not None."""

    call: Count
    until_ms: Count | None


class Received(Value, tag_field="kind", tag="received"):
    """A message reached the code: its number in the inbox, or None if the time was up.

    An answer to a letter has no number, and a `mark`. Where none came, `waits` may say who waits for whom. One is
    `denied`, with why and without its body, whose labels the code cannot be bound by as well.
    """

    call: Count
    index: Count | None
    sender: Text = ""
    body: Any = None
    sent_ms: Count = 0
    mark: Postmark | None = None
    waits: Text = ""
    denied: Text | UnsetType = UNSET


class Seeking(Value, tag_field="kind", tag="seeking"):
    """The code waits for a place, until a time if that is not None."""

    call: Count
    sought: Sought
    until_ms: Count | None


class Found(Value, tag_field="kind", tag="found"):
    """A place is as the code sought it, as the host judged it then; None if the time was up."""

    call: Count
    place: Assessment | None


class Inquired(Value, tag_field="kind", tag="inquired"):
    """The code asks people something, and waits for an answer."""

    call: Count
    inquiry: Inquiry


class Said(Value, tag_field="kind", tag="said"):
    """What somebody answered to an inquiry, by digest, where others have to say the same: not what came of it yet."""

    call: Count
    inquiry: Digest
    answer: SignedAnswer


class Answered(Value, tag_field="kind", tag="answered"):
    """What came of an inquiry, by digest: the answer that settled it, under its person's seal, or None if none did.

    With a `failure` nobody could be asked, and there is no inquiry (None).
    """

    call: Count
    inquiry: Digest | None
    answer: SignedAnswer | None = None
    failure: Failure | None = None


class Withdrawn(Value, tag_field="kind", tag="withdrawn"):
    """The code waits no more for the answer to an inquiry, by digest."""

    call: Count
    inquiry: Digest


class Considered(Value, tag_field="kind", tag="considered"):
    """The agent judged the places it knows and chose one, or none: a line of its itinerary."""

    call: Count
    places: tuple[Assessment, ...]
    chosen: Digest | None


class Settled(Value, tag_field="kind", tag="settled"):
    """Where the agent is after it considered, and why it did not move if it chose to."""

    call: Count
    zone: Digest
    moved: bool
    reason: Text = ""


class Returned(Value, tag_field="kind", tag="returned"):
    """`run` returned: the agent has finished."""

    result: Any


class Raised(Value, tag_field="kind", tag="raised"):
    """`run` raised, or could not go on: the agent has failed."""

    failure: Failure


class Forked(Value, tag_field="kind", tag="forked"):
    """All before this is the journal of another agent up to a version: the agent is a fork of it (`forked`)."""

    agent: Digest
    version: Count


class Apart(Value, tag_field="kind", tag="apart"):
    """Stands in the journal for a record that may not be everywhere: the value `index` of a log of its own.

    No code gets this one: it gets the record that it stands for (`apart`).
    """

    compartment: Name
    index: Count


Record: TypeAlias = (
    Began
    | Turn
    | Outcome
    | Asked
    | Intended
    | Denial
    | Barred
    | Parted
    | Spawned
    | Now
    | Here
    | Line
    | Sleeping
    | Woke
    | Waiting
    | Received
    | Seeking
    | Found
    | Inquired
    | Said
    | Answered
    | Withdrawn
    | Considered
    | Settled
    | Returned
    | Raised
    | Forked
    | Apart
)

Roots: TypeAlias = Annotated[dict[Name, Digest], Meta(max_length=64)]
"""The root of each compartment, by name."""
MarkList: TypeAlias = Annotated[tuple[Mark, ...], Meta(max_length=COMPARTMENTS_MAX + LABELS_MAX)]
"""Marks, in order: of compartments, and of what the code was told."""


class Segment(Value):
    """A stretch of `run` between durable loops: the memory it began with, and its records.

    All but the first stand behind a loop: at its turn `turn`, or after its end if `turn` is None. `stop` is
    None for the last, which goes on to the end of the journal. `marks` are what its records are bound by: the
    host's word, whatever the agent's side says. `origins` are, of a fork, as whom the code began the stretch, and
    went on behind each `forked` in it, before it was the fork; absent from the bytes where it began as itself.
    """

    memory: Roots
    start: Count
    stop: Count | None = None
    turn: Count | None = None
    marks: MarkList = ()
    origins: tuple[Digest, ...] | UnsetType = UNSET


class Resume(Value):
    """What a replay needs: the arguments of `run`, its segments, and how far entropy and inbox were used.

    `run` counts restarts: it seeds what `ctx.random` and `ctx.uuid` give. `inbox` is the number of the next
    message. `ended` says that nothing is left to run, and how that came. `marks` are what the arguments are bound
    by, again by the host's word.
    """

    run: Count
    seed: Digest
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    segments: Annotated[tuple[Segment, ...], Meta(min_length=1, max_length=SEGMENTS_MAX)]
    inbox: Count = 0
    ended: Literal["returned", "raised"] | None = None
    marks: MarkList = ()

    def bound_by(self) -> Marks:
        """Return what all that a replay needs is bound by."""
        return frozenset(self.marks).union(*(segment.marks for segment in self.segments))


def encode_record(record: Record, *, what: str) -> bytes:
    """Return a record's bytes. `what` names its origin in the error.

    Raises `Misused` if it holds what cannot be encoded, or too much.
    """
    data = encode_plain(to_plain(record, what=what), what=what)
    if len(data) > RECORD_BYTES_MAX:
        raise Misused(
            f"{what} has {len(data)} bytes, more than the {RECORD_BYTES_MAX} of a journal record",
            remedy="Keep large values in memory and return what names them",
        )
    return data


def decode_record(data: bytes) -> Record:
    """Return the record in `data`. Raises `Rejected`."""
    return parse_record(data)[0]


def parse_record(data: bytes) -> tuple[Record, Any]:
    """Return the record in `data`, and the builtins that a journal keeps of it. Raises `Rejected`."""
    plain = decode_block(data, what="journal record", limit=RECORD_BYTES_MAX)
    try:
        record: Record = msgspec.convert(plain, Record)
    except msgspec.ValidationError as error:
        raise bad_field(str(error), "journal record") from None
    return record, plain


def describe(record: Record) -> str:
    """Return a line for people: kind, call and what tells it from others."""
    match record:
        case Outcome() | Asked() | Intended() | Denial() | Spawned():
            kind = record.__struct_config__.tag
            return f"{kind} of call {record.call}: step {record.step}({record.arguments.hex()[:8]})"
        case Turn():
            what = "end" if record.ended else f"turn {record.turn}"
            return f"{what} of loop {record.loop}"
        case Began() | Returned() | Raised() | Apart() | Barred() | Parted() | Forked():
            return str(record.__struct_config__.tag)
        case _:
            return f"{record.__struct_config__.tag} of call {record.call}"
