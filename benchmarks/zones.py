"""Zones on this machine: founded by the command line as a person would, their processes started by us."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.processes import SOJOURN, Process, command_output, ended_well
from sojourn.cli.home import Home
from sojourn.cli.reach import reaching
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import SojournError
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.core.protocol.exchange import AnchorStatus, AskStatus
from sojourn.core.zone.manifest import SignedManifest
from sojourn.runtime.clients.zone_client import ZoneClient
from sojourn.transports.pool import ConnectionPool
from sojourn.transports.tls import TlsTransport

__all__ = [
    "ANCHORS",
    "ISSUER",
    "LocalZone",
    "anchors_running",
    "answers",
    "connected",
    "found",
    "hosts_running",
    "make_issuer",
    "sojourn",
    "start_process",
]

ANCHORS: Final = 4
ISSUER: Final = "bench"
"""Whose key signs launches and endorses zones."""

_START_TIMEOUT_S: Final = 300.0
"""A zone of a hundred thousand agents, on a busy machine."""
_LOOK_S: Final = 0.05


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


def sojourn(home: Path, *arguments: object) -> str:
    """Return what a command of `sojourn` prints. Raises `ProcessFailed`."""
    return command_output([*SOJOURN, "--home", str(home), *map(str, arguments)])


def make_issuer(home: Path) -> None:
    """Make the issuer's key."""
    sojourn(home, "keys", "new", ISSUER)


def found(
    folder: Path, name: str, *, anchors: int = ANCHORS, hosts: int = 1, lease_ms: int = 2_000
) -> LocalZone:
    """Found a zone under `folder`; nothing of it runs yet."""
    sojourn(
        *(folder, "zone", "init", name, "--local", anchors, "--jurisdiction", "EU"),
        *("--hosts", hosts, "--slots", 4096, "--lease-ms", lease_ms),
    )
    return LocalZone(Home(folder), name)


@contextmanager
def anchors_running(*zones: LocalZone) -> Iterator[list[Process]]:
    """Run the anchors of zones, which answer when the block begins and have to end well after it."""
    started: list[Process] = []
    with ended_well(started):
        for zone in zones:
            started += [start_process("anchor", folder) for folder in zone.anchor_folders()]
        asyncio.run(_all_answer(zones, started))
        yield started


@contextmanager
def hosts_running(*zones: LocalZone, window: int | None = None) -> Iterator[list[Process]]:
    """Run the hosts of zones until the block ends; they have to end well. The issuer endorses the zones.

    `window`, if given, is how many records agents run ahead of finality, in place of the protocol's number.
    """
    told = [part for zone in zones for part in ("--tell", zone.name)]
    for zone in zones:
        endorse = ("zone", "endorse", zone.name, "--issuer", ISSUER, "--level", 5)
        sojourn(zone.home.path, *endorse, *told)
    started: list[Process] = []
    with ended_well(started):
        for zone in zones:
            started += [start_process("host", each, window) for each in zone.host_folders()]
        yield started


_WITH_WINDOW: Final = """\
from sojourn.core.base import limits
limits.RUN_AHEAD_RECORDS = {window}
from sojourn.cli import main
main()
"""


def start_process(noun: str, folder: Path, window: int | None = None) -> Process:
    """Start the anchor or host in a folder."""
    program: Sequence[str] = SOJOURN
    if window is not None:
        program = (*SOJOURN[:2], "-c", _WITH_WINDOW.format(window=window))
    named = f"{noun} {folder.name} of {folder.parent.parent.name}"
    return Process(named, [*program, noun, "run", str(folder)], folder / f"{noun}.log")


async def _all_answer(zones: Sequence[LocalZone], started: Sequence[Process]) -> None:
    async with reaching() as reach, asyncio.timeout(_START_TIMEOUT_S):
        for zone in zones:
            await _zone_answers(reach.zone(zone.signed.manifest), started)


async def _zone_answers(client: ZoneClient, started: Sequence[Process]) -> None:
    for anchor in range(client.n):
        while not await answers(client, anchor):
            for process in started:
                process.check()
            await asyncio.sleep(_LOOK_S)


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
