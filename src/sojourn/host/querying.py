"""Questions to agents of this zone, answered by this host from final memory (protocol §10.36).

f+1 anchors tell of it ─► newest head ─► may it be disclosed? ─► the agent's query runs ─► and what it read? ─► sealed

Nobody is bound, woken or held up by it, and no lease is held: whatever the answer is, it is of the past.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from sojourn.core.agent.eligibility import ENDED
from sojourn.core.agent.inquiries import decode_value
from sojourn.core.agent.memory.marks import Marks, described, home_of, labels_of
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.encoding import digest_of, encode_block
from sojourn.core.base.errors import Denied, Misused, Rejected, SojournError
from sojourn.core.base.limits import LABELS_MAX
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.policy.request import RequestContext
from sojourn.core.protocol import permission
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.letters import AgentEnded, Letter, NeverHeld
from sojourn.core.protocol.querying import (
    DISCLOSE,
    AnyQuestion,
    Disclosure,
    PutDisclosure,
    SignedDisclosure,
    asker_name,
    asker_of,
    check_asked,
    query_in,
)
from sojourn.host.binding import newest_head
from sojourn.host.code import source_of
from sojourn.host.modes import permitted_mode
from sojourn.runtime.host_side.consulting import Consultation, consult
from sojourn.runtime.ports import Message, Postmark
from sojourn.runtime.processes import clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sojourn.core.agent.memory.blocks import BlockSource
    from sojourn.host.server import Host

__all__ = ["Querying"]

log = structlog.get_logger("host")

ANSWER_S: Final = 10.0
"""How long a query may take."""
_AT_ONCE: Final = 4
_QUESTIONS_MAX: Final = 256
_BROKE: Final = "the agent's code broke the rules of a query: the log of its host says how"

Begin = Callable[..., None]


class _Question:
    """A question, which anchors told of it, and what was told."""

    def __init__(self) -> None:
        self.anchors: set[bytes] = set()
        self.is_begun = False
        self.told: SignedDisclosure | None = None


class Querying:
    """The questions that one host was told of lately."""

    def __init__(self, host: "Host") -> None:
        """Begin with none."""
        self._host = host
        self._questions: OrderedDict[bytes, _Question] = OrderedDict()
        self._room = asyncio.Semaphore(_AT_ONCE)

    def offered(self, anchor: bytes, question: AnyQuestion, begin: Begin) -> None:
        """See to a question once f+1 anchors tell of it; an anchor that asks again is told again.

        `begin` begins what takes time.
        """
        known = self._questions.setdefault(question.digest, _Question())
        self._questions.move_to_end(question.digest)
        while len(self._questions) > _QUESTIONS_MAX:
            self._questions.popitem(last=False)
        known.anchors.add(anchor)
        if known.told is not None:
            self._host.zone.tell_all(PutDisclosure(told=known.told))
        elif not known.is_begun and len(known.anchors) > self._host.manifest.f:
            known.is_begun = True
            begin(self._answer, question, known)

    async def _answer(self, question: AnyQuestion, known: _Question) -> None:
        """Answer a question; if the world fails meanwhile, it may be told of again."""
        try:
            async with self._room, asyncio.timeout(2 * ANSWER_S):
                check_asked(question)
                disclosure = await self._disclosure(question)
        except (SojournError, TimeoutError) as error:
            log.info("a question is not answered", problem=str(error))
            known.is_begun = False
            return
        key = self._host.key
        signature = key.sign(statement(Kind.DISCLOSURE, Role.HOST, digest_of(disclosure)))
        seal = Seal(signer=key.public, signature=signature)
        known.told = SignedDisclosure(disclosure=disclosure, seal=seal)
        self._host.zone.tell_all(PutDisclosure(told=known.told))

    async def _disclosure(self, question: AnyQuestion) -> Disclosure:
        """Return what the agent tells, or why it tells nothing. Raises `SojournError` for what may pass."""
        head = await newest_head(self._host, question.agent)
        if head is None:
            raise NeverHeld("no anchor shows that agent")
        told = Disclosure(
            question=question.digest,
            agent=question.agent,
            version=head.record.version,
            told_ms=clock.wall_ms(),
        )
        try:
            found = await self._consulted(head, question)
            result = b"" if found.told.refused else _spelled(found.told.result)
        except (AgentEnded, Denied, Misused) as error:
            log.info("a query is refused", agent=question.agent.hex()[:12], problem=str(error))
            replaced = {"refused": error.problem[:16_384], "remedy": error.remedy[:4_096]}
            return msgspec.structs.replace(told, **replaced)
        except (
            Rejected
        ) as error:  # its words may be of what the code read, whose labels nobody has told
            log.info("a query is refused", agent=question.agent.hex()[:12], problem=str(error))
            return msgspec.structs.replace(told, refused=_BROKE)
        said = found.told
        return msgspec.structs.replace(
            told,
            result=result,
            labels=labels_of(found.marks),
            refused=said.refused,
            remedy=said.remedy,
        )

    async def _consulted(self, head: Certified, question: AnyQuestion) -> Consultation:
        """Run the query, and return what it told that may be disclosed. Raises `Denied`, `Misused`, `Rejected`."""
        record, query = head.record, query_in(question)
        if record.eligibility.status in ENDED:
            raise AgentEnded("that agent has ended")
        await self._check_disclosed(record, question, frozenset())
        mode = await permitted_mode(self._host, record)
        code = record.capabilities.code
        await self._host.blocks.fetch([code])
        channel = await self._host.substrate.start(
            source_of(self._host.blocks.get(code)), record.capabilities.entry, mode, log=_silent
        )
        try:
            async with asyncio.timeout(ANSWER_S):
                found = await consult(
                    _Final(self._host, record),
                    channel,
                    query.name,
                    query.arguments,
                    _caller(question),
                )
        except TimeoutError:
            problem = f"query {query.name!r} took longer than {ANSWER_S:g} s"
            raise Misused(
                problem, remedy="Let run keep in memory what takes long to find"
            ) from None
        finally:
            await channel.close()
        if found.marks:
            await self._check_disclosed(record, question, found.marks)
        return found

    async def _check_disclosed(
        self, record: AgentRecord, question: AnyQuestion, marks: Marks
    ) -> None:
        """Raise `Denied` unless the policies of agent and zone, and trust, permit that who asks is told this."""
        host, now_ms = self._host, clock.wall_ms()
        query = query_in(question)
        if home_of(marks) != ():
            problem = f"query {query.name!r} read {described(marks)}, and who asks may be anywhere"
            raise Denied(problem, remedy="Let a step put what may leave into another compartment")
        if len(labels_of(marks)) > LABELS_MAX:
            problem = f"query {query.name!r} read data with {len(labels_of(marks))} labels"
            raise Denied(problem, remedy=f"Let it read what has {LABELS_MAX} at most")
        governing = await host.outlook.governing(record, now_ms)
        permission.check_trusted(record, host.zone_id, DISCLOSE, host.places.endorsements, now_ms)
        context = RequestContext(
            labels=labels_of(marks), step=query.name, counterpart=asker_of(question)
        )
        verdict = permission.ask(
            record, governing, DISCLOSE, host.manifest, host.manifest, context, host.memo
        )
        permission.check_permitted(verdict)


class _Final:
    """Reads one version of an agent's memory."""

    def __init__(self, host: "Host", record: AgentRecord) -> None:
        self._host, self.record = host, record

    @property
    def blocks(self) -> "BlockSource":
        """The blocks that are at hand."""
        return self._host.blocks

    async def fetch(self, digests: "Sequence[bytes]") -> None:
        """Bring blocks to hand from the anchors."""
        await self._host.blocks.fetch(digests)


def _caller(question: AnyQuestion) -> Message:
    """Return who asks, as code is told who writes to it."""
    mark = None
    if isinstance(question, Letter):
        mark = Postmark(agent=question.sender, zone=question.zone, letter=question.intent.key)
    return Message(
        index=0, sender=asker_name(question), body=None, sent_ms=clock.wall_ms(), mark=mark
    )


def _spelled(result: Any) -> bytes:
    """Return a result's bytes. Raises `Rejected` for what no message carries: an honest side has refused that."""
    data = encode_block(result)
    decode_value(data, where="the result of the query")
    return data


def _silent(source: str, text: str) -> None:
    """Drop what a query prints: whoever may ask could fill the host's log."""
