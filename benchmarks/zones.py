"""Zones on this machine: founded by the command line as a person would, their processes started by us."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.processes import SOJOURN, Process, command_output, ended_well
from sojourn.cli.home import Home
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import SojournError
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.core.protocol.exchange import AnchorStatus, AskStatus
from sojourn.core.zone.manifest import SignedManifest
from sojourn.runtime.zone_client import ZoneClient
from sojourn.transports.pool import ConnectionPool
from sojourn.transports.tls import TlsTransport

__all__ = ["ANCHORS", "LocalZone", "anchors_running", "answers", "connected", "found"]

ANCHORS: Final = 4


@dataclass(frozen=True, slots=True)
class LocalZone:
    """A zone that was founded for a benchmark."""

    home: Home
    name: str

    @property
    def signed(self) -> SignedManifest:
        """Its signed manifest."""
        return self.home.manifest(self.name)

    def anchor_folders(self) -> Sequence[Path]:
        """Return the folders of its anchors, by index."""
        return self.home.zone(self.name).anchors()

    def host_folders(self) -> Sequence[Path]:
        """Return the folders of its hosts, by index."""
        return self.home.zone(self.name).hosts()


def found(
    folder: Path, name: str, *, hosts: int = 1, slots: int = 4096, lease_ms: int = 2_000
) -> LocalZone:
    """Found a zone of four anchors under `folder`; nothing of it runs yet."""
    command = [*SOJOURN, "--home", str(folder), "zone", "init", name, "--local", str(ANCHORS)]
    options = {"--hosts": hosts, "--slots": slots, "--lease-ms": lease_ms}
    command_output([*command, *(str(part) for pair in options.items() for part in pair)])
    return LocalZone(Home(folder), name)


@contextmanager
def anchors_running(*zones: LocalZone) -> Iterator[list[Process]]:
    """Run the anchors of zones; they end with the block, and have to end well."""
    started: list[Process] = []
    with ended_well(started):
        for zone in zones:
            started += [start_process("anchor", folder) for folder in zone.anchor_folders()]
        yield started


def start_process(noun: str, folder: Path) -> Process:
    """Start the anchor or host in a folder."""
    command = [*SOJOURN, noun, "run", str(folder)]
    return Process(f"{noun} {folder.name}", command, folder / f"{noun}.log")


@asynccontextmanager
async def connected(pair: KeyPair, zone: bytes) -> AsyncIterator[ConnectionPool]:
    """Give connections to wherever, made under a host's key."""
    spiffe = f"spiffe://{cid_text(zone)}/host/{key_text(pair.public)}"
    pool = ConnectionPool(TlsTransport(pair.seed, spiffe))
    try:
        yield pool
    finally:
        await pool.close()


async def answers(client: ZoneClient, anchor: int) -> bool:
    """Tell whether an anchor answers now."""
    try:
        return isinstance(await client.call(anchor, AskStatus(), timeout_s=1), AnchorStatus)
    except SojournError:
        return False
