"""The pool: one connection for each peer, back-off, and closing."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from sojourn.core.base.errors import Rejected, Unreachable
from sojourn.core.base.keys import KeyPair
from sojourn.runtime.transport import (
    Connection,
    Handlers,
    Listener,
    PeerIdentity,
    Transport,
    WireLimits,
)
from sojourn.transports import pool as pool_module
from sojourn.transports.loopback import LoopbackNetwork, LoopbackTransport
from sojourn.transports.pool import BACKOFF_BASE_S, BACKOFF_MAX_S, STEADY_S, ConnectionPool
from tests.unit.transports.leaping import LeapingLoop, leap

ANCHOR = KeyPair(b"a" * 32)
DESK = KeyPair(b"d" * 32)
HOST = "anchor.zone"
PORT = 7000


class CountingTransport(LoopbackTransport):
    """A loopback that counts attempts, and holds them while `gate` is not set."""

    def __init__(self, network: LoopbackNetwork) -> None:
        super().__init__(network, PeerIdentity(DESK.public, "spiffe://zone/host/1"))
        self.attempts = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def _connect(
        self, host: str, port: int, expected_key: bytes, handlers: Handlers
    ) -> Connection:
        self.attempts += 1
        await self.gate.wait()
        return await super()._connect(host, port, expected_key, handlers)


class World:
    """A pool, and an anchor that may or may not listen."""

    def __init__(self) -> None:
        self.network = LoopbackNetwork()
        self.transport = CountingTransport(self.network)
        self.pool = ConnectionPool(self.transport, jitter=random.Random(1))

    async def listen(self, keys: KeyPair = ANCHOR) -> Listener:
        identity = PeerIdentity(keys.public, "spiffe://zone/anchor/1")
        anchor: Transport = LoopbackTransport(self.network, identity, WireLimits(close_s=0.01))
        return await anchor.listen(HOST, PORT, on_request=echo)

    async def connection(self) -> Connection:
        return await self.pool.connection(HOST, PORT, ANCHOR.public)


async def echo(_connection: Connection, body: bytes) -> bytes:
    return body


def run(play: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        world = World()
        await play(world)
        await world.pool.close()
        assert {asyncio.current_task()} == asyncio.all_tasks()

    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        runner.run(main())


def test_one_connection_is_kept_open() -> None:
    async def play(world: World) -> None:
        await world.listen()
        first = await world.connection()
        assert first is await world.connection()
        assert await first.call(b"a", timeout_s=5) == b"a"
        assert 1 == world.transport.attempts

    run(play)


def test_all_who_ask_at_once_share_one_attempt() -> None:
    async def play(world: World) -> None:
        await world.listen()
        connections = await asyncio.gather(*(world.connection() for _ in range(20)))
        assert 1 == len(set(map(id, connections)))
        assert 1 == world.transport.attempts

    run(play)


def test_an_attempt_survives_the_one_who_began_it() -> None:
    async def play(world: World) -> None:
        await world.listen()
        world.transport.gate.clear()
        first, second = (asyncio.create_task(world.connection()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        world.transport.gate.set()
        assert (await second).peer.public_key == ANCHOR.public
        assert first.cancelled()
        assert 1 == world.transport.attempts

    run(play)


def test_a_failed_attempt_is_not_repeated_before_it_is_due() -> None:
    async def play(world: World) -> None:
        with pytest.raises(Unreachable, match="nobody answers"):
            await world.connection()
        with pytest.raises(Unreachable, match=r"tried again in 0\.0\d s: nobody answers"):
            await world.connection()
        assert 1 == world.transport.attempts
        await world.listen()
        leap(BACKOFF_BASE_S)
        await world.connection()
        assert 2 == world.transport.attempts

    run(play)


def test_attempts_that_fail_are_spaced_ever_wider_up_to_a_bound() -> None:
    async def play(world: World) -> None:
        for failures in range(12):
            with pytest.raises(Unreachable, match="nobody answers"):
                await world.connection()
            assert failures + 1 == world.transport.attempts
            bound_s = min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2**failures)
            leap(bound_s * 0.5 - 0.01)
            with pytest.raises(Unreachable, match="tried again"):
                await world.connection()
            leap(bound_s * 0.5 + 0.01)

    run(play)


def test_a_peer_long_gone_is_still_tried() -> None:
    async def play(world: World) -> None:
        for attempts in range(1, 1200):
            with pytest.raises(Unreachable, match="nobody answers"):
                await world.connection()
            assert attempts == world.transport.attempts
            leap(BACKOFF_MAX_S)

    run(play)


def test_a_wrong_key_is_an_attempt_that_failed() -> None:
    async def play(world: World) -> None:
        await world.listen(KeyPair(b"o" * 32))
        with pytest.raises(Rejected):
            await world.connection()
        with pytest.raises(Unreachable, match="wrong-key"):
            await world.connection()
        assert 1 == world.transport.attempts

    run(play)


def test_a_steady_connection_that_broke_is_made_anew_at_once() -> None:
    async def play(world: World) -> None:
        listener = await world.listen()
        first = await world.connection()
        leap(STEADY_S)
        await listener.close()
        await first.wait_closed()
        await world.listen()
        second = await world.connection()
        assert second is not first
        assert 2 == world.transport.attempts

    run(play)


def test_a_steady_connection_makes_up_for_the_failures_before_it() -> None:
    async def play(world: World) -> None:
        for _ in range(6):
            with pytest.raises(Unreachable):
                await world.connection()
            leap(BACKOFF_MAX_S)
        listener = await world.listen()
        connection = await world.connection()
        leap(STEADY_S)
        await listener.close()
        await connection.wait_closed()
        with pytest.raises(Unreachable, match="nobody answers"):
            await world.connection()
        await world.listen()
        leap(BACKOFF_BASE_S)
        await world.connection()

    run(play)


def test_a_peer_that_hangs_up_at_once_is_not_called_in_a_tight_loop() -> None:
    async def play(world: World) -> None:
        for failures in range(5):
            listener = await world.listen()
            connection = await world.connection()
            await listener.close()
            await connection.wait_closed()
            with pytest.raises(Unreachable, match="broke at once"):
                await world.connection()
            assert failures + 1 == world.transport.attempts
            leap(BACKOFF_BASE_S * 2**failures)

    run(play)


def test_closing_ends_attempts_and_connections_and_begins_no_more() -> None:
    async def play(world: World) -> None:
        listener = await world.listen()
        open_one = await world.connection()
        world.transport.gate.clear()
        waiting = asyncio.create_task(world.pool.connection("other", PORT, ANCHOR.public))
        await asyncio.sleep(0)
        await world.pool.close()
        assert open_one.is_closed
        for asked in (waiting, world.connection()):
            with pytest.raises(Unreachable, match="closing"):
                await asked
        await listener.close()

    run(play)


def test_peers_out_of_use_are_forgotten_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "PEERS_MAX", 3)

    async def play(world: World) -> None:
        await world.listen()
        kept = await world.connection()
        for port in range(1, 6):
            with pytest.raises(Unreachable, match="nobody answers"):
                await world.pool.connection(HOST, port, ANCHOR.public)
        assert kept is await world.connection()
        assert len(world.pool._peers) <= 3

    run(play)
