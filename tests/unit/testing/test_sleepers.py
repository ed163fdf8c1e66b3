"""Sleepers on whole zones that start anew, in virtual time: who sleeps for long wakes when its time has come."""

from sojourn import Agent, Context, step
from sojourn.testing import World, simulate

TURN_S = 100.0
LATE_S = 1.0


class Dozer(Agent):
    """Sleeps for so many turns of 100 s."""

    @step
    def tell(self) -> None:
        """Say that it is awake."""

    async def run(self, ctx: Context) -> float:
        """Return how late it was woken, in seconds."""
        began = ctx.now()
        turns: int = ctx.memory["plan"]["turns"]
        await ctx.sleep(turns * TURN_S)
        await self.tell()
        return (ctx.now() - began).total_seconds() - turns * TURN_S


def check(world: World, *, kills_anchors: bool) -> None:
    zone = world.zone("a", hosts=1)
    agents = [world.launch(Dozer, zone, memory={"plan": {"turns": n}}) for n in (1, 4)]
    for agent in agents:
        agent.rests()
    restarted = [*zone.hosts, *(zone.anchors if kills_anchors else ())]
    for process in restarted:
        process.kill()
    world.run(5)
    for process in restarted:
        process.start()
    for agent in agents:
        assert LATE_S > agent.result(within=5 * TURN_S)


def test_sleepers_of_a_host_that_has_started_anew_wake_in_time() -> None:
    with simulate(seed=51) as world:
        check(world, kills_anchors=False)


def test_sleepers_of_a_zone_that_has_started_anew_wake_in_time() -> None:
    with simulate(seed=52) as world:
        check(world, kills_anchors=True)
