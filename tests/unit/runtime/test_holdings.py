"""Which blocks an agent's side may name, and that their names do not pile up for as long as it runs."""

from random import Random
from typing import Any

import pytest

from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Rejected
from sojourn.runtime import holdings as module
from sojourn.runtime.agent_side import batch
from sojourn.runtime.frames import Anew, Broke
from sojourn.runtime.holdings import Holdings, LetGo
from sojourn.runtime.host_side.ending import How, broken_by
from tests.unit.runtime.executing import Stage, on_stage


@pytest.fixture(autouse=True)
def names_are_let_go_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NAMES_KEPT", 100)
    monkeypatch.setattr(batch, "RUN_AHEAD_RECORDS", 1)


class Side:
    """An agent's side with one mapping, and the host's with its holdings: batches are final some time after."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.stored: dict[bytes, bytes] = {}
        self.holdings = Holdings([])
        self.new = NewBlocks(self)
        self.mapping = Mapping.load(ZERO, self.new)
        self.under_way: list[tuple[bytes, dict[bytes, bytes]]] = []

    def get(self, named: bytes) -> bytes:
        """Read what the agent's side does not have: ask the host's."""
        self.holdings.check_own([named])
        self.holdings.serve(named, self.stored[named])
        return self.stored[named]

    def work(self) -> None:
        for _ in range(self.random.randrange(1, 30)):
            key = f"{self.random.randrange(3_000):04}"
            if self.random.random() < 0.4 and key in self.mapping:
                self.mapping = self.mapping.delete(key)
            else:
                self.mapping = self.mapping.put(key, self.random.choice(["up", "down", "x" * 400]))
        list(self.mapping.items(start=f"{self.random.randrange(3_000):04}"))

    def send(self) -> None:
        """Send a batch, with all blocks that the host's side has not yet."""
        self.mapping = self.mapping.commit(self.new)
        sent = {n for _, made in self.under_way for n in made}
        made = {n: data for n, data in self.new.made.items() if n not in sent}
        self.holdings.keep(made.values())
        self.under_way.append((self.mapping.root, self.holdings.take()))

    def become_final(self) -> None:
        root, made = self.under_way.pop(0)
        self.holdings.check_own([root])
        assert all(holders <= {"desk"} for holders in self.holdings.file("desk", root))
        self.stored.update(made)
        self.new.forget(list(made))
        self.holdings.settle(1, lambda: [("desk", root)])

    def forget(self) -> None:
        """Read all anew from now on: what was read before is at hand no more."""
        self.mapping = Mapping.load(self.mapping.root, self.new)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_that_an_agents_side_needs_is_let_go(seed: int) -> None:
    side = Side(seed)
    for _ in range(120):
        side.work()
        side.send()
        if side.random.random() < 0.3:
            side.forget()
        while len(side.under_way) > side.random.randrange(4):
            side.become_final()
    assert side.holdings._has_let_go


def test_names_do_not_pile_up() -> None:
    side = Side(1)
    for turn in range(2_000):
        side.mapping = side.mapping.put("reached", turn)
        side.send()
        side.become_final()
        assert len(side.holdings._holders) + len(side.holdings._made) <= 110
    assert len(side.stored) >= 2_000


def made(*below: bytes, of: int = 0) -> bytes:
    return encode_block([of, *below])


def test_they_do_between_restart_points() -> None:
    """Code may go on reading there what it had begun to read, though it has replaced it."""
    holdings = Holdings([])
    blocks = [made(of=at) for at in range(300)]
    for block in blocks:
        holdings.keep([block])
        assert holdings.take()
        assert not list(holdings.file("desk", digest(block)))
        holdings.settle(1, None)
    holdings.check_own(map(digest, blocks))
    holdings.settle(0, lambda: [("desk", digest(blocks[-1]))])
    holdings.check_own([digest(blocks[-1])])
    with pytest.raises(LetGo, match="not part of this agent's memory"):
        holdings.check_own([digest(blocks[0])])


def test_what_is_not_final_yet_is_kept() -> None:
    holdings = Holdings([])
    for at in range(200):
        holdings.keep([made(of=at)])
        holdings.take()
    early, late = made(of=1_000), made(of=1_001)
    holdings.keep([early])
    holdings.take()
    holdings.keep([late])
    holdings.settle(200, list)
    holdings.check_own([digest(early), digest(late)])
    holdings.check_own([digest(made(of=199))])
    holdings.settle(1, list)


def test_what_nobody_has_let_go_fails_the_agent_and_else_it_is_executed_anew() -> None:
    holdings = Holdings([])
    with pytest.raises(Rejected) as foreign:
        holdings.check_own([bytes(32)])
    assert isinstance(broken_by(foreign.value), Broke)
    holdings.keep(made(of=at) for at in range(300))
    holdings.take()
    holdings.settle(1, None)
    holdings.settle(1, list)
    with pytest.raises(LetGo) as gone:
        holdings.check_own([digest(made(of=1))])
    assert broken_by(gone.value) == Anew()
    late = made(digest(made(of=2)), of=1)  # was on its way when its name was let go
    holdings.serve(digest(made(of=1)), late)
    with pytest.raises(LetGo):
        holdings.check_own([digest(made(of=2))])


READER = """
    class Desk(Agent):
        @step
        def work(self, x: int) -> int:
            return x

        async def run(self, ctx) -> tuple[str, int]:
            book, old = ctx.memory["book"], None
            async for turn in ctx.turns(range(6)):
                if turn:
                    old = old or iter(book.values())
                    next(old)
                if turn < 5:
                    book.update((f"{key:04}", f"{turn} {key}" * 100) for key in range(1_000))
                await self.work(turn)
            return next(old)[:8], sum(1 for _ in old)

"""


def test_code_that_reads_on_in_what_it_has_replaced_since_is_executed_anew() -> None:
    async def act(stage: Stage) -> list[Any]:
        endings = [await stage.execute_desk(READER)]
        while endings[-1].how is How.ANEW:
            endings.append(await stage.execute_desk(READER))
        return endings

    *before, last = on_stage(act)
    assert [ending.how for ending in before] == [How.ANEW]
    assert last.how is How.RETURNED
    assert last.result == ["4 14 14 ", 998]
