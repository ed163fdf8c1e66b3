"""Progress in whole worlds: people who watch see the newest word of the host that is bound, and of nobody else."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn import Agent, Context
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.messages import Applied, Declined
from sojourn.core.protocol.progress import AskProgress, ProgressTold, PutProgress, SignedProgress
from sojourn.runtime.clients.zone_client import ZoneClient
from sojourn.testing import LaunchedAgent, World, simulate
from sojourn.testing.founding import key


class Walker(Agent):
    """Tells how far it is, faster than anybody reads."""

    async def run(self, ctx: Context) -> None:
        """Walk."""
        for mile in range(1, 41):
            ctx.progress("walking", mile, 40)
            await ctx.sleep(0.5)
        ctx.progress("resting")
        await ctx.sleep(3600)


class Babbler(Agent):
    """Tells what cannot be told."""

    async def run(self, ctx: Context) -> list[str]:
        """Try."""
        said = []
        tries: list[Any] = [("x" * 1025, None), (7, None), ("x", -1), ("x", 1.5), ("x", True)]
        for text, done in tries:
            try:
                ctx.progress(text, done)
            except Exception as error:  # sojourn: allow swallowed (it is told)
                said.append(str(error))
        ctx.progress("\udc80")
        return said


def told(world: World, agent: LaunchedAgent) -> list[SignedProgress | None]:
    """Ask every anchor of the agent's zone."""
    client = ZoneClient(agent.zone.manifest, world._person.pool)
    ask = AskProgress(agent=agent.id)
    replies = world.perform(lambda: client.ask_all(ask, ProgressTold, timeout_s=3), "ask")
    return [reply.told for reply in replies.values()]


def put(world: World, agent: LaunchedAgent, signed: SignedProgress) -> list[Any]:
    client = ZoneClient(agent.zone.manifest, world._person.pool)
    return [
        world.perform(lambda n=n: client.call(n, PutProgress(told=signed)), "put")  # type: ignore[misc]
        for n in range(client.n)
    ]


def test_the_newest_word_is_told_and_none_of_a_host_that_is_bound_no_more() -> None:
    with simulate(seed=1) as world:
        agent = world.launch(Walker, world.zone("a", hosts=2))
        agent.wait(lambda agent: agent.host is not None and agent.version > 2, "walks")
        world.run(5)
        seen = [each.progress for each in told(world, agent) if each is not None]
        assert len(seen) >= 3
        assert {("walking", 40)} == {(each.text, each.total) for each in seen}
        assert max(each.done or 0 for each in seen) >= 6
        versions = agent.version
        first = agent.host
        assert first is not None
        first.kill()
        agent.wait(lambda agent: agent.host is not first, "has another host")
        newer = [each.progress for each in told(world, agent) if each is not None]
        assert all(each.binding > seen[0].binding for each in newer)
        world.run(30)
        (last,) = {(e.progress.text, e.progress.done) for e in told(world, agent) if e is not None}
        assert ("resting", None) == last
        assert agent.version > versions
        assert not world.broken_promises()


def test_nobody_else_tells_of_an_agent() -> None:
    with simulate(seed=2) as world:
        agent = world.launch(Walker, world.zone("a"))
        agent.wait(lambda agent: agent.host is not None and agent.version > 2, "walks")
        world.run(3)
        honest = next(each for each in told(world, agent) if each is not None)
        lie = replace(honest.progress, text="done", told_ms=honest.progress.told_ms + 10**6)
        eve = key("eve")
        covered = eve.sign(statement(Kind.PROGRESS, Role.HOST, digest_of(lie)))
        seals = (
            Seal(signer=eve.public, signature=covered),
            Seal(signer=honest.seal.signer, signature=covered),
            honest.seal,
        )
        for seal in seals:
            replies = put(world, agent, SignedProgress(progress=lie, seal=seal))
            assert all(isinstance(reply, Declined) for reply in replies)
        assert Applied() in put(world, agent, honest)
        assert "done" not in {each.progress.text for each in told(world, agent) if each}


def test_what_cannot_be_told_is_refused_with_its_value() -> None:
    with simulate(seed=3) as world:
        said = world.launch(Babbler, world.zone("a")).result()
        assert [False, False, True, True, True] == ["done=" in each for each in said]
        assert 5 == len(said)


@pytest.mark.parametrize("done", [None, 3])
def test_people_see_it_with_its_age(done: int | None) -> None:
    from sojourn.cli.progress import ProgressShown
    from sojourn.runtime.processes import clock

    shown = ProgressShown(text="half", done=done, total=6, told_ms=clock.wall_ms() - 61_000)
    assert f"half{' (3 of 6)' if done else ''}, 1 min 1 s ago" == shown.describe()
