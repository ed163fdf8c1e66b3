"""What an anchor does when nobody else acts: stuck slots, departures, anchors that were away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.anchor.pace import Pace
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.limits import CALL_TIMEOUT_S, ROUND_BASE_MS
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.duties import Duty, Task
from sojourn.core.protocol.messages import AskRound, Head, Propose
from sojourn.core.protocol.validate import slot_for
from tests.unit.anchor.standing_in import hang, stand_in, until
from tests.village import House, Village, village


def run(test: Callable[[Village], Awaitable[None]], *names: str, lease_ms: int = 60_000) -> None:
    async def main() -> None:
        async with village(*names, lease_ms=lease_ms) as v:
            await test(v)

    asyncio.run(asyncio.wait_for(main(), 30))


async def propose_to(v: Village, house: House, head: Certified, *anchors: int) -> Certified | Any:
    """Propose a step to some of the anchors, and leave them alone with it; return the proposal."""
    step = v.step_proposal(house, head)
    ask = Propose(slot=slot_for(head, step.transition, house.manifest), round=0, proposal=step)
    for anchor in anchors:
        await v.client(house).call(anchor, ask)
    return step


def knows(house: House, agent: bytes, version: int) -> list[int]:
    """Return the anchors whose head has that version, or a later one."""
    heads = {i: anchor.shelf.dossier(agent).head for i, anchor in house.anchors.items()}
    return [i for i, head in heads.items() if head and head.record.version >= version]


# Rounds


def test_section_3_a_slot_that_some_anchors_never_saw_is_decided_without_its_host() -> None:
    """Two of four know of it, which is no quorum; the others open it on the word of f+1."""

    async def test(v: Village) -> None:
        a = v.houses["a"]
        head = await v.launch(a)
        step = await propose_to(v, a, head, 0, 1)
        agent, version = head.record.agent_id, step.transition.record.version
        await until(lambda: len(knows(a, agent, version)) == 4)
        assert step.transition == a.anchors[3].shelf.dossier(agent).head.transition  # type: ignore[union-attr]

    run(test, "a")


def test_section_3_a_round_is_left_though_one_anchor_hangs() -> None:
    async def test(v: Village) -> None:
        a = v.houses["a"]
        head = await v.launch(a)
        gate = await hang(v, a, 3)
        began = time.monotonic()
        step = await propose_to(v, a, head, 0, 1, 2)
        version = step.transition.record.version
        await until(lambda: len(knows(a, head.record.agent_id, version)) >= 3)
        assert time.monotonic() - began < 0.8 * CALL_TIMEOUT_S
        gate.set()

    run(test, "a")


def test_a_round_lasts_as_long_as_decisions_take_but_not_for_ever() -> None:
    pace = Pace()
    assert 0 == pace.patience_ms
    for _ in range(50):
        pace.note(600)
    assert 4 * 590 < pace.patience_ms <= 4 * 600
    for _ in range(50):
        pace.note(10**9)
    assert 5_000 == pace.patience_ms
    for _ in range(100):
        pace.note(5)
    assert pace.patience_ms < ROUND_BASE_MS


def test_anchors_that_are_slow_let_each_other_finish() -> None:
    """Rounds that are left while every decision waits for others would make each of them dearer."""
    asked: list[AskRound] = []

    async def note(request: Any, honest: Any) -> Any:
        asked.extend([request] if isinstance(request, AskRound) else [])
        return honest

    async def test(v: Village) -> None:
        a = v.houses["a"]
        head = await v.launch(a)
        await stand_in(v, a, 0, note)
        for anchor in a.anchors.values():
            for _ in range(20):
                anchor._caretaker._pace.note(ROUND_BASE_MS / 2)
        began = time.monotonic()
        step = await propose_to(v, a, head, 1, 2)
        await until(lambda: bool(asked))
        assert time.monotonic() - began > 1.5 * ROUND_BASE_MS / 1000
        version = step.transition.record.version
        await until(lambda: len(knows(a, head.record.agent_id, version)) == 4)

    run(test, "a")


def test_a_duty_is_done_once_at_a_time_and_again_if_it_is_due_meanwhile() -> None:
    """A zone that is slow would else ask the same of all anchors again and again, and be slower."""
    began: list[Task] = []

    async def test(v: Village) -> None:
        a = v.houses["a"]
        head = await v.launch(a)
        agent, caretaker = head.record.agent_id, a.anchors[0]._caretaker
        gate = asyncio.Event()

        async def slow(_dossier: Any, task: Task) -> int:
            began.append(task)
            await gate.wait()
            return 0

        caretaker._perform = slow  # type: ignore[method-assign]
        caretaker._is_overdue = lambda *_: True  # type: ignore[method-assign]
        gone = replace(head.record.custody, host=None)
        homeless = replace(
            head, transition=replace(head.transition, record=replace(head.record, custody=gone))
        )
        a.anchors[0].shelf._keep(replace(a.anchors[0].shelf.dossier(agent), head=homeless))
        for _ in range(3):
            caretaker._planned.clear()
            caretaker._plan(agent, Duty(0, Task.REBIND))
            await asyncio.sleep(0.05)
        assert [Task.REBIND] == began
        gate.set()
        await until(lambda: len(began) > 1)

    run(test, "a")


# Departures


def _forged(gone: Certified, **changes: Any) -> Certified:
    return replace(gone, transition=replace(gone.transition, parent=gone.record.digest, **changes))


@pytest.mark.parametrize("kind", [TransitionKind.ADMIT, TransitionKind.REFUSE])
def test_section_5_a_lie_about_an_arrival_keeps_nobody_from_the_truth(kind: TransitionKind) -> None:
    async def test(v: Village) -> None:
        a, b = v.houses.values()
        gone, visa, ask = await v.depart(a, b, await v.launch(a))
        false = _forged(gone, kind=kind)

        async def lie(_request: Any, honest: Any) -> Any:
            return Head(certified=false, refusal=false) if isinstance(honest, Head) else honest

        await stand_in(v, b, 0, lie)
        done = await v.arrive(b, gone, visa, ask)
        agent = gone.record.agent_id
        await until(lambda: all(x.shelf.dossier(agent).onward == done for x in a.anchors.values()))

    run(test, "a", "b")


def test_an_anchor_that_was_away_learns_that_an_agent_has_left() -> None:
    """Nobody proposes for that agent any more, so nobody would show it."""

    async def test(v: Village) -> None:
        a, b = v.houses.values()
        head = await v.launch(a)
        await v.close(a, 3)
        await v.renew(a, head)
        done = await v.move(a, b, head)
        await v.open(a, [3])
        v.introduce()
        agent = head.record.agent_id
        assert "active" == a.anchors[3].shelf.dossier(agent).head.record.eligibility.status  # type: ignore[union-attr]
        await until(lambda: a.anchors[3].shelf.dossier(agent).onward == done)

    run(test, "a", "b", lease_ms=1_000)


@pytest.mark.parametrize("lie", ["another agent", "another zone", "a refusal"])
def test_one_anchor_cannot_hide_a_newer_head_behind_a_head_of_something_else(lie: str) -> None:
    """What it shows is certified, and newer by its numbers; it is no head of that agent here."""

    async def test(v: Village) -> None:
        a, b = v.houses.values()
        head = await v.launch(a)
        other = await v.launch(
            a, capabilities=replace(head.record.capabilities, entry="agent:Other")
        )
        for _ in range(4):
            await v.renew(a, other)
            other = await v.step(a, other)
        await v.renew(a, head)
        agent = head.record.agent_id
        await v.close(a, 3)
        gone, visa, ask = await v.depart(a, b, head)
        there = await v.arrive(b, gone, visa, ask)
        false: Certified | None = other if lie == "another agent" else there
        if lie == "a refusal":
            await v.depart(b, a, there, deadline_ms=100)
            await until(lambda: a.anchors[1].shelf.dossier(agent).refusal)
            false = a.anchors[1].shelf.dossier(agent).refusal

        async def answer(_request: Any, honest: Any) -> Any:
            return Head(certified=false) if isinstance(honest, Head) else honest

        await stand_in(v, a, 0, answer)
        await v.open(a, [3])
        v.introduce()
        await until(lambda: 3 in knows(a, agent, gone.record.version))

    run(test, "a", "b", lease_ms=1_000)


def test_an_agent_that_was_refused_is_back_on_its_host_at_once() -> None:
    """Its host is told of the return: it need not wait for a lease that nobody holds to run out."""

    async def test(v: Village) -> None:
        a, b = v.houses.values()
        told: list[bytes] = []
        for anchor in a.anchors.values():
            offer = anchor.hosts.offer

            def note(hosts: Any, item: Any, offer: Any = offer) -> None:
                told.extend(hosts if item.head and item.head.transition.kind == "return" else ())
                offer(hosts, item)

            anchor.hosts.offer = note  # type: ignore[method-assign]
        gone, _, _ = await v.depart(a, b, await v.launch(a), deadline_ms=200)
        assert gone.record.custody.host is not None
        await until(lambda: gone.record.custody.host in told)

    run(test, "a", "b")
