"""The agent's end of the line: questions to the host's side and their answers, from any thread.

Agents' code runs on one thread with its own event loop (of the agents inside a host, or of a process of its
own). Frames arrive on another, the host's or the one that reads the socket: so `run` can read a block of
memory, waiting for its answer, without waiting for its own loop.
"""

import asyncio
import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

from sojourn.core.base.errors import Unreachable
from sojourn.runtime.frames import (
    Forget,
    FromAgent,
    FromHost,
    Open,
    Reply,
    decode_from_host,
    encode_frame,
)
from sojourn.runtime.questions import RECALL_MAX, Answer, Block, Fetch, Leave, Question, Recall

__all__ = ["FetchedBlocks", "Link", "Wait"]

OnAnswer = Callable[[Answer], None]
Wait = Callable[[Future[Answer]], Answer]
"""Holds up the calling thread until there is an answer, and returns it."""

CACHE_BYTES_MAX: Final = 256 * 1024
"""Blocks that a session keeps: a few paths. What it holds more is what its handles hold."""


class Link:
    """Sends frames and hands out answers. Made on the agents' loop; `feed` may be called from any thread.

    `transmit` sends a frame and may be called from the agents' thread only. `on_frame` gets, on the loop, what
    is no answer, and None once the line is closed.
    """

    def __init__(
        self,
        transmit: Callable[[bytes], None],
        on_frame: Callable[[FromHost | None], None],
        wait: Wait = Future.result,
    ) -> None:
        self.outer = asyncio.get_running_loop()
        self._transmit = transmit
        self._on_frame = on_frame
        self._wait = wait
        self._numbers = itertools.count()
        self._asked: dict[int, OnAnswer] = {}
        self._blocking: dict[int, Future[Answer]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def send(self, frame: FromAgent) -> None:
        """Send a frame; nothing happens if the line is closed."""
        if not self._closed:
            self._transmit(encode_frame(frame))

    def ask(self, form: type[Question], on_answer: OnAnswer, **fields: object) -> int:
        """Send a question of this form and return its number.

        `on_answer` gets the answer, on the loop, unless the line closes or the question is forgotten.
        """
        number = next(self._numbers)
        self._asked[number] = on_answer
        self.send(form(ask=number, **fields))  # type: ignore[arg-type]
        return number

    def forget(self, asked: int | None) -> None:
        """Want no answer any more to a question that waits, if it was asked."""
        if asked is not None and self._asked.pop(asked, None) is not None:
            self.send(Forget(asked=asked))

    def leave(self, asked: int) -> None:
        """Give back what was asked for by this question, whether or not it was answered."""
        self._asked.pop(asked, None)
        self.send(Leave(asked=asked))

    def wait_answer(self, form: type[Question | Open], **fields: object) -> Answer:
        """Send a question and wait for its answer, holding up the thread. Raises `Unreachable`."""
        number = next(self._numbers)
        future: Future[Answer] = Future()
        with self._lock:
            if self._closed:
                raise Unreachable("the host has ended this session")
            self._blocking[number] = future
        self.send(form(ask=number, **fields))  # type: ignore[arg-type]
        return self._wait(future)

    def feed(self, data: bytes | None) -> None:
        """Take a frame from the host's side, or None when the line is closed."""
        if data is None:
            self._close()
            return
        frame = decode_from_host(data)
        waiting = self._blocking.pop(frame.ask, None) if isinstance(frame, Reply) else None
        if waiting is None:
            self.call_soon(self._handle, frame)
        else:
            assert isinstance(frame, Reply)
            waiting.set_result(frame.answer)

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            blocking = list(self._blocking.values())
            self._blocking.clear()
        for future in blocking:
            future.set_exception(Unreachable("the host has ended this session"))
        self.call_soon(self._on_frame, None)

    def _handle(self, frame: FromHost) -> None:
        if isinstance(frame, Reply):
            on_answer = self._asked.pop(frame.ask, None)  # None if it was forgotten on its way
            if on_answer is not None and not self._closed:
                on_answer(frame.answer)
        else:
            self._on_frame(frame)

    def call_soon(self, callback: Callable[..., None], *args: object) -> None:
        """Call back on the loop, from any thread; not at all if it is closed by then."""
        if not self.outer.is_closed():
            self.outer.call_soon_threadsafe(callback, *args)


class FetchedBlocks:
    """The source of a session's blocks: fetched over the line, and a few of them kept."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._size = 0

    def get(self, named: bytes) -> bytes:
        """Return a block, waiting for it if need be.

        Raises `Unreachable` when the session is ended meanwhile, for instance because nobody has the block:
        that is the world's fault and not for the agent's code to record.
        """
        data = self._kept.get(named)
        if data is not None:
            self._kept.move_to_end(named)
            return data
        answer = self._link.wait_answer(Fetch, digest=named)
        assert isinstance(answer, Block)
        self.keep(named, answer.data)
        return answer.data

    def recall(self, parents_first: Sequence[bytes]) -> None:
        """Tell the host's side which stored blocks were made anew. Raises `Unreachable`."""
        for at in range(0, len(parents_first), RECALL_MAX):
            self._link.wait_answer(Recall, digests=tuple(parents_first[at : at + RECALL_MAX]))

    def keep(self, named: bytes, data: bytes) -> None:
        """Keep a block that is likely to be read soon."""
        if named not in self._kept:
            self._kept[named] = data
            self._size += len(data)
        while self._size > CACHE_BYTES_MAX:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped)
