"""What anchors and hosts share: they end when they are told to, and look for garbage rarely."""

import asyncio
import gc
import os
import signal

from sojourn.runtime.processes.process import serve_until_ended


def test_a_process_that_serves_looks_for_garbage_rarely_and_ends_when_it_is_told() -> None:
    before = gc.get_threshold()

    async def play() -> None:
        serving = asyncio.ensure_future(serve_until_ended())
        await asyncio.sleep(0)
        assert gc.get_threshold()[0] > 10 * before[0]
        os.kill(os.getpid(), signal.SIGTERM)
        assert await serving is None

    try:
        asyncio.run(asyncio.wait_for(play(), 10))
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
