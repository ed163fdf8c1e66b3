"""The connections that one listener serves: how many there may be, and how they end."""

import asyncio

from sojourn.transports.connection import FramedConnection

__all__ = ["Served"]


class Served:
    """The connections of a listener, each kept until it is gone and its handlers have ended."""

    def __init__(self) -> None:
        """Begin with none."""
        self._connections: dict[FramedConnection, None] = {}  # in the order they came

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: FramedConnection) -> None:
        """Keep a connection until it has settled."""
        self._connections[connection] = None
        connection.settled.add_done_callback(lambda _: self._connections.pop(connection, None))

    async def close(self) -> None:
        """Close all of them gracefully, at the same time."""
        await asyncio.gather(*(connection.close() for connection in self._connections))
