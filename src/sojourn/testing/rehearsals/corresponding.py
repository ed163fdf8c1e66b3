"""What an agent that is rehearsed writes to others: its family; and who is not there, for whom a function answers."""

import asyncio
from typing import TYPE_CHECKING, Any

from msgspec import convert
from msgspec.structs import replace

from sojourn.core.agent.memory.marks import home_of, labels_of
from sojourn.core.base.digests import ZERO, cid_text
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Denied, Misused, Rejected
from sojourn.core.protocol.letters import Said, read_said
from sojourn.core.protocol.querying import Disclosure, Query
from sojourn.core.protocol.unread import is_over
from sojourn.runtime.errors import QueryRefused
from sojourn.runtime.ports import Message, Parcel, Postmark
from sojourn.runtime.processes import clock
from sojourn.runtime.typed import to_plain
from sojourn.testing.rehearsals.mail import is_call, is_call_next

if TYPE_CHECKING:
    from collections.abc import Callable

    from sojourn.testing.rehearsals.custody import Decided

__all__ = ["Correspondence", "RehearsedLetters", "tell_unread"]


class Correspondence:
    """What a rehearsal tells of letters."""

    _decided: "Decided"

    @property
    def sent(self) -> list[Said]:
        """What the agent wrote to other agents, each letter once, in order."""
        return [read_said(parcel.spelled) for parcel in self._decided.letters.values()]

    def answer(self, function: "Callable[[Any], Any]") -> None:
        """Let a function answer what is asked of agents outside the family, by `ctx.request` or `ctx.query`.

        Of the latter it is given the `Query`: a name, and arguments. To refuse it raises `QueryRefused`.
        """
        self._decided.common.answering = function
        self._decided.common.stir()


def tell_unread(ended: "Decided") -> None:
    """Tell those of the family whose letters an agent has not read, and never will, that it has ended."""
    if not is_over(ended.record):
        return
    unread, ended.mail.consumed = ended.mail.unread, len(ended.mail.inbox)
    for message in unread:
        sender = message.mark and ended.common.agents.get(message.mark.agent)
        if sender and message.mark and not message.mark.unread:
            record = ended.record
            sender.mail.tell_unread(
                message, record.agent_id, record.custody.zone, ended.common.now_ms()
            )


def _is_expected(to: "Decided", said: Said, sender: bytes) -> bool:
    """Tell whether what is said answers nothing, or what its receiver asked of its sender (protocol §10.31)."""
    asked = to.letters.get(said.answers)
    return asked is None or read_said(asked.spelled).to == sender


class RehearsedLetters:
    """The part of a `Custodian` that delivers letters."""

    _final: "Decided"
    _received: int
    """The index behind the newest message that was handed to the code in this life."""
    _takes_calls = 0

    def _watcher(self) -> asyncio.Future[None]:
        raise NotImplementedError

    async def _pass(self, where: str) -> None:
        raise NotImplementedError

    async def newest_letter(self, to: bytes) -> int:
        """Return 0: nobody here waits for one letter before the next."""
        return 0

    async def deliver(self, parcel: Parcel) -> None:
        """Keep a letter as delivered, however often it is, and give it to its receiver if that is of the family."""
        final, said = self._final, read_said(parcel.spelled)
        final.letters.setdefault(parcel.key, parcel)
        to = final.common.agents.get(said.to)
        if to is not None and _is_expected(to, said, final.record.agent_id):
            record = final.record
            zone, now_ms = record.custody.zone, clock.wall_ms()
            labels = final.labels[parcel.key]
            to.mail.deliver(record.agent_id, zone, parcel.key, said, now_ms, labels)
            tell_unread(to)
        await self._pass("after a letter was delivered")

    async def query(self, parcel: Parcel) -> Disclosure:
        """Have a question answered by one of the family; or by the function, which is given the `Query`."""
        said = read_said(parcel.spelled)
        self._final.letters.setdefault(parcel.key, parcel)
        query = convert(said.value, Query)
        told = Disclosure(question=ZERO, agent=said.to, version=0, told_ms=clock.wall_ms())
        to = self._final.common.agents.get(said.to)
        if to is not None:
            told = await self._disclosed(told, to, query, parcel.key)
        else:
            while self._final.common.answering is None:
                await self._watcher()
            try:
                found = to_plain(self._final.common.answering(query), what="an answer")
                told = replace(told, result=encode_block(found))
            except QueryRefused as error:
                return replace(told, refused=error.problem, remedy=error.remedy)
        await self._pass("after a question was answered")
        return told

    async def _disclosed(
        self, told: Disclosure, to: "Decided", query: Query, letter: str
    ) -> Disclosure:
        """Return what one of the family tells, from its newest final record, or why it tells nothing."""
        me = self._final.record
        mark = Postmark(agent=me.agent_id, zone=me.custody.zone, letter=letter)
        caller = Message(
            index=0,
            sender=cid_text(me.agent_id),
            body=None,
            sent_ms=clock.wall_ms(),
            mark=mark,
        )
        told = replace(told, version=to.record.version)
        try:
            found = await to.common.consult(to, query, caller)
            if home_of(found.marks) != ():
                problem = f"query {query.name!r} read what is bound to a place"
                raise Denied(problem, remedy="Let a step put what may leave elsewhere")
        except (Denied, Misused, Rejected) as error:
            return replace(told, refused=error.problem, remedy=error.remedy)
        told = replace(told, labels=labels_of(found.marks))
        if found.told.refused:
            return replace(told, refused=found.told.refused, remedy=found.told.remedy)
        return replace(told, result=encode_block(found.told.result))

    async def waits(self, asked: bytes | None = None) -> str:
        """Return who waits for whom, if an agent that this one waits for asks this one, which has not received it."""
        me, mail = self._final.record.agent_id, self._final.mail
        for message in mail.inbox[max(mail.consumed, self._received) :]:
            mark = message.mark
            if self._takes_calls and is_call(message):
                continue  # it is taken while this agent waits
            if mark is not None and mark.asks > clock.wall_ms():
                behind = mark.waiting
                way = (*(behind[behind.index(me) :] if me in behind else (me,)), mark.agent)
                if len(way) > 1 and asked in (None, way[1]):
                    return " waits for ".join(map(cid_text, way))
        return ""

    async def cycle(self, asked: bytes) -> None:
        """Wait until agents of the family wait for each other."""
        while not await self.waits(asked):
            await self._watcher()

    async def receive(
        self, index: int, answers: str = "", by: bytes = b"", *, calls: bool = False
    ) -> Message:
        """Wait for a message, or the answer to a letter: what answers it is `by` whom it was sent to."""
        if answers:
            return await self._answer_to(answers)
        inbox = self._final.mail.inbox
        self._takes_calls += calls
        try:
            while index >= len(inbox) or (calls and not is_call_next(inbox, index)):
                await self._watcher()
        finally:
            self._takes_calls -= calls
        self._received = index + 1
        return inbox[index]

    async def _answer_to(self, letter: str) -> Message:
        """Wait for somebody to answer a letter, and return the answer; or for what a child reports."""
        asked = self._final.letters.get(letter)
        said = None if asked is None else read_said(asked.spelled)
        is_family = said is None or said.to in self._final.common.agents
        while letter not in self._final.mail.answers:
            if said and not is_family and self._final.common.answering is not None:
                body = to_plain(self._final.common.answering(said.value), what="an answer")
                zone = self._final.place.zone
                mark = Postmark(agent=said.to, zone=zone, letter=f"{letter}/answer", answers=letter)
                return Message(
                    index=0, sender=cid_text(said.to), body=body, sent_ms=clock.wall_ms(), mark=mark
                )
            await self._watcher()
        return self._final.mail.answers[letter]
