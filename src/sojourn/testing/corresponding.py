"""What an agent that is rehearsed writes to others, who are not there: it is kept, and a function answers."""

import asyncio
from typing import TYPE_CHECKING, Any

from msgspec import convert
from msgspec.structs import replace

from sojourn.core.base.digests import ZERO, cid_text
from sojourn.core.base.encoding import encode_block
from sojourn.core.protocol.letters import Said, read_said
from sojourn.core.protocol.querying import Disclosure, Query
from sojourn.runtime.errors import QueryRefused
from sojourn.runtime.ports import Message, Parcel, Postmark
from sojourn.runtime.processes import clock
from sojourn.runtime.typed import to_plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from sojourn.testing.rehearsed import Decided

__all__ = ["Correspondence", "RehearsedLetters"]


class Correspondence:
    """What a rehearsal tells of letters."""

    _decided: "Decided"

    @property
    def sent(self) -> list[Said]:
        """What the agent wrote to other agents, each letter once, in order."""
        return [read_said(parcel.spelled) for parcel in self._decided.letters.values()]

    def answer(self, function: "Callable[[Any], Any]") -> None:
        """Let a function give the answers to what the agent asks others by `ctx.request`, and by `ctx.query`.

        Of the latter it is given the `Query`: a name, and arguments. To refuse it raises `QueryRefused`.
        """
        self._decided.answering = function
        self._decided.stir()


class RehearsedLetters:
    """The part of a `Custodian` that delivers letters."""

    _final: "Decided"

    def _watcher(self) -> asyncio.Future[None]:
        raise NotImplementedError

    async def _pass(self, where: str) -> None:
        raise NotImplementedError

    async def newest_letter(self, to: bytes) -> int:
        """Return 0: nobody here waits for one letter before the next."""
        return 0

    async def deliver(self, parcel: Parcel) -> None:
        """Keep a letter as delivered, however often it is."""
        self._final.letters.setdefault(parcel.key, parcel)
        await self._pass("after a letter was delivered")

    async def query(self, parcel: Parcel) -> Disclosure:
        """Let the function answer that answers requests: it is given the `Query`."""
        said = read_said(parcel.spelled)
        self._final.letters.setdefault(parcel.key, parcel)
        while self._final.answering is None:
            await self._watcher()
        told = Disclosure(question=ZERO, agent=said.to, version=0, told_ms=clock.wall_ms())
        try:
            found = to_plain(self._final.answering(convert(said.value, Query)), what="an answer")
        except QueryRefused as error:
            return replace(told, refused=error.problem, remedy=error.remedy)
        await self._pass("after a question was answered")
        return replace(told, result=encode_block(found))

    async def waits(self, asked: bytes | None = None) -> str:
        """Return "": nobody else is here to wait."""
        return ""

    async def cycle(self, asked: bytes) -> None:
        """Wait for ever: nobody else is here to wait."""
        await asyncio.get_running_loop().create_future()

    async def answer_to(self, letter: str) -> Message:
        """Wait for somebody to answer a letter, and return the answer."""
        said = read_said(self._final.letters[letter].spelled)
        while self._final.answering is None:
            await self._watcher()
        body = to_plain(self._final.answering(said.value), what="an answer")
        zone = self._final.place.zone
        mark = Postmark(agent=said.to, zone=zone, letter=f"{letter}/answer", answers=letter)
        return Message(
            index=0, sender=cid_text(said.to), body=body, sent_ms=clock.wall_ms(), mark=mark
        )
