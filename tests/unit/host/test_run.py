"""One agent's time on a host: it ends with the lease, and a message that comes in time is not overlooked."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Budget, Status, Wake
from sojourn.core.agent.record import Fence
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.encoding import encode
from sojourn.core.protocol.admission import bound
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import WorkItem
from sojourn.core.protocol.messages import Propose, Voted
from sojourn.core.protocol.validate import slot_for
from sojourn.host import binding
from sojourn.host import run as run_module
from sojourn.host.binding import newest_head
from sojourn.host.leases import Leases
from sojourn.host.run import AgentRun
from sojourn.host.server import Host
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.ports import Channel, Mode, Substrate
from sojourn.runtime.processes import clock
from tests.unit.anchor.standing_in import until
from tests.unit.host.hosting import hosted
from tests.village import House, Village, village


class SilentChannel(Channel):
    """An agent's side that runs for ever and says nothing."""

    def __init__(self) -> None:
        self.closed_ms: int | None = None

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self.closed_ms is not None

    async def send(self, frame: bytes) -> None:
        """Take it."""

    async def receive(self) -> bytes | None:
        """Wait for ever."""
        await asyncio.Event().wait()
        return None

    async def close(self) -> None:
        """End."""
        self.closed_ms = self.closed_ms or clock.boot_ms()


class SilentSubstrate(Substrate):
    """Starts silent agents."""

    confines = False

    def __init__(self, *, confines: bool = False) -> None:
        self.confines = confines  # type: ignore[misc]
        self.started: list[SilentChannel] = []
        self.modes: list[Mode] = []

    async def start(self, source: Any, entry: str, mode: Any, *, log: Any) -> Channel:
        """Start one."""
        self.modes.append(mode)
        self.started.append(SilentChannel())
        return self.started[-1]

    async def close(self) -> None:
        """Do nothing."""


Test = Callable[[Village, House, Host, Certified], Awaitable[None]]


def run(test: Test, *, substrate: Substrate | None = None, lease_ms: int = 60_000) -> None:
    async def main() -> None:
        async with village("a", lease_ms=lease_ms) as v:
            house = v.houses["a"]
            head = await v.launch(house)
            async with hosted(v, house, substrate=substrate) as host:
                v_places = house.anchors[0].places
                host.places.learn(v_places.lacking_in(host.places.summary()), clock.wall_ms())
                await test(v, house, host, head)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_p4_an_agent_is_stopped_when_its_lease_runs_out_though_it_proposes_nothing() -> None:
    """A host that is cut off would never hear of it otherwise, and act beside the next one."""
    substrate = SilentSubstrate()

    async def test(v: Village, house: House, host: Host, head: Certified) -> None:
        beats = asyncio.create_task(host.leases.run())
        executing = asyncio.create_task(AgentRun(host, head, asyncio.Event())._execute_once())
        while not substrate.started:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)  # more than one lease: it is renewed
        assert not substrate.started[0].is_closed
        beats.cancel()
        ending = await executing
        assert ending is not None
        assert How.LEASE_LOST is ending.how
        stopped_ms = substrate.started[0].closed_ms
        assert stopped_ms is not None
        agent, fence = head.record.agent_id, head.record.custody.fence
        assert all(stopped_ms < a.leases.until_ms(agent, fence) for a in house.anchors.values())

    run(test, substrate=substrate, lease_ms=400)


def test_an_execution_ends_with_the_run_that_is_cancelled() -> None:
    substrate = SilentSubstrate()

    async def test(v: Village, house: House, host: Host, head: Certified) -> None:
        host._begin(host.leases.run)
        executing = asyncio.create_task(AgentRun(host, head, asyncio.Event()).live())
        while not substrate.started:
            await asyncio.sleep(0.01)
        executing.cancel()
        await asyncio.gather(executing, return_exceptions=True)
        assert substrate.started[0].closed_ms is not None

    run(test, substrate=substrate)


def test_a_message_that_comes_while_an_agent_falls_asleep_wakes_it() -> None:
    async def test(v: Village, house: House, host: Host, head: Certified) -> None:
        asleep = replace(
            head.record.eligibility, status=Status.DORMANT, wake=(Wake(on_message=True),)
        )
        dormant = await v.step(house, head, eligibility=asleep)
        mail = asyncio.Event()
        agent_run = AgentRun(host, head, mail)
        executed: list[bool] = []

        async def execute() -> Ending:
            executed.append(True)
            agent_run.custody.head = dormant
            if len(executed) == 1:
                mail.set()  # a notice, while the rest becomes final
            else:
                mail.clear()  # looked at
            return Ending(how=How.RESTING)

        agent_run._execute_once = execute  # type: ignore[method-assign]
        await agent_run.live()
        assert [True, True] == executed

    run(test)


def test_an_agent_asleep_until_a_time_is_left_with_the_one_timer() -> None:
    async def test(v: Village, house: House, host: Host, head: Certified) -> None:
        at_ms = clock.wall_ms() + 100_000
        asleep = replace(head.record.eligibility, status=Status.DORMANT, wake=(Wake(at_ms=at_ms),))
        dormant = await v.step(house, head, eligibility=asleep)
        await AgentRun(host, dormant, asyncio.Event()).live()
        assert host.sleepers.is_asleep(dormant.record)

    run(test)


@pytest.mark.parametrize(
    "held",
    [{"is_suspended": True}, {"budgets": {"steps": Budget(limit=1, spent=1)}}],
    ids=["suspended", "exhausted"],
)
def test_an_agent_that_is_held_up_is_not_woken_by_time(held: dict[str, Any]) -> None:
    """Once its time had come it would be woken at once, again and again: there is nothing for it to do."""

    async def test(v: Village, house: House, host: Host, head: Certified) -> None:
        waits = Wake(at_ms=clock.wall_ms() - 1)
        asleep = replace(head.record.eligibility, status=Status.DORMANT, wake=(waits,), **held)
        record = replace(head.record, eligibility=asleep)
        dormant = replace(head, transition=replace(head.transition, record=record))
        await AgentRun(host, dormant, asyncio.Event()).live()
        assert not host.sleepers.is_asleep(dormant.record)

    run(test)


def test_an_agent_that_fails_at_once_is_tried_ever_more_rarely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(v: Village, house: House, host: Host, head: Certified) -> None:
        endings = [
            Ending(how=How.BROKEN),
            Ending(how=How.LEASE_LOST),
            Ending(how=How.BROKEN),
            None,
            Ending(how=How.DIVERGED),
            None,
            Ending(how=How.BROKEN),
        ]
        pauses: list[float] = []
        agent_run = AgentRun(host, head, asyncio.Event())

        async def execute() -> Ending | None:
            return endings[len(pauses)]

        async def look_again(pause_s: float) -> None:
            pauses.append(pause_s)
            if len(pauses) == len(endings):
                retired = replace(head.record.eligibility, status=Status.RETIRED)
                record = replace(head.record, eligibility=retired)
                agent_run.custody.head = replace(
                    head, transition=replace(head.transition, record=record)
                )

        monkeypatch.setattr(agent_run, "_execute_once", execute)
        monkeypatch.setattr(agent_run, "_look_again", look_again)
        await agent_run.live()
        assert [0.2, 0.4, 0.8, 0.5, 1.0, 2.0, 1.6] == pauses
        assert run_module._AGAIN_S_MAX == agent_run._after_failure._longest_s

    run(test)


async def ruled_by(v: Village, house: House, head: Certified, cedar: str) -> Certified:
    """Return a head whose agent is ruled by other policies, which are stored."""
    named = v.blocks.add(encode(v.document(cedar).document))
    await v.client(house).put_all([v.blocks.get(named)])
    governance = replace(head.record.governance, documents=(named,))
    record = replace(head.record, governance=governance)
    return replace(head, transition=replace(head.transition, record=record))


@pytest.mark.parametrize(
    ("condition", "confines", "modes"),
    [
        ("true", True, ["inside"]),
        ("context.own_process", True, ["process"]),
        ("context.confined", True, ["confined"]),
        ("context.confined", False, []),
        ("!context.confined", True, ["inside"]),
        ("context.own_process && !context.confined", True, ["process"]),
    ],
)
def test_code_runs_where_the_policies_let_it_and_a_host_says_confined_of_what_is(
    condition: str, confines: bool, modes: list[Mode]
) -> None:
    substrate = SilentSubstrate(confines=confines)

    async def test(v: Village, house: House, host: Host, head: Certified) -> None:
        host._begin(host.leases.run)
        cedar = f"permit (principal, action, resource) when {{ {condition} }};"
        ruled = await ruled_by(v, house, head, cedar)
        executing = asyncio.create_task(AgentRun(host, ruled, asyncio.Event())._execute_once())
        await until(lambda: substrate.modes or executing.done())
        executing.cancel()
        await asyncio.gather(executing, return_exceptions=True)
        assert modes == substrate.modes

    run(test, substrate=substrate)


class SettlingSubstrate(SilentSubstrate):
    """Is not known to confine until a gate opens."""

    def __init__(self, *, confines: bool) -> None:
        super().__init__()
        self.gate, self._will = asyncio.Event(), confines

    async def settled(self) -> None:
        """Wait for the gate."""
        await self.gate.wait()
        self.confines = self._will  # type: ignore[misc]


@pytest.mark.parametrize(
    ("condition", "confines", "before", "modes"),
    [
        ("true", True, ["inside"], ["inside"]),
        ("context.own_process", True, ["process"], ["process"]),
        ("context.confined", True, [], ["confined"]),
        ("context.confined", False, [], []),
        ("resource.name == 'nowhere'", True, [], []),
    ],
)
def test_only_what_is_to_be_confined_waits_until_it_is_known_whether_anything_is(
    condition: str, confines: bool, before: list[Mode], modes: list[Mode]
) -> None:
    substrate = SettlingSubstrate(confines=confines)

    async def test(v: Village, house: House, host: Host, head: Certified) -> None:
        host._begin(host.leases.run)
        rule = condition.replace("'", '"')
        ruled = await ruled_by(
            v, house, head, f"permit (principal, action, resource) when {{ {rule} }};"
        )
        executing = asyncio.create_task(AgentRun(host, ruled, asyncio.Event())._execute_once())
        if before:
            await until(lambda: substrate.modes)
        else:
            await asyncio.sleep(0.3)  # longer than it would take
            assert not executing.done()  # it has not been refused either
        assert before == substrate.modes
        substrate.gate.set()
        await until(lambda: substrate.modes or executing.done())
        assert modes == substrate.modes
        assert executing.done() is (not modes)
        executing.cancel()
        await asyncio.gather(executing, return_exceptions=True)

    run(test, substrate=substrate)


@pytest.mark.parametrize("confines", [True, False])
def test_a_host_offers_to_confine_if_its_substrate_does(confines: bool) -> None:
    async def test(v: Village, house: House, host: Host, head: Certified) -> None:
        offer, _ = host.outlook._current()
        assert confines is offer.confines

    run(test, substrate=SilentSubstrate(confines=confines))


def test_an_agent_that_may_not_execute_is_not_started() -> None:
    substrate = SilentSubstrate()

    async def test(v: Village, house: House, host: Host, head: Certified) -> None:
        host._begin(host.leases.run)
        travels = 'permit (principal, action == Action::"travel", resource);'
        changed = await ruled_by(v, house, head, travels)
        assert await AgentRun(host, changed, asyncio.Event())._execute_once() is None
        assert [] == substrate.started

    run(test, substrate=substrate)


# A bind that was begun and left


async def half_bound(v: Village, house: House, head: Certified) -> None:
    """Have the other host's bind lock-voted by half of the anchors, once the lease has run out, and no more."""
    fence = head.record.custody.fence
    for anchor in house.anchors.values():
        left_ms = anchor.leases.until_ms(head.record.agent_id, fence) - clock.boot_ms()
        await asyncio.sleep(max(0, left_ms) / 1000)
    rival = house.hosts[1]
    record = bound(head, rival.public)
    proposal = v.proposal(TransitionKind.BIND, head, record, rival)
    slot = slot_for(head, proposal.transition, house.manifest)
    for index in (1, 2):
        ask = Propose(slot=slot, round=0, proposal=proposal)
        assert isinstance(await v.client(house, rival).call(index, ask), Voted)


def test_section_6_a_host_from_which_the_lease_is_withheld_binds_the_agent_anew() -> None:
    """Found by the schedules: two anchors renewed it for ever, two withheld it, and no bind could be decided."""
    substrate = SilentSubstrate()

    async def test(v: Village, house: House, host: Host, head: Certified) -> None:
        await half_bound(v, house, head)
        host._begin(host.leases.run)
        host._begin(AgentRun(host, head, asyncio.Event()).live)
        while not substrate.started:
            await asyncio.sleep(0.01)
        newest = await newest_head(host, head.record.agent_id)
        assert newest is not None
        assert TransitionKind.BIND is newest.transition.kind
        assert head.record.custody.binding + 1 == newest.record.custody.binding
        assert host.key.public == newest.record.custody.host

    run(test, substrate=substrate, lease_ms=600)


def test_section_6_10_a_host_claims_no_more_what_was_withheld_until_something_is_decided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found by the schedules: it claimed again after each try, and each new round found its lease running."""
    substrate = SilentSubstrate()
    claimed: list[Fence] = []
    tries: list[Certified] = []
    bind, hold = binding._bind, Leases.hold

    async def fails_at_first(host: Host, head: Certified) -> Certified | None:
        tries.append(head)
        return await bind(host, head) if len(tries) > 3 else None

    async def noted(leases: Leases, agent: bytes, fence: Fence) -> None:
        claimed.append(fence)
        await hold(leases, agent, fence)

    async def test(v: Village, house: House, host: Host, head: Certified) -> None:
        monkeypatch.setattr(binding, "_bind", fails_at_first)
        monkeypatch.setattr(Leases, "hold", noted)
        await half_bound(v, house, head)
        host._begin(host.leases.run)
        host.take(WorkItem(head=head))
        await until(lambda: substrate.started)
        assert 1 == claimed.count(head.record.custody.fence)
        assert len(claimed) == 2
        assert len(tries) > 3

    run(test, substrate=substrate, lease_ms=600)
