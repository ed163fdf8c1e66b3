"""The host as it takes work: each agent once at a time, sleepers undisturbed, nothing lost, nothing kept."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.capabilities import Offer, Requirements
from sojourn.core.agent.eligibility import Status, Wake
from sojourn.core.base.encoding import encode
from sojourn.core.base.errors import Refused
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import AskWork, PutMessage, Work, WorkItem
from sojourn.core.protocol.messages import Arrive
from sojourn.host import server
from sojourn.host.server import Host
from sojourn.runtime.processes import clock
from tests.unit.anchor.letters import letter
from tests.unit.anchor.standing_in import stand_in, until
from tests.unit.host.hosting import NoSubstrate, hosted
from tests.village import House, Village, village


class _Line:
    """A connection, as far as a notice needs one."""

    def __init__(self, key: bytes) -> None:
        self.peer = type("Peer", (), {"public_key": key})()


Line: Any = _Line
Test = Callable[[Village, House, Host, list[str]], Awaitable[None]]


class FakeRun:
    """A run that writes down that it began, and goes on until it is told to end."""

    log: list[str]
    gate: asyncio.Event

    def __init__(self, host: Host, head: Certified, mail: asyncio.Event) -> None:
        self._head, self._mail = head, mail

    async def live(self) -> None:
        """Run."""
        self.log.append(f"v{self._head.record.version}{' mail' * self._mail.is_set()}")
        await self.gate.wait()


def run(test: Test, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with a host whose runs are fake; the list says which began."""

    async def main() -> None:
        FakeRun.log, FakeRun.gate = [], asyncio.Event()
        monkeypatch.setattr(server, "AgentRun", FakeRun)
        async with village("a", lease_ms=60_000) as v:
            house = v.houses["a"]
            async with hosted(v, house) as host:
                await test(v, house, host, FakeRun.log)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_work_that_is_told_four_times_is_seen_to_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(v: Village, house: House, host: Host, log: list[str]) -> None:
        head = await v.launch(house)
        assert [True, False, False] == [host.take(WorkItem(head=head)) for _ in range(3)]
        await until(lambda: log)
        assert 1 == host.running
        FakeRun.gate.set()
        await until(lambda: host.running == 0)
        assert {} == host._mail
        assert ["v1"] == log

    run(test, monkeypatch)


def test_an_agent_that_is_free_is_bound_first(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(v: Village, house: House, host: Host, log: list[str]) -> None:
        born = await v.decide(house, v.genesis(house))
        host.take(WorkItem(head=born))
        await until(lambda: log)
        assert ["v1"] == log
        head = house.anchors[0].shelf.dossier(born.record.agent_id).head
        assert head is not None
        assert host.key.public == head.record.custody.host

    run(test, monkeypatch)


def test_an_agent_of_another_live_host_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(v: Village, house: House, host: Host, log: list[str]) -> None:
        born = await v.decide(house, v.genesis(house))
        head = await v.bind(house, born, host=1)
        host.take(WorkItem(head=head))
        await until(lambda: not host._mail)
        assert [] == log

    run(test, monkeypatch)


def test_6_6_a_host_takes_no_more_agents_than_it_has_slots(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        FakeRun.log, FakeRun.gate = [], asyncio.Event()
        monkeypatch.setattr(server, "AgentRun", FakeRun)
        async with village("a") as v:
            house = v.houses["a"]
            rules = [f"permit(principal,action,resource);//{number}" for number in range(4)]
            born = [await v.decide(house, v.genesis(house, text)) for text in rules]
            async with hosted(v, house, offer=Offer(slots=2)) as host:
                assert all(host.take(WorkItem(head=head)) for head in born[:3])
                await until(lambda: len(host._mail) == 2 == len(FakeRun.log))
                assert not host.take(WorkItem(head=born[3]))
                ours = await v.bind(house, born[3])
                assert host.take(WorkItem(head=ours))  # bound to it already: that is its part
                await until(lambda: host.running == 3)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_sleeper_is_not_disturbed_by_being_told_of_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(v: Village, house: House, host: Host, log: list[str]) -> None:
        head = await v.launch(house)
        wake = (Wake(at_ms=clock.wall_ms() + 10**6, on_message=True),)
        asleep = replace(head.record.eligibility, status=Status.DORMANT, wake=wake)
        head = await v.step(house, head, eligibility=asleep)
        host.sleepers.add(head.record, clock.wall_ms() + 10**6)
        for _ in range(100):
            assert not host.take(WorkItem(head=head))
        assert 1 == len(host.sleepers._heap)
        assert host.take(WorkItem(head=head, has_mail=True))
        await until(lambda: log)
        assert ["v2 mail"] == log
        assert 0 == len(host.sleepers)

    run(test, monkeypatch)


def test_a_sleeper_is_seen_to_when_its_time_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(v: Village, house: House, host: Host, log: list[str]) -> None:
        head = await v.launch(house)
        host._begin(host._keep_waking)
        host.sleepers.add(head.record, clock.wall_ms() + 30)
        await until(lambda: log)

    run(test, monkeypatch)


def test_a_message_for_one_that_runs_is_told_to_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(v: Village, house: House, host: Host, log: list[str]) -> None:
        head = await v.launch(house)
        client = host.zone
        await client.ask_all(AskWork(host=host.key.public), Work)  # the anchors know the way
        host.take(WorkItem(head=head))
        await until(lambda: log)
        mail = host._mail[head.record.agent_id]
        assert not mail.is_set()
        await client.call(0, PutMessage(message=letter(head.record.agent_id, 1)))
        async with asyncio.timeout(2):
            await mail.wait()

    run(test, monkeypatch)


def test_a_false_notice_and_one_from_a_stranger_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(v: Village, house: House, host: Host, log: list[str]) -> None:
        head = await v.launch(house)
        notice = encode(Work(items=(WorkItem(head=head),)))

        anchor = Line(house.manifest.anchors[0].identity)
        stranger = Line(house.hosts[1].public)
        await host.on_notice(anchor, b"\x00nonsense")
        await host.on_notice(stranger, notice)
        assert {} == host._mail
        await host.on_notice(anchor, notice)
        assert [head.record.agent_id] == list(host._mail)

    run(test, monkeypatch)


def test_section_5_an_arrival_that_one_anchor_alone_offers_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One liar could keep a host busy with arrivals that it makes up, and an agent without a host."""

    async def main() -> None:
        seen: list[WorkItem] = []

        async def admit(host: Host, item: WorkItem) -> None:
            seen.append(item)

        monkeypatch.setattr(server, "admit", admit)
        async with village("a", "b") as v:
            a, b = v.houses.values()
            gone, visa, ask = await v.depart(a, b, await v.launch(a))
            item = WorkItem(arrive=Arrive(departure=gone, visa=visa), application=ask)
            notice = encode(Work(items=(item,)))
            lines = [Line(anchor.identity) for anchor in b.manifest.anchors]
            async with hosted(v, b) as host:
                for _ in range(3):
                    await host.on_notice(lines[0], notice)
                assert {} == host._mail
                await host.on_notice(lines[2], notice)
                await until(lambda: seen)
                assert [item] == seen

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_thousand_agents_are_not_bound_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(v: Village, house: House, host: Host, log: list[str]) -> None:
        head = await v.launch(house)
        most = now = 0

        async def slow(host: Host, agent: bytes) -> None:
            nonlocal most, now
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.001)
            now -= 1

        monkeypatch.setattr(server, "head_to_run", slow)
        for number in range(1_000):
            record = replace(head.record, agent=number.to_bytes(32, "big"))
            other = replace(head, transition=replace(head.transition, record=record))
            host.take(WorkItem(head=other))
        await until(lambda: not host._mail)
        assert server._BINDINGS_AT_ONCE == most

    run(test, monkeypatch)


def test_a_loop_goes_on_after_a_failure_and_after_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(v: Village, house: House, host: Host, log: list[str]) -> None:
        errors: list[Exception] = [Refused("planted"), RuntimeError("planted")]

        async def work() -> None:
            log.append("tried")
            if errors:
                raise errors.pop()

        host._begin(host._repeat, work, 0.0)
        await until(lambda: len(log) > 5)

    run(test, monkeypatch)


def test_work_is_asked_for_though_one_anchor_lies_about_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(v: Village, house: House, host: Host, log: list[str]) -> None:
        born = await v.decide(house, v.genesis(house))

        async def lie(request: Any, honest: Any) -> Any:
            return Work(items=(WorkItem(),) * 10) if isinstance(request, AskWork) else honest

        await stand_in(v, house, 0, lie)
        host._begin(host._keep_asking)
        await until(lambda: log)
        assert ["v1"] == log
        assert born.record.agent_id in host._mail

    run(test, monkeypatch)


class Settling(NoSubstrate):
    """Is not known to confine until a gate opens."""

    confines = False

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def settled(self) -> None:
        """Wait for the gate."""
        await self.gate.wait()
        self.confines = True  # type: ignore[misc]


def test_what_is_to_be_confined_is_bound_once_it_is_known_that_this_host_confines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        FakeRun.log, FakeRun.gate = [], asyncio.Event()
        monkeypatch.setattr(server, "AgentRun", FakeRun)
        async with village("a") as v:
            house, substrate = v.houses["a"], Settling()
            free = v.genesis(house).transition.record.capabilities
            confined = replace(free, requires=Requirements(confined=True))
            born = await v.decide(house, v.genesis(house, capabilities=confined))
            async with hosted(v, house, substrate=substrate) as host:
                host._begin(host._keep_asking)
                host._begin(host._ask_once_settled)
                assert not host.take(WorkItem(head=born))
                substrate.gate.set()
                await until(lambda: FakeRun.log)  # long before it would ask again

    asyncio.run(asyncio.wait_for(main(), 10))


def test_an_arrival_that_comes_while_another_of_the_agent_is_seen_to_is_seen_to_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first may have been made up by one anchor."""

    async def main() -> None:
        seen: list[WorkItem] = []
        gate = asyncio.Event()

        async def admit(host: Host, item: WorkItem) -> None:
            seen.append(item)
            await gate.wait()

        monkeypatch.setattr(server, "admit", admit)
        async with village("a", "b", n=1) as v:
            a, b = v.houses.values()
            gone, visa, ask = await v.depart(a, b, await v.launch(a))
            true = WorkItem(arrive=Arrive(departure=gone, visa=visa), application=ask)
            terms = replace(visa.terms, deadline_ms=7)
            arrive = Arrive(departure=gone, visa=replace(visa, terms=terms))
            false = WorkItem(arrive=arrive, application=ask)
            async with hosted(v, b) as host:
                assert [True, False, False] == [host.take(item) for item in (false, false, true)]
                await until(lambda: seen)
                gate.set()
                await until(lambda: not host._mail)
                assert [false, true] == seen
                assert {} == host._following

    asyncio.run(asyncio.wait_for(main(), 20))
