"""Sleepers: woken once, when their time has come, and nothing is kept of those who no longer sleep."""

import asyncio

import pytest
from msgspec.structs import replace

from sojourn.core.agent.memory.field import Form
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import digest
from sojourn.host.sleepers import Sleepers
from sojourn.runtime.processes import clock
from tests.unit.runtime.custody import first_record


def record(name: int, version: int = 1) -> AgentRecord:
    return replace(
        first_record({"m": Form.MAPPING}, {}), agent=digest(b"%d" % name), version=version
    )


def test_those_who_are_due_are_woken_in_time_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ms = 1_000
    monkeypatch.setattr(clock, "wall_ms", lambda: now_ms)

    async def run() -> None:
        nonlocal now_ms
        sleepers = Sleepers()
        for name in (1, 2, 3):
            sleepers.add(record(name), 1_000 * name)
        assert [record(1).agent_id] == await sleepers.due()
        now_ms = 5_000
        assert [record(2).agent_id, record(3).agent_id] == await sleepers.due()
        assert 0 == len(sleepers)

    asyncio.run(run())


def test_who_waits_is_told_of_a_sleeper_that_comes_later() -> None:
    async def run() -> None:
        sleepers = Sleepers()
        waiting = asyncio.create_task(sleepers.due())
        await asyncio.sleep(0)
        sleepers.add(record(1), clock.wall_ms() + 20)
        async with asyncio.timeout(2):
            assert [record(1).agent_id] == await waiting

    asyncio.run(run())


def test_one_that_is_discarded_or_sleeps_longer_is_not_woken_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clock, "wall_ms", lambda: 10)

    async def run() -> None:
        sleepers = Sleepers()
        for name in (1, 2, 3):
            sleepers.add(record(name), 5)
        sleepers.discard(record(1).agent_id)
        sleepers.add(record(2, version=2), 10_000)
        assert [record(3).agent_id] == await sleepers.due()
        assert sleepers.is_asleep(record(2, version=2))
        assert sleepers.is_asleep(record(2, version=1))
        assert not sleepers.is_asleep(record(2, version=3))
        assert not sleepers.is_asleep(record(1))

    asyncio.run(run())


def test_an_agent_that_falls_asleep_again_and_again_costs_one_place() -> None:
    async def run() -> None:
        sleepers = Sleepers()
        far_ms = clock.wall_ms() + 10**9
        for version in range(10_000):
            sleepers.add(record(1, version), far_ms + version)
            sleepers.discard(record(1).agent_id)
        sleepers.add(record(1), far_ms)
        assert len(sleepers._heap) < 200

    asyncio.run(run())
