"""Time that a test puts forward, so that nothing has to wait for it."""

import asyncio


class LeapingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock can leap."""

    leapt_s = 0.0

    def time(self) -> float:
        return super().time() + self.leapt_s


def leap(seconds: float) -> None:
    """Put the running loop's clock forward."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, LeapingLoop)
    loop.leapt_s += seconds
