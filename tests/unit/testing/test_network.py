"""The simulated network: delays, cuts both ways and one way, breaks, deaths; frames are production's."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from sojourn.core.base.errors import Unreachable
from sojourn.core.base.keys import KeyPair
from sojourn.runtime.transport import Connection, PeerIdentity, WireLimits
from sojourn.testing.founding import key
from sojourn.testing.life import Life, Machine
from sojourn.testing.network import Network, SimulatedTransport
from sojourn.testing.timeline import NS_PER_S, Timeline
from tests.conformance.transport import SOON_S, MakeTransport, TransportConformance

PLACE = ("there", 7400)


class TestConformance(TransportConformance):
    """The suite of the transport port, in virtual time: `asyncio.run` runs on a simulated process."""

    life: Life
    network: Network

    @pytest.fixture(autouse=True)
    def run_on_a_simulated_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asyncio, "run", self.run)

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        timeline = Timeline(random.Random(1))
        self.network = Network(timeline, random.Random(1), lambda _source, _target, _data: None)
        self.life = Life(Machine("here/host/0", timeline, "seed"), lambda _what, _error: None)
        tasks: list[asyncio.Task[Any]] = []
        self.life.post(lambda: tasks.append(self.life.loop.create_task(main)))
        timeline.run(lambda: bool(tasks) and tasks[0].done(), 3600 * NS_PER_S)
        self.life.end()
        timeline.crew.close()
        return tasks[0].result()

    def test_a_peer_that_does_not_read_holds_us_back_and_is_cut_off(self) -> None:
        """Here bytes take time, and are held back while they do: it is to be flooded for as long as it lives."""
        release = asyncio.Event()

        async def hold(_connection: Connection, _body: bytes) -> None:
            await release.wait()

        async def main() -> None:
            async with self.pair(
                far_notice=hold,
                far_limits=WireLimits(requests_max=1),
                near_limits=WireLimits(stall_s=0.05, write_bytes_max=100_000),
            ) as pair:
                held_back = 0
                while not pair.near.is_closed:
                    try:
                        pair.near.notify(b"x" * 100_000)
                    except Unreachable:
                        held_back += 1
                    await asyncio.sleep(0.001)
                assert held_back > 40
                with pytest.raises(Unreachable, match="read too little"):
                    await pair.near.call(b"", timeout_s=SOON_S)
                release.set()

        asyncio.run(main())

    def make(self) -> MakeTransport:
        def make(keys: KeyPair, name: str, limits: WireLimits) -> SimulatedTransport:
            identity = PeerIdentity(keys.public, name)
            return SimulatedTransport(self.network, self.life, identity, limits)

        return make


class Scene:
    """A machine that calls, and one that answers."""

    def __init__(self, seed: int = 1) -> None:
        self.timeline = Timeline(random.Random(seed))
        self.sent: list[bytes] = []
        self.network = Network(
            self.timeline, random.Random(seed), lambda _s, _t, data: self.sent.append(data)
        )
        self.near = self._machine("near/host/0", None)
        self.far = self._machine("far/anchor/0", PLACE)
        self.served: list[bytes] = []
        self._kept: list[Any] = []
        self.listen()

    def _machine(self, name: str, place: tuple[str, int] | None) -> Life:
        machine = Machine(name, self.timeline, "seed")
        self.network.add(machine, place)
        return Life(machine, lambda _what, _error: None)

    def transport(self, life: Life) -> SimulatedTransport:
        return SimulatedTransport(
            self.network, life, PeerIdentity(key(life.name).public, f"spiffe://{life.name}")
        )

    def listen(self) -> None:
        async def serve(_connection: Connection, body: bytes) -> bytes:
            self.served.append(body)
            return body.upper()

        async def begin() -> None:
            await self.transport(self.far).listen(*PLACE, on_request=serve)

        self.begin(self.far, begin)
        self.run(0.1)

    def begin(self, life: Life, work: Callable[[], Coroutine[Any, Any, Any]]) -> list[Any]:
        """Begin some work; what it returns, or raises, is in the list in the end."""
        done: list[Any] = []

        async def noted() -> None:
            try:
                done.append(await work())
            except Unreachable as error:
                done.append(error)

        def start() -> None:
            self._kept.append(life.loop.create_task(noted()))

        life.post(start)
        return done

    def run(self, seconds: float) -> None:
        self.timeline.run(lambda: False, self.timeline.now_ns + round(seconds * NS_PER_S))

    async def connect(self) -> Connection:
        return await self.transport(self.near).connect(*PLACE, key(self.far.name).public)

    def call(self, timeout_s: float = 10) -> list[Any]:
        async def call() -> Any:
            return await (await self.connect()).call(b"hello", timeout_s=timeout_s)

        return self.begin(self.near, call)


def test_a_call_is_answered_after_some_way() -> None:
    scene = Scene()
    began = scene.timeline.now_ns
    done = scene.call()
    scene.timeline.run(lambda: bool(done), scene.timeline.now_ns + 10 * NS_PER_S)
    assert [b"HELLO"] == done
    assert 20e6 <= scene.timeline.now_ns - began <= 250e6  # there and back, twice


@pytest.mark.parametrize("lost", ["requests", "replies"])
def test_what_is_cut_one_way_arrives_when_it_is_healed(lost: str) -> None:
    scene = Scene()
    connecting = scene.begin(scene.near, scene.connect)
    scene.run(1)
    connection: Connection = connecting[0]
    ways = (scene.near.name, scene.far.name)
    scene.network.cut(*(ways if lost == "requests" else ways[::-1]))
    done = scene.begin(scene.near, lambda: connection.call(b"hello", timeout_s=20))
    scene.run(5)
    assert done == []
    assert scene.served == ([] if lost == "requests" else [b"hello"])
    assert scene.call() == []
    scene.run(6)
    scene.network.heal(*(ways if lost == "requests" else ways[::-1]))
    scene.run(3)
    assert [b"HELLO"] == done


def test_nobody_connects_through_a_cut() -> None:
    scene = Scene()
    scene.network.cut(scene.far.name, scene.near.name)
    done = scene.call()
    scene.run(6)
    assert "nobody answers" in str(done[0])


def test_a_wire_that_breaks_fails_calls_and_may_stop_within_a_frame() -> None:
    whys = set()
    for seed in range(30):
        scene = Scene(seed)
        connecting = scene.begin(scene.near, scene.connect)
        scene.run(1)
        connection: Connection = connecting[0]
        done = scene.begin(scene.near, lambda c=connection: c.call(b"h" * 1000, timeout_s=20))
        scene.run(0.001)  # the request is on its way
        scene.network.break_wires(scene.near)
        scene.run(1)
        assert isinstance(done[0], Unreachable)
        assert connection.is_closed
        whys.add(len(scene.served))
    assert {0} == whys


def test_what_was_sent_before_a_death_arrives_and_then_the_wire_ends() -> None:
    scene = Scene()
    connecting = scene.begin(scene.near, scene.connect)
    scene.run(1)
    connection: Connection = connecting[0]
    scene.begin(scene.near, lambda: connection.call(b"last words", timeout_s=20))
    scene.run(0.001)
    scene.near.end()
    scene.network.end_wires(scene.near, silently=False)
    scene.run(1)
    assert [b"last words"] == scene.served


def test_a_machine_without_power_is_silent_and_knows_nothing_when_it_is_back() -> None:
    scene = Scene()
    connecting = scene.begin(scene.near, scene.connect)
    scene.run(1)
    connection: Connection = connecting[0]
    scene.far.machine.is_off = True
    scene.far.end()
    scene.network.end_wires(scene.far, silently=True)
    done = scene.begin(scene.near, lambda: connection.call(b"hello", timeout_s=4))
    scene.run(3)
    assert done == []
    assert not connection.is_closed
    scene.run(2)
    assert "did not answer within" in str(done[0])
    scene.far.machine.is_off = False
    again = scene.begin(scene.near, lambda: connection.call(b"hello", timeout_s=20))
    scene.run(2)
    assert "nobody knows it there any more" in str(again[0])


def test_much_is_held_back_until_it_is_read() -> None:
    scene = Scene()
    connecting = scene.begin(scene.near, scene.connect)
    scene.run(1)
    connection: Connection = connecting[0]

    async def call_all() -> list[bytes]:
        calls = (connection.call(bytes([n]) * 400_000, timeout_s=60) for n in range(65, 75))
        return await asyncio.gather(*calls)

    done = scene.begin(scene.near, call_all)
    scene.run(5)
    assert [bytes([n]) * 400_000 for n in range(65, 75)] == done[0]
