"""The main of a host process: from a folder to a host that takes work, and to a graceful end.

It keeps nothing: at the end agents stop where they are, their leases run out, and another host of the zone, or
this one when it is back, binds them again.
"""

import asyncio
import sys
import time
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import structlog

from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Misused
from sojourn.core.base.keys import key_text
from sojourn.host.endpoints import ENDPOINTS_NAME, endpoints_in
from sojourn.host.folder import HostFolder
from sojourn.host.provider import SECRETS_NAME, SecretProvider, secrets_in
from sojourn.host.queues import Queues
from sojourn.host.server import Host
from sojourn.models.relayed import ModelCaller
from sojourn.runtime.processes.pidfile import PidFile
from sojourn.runtime.processes.process import configure_log, serve_until_ended
from sojourn.runtime.secrecy import RedactedStream
from sojourn.runtime.transport import Connection
from sojourn.substrates.confinement.confiner import Confiner
from sojourn.substrates.local import LocalSubstrate
from sojourn.transports.pool import ConnectionPool
from sojourn.transports.tls import TlsTransport

__all__ = ["run_host"]

log = structlog.get_logger("host")


async def run_host(path: Path) -> None:
    """Run the host in a folder until SIGTERM or SIGINT ends it.

    Raises `Misused` or `Rejected`, in one line, for a folder, key, offer, manifest or membership that cannot be
    used.
    """
    began = time.monotonic()
    folder = HostFolder(path)
    signed, membership = folder.enrolment()
    zone, key, offer = signed.manifest, folder.key(), folder.offer()
    name = key_text(key.public)
    secrets = path / SECRETS_NAME
    secrets_in(
        secrets
    )  # what is wrong in there is said now, and not to the first agent that needs it
    provider = SecretProvider(lambda: secrets_in(secrets))
    models = path / ENDPOINTS_NAME
    endpoints_in(models)
    sys.stdout, sys.stderr = (RedactedStream(s, provider.secrecy) for s in (sys.stdout, sys.stderr))
    configure_log(zone=zone.name, process=f"host/{name}")
    with ExitStack() as held:
        held.callback(PidFile(path).release)
        async with AsyncExitStack() as ending:
            # Most agents are not confined, and need not wait for it: after a kill they go on that much sooner.
            confiner = asyncio.ensure_future(asyncio.to_thread(_confiner))
            substrate = LocalSubstrate(confiner=confiner)
            ending.push_async_callback(substrate.close)
            transport = TlsTransport(key.seed, f"spiffe://{cid_text(zone.zone_id)}/host/{name}")

            async def on_notice(connection: Connection, body: bytes) -> None:
                await host.on_notice(connection, body)

            pool = ConnectionPool(transport, on_notice=on_notice)
            ending.push_async_callback(pool.close)
            host = Host(
                *(signed, key, membership, pool, substrate, offer, provider),
                queues=Queues(offer.queues),
                caller=ModelCaller(lambda: endpoints_in(models)),
            )
            await host.start()
            ending.push_async_callback(host.stop)
            log.info("ready", after_ms=round((time.monotonic() - began) * 1000))
            await serve_until_ended()
        log.info("stopped")  # before the folder is let go of: who waits for that reads the log


def _confiner() -> Confiner | None:
    """Return what confines agents' code here, or say in the log, in one line, why nothing does."""
    try:
        return Confiner()
    except Misused as error:
        log.warning("confines nothing", problem=str(error))
        return None
