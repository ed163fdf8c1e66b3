"""The agents of one rehearsal, in one virtual time: the one that is rehearsed, and all that descend from it.

    place ─► a host, while one lives there ─► all agents of the family that execute there

So a kill ends what all of them do there, and each goes on with another host. Children are run as production runs
them: by an execution of their own, from the genesis that their parent's execution made.
"""

import asyncio
import gc
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

from sojourn.core.base.digests import ZERO
from sojourn.core.base.errors import Denied, Misused, Unreachable
from sojourn.core.policy.request import RequestContext
from sojourn.core.protocol.querying import DISCLOSE, Query
from sojourn.host.queues import Queues
from sojourn.runtime.host_side.consulting import Consultation, consult
from sojourn.runtime.host_side.execution import Execution
from sojourn.runtime.host_side.retracing import retrace
from sojourn.runtime.ports import Message
from sojourn.testing.clocks import EPOCH_MS
from sojourn.testing.ledgers import Ledger
from sojourn.testing.life import Life, Machine
from sojourn.testing.rehearsals.custody import Common, Decided, RehearsedCustody
from sojourn.testing.rehearsals.own_code import files_of
from sojourn.testing.rehearsals.places import Place
from sojourn.testing.rehearsals.unawaited import noting_unawaited
from sojourn.testing.substrate import Load, SimulatedSubstrate
from sojourn.testing.timeline import NS_PER_MS, Timeline
from sojourn.testing.unmet import Unmet

if TYPE_CHECKING:
    from sojourn.testing.rehearsals.agent import Rehearsed

__all__ = ["FOR_EVER_NS", "Family", "Host"]

POINTS_MAX: Final = 200_000
"""Points in one rehearsal. An agent without end is rehearsed for a while: `run(seconds=...)`."""
FOR_EVER_NS: Final = 10**21
_TURNS: Final = 2_000
"""Turns of loops after which garbage is looked for."""


class Host:
    """A host of a place, while it lives, and the agents that it executes."""

    def __init__(self, family: "Family", zone: bytes, machine: Machine) -> None:
        """Begin to live."""
        self.zone = zone
        self.life = Life(machine, family.complain)
        self.substrate = SimulatedSubstrate(self.life, family.ledger, family.load)
        self.queues = Queues(lambda: family.common.places[zone].queues)
        self.tasks: dict[Rehearsed, asyncio.Task[None] | None] = {}


class Family:
    """Who is rehearsed, on which hosts, and what happens when."""

    def __init__(
        self, common: Common, load: Load, source: Mapping[str, bytes], entry: str, seed: int
    ) -> None:
        """Begin with nobody."""
        self.common, self.load, self.source, self.entry = common, load, source, entry
        self.ledger = Ledger()
        self.timeline = Timeline(Random(f"{seed}/rehearsal"))  # noqa: S311 (the same in every run)
        self.agents: list[Rehearsed] = []
        self.has_begun = False
        self.error: BaseException | None = None
        self.kills: frozenset[int] = frozenset()
        self.moves: frozenset[int] = frozenset()
        self._seed = seed
        self._machines: dict[bytes, Machine] = {}
        self._hosts: dict[bytes, Host] = {}
        self._complaints: list[str] = []
        self._files = files_of(load(entry, source))
        common.consult = self._consult
        common.now_ms = self.wall_ms

    def disturb(self, kill_at: int | Iterable[int], move_at: int | Iterable[int]) -> None:
        """Say at which points a host is killed, and from which an agent moves on."""
        self.kills, self.moves = _points(kill_at), _points(move_at)

    def _note_error(self, error: Exception) -> None:
        self.error = self.error or error

    def complain(self, what: str, error: BaseException | None) -> None:
        """Take note of what nobody in a process caught."""
        if "never retrieved" not in what:
            self._complaints.append(f"{what}: {error!r}")

    def wall_ms(self) -> int:
        """Return virtual wall time, in milliseconds since 1970."""
        return EPOCH_MS + self.timeline.now_ns // NS_PER_MS

    # --- time -----------------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether nobody goes on: all have ended, or have nothing left to go on with."""
        return all(agent.is_over for agent in self.agents)

    def pass_time(self, is_enough: Callable[[], bool], until_ns: int) -> bool:
        """Let things happen until it is enough, all have ended or nothing is left to happen; tell if enough."""
        if not self.has_begun:
            self.has_begun = True
            self.agents[0].wake()
        points = self.common.points
        before = len(points)

        def is_over(collect: Callable[[], None]) -> bool:
            collect()
            stopped = self.error is not None or self.is_over or self.timeline.is_still
            return stopped or is_enough() or len(points) - before > POINTS_MAX

        try:
            with noting_unawaited(self._files, self._note_error), _collecting_between() as collect:
                self.timeline.run(partial(is_over, collect), until_ns)
        finally:
            self.timeline.crew.close()
        if self.error is not None:
            for host in list(self._hosts.values()):
                self._end(host)  # nothing goes on behind it
            raise self.error
        if len(points) - before > POINTS_MAX:
            who = [each.name or "the agent" for each in self.agents if not each.is_over]
            problem = f"{', '.join(who)} came through {POINTS_MAX} points, and no end"
            raise Unmet(f"{problem}: run(seconds=...) rehearses a part of it")
        if self._complaints:
            raise AssertionError("; ".join(self._complaints))
        return is_enough()

    # --- hosts ----------------------------------------------------------------------------------------

    def begin(self, agent: "Rehearsed") -> None:
        """Let a host of the place where an agent is execute it."""
        zone = agent.record.custody.zone
        if zone not in self._hosts:
            name = self.common.places[zone].name
            machine = Machine(f"host of {name}", self.timeline, f"{self._seed}")
            self._hosts[zone] = Host(self, zone, self._machines.setdefault(zone, machine))
        host = agent.host = self._hosts[zone]
        host.tasks[agent] = None
        host.life.post(self._begin_in, host, agent)

    def _begin_in(self, host: Host, agent: "Rehearsed") -> None:
        host.tasks[agent] = host.life.loop.create_task(self._execute(host, agent))

    async def _execute(self, host: Host, agent: "Rehearsed") -> None:
        is_done = False
        try:
            self._check_confined(agent, self.common.places[host.zone])
            custody = RehearsedCustody(
                agent.decided, host.queues, partial(self._pass_point, host, agent)
            )
            entry = agent.record.capabilities.entry
            channel = await host.substrate.start(self.source, entry, "inside", log=custody.log)
            custodian = await self.common.keys.opened(custody)
            ending = await Execution(custodian, channel, arguments=agent.given).run()
            is_done = True
            self._leave(host, agent)
            agent.take(ending)
        except Exception as error:
            if is_done or not host.life.has_ended:  # what a killed host is unwound with is nothing
                self.error = error

    def _check_confined(self, agent: "Rehearsed", place: Place) -> None:
        if agent.record.capabilities.requires.confined and not place.offer.confines:
            who = agent.name or "the agent"
            problem = f"{who} requires that its code is confined, and no host in {place.name} does"
            raise Misused(
                problem, remedy=f"Give Place({place.name!r}, offer=...) an offer that confines"
            )

    def _leave(self, host: Host, agent: "Rehearsed") -> None:
        """Take an agent off a host; one that has nobody left stops, and what code kept in globals is lost."""
        agent.host = None
        host.tasks.pop(agent, None)
        if not host.tasks:
            self._end(host)

    def _end(self, host: Host) -> None:
        host.life.end()
        self._hosts.pop(host.zone, None)

    async def _pass_point(self, host: Host, agent: "Rehearsed", point: int) -> None:
        if point not in self.moves and point not in self.kills:
            return
        if point in self.moves:
            await self._move(agent)
        self._kill(host)
        await host.life.loop.create_future()  # it is never gone on with

    def _kill(self, host: Host) -> None:
        """End a host; whoever executed there goes on with another."""
        self._end(host)
        for each in host.tasks:
            each.host = None
            self.timeline.after(0, each.wake)

    def interrupt(self, agent: "Rehearsed") -> None:
        """Let an agent begin again from what is final, if it executes."""
        if agent.host is not None:
            self._kill(agent.host)

    async def _move(self, agent: "Rehearsed") -> None:
        """Move an agent to the next of the places; not from memory that its code has used and that would stay behind.

        No agent leaves what a resume needs (protocol §10.10): whether it does is found by a replay.
        """
        zones, decided = list(self.common.places), agent.decided
        here = zones.index(agent.record.custody.zone)
        onward = self.common.places[zones[(here + 1) % len(zones)]]
        if decided.staying(onward) and decided.record.memory.journal != ZERO:
            tried = decided.tried()
            tried.move(onward)
            custody = RehearsedCustody(tried, Queues(), _nowhere)
            form = self.load(agent.record.capabilities.entry, self.source)
            try:
                found = await retrace(await self.common.keys.opened(custody), form)
            except (Denied, Unreachable):
                return
            if found.parted:
                return
        decided.move(onward)

    async def _consult(self, asked: Decided, query: Query, caller: Message) -> Consultation:
        """Have a query run on an agent's newest memory, on the host of who asks."""
        place, rules = asked.place, self.common.rules
        if rules is not None:
            context = RequestContext(step=query.name, counterpart=caller.sender)
            rules.check(DISCLOSE, context, asked.record, place, self.wall_ms())
        place.check_permitted(DISCLOSE)
        host = next(each for each in self._hosts.values() if each.life.loop is _running())
        channel = await host.substrate.start(
            self.source, asked.record.capabilities.entry, "inside", log=lambda *_: None
        )
        try:
            reader = RehearsedCustody(asked, host.queues, _nowhere)
            return await consult(reader, channel, query.name, query.arguments, caller)
        finally:
            await channel.close()


@contextmanager
def _collecting_between() -> Iterator[Callable[[], None]]:
    """Leave cycles of garbage to when no loop runs: what is asked for between turns, now and then collects them.

    A rehearsal that a test has left in the midst is unwound by the collector. In the midst of another's loop that
    would wait there.
    """
    was_enabled, turns = gc.isenabled(), itertools.count(1)

    def collect() -> None:
        if next(turns) % _TURNS == 0:
            gc.collect(1)

    gc.disable()
    try:
        yield collect
    finally:
        if was_enabled:
            gc.enable()


def _running() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


async def _nowhere(_point: int) -> None:
    """Pass no point: a query decides nothing."""


def _points(at: int | Iterable[int]) -> frozenset[int]:
    return frozenset((at,) if isinstance(at, int) else at)
