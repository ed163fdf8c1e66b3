"""Hosts die at any moment, while agents have effects outside: none is lost, none had twice (protocol §10)."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from sojourn.cli.showing.follow import Follower
from tests.system.ground import Ground, ground

TURNS = 16
AGENTS = 3


def booked(book: Path) -> list[tuple[str, int]]:
    """Return what was written into a book: each entry's key and number."""
    lines = [line.split() for line in book.read_text().splitlines()]
    return [(key, int(number)) for key, number in lines]


def check_books(entered: Path, paid: Path, unsure: list[int]) -> None:
    """Assert that every number stands in both books once, as a receiver counts; unsure ones may not be paid."""
    by_key = dict.fromkeys(booked(entered))  # a receiver counts what comes under one key once
    assert list(range(TURNS)) == sorted(number for _, number in by_key)
    assert len(by_key) == len({key for key, _ in by_key})
    payments = Counter(number for _, number in booked(paid))
    assert {1} == set(payments.values())
    assert set(range(TURNS)) - payments.keys() <= set(unsure)


async def disturb(g: Ground, followers: list[Follower], seed: int, kills: int) -> None:
    """SIGKILL hosts in turn, each at some moment of some agent's step, and start them again."""
    chance = random.Random(seed)
    for _ in range(kills):
        follower = chance.choice(followers)
        await g.advance(follower, "done", by=chance.randrange(1, 4))
        await asyncio.sleep(chance.uniform(0, 0.03))  # the moment, not a wait
        index = g.host_of(follower)
        g.kill("host", "a", index)
        g.start("host", "a", index)


async def keep_books(folder: Path, seed: int, kills: int) -> int:
    """Run bookkeepers under kills; return of how many payments they were not sure."""
    async with ground(folder) as g:
        g.found("a", hosts=2, lease_ms=1_000)
        await g.up("a")
        books = [(folder / f"entered-{n}", folder / f"paid-{n}") for n in range(AGENTS)]
        followers = []
        for entered, paid in books:
            plan = {"turns": TURNS, "entered": str(entered), "paid": str(paid)}
            memory = {"plan": plan, "unsure": None, "done": None}
            followers.append(await g.launch("a", "bookkeeper:Bookkeeper", memory))
        await disturb(g, followers, seed, kills)
        unsure = [await g.result(follower) for follower in followers]
        for (entered, paid), some in zip(books, unsure, strict=True):
            check_books(entered, paid, some)
        return sum(map(len, unsure))


@pytest.mark.parametrize("seed", range(2))
def test_effects_are_had_once_whenever_hosts_are_killed(tmp_path: Path, seed: int) -> None:
    asyncio.run(keep_books(tmp_path, seed, kills=3))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 120))
def test_effects_are_had_once_through_many_kills(tmp_path: Path, seed: int) -> None:
    asyncio.run(keep_books(tmp_path, seed, kills=12))
