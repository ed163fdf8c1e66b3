"""Every rule: what breaks it, and what looks alike and does not."""

from inspect import iscoroutinefunction

import pytest

from sojourn import Context
from tests.unit.checking.agents_written import found_in, rules_in, written

# rule (a warning's with a question mark), lines of the module, lines of run
USED = [
    ("clock", "import time", "time.time()"),
    ("clock", "from time import time as t", "t()"),
    ("clock", "import time as clock", "await self.look(clock.monotonic_ns())"),
    ("clock", "import time", "sleep = time.sleep\nsleep(1)"),
    ("clock", "import time", "time.sleep(1)"),
    ("clock", "import time", "time.localtime()"),
    ("clock", "import time", "time.strftime('%H')"),
    ("clock", "import datetime as dt", "dt.datetime.now(dt.UTC)"),
    ("clock", "from datetime import datetime", "f'{datetime.utcnow():%H}'"),
    ("clock", "from datetime import date", "date.today()"),
    ("clock", "from datetime import datetime", "rows = map(datetime.now, [])"),
    ("clock", "import asyncio", "await asyncio.sleep(0.1)"),
    ("clock", "import asyncio", "await asyncio.wait_for(self.look(), 5)"),
    ("clock", "import asyncio", "await asyncio.wait([], timeout=5)"),
    ("clock", "import asyncio", "async with asyncio.timeout(5): pass"),
    ("clock", "import asyncio", "asyncio.get_running_loop().call_later(1, list)"),
    ("clock", "import asyncio", "loop = asyncio.get_event_loop()\nloop.time()"),
    ("chance", "import random", "random.random()"),
    ("chance", "from random import shuffle", "shuffle([])"),
    ("chance", "import random", "random.Random().random()"),
    ("chance", "import random", "sorted([], key=random.gauss)"),
    ("chance", "import uuid", "uuid.uuid4()"),
    ("chance", "import uuid", "uuid.uuid1()"),
    ("chance", "import secrets", "secrets.token_hex(8)"),
    ("chance", "import os", "os.urandom(8)"),
    ("chance", "import numpy as np", "np.random.rand(3)"),
    ("chance", "import numpy as np", "np.random.default_rng()"),
    ("outside", "", "open('file')"),
    ("outside?", "", "print('here')"),
    ("outside", "", "input()"),
    ("outside", "from pathlib import Path", "Path('file').read_text()"),
    (
        "outside",
        "from pathlib import Path",
        "file = Path('a') / 'b'\nfile.with_suffix('.c').exists()",
    ),
    ("outside", "import pathlib", "def of(p: pathlib.Path): return p.stat()\nof(1)"),
    ("outside", "import os", "os.environ['HOME']"),
    ("outside", "import os", "os.getenv('HOME')"),
    ("outside", "import os", "os.listdir('.')"),
    ("outside", "import os.path", "os.path.exists('.')"),
    ("outside", "import sys", "sys.argv[1:]"),
    ("outside?", "import sys", "sys.stderr.write('here')"),
    ("outside?", "import logging\nlog = logging.getLogger(__name__)", "log.info('here')"),
    ("outside", "import subprocess", "subprocess.run(['ls'])"),
    ("outside", "import socket", "socket.create_connection(('a', 1))"),
    ("outside", "import urllib.request", "urllib.request.urlopen('https://example.org')"),
    ("outside", "import requests", "requests.get('https://example.org')"),
    ("outside", "import httpx", "async with httpx.AsyncClient() as client: pass"),
    ("outside", "import sqlite3", "sqlite3.connect('file')"),
    ("outside", "import threading", "threading.Thread(target=list)"),
    ("outside", "import multiprocessing as mp", "mp.Pool()"),
    ("outside", "from concurrent.futures import ThreadPoolExecutor as T", "T()"),
    ("outside", "import asyncio", "await asyncio.to_thread(list)"),
    ("outside", "import asyncio", "await asyncio.create_subprocess_exec('ls')"),
    ("outside", "import asyncio", "asyncio.get_running_loop().run_in_executor(None, list)"),
    ("outside", "from datetime import datetime", "datetime.fromtimestamp(0)"),
    ("outside", "", "ctx.now().astimezone()"),
    ("outside", "import platform", "platform.node()"),
    ("identity", "", "id(self)"),
    ("identity", "", "hash('text')"),
    ("identity", "", "sorted([], key=id)"),
]

LIKE_THOSE = [
    ("import time", "time.strftime('%H', (1,) * 9)\ntime.gmtime(0)"),
    ("import time", "def time(): return 1\ntime()"),
    ("import time", "time = ctx\ntime.time()"),
    ("from datetime import datetime, UTC", "datetime.fromtimestamp(0, UTC)\ndatetime(2026, 1, 1)"),
    ("from datetime import UTC", "ctx.now().astimezone(UTC)"),
    ("from datetime import datetime", "later: datetime = ctx.now()\nisinstance(later, datetime)"),
    ("import asyncio", "await asyncio.sleep(0)"),
    ("import asyncio", "await asyncio.wait_for(self.look(), None)"),
    ("import asyncio", "await asyncio.wait([], return_when=asyncio.FIRST_COMPLETED)"),
    ("import asyncio", "await asyncio.gather(self.look(), ctx.sleep(1))"),
    ("import asyncio", "asyncio.get_running_loop().create_task(self.look())"),
    ("import asyncio", "try: await self.look()\nexcept asyncio.TimeoutError: pass"),
    ("", "ctx.now(), ctx.random(), ctx.uuid()"),
    ("import random", "random.Random(7).random()"),
    ("import random", "dice = random.Random(ctx.random())\ndice.choice([1])"),
    ("import numpy as np", "np.random.default_rng(7).normal()\nnp.zeros(3)"),
    ("import uuid", "uuid.uuid5(uuid.NAMESPACE_DNS, 'a')\nuuid.UUID(int=1)"),
    ("import random", "seed: random.Random = None"),
    ("", "ctx.log('here')"),
    ("from pathlib import PurePath", "PurePath('a').name"),
    ("from pathlib import Path", "(Path('a') / 'b').with_suffix('.c').name"),
    ("import os", "os.path.join('a', 'b')\nos.sep"),
    ("import subprocess", "raise subprocess.CalledProcessError(1, 'ls')"),
    ("import requests", "try: pass\nexcept requests.RequestException: pass"),
    ("import urllib.parse", "urllib.parse.urlsplit('https://example.org')"),
    ("import threading", "threading.Lock()"),
    ("import logging\nlog = logging.getLogger(__name__)", "log.name"),
    ("", "open = ctx\nopen('file')"),
    ("", "hash(7)"),
    ("def open(name): return name", "open('file')"),
    ("try:\n    import tomllib\nexcept ImportError:\n    tomllib = None", "tomllib.loads('')"),
]


@pytest.mark.parametrize(("rule", "head", "run"), USED)
def test_what_a_replay_cannot_repeat_is_found(rule: str, head: str, run: str) -> None:
    assert [rule] == rules_in(written(run, head=head))


@pytest.mark.parametrize(("head", "run"), LIKE_THOSE)
def test_what_only_looks_like_that_is_not(head: str, run: str) -> None:
    assert [] == rules_in(written(run, head=head))


ORDERED = [
    "for x in {1, 'a'}: pass",
    "for x in set(ctx.memory): pass",
    "found = [x for x in {'a', 'b'}]",
    "found = {x: 1 for x in frozenset(ctx.memory)}",
    "found = list({'a', 'b'})",
    "', '.join({'a', 'b'})",
    "first, *rest = {'a', 'b'}",
    "'{} {}'.format(*{'a', 'b'})",
    "names = set()\nnames.add(1)\nfor x in names: pass",
    "names = {'a'} | set(ctx.memory)\nfor x in names: pass",
    "for x in {'a': 1}.keys() & ctx.memory.keys(): pass",
    "names = {'a'}\nnames.pop()",
    "for x in {'a'}.union(['b']): pass",
    "def of(names: set[str]): return list(names)\nof(1)",
    "for i, x in enumerate({'a', 'b'}): pass",
    "found = next(iter({'a', 'b'}))",
    "found = [await self.look(x) for x in {'a', 'b'}]",
    "any([await self.look(x) for x in {'a', 'b'}])",
    "done, late = await asyncio.wait([])\nfor task in late: pass",
    "async for x in ctx.turns({'a', 'b'}): pass",
    "await ctx.map(self.look, {'a', 'b'})",
    "await ctx.map(self.look, items={'a', 'b'}, at_once=2)",
    "found = dict.fromkeys({'a', 'b'})",
    "separator = ' '\nseparator.join({'a', 'b'})",
    "f'the names {set(ctx.memory)}'",
    "str({'a', 'b'})",
    "import functools\nfunctools.reduce(max, {'a', 'b'})",
    "for task in asyncio.as_completed([]): await task",
    "max({'a', 'b'}, key=len)",
    "min({'a', 'b'}, key=lambda name: len(name))",
]

IN_ORDER = [
    "for x in sorted({1, 'a'}): pass",
    "for x in {'a': 1, 'b': 2}: pass",
    "for x in dict.fromkeys(['a']).keys(): pass",
    "sorted(x for x in {'a', 'b'})",
    "len({'a', 'b'}), min({'a', 'b'}), max(x for x in {'a', 'b'}), max(*{'a', 'b'})",
    "'a' in {'a', 'b'}",
    "f'{sorted({1, 2})} of {len({1, 2})}'",
    "', '.join(['a'])",
    "{x for x in {'a', 'b'}}",
    "all(x for x in {'a', 'b'})",
    "sorted([*{'a', 'b'}])",
    "names = {'a'}\nnames = ['a']\nfor x in names: pass",
    "done, late = await asyncio.wait([])\nfor task in [t for t in [] if t in late]: pass",
    "left, right = [1, 2]",
    "[1].pop()",
    "await ctx.map(self.look, sorted({'a', 'b'}))",
    "await ctx.map(self.look, ['a'], at_once=len({'a', 'b'}))",
]


@pytest.mark.parametrize("run", ORDERED)
def test_an_order_taken_from_a_set_is_found(run: str) -> None:
    assert {"order"} == set(rules_in(written(run, head="import asyncio")))


@pytest.mark.parametrize("run", IN_ORDER)
def test_a_set_that_comes_out_alike_in_any_order_is_not(run: str) -> None:
    assert [] == rules_in(written(run, head="import asyncio"))


# rule, lines of the module, lines of the class, lines of run
SHARED = [
    ("count = 0", "", "global count\ncount += 1"),
    ("SEEN = []", "", "SEEN.append(1)"),
    ("SEEN = {}", "", "SEEN['a'] = 1"),
    ("SEEN = {}", "", "del SEEN['a']"),
    (
        "from collections import defaultdict\nSEEN = defaultdict(list)",
        "",
        "SEEN['a'].append(1)\nSEEN.clear()",
    ),
    ("import other", "", "other.DEBUG = True"),
    ("", "count = 0", "Desk.count += 1"),
    ("", "count = 0", "type(self).count = 1"),
    ("", "count = 0", "self.__class__.count = 1"),
    ("", "seen = []", "self.seen.append(1)"),
    ("", "seen = {}", "self.seen['a'] = 1"),
    ("import random\nDICE = random.Random(7)", "", "DICE.random()"),
    ("import itertools\nIDS = itertools.count()", "", "next(IDS)"),
    ("SEEN = []", "@step\ndef note(self): SEEN.append(1)", "return len(SEEN)"),
    ("", "@step\ndef note(self): self.total = 1", "return self.total"),
    ("", "def add(self): self.total = 1\n@step\ndef note(self): self.add()", "return self.total"),
]
OWN = [
    ("SEEN = ('a',)", "", "return SEEN[0]"),
    ("SEEN = []", "", "SEEN = []\nSEEN.append(1)"),
    ("SEEN = []", "", "return len(SEEN)"),
    ("", "count = 0", "self.count += 1"),
    ("", "seen = []", "self.seen = []\nself.seen.append(1)"),
    ("", "def __init__(self): self.seen = []", "self.seen.append(1)"),
    ("", "", "ctx.memory['log'].append(1)\nctx.memory['book']['a'] = 1"),
    ("SEEN = []", "@step\ndef note(self): SEEN.append(1)", "await self.note()"),
    ("", "@step\ndef note(self): self.total = 1", "await self.note()"),
    (
        "from msgspec import Struct\nclass Book(Struct):\n    lines: list = []",
        "",
        "book = Book()\nbook.lines.append(1)",
    ),
]


@pytest.mark.parametrize(("head", "body", "run"), SHARED)
def test_state_that_is_shared_or_left_in_a_step_is_found(head: str, body: str, run: str) -> None:
    assert {"shared-state"} == set(rules_in(written(run, head=head, body=body)))


@pytest.mark.parametrize(("head", "body", "run"), OWN)
def test_state_of_its_own_is_not(head: str, body: str, run: str) -> None:
    assert [] == rules_in(written(run, head=head, body=body))


def test_a_default_that_is_one_object_for_all_calls_is_a_warning() -> None:
    assert ["shared-state?"] == rules_in(written("pass", before=", seen=[]"))
    assert [] == rules_in(written("pass", before=", seen=(), more=None"))


TURNS = "async for x in ctx.turns(range(9)):\n    "


@pytest.mark.parametrize(
    ("rule", "run"),
    [
        ("turns", f"total = 0\n{TURNS}total += await self.look(x)\nreturn total"),
        ("turns", f"self.total = 0\n{TURNS}self.total += 1"),
        ("turns", f"total = 0\n{TURNS}for y in (1, 2): total += y"),
        ("turns?", f"found = []\n{TURNS}found.append(await self.look(x))"),
        ("turns?", f"found = dict()\n{TURNS}found[x] = 1"),
    ],
)
def test_what_turns_add_up_in_a_variable_is_found(rule: str, run: str) -> None:
    assert [rule] == rules_in(written(run))


@pytest.mark.parametrize(
    "run",
    [
        f"{TURNS}total = 0\n    for y in (1, 2): total += y",
        f"{TURNS}found = []\n    found.append(1)",
        f"{TURNS}ctx.memory['log'].append(x)\n    ctx.memory['book']['n'] += 1",
        f"log = ctx.memory['log']\n{TURNS}log.append(x)",
        "total = 0\nfor x in range(9): total += await self.look(x)",
        f"{TURNS}total = 0\n    async for y in ctx.turns([1]): total += y",
    ],
)
def test_what_one_turn_adds_up_or_memory_keeps_is_not(run: str) -> None:
    assert [] == rules_in(written(run))


@pytest.mark.parametrize(
    "run",
    [
        f"{TURNS}best = x\nreturn best",
        f"best = 0\n{TURNS}best = await self.look(x)\nreturn {{best: 1}}",
        f"{TURNS}pass\nreturn x",
        f"{TURNS}best = x\nelse:\n    ctx.log(str(best))",
        f"{TURNS}best = x\nbest = best + 1\nreturn best",
        f"{TURNS}best = x\nreturn [best for y in (1, 2)]",
    ],
)
def test_what_turns_assign_and_code_behind_them_reads_is_found(run: str) -> None:
    assert ["turns"] == rules_in(written(run))


@pytest.mark.parametrize(
    "run",
    [
        f"{TURNS}best = x\nbest = await self.look(1)\nreturn best",
        f"{TURNS}best = x\nfor best in (1, 2): ctx.log(str(best))",
        f"{TURNS}best = x\nreturn [best for best in (1, 2)]",
        f"best = 1\n{TURNS}ctx.log(str(best))\nreturn best",
        f"{TURNS}self.goal = x",
        f"{TURNS}best = x\n    if best: break\nreturn best",
        "for x in range(9): best = x\nreturn best",
    ],
)
def test_what_code_behind_turns_finds_for_itself_is_not(run: str) -> None:
    assert [] == rules_in(written(run))


def test_a_loop_of_turns_in_another_function_may_be_in_a_turn() -> None:
    body = f"async def more(self, ctx):\n    total = 0\n    {TURNS}    total += 1"
    assert [] == rules_in(written(f"{TURNS}await self.more(ctx)", body=body))


NOT_AWAITED = [
    "self.look(1)",
    "ctx.sleep(1)",
    "self.help()",
    "if self.look(1): pass",
    "total = self.look(1) + 1",
    "f'{self.look(1)}'",
    "for x in self.look(1): pass",
    "self.look(1)['a']",
]
AWAITED = [
    "await self.look(1)",
    "(await self.look(1)) + 1",
    "import asyncio\nawait asyncio.gather(self.look(1), *[self.look(x) for x in (1, 2)])",
    "import asyncio\ntask = asyncio.create_task(self.look(1))\nawait task",
    "call = self.look\nawait call(1)",
    "waiting = self.look(1)\nawait waiting",
    "return await self.help()",
]


def test_all_that_a_context_lets_await_is_to_be_awaited() -> None:
    made = [name for name in dir(Context) if iscoroutinefunction(getattr(Context, name))]
    assert {"ask", "map", "race", "request", "until"} <= set(made)
    for name in made:
        assert ["not-awaited"] == rules_in(written(f"ctx.{name}(1)")), name
        assert [] == rules_in(written(f"await ctx.{name}(1)")), name


@pytest.mark.parametrize("run", NOT_AWAITED)
def test_a_step_that_is_not_awaited_is_found(run: str) -> None:
    assert ["not-awaited"] == rules_in(written(run))


@pytest.mark.parametrize("run", AWAITED)
def test_a_step_that_is_awaited_or_handed_on_is_not(run: str) -> None:
    assert [] == rules_in(written(run))


@pytest.mark.parametrize(
    ("run", "body"),
    [
        ("pass", "@step\nasync def note(self): return await self.look(1)"),
        ("self.ctx = ctx", "@step\ndef note(self): self.ctx.log('here')"),
        ("self.book = ctx.memory['book']", "@step\ndef note(self): return len(self.book)"),
        ("pass", "@step\ndef note(self, ctx): ctx.log('here')"),
        (
            "pass",
            "async def both(self): await self.look()\n@step\nasync def note(self): await self.both()",
        ),
    ],
)
def test_what_belongs_into_run_is_found_in_a_step(run: str, body: str) -> None:
    assert {"in-step"} == set(rules_in(written(run, body=body)))


@pytest.mark.parametrize(
    ("run", "body"),
    [
        ("self.goal = ctx.memory['plan']['goal']", "@step\ndef note(self, x): return x"),
        ("self.ctx = ctx\nself.ctx.log('here')", "@step\ndef note(self): return self.effect_key"),
        ("pass", "def add(self, x): return x\n@step\ndef note(self, x): return self.add(x)"),
    ],
)
def test_a_step_with_its_arguments_alone_is_not(run: str, body: str) -> None:
    assert [] == rules_in(written(run, body=body))


@pytest.mark.parametrize(
    "run",
    [
        "try: await self.pay(1)\nexcept Exception: pass",
        "try: await self.send(1)\nexcept (ValueError, Exception): ctx.log('failed')",
        "try: await self.look(1)\nexcept BaseException: pass",
        "try: await ctx.sleep(1)\nexcept: pass",
    ],
)
def test_an_error_that_nobody_hears_of_is_a_warning(run: str) -> None:
    assert ["swallowed?"] == rules_in(written(run))


@pytest.mark.parametrize(
    "run",
    [
        "try: await self.look(1)\nexcept Exception: pass",
        "try: await self.pay(1)\nexcept Denied: pass",
        "try: await self.pay(1)\nexcept UncertainOutcome: pass\nexcept Exception: pass",
        "try: await self.pay(1)\nexcept Exception: raise",
        "try: await self.pay(1)\nexcept Exception as error: ctx.log(str(error))",
        "try: int('a')\nexcept: pass",
    ],
)
def test_an_error_that_is_dealt_with_is_not(run: str) -> None:
    assert [] == rules_in(written(run))


REPEATED = """\
while True:
    try:
        await self.pay(1)
        break
    except UncertainOutcome:
        ctx.log("again")
"""


def test_what_may_be_done_once_and_is_tried_until_it_succeeds_is_a_warning() -> None:
    assert ["repeated?"] == rules_in(written(REPEATED))
    loop = REPEATED.replace("while True", "for attempt in range(3)")
    assert ["repeated?"] == rules_in(written(loop))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.pay", "self.send"),
        ('ctx.log("again")', "break"),
        ('ctx.log("again")', "await self.look(1)"),
        ('ctx.log("again")', "raise"),
        ("        break\n", "        ctx.log('paid')\n"),
        ("except UncertainOutcome", "except ValueError"),
    ],
)
def test_what_is_asked_about_or_may_be_repeated_is_not(old: str, new: str) -> None:
    assert [] == rules_in(written(REPEATED.replace(old, new)))


def test_a_finding_says_where_what_and_what_instead() -> None:
    (found,) = found_in(written("x = 'ä', time.time()", head="import time"))
    line = "        x = 'ä', time.time()"
    assert ("desk.py", line.index("time") + 1) == (found.path, found.column)
    assert found.line == len(written("", head="import time").splitlines()) + 1
    assert "time.time() reads the host's clock" == found.what
    assert "Write ctx.now()" == found.instead
    assert ("Desk.run",) == found.reached
