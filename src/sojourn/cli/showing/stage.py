"""The stage: the zones of a schedule, each with its anchors and hosts as processes on this machine."""

import asyncio
import itertools
import os
import signal
from pathlib import Path
from typing import Final

import msgspec

from sojourn.cli.founding import PERMIT_ALL, Plan, found_locally
from sojourn.cli.home import Home
from sojourn.cli.introducing import endorse, introduce
from sojourn.cli.processes import end, processes_of
from sojourn.cli.raising import raise_zone
from sojourn.cli.reach import Reach
from sojourn.core.base.errors import Failed, Misused
from sojourn.core.base.keys import KeyPair
from sojourn.core.zone.manifest import Attributes, ZoneManifest
from sojourn.demo.schedule import Schedule, ZonePlan
from sojourn.host.folder import HostFolder
from sojourn.host.offer import OfferSettings, default_settings, offer_text
from sojourn.runtime.processes import clock
from sojourn.runtime.processes.files import write_atomically
from sojourn.runtime.processes.pidfile import running

__all__ = ["Stage"]

REALM: Final = "demo"
LEASE_MS: Final = 3_000
"""Longer than the default: a dozen and more processes share two cores here."""
_TRUST_LEVEL: Final = 5
_YEAR_MS: Final = 365 * 24 * 3600 * 1000
_PACKAGES: Final = ("arch", "numpy", "threadpoolctl")
_UP_TIMEOUT_S: Final = 40.0


class Stage:
    """The zones of a schedule, under one home folder."""

    def __init__(self, home: Home, schedule: Schedule, reach: Reach) -> None:
        """Prepare; nothing is made before `found`."""
        self.home, self.schedule, self._reach = home, schedule, reach
        self.manifests: dict[str, ZoneManifest] = {}
        self._offers: dict[str, OfferSettings] = {}
        self._unpublished: set[str] = set()

    def found(self) -> None:
        """Found every zone: keys, manifests, offers at the list price."""
        for plan in self.schedule.zones:
            offer = self._first_offer(plan)
            attributes = Attributes(
                provider=plan.place.provider,
                region=plan.place.region,
                country=plan.place.country,
                jurisdiction=plan.place.jurisdictions,
                certifications=plan.certifications,
                accelerators=tuple(dict.fromkeys(plan.accelerators)),
                price_micros=offer.price_micros,
            )
            zone = Plan(
                name=plan.name,
                realm=REALM,
                attributes=attributes,
                policy=PERMIT_ALL,
                policy_actions=(),
                lease_ms=LEASE_MS,
                not_after_ms=clock.wall_ms() + _YEAR_MS,
            )
            signed = found_locally(
                self.home, zone, anchors=plan.anchors, hosts=plan.hosts, slots=offer.slots
            )
            self.manifests[plan.name] = signed.manifest
            self.offer(plan.name, offer)
        self.publish()

    def _first_offer(self, plan: ZonePlan) -> OfferSettings:
        if plan.place.price is None:
            problem = f"no price is known for {plan.name}"
            raise Misused(problem, remedy="Give the zone another region, or a site with a cost")
        offer = default_settings(
            slots=_slots(plan.capacity, plan.hosts), price_micros=plan.place.price.price_micros
        )
        return msgspec.structs.replace(
            offer,
            packages=_PACKAGES,
            accelerators=tuple(dict.fromkeys(plan.accelerators)),
            gpus=len(plan.accelerators),
        )

    async def raise_all(self) -> None:
        """Start every process; return when all zones answer and know each other, one from the next."""
        raised = (
            raise_zone(self._reach, self.home, plan.name, timeout_s=_UP_TIMEOUT_S)
            for plan in self.schedule.zones
        )
        await asyncio.gather(*raised)
        names = [plan.name for plan in self.schedule.zones]
        for name, other in itertools.pairwise(names):
            await introduce(self._reach, self.home, name, self.home.manifest(other))

    async def endorse_all(self, issuer: KeyPair) -> None:
        """Have the issuer endorse every zone, and tell one of them; gossip does the rest."""
        for plan in self.schedule.zones:
            await endorse(
                self._reach,
                self.home,
                plan.name,
                issuer,
                level=_TRUST_LEVEL,
                operations=(),
                until=None,
                tell=(self.schedule.home,),
            )

    def offer(self, zone: str, offer: OfferSettings) -> None:
        """Set what a zone's hosts offer from the next `publish` on."""
        self._offers[zone] = offer
        self._unpublished.add(zone)

    def publish(self) -> None:
        """Write the offers that changed; hosts read them by themselves."""
        for zone in self._unpublished:
            for path in self.home.zone(zone).hosts():
                write_atomically(path / "offer.toml", offer_text(self._offers[zone]).encode())
        self._unpublished.clear()

    def price(self, zone: str, price_micros: int) -> None:
        """Set a zone's price."""
        self.offer(zone, msgspec.structs.replace(self._offers[zone], price_micros=price_micros))

    def capacity(self, zone: str, agents: int) -> None:
        """Set how many agents a zone takes."""
        slots = _slots(agents, self.schedule.zone(zone).hosts)
        self.offer(zone, msgspec.structs.replace(self._offers[zone], slots=slots))

    def kill_anchor(self, zone: str, index: int) -> str:
        """SIGKILL an anchor. Raises `Failed` if it does not run."""
        return _kill(self.home.zone(zone).anchors()[index], f"anchor {index} of {zone}")

    def kill_host(self, zone: str, key: bytes) -> str:
        """SIGKILL the host with this key. Raises `Failed` if it does not run."""
        for path in self.home.zone(zone).hosts():
            if HostFolder(path).key().public == key:
                return _kill(path, f"host {path.name} of {zone}")
        raise Failed(f"{zone} has no host with that key")

    def logs_of(self, zone: str) -> list[Path]:
        """Return the logs of a zone's hosts."""
        return [path / "host.log" for path in self.home.zone(zone).hosts()]

    def lower(self) -> None:
        """End every process that still runs."""
        for name in self.home.own_zones():
            end(processes_of(self.home.zone(name)))


def _slots(agents: int, hosts: int) -> int:
    """Return each host's part of a zone's capacity: at least one slot each, or none at all."""
    return -(-agents // hosts) if agents else 0


def _kill(folder: Path, what: str) -> str:
    pid = running(folder)
    if pid is None:
        raise Failed(f"{what} does not run")
    os.kill(pid, signal.SIGKILL)
    return what
