"""The ports between what runs an agent and what has custody of it.

    Custodian    the process that may propose the agent's transitions: a host (architecture §3)
    Substrate    where the agent's code gets a process and memory from
    Channel      the line to the agent's side, whatever the substrate

All times are milliseconds since 1970 unless a name says otherwise. Every method may also raise
`StoreFailed` and `Unreachable`: they end the execution and reach its caller.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import UNSET, UnsetType

from sojourn.core.agent.actions import Action
from sojourn.core.agent.approvals import Approvers, Petition, SignedApproval
from sojourn.core.agent.capabilities import Capabilities
from sojourn.core.agent.eligibility import Status, Wake
from sojourn.core.agent.inquiries import Inquiry, SignedAnswer
from sojourn.core.agent.memory.blocks import BlockSource
from sojourn.core.agent.memory.field import Labels, Memory
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import Count, Digest, Name, Text, Value
from sojourn.core.protocol import messages
from sojourn.core.protocol.assessment import Assessment, Finding
from sojourn.core.protocol.querying import Disclosure
from sojourn.core.protocol.spawning import Gift
from sojourn.runtime.sought import Sought

__all__ = [
    "Address",
    "Assessment",
    "Channel",
    "Custodian",
    "Draft",
    "Finding",
    "Intent",
    "Message",
    "Mode",
    "Parcel",
    "Permit",
    "Postmark",
    "Reader",
    "Substrate",
]


class Address(Value):
    """Where an agent can be written to: its identifier, and a zone where it is or was, if one is known.

    From there it is found, admission by admission (protocol §11.3). As text it is both, with "@" between.
    """

    agent: Digest
    zone: Digest | None = None

    def __str__(self) -> str:
        """Return it as text."""
        return cid_text(self.agent) + ("" if self.zone is None else f"@{cid_text(self.zone)}")


class Postmark(Value):
    """Whence an agent's message came: who sent it, from which zone, under which `key` of its own ("" is none).

    `letter` is the key of the effect that sending it was. One that `asks` waits for an answer until then; of agents
    that wait for one another, `waiting` are those behind it. An answer names the letter that it `answers`. With
    `unread` it is word from the zone of `agent`, which has ended, that `letter`, of this agent, was not read.
    `labels` are those of the data that its sender had used, as the certified intent states; absent if there are none.
    """

    agent: Digest
    zone: Digest
    letter: Name
    key: Text = ""
    asks: Count = 0
    waiting: tuple[Digest, ...] = ()
    answers: Text = ""
    unread: bool = False
    labels: Labels | UnsetType = UNSET


class Message(Value):
    """A message in the agent's inbox. `index` counts all messages it ever got, from 0.

    `body` is the value that the sender gave: None, bool, int, float, str, bytes, lists and dicts of these; or of the
    type that it was asked for as. `sender` is the identifier of the agent that sent it, as text, with a `mark` that
    was proved to be its own; or the fingerprint of a person's key.
    """

    index: Count
    sender: Text
    body: Any
    sent_ms: Count
    mark: Postmark | None = None

    @property
    def address(self) -> Address | None:
        """Where its sender can be written to; None for a person."""
        return None if self.mark is None else Address(agent=self.mark.agent, zone=self.mark.zone)

    @property
    def labels(self) -> Labels:
        """What the data in it is called: whoever gets it is bound by these labels (protocol §10.40)."""
        return () if self.mark is None or self.mark.labels is UNSET else self.mark.labels


class Parcel(Value):
    """A letter to deliver, whose intent is final under `key`. `spelled` are the bytes of what it says.

    `zones` are where to look for the receiver first; until `until_ms` it is tried. `intent` is what anchors were
    shown, where an earlier life had it decided. One that `asks` is a question, which its receiver's zone answers.
    """

    key: Name
    spelled: bytes
    until_ms: Count
    zones: tuple[Digest, ...] = ()
    intent: messages.Intent | None = None
    asks: bool = False


class Draft(Value):
    """What one transition would change (protocol §2, row "step"), for the custodian to propose.

    `blocks` are new, children before parents. `records` counts the journal records that came with it, `spent`
    what they cost by budget, and every message before `inbox` is consumed, with the answers to the letters in
    `answered`. `status` None leaves it as it is; otherwise `wake` comes with it. `capabilities` are what becomes of
    an upgrade with it, where there is one: the transition is an adoption then (protocol §8.16).
    """

    memory: Memory
    blocks: dict[Digest, bytes]
    records: Count
    spent: dict[Name, Count] = {}
    inbox: Count = 0
    answered: tuple[Text, ...] = ()
    status: Status | None = None
    wake: tuple[Wake, ...] = ()
    capabilities: Capabilities | None = None


class Intent(Action, kw_only=True):
    """An action with an effect outside, that the agent's code proposes (protocol §10).

    `key` is the effect's key: agent, term, version and index, as text. The version is the one that this host
    expects the intent to have; keys never repeat, since a version is decided once. `labels` and `residency` are
    less what a declassifying step takes off. `petition` and `approvals` are what people were asked and answered,
    where the policies want that, and `follows` is as in what anchors are shown.
    """

    key: Name
    petition: Petition | None = None
    approvals: tuple[SignedApproval, ...] = ()
    follows: Count = 0


class Permit(Value):
    """The gate permits an intent: by which policies, as sentences for the log."""

    policies: tuple[Text, ...] = ()


class Reader(Protocol):
    """What reading an agent's memory and journal takes: the record that names them, and their blocks."""

    @property
    def record(self) -> AgentRecord:
        """The newest final record."""

    @property
    def blocks(self) -> BlockSource:
        """The blocks that are at hand, read without waiting."""

    async def fetch(self, digests: Sequence[bytes]) -> None:
        """Bring blocks to hand. Raises `MissingBlock` for one that nobody has."""


class Custodian(Reader, Protocol):
    """What an execution needs of whoever has custody of the agent. One event loop uses it.

    Its record changes only by what this custodian proposes, or beside memory.
    """

    async def commit(self, draft: Draft) -> AgentRecord:
        """Make a step final and return the new record. Cancelling the wait does not recall it.

        From then on `record` is the new one and the draft's blocks are at hand.

        Raises `LeaseLost`; `Rejected` if the draft cannot be accepted from anyone, such as for a block that
        links to what does not exist.
        """

    async def intend(self, intent: Intent, draft: Draft) -> Permit:
        """Ask the gate here and the anchors' quorum; return once the intent is final.

        Of memory, `draft` changes the journal alone. Cancelling the wait does not recall it. Raises `Denied`, and
        then nothing has changed: `BudgetExhausted` where the agent cannot pay for it, `Unapproved` where people have
        to be asked; `LeaseLost`.
        """

    async def secrets(self, step: str, action: str, names: Sequence[str]) -> dict[str, str]:
        """Return the values of secrets, by name, for a step of the agent whose intent is final.

        Raises `Denied` for what this step may not have here, `Misused` where a value cannot be had.
        """

    async def petition(self, intent: Intent) -> Petition:
        """Return what people are to be asked about an intent, as of now. Raises `Denied` if it is no use."""

    async def ask(self, petition: Petition, draft: Draft) -> None:
        """Put a petition made just now into the record; return once that is final.

        `draft` is as for `intend`. Raises `Denied`, and then nothing has changed; `LeaseLost`.
        """

    async def answered(self, petition: Petition) -> tuple[SignedApproval, ...]:
        """Wait until a petition is approved, however long that takes, and return enough approvals.

        Raises `Denied` when it is declined, has expired or is not pending.
        """

    def withdraw(self, petition: bytes) -> None:
        """Let a petition, by its digest, be dropped from the record with the next step."""

    async def approvers(self) -> Sequence[Mapping[str, Approvers]]:
        """Return the groups of approvers that each document declares which rules the agent, by name."""

    async def hear(
        self, inquiry: Inquiry, unfit: Collection[bytes], said: Collection[bytes]
    ) -> SignedAnswer | None:
        """Wait for an answer to what the agent asks people; None when the time is up.

        But for these, by digest: `unfit` ones are let go of, and those `said` once it is final that they were.
        """

    def progress(self, text: str, done: int | None, total: int | None) -> None:
        """Tell people who watch how far the agent is: the newest word counts, and is kept nowhere for good."""

    def settle(self, settled: Collection[bytes]) -> None:
        """Let go of answers, by digest, and of all to inquiries, of which it is final what came of them."""

    async def beget(self, gift: Gift, memory: Memory) -> AgentRecord:
        """Return the genesis of the child that the agent is to have next, with what proves its family at hand.

        Raises `Denied` if it may have no more, or cannot prove that it is who it is.
        """

    async def spawn(self, child: AgentRecord, draft: Draft) -> Permit:
        """Ask the gate here and the anchors' quorum for a child; return once the SPAWN that names it is final.

        `draft` is as for `intend`, its blocks the child's as well. Raises `Denied`, and then nothing has changed;
        `LeaseLost`.
        """

    async def bear(self, child: AgentRecord, version: int) -> None:
        """Have a child born that the SPAWN of this version names; return once it is, by whomever.

        Raises `Denied` if that will never be; `LeaseLost`.
        """

    async def places(self) -> tuple[Assessment, ...]:
        """Return the agent's judgement of every place known here, this one included."""

    async def depart(self, zone: bytes) -> None:
        """Move the agent to `zone`. Returns once the departure is decided: this custody is over.

        Raises `Refused` or `Denied`, with why, if the agent stays; `LeaseLost`.
        """

    async def seek(self, sought: Sought) -> Assessment:
        """Wait until a known place is as sought, in the agent's judgement; return the cheapest that is."""

    async def receive(
        self, index: int, answers: str = "", by: bytes = b"", *, calls: bool = False
    ) -> Message:
        """Wait for the message with this index in the agent's inbox, and return it. It stays there.

        With `calls` for the first that is to be taken as a call: that has the index from then on.
        Or for the answer to a letter, by that one's effect key: answers have no index, and come in no order. It
        is that of the agent `by`, which was asked: any other may name the letter as well.
        """

    async def waits(self, asked: bytes | None = None) -> str:
        """Return who waits for whom, if an agent that this one waits for asks this one, which has not received it.

        With `asked`, only if it is that agent for which this one waits. Looks at what has come already.
        """

    async def cycle(self, asked: bytes) -> None:
        """Wait until `waits(asked)` says something."""

    async def newest_letter(self, to: bytes) -> int:
        """Return the version that sent the newest letter to an agent which was delivered; 0 if none was."""

    async def deliver(self, parcel: Parcel) -> None:
        """Have a letter kept by the zone where its receiver is; return once it is, however often it is asked.

        Raises `Undeliverable`; `Rejected` for one that its intent does not name; `LeaseLost`.
        """

    async def query(self, parcel: Parcel) -> Disclosure:
        """Have a question answered by the zone where the agent is that is asked, and return what that discloses.

        Raises `Undeliverable`, `Rejected` and `LeaseLost` as `deliver`.
        """

    async def sleep_until(self, at_ms: int) -> None:
        """Wait until `now_ms` has reached a time."""

    async def enter(self, queue: str) -> Callable[[], None]:
        """Wait for a place in a queue of this host's; return what gives it back. Cancelling the wait gives it up."""

    def lease_valid(self) -> bool:
        """Tell whether this host may act for the agent at this very moment (protocol §6)."""

    def now_ms(self) -> int:
        """Return the time."""

    def entropy(self, size: int) -> bytes:
        """Return so many unpredictable bytes."""

    def log(self, source: str, text: str) -> None:
        """Take a line for the host's log: of the agent's output, or a warning about its code."""


class Channel(ABC):
    """The line to an agent's side: frames both ways, in order. The other end is not trusted."""

    @abstractmethod
    async def send(self, frame: bytes) -> None:
        """Send a frame, waiting for room; a frame for an end that is gone is dropped."""

    @abstractmethod
    async def receive(self) -> bytes | None:
        """Wait for the next frame and return it, or None once there is none and will be none.

        Raises `Rejected` for what is no frame.
        """

    @abstractmethod
    async def close(self) -> None:
        """End the agent's side, whatever it does, and return once it is gone."""


Mode = Literal["inside", "process", "confined"]
"""Inside the host's process, which is for code that the zone's policy trusts; in a process of its own, which keeps
crashes and memory apart; or in one that the operating system keeps from network, files and privileges as well."""


class Substrate(ABC):
    """Where agents' code runs."""

    @property
    def confines(self) -> bool:
        """Whether it can run code `confined`; asked for that where it cannot, `start` raises `Failed`."""
        return False

    async def settled(self) -> None:  # noqa: B027 (most know from the first)
        """Wait until it is known whether it `confines`: until then it does not."""

    @abstractmethod
    async def start(
        self, source: Mapping[str, bytes], entry: str, mode: Mode, *, log: "LogSink"
    ) -> Channel:
        """Load an agent's code and return the line to it, ready for an `Execution`.

        `source` maps relative paths to the bytes of Python files, `entry` is "module:Class"; `log` takes the
        lines that the code writes to its standard output and error. Raises `Misused` if there is no such
        agent in `source` or it cannot be loaded, and `Failed` if nothing can be started.
        """

    @abstractmethod
    async def close(self) -> None:
        """End everything that was started here."""


class LogSink(Protocol):
    """Takes a line of an agent's output."""

    def __call__(self, source: str, text: str) -> None:
        """Take a line; `source` is "stdout" or "stderr"."""
