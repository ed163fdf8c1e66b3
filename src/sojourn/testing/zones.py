"""A zone of a simulated world: its anchors and its hosts."""

from collections.abc import Sequence
from typing import TypeAlias

from sojourn.core.zone.manifest import ZoneManifest
from sojourn.testing.founding import FoundedZone
from sojourn.testing.processes import AnchorProcess, HostProcess, Process

__all__ = ["Places", "Zone", "machines"]


class Zone:
    """One zone."""

    def __init__(self, founded: FoundedZone, *, introduced: bool = True) -> None:
        """Be this zone; its processes are added by the world. Tell whether it is introduced to all others."""
        self.founded, self.introduced = founded, introduced
        self.anchors: list[AnchorProcess] = []
        self.hosts: list[HostProcess] = []

    def __repr__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """What it is called."""
        return self.manifest.name

    @property
    def manifest(self) -> ZoneManifest:
        """Its manifest."""
        return self.founded.signed.manifest

    @property
    def id(self) -> bytes:
        """Its identifier."""
        return self.manifest.zone_id

    @property
    def processes(self) -> list[Process]:
        """All its processes."""
        return [*self.anchors, *self.hosts]

    @property
    def price(self) -> float:
        """What its first host asks for an hour, in currency units."""
        return self.hosts[0].price_micros / 1e6

    @price.setter
    def price(self, price: float) -> None:
        for host in self.hosts:
            host.price_micros = round(price * 1e6)

    def kill(self) -> None:
        """Kill every process."""
        for process in self.processes:
            process.kill()

    def start(self) -> None:
        """Start every process that does not run."""
        for process in self.processes:
            process.start()


Places: TypeAlias = "Zone | Process | Sequence[Zone | Process]"
"""What can be cut off: a machine, all machines of a zone, or several of these."""


def machines(of: Places) -> list[Process]:
    """Return the machines that are meant."""
    if isinstance(of, Zone):
        return of.processes
    if isinstance(of, Process):
        return [of]
    return [machine for each in of for machine in machines(each)]
