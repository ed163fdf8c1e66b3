"""`zone up`: start what does not run, and wait until it answers; or leave things as they were.

Whoever starts a zone has all of it, or is told which process failed, and why, and has none of what was started.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

from sojourn.cli.home import Home
from sojourn.cli.output import note
from sojourn.cli.processes import Place, Started, end_started, processes_of, start
from sojourn.cli.reach import Reach
from sojourn.cli.standing import ZoneStanding, standing_of
from sojourn.core.base.errors import Failed
from sojourn.host.folder import HostFolder
from sojourn.runtime.processes.pidfile import running

__all__ = ["raise_zone"]

_LOOK_S: Final = 0.05
_REMEDY: Final = "Mend it; or start the others without it: --keep"


async def raise_zone(
    reach: Reach, home: Home, name: str, *, timeout_s: float, keep: bool = False
) -> ZoneStanding:
    """Start a zone's processes on this machine; return how it stands once all of them answer.

    What runs already is left alone. If not all answer, whatever was started here is ended again, also where this
    is interrupted; with `keep` it is left running, and all the others are waited for. Raises `Misused` if none of it
    belongs here, and `Failed` if a process ends at its start or does not answer in time: then what it logged last is
    shown.
    """
    home.manifest(name)  # a zone that is not signed is said to be so, before anything starts
    places = processes_of(home.zone(name))
    hosts = {
        HostFolder(place.folder).key().public.hex(): place
        for place in places
        if place.noun == "host"
    }
    started: list[Started] = []
    try:
        for place in places:
            if running(place.folder) is None:
                started.append(_start(place))  # noqa: PERF401 (what comes before one that fails is to be ended)
        answering = _Answering(home, name, places, hosts, started, keep=keep)
        return await answering.wait(reach, timeout_s)
    except BaseException as error:
        if keep and isinstance(error, Failed):
            raise
        ended = end_started(started)
        if isinstance(error, Failed) and ended:
            ran = "process that ran is" if ended == 1 else f"{ended} processes that ran are"
            problem = f"{error.problem}. Of what was started the {ran} ended again"
            raise Failed(problem, remedy=error.remedy) from None
        raise


def _start(place: Place) -> Started:
    try:
        return start(place)
    except OSError as error:
        problem = f"{place} cannot be started: {error.strerror or error}"
        raise Failed(problem, remedy=f"See its folder, {place.folder}") from None


class _Answering:
    """Waiting until all processes of a zone here answer. With `keep` those that have ended are waited for no more."""

    def __init__(
        self,
        home: Home,
        name: str,
        places: Sequence[Place],
        hosts: Mapping[str, Place],
        started: Sequence[Started],
        *,
        keep: bool,
    ) -> None:
        self._home, self._name, self._keep = home, name, keep
        self._places, self._hosts, self._started = places, hosts, started

    async def wait(self, reach: Reach, timeout_s: float) -> ZoneStanding:
        """Wait, and return how the zone stands. Raises `Failed`."""
        deadline = time.monotonic() + timeout_s
        while True:
            standing = await standing_of(reach, self._home, self._name)
            ended = {each.place: each.problem for each in self._started if each.problem}
            if ended and not self._keep:
                raise Failed("; ".join(ended.values()), remedy=_REMEDY)
            silent = [place for place in self._silent(standing) if place not in ended]
            if not silent and ended:
                raise Failed("; ".join(ended.values()), remedy="All others answer")
            if not silent:
                return standing
            if time.monotonic() > deadline:
                self._give_up(silent, timeout_s)
            await asyncio.sleep(_LOOK_S)

    def _silent(self, standing: ZoneStanding) -> list[Place]:
        """Return what should answer and does not yet; hosts count when the anchors have their envelopes.

        Those may be of an earlier life: a host that was killed is offered until they are over.
        """
        mute = {anchor.index for anchor in standing.anchors if not anchor.answers}
        anchors = [p for p in self._places if p.noun == "anchor" and int(p.folder.name) in mute]
        offering = {host.host for host in standing.hosts}
        hosts = [
            place
            for key, place in self._hosts.items()
            if key not in offering or running(place.folder) is None
        ]
        return anchors or hosts

    def _give_up(self, silent: Sequence[Place], timeout_s: float) -> NoReturn:
        """Show what the silent ones logged last, and raise `Failed`."""
        for each in self._started:
            if each.place in silent:
                for line in each.tail():
                    note(line)
        named = ", ".join(map(str, silent))
        problem = f"{named} of {self._name} did not answer within {timeout_s:g} s"
        raise Failed(problem, remedy=f"See the logs in {self._home.zone(self._name).path}")
