"""What the mains of anchors and hosts share: the log, the signals that end them, and how they end.

A process says what it does on its standard error: for a person if that is a terminal, else one JSON object a
line. Whoever starts it in the background sends that to a file.
"""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Awaitable
from typing import Any, Final

import msgspec
import structlog

from sojourn.core.base.errors import StoreFailed

__all__ = ["configure_log", "serve_until_ended"]

_ENDING: Final = (signal.SIGTERM, signal.SIGINT)
_GARBAGE: Final = (20_000, 20, 20)
"""How much may be made before garbage is looked for. Little of ours is in cycles; Python's own 700 cost a twelfth."""

log = structlog.get_logger("process")


def configure_log(**facts: str) -> None:
    """Send this process's log to its standard error; `facts`, such as the zone, stand on every line."""
    to_person = sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level if to_person else _add_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if to_person else "iso", utc=not to_person),
    ]
    last: list[Any] = (
        [structlog.dev.ConsoleRenderer()]
        if to_person
        else [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_one_line),
        ]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.clear_contextvars()
    if not to_person:
        structlog.contextvars.bind_contextvars(**facts)


def _add_level(_logger: object, method: str, event: dict[str, Any]) -> dict[str, Any]:
    event["level"] = method
    return event


def _one_line(event: Any, **_settings: object) -> str:
    """Return an event as JSON; what JSON cannot say is said as text."""
    return msgspec.json.encode(event, enc_hook=str).decode()


async def serve_until_ended(failed: Awaitable[StoreFailed] | None = None) -> StoreFailed | None:
    """Wait for a signal that ends this process, or for its store, if it has one, to fail; return that failure."""
    gc.freeze()  # what there is by now stays
    gc.set_threshold(*_GARBAGE)
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    failing = asyncio.ensure_future(failed) if failed is not None else loop.create_future()
    for number in _ENDING:
        loop.add_signal_handler(number, _end, ended, number.name)
    try:
        await asyncio.wait({ended, failing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for number in _ENDING:
            loop.remove_signal_handler(number)
    if failing.done():
        log.critical("stopping", problem=str(failing.result()))
        return failing.result()
    log.info("stopping", signal=ended.result())
    return None


def _end(ended: "asyncio.Future[str]", name: str) -> None:
    if not ended.done():
        ended.set_result(name)
