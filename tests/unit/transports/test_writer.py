"""The writer: coalescing, back-pressure, and peers that do not read."""

import asyncio

from sojourn.transports.frames import NOTICE, header
from sojourn.transports.writer import FrameWriter


class Sink:
    """A `ByteStream` that takes all that is written."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def pause_reading(self) -> None:
        raise AssertionError

    resume_reading = close = abort = pause_reading


def test_frames_of_one_turn_of_the_loop_are_one_write() -> None:
    async def main() -> None:
        sink = Sink()
        writer = FrameWriter(sink)
        for body in (b"a", b"", b"c"):
            writer.put(NOTICE, 0, body)
        assert [] == sink.writes
        await asyncio.sleep(0)
        frames = (header(NOTICE, 0, len(body)) + body for body in (b"a", b"", b"c"))
        assert [b"".join(frames)] == sink.writes

    asyncio.run(main())


def test_one_sender_that_fills_the_stream_again_holds_the_next_one_back() -> None:
    went: list[int] = []

    async def main() -> None:
        writer = FrameWriter(Sink())
        writer.hold_back()

        async def send(number: int) -> None:
            await writer.wait_writable()
            writer.hold_back()
            went.append(number)

        senders = [asyncio.create_task(send(number)) for number in range(3)]
        for expected in ([0], [0, 1], [0, 1, 2]):
            await asyncio.sleep(0)
            writer.let_go()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert expected == went
        await asyncio.gather(*senders)

    asyncio.run(main())


def test_nothing_is_written_after_the_end_and_nobody_waits() -> None:
    async def main() -> None:
        sink = Sink()
        writer = FrameWriter(sink)
        writer.put(NOTICE, 0, b"queued")
        writer.hold_back()
        writer.end()
        writer.put(NOTICE, 0, b"late")
        writer.hold_back()
        await writer.wait_writable()
        assert [] == sink.writes

    asyncio.run(main())
