"""The process of one agent: `python -m sojourn.substrates.local_child FD PARENT`.

FD is its end of a socket pair: frames both ways, each behind its length (4 bytes, big-endian). It ends when the
line is closed, and is killed by the kernel when its host, the process PARENT, dies.
"""

import asyncio
import os
import signal
import socket
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sojourn.runtime.agent_side.serving import Server

__all__ = ["HEADER", "main", "serve"]

HEADER: Final = struct.Struct(">I")
STEP_THREADS_MAX: Final = 8
_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Serve the line until it is closed."""
    _die_with(int(sys.argv[2]))
    serve(socket.socket(fileno=int(sys.argv[1])))


def serve(line: socket.socket) -> None:
    """Serve an agent's line until it is closed, and end the process."""
    asyncio.run(_serve(line))
    os._exit(0)  # a step may still be running in a thread; nobody waits for it any more


def _die_with(parent: int) -> None:
    """Be killed when the host dies, and end at once if it has died already."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 (Linux only)

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


async def _serve(line: socket.socket) -> None:
    def transmit(frame: bytes) -> None:
        try:
            line.sendall(HEADER.pack(len(frame)) + frame)
        except ConnectionError:
            os._exit(1)  # the host is gone

    pool = ThreadPoolExecutor(STEP_THREADS_MAX, thread_name_prefix="sojourn-step")
    server = Server(transmit, pool)
    reader = threading.Thread(target=_read, args=(line, server), daemon=True)
    reader.start()
    await server.serve()


def _read(line: socket.socket, server: Server) -> None:
    while (header := _receive(line, HEADER.size)) is not None:
        (length,) = HEADER.unpack(header)
        frame = _receive(line, length)
        if frame is None:
            break
        server.link.feed(frame)
    server.link.feed(None)


def _receive(line: socket.socket, size: int) -> bytes | None:
    """Return exactly so many bytes, or None at the end of the line."""
    parts = bytearray()
    while len(parts) < size:
        try:
            part = line.recv(size - len(parts))
        except ConnectionError:
            return None
        if not part:
            return None
        parts += part
    return bytes(parts)


if __name__ == "__main__":
    main()
