"""`sojourn agent query`: a person asks what an agent remembers, without disturbing it."""

import json
import secrets
import time
from typing import Any, Final

import click
import msgspec

from sojourn.cli.agent_calls import arguments_in, check_timeout, method_in
from sojourn.cli.finding import find_named
from sojourn.cli.home import Home
from sojourn.cli.journal_lines import spoken
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import clean, emit, say
from sojourn.cli.reach import Reach, perform, reaching
from sojourn.core.agent.memory.blocks import NoBlocks
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.errors import Refused, Unreachable
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.querying import Disclosure, PersonQuestion, Query, SignedQuestion
from sojourn.runtime.clients.asking_zones import ask_zone
from sojourn.runtime.errors import QueryRefused
from sojourn.runtime.processes import clock
from sojourn.runtime.processes.keyfile import Purpose

__all__ = ["Answered", "query"]

_ONCE_S: Final = 5.0


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent told: `result` as of this `version`, with the labels of what was read for it."""

    agent: str
    query: str
    zone: str
    version: int
    labels: tuple[str, ...]
    result: Any


@click.command()
@click.argument("name")
@click.argument("method")
@click.argument("arguments", nargs=-1)
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for the answer.")
@click.option("--key", help="The person's key that asks.  [default: the only one here]")
@json_option
@with_home
def query(
    home: Home,
    *,
    name: str,
    method: str,
    arguments: tuple[str, ...],
    timeout: float,
    key: str | None,
    as_json: bool,
) -> None:
    """Ask METHOD, an @query of the agent NAME, with ARGUMENTS, each JSON, and show what it tells.

    It is answered from the agent's last final memory while it runs, sleeps or moves: it is not woken, and takes no
    step. The agent's policies say who may ask. What it refuses is an error.

    Example:
      sojourn agent query risk-desk exposure '"EUR"'
    """
    asked = Query(name=method_in(method, "query"), arguments=(arguments_in(arguments), {}))
    asker = home.key(key, Purpose.PERSON)
    check_timeout(timeout, such_as=30)

    async def work() -> Answered:
        async with reaching() as reach:
            return await _answered(reach, home, name, asker, asked, time.monotonic() + timeout)

    emit(perform(work()), as_json, _show)


def _show(told: Answered) -> None:
    say(clean(json.dumps(told.result)))


def question_to(agent: bytes, asker: KeyPair, asked: Query) -> SignedQuestion:
    """Return a question of now, sealed."""
    said = PersonQuestion(
        agent=agent,
        sender=asker.public,
        asked_ms=clock.wall_ms(),
        nonce=secrets.token_bytes(32),
        spelled=encode(asked),
    )
    covered = statement(Kind.QUESTION, Role.PERSON, digest_of(said))
    seal = Seal(signer=asker.public, signature=asker.sign(covered))
    question = SignedQuestion(said=said, seal=seal)
    question.check()
    return question


async def _answered(
    reach: Reach, home: Home, name: str, asker: KeyPair, asked: Query, until_s: float
) -> Answered:
    """Ask where the agent is, until it is answered. Raises `QueryRefused`; `Unreachable` once it is that time."""
    while True:
        found = await find_named(reach, home, name)
        question = question_to(found.record.agent_id, asker, asked)
        left_s = until_s - time.monotonic()
        posted, told = await ask_zone(
            reach.zone(found.zone), question, NoBlocks(), timeout_s=max(min(left_s, _ONCE_S), 0.1)
        )
        if told is not None:
            return _result(name, found.zone.name, asked, told)
        never = [each.problem for each in posted.declined if not each.for_now]
        if len(never) > found.zone.f:
            raise Refused(f"{found.zone.name}: {never[0]}")
        if time.monotonic() >= until_s:
            problem = f"no host of {found.zone.name} has answered for {name}"
            remedy = "Ask again; or see whether its hosts are up: `sojourn zone show`"
            raise Unreachable(problem, remedy=remedy)


def _result(name: str, zone: str, asked: Query, told: Disclosure) -> Answered:
    if told.refused:
        raise QueryRefused(f"{name}: {told.refused}", remedy=told.remedy)
    return Answered(
        agent=name,
        query=asked.name,
        zone=zone,
        version=told.version,
        labels=told.labels,
        result=spoken(told.value),
    )
