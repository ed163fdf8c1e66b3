"""`zone up`: start what does not run, and wait until it answers."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from sojourn.cli.home import Home
from sojourn.cli.processes import Started, processes_of, start
from sojourn.cli.reach import Reach
from sojourn.cli.standing import ZoneStanding, standing_of
from sojourn.core.base.errors import Failed
from sojourn.host.folder import HostFolder

__all__ = ["raise_zone"]

_LOOK_S: Final = 0.05
_SETTLE_S: Final = 10.0


async def raise_zone(reach: Reach, home: Home, name: str, *, timeout_s: float) -> ZoneStanding:
    """Start a zone's processes on this machine; return how it stands once all of them answer.

    What runs already is left alone. Raises `Misused` if none of it belongs here, and `Failed` if a process
    ends at its start or does not answer in time.
    """
    home.manifest(name)  # a zone that is not signed is said to be so, before anything starts
    places = processes_of(home.zone(name))
    started = start(places)
    keys = {HostFolder(p.folder).key().public.hex() for p in places if p.noun == "host"}
    indexes = {int(place.folder.name) for place in places if place.noun == "anchor"}
    deadline = time.monotonic() + timeout_s
    while True:
        standing = await standing_of(reach, home, name)
        silent = _silent(standing, indexes, keys)
        if not silent:
            return standing
        await _check(started)
        if time.monotonic() > deadline:
            problem = f"{', '.join(silent)} of {name} did not answer within {timeout_s:g} s"
            raise Failed(problem, remedy=f"See the logs in {home.zone(name).path}")
        await asyncio.sleep(_LOOK_S)


def _silent(standing: ZoneStanding, indexes: set[int], hosts: set[str]) -> list[str]:
    """Return what should answer and does not yet; hosts count when the anchors have their envelopes."""
    anchors = [a for a in standing.anchors if a.index in indexes and not a.answers]
    if anchors:
        return [f"anchor {anchor.index}" for anchor in anchors]
    lacking = hosts - {host.host for host in standing.hosts}
    return [f"{len(lacking)} of {len(hosts)} hosts"] if lacking else []


async def _check(started: Sequence[Started]) -> None:
    try:
        for each in started:
            each.check()
    except Failed:
        await _settle(started)
        raise


async def _settle(started: Sequence[Started]) -> None:
    """Wait, but not for long, until each of them holds its folder or has ended: `zone down` finds it by that."""
    deadline = time.monotonic() + _SETTLE_S
    while any(each.is_starting for each in started) and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_S)
