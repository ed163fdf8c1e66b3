"""`sojourn agent fork`: a new agent that goes on from a version of another one."""

from pathlib import Path

import click

from sojourn.cli import address_book
from sojourn.cli.agent_upgrade import given_release
from sojourn.cli.forking import ForkedAgent, ForkWish, fork_agent
from sojourn.cli.giving_orders import named_officers
from sojourn.cli.help import Command
from sojourn.cli.home import Home, check_name
from sojourn.cli.options import json_option, with_home
from sojourn.cli.ordering import parse_limits
from sojourn.cli.output import emit, note, say
from sojourn.cli.reach import perform, reaching
from sojourn.runtime.processes.keyfile import Purpose

__all__ = ["fork"]


@click.command(cls=Command)
@click.argument("name", metavar="AGENT")
@click.option(
    "--at",
    "version",
    type=click.IntRange(0, 2**53),
    help="The version to go on from: `agent history` lists them.  [default: the newest]",
)
@click.option("--name", "local", help="The fork's local name.  [default: AGENT-fork]")
@click.option("--zone", help="Where it is born: a zone known here.  [default: where the agent is]")
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    metavar="NAME=AMOUNT",
    help="A limit of the fork's; may be repeated.  [default: what the agent has left]",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    help="An officer's key that authorises it; may be repeated.  [default: the only one here]",
)
@click.option(
    "--code",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Other code: an agent file or a release.  [default: the agent's of that version]",
)
@click.option("--publisher", help="The key of the code's publisher, if no officer's.")
@click.option("--reason", default="", help="Why, for its lineage.")
@json_option
@with_home
def fork(
    home: Home,
    *,
    name: str,
    version: int | None,
    local: str | None,
    zone: str | None,
    budgets: tuple[str, ...],
    keys: tuple[str, ...],
    code: Path | None,
    publisher: str | None,
    reason: str,
    as_json: bool,
) -> None:
    """Fork a new agent from a version of AGENT, by the word of its officers.

    The fork has the memory, the journal and the code that AGENT had then, and the policies that rule AGENT now, which
    have to permit `fork`. It goes on by itself, under an identifier of its own: it shares no message, timer or effect
    with AGENT. What AGENT had begun and not ended then has an uncertain outcome for the fork. With --code the journal
    is replayed here first, and nothing is forked if that code does not repeat it.

    Example:
      sojourn agent fork risk-desk --at 1041 --name what-if --budget steps=1000 --reason "the curve as it was"
    """
    local = check_name(local or f"{name}-fork", what="an agent")
    address_book.check_free(home, local)
    officers = [officer.key for officer in named_officers(home, keys)]
    release = None if code is None else given_release(home, code, publisher, officers[0])
    sealing = None if publisher is None or code is not None else publisher
    wish = ForkWish(
        local=local,
        officers=officers,
        version=version,
        zone=None if zone is None else home.manifest(zone).manifest,
        budgets=parse_limits(budgets),
        release=release,
        publisher=None
        if sealing is None
        else home.key(sealing, Purpose.PUBLISHER, Purpose.OFFICER),
        reason=reason,
    )

    async def work() -> ForkedAgent:
        async with reaching() as reach:
            return await fork_agent(reach, home, name, wish)

    emit(perform(work()), as_json, lambda done: _render(name, done))


def _render(name: str, done: ForkedAgent) -> None:
    say(f"{done.name} is forked from {name}, version {done.origin_version}, in {done.zone_name}")
    say(f"  agent {done.agent}")
    say(f"  code  {done.code}")
    if done.budgets:
        say(f"  {', '.join(f'{each} {limit}' for each, limit in sorted(done.budgets.items()))}")
    for doubt in done.doubts:
        note(f"It will not execute there yet: {doubt}")
