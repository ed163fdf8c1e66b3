"""A process that makes changes of files, for tests of the watch itself.

python -m tests.crash.commits DIRECTORY COMMITS [watched SOCKET]
"""

import asyncio
import os
import socket
import sys
from pathlib import Path

from sojourn.runtime.processes.files import write_atomically
from sojourn.runtime.store import Put
from sojourn.stores.sqlite import SqliteStore, writer


async def main(directory: Path, commits: int) -> None:
    """Commit rows one by one, copying the log now and then, and write a file whole."""
    writer.CHECKPOINT_PAGES = 40
    store = SqliteStore.open(directory / "store", create=True)
    for number in range(commits):
        await store.commit([Put("a", b"%d" % number, bytes(500))])
    store.close()
    write_atomically(directory / "file", b"data")
    os.link(directory / "file", directory / "link")
    os.truncate(directory / "link", 2)


if __name__ == "__main__":
    if sys.argv[3:]:
        from tests.crash import seccomp

        with socket.socket(fileno=int(sys.argv[3])) as far:
            socket.send_fds(far, [b"."], [seccomp.install()])
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
