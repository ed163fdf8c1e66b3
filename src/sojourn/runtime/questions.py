"""What the agent's side of an execution asks of the host's, and how that is answered.

The agent's side numbers its questions; each is answered once, in any order, by one of the answers below.
"""

from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta

from sojourn.core.agent.approvals import Petition
from sojourn.core.agent.inquiries import Expected, Inquiry, SignedAnswer
from sojourn.core.agent.inquiries import Question as Asked
from sojourn.core.agent.memory.field import Labels
from sojourn.core.base.encoding import Count, Digest, Name, PublicKey, Text, Value
from sojourn.core.base.limits import (
    APPROVER_GROUPS_MAX,
    APPROVERS_MAX,
    BLOCK_BYTES_MAX,
    JOURNAL_RECORDS_PER_STEP_MAX,
    MESSAGE_BYTES_MAX,
    SECRETS_MAX,
)
from sojourn.runtime.ports import Assessment, Message, Parcel
from sojourn.runtime.records import RECORD_BYTES_MAX, Resume, Roots
from sojourn.runtime.sought import Sought

__all__ = [
    "ASKED_MAX",
    "RECALL_MAX",
    "SAID_MAX",
    "SOUGHT_MAX",
    "SPELLED_BYTES_MAX",
    "TOLD_BYTES_MAX",
    "UNFIT_MAX",
    "Answer",
    "Ask",
    "AskRelease",
    "Asking",
    "Await",
    "Bear",
    "Begotten",
    "Block",
    "CallModel",
    "Commit",
    "Deliver",
    "Depart",
    "Done",
    "Enter",
    "Fetch",
    "Frame",
    "Handed",
    "Hear",
    "Heard",
    "Inquire",
    "Intend",
    "Leave",
    "Listen",
    "Mail",
    "Perform",
    "Permitted",
    "Petitioned",
    "Places",
    "Posed",
    "Problem",
    "Question",
    "Recall",
    "Release",
    "Replied",
    "Rest",
    "Seek",
    "Sleep",
    "Spawn",
    "Survey",
    "Told",
    "Unapproved",
    "Withdraw",
]

SOUGHT_MAX: Final = 16
"""Places that a resting agent waits for; of further ones it hears when it looks again by itself."""
RECALL_MAX: Final = 4096
"""Blocks named in one question."""
SPELLED_BYTES_MAX: Final = RECORD_BYTES_MAX // 2
"""The arguments of an action that people are asked about: they are shown all of it."""
ASKED_MAX: Final = 16
"""Groups and keys that one question names."""
TOLD_BYTES_MAX: Final = MESSAGE_BYTES_MAX // 2
"""What a model is told in one call."""
SETTINGS_BYTES_MAX: Final = 64 * 1024
UNFIT_MAX: Final = 64
"""Answers to one question that do not fit it: whoever has a say may err, and not for ever."""
SAID_MAX: Final = 2 * APPROVERS_MAX * APPROVER_GROUPS_MAX
"""Answers to one question that are journaled while others have to agree: one of each person."""
Spelled: TypeAlias = Annotated[bytes, Meta(max_length=SPELLED_BYTES_MAX)]
Released: TypeAlias = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=32)]
Secrets: TypeAlias = Annotated[tuple[Name, ...], Meta(max_length=SECRETS_MAX)]
QueueName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
Spent: TypeAlias = Annotated[dict[Name, Count], Meta(max_length=32)]


class Frame(Value, tag_field="kind", tag=True):
    """A frame names its kind."""


class Rest(Frame):
    """To the host: nothing runs until a time (None: no time), a message if it is `listening`, or a place `sought`.

    Or an answer of people, if it is `inquiring`; or a message that `calls` a method.
    """

    until_ms: Count | None
    listening: bool
    sought: Annotated[tuple[Sought, ...], Meta(max_length=SOUGHT_MAX)] = ()
    inquiring: bool = False
    calls: bool = False


class Leave(Frame):
    """To the host: the place in a queue that was asked for by this number, an `Enter`, is wanted no more."""

    asked: Count


class Asking(Frame):
    """A question, by its number."""

    ask: Count


class Commit(Asking):
    """Make records, memory and resume information final together: the state at rest after the last record.

    With `rest`, and let the agent rest by the same transition, which is the last that it has steps or time for.
    """

    records: Annotated[tuple[bytes, ...], Meta(max_length=JOURNAL_RECORDS_PER_STEP_MAX)]
    roots: Roots
    resume: Resume
    spent: Spent
    rest: Rest | None = None


class Intend(Asking):
    """Ask the gate for an action; once permitted, the intent is final in the journal.

    `spends` is what the step takes from other budgets, with the intent or not at all. `petition` is the one that was
    approved, if there is one. `counterpart` is the other party: whom a message is for.
    """

    call: Count
    step: Name
    arguments: Digest
    action: Name
    effect: Literal["idempotent", "once"]
    cost_micros: Count = 0
    tokens: Count = 0
    secrets: Secrets = ()
    spends: Spent = {}
    petition: Petition | None = None
    counterpart: Text = ""


class Ask(Asking):
    """Ask people to approve an action that the gate permits only so. `spelled` are the arguments' bytes."""

    call: Count
    step: Name
    arguments: Digest
    action: Name
    effect: Literal["idempotent", "once"]
    spelled: Spelled
    cost_micros: Count = 0
    tokens: Count = 0
    counterpart: Text = ""
    secrets: Secrets = ()


class Release(Asking):
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


class AskRelease(Asking):
    """Ask people to approve what the gate permits a declassifying step only so."""

    call: Count
    step: Name
    arguments: Digest
    labels: Released
    into: Name
    spelled: Spelled


class Spawn(Asking):
    """Ask the gate for a child; once permitted, the SPAWN is final, and the child's genesis in the journal.

    `step` is its class in the code; `spelled` are the bytes of all that is wished for, whose digest `arguments` is.
    """

    call: Count
    step: Name
    arguments: Digest
    spelled: Annotated[bytes, Meta(max_length=BLOCK_BYTES_MAX)]
    action: Literal["spawn"] = "spawn"
    effect: Literal["once"] = "once"


class Bear(Asking):
    """Have a child born whose SPAWN, at this version, is final. Answered by `Done`, or the problem."""

    genesis: Annotated[bytes, Meta(max_length=RECORD_BYTES_MAX)]
    version: Count


class Await(Asking):
    """Ask to be told, by `Done`, when people have answered a petition: the gate, asked again, says what."""

    petition: Petition


class Withdraw(Asking):
    """Say that nobody waits for the answer to this petition any more."""

    petition: Digest


class Deliver(Asking):
    """Have a letter delivered whose intent is final. Answered by `Done`, or the problem once it never will be.

    Of a question, answered by `Told`.
    """

    parcel: Parcel


class Inquire(Asking):
    """Ask for the inquiry that puts a question to people: groups by name, and keys. Answered by `Posed`, or why not.

    `expects` is a JSON schema of the answer, `lasts_ms` how long it is open (None: as its groups say).
    """

    question: Asked
    expects: Expected
    groups: Annotated[tuple[Name, ...], Meta(max_length=ASKED_MAX)]
    keys: Annotated[tuple[PublicKey, ...], Meta(max_length=ASKED_MAX)]
    lasts_ms: Annotated[int, Meta(ge=1, le=2**53)] | None


class Hear(Asking):
    """Ask to be told what people answer to an inquiry, but for these answers: what does not fit, or is journaled."""

    inquiry: Inquiry
    unfit: Annotated[tuple[Digest, ...], Meta(max_length=UNFIT_MAX)] = ()
    said: Annotated[tuple[Digest, ...], Meta(max_length=SAID_MAX)] = ()


class Perform(Asking):
    """Ask whether the lease is live, right before a step with an effect (protocol §10).

    With the key of its intent, where that names secrets: then it is answered by `Handed`, or the problem.
    """

    key: Text = ""


class CallModel(Asking):
    """Have the host make a model call whose intent is final under `key`, with the arguments that this one is of.

    Answered by `Replied`, or the problem. `settings` are what the code's declaration says besides.
    """

    key: Text
    spelled: Annotated[bytes, Meta(max_length=TOLD_BYTES_MAX)]
    settings: Annotated[bytes, Meta(max_length=SETTINGS_BYTES_MAX)]


class Enter(Asking):
    """Ask for a place in a queue of the host's, for an attempt at a step. Answered by `Done`, ended by `Leave`."""

    queue: QueueName


class Depart(Asking):
    """Move to a zone. Answered only if the agent stays."""

    zone: Digest


class Fetch(Asking):
    """Ask for a block."""

    digest: Digest


class Recall(Asking):
    """Name blocks that a replay made anew, parents first, so that new ones may link to what is below them."""

    digests: Annotated[tuple[Digest, ...], Meta(max_length=RECALL_MAX)]


class Sleep(Asking):
    """Ask to be answered when it is that time."""

    until_ms: Count


class Listen(Asking):
    """Ask for the message with this index, or for None once it is that time.

    With `calls`, for the next one that calls a method, which may be given that index before others that came earlier.
    Or for the answer to a letter, by its effect key: what `answers` it. From `cycles_ms` on that is answered early if
    the agent `asked` waits for this one, perhaps through others, by what this one has not received.
    """

    index: Count
    until_ms: Count | None
    answers: Text = ""
    asked: Digest | None = None
    cycles_ms: Count = 0
    calls: bool = False


class Seek(Asking):
    """Ask for a place that is as sought, or for none once it is that time: answered by `Places`."""

    sought: Sought
    until_ms: Count | None


class Survey(Asking):
    """Ask for the agent's judgement of all places known."""


class Done(Frame):
    """It is done. If `is_spent`, the agent's steps or time are used up: it may lie down, and nothing else."""

    is_spent: bool = False


class Unapproved(Frame):
    """The policies permit it only together with an approval: `Ask` for one."""


class Petitioned(Frame):
    """People are asked: the petition is final in the journal. `is_spent` as for `Done`."""

    petition: Petition
    is_spent: bool = False


class Permitted(Frame):
    """The intent is final: the effect may be had under this key. `is_spent` as for `Done`."""

    key: Name
    is_spent: bool = False


class Handed(Frame):
    """The lease is live, and these are the values of the secrets that the intent names.

    Or none, where the host makes the call itself: `CallModel`.
    """

    secrets: dict[Name, Text]
    relays: bool = False


class Replied(Frame):
    """What a model answered; or why nothing, and after how many seconds to try again, if at all."""

    reply: bytes = b""
    problem: Text = ""
    again_s: Annotated[float, Meta(ge=0, le=3600)] | None = None


class Begotten(Frame):
    """The SPAWN of a child is final, with its genesis: `Bear` it. `given` is what its parent has spent by that."""

    genesis: bytes
    version: Count
    given: dict[Name, Count]
    is_spent: bool = False


class Posed(Frame):
    """The inquiry, to be journaled before people see it."""

    inquiry: Inquiry


class Heard(Frame):
    """What somebody answered, or None because the time is up."""

    answer: SignedAnswer | None


class Block(Frame):
    """The block asked for."""

    data: bytes


class Mail(Frame):
    """The message asked for, or None because the time is up: then perhaps who waits for whom.

    One that has labels comes without its body, which is `sealed` under a number: `Open` is answered by it, as `Told`.
    """

    message: Message | None
    waits: Text = ""
    sealed: Count | None = None


class Places(Frame):
    """The agent's judgement of all places known."""

    places: tuple[Assessment, ...]


class Told(Frame):
    """What a query of another agent found, or why that tells nothing; or what was opened.

    Of what has labels it says these alone, and the number under which the rest is `sealed`.
    """

    result: Any = None
    refused: Text = ""
    remedy: Text = ""
    labels: Labels = ()
    sealed: Count | None = None


class Problem(Frame):
    """It is not done, and why. `is_spent` as for `Done`."""

    cause: Literal["denied", "refused", "exhausted"]
    problem: Text
    remedy: Text = ""
    is_spent: bool = False


Answer: TypeAlias = (
    Done
    | Permitted
    | Unapproved
    | Petitioned
    | Handed
    | Replied
    | Begotten
    | Posed
    | Heard
    | Block
    | Mail
    | Places
    | Told
    | Problem
)


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
    | Deliver
    | Inquire
    | Hear
    | Perform
    | CallModel
    | Enter
    | Depart
    | Fetch
    | Recall
    | Sleep
    | Listen
    | Seek
    | Survey
)
