"""What the two sides of an execution tell each other, whatever the substrate.

The agent's side numbers its questions; each is answered by one `Reply` with that number, in any order.
`Commit`, `Ask`, `Intend`, `Spawn`, `Depart`, `Rest` and `Broke` change or end the journal: the host's side takes them
one at a time, in the order they came. It trusts none of it: what is malformed or out of turn is `Rejected`.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from sojourn.core.agent.memory.field import Form, Labels
from sojourn.core.agent.memory.marks import Mark
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import Count, Digest, Name, Text, Value, shown
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import (
    MESSAGE_BYTES_MAX,
)
from sojourn.core.protocol.progress import ProgressText
from sojourn.runtime.ports import Message
from sojourn.runtime.questions import Answer, Asking, Frame, Leave, Question, Rest
from sojourn.runtime.records import SEGMENTS_MAX, Failure, Resume, Roots

__all__ = [
    "FRAME_BYTES_MAX",
    "PARCEL_BYTES",
    "Anew",
    "Broke",
    "Consult",
    "Consulted",
    "Diverged",
    "Forget",
    "FromAgent",
    "FromHost",
    "Go",
    "History",
    "Keep",
    "Load",
    "Loaded",
    "Open",
    "Progressed",
    "Remark",
    "Reply",
    "Shelf",
    "Start",
    "Touch",
    "Unfit",
    "decode_from_agent",
    "decode_from_host",
    "digest_of_records",
    "encode_frame",
    "parcels",
]

FRAME_BYTES_MAX: Final = MESSAGE_BYTES_MAX
PARCEL_BYTES: Final = FRAME_BYTES_MAX // 4
"""Where a series of blocks or records is parted into frames. What goes beyond it is one of them."""


def digest_of_records(records: Sequence[bytes]) -> bytes:
    """Return the digest of records, in their order."""
    return digest(msgspec.msgpack.encode(records))


NO_RECORDS: Final = digest_of_records(())


class Load(Frame):
    """To the agent: load this code. `source` maps paths to files, `entry` is "module:Class"."""

    source: dict[str, bytes]
    entry: str


class Loaded(Frame):
    """To the host: the code is loaded."""


class Unfit(Frame):
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


class Start(Frame):
    """To the agent: who it is, its memory, and where `run` resumes. `History` frames and `Go` follow.

    `length` counts the journal's records so far; `budgets` says what is left of each. A `fresh` agent has no
    journal yet. `parent` is the agent whose child it is, or its origin if it `is_fork`. `replaces` is the code in
    whose place the code here is tried; one that `leaves` stops at the next restart point, where other code is to
    follow.
    """

    agent: Digest
    zone: Digest
    shelves: dict[Name, Shelf]
    resume: Resume
    length: Count
    budgets: dict[Name, Count]
    fresh: bool
    parent: Digest | None = None
    is_fork: bool = False
    replaces: Digest | None = None
    leaves: bool = False


class Consult(Frame):
    """To the agent, in place of `Start`: tell by this query what is in memory, and end. Answered by `Consulted`."""

    agent: Digest
    zone: Digest
    shelves: dict[Name, Shelf]
    name: Name
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    caller: Message


class Consulted(Frame):
    """To the host: what the query told, as builtins, or why it was refused."""

    result: Any = None
    refused: Text = ""
    remedy: Text = ""


class History(Frame):
    """To the agent: the next records of a segment."""

    segment: Count
    records: tuple[bytes, ...]


class Go(Frame):
    """To the agent: the history is complete; run."""


class Keep(Frame):
    """To the host: new blocks, children first, that the next `Commit` counts on."""

    blocks: tuple[bytes, ...]


class Touch(Frame):
    """To the host: the code is about to use a compartment with labels or residency.

    `roots` is memory at this moment, `snapshots` memory at the restart points, and so many `records` of the next
    `Commit` are made, with this digest: they owe nothing to that compartment.
    """

    compartment: Name
    roots: Roots = {}
    snapshots: Annotated[tuple[Roots, ...], Meta(max_length=SEGMENTS_MAX)] = ()
    records: Count = 0
    digest: Digest = NO_RECORDS


class Open(Asking):
    """Ask for what is `sealed` under a number: from here on the code is bound by its labels. Answered by `Told`.

    Or by a `Problem`, and then it is not bound. The others say what `Touch` says of this moment.
    """

    sealed: Count
    roots: Roots = {}
    snapshots: Annotated[tuple[Roots, ...], Meta(max_length=SEGMENTS_MAX)] = ()
    records: Count = 0
    digest: Digest = NO_RECORDS


class Anew(Frame):
    """To the host: what comes now may not remember what came before; this side has stopped.

    The agent is to be executed again, at once, from its last restart point.
    """


class Forget(Frame):
    """To the host: nobody waits any more for what was asked by this number, a `Sleep`, a `Listen` or a `Seek`."""

    asked: Count


class Remark(Frame):
    """To the host: a warning about the agent's code, for the log."""

    text: Text


class Progressed(Frame):
    """To the host: how far the code is, for people who watch. Nothing is journaled."""

    text: ProgressText
    done: Count | None = None
    total: Count | None = None


class Diverged(Frame):
    """To the host: the code does not repeat the journal; this side has stopped."""

    text: Text


class Broke(Frame):
    """To the host: the state of this side cannot be made final; the agent has failed, for this reason."""

    failure: Failure


class Reply(Frame):
    """To the agent: the answer to the question with this number."""

    ask: Count
    answer: Answer


FromAgent: TypeAlias = (
    Question
    | Keep
    | Touch
    | Open
    | Forget
    | Leave
    | Anew
    | Progressed
    | Remark
    | Diverged
    | Broke
    | Rest
    | Consulted
    | Loaded
    | Unfit
)
FromHost: TypeAlias = Load | Start | Consult | History | Go | Reply

_from_agent = msgspec.msgpack.Decoder(FromAgent)
_from_host = msgspec.msgpack.Decoder(FromHost)
_encoder = msgspec.msgpack.Encoder()


def parcels(records: Sequence[bytes]) -> list[list[bytes]]:
    """Part records into frames that are not too large."""
    parted: list[list[bytes]] = []
    size = PARCEL_BYTES
    for record in records:
        if size + len(record) > PARCEL_BYTES:
            parted.append([])
            size = 0
        parted[-1].append(record)
        size += len(record)
    return parted


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
