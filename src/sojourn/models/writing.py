"""Writing an answer to a stream while it comes.

    the model call   ─► one step: gated, one intent, one outcome, the whole text
    beside it        ─► a step without effect for each piece that has been heard, recorded, then written

What a stream holds is final, so nothing of it is taken back. A host that dies amid an answer leaves a call without an
outcome, which is made again under its key; as long as the new answer says what was written, it is gone on with where
that ended. Where it says something else, the stream says that the answer begins anew.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import Value
from sojourn.models.replies import Messages, Reply, spoken
from sojourn.runtime.agent_side.steps import Step, own_step
from sojourn.runtime.agent_side.streams import PIECE_CHARS_MAX, Stream
from sojourn.runtime.typed import spelled_arguments

if TYPE_CHECKING:
    from sojourn.models.calling import ModelStep
    from sojourn.runtime.agent_side.agent import Agent

__all__ = ["AGAIN", "Hearing", "heard_by", "write_reply"]

AGAIN: Final = "\n\n[The answer begins anew.]\n\n"
EVERY_S: Final = 0.5

_heard: WeakKeyDictionary[Any, dict[bytes, "Hearing"]] = WeakKeyDictionary()


class Piece(Value):
    """What has been heard and not told; `anew`: the answer begins again, and this is how."""

    text: str
    anew: bool = False


class Hearing:
    """An answer that somebody wants to hear while it comes. `told` is what `run` has of it."""

    def __init__(self, every_s: float) -> None:
        self.every_s = every_s
        self.told = ""
        self._text = ""
        self._news = asyncio.Event()

    def begin(self) -> None:
        """Hear an answer from its beginning: it may be a second attempt."""
        self._text = ""

    def hear(self, piece: str) -> None:
        """Hear a piece."""
        self._text += piece
        self._news.set()

    def piece(self, text: str) -> Piece | None:
        """Return what an answer that begins with this text has to tell; None if nothing yet."""
        if text.startswith(self.told):
            fresh = text[len(self.told) :]
            return Piece(text=fresh) if fresh else None
        return None if self.told.startswith(text) else Piece(text=text, anew=True)

    async def next_piece(self) -> Piece:
        """Wait until there is something to tell, and a while for more of it."""
        while self.piece(self._text) is None:
            self._news.clear()
            await self._news.wait()
        await asyncio.sleep(self.every_s)
        piece = self.piece(self._text)  # another attempt may have begun meanwhile
        return piece if piece is not None else await self.next_piece()

    def take(self, piece: Piece) -> None:
        """Take note of what `run` was told."""
        self.told = piece.text if piece.anew else self.told + piece.text


def heard_by(agent: Any, messages: Messages, tools: Sequence[Mapping[str, Any]]) -> Hearing | None:
    """Return who wants to hear the answer to this while it comes, if anybody does."""
    return _heard.get(agent, {}).get(_named(messages, tools))


def _named(messages: Messages, tools: Sequence[Mapping[str, Any]]) -> bytes:
    return digest(
        spelled_arguments((spoken(messages), list(tools)), {}, what="what a model is told")
    )


async def _next_piece(agent: Any, named: bytes) -> Piece:
    return await _heard[agent][named].next_piece()


_PIECE: Final[Step[..., Piece]] = own_step(_next_piece.__name__, _next_piece)


async def write_reply(
    agent: "Agent",
    call: "ModelStep",
    messages: Messages,
    out: Stream,
    tools: Sequence[Mapping[str, Any]] = (),
    *,
    every_s: float = EVERY_S,
    again: str = AGAIN,
) -> Reply:
    """Call a model, write its text to a stream while it comes, and return its reply. To be awaited in `run`.

    `async with ctx.stream("answer") as out: reply = await write_reply(self, Desk.think, question, out)`. A piece is
    written every `every_s` seconds at most, and takes one of the agent's steps; the outcome of the call is the whole
    text. `again` is written when a call that was made anew, after its host's death or a failure, says something else
    than was written, and then all that it says. Raises what the call raises; the stream then holds what came by then.
    """
    named = _named(messages, tools)
    hearings = _heard.setdefault(agent, {})
    if (
        named in hearings
    ):  # the same is under way already: of this one nothing is heard before its end
        hearing = Hearing(every_s)
        reply: Reply = await getattr(agent, call.name)(messages, tools)
    else:
        hearing = hearings[named] = Hearing(every_s)
        try:
            reply = await _listen(agent, call, (messages, tools), hearing, out, again)
        finally:
            del hearings[named]
    rest = hearing.piece(reply.text)
    if rest is None and hearing.told != reply.text:  # it says less than was written
        rest = Piece(text=reply.text, anew=True)
    if rest is not None:
        await _write(out, rest, again)
    return reply


async def _listen(
    agent: "Agent",
    call: "ModelStep",
    said: tuple[Messages, Sequence[Mapping[str, Any]]],
    hearing: Hearing,
    out: Stream,
    again: str,
) -> Reply:
    """Write pieces until the call has its outcome, and return that."""
    answering = asyncio.ensure_future(getattr(agent, call.name)(*said))
    next_piece = _PIECE.__get__(agent, type(agent))
    try:
        while not answering.done():
            hearing_more = asyncio.ensure_future(next_piece(_named(*said)))
            try:
                await asyncio.wait((answering, hearing_more), return_when=asyncio.FIRST_COMPLETED)
            finally:
                hearing_more.cancel()
                await asyncio.wait((hearing_more,))
            if not hearing_more.cancelled():
                piece = hearing_more.result()
                hearing.take(piece)
                await _write(out, piece, again)
        reply: Reply = answering.result()
        return reply
    finally:
        answering.cancel()


async def _write(out: Stream, piece: Piece, again: str) -> None:
    if piece.anew:
        await out.write(again)
    for at in range(0, len(piece.text), PIECE_CHARS_MAX):
        await out.write(piece.text[at : at + PIECE_CHARS_MAX])
