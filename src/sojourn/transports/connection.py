"""Requests, replies and notices over any stream of bytes: what both adapters have in common.

    call ──► turn ──► room to write ──► frame ══ stream ══► frame ──► handler
                                                                        │
    answer ◄─────────────────────────── frame ══ stream ══◄ room to write

Rules:

 1 A caller takes a turn (`requests_max`) before it sends and gives it back when the answer is in. A
   call that was cancelled or timed out keeps its turn until then: the other end is still at work on
   it.
 2 A receiver runs no more than `requests_max` handlers. A frame that needs one more waits, and the
   whole stream behind it. A peer that keeps rule 1 and sends few notices never brings it there; so
   answers arrive even while every handler waits for one on the same connection.
 3 Nothing is sent while `write_bytes_max` bytes wait, but for the few errors of rule 4: who must
   send, waits.
 4 A frame that is unfit, repeats a correlation under way or answers nothing is refused by an error
   frame and changes nothing else. After `bad_frames_max` of them, or when the stream cannot be cut
   into frames any more, the connection ends.
"""

import asyncio
from collections.abc import Coroutine

import structlog

from sojourn.core.base.errors import Failed, Misused, Rejected, SojournError, Unreachable
from sojourn.runtime.transport import Connection, Handlers, PeerIdentity, WireLimits
from sojourn.transports.calls import Calls
from sojourn.transports.faults import decode_fault, encode_fault
from sojourn.transports.frames import ERROR, NOTICE, REPLY, REQUEST, Frame, FrameReader, Unfit
from sojourn.transports.writer import ByteStream, FrameWriter

__all__ = ["FramedConnection"]

_log = structlog.get_logger(__name__)


class FramedConnection(Connection):
    """A connection over a byte stream whose other end is already authenticated.

    The stream's owner tells it of bytes, of room to write and of the end, in the manner of an
    `asyncio.Protocol`.
    """

    def __init__(
        self,
        stream: ByteStream,
        peer: PeerIdentity,
        limits: WireLimits,
        handlers: Handlers,
    ) -> None:
        """Serve `stream` from now on, within `limits`."""
        self._loop = asyncio.get_running_loop()
        self._stream = stream
        self._peer = peer
        self._limits = limits
        self._handlers = handlers
        self._reader = FrameReader(limits.body_bytes_max)
        self._writer = FrameWriter(stream)
        self._calls = Calls(limits.requests_max)
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving: set[int] = set()
        self._held: Frame | Unfit | None = None
        self._bad_frames = 0
        self._complaint = ""
        self._closed_because = ""
        self._is_closing = False
        self._has_ended = False
        self._gone = asyncio.Event()
        self.settled: asyncio.Future[None] = self._loop.create_future()
        """Done once the connection is gone and no handler of it runs."""
        self._active_at = self._loop.time()
        self._idle_timer = self._loop.call_later(limits.idle_s, self._check_idle)
        self._cut_timer: asyncio.TimerHandle | None = None

    # --- the port ---------------------------------------------------------------------------------

    @property
    def peer(self) -> PeerIdentity:
        """Who the other end proved to be."""
        return self._peer

    @property
    def is_closed(self) -> bool:
        """Whether calls can no longer be made."""
        return bool(self._closed_because)

    async def call(self, body: bytes, *, timeout_s: float) -> bytes:
        """Send a request and return its reply (`Connection.call`)."""
        self._check_size(body)
        try:
            async with asyncio.timeout(timeout_s):
                await self._wait_turn()
                correlation, answer = self._calls.open()
                self._writer.put(REQUEST, correlation, body)
                return await answer
        except TimeoutError:
            raise Unreachable(f"{self._peer} did not answer within {timeout_s:g} s") from None

    def notify(self, body: bytes) -> None:
        """Send a notice (`Connection.notify`)."""
        self._check_size(body)
        self._check_open()
        if self._writer.is_held_back:
            raise Unreachable(
                f"{self._peer} does not read what was sent, so the notice was dropped"
            )
        self._active_at = self._loop.time()
        self._writer.put(NOTICE, 0, body)

    async def close(self) -> None:
        """Close gracefully (`Connection.close`)."""
        if not self._is_closing:
            self._is_closing = True
            self._closed_because = self._closed_because or "this end closed it"
            try:
                await self._settle()
            finally:
                self._end(self._closed_because)
                for task in self._other_tasks():
                    task.cancel()
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait for the end (`Connection.wait_closed`)."""
        await self._gone.wait()
        if tasks := self._other_tasks():
            await asyncio.wait(tasks)

    # --- events of the stream ---------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._reader.feed(data)
        if not self._take_frames():
            self._stream.pause_reading()

    def pause_writing(self) -> None:
        """Hold senders back: the stream is full. Cut the stream if it stays so (`stall_s`)."""
        self._writer.hold_back()
        if not self._has_ended:
            stall_s = self._limits.stall_s
            self._cut_after(stall_s, f"the other end read too little for {stall_s:g} s")

    def resume_writing(self) -> None:
        """Let senders go on."""
        self._writer.let_go()
        if not self._has_ended:
            self._stop_cutting()

    def connection_lost(self, problem: str) -> None:
        """Fail what is under way: the stream is gone, for the reason in `problem`."""
        if self._reader.is_mid_frame:
            problem += ", in the middle of a frame"
        if self._complaint:
            problem += f", having said: {self._complaint}"
        self._finish(problem)
        self._held = None
        self._idle_timer.cancel()
        self._stop_cutting()
        self._gone.set()
        self._check_settled()
        _log.info("connection closed", peer=str(self._peer), why=self._closed_because)

    # --- sending ----------------------------------------------------------------------------------

    def _check_size(self, body: bytes) -> None:
        if len(body) > self._limits.body_bytes_max:
            problem = (
                f"a body of {len(body)} bytes is over the limit of {self._limits.body_bytes_max}"
            )
            raise Misused(problem, remedy="Send it in parts")

    def _check_open(self) -> None:
        if self._closed_because:
            raise Unreachable(self._closed_problem())

    def _closed_problem(self) -> str:
        return f"the connection to {self._peer} is closed: {self._closed_because}"

    async def _wait_turn(self) -> None:
        self._check_open()
        await self._calls.take_turn()
        try:
            if self._writer.is_held_back:
                await self._writer.wait_writable()
            self._check_open()
        except BaseException:
            self._calls.give_turn_back()
            raise

    # --- receiving --------------------------------------------------------------------------------

    def _take_frames(self) -> bool:
        """Take all whole frames. Returns false where one must wait for a handler (rule 2)."""
        try:
            while not self._has_ended and (frame := self._reader.next_frame()) is not None:
                self._active_at = self._loop.time()
                if self._must_wait(frame):
                    self._held = frame
                    return False
                self._take(frame)
        except Rejected as error:
            self._refuse(error)
            self._end(f"the stream cannot be read on: {error}")
        return True

    def _must_wait(self, frame: Frame | Unfit) -> bool:
        is_full = len(self._tasks) >= self._limits.requests_max
        return is_full and isinstance(frame, Frame) and frame.type in (REQUEST, NOTICE)

    def _take_held(self) -> None:
        frame, self._held = self._held, None
        if frame is not None and not self._has_ended:
            self._take(frame)
            if self._take_frames():
                self._stream.resume_reading()

    def _take(self, frame: Frame | Unfit) -> None:
        if isinstance(frame, Unfit):
            self._take_unfit(frame)
        elif frame.type == REQUEST:
            self._take_request(frame)
        elif frame.type == REPLY:
            self._take_answer(frame, frame.body)
        elif frame.type == NOTICE:
            self._take_notice(frame)
        elif frame.correlation:
            self._take_answer(frame, decode_fault(frame.body))
        else:
            complaint = decode_fault(frame.body)
            self._complaint = str(complaint)
            self._count_bad("peer refused a frame", complaint)

    def _take_request(self, frame: Frame) -> None:
        if frame.correlation == 0 or frame.correlation in self._serving:
            self._refuse_correlation(
                f"a request has correlation {frame.correlation}, 0 or under way"
            )
        elif self._closed_because:
            self._turn_away(frame.correlation)
        else:
            self._serving.add(frame.correlation)
            self._start(self._serve_request(frame.correlation, frame.body))

    def _turn_away(self, correlation: int) -> None:
        # Where the answer does not fit either, the caller learns it from the stream's end.
        if not self._writer.is_held_back:
            closing = encode_fault(Failed("this end is closing", remedy="Connect anew"))
            self._writer.put(ERROR, correlation, closing)

    def _take_answer(self, frame: Frame | Unfit, result: bytes | SojournError) -> None:
        if not self._calls.answer(frame.correlation, result):
            self._refuse_correlation(f"no call is open under correlation {frame.correlation}")

    def _take_notice(self, frame: Frame) -> None:
        if frame.correlation:
            self._refuse_correlation(f"a notice has correlation {frame.correlation}, not 0")
        elif not self._closed_because:
            self._start(self._serve_notice(frame.body))

    def _take_unfit(self, unfit: Unfit) -> None:
        if unfit.type in (REPLY, ERROR):
            self._take_answer(unfit, unfit.error)
        elif unfit.type == REQUEST and unfit.correlation not in self._serving:
            self._refuse(unfit.error, unfit.correlation)
        else:
            self._refuse(unfit.error)

    def _refuse_correlation(self, problem: str) -> None:
        self._refuse(Rejected(problem, reason="bad-correlation", where="frame.correlation"))

    def _refuse(self, error: Rejected, correlation: int = 0) -> None:
        """Tell the other end what is wrong with its frame (rule 4)."""
        self._writer.put(ERROR, correlation, encode_fault(error))
        self._count_bad("frame refused", error)

    def _count_bad(self, event: str, error: SojournError) -> None:
        self._bad_frames += 1
        _log.warning(event, peer=str(self._peer), error=str(error), count=self._bad_frames)
        if self._bad_frames >= self._limits.bad_frames_max:
            self._end(f"too many bad frames, the last: {error}")

    # --- handlers ---------------------------------------------------------------------------------

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._take_held()
        self._check_settled()

    def _other_tasks(self) -> set[asyncio.Task[None]]:
        """Return the handlers under way, without the one that asks."""
        return {task for task in self._tasks if task is not asyncio.current_task()}

    async def _serve_request(self, correlation: int, body: bytes) -> None:
        kind, reply = await self._answer_request(body)
        if self._writer.is_held_back:
            await self._writer.wait_writable()
        self._serving.discard(correlation)
        self._writer.put(kind, correlation, reply)

    async def _answer_request(self, body: bytes) -> tuple[int, bytes]:
        try:
            reply = await self._handlers.on_request(self, body)
            size = len(reply)
        except SojournError as error:
            return ERROR, encode_fault(error)
        except asyncio.CancelledError:
            if self._has_ended:
                raise
            # Not by `close`: something that the handler waited for was cancelled.
            return self._internal_error()
        except Exception:
            return self._internal_error()
        if size > self._limits.body_bytes_max:
            _log.error("reply too large", peer=str(self._peer), bytes=size)
            return ERROR, encode_fault(
                Failed(f"the reply has {size} bytes, more than a frame may hold")
            )
        return REPLY, reply

    def _internal_error(self) -> tuple[int, bytes]:
        _log.exception("request handler failed", peer=str(self._peer))
        return ERROR, encode_fault(Failed("internal error"))

    async def _serve_notice(self, body: bytes) -> None:
        try:
            await self._handlers.on_notice(self, body)
        except Exception:
            _log.exception("notice handler failed", peer=str(self._peer))

    # --- ending -----------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Wait for what is under way both ways, for `close_s` at most."""
        if under_way := self._other_tasks() | self._calls.awaited:
            await asyncio.wait(under_way, timeout=self._limits.close_s)

    def _check_settled(self) -> None:
        if self._gone.is_set() and not self._tasks and not self.settled.done():
            self.settled.set_result(None)

    def _end(self, problem: str) -> None:
        """Send what is queued and end the stream; cut it if the other end does not let us."""
        if not self._has_ended:
            self._writer.flush()
            self._finish(problem)
            self._stream.close()
            self._cut_after(self._limits.close_s, problem)

    def _finish(self, problem: str) -> None:
        self._has_ended = True
        self._closed_because = self._closed_because or problem
        self._writer.end()
        self._calls.fail(self._closed_problem())

    def _cut_after(self, delay_s: float, problem: str) -> None:
        self._stop_cutting()
        self._cut_timer = self._loop.call_later(delay_s, self._cut, problem)

    def _stop_cutting(self) -> None:
        if self._cut_timer:
            self._cut_timer.cancel()

    def _cut(self, problem: str) -> None:
        self._closed_because = self._closed_because or problem
        self._stream.abort()

    def _check_idle(self) -> None:
        """End a connection that is idle; look again later otherwise."""
        quiet_s = self._loop.time() - self._active_at
        if self._tasks or self._calls.awaited:
            quiet_s = 0.0
        if quiet_s >= self._limits.idle_s:
            self._end(f"idle for {self._limits.idle_s:g} s")
        else:
            self._idle_timer = self._loop.call_later(
                self._limits.idle_s - quiet_s, self._check_idle
            )
