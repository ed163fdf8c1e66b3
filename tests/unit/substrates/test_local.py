"""The local substrate: inside the host or in a process of its own, an agent behaves alike and harms nobody."""

import asyncio
import os
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sojourn.core.base.errors import Misused
from sojourn.runtime.host_side.execution import Ending, Execution, How
from sojourn.runtime.ports import Mode
from sojourn.substrates import local
from sojourn.substrates.local import LocalSubstrate
from tests.unit.runtime import outside
from tests.unit.runtime.custody import FakeCustodian, Zone
from tests.unit.runtime.executing import Stage, desk, on_stage, roots, source_of

MODES: list[Mode] = ["inside", "process"]
SRC = Path(local.__file__).parents[2]


def run(text: str, *args: Any, mode: Mode = "process") -> tuple[Ending, FakeCustodian]:
    """Run an agent; return how it ended, and the custodian with its log."""
    zone = Zone()
    custodian = FakeCustodian(zone)

    async def act(stage: Stage) -> Ending | None:
        return await stage.execute_desk(text, *args, custodian=custodian)

    ending = on_stage(act, mode=mode, zone=zone)
    assert ending is not None
    return ending, custodian


@pytest.mark.parametrize("mode", MODES)
def test_an_agent_runs_in_either_mode(mode: Mode) -> None:
    zone = Zone()
    ending = on_stage(lambda stage: stage.execute("walker:Walker", 5), mode=mode, zone=zone)
    assert ending == Ending(how=How.RETURNED, result=[0, 1, 4, 9, 16])


def test_both_modes_make_the_same_memory() -> None:
    zones = [Zone(), Zone()]
    for mode, zone in zip(MODES, zones, strict=True):
        on_stage(lambda stage: stage.execute("walker:Walker", 40), mode=mode, zone=zone)
    assert roots(zones[0]) == roots(zones[1])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import no_such_package", "there is no module 'no_such_package'"),
        ("class Other(Agent): pass", "module 'desk' has no class 'Desk'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_code_that_cannot_be_loaded_is_said_before_anything_runs(
    mode: Mode, text: str, problem: str
) -> None:
    async def act(stage: Stage) -> None:
        with pytest.raises(Misused, match=problem):
            await stage.execute_desk(text)

    on_stage(act, mode=mode)


def test_a_process_is_its_own_and_gets_nothing_of_the_hosts_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    text = """
        import os

        class Desk(Agent):
            @step
            def look(self) -> list:
                return [os.getpid(), os.getsid(0), os.getcwd(), sorted(os.environ)]

            async def run(self, ctx) -> list:
                return await self.look()
    """
    pid, session, folder, names = run(text)[0].result
    assert pid != os.getpid()
    assert session == pid
    assert folder == "/"
    assert "AWS_SECRET_ACCESS_KEY" not in names
    assert "PATH" in names


def test_what_a_process_prints_goes_to_the_log_line_by_line_and_not_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local, "OUTPUT_BYTES_MAX", 20_000)
    text = """
        import sys

        print("loading")

        class Desk(Agent):
            async def run(self, ctx) -> None:
                print("one\\ntwo")
                print("\\xff \\ud800".encode(errors="replace"), file=sys.stderr)
                print("x" * 10_000)
                for _ in range(10_000):
                    print("flood")
    """
    ending, custodian = run(text)
    assert ending.how is How.RETURNED
    lines = [line for source, line in custodian.lines if source == "stdout"]
    assert lines[:3] == ["loading", "one", "two"]
    assert max(map(len, lines)) <= 2 * local.OUTPUT_LINE_MAX
    assert sum(line.count("x") for line in lines) == 10_000
    assert lines[-1] == "(more than 20000 bytes: the rest is dropped)"
    assert lines.count("flood") < 10_000
    assert any(source == "stderr" for source, _ in custodian.lines)


@pytest.mark.parametrize("how", ["os.kill(os.getpid(), 9)", "os._exit(3)", "ctypes.string_at(0)"])
def test_an_agent_whose_process_dies_goes_on_from_what_is_final(tmp_path: Path, how: str) -> None:
    text = f"""
        import ctypes, os

        class Desk(Agent):
            @step
            def work(self, x: int) -> int:
                return x

            @step
            def die(self, mark: str) -> str:
                if not os.path.exists(mark):
                    open(mark, "w").close()
                    {how}
                return "survived"

            async def run(self, ctx, mark: str) -> str:
                for i in range(100):
                    ctx.memory["risk"].append(await self.work(i))
                return await self.die(mark)
    """

    async def act(stage: Stage, *args: str) -> list[Ending | None]:
        died = await stage.execute_desk(text, *args)
        return [died, await stage.execute_desk(text)]

    zone, calm = Zone(), Zone()
    died, ending = on_stage(lambda s: act(s, str(tmp_path / "mark")), mode="process", zone=zone)
    assert died == Ending(how=How.BROKEN, text="the agent's side is gone")
    undisturbed = on_stage(
        lambda stage: stage.execute_desk(text, str(tmp_path / "mark")), mode="process", zone=calm
    )
    assert ending == undisturbed == Ending(how=How.RETURNED, result="survived")
    assert roots(zone) == roots(calm)


@pytest.mark.parametrize(
    ("noise", "how", "reason"),
    [
        ("b'\\xff\\xff\\xff\\xff'", How.RAISED, "a frame of 4294967295 bytes, more than the limit"),
        ("b'\\x00\\x00\\x00\\x02\\xc1\\xc1'", How.RAISED, "not a frame"),
        ("b'\\x00\\x00\\x00\\x00'", How.RAISED, "not a frame"),
        ("b'\\x00\\x00\\x01\\x00abc'", How.BROKEN, "the agent's side is gone"),
    ],
    ids=["huge", "noise", "empty", "cut"],
)
def test_noise_on_the_line_ends_the_run_and_harms_nobody(noise: str, how: How, reason: str) -> None:
    text = f"""
        import os, sys

        class Desk(Agent):
            async def run(self, ctx) -> None:
                os.write(int(sys.argv[1]), {noise})
                os._exit(0)
    """
    ending, _ = run(text)
    assert ending.how is how
    assert reason in ending.text


def test_a_process_takes_with_it_what_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    text = """
        import subprocess

        class Desk(Agent):
            @step
            def spawn(self, mark: str) -> None:
                with open(mark, "w") as file:
                    file.write(str(subprocess.Popen(["sleep", "600"]).pid))

            async def run(self, ctx, mark: str) -> None:
                await self.spawn(mark)
    """
    assert run(text, str(mark))[0].how is How.RETURNED
    assert_ends(int(mark.read_text()))


def assert_ends(pid: int) -> None:
    """Check that a process, which need not be a child, has ended or does so within seconds."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], 20)[0], f"process {pid} lives on"
    finally:
        os.close(descriptor)


HOST = """
import asyncio, sys
from sojourn.substrates.local import LocalSubstrate

SOURCE = b'''
import os
from sojourn import Agent
print("agent", os.getpid())

class Desk(Agent):
    async def run(self, ctx):
        pass
'''

async def main():
    def log(source, text):
        print(text, flush=True)

    await LocalSubstrate().start({"desk.py": SOURCE}, "desk:Desk", "process", log=log)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_a_process_dies_with_its_host() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOST],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SRC)},
    ) as host:
        assert host.stdout is not None
        agent = int(host.stdout.readline().split()[1])
        host.kill()
        assert_ends(agent)


BLOCKING = """
    class Desk(Agent):
        async def run(self, ctx) -> None:
            outside.happen("blocked")
"""


def test_an_agent_that_holds_up_its_thread_does_not_hold_up_the_host() -> None:
    outside.forget()
    blocked, released = threading.Event(), threading.Event()
    outside.hooks.append(lambda _: (blocked.set(), released.wait(20), None)[2])

    async def act(stage: Stage) -> Ending | None:
        running = asyncio.create_task(stage.execute_desk(BLOCKING))
        await asyncio.to_thread(blocked.wait, 20)
        released.set()  # by the host's loop, while the agent is in the midst of run
        return await running

    assert on_stage(act).how is How.RETURNED
    outside.forget()


def test_code_inside_that_never_comes_to_rest_is_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local, "ENDING_S", 0.05)
    outside.forget()
    blocked, release = threading.Event(), threading.Event()
    outside.hooks.append(lambda _: (blocked.set(), release.wait(20), None)[2])

    async def act(stage: Stage) -> list[tuple[str, str]]:
        custodian = FakeCustodian(stage.zone)
        running = asyncio.create_task(stage.execute_desk(BLOCKING, custodian=custodian))
        await asyncio.to_thread(blocked.wait, 20)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        release.set()
        return custodian.lines

    try:
        assert on_stage(act) == [
            ("runtime", "the agent's code does not come to rest; it is left behind")
        ]
    finally:
        release.set()
        outside.forget()


STEPPING = """
    class Desk(Agent):
        @step
        def work(self) -> None:
            outside.happen("work")
            outside.happen("worked")

        async def run(self, ctx) -> None:
            await self.work()
"""


def test_a_step_in_a_thread_is_waited_for_when_its_agent_is_stopped() -> None:
    outside.forget()
    blocked, release = threading.Event(), threading.Event()
    outside.hooks.append(lambda _: (blocked.set(), release.wait(20), None)[2])

    async def act(stage: Stage) -> list[str]:
        running = asyncio.create_task(stage.execute_desk(STEPPING))
        await asyncio.to_thread(blocked.wait, 20)
        running.cancel()
        asyncio.get_running_loop().call_later(0.1, release.set)
        with pytest.raises(asyncio.CancelledError):
            await running
        return list(outside.effects)  # a successor begins here: nothing may happen beside it

    assert on_stage(act) == ["work", "worked"]
    outside.forget()


def test_a_thousand_agents_live_in_one_process_and_none_is_starved() -> None:
    """Each takes steps, waits for a message, and takes another."""
    text = """
        class Desk(Agent):
            @step
            async def work(self, x: int) -> int:
                return x

            @step
            def compute(self, x: int) -> int:
                return x

            async def run(self, ctx, number: int) -> list:
                total = await self.work(number) + await self.compute(1)
                message = await ctx.receive()
                return [await self.work(total), message.body]
    """
    count = 1000

    async def act(stage: Stage) -> list[Ending]:
        zones = [Zone() for _ in range(count)]

        async def live(number: int) -> Ending:
            custodian = FakeCustodian(zones[number])
            channel = await stage.substrate.start(
                desk(text), "desk:Desk", "inside", log=custodian.log
            )
            return await Execution(
                custodian, channel, arguments=((number,), {}), rest_after_s=60
            ).run()

        lives = [asyncio.create_task(live(number)) for number in range(count)]
        for zone in zones:
            await zone.until(lambda zone=zone: bool(zone.drafts))
        for zone in zones:
            zone.send(b"go on")
        return await asyncio.gather(*lives)

    endings = on_stage(act)
    assert [ending.result for ending in endings] == [[n + 1, b"go on"] for n in range(count)]


def test_a_substrate_closes_twice_and_starts_again() -> None:
    async def act() -> None:
        substrate = LocalSubstrate()
        await substrate.close()
        for _ in range(2):
            channel = await substrate.start(
                source_of("walker:Walker"), "walker:Walker", "inside", log=lambda *_: None
            )
            await channel.close()
            await substrate.close()
            await substrate.close()

    threads = threading.active_count()
    asyncio.run(act())
    assert threading.active_count() <= threads + 1  # a step thread may still be on its way out


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_start_that_is_cancelled_at_any_moment_leaves_no_process() -> None:
    """A lease may run out while a process starts (protocol §6, P4)."""

    def children() -> list[str]:
        tasks = Path("/proc/self/task").iterdir()
        return [pid for task in tasks for pid in (task / "children").read_text().split()]

    async def play() -> None:
        substrate, before = LocalSubstrate(), children()
        for turns in range(12):
            starting = asyncio.create_task(
                substrate.start(desk("class Desk(Agent): pass"), "desk:Desk", "process", log=print)
            )
            for _ in range(turns):
                await asyncio.sleep(0)
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            assert before == children(), f"after {turns} turns of the loop"
        await substrate.close()

    asyncio.run(play())
