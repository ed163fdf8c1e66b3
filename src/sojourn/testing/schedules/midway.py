"""Stopping a process in the middle of what it says: some have heard it, the others never will, or only later.

A decision is made by few messages in a few milliseconds. A crash or a pause at any time hardly ever falls among
them, and it is there that it matters: a lock shown to one anchor, an intent final that its own host has not heard of.
"""

from collections.abc import Callable
from typing import Final

from sojourn.core.protocol.binding import Heartbeat
from sojourn.core.protocol.messages import Propose, ShowCommit, ShowLock
from sojourn.testing.schedules.simulator import Ended, Node

__all__ = ["KINDS", "stop_midway"]

KINDS: Final[tuple[type, ...]] = (Propose, ShowLock, ShowLock, ShowCommit, Heartbeat)
"""The kinds of message among which a process may be stopped."""


def stop_midway(
    node: Node, kind: type, count: int, stop: Callable[[], None], is_over: Callable[[], bool]
) -> None:
    """Have `stop` called once the node has said a message of this kind `count` times, before it says another.

    Who crashes does nothing more; who stands still says the rest when it goes on. Nothing happens once `is_over`.
    """
    said, simulator = node.say, node.simulator
    left, stopped_ms = count, -1.0

    def say(target: Node, body: object, about: object = None) -> None:
        nonlocal left, stopped_ms
        if is_over() or 0 <= stopped_ms < simulator.now_ms:
            said(target, body, about)
            return
        if isinstance(body, kind) and stopped_ms < 0:
            if left == 0:
                stopped_ms = simulator.now_ms
                stop()
                if not node.is_up:
                    raise Ended
            left -= 1
        if stopped_ms < 0:
            said(target, body, about)
        else:
            node.after(0, lambda: said(target, body, about))

    node.say = say  # type: ignore[method-assign]
