"""Hosts die at any moment while agents have children: each is born once, and does its work (protocol §8.13)."""

import asyncio
import random
from pathlib import Path

import pytest

from sojourn.cli.address_book import keep
from sojourn.cli.home import Home
from sojourn.cli.ordering import OnItsWay, Ordered, order, signed_order
from sojourn.core.agent.orders import Act
from sojourn.core.base.digests import cid_text, parse_cid_text
from sojourn.core.protocol.exchange import Agents, AskAgents
from tests.system.ground import Ground, ground, until
from tests.system.hamlet import hamlet
from tests.system.test_host_killed import booked


async def agents_in(g: Ground, zone: str) -> set[str]:
    """Return the identifiers of all agents that a zone holds."""
    told = await g.reach.zone(g.manifests[zone]).ask_any(AskAgents(), Agents)
    return {cid_text(each.agent) for each in told.agents}


async def have_children(folder: Path, seed: int, *, turns: int, kills: int) -> None:
    """Run a foreman whose host is killed again and again while it has children."""
    chance = random.Random(seed)
    book = folder / "book"
    book.touch()
    async with ground(folder) as g:
        g.found("a", hosts=2, lease_ms=1_000)
        await g.up("a")
        memory = {"plan": {"turns": turns, "book": str(book)}, "done": None}
        foreman = await g.launch("a", "foreman:Foreman", memory)
        for done in range(kills):
            if await g.progress(foreman, "done") + kills - done >= turns:
                break
            await g.advance(foreman, "done")
            await asyncio.sleep(chance.uniform(0, 0.06))  # the moment, not a wait
            index = g.host_of(foreman)
            g.kill("host", "a", index)
            g.start("host", "a", index)
        children = await g.result(foreman)

        async def worked() -> bool:
            return {number for _, number in booked(book)} == set(range(turns))

        await until(worked, why="every child has entered its number")
        by_key = dict(booked(book))  # a receiver counts what comes under one key once
        assert sorted(by_key.values()) == list(range(turns))
        assert len(children) == len(set(children)) == turns
        assert await agents_in(g, "a") == {cid_text(foreman.agent), *children}


@pytest.mark.parametrize("seed", range(1))
def test_children_are_born_once_whenever_hosts_are_killed(tmp_path: Path, seed: int) -> None:
    asyncio.run(have_children(tmp_path, seed, turns=8, kills=3))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 110))
def test_children_are_born_once_through_many_kills(tmp_path: Path, seed: int) -> None:
    asyncio.run(have_children(tmp_path, seed, turns=60, kills=12))


def test_section_8_13_officers_reach_a_child_by_a_parent_that_has_ended(tmp_path: Path) -> None:
    async def run() -> None:
        async with hamlet(tmp_path, "a") as v:
            a, home = v.houses["a"], Home(tmp_path / "officers")
            home.keep_manifest(a.signed)
            parent = await v.launch_file(a, "foreman:Testator", {})
            keep(home, "testator", parent.agent, a.zone)
            child = parse_cid_text(await Ground.result(parent))

            async def is_revoked() -> bool:
                head = a.anchors[0].shelf.dossier(child).head
                return head is not None and head.record.eligibility.status == "revoked"

            async def ordered(act: Act) -> Ordered | OnItsWay:
                signed = signed_order(home, "testator", act, [v.issuer], None)
                return await order(v.reach, home, "testator", signed, "")

            assert isinstance(await ordered(Act.RETIRE), Ordered)
            done = await ordered(Act.REVOKE)
            assert isinstance(done, OnItsWay)
            assert "may have children" in done.why
            await until(is_revoked, why="the child is revoked")

    asyncio.run(run())
