"""Which code is looked at: what is replayed, and nothing else; and how it says that it came there."""

import pytest

from sojourn.checking.source_check import check_source
from sojourn.core.base.errors import Misused
from tests.unit.checking.agents_written import found_in, rules_in, written

HEAD = "import time"


@pytest.mark.parametrize(
    ("run", "body"),
    [
        ("self.tell()", "def tell(self): return time.time()"),
        ("self.told", "@property\ndef told(self): return time.time()"),
        ("sorted([], key=self.tell)", "def tell(self, x): return time.time()"),
        ("Desk.tell()", "@staticmethod\ndef tell(): return time.time()"),
        (
            "self.tell()",
            "@classmethod\ndef tell(cls): return cls.more()\n@classmethod\ndef more(cls): return time.time()",
        ),
        (
            "await self.one()",
            "async def one(self): await self.two()\nasync def two(self): time.time()",
        ),
        ("await getattr(self, f'do_{ctx}')()", "async def do_it(self): time.time()"),
        ("await getattr(self, 'do_' + ctx)()", "async def do_it(self): time.time()"),
        ("def inner(): return time.time()\ninner()", ""),
        ("sorted([], key=lambda x: time.time())", ""),
        ("[time.time() for x in (1, 2)]", ""),
    ],
)
def test_what_run_reaches_in_its_class_is_checked(run: str, body: str) -> None:
    assert ["clock"] == rules_in(written(run, head=HEAD, body=body))


@pytest.mark.parametrize(
    ("run", "body"),
    [
        ("await self.tell()", "@step\ndef tell(self): return time.time()"),
        (
            "await self.tell()",
            "@step(attempts=1)\ndef tell(self): return self.more()\ndef more(self): return time.time()",
        ),
        ("pass", "def never(self): return time.time()"),
        ("def inner(x: time.time = None): pass\ninner()", ""),
        ("await getattr(self, f'do_{ctx}')()", "@step\ndef do_it(self): time.time()"),
    ],
)
def test_steps_and_what_is_not_reached_are_not(run: str, body: str) -> None:
    assert [] == rules_in(written(run, head=HEAD, body=body))


@pytest.mark.parametrize(
    ("head", "run", "other"),
    [
        ("def tell(): return time.time()", "tell()", ""),
        ("def tell(): return time.time()\ntold = tell", "told()", ""),
        ("from other import tell", "tell()", "import time\ndef tell(): return time.time()"),
        ("import other", "other.tell()", "import time\ndef tell(): return time.time()"),
        ("import other as o", "o.tell()", "from time import time as tell"),
        ("from other import *", "tell()", "import time\ndef tell(): return time.time()"),
        (
            "import other",
            "other.Clock().tell()",
            "import time\nclass Clock:\n    def tell(self): return time.time()",
        ),
        (
            "import other",
            "clock = other.Clock()\nclock.tell()",
            "import time\nclass Clock:\n    def tell(self): return time.time()",
        ),
        (
            "import other",
            "other.Clock()",
            "import time\nclass Clock:\n    def __init__(self): self.at = time.time()",
        ),
        (
            "import dataclasses as d\n@d.dataclass\nclass At:\n    at: float = d.field(default_factory=time.time)",
            "At()",
            "",
        ),
        ("STARTED = time.time()", "return STARTED", ""),
        (
            "from other import STARTED",
            "return STARTED",
            "import time\nSTARTED = round(time.time())",
        ),
        ("def tell(at=time.time()): return at", "tell()", ""),
    ],
)
def test_what_run_reaches_in_its_modules_is_checked(head: str, run: str, other: str) -> None:
    text = written(run, head=f"{HEAD}\n{head}")
    assert ["clock"] == rules_in(text, other=other)


def test_a_module_of_the_agents_own_goes_before_one_of_that_name() -> None:
    text = written("time.time()", head="import time")
    assert [] == rules_in(text, time="def time(): return 1")


@pytest.mark.parametrize(
    "method",
    [
        "@signal\ndef stop(self, ctx): time.time()",
        "@update\nasync def limit(self, ctx): return time.time()",
        "@signal\ndef stop(self, ctx): self.tell()\ndef tell(self): time.time()",
        "def on_unread(self, ctx, message): time.time()",
    ],
)
def test_what_messages_call_is_replayed_as_well(method: str) -> None:
    head = "import time\nfrom sojourn import signal, update"
    assert ["clock"] == rules_in(written("pass", head=head, body=method))


def test_what_is_called_so_by_another_package_is_not() -> None:
    head = "import time\nfrom blinker import signal"
    method = "@signal\ndef stop(self, ctx): time.time()"
    assert [] == rules_in(written("pass", head=head, body=method))


def test_relative_imports_in_a_package_are_followed() -> None:
    files = {
        "pack/__init__.py": b"from .desk import Desk",
        "pack/desk.py": written(
            "now()", head="from . import clocks\nfrom .clocks import now"
        ).encode(),
        "pack/clocks.py": b"from time import time as now",
    }
    checked = check_source(files, "pack:Desk")
    assert ("pack.desk:Desk",) == checked.agents
    assert [("pack/desk.py", "clock")] == [(each.path, each.rule) for each in checked.findings]


def test_what_an_agent_inherits_is_checked_on_its_own_class() -> None:
    text = """\
import time
from sojourn import Agent, step
class Base(Agent):
    async def run(self, ctx): return await self.tell()
    async def tell(self): return 1
class Desk(Base):
    async def tell(self): return time.time()
class Calm(Base):
    @step
    async def tell(self): return time.time()
class Polite(Desk):
    async def tell(self): return await super().tell()
"""
    (found,) = found_in(text)
    assert (7, ("Desk.run", "Desk.tell")) == (found.line, found.reached)


def test_fields_say_of_which_class_they_are() -> None:
    text = """\
import time
from sojourn import Agent, step
class Helper:
    def __init__(self, agent: "Desk", ctx): self.agent, self.ctx = agent, ctx
    def set(self, agent: "Desk"): self.desk = agent
    def work(self): return self.desk.tell()
class Desk(Agent):
    def tell(self): return time.time()
    async def run(self, ctx): Helper(self, ctx).work()
"""
    (found,) = found_in(text)
    assert ("Desk.run", "Helper.work", "Desk.tell") == found.reached


def test_rank_is_not_replayed_and_gets_warnings() -> None:
    body = "def rank(self, places): return self.tell()\ndef tell(self): return time.time()"
    (found,) = found_in(written("pass", head=HEAD, body=body))
    assert (False, ("Desk.rank", "Desk.tell")) == (found.is_error, found.reached)
    assert "rank" in found.instead
    (found,) = found_in(written("self.tell()", head=HEAD, body=body))
    assert (True, ("Desk.run", "Desk.tell")) == (found.is_error, found.reached)


def test_every_agent_in_the_source_is_checked_once() -> None:
    text = (
        written("time.time()", head=HEAD)
        + "\nclass Other(Desk): pass\nclass Third:\n    def run(self): time.time()"
    )
    checked = check_source({"desk.py": text.encode()})
    assert (("desk:Desk", "desk:Other"), 1) == (checked.agents, len(checked.findings))


def test_a_named_class_is_an_agent_whatever_it_is_derived_from() -> None:
    text = written("time.time()", head=HEAD).replace("(Agent)", "(elsewhere.Base)")
    files = {"desk.py": b"import elsewhere\n" + text.encode()}
    assert ((), ()) == (check_source(files).agents, check_source(files).findings)
    assert ["clock"] == [each.rule for each in check_source(files, "desk:Desk").findings]


def test_a_class_that_is_not_there_is_said() -> None:
    files = {"desk.py": written("pass").encode()}
    for entry in ("desk:Disk", "disk:Desk", "desk:step"):
        with pytest.raises(Misused, match="has no class"):
            check_source(files, entry)


@pytest.mark.parametrize(
    "text",
    [
        written("self.a()", body="def a(self): self.b()\ndef b(self): self.a()"),
        written("x = y\ny = x\nx.now()"),
        written("x = x | x\nfor y in x: pass"),
        written("self.a", body="def __init__(self): self.a = self.b; self.b = self.a"),
        written("A.now()", head="A = B\nB = A"),
        written("desk.x()", head="import desk\nfrom desk import x"),
        written("pass", head="class A(B): pass\nclass B(A): pass"),
        written("\n".join(f"a{n + 1} = a{n} | a{n}" for n in range(60)) + "\nfor x in a60: pass"),
        written("return " + " + ".join(["1"] * 2000)),
        written("return ctx" + ".a" * 2000),
    ],
)
def test_circles_and_depths_come_to_an_end(text: str) -> None:
    assert [] == rules_in(text)


def test_a_long_way_is_told_by_its_ends() -> None:
    body = "\n".join(f"def f{n}(self): self.f{n + 1}()" for n in range(50))
    (found,) = found_in(written("self.f0()", head=HEAD, body=f"{body}\ndef f50(self): time.time()"))
    assert ("Desk.run", "...") == found.reached[:2]
    assert "Desk.f50" == found.reached[-1]
    assert 8 == len(found.reached)
