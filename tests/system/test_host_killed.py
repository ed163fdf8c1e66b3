"""Hosts die at any moment, while agents have effects outside: none is lost, none had twice (protocol §10)."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from sojourn.cli.showing.follow import Follower
from tests.system.ground import Ground, ground

AGENTS = 3
AHEAD = 3
"""An agent's host is killed after up to so many more turns of it."""


def booked(book: Path) -> list[tuple[str, int]]:
    """Return what was written into a book: each entry's key and number."""
    lines = [line.split() for line in book.read_text().splitlines()]
    return [(key, int(number)) for key, number in lines]


def check_books(entered: Path, paid: Path, unsure: list[int], turns: int) -> None:
    """Assert that every number stands in both books once, as a receiver counts; unsure ones may not be paid."""
    by_key = dict.fromkeys(booked(entered))  # a receiver counts what comes under one key once
    assert list(range(turns)) == sorted(number for _, number in by_key)
    assert len(by_key) == len({key for key, _ in by_key})
    payments = Counter(number for _, number in booked(paid))
    assert {1} == set(payments.values())
    assert set(range(turns)) - payments.keys() <= set(unsure)


async def disturb(g: Ground, followers: list[Follower], seed: int, turns: int, kills: int) -> int:
    """SIGKILL hosts in turn, each at some moment of some agent's step, and start them again; return how many.

    It ends early when no agent has enough left to do.
    """
    chance = random.Random(seed)
    for done in range(kills):
        busy = [f for f in followers if await g.progress(f, "done") + AHEAD < turns]
        if not busy:
            return done
        follower = chance.choice(busy)
        await g.advance(follower, "done", by=chance.randint(1, AHEAD))
        await asyncio.sleep(chance.uniform(0, 0.03))  # the moment, not a wait
        index = g.host_of(follower)
        g.kill("host", "a", index)
        g.start("host", "a", index)
    return kills


async def keep_books(folder: Path, seed: int, *, turns: int, kills: int) -> None:
    """Run bookkeepers under kills."""
    async with ground(folder) as g:
        g.found("a", hosts=2, lease_ms=1_000)
        await g.up("a")
        books = [(folder / f"entered-{n}", folder / f"paid-{n}") for n in range(AGENTS)]
        followers = []
        for entered, paid in books:
            plan = {"turns": turns, "entered": str(entered), "paid": str(paid)}
            memory = {"plan": plan, "unsure": None, "done": None}
            followers.append(await g.launch("a", "bookkeeper:Bookkeeper", memory))
        assert 0 < await disturb(g, followers, seed, turns, kills)
        unsure = [await g.result(follower) for follower in followers]
        for (entered, paid), some in zip(books, unsure, strict=True):
            check_books(entered, paid, some, turns)


@pytest.mark.parametrize("seed", range(2))
def test_effects_are_had_once_whenever_hosts_are_killed(tmp_path: Path, seed: int) -> None:
    asyncio.run(keep_books(tmp_path, seed, turns=16, kills=3))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 120))
def test_effects_are_had_once_through_many_kills(tmp_path: Path, seed: int) -> None:
    asyncio.run(keep_books(tmp_path, seed, turns=100, kills=12))
