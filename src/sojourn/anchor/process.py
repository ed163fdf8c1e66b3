"""The main of an anchor process: from a folder to a voter that answers, and to a graceful end.

The order at the start: settings, keys and manifest (cheap, and wrong most often), the folder's lock, the store
with its rows verified, then the socket. At the end: no new connections, what is under way is answered,
duties stop, and the store closes last. Being ready shows in answering; there is no other signal.
"""

import time
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import structlog

from sojourn.anchor.folder import AnchorFolder
from sojourn.anchor.server import Anchor
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import StoreFailed
from sojourn.runtime.processes.garbage import kept_for_good
from sojourn.runtime.processes.pidfile import PidFile
from sojourn.runtime.processes.process import configure_log, serve_until_ended
from sojourn.runtime.store import Store
from sojourn.transports.pool import ConnectionPool
from sojourn.transports.tls import TlsTransport

__all__ = ["run_anchor"]

log = structlog.get_logger("anchor")


async def run_anchor(path: Path) -> None:
    """Run the anchor in a folder until SIGTERM or SIGINT ends it.

    Raises `Misused` or `Rejected`, in one line, for a folder, key, manifest, store or port that cannot be used,
    and `StoreFailed` if the store fails, then or later.
    """
    began = time.monotonic()
    folder = AnchorFolder(path)
    signed = folder.manifest()
    manifest = signed.manifest
    index = folder.index_in(manifest)
    configure_log(zone=manifest.name, process=f"anchor/{index}")
    identity, vote_key = folder.identity(), folder.vote_key()
    with ExitStack() as held:
        held.callback(PidFile(path).release)
        async with AsyncExitStack() as ending:
            store = folder.open_store()
            ending.callback(_close, store)
            spiffe = f"spiffe://{cid_text(manifest.zone_id)}/anchor/{index}"
            transport = TlsTransport(identity.seed, spiffe)
            pool = ConnectionPool(transport)
            ending.push_async_callback(pool.close)
            shares = folder.shares()
            keep = folder.settings.keep_versions
            told = (signed, index, identity, vote_key, store, pool)
            with kept_for_good():
                anchor = Anchor(*told, shares=shares, keep_versions=keep)
            ending.push_async_callback(anchor.stop)
            listener = await transport.listen(
                folder.listen.address, folder.listen.port, on_request=anchor.serve
            )
            ending.push_async_callback(listener.close)
            with kept_for_good():
                anchor.start()
            log.info("ready", after_ms=round((time.monotonic() - began) * 1000))
            failure = await serve_until_ended(anchor.failed)
        log.info("stopped")  # before the folder is let go of: who waits for that reads the log
    if failure is not None:
        raise failure


def _close(store: Store) -> None:
    """Close the store; one that failed before has said so already, and may not even close."""
    has_failed = store.failed is not None
    try:
        store.close()
    except StoreFailed:
        if not has_failed:
            raise
