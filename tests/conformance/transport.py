"""What every adapter of the transport port does. A subclass says how to make one.

Nothing here sleeps to let something happen: each test waits for the thing itself, within `SOON_S`.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from sojourn.core.base.errors import (
    Denied,
    Failed,
    Misused,
    Refused,
    Rejected,
    SojournError,
    StoreFailed,
    Unreachable,
)
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.runtime.transport import (
    Connection,
    Handler,
    Listener,
    NoticeHandler,
    PeerIdentity,
    Transport,
    WireLimits,
    ignore_notices,
    refuse_requests,
)

HOST = "127.0.0.1"
SOON_S = 10.0
"""Far longer than anything here takes; a test that needs it fails."""
ANCHOR = KeyPair(b"a" * 32)
DESK = KeyPair(b"d" * 32)
ANCHOR_NAME = "spiffe://zone/anchor/1"
DESK_NAME = "spiffe://zone/host/1"

MakeTransport = Callable[[KeyPair, str, WireLimits], Transport]
"""Makes one end: its key, its name, its limits. All it makes can reach each other."""


async def echo(_connection: Connection, body: bytes) -> bytes:
    return body


async def never(_connection: Connection, _body: bytes) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError


@dataclass(frozen=True)
class Pair:
    """A connection and what it is connected to."""

    listener: Listener
    near: Connection
    far: Connection


class TransportConformance(ABC):
    """The tests. The far end listens as the anchor, the near end connects as the desk."""

    @abstractmethod
    def make(self) -> MakeTransport:
        """Return a maker of transports on a network of their own."""

    @asynccontextmanager
    async def pair(
        self,
        far_request: Handler = echo,
        *,
        far_notice: NoticeHandler = ignore_notices,
        near_request: Handler = refuse_requests,
        near_notice: NoticeHandler = ignore_notices,
        far_limits: WireLimits | None = None,
        near_limits: WireLimits | None = None,
    ) -> AsyncIterator[Pair]:
        """Yield a connected pair; close both ends afterwards. Fails what is not done soon."""
        make = self.make()
        met: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

        async def meet(connection: Connection, body: bytes) -> bytes:
            if not met.done():
                met.set_result(connection)
                return body
            return await far_request(connection, body)

        anchor = make(ANCHOR, ANCHOR_NAME, far_limits or WireLimits())
        desk = make(DESK, DESK_NAME, near_limits or WireLimits())
        async with asyncio.timeout(SOON_S):
            listener = await anchor.listen(HOST, 0, on_request=meet, on_notice=far_notice)
            near = await desk.connect(
                HOST,
                listener.port,
                ANCHOR.public,
                on_request=near_request,
                on_notice=near_notice,
            )
            await near.call(b"meet", timeout_s=SOON_S)
            yield Pair(listener, near, await met)
            await near.close()
            await listener.close()

    # --- calls ------------------------------------------------------------------------------------

    @pytest.mark.parametrize("body", [b"", b"x", bytes(range(256)) * 4096], ids=["0", "1", "1 MiB"])
    def test_a_call_returns_what_the_handler_returns(self, body: bytes) -> None:
        async def reverse(_connection: Connection, asked: bytes) -> bytes:
            return asked[::-1]

        async def main() -> None:
            async with self.pair(reverse) as pair:
                assert body[::-1] == await pair.near.call(body, timeout_s=SOON_S)

        asyncio.run(main())

    def test_each_end_knows_the_other(self) -> None:
        async def main() -> None:
            async with self.pair() as pair:
                assert PeerIdentity(ANCHOR.public, ANCHOR_NAME) == pair.near.peer
                assert PeerIdentity(DESK.public, DESK_NAME) == pair.far.peer

        asyncio.run(main())

    def test_200_calls_at_once_each_get_their_own_reply(self) -> None:
        turns = 200
        arrived: list[asyncio.Event] = []

        async def in_reverse(_connection: Connection, body: bytes) -> bytes:
            mine = asyncio.Event()
            arrived.append(mine)
            if len(arrived) == turns:
                arrived[-1].set()
            await mine.wait()
            arrived.pop()
            if arrived:
                arrived[-1].set()
            return b"reply to " + body

        async def main() -> None:
            async with self.pair(in_reverse) as pair:
                bodies = [b"%d" % n for n in range(turns)]
                calls = (pair.near.call(body, timeout_s=SOON_S) for body in bodies)
                assert [b"reply to " + body for body in bodies] == await asyncio.gather(*calls)

        asyncio.run(main())

    def test_both_ends_call_on_one_connection(self) -> None:
        async def main() -> None:
            async with self.pair(near_request=echo) as pair:
                both = (
                    *(pair.near.call(b"n%d" % n, timeout_s=SOON_S) for n in range(50)),
                    *(pair.far.call(b"f%d" % n, timeout_s=SOON_S) for n in range(50)),
                )
                expected = [b"n%d" % n for n in range(50)] + [b"f%d" % n for n in range(50)]
                assert expected == await asyncio.gather(*both)

        asyncio.run(main())

    def test_handlers_that_all_call_back_do_not_block_each_other(self) -> None:
        limits = WireLimits(requests_max=4)

        async def ask_back(connection: Connection, body: bytes) -> bytes:
            return await connection.call(body + b"?", timeout_s=SOON_S)

        async def main() -> None:
            async with self.pair(
                ask_back, near_request=echo, near_limits=limits, far_limits=limits
            ) as pair:
                calls = (pair.near.call(b"%d" % n, timeout_s=SOON_S) for n in range(40))
                assert [b"%d?" % n for n in range(40)] == await asyncio.gather(*calls)

        asyncio.run(main())

    def test_callers_wait_their_turn(self) -> None:
        under_way: list[int] = []
        now = 0

        async def count(_connection: Connection, body: bytes) -> bytes:
            nonlocal now
            now += 1
            under_way.append(now)
            await asyncio.sleep(0)
            now -= 1
            return body

        async def main() -> None:
            async with self.pair(count, near_limits=WireLimits(requests_max=3)) as pair:
                calls = (pair.near.call(b"", timeout_s=SOON_S) for _ in range(30))
                assert [b""] * 30 == await asyncio.gather(*calls)
                assert max(under_way) == 3

        asyncio.run(main())

    def test_a_receiver_reads_no_more_requests_than_it_may_run(self) -> None:
        under_way = 0
        release = asyncio.Event()
        full = asyncio.Event()

        async def hold(_connection: Connection, body: bytes) -> bytes:
            nonlocal under_way
            under_way += 1
            assert under_way <= 2
            if under_way == 2:
                full.set()
            await release.wait()
            under_way -= 1
            return body

        async def main() -> None:
            async with self.pair(hold, far_limits=WireLimits(requests_max=2)) as pair:
                calls = [
                    asyncio.create_task(pair.near.call(b"%d" % n, timeout_s=SOON_S))
                    for n in range(20)
                ]
                await full.wait()
                release.set()
                assert [b"%d" % n for n in range(20)] == await asyncio.gather(*calls)

        asyncio.run(main())

    def test_a_body_over_the_limit_is_not_sent(self) -> None:
        limits = WireLimits(body_bytes_max=1000)

        async def main() -> None:
            async with self.pair(near_limits=limits, far_limits=limits) as pair:
                with pytest.raises(Misused, match="1001 bytes"):
                    await pair.near.call(b"x" * 1001, timeout_s=SOON_S)
                with pytest.raises(Misused, match="1001 bytes"):
                    pair.near.notify(b"x" * 1001)
                assert b"x" * 1000 == await pair.near.call(b"x" * 1000, timeout_s=SOON_S)

        asyncio.run(main())

    def test_a_body_over_the_other_ends_limit_is_refused_and_the_rest_goes_on(self) -> None:
        async def main() -> None:
            async with self.pair(far_limits=WireLimits(body_bytes_max=1000)) as pair:
                sizes = [10, 1001, 20, 3_000_000, 30]
                calls = (pair.near.call(b"x" * size, timeout_s=SOON_S) for size in sizes)
                answers = await asyncio.gather(*calls, return_exceptions=True)
                assert [b"x" * 10, b"x" * 20, b"x" * 30] == answers[::2]
                for refused in answers[1::2]:
                    assert isinstance(refused, Rejected)
                    assert refused.reason == "too-large"

        asyncio.run(main())

    def test_a_reply_over_the_callers_limit_is_rejected_and_the_rest_goes_on(self) -> None:
        async def grow(_connection: Connection, body: bytes) -> bytes:
            return body * 2000

        async def main() -> None:
            async with self.pair(grow, near_limits=WireLimits(body_bytes_max=3000)) as pair:
                with pytest.raises(Rejected, match="more than the limit of 3000") as rejected:
                    await pair.near.call(b"xx", timeout_s=SOON_S)
                assert rejected.value.reason == "too-large"
                assert b"x" * 2000 == await pair.near.call(b"x", timeout_s=SOON_S)

        asyncio.run(main())

    # --- errors -----------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("raised", "expected"),
        [
            (Rejected("p", reason="truncated", where="a.b", remedy="r"), Rejected),
            (Denied("p", remedy="r"), Denied),
            (Refused("p", remedy="r"), Refused),
            (Misused("p", remedy="r"), Misused),
            (Failed("p", remedy="r"), Failed),
            (Unreachable("p", remedy="r"), Failed),
            (StoreFailed("p", remedy="r"), Failed),
        ],
        ids=lambda value: value.code if isinstance(value, SojournError) else "",
    )
    def test_the_caller_gets_the_class_of_error_that_the_handler_raised(
        self, raised: SojournError, expected: type[SojournError]
    ) -> None:
        async def fail(_connection: Connection, _body: bytes) -> bytes:
            raise raised

        async def main() -> None:
            async with self.pair(fail) as pair:
                with pytest.raises(SojournError) as seen:
                    await pair.near.call(b"", timeout_s=SOON_S)
                assert expected is type(seen.value)
                assert ("p", "r") == (seen.value.problem, seen.value.remedy)
                if isinstance(seen.value, Rejected):
                    assert ("truncated", "a.b") == (seen.value.reason, seen.value.where)

        asyncio.run(main())

    @pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
    def test_any_other_error_stays_inside(self, error: type[BaseException]) -> None:
        async def fail(_connection: Connection, body: bytes) -> bytes:
            if body == b"fail":
                raise error("the secret")
            return body

        async def main() -> None:
            async with self.pair(fail) as pair:
                with pytest.raises(Failed) as seen:
                    await pair.near.call(b"fail", timeout_s=SOON_S)
                assert str(seen.value) == "internal error"
                assert await pair.near.call(b"ok", timeout_s=SOON_S) == b"ok"

        asyncio.run(main())

    def test_a_reply_too_large_to_send_fails_that_call_alone(self) -> None:
        async def grow(_connection: Connection, body: bytes) -> bytes:
            return body * 2000

        async def main() -> None:
            async with self.pair(grow, far_limits=WireLimits(body_bytes_max=3000)) as pair:
                with pytest.raises(Failed, match="4000 bytes"):
                    await pair.near.call(b"xx", timeout_s=SOON_S)
                assert b"x" * 2000 == await pair.near.call(b"x", timeout_s=SOON_S)

        asyncio.run(main())

    def test_an_end_without_handlers_refuses_requests_and_ignores_notices(self) -> None:
        async def main() -> None:
            async with self.pair() as pair:
                pair.far.notify(b"anyone?")
                with pytest.raises(Refused):
                    await pair.far.call(b"anyone?", timeout_s=SOON_S)

        asyncio.run(main())

    # --- time -------------------------------------------------------------------------------------

    def test_a_call_without_answer_times_out_and_its_late_reply_harms_nobody(self) -> None:
        release = asyncio.Event()

        async def late(_connection: Connection, body: bytes) -> bytes:
            if body == b"late":
                await release.wait()
            return body

        async def main() -> None:
            async with self.pair(late) as pair:
                with pytest.raises(Unreachable, match=r"did not answer within 0\.01 s"):
                    await pair.near.call(b"late", timeout_s=0.01)
                release.set()
                assert await pair.near.call(b"next", timeout_s=SOON_S) == b"next"
                assert not pair.near.is_closed

        asyncio.run(main())

    def test_a_call_given_up_keeps_its_turn_until_the_other_end_is_done(self) -> None:
        release = asyncio.Event()

        async def late(_connection: Connection, body: bytes) -> bytes:
            await release.wait()
            return body

        async def main() -> None:
            async with self.pair(late, near_limits=WireLimits(requests_max=1)) as pair:
                for timeout_s in (0.01, 0.01):
                    with pytest.raises(Unreachable):
                        await pair.near.call(b"late", timeout_s=timeout_s)
                release.set()
                assert await pair.near.call(b"next", timeout_s=SOON_S) == b"next"

        asyncio.run(main())

    def test_a_call_can_be_cancelled(self) -> None:
        asked = asyncio.Event()

        async def hang(_connection: Connection, body: bytes) -> bytes:
            if body == b"hang":
                asked.set()
                await asyncio.Event().wait()
            return body

        async def main() -> None:
            limits = WireLimits(close_s=0.01)
            async with self.pair(hang, far_limits=limits) as pair:
                call = asyncio.create_task(pair.near.call(b"hang", timeout_s=SOON_S))
                await asked.wait()
                call.cancel()
                assert await pair.near.call(b"next", timeout_s=SOON_S) == b"next"
                assert call.cancelled()

        asyncio.run(main())

    def test_an_idle_connection_is_closed(self) -> None:
        async def main() -> None:
            async with self.pair(far_limits=WireLimits(idle_s=0.02)) as pair:
                await pair.near.wait_closed()
                with pytest.raises(Unreachable, match="closed"):
                    await pair.near.call(b"", timeout_s=SOON_S)

        asyncio.run(main())

    def test_a_connection_with_a_call_under_way_is_not_idle(self) -> None:
        limits = WireLimits(idle_s=0.01)
        release = asyncio.Event()

        async def wait(_connection: Connection, body: bytes) -> bytes:
            await release.wait()
            return body

        async def main() -> None:
            async with self.pair(wait, near_limits=limits, far_limits=limits) as pair:
                asyncio.get_running_loop().call_later(0.05, release.set)
                assert await pair.near.call(b"long", timeout_s=SOON_S) == b"long"

        asyncio.run(main())

    # --- notices ----------------------------------------------------------------------------------

    def test_notices_arrive_in_order(self) -> None:
        heard: list[bytes] = []
        done = asyncio.Event()

        async def hear(_connection: Connection, body: bytes) -> None:
            heard.append(body)
            if len(heard) == 500:
                done.set()

        async def main() -> None:
            async with self.pair(far_notice=hear) as pair:
                for n in range(500):
                    pair.near.notify(b"%d" % n)
                await done.wait()
                assert [b"%d" % n for n in range(500)] == heard

        asyncio.run(main())

    def test_a_notice_handler_that_fails_harms_nobody(self) -> None:
        async def fail(_connection: Connection, _body: bytes) -> None:
            raise RuntimeError("the secret")

        async def main() -> None:
            async with self.pair(far_notice=fail) as pair:
                pair.near.notify(b"")
                assert await pair.near.call(b"next", timeout_s=SOON_S) == b"next"

        asyncio.run(main())

    # --- a peer that does not read ----------------------------------------------------------------

    def test_a_peer_that_does_not_read_holds_us_back_and_is_cut_off(self) -> None:
        release = asyncio.Event()

        async def hold(_connection: Connection, _body: bytes) -> None:
            await release.wait()

        async def flood(connection: Connection) -> None:
            while True:
                connection.notify(b"x" * 100_000)
                await asyncio.sleep(0)

        async def main() -> None:
            async with self.pair(
                far_notice=hold,
                far_limits=WireLimits(requests_max=1),
                near_limits=WireLimits(stall_s=0.05, write_bytes_max=100_000),
            ) as pair:
                with pytest.raises(Unreachable, match="does not read"):
                    await flood(pair.near)
                with pytest.raises(Unreachable, match="read too little"):
                    await pair.near.call(b"", timeout_s=SOON_S)
                await pair.near.wait_closed()
                release.set()

        asyncio.run(main())

    def test_closing_does_not_wait_for_a_peer_that_does_not_read(self) -> None:
        release = asyncio.Event()

        async def hold(_connection: Connection, _body: bytes) -> None:
            await release.wait()

        async def flood(connection: Connection) -> None:
            while True:
                connection.notify(b"x" * 100_000)
                await asyncio.sleep(0)

        async def main() -> None:
            async with self.pair(
                far_notice=hold,
                far_limits=WireLimits(requests_max=1),
                near_limits=WireLimits(close_s=0.05),
            ) as pair:
                with pytest.raises(Unreachable, match="does not read"):
                    await flood(pair.near)
                await pair.near.close()
                release.set()

        asyncio.run(main())

    def test_as_much_may_wait_to_be_written_as_the_limit_says(self) -> None:
        heard = 0
        release, all_heard = asyncio.Event(), asyncio.Event()

        async def hold(_connection: Connection, _body: bytes) -> None:
            nonlocal heard
            await release.wait()
            heard += 1
            if heard == 20:
                all_heard.set()

        async def main() -> None:
            async with self.pair(
                far_notice=hold,
                far_limits=WireLimits(requests_max=1),
                near_limits=WireLimits(write_bytes_max=32_000_000),
            ) as pair:
                for _ in range(20):
                    pair.near.notify(b"x" * 1_000_000)
                    await asyncio.sleep(0)
                release.set()
                await all_heard.wait()

        asyncio.run(main())

    # --- connecting and listening -----------------------------------------------------------------

    def test_another_key_than_the_expected_is_rejected(self) -> None:
        async def main() -> None:
            make = self.make()
            other = KeyPair(b"o" * 32)
            listener = await make(other, ANCHOR_NAME, WireLimits()).listen(HOST, 0, on_request=echo)
            desk = make(DESK, DESK_NAME, WireLimits())
            with pytest.raises(Rejected) as seen:
                await desk.connect(HOST, listener.port, ANCHOR.public)
            assert seen.value.reason == "wrong-key"
            assert key_text(other.public) in str(seen.value)
            assert key_text(ANCHOR.public) in str(seen.value)
            await listener.close()

        asyncio.run(main())

    @pytest.mark.parametrize("key", [b"", b"short", bytes(32)], ids=["none", "short", "low order"])
    def test_a_key_that_nobody_can_hold_is_not_asked_for(self, key: bytes) -> None:
        async def main() -> None:
            desk = self.make()(DESK, DESK_NAME, WireLimits())
            with pytest.raises(Misused):
                await desk.connect(HOST, 1, key)

        asyncio.run(main())

    def test_nobody_there_is_unreachable(self) -> None:
        async def main() -> None:
            async with self.pair() as pair:
                pass
            port = pair.listener.port
            desk = self.make()(DESK, DESK_NAME, WireLimits())
            with pytest.raises(Unreachable, match=f"{HOST}:{port}"):
                await desk.connect(HOST, port, ANCHOR.public)

        asyncio.run(main())

    @pytest.mark.parametrize("port", [-1, 65536, 2**40])
    def test_a_port_that_cannot_be(self, port: int) -> None:
        async def main() -> None:
            desk = self.make()(DESK, DESK_NAME, WireLimits())
            with pytest.raises(Unreachable, match=f"{HOST}:{port}: ports are 1 to 65535"):
                await desk.connect(HOST, port, ANCHOR.public)
            with pytest.raises(Misused, match=f"cannot listen at {HOST}:{port}"):
                await desk.listen(HOST, port, on_request=echo)

        asyncio.run(main())

    def test_a_port_in_use_is_named_in_one_line(self) -> None:
        async def main() -> None:
            make = self.make()
            anchor = make(ANCHOR, ANCHOR_NAME, WireLimits())
            listener = await anchor.listen(HOST, 0, on_request=echo)
            with pytest.raises(Misused, match=f"port {listener.port} on {HOST} is in use") as seen:
                await anchor.listen(HOST, listener.port, on_request=echo)
            assert "\n" not in str(seen.value)
            assert seen.value.remedy
            await listener.close()

        asyncio.run(main())

    def test_a_listener_that_is_full_takes_no_more(self) -> None:
        async def main() -> None:
            make = self.make()
            anchor = make(ANCHOR, ANCHOR_NAME, WireLimits(connections_max=2))
            desk = make(DESK, DESK_NAME, WireLimits())
            listener = await anchor.listen(HOST, 0, on_request=echo)
            first, second = [
                await desk.connect(HOST, listener.port, ANCHOR.public) for _ in range(2)
            ]
            with pytest.raises(Unreachable):
                await desk.connect(HOST, listener.port, ANCHOR.public)
            assert await first.call(b"1", timeout_s=SOON_S) == b"1"
            assert await second.call(b"2", timeout_s=SOON_S) == b"2"
            await first.close()
            third = await self._connect_again(desk, listener.port)
            assert await third.call(b"3", timeout_s=SOON_S) == b"3"
            await asyncio.gather(second.close(), third.close())
            await listener.close()

        asyncio.run(main())

    async def _connect_again(self, desk: Transport, port: int) -> Connection:
        """Connect as soon as the listener has noticed that there is room."""
        async with asyncio.timeout(SOON_S):
            while True:
                try:
                    return await desk.connect(HOST, port, ANCHOR.public)
                except Unreachable:
                    await asyncio.sleep(0)

    # --- closing ----------------------------------------------------------------------------------

    def test_a_listener_that_closes_lets_calls_end_and_begins_no_more(self) -> None:
        asked, release = asyncio.Event(), asyncio.Event()

        async def slow(_connection: Connection, body: bytes) -> bytes:
            if body == b"slow":
                asked.set()
                await release.wait()
            return body

        async def main() -> None:
            async with self.pair(slow) as pair:
                call = asyncio.create_task(pair.near.call(b"slow", timeout_s=SOON_S))
                await asked.wait()
                closing = asyncio.create_task(pair.listener.close())
                await asyncio.sleep(0)
                with pytest.raises((Failed, Unreachable), match="closing"):
                    await pair.near.call(b"new", timeout_s=SOON_S)
                release.set()
                assert await call == b"slow"
                await closing
                await pair.near.wait_closed()
                assert pair.near.is_closed
                with pytest.raises(Unreachable):
                    await pair.near.call(b"late", timeout_s=SOON_S)

        asyncio.run(main())

    def test_a_graceful_close_is_bounded_and_cancels_what_does_not_end(self) -> None:
        cancelled = asyncio.Event()
        asked = asyncio.Event()

        async def hang(connection: Connection, body: bytes) -> bytes:
            asked.set()
            try:
                return await never(connection, body)
            finally:
                cancelled.set()

        async def main() -> None:
            async with self.pair(hang, far_limits=WireLimits(close_s=0.02)) as pair:
                call = asyncio.create_task(pair.near.call(b"", timeout_s=SOON_S))
                await asked.wait()
                await pair.listener.close()
                assert cancelled.is_set()
                with pytest.raises(Unreachable, match="closed"):
                    await call

        asyncio.run(main())

    def test_calls_fail_when_either_end_closes(self) -> None:
        asked = asyncio.Event()

        async def hang(connection: Connection, body: bytes) -> bytes:
            asked.set()
            return await never(connection, body)

        async def main() -> None:
            limits = WireLimits(close_s=0.01)
            async with self.pair(hang, near_limits=limits, far_limits=limits) as pair:
                call = asyncio.create_task(pair.near.call(b"", timeout_s=SOON_S))
                await asked.wait()
                await pair.near.close()
                with pytest.raises(Unreachable, match="this end closed it"):
                    await call
                await pair.listener.close()
                assert pair.far.is_closed

        asyncio.run(main())

    def test_a_handler_runs_on_when_the_connection_breaks(self) -> None:
        asked, release, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def write(_connection: Connection, body: bytes) -> bytes:
            asked.set()
            await release.wait()
            ended.set()
            return body

        async def main() -> None:
            async with self.pair(write, near_limits=WireLimits(close_s=0.01)) as pair:
                call = asyncio.create_task(pair.near.call(b"", timeout_s=SOON_S))
                await asked.wait()
                await pair.near.close()
                with pytest.raises(Unreachable):
                    await call
                release.set()
                await pair.far.wait_closed()
                assert ended.is_set()

        asyncio.run(main())

    def test_a_handler_can_close_its_own_connection(self) -> None:
        async def hang_up(connection: Connection, body: bytes) -> bytes:
            await connection.close()
            return body

        async def main() -> None:
            async with self.pair(hang_up) as pair:
                with pytest.raises(Unreachable):
                    await pair.near.call(b"", timeout_s=SOON_S)
                await pair.near.wait_closed()

        asyncio.run(main())

    def test_closing_twice_is_closing_once(self) -> None:
        async def main() -> None:
            async with self.pair() as pair:
                await asyncio.gather(pair.near.close(), pair.near.close())
                await pair.near.close()
                await pair.listener.close()
                await pair.listener.close()

        asyncio.run(main())

    def test_nothing_is_left_running(self) -> None:
        async def main() -> None:
            async with self.pair(near_request=echo) as pair:
                await pair.near.call(b"", timeout_s=SOON_S)
                await pair.far.call(b"", timeout_s=SOON_S)
            assert {asyncio.current_task()} == asyncio.all_tasks()

        asyncio.run(main())
