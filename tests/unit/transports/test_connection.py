"""A connection over a stream whose other end a test writes by hand, byte by byte."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from sojourn.core.base.errors import Denied, Failed, Rejected, SojournError, Unreachable
from sojourn.runtime.transport import Connection, Handlers, PeerIdentity, WireLimits
from sojourn.transports.connection import FramedConnection
from sojourn.transports.faults import decode_fault, encode_fault
from sojourn.transports.frames import (
    ERROR,
    NOTICE,
    REPLY,
    REQUEST,
    Frame,
    FrameReader,
    Unfit,
    header,
)
from tests.unit.transports.leaping import LeapingLoop, leap

PEER = PeerIdentity(b"k" * 32, "spiffe://zone/host/1")
LIMITS = WireLimits(body_bytes_max=1000, requests_max=3, bad_frames_max=4, close_s=0.01)


class Script:
    """A `ByteStream` that keeps what is written, and lets a test play the other end."""

    def __init__(self, handlers: Handlers, limits: WireLimits = LIMITS) -> None:
        self.writes: list[bytes] = []
        self.is_paused = False
        self.is_closed = False
        self._has_written = asyncio.Event()
        self.connection = FramedConnection(self, PEER, limits, handlers)

    def write(self, data: bytes) -> None:
        assert not self.is_closed
        self.writes.append(data)
        self._has_written.set()

    def pause_reading(self) -> None:
        assert not self.is_paused
        self.is_paused = True

    def resume_reading(self) -> None:
        assert self.is_paused
        self.is_paused = False

    def close(self) -> None:
        self.is_closed = True
        asyncio.get_running_loop().call_soon(self.connection.connection_lost, "closed")

    def abort(self) -> None:
        self.close()

    def receive(self, *frames: tuple[int, int, bytes]) -> None:
        """Let whole frames arrive at once: (type, correlation, body)."""
        self.connection.data_received(
            b"".join(header(kind, number, len(body)) + body for kind, number, body in frames)
        )

    async def sent(self, count: int) -> list[Frame | Unfit]:
        """Return the frames sent so far, once there are `count` of them."""
        while len(frames := self.sent_nowait()) < count:
            self._has_written.clear()
            await self._has_written.wait()
        return frames

    def sent_nowait(self) -> list[Frame | Unfit]:
        reader = FrameReader(100_000)
        reader.feed(b"".join(self.writes))
        return list(iter(reader.next_frame, None))


async def echo(_connection: Connection, body: bytes) -> bytes:
    return body


def run(
    play: Callable[[Script], Awaitable[None]],
    handlers: Handlers | None = None,
    limits: WireLimits = LIMITS,
) -> Script:
    async def main() -> Script:
        async with asyncio.timeout(5):
            script = Script(handlers or Handlers(echo), limits)
            await play(script)
            await script.connection.close()
            assert {asyncio.current_task()} == asyncio.all_tasks()
            return script

    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(main())


def reason(frame: Frame | Unfit) -> str:
    assert isinstance(frame, Frame)
    assert ERROR == frame.type
    error = decode_fault(frame.body)
    assert isinstance(error, Rejected)
    return error.reason


# --- frames that are wrong, in a stream that goes on ----------------------------------------------

WRONG_FRAMES = {
    "unknown type": (9, 1, b"", "unknown-type"),
    "a request under correlation 0": (REQUEST, 0, b"", "bad-correlation"),
    "a notice under a correlation": (NOTICE, 5, b"", "bad-correlation"),
    "a reply to nothing": (REPLY, 5, b"", "bad-correlation"),
    "an error about nothing": (ERROR, 5, encode_fault(Failed("")), "bad-correlation"),
    "an oversized notice": (NOTICE, 0, bytes(1001), "too-large"),
    "an oversized reply to nothing": (REPLY, 5, bytes(1001), "bad-correlation"),
}


@pytest.mark.parametrize("wrong", WRONG_FRAMES.values(), ids=WRONG_FRAMES.keys())
def test_a_wrong_frame_is_refused_by_name_and_the_rest_goes_on(
    wrong: tuple[int, int, bytes, str],
) -> None:
    kind, correlation, body, expected = wrong

    async def play(script: Script) -> None:
        script.receive((REQUEST, 1, b"a"), (kind, correlation, body), (REQUEST, 2, b"b"))
        refusal, first, second = await script.sent(3)
        assert (ERROR, 0) == refusal[:2]
        assert expected == reason(refusal)
        assert [Frame(REPLY, 1, b"a"), Frame(REPLY, 2, b"b")] == [first, second]
        assert not script.connection.is_closed

    run(play)


def test_a_repeated_correlation_is_refused_and_the_first_request_answered_once() -> None:
    served: list[bytes] = []
    release = asyncio.Event()

    async def hold(_connection: Connection, body: bytes) -> bytes:
        served.append(body)
        await release.wait()
        return body

    async def play(script: Script) -> None:
        script.receive((REQUEST, 7, b"first"), (REQUEST, 7, b"again"))
        (refusal,) = await script.sent(1)
        assert ("bad-correlation", 0) == (reason(refusal), refusal[1])
        release.set()
        assert Frame(REPLY, 7, b"first") == (await script.sent(2))[1]
        assert [b"first"] == served

    run(play, Handlers(hold))


def test_a_correlation_is_free_again_after_its_reply() -> None:
    async def play(script: Script) -> None:
        script.receive((REQUEST, 7, b"a"))
        await script.sent(1)
        script.receive((REQUEST, 7, b"b"))
        assert Frame(REPLY, 7, b"b") == (await script.sent(2))[1]

    run(play)


def test_an_oversized_request_is_answered_under_its_own_correlation() -> None:
    async def play(script: Script) -> None:
        script.receive((REQUEST, 7, bytes(1001)), (REQUEST, 8, b"next"))
        refusal, following = await script.sent(2)
        assert ("too-large", 7) == (reason(refusal), refusal[1])
        assert Frame(REPLY, 8, b"next") == following

    run(play)


def test_an_oversized_request_under_a_correlation_in_use_does_not_answer_the_first() -> None:
    release = asyncio.Event()

    async def hold(_connection: Connection, body: bytes) -> bytes:
        await release.wait()
        return body

    async def play(script: Script) -> None:
        script.receive((REQUEST, 7, b"a"), (REQUEST, 7, bytes(1001)))
        (refusal,) = await script.sent(1)
        assert ("too-large", 0) == (reason(refusal), refusal[1])
        release.set()
        assert Frame(REPLY, 7, b"a") == (await script.sent(2))[1]

    run(play, Handlers(hold))


def test_a_second_reply_is_refused() -> None:
    async def play(script: Script) -> None:
        call = asyncio.create_task(script.connection.call(b"?", timeout_s=5))
        await script.sent(1)
        script.receive((REPLY, 1, b"one"), (REPLY, 1, b"two"))
        assert await call == b"one"
        assert "bad-correlation" == reason((await script.sent(2))[1])

    run(play)


def test_an_error_frame_without_an_error_is_rejected_where_it_was_awaited() -> None:
    async def play(script: Script) -> None:
        call = asyncio.create_task(script.connection.call(b"?", timeout_s=5))
        await script.sent(1)
        script.receive((ERROR, 1, b"\xff"))
        with pytest.raises(Rejected, match="fault is not DAG-CBOR"):
            await call
        assert not script.connection.is_closed

    run(play)


def test_too_many_wrong_frames_end_the_connection() -> None:
    async def play(script: Script) -> None:
        script.receive(*[(REPLY, 5, b"")] * 3)
        await script.sent(3)
        assert not script.is_closed
        script.receive(*[(REPLY, 5, b"")] * 3, (REQUEST, 1, b"too late"))
        await script.connection.wait_closed()
        assert ["bad-correlation"] * 4 == [reason(frame) for frame in script.sent_nowait()]

    run(play)


def test_wrong_frames_are_logged_by_name() -> None:
    async def play(script: Script) -> None:
        with capture_logs() as logs:
            script.receive((9, 1, b""))
        (entry,) = logs
        assert ("frame refused", str(PEER)) == (entry["event"], entry["peer"])
        assert entry["error"].startswith("unknown-type")

    run(play)


# --- streams that cannot be read on ---------------------------------------------------------------


def test_an_unknown_version_is_refused_by_name_before_the_stream_ends() -> None:
    async def play(script: Script) -> None:
        call = asyncio.create_task(script.connection.call(b"?", timeout_s=5))
        await script.sent(1)
        script.connection.data_received(b"\0\0\0\6\2" + bytes(5))
        with pytest.raises(Unreachable, match="unknown-version: the frame has version 2"):
            await call
        await script.connection.wait_closed()
        refusal = script.sent_nowait()[1]
        assert ("unknown-version", 0) == (reason(refusal), refusal[1])

    run(play)


def test_what_the_other_end_refused_is_named_when_it_hangs_up() -> None:
    async def play(script: Script) -> None:
        call = asyncio.create_task(script.connection.call(b"?", timeout_s=5))
        await script.sent(1)
        complaint = Rejected("this end reads version 9", reason="unknown-version")
        script.receive((ERROR, 0, encode_fault(complaint)))
        script.connection.connection_lost("the other end closed it")
        with pytest.raises(Unreachable, match="having said: unknown-version"):
            await call
        assert len(script.sent_nowait()) == 1

    run(play)


def test_a_stream_that_ends_inside_a_frame_says_so() -> None:
    async def play(script: Script) -> None:
        script.connection.data_received(header(REQUEST, 1, 100) + b"only this")
        script.connection.connection_lost("the other end broke it off")
        with pytest.raises(Unreachable, match="in the middle of a frame"):
            await script.connection.call(b"?", timeout_s=5)

    run(play)


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_garbage_never_raises_into_the_stream(garbage: list[bytes]) -> None:
    async def play(script: Script) -> None:
        for piece in garbage:
            script.connection.data_received(piece)

    run(play)


# --- limits ---------------------------------------------------------------------------------------


def test_a_request_beyond_the_limit_waits_and_so_does_the_stream() -> None:
    started: list[bytes] = []
    release = asyncio.Event()

    async def hold(_connection: Connection, body: bytes) -> bytes:
        started.append(body)
        await release.wait()
        return body

    async def play(script: Script) -> None:
        script.receive(*[(REQUEST, number, b"%d" % number) for number in range(1, 8)])
        assert script.is_paused
        await asyncio.sleep(0)
        assert [b"1", b"2", b"3"] == started
        release.set()
        replies = await script.sent(7)
        assert [Frame(REPLY, number, b"%d" % number) for number in range(1, 8)] == replies
        assert not script.is_paused

    run(play, Handlers(hold))


def test_answers_pass_while_every_handler_waits_for_one() -> None:
    async def ask_back(connection: Connection, body: bytes) -> bytes:
        return await connection.call(body, timeout_s=5)

    async def play(script: Script) -> None:
        script.receive(*[(REQUEST, number, b"%d" % number) for number in (1, 2, 3)])
        asked = await script.sent(3)
        assert [REQUEST] * 3 == [frame.type for frame in asked]
        script.receive(*[(REPLY, frame.correlation, b"yes") for frame in asked])
        assert [REPLY] * 3 == [frame.type for frame in (await script.sent(6))[3:]]

    run(play, Handlers(ask_back))


def test_replies_wait_for_room_to_write() -> None:
    async def play(script: Script) -> None:
        script.connection.pause_writing()
        script.receive((REQUEST, 1, b"a"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [] == script.sent_nowait()
        script.connection.resume_writing()
        assert [Frame(REPLY, 1, b"a")] == await script.sent(1)

    run(play)


def test_a_call_that_found_no_room_in_time_gives_its_turn_back() -> None:
    async def play(script: Script) -> None:
        script.connection.pause_writing()
        for _ in range(3):
            with pytest.raises(Unreachable, match="did not answer"):
                await script.connection.call(b"early", timeout_s=0.001)
        script.connection.resume_writing()
        call = asyncio.create_task(script.connection.call(b"in time", timeout_s=5))
        assert [Frame(REQUEST, 1, b"in time")] == await script.sent(1)
        script.receive((REPLY, 1, b"yes"))
        assert await call == b"yes"

    run(play, limits=WireLimits(requests_max=1))


def test_notices_keep_a_connection_from_being_idle() -> None:
    async def play(script: Script) -> None:
        for _ in range(3):
            leap(0.6)
            script.connection.notify(b"")
            await asyncio.sleep(0.001)
            assert not script.connection.is_closed
        leap(1.1)
        await script.connection.wait_closed()

    run(play, limits=WireLimits(idle_s=1.0))


def test_frames_of_one_turn_are_written_at_once() -> None:
    async def play(script: Script) -> None:
        script.receive((REQUEST, 1, b"a"), (REQUEST, 2, b"b"), (REQUEST, 3, b"c"))
        await script.sent(3)
        assert 1 == len(script.writes)

    run(play)


def test_much_is_written_before_the_turn_ends() -> None:
    async def play(script: Script) -> None:
        for _ in range(100):
            script.connection.notify(bytes(1000))
        assert script.writes
        assert 64 * 1024 <= len(script.writes[0]) < 66 * 1024

    run(play)


def test_while_closing_requests_are_turned_away_but_not_into_a_full_stream() -> None:
    release = asyncio.Event()

    async def hold(_connection: Connection, body: bytes) -> bytes:
        await release.wait()
        return body

    async def play(script: Script) -> None:
        script.receive((REQUEST, 1, b"under way"))
        await asyncio.sleep(0)
        closing = asyncio.create_task(script.connection.close())
        await asyncio.sleep(0)
        script.receive((REQUEST, 2, b"late"), (NOTICE, 0, b"late"))
        turned_away = (await script.sent(1))[0]
        assert (ERROR, 2) == turned_away[:2]
        script.connection.pause_writing()
        script.receive(*[(REQUEST, number, b"flood") for number in range(3, 100)])
        script.connection.resume_writing()
        release.set()
        await closing
        assert Frame(REPLY, 1, b"under way") == script.sent_nowait()[1]
        assert 2 == len(script.sent_nowait())

    run(play, Handlers(hold), WireLimits(close_s=5))


def test_a_handlers_error_is_its_answer() -> None:
    async def deny(_connection: Connection, _body: bytes) -> bytes:
        raise Denied("not by this policy")

    async def play(script: Script) -> None:
        script.receive((REQUEST, 1, b""))
        (answer,) = await script.sent(1)
        assert Frame(ERROR, 1, encode_fault(Denied("not by this policy"))) == answer

    run(play, Handlers(deny))


def test_all_calls_fail_when_the_stream_is_lost_also_those_that_wait() -> None:
    async def play(script: Script) -> None:
        calls = [
            asyncio.create_task(script.connection.call(b"%d" % n, timeout_s=5)) for n in range(9)
        ]
        await script.sent(3)
        script.connection.connection_lost("the other end broke it off")
        for error in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(error, Unreachable)
            assert "broke it off" in error.problem
            assert isinstance(error, SojournError)

    run(play)
