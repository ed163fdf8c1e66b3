"""A process that commits until it is killed, and says on standard output what was acknowledged.

python committer.py DIRECTORY ROUND
"""

import asyncio
import os
import sys
from itertools import count
from pathlib import Path

from sojourn.core.base.digests import digest
from sojourn.runtime.store import Put, PutBlock
from sojourn.stores.sqlite import SqliteStore

WRITERS = 4


async def commit_for_ever(store: SqliteStore, writer: str) -> None:
    for number in count():
        name = f"{writer}.{number}".encode()
        block = PutBlock(digest(name * 500), "raw", name * 500)
        await store.commit(
            [Put("names", name, name * 20), Put("last", writer.encode(), name), block]
        )
        os.write(1, name + b"\n")


async def main() -> None:
    store = SqliteStore.open(Path(sys.argv[1]), create=True)
    writers = [f"{sys.argv[2]}.{number}" for number in range(WRITERS)]
    await asyncio.gather(*(commit_for_ever(store, writer) for writer in writers))


if __name__ == "__main__":
    asyncio.run(main())
