"""The line of a confined agent: whatever comes over it harms neither its host nor another agent."""

import asyncio
import sys
import time
from textwrap import dedent

import pytest

from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Failed
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.substrates import local
from sojourn.substrates.confinement.confiner import Confiner
from sojourn.substrates.confinement.layers import ALL_LAYERS
from sojourn.substrates.local import LocalSubstrate
from tests.confinement.agents import BOUNDS, MIB, confiner, execute
from tests.unit.runtime.custody import FakeCustodian, Zone
from tests.unit.runtime.executing import Stage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine")

HEADER = """
import json, os, sys
from sojourn import Agent, step
from sojourn.runtime import frames, questions
from sojourn.runtime.records import Failure

LINE = json.loads(sys.argv[1])["line"]

def send(data):
    view = memoryview(len(data).to_bytes(4, "big") + data)
    while view:
        view = view[os.write(LINE, view):]

def say(frame):
    send(frames.encode_frame(frame))

"""
HOLD = "import time; time.sleep(60)"
"""Holds up the agent's own loop, so that what came over the line is all that the host hears of it."""
PAY = "step='pay', arguments=bytes(32), action='pay', effect='once'"
OTHERS = b"a block of another agent"


@pytest.fixture(scope="module")
def confining() -> Confiner:
    return confiner()


def forging(text: str, head: str = "async def run(self, ctx):") -> dict[str, bytes]:
    """Return the source of an agent that does this, knowing where its line is."""
    body = "".join(f"        {line}\n" for line in dedent(text).strip().splitlines())
    return {"desk.py": f"{HEADER}class Desk(Agent):\n    {head}\n{body}".encode()}


@pytest.mark.parametrize(
    ("text", "how", "why"),
    [
        ("os.write(LINE, b'\\xff' * 4)", How.RAISED, "4294967295 bytes, more than the limit"),
        ("send(b'\\xc1\\xc1')", How.RAISED, "not a frame"),
        ("send(b'')", How.RAISED, "not a frame"),
        ("send(b'\\x91' * 100_000)", How.RAISED, "not a frame"),
        ("os.write(LINE, b'\\0\\0\\1\\0cut'); os._exit(0)", How.BROKEN, "the agent's side is gone"),
        ("send(frames.encode_frame(frames.Loaded()))", How.RAISED, "out of turn"),
        ("say(frames.Unfit(problem='no', remedy='no'))", How.RAISED, "out of turn"),
        ("say(frames.Reply(ask=1, answer=questions.Done()))", How.RAISED, "not a frame"),
        ("say(frames.Go())", How.RAISED, "not a frame"),
        ("say(frames.Load(source={}, entry='a:A'))", How.RAISED, "not a frame"),
        (
            f"say(questions.Fetch(ask=9, digest={digest(OTHERS)!r}))",
            How.RAISED,
            "not part of this agent's memory",
        ),
        (
            f"say(questions.Recall(ask=9, digests=({digest(OTHERS)!r},)))",
            How.RAISED,
            "not part of this agent's memory",
        ),
        (
            f"say(questions.Intend(ask=9, call=7, {PAY})); os._exit(0)",
            How.BROKEN,
            "the agent's side is gone",
        ),
        (
            "say(frames.Keep(blocks=(b'x' * 100,) * 10)); say(frames.Keep(blocks=(b'\\xff',)))",
            How.RAISED,
            "",
        ),
        ("for n in range(10_000): say(questions.Survey(ask=n))", How.RAISED, "more than"),
        (
            f"for n in range(10_000): say(questions.Intend(ask=n, call=n, {PAY}))",
            How.RAISED,
            "",
        ),
    ],
    ids=[
        "longer-than-any",
        "noise",
        "empty",
        "deep",
        "cut-short",
        "out-of-turn",
        "unfit-after-all",
        "a-reply-of-the-hosts",
        "a-start-of-the-hosts",
        "code-for-the-host",
        "anothers-block",
        "anothers-blocks",
        "an-effect-of-no-call",
        "blocks-that-are-none",
        "questions-without-end",
        "effects-without-end",
    ],
)
def test_a_forged_frame_ends_the_forger(confining: Confiner, text: str, how: How, why: str) -> None:
    zone = Zone()
    zone.stored[digest(OTHERS)] = OTHERS
    text += f"\n{HOLD}"
    ending, _ = execute(confining, forging(text), zone=zone, denied=frozenset({"pay"}))
    assert how is ending.how
    assert why in ending.text
    assert [] == zone.keys, "no effect was permitted"


def test_results_of_another_agents_effects_are_not_taken(confining: Confiner) -> None:
    """What the agent's side calls the outcome of an effect is held against the intent that the host has."""
    text = """
        from sojourn.runtime.records import Resume
        say(questions.Commit(
            ask=9,
            records=(b"\\xa1dkindeother",),
            roots={},
            resume=Resume(run=0, seed=bytes(32), arguments=((), {}), segments=()),
            spent={"orders": 10**9},
        ))
        import time; time.sleep(60)
    """
    zone = Zone()
    ending, _ = execute(confining, forging(text), zone=zone)
    assert How.RAISED is ending.how
    assert 0 == zone.record.eligibility.budgets["orders"].spent


# Floods


FLOODS = {
    "remarks": "for _ in range(20_000): say(frames.Remark(text='x' * 100))",
    "rests": "for n in range(20_000): say(questions.Rest(until_ms=n, listening=True))",
    "lines": "for _ in range(200_000): print('flood')",
    "bytes": "sys.stdout.write('x' * 2_000_000)",
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_holds_up_neither_the_host_nor_its_neighbour(
    confining: Confiner, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "OUTPUT_BYTES_MAX", 100_000)
    calm = forging("return 'calm'")

    async def play() -> tuple[list[Ending | None], FakeCustodian, float]:
        substrate = LocalSubstrate(confiner=confining)
        flooded = FakeCustodian(Zone())
        stages = [Stage(substrate, "confined", Zone()), Stage(substrate, "confined", Zone())]
        runs = asyncio.gather(
            stages[0].execute("desk:Desk", custodian=flooded, source=forging(FLOODS[name])),
            stages[1].execute("desk:Desk", source=calm),
        )
        longest = 0.0
        while not runs.done():
            began = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - began)
        return runs.result(), flooded, longest

    endings, flooded, longest = asyncio.run(asyncio.wait_for(play(), 60))
    assert endings[1] == Ending(how=How.RETURNED, result="calm")
    assert sum(len(text) for _, text in flooded.lines) < 300_000
    assert len([source for source, _ in flooded.lines if source == "runtime"]) <= 10
    assert longest < 5, "the host was held up"


# Neighbours


NEIGHBOUR = """
    def look(self, secret: str) -> list:
        before = sorted(os.listdir("/tmp"))
        with open("/tmp/mine", "w") as file:
            file.write(secret)
        return before

    async def run(self, ctx, secret: str) -> list:
        return [os.getpid(), os.getuid(), self.look(secret), open("/tmp/mine").read()]
"""


def test_neighbours_have_nothing_in_common(confining: Confiner) -> None:
    """Two at once: each has files, numbers of processes and memory of its own."""
    source = {"desk.py": f"{HEADER}class Desk(Agent):{NEIGHBOUR}".encode()}

    async def play() -> list[Ending | None]:
        substrate = LocalSubstrate(confiner=confining)
        stages = [Stage(substrate, "confined", Zone()) for _ in range(2)]
        return await asyncio.gather(
            *(
                stage.execute("desk:Desk", f"secret {n}", source=source)
                for n, stage in enumerate(stages)
            )
        )

    for number, ending in enumerate(asyncio.run(asyncio.wait_for(play(), 60))):
        assert ending is not None
        pid, user, before, mine = ending.result
        assert ([], f"secret {number}") == (before, mine)
        assert pid < 10, "its own numbers"
        assert user in (0, 1), "a user of its own namespace"


# What an honest agent needs


HONEST = """
    import ctypes, decimal, hashlib, ssl, sqlite3, tempfile, threading, zoneinfo
    from concurrent.futures import ThreadPoolExecutor
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * 1000)
    with ThreadPoolExecutor(16) as pool:
        total = sum(pool.map(lambda n: n * n, range(100)))
    assert ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)() == 7
    assert sqlite3.connect(":memory:").execute("select 6 * 7").fetchone() == (42,)
    assert len(os.urandom(16)) == 16
    return [total, hashlib.sha256(b"x").hexdigest()[:8]]
"""


def test_an_honest_agent_has_what_python_needs(confining: Confiner) -> None:
    source = forging(HONEST, "@step\n    def work(self) -> list:")
    source["desk.py"] += b"\n    async def run(self, ctx):\n        return await self.work()\n"
    ending, custodian = execute(confining, source)
    assert Ending(how=How.RETURNED, result=[328350, "2d711642"]) == ending, custodian.lines


# Layers that do not apply


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("landlock.restrict", "this kernel has no Landlock"),
        ("seccomp.install", "no filter is known"),
        ("limits.limit", "no limits"),
        ("kernel.forbid_new_privileges", "no no_new_privs"),
        ("_check_namespaces", "capabilities"),
    ],
)
def test_a_layer_that_does_not_apply_keeps_the_agent_from_starting(
    name: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never less than all of them: the code is not even sent."""
    confining = confiner()
    planted = f"""
from sojourn.substrates.confinement import child, kernel, landlock, limits, seccomp
def fail(*_):
    raise OSError({why!r})
{"child." if name.startswith("_") else ""}{name} = fail
child.main()
"""
    command = confining.command

    def spoiled(line: int) -> list[str]:
        first, plan = command(line)[:-1], command(line)[-1]
        module = '"-m", "sojourn.substrates.confinement.child"'
        assert module in plan
        import json

        return [*first, plan.replace(module, f'"-c", {json.dumps(planted)}')]

    monkeypatch.setattr(confining, "command", spoiled)
    log: list[str] = []

    async def play() -> None:
        with pytest.raises(Failed, match="ended before it had loaded the code"):
            await LocalSubstrate(confiner=confining).start(
                forging("pass"), "desk:Desk", "confined", log=lambda _, text: log.append(text)
            )

    asyncio.run(asyncio.wait_for(play(), 60))
    assert any(why in line for line in log), log


def test_where_nothing_confines_nothing_runs_confined() -> None:
    async def play() -> None:
        substrate = LocalSubstrate()
        assert not substrate.confines
        with pytest.raises(Failed, match="no process can be confined here"):
            await substrate.start({}, "desk:Desk", "confined", log=lambda *_: None)

    asyncio.run(play())


@pytest.mark.parametrize("can", [True, False])
def test_a_confiner_that_is_on_its_way_is_waited_for(can: bool) -> None:
    async def play() -> None:
        made: asyncio.Future[Confiner | None] = asyncio.get_running_loop().create_future()
        substrate = LocalSubstrate(confiner=made)
        settled = asyncio.ensure_future(substrate.settled())
        await asyncio.sleep(0)
        assert not substrate.confines
        assert not settled.done()
        made.set_result(confiner() if can else None)
        await settled
        assert can is substrate.confines

    asyncio.run(play())


def test_production_has_every_layer_and_the_bounds_are_finite() -> None:
    plan = Confiner()._plan(3)
    assert ALL_LAYERS == set(plan.layers)
    assert plan.bounds.memory_bytes > BOUNDS.memory_bytes > MIB
