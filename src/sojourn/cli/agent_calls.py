"""`sojourn agent signal` and `update`: a person calls a method of an agent that runs."""

import asyncio
import json
import secrets
import time
from typing import Any, Final

import click
import msgspec

from sojourn.cli.finding import find_named
from sojourn.cli.home import Home
from sojourn.cli.journal_lines import newest_records, spoken
from sojourn.cli.messaging import Sent, send
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import clean, emit, say
from sojourn.cli.reach import Reach, perform, reaching
from sojourn.cli.remote_blocks import RemoteBlocks
from sojourn.core.base.encoding import encode, encode_block
from sojourn.core.base.errors import Misused, Rejected, Unreachable
from sojourn.core.protocol.calling import Call
from sojourn.runtime.agent_side.handling import line_of, result_of
from sojourn.runtime.processes.keyfile import Purpose
from sojourn.runtime.records import Line
from sojourn.runtime.typed import to_plain

__all__ = ["arguments_in", "check_timeout", "method_in", "signal", "update"]

_LOOK_S: Final = 0.5
_LOOKED_THROUGH_MAX: Final = 1024
"""Records of the journal, the newest first, among which the answer is."""


class Updated(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an update."""

    agent: str
    update: str
    result: Any


@click.command()
@click.argument("name")
@click.argument("method")
@click.argument("arguments", nargs=-1)
@click.option("--key", help="The person's key that signs it.  [default: the only one here]")
@json_option
@with_home
def signal(
    home: Home,
    *,
    name: str,
    method: str,
    arguments: tuple[str, ...],
    key: str | None,
    as_json: bool,
) -> None:
    """Call METHOD, an @signal of the agent NAME, with ARGUMENTS, each JSON.

    It is a message: it waits for the agent, wherever that is, and is taken once.

    Example:
      sojourn agent signal risk-desk pause '"audit"'
    """
    call = _call("signal", method, arguments)
    sender = home.key(key, Purpose.PERSON)

    async def work() -> Sent:
        async with reaching() as reach:
            return await send(reach, home, name, sender, to_plain(call, what="a signal"))

    emit(perform(work()), as_json, lambda sent: say(f"{method} waits for {name} in {sent.zone}"))


@click.command()
@click.argument("name")
@click.argument("method")
@click.argument("arguments", nargs=-1)
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait for the result.")
@click.option("--key", help="The person's key that signs it.  [default: the only one here]")
@json_option
@with_home
def update(
    home: Home,
    *,
    name: str,
    method: str,
    arguments: tuple[str, ...],
    timeout: float,
    key: str | None,
    as_json: bool,
) -> None:
    """Call METHOD, an @update of the agent NAME, with ARGUMENTS, each JSON, and show its result.

    The result is read from the agent's journal, where it is final. What the agent refuses is an error.

    Example:
      sojourn agent update risk-desk set-limit 5000
    """
    call = _call("update", method, arguments)
    sender = home.key(key, Purpose.PERSON)
    check_timeout(timeout, such_as=60)

    async def work() -> Updated:
        async with reaching() as reach:
            await send(reach, home, name, sender, to_plain(call, what="an update"))
            return await _result(reach, home, name, call, time.monotonic() + timeout)

    emit(perform(work()), as_json, lambda done: say(clean(json.dumps(done.result))))


def _call(kind: Any, method: str, arguments: tuple[str, ...]) -> Call:
    """Return the call that a command makes. Raises `Misused` for arguments that are no JSON."""
    return Call(
        call=kind,
        name=method_in(method, "method"),
        arguments=(arguments_in(arguments), {}),
        id=secrets.token_hex(16),
    )


def method_in(method: str, what: str) -> str:
    """Return the name of a method as code has it; on the command line it may have dashes. Raises `Misused`."""
    if not 0 < len(method) <= 128:
        raise Misused(f"a {what} is called {method[:80]!r}", remedy="Name one of the agent's")
    return method.replace("-", "_")


def check_timeout(timeout: float, *, such_as: int) -> None:
    """Raise `Misused` for no time to wait."""
    if not timeout > 0:
        remedy = f"Give some seconds, such as {such_as}"
        raise Misused(f"--timeout {timeout:g} is no time", remedy=remedy)


def arguments_in(arguments: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the values of arguments on the command line. Raises `Misused` for one that is no JSON."""
    values = []
    for number, text in enumerate(arguments, 1):
        try:
            values.append(json.loads(text))
            encode_block([[values[-1]]])
            encode(values[-1])
        except (ValueError, OverflowError, RecursionError, Rejected) as error:
            problem = f"argument {number}, {text[:80]!r}, is no JSON that can be sent: {error}"
            raise Misused(problem, remedy="Quote text twice: '\"text\"'") from None
    return tuple(values)


async def _result(reach: Reach, home: Home, name: str, call: Call, until_s: float) -> Updated:
    """Wait for what the journal says of a call. Raises `UpdateRefused`; `Unreachable` once it is that time."""
    while True:
        found = await find_named(reach, home, name)
        blocks = RemoteBlocks()
        blocks.ask(reach.zone(found.zone))
        looked = 0
        async for record in newest_records(blocks, found.record.memory.journal):
            looked += 1
            if isinstance(record, Line) and _is_of(record, call):
                told = {
                    key: record.fields[key] for key in ("result", "refused") if key in record.fields
                }
                return Updated(agent=name, update=call.name, result=spoken(result_of(told)))
            if looked >= _LOOKED_THROUGH_MAX:
                break
        if time.monotonic() >= until_s:
            problem = f"{name} has not answered {call.name} yet"
            remedy = f"It is kept, and answered when {name} takes messages: see `sojourn agent logs {name}`"
            raise Unreachable(problem, remedy=remedy)
        await asyncio.sleep(_LOOK_S)


def _is_of(record: Line, call: Call) -> bool:
    return record.text == line_of(call) and record.fields.get("id") == call.id
