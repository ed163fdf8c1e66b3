"""A hamlet: a village with real hosts, all in one process, so that every anchor in turn can be lost or lie."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from sojourn.cli.founding import PERMIT_ALL
from sojourn.cli.home import Home
from sojourn.cli.launching import Officer, launch, prepare_launch
from sojourn.cli.reach import Reach
from sojourn.cli.showing.follow import Follower
from sojourn.core.agent.capabilities import Offer
from sojourn.host.server import Host
from sojourn.runtime.transport import Connection, PeerIdentity
from sojourn.substrates.local import LocalSubstrate
from sojourn.transports.loopback import LoopbackTransport
from sojourn.transports.pool import ConnectionPool
from tests.system.ground import AGENTS, Memory, agent_text, quiet
from tests.village import House, Village, key

__all__ = ["Hamlet", "hamlet"]

Serve = Callable[[Connection, bytes], Awaitable[bytes]]
LEASE_MS = 2_000


class Hamlet(Village):
    """Zones with hosts that run agents."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder / "agents"
        shutil.copytree(AGENTS, self._folder, ignore=shutil.ignore_patterns("__*"))
        (self._folder / "rules.cedar").write_text(PERMIT_ALL)
        self._home = Home(folder / "home")
        self._launched = 0
        self._running: list[Host] = []
        self.reach = Reach(self.pool(key("person")))
        self.substrate = LocalSubstrate()

    async def settle(self, house: House, index: int = 0) -> Host:
        """Start a host of a zone."""
        pair = house.hosts[index]
        identity = PeerIdentity(pair.public, "spiffe://test/host")

        async def on_notice(connection: Connection, body: bytes) -> None:
            await host.on_notice(connection, body)

        pool = ConnectionPool(LoopbackTransport(self.network, identity), on_notice=on_notice)
        offer = Offer(cpu_millis=1000, memory_mib=1024, slots=100)
        membership = house.memberships[pair.public]
        host = Host(house.signed, pair, membership, pool, self.substrate, lambda: (offer, 1000))
        await host.start()
        self._running.append(host)
        self._pools[digest_of_pool(pair.public)] = pool
        return host

    async def replace(self, house: House, index: int, serve: Serve) -> None:
        """Put in an anchor's place somebody with its keys and its store who answers with `serve`."""
        anchor = house.anchors[index]
        await anchor.listener.close()  # type: ignore[attr-defined]
        identity = PeerIdentity(anchor.identity.public, "spiffe://test/anchor")
        transport = LoopbackTransport(self.network, identity)
        listener = await transport.listen(house.name, 1000 + index, on_request=serve)
        anchor.listener = listener  # type: ignore[attr-defined]

    async def launch_file(self, house: House, entry: str, memory: Memory) -> Follower:
        """Launch an agent of `tests/system/agents`, and follow it."""
        self._launched += 1
        path = self._folder / f"{self._launched}.toml"
        path.write_text(agent_text(entry, memory))
        officer = Officer("issuer", self.issuer)
        prepared = prepare_launch(self._home, path, house.manifest, [officer])
        born = await launch(self.reach, house.manifest, prepared)
        manifests = {each.zone: each.manifest for each in self.houses.values()}
        return Follower(self.reach, manifests, born)

    async def end(self) -> None:
        """End hosts, anchors, connections and the substrate."""
        for host in self._running:
            await host.stop()
        houses = self.houses.values()
        closing = [self.close(house, index) for house in houses for index in list(house.anchors)]
        await asyncio.gather(*closing)  # a listener waits a while for those who are being answered
        for pool in self._pools.values():
            await pool.close()
        await self.substrate.close()
        await asyncio.sleep(0)


def digest_of_pool(host: bytes) -> bytes:
    """Return the name under which a host's own connections are kept, beside those made in its name."""
    return b"host" + host


@asynccontextmanager
async def hamlet(folder: Path, *names: str, n: int = 4) -> AsyncIterator[Hamlet]:
    """Run zones of anchors and one host each, that know each other."""
    with quiet():
        made = Hamlet(folder)
        try:
            for name in names:
                await made.open(made.found(name, n, lease_ms=LEASE_MS))
            made.introduce()
            for house in made.houses.values():
                await made.settle(house)
            yield made
        finally:
            await made.end()
