"""`sojourn agent`: launch agents; watch, find, show, answer, message, export and order them about."""

import json
from pathlib import Path
from typing import Unpack

import click
import msgspec

from sojourn.checking.findings import Finding
from sojourn.cli import address_book
from sojourn.cli.agent_accuse import accuse_zones
from sojourn.cli.agent_asks import answer_question, approve, asks, decline
from sojourn.cli.agent_calls import signal, update
from sojourn.cli.agent_check import check, said, said_instead
from sojourn.cli.agent_file import OutsideStep, read_agent_file, undeclared_steps
from sojourn.cli.agent_fork import fork
from sojourn.cli.agent_history import history
from sojourn.cli.agent_letters import letters
from sojourn.cli.agent_logs import logs, watch
from sojourn.cli.agent_memory import memory as memory_commands
from sojourn.cli.agent_query import query
from sojourn.cli.agent_read import read
from sojourn.cli.agent_replay import replay
from sojourn.cli.agent_upgrade import upgrade
from sojourn.cli.agent_view import AgentShown, agent_shown, render_agent
from sojourn.cli.amending import Amended, amend
from sojourn.cli.documents import read_signed
from sojourn.cli.erasing import erase
from sojourn.cli.exporting import Exported, export_agent
from sojourn.cli.finding import find_named
from sojourn.cli.giving_orders import OrderOptions, give_order, named_officers, order_options
from sojourn.cli.governing import read_documents
from sojourn.cli.help import Group
from sojourn.cli.home import Home, check_name
from sojourn.cli.launching import Launch, doubts_of, launch, prepare_launch, readiness
from sojourn.cli.listing import AgentListed, list_agents
from sojourn.cli.messaging import Sent, send
from sojourn.cli.options import json_option, with_home
from sojourn.cli.ordering import parse_grants
from sojourn.cli.output import emit, note, say, table, when
from sojourn.cli.progress import newest_progress
from sojourn.cli.reach import perform, reaching
from sojourn.cli.standing_still import stands
from sojourn.core.agent.orders import Act
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Misused
from sojourn.core.protocol.assessment import Assessment
from sojourn.core.protocol.custody import Certified
from sojourn.runtime.processes.keyfile import Purpose

__all__ = ["agent"]

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group(cls=Group)
def agent() -> None:
    """Launch agents; watch, find, message, export and order them about.

    An agent has a local name here, in the address book; its identifier is the digest of its genesis. Where it
    is now is found by following its admission certificates.
    """


for _command in (
    read,
    asks,
    answer_question,
    approve,
    check,
    decline,
    watch,
    logs,
    history,
    replay,
):
    agent.add_command(_command)
agent.add_command(upgrade)
agent.add_command(fork)


class Launched(msgspec.Struct, frozen=True, kw_only=True):
    """A new agent. `doubts` are reasons why it will not execute where it was born, for now.

    `undeclared` are steps whose actions its policies do not declare: they will be denied. `findings` are what
    `agent check` finds in its code.
    """

    name: str
    agent: str
    zone: str
    zone_name: str
    version: int
    guarded: bool
    outside: tuple[OutsideStep, ...]
    doubts: tuple[str, ...]
    undeclared: tuple[OutsideStep, ...] = ()
    findings: tuple[Finding, ...] = ()


@agent.command("launch")
@click.argument("file", type=_FILE)
@click.option("--zone", "zone", required=True, help="Where it is born: a zone known here.")
@click.option("--name", help="Its local name.  [default: as in the file, or the file's own name]")
@click.option(
    "--key",
    "keys",
    multiple=True,
    help="An officer's key that signs; may be repeated.  [default: the only one here]",
)
@click.option(
    "--memory",
    multiple=True,
    metavar="NAME=FILE",
    help="Begin a compartment with what `agent memory export` wrote; may be repeated.",
)
@click.option("--release", type=_FILE, help="Code that its publisher signed, for that beside FILE.")
@json_option
@with_home
def launch_agent(
    home: Home,
    *,
    file: Path,
    zone: str,
    name: str | None,
    keys: tuple[str, ...],
    memory: tuple[str, ...],
    release: Path | None,
    as_json: bool,
) -> None:
    """Launch the agent that FILE describes.

    Its policies are signed, its code and first memory are stored with the zone's anchors, and a quorum of them
    decides its genesis by its policies and the zone's. From then on a host runs it. What `agent check` finds is said.

    What FILE holds:
      [agent]
      entry = "risk_desk:RiskDesk"          # module:Class; the source lies beside FILE

      [governance]
      policies = ["eu-finance.cedar"]       # Cedar text signed now, or a .signed document
      actions = ["order.place"]             # the application's actions that they name

      [trust]                               # without it: whoever signs the launch
      issuers = ["acme-compliance"]         # public keys here, by name, or in hexadecimal
      minimum = { execute = 1, travel = 2 }
      # or: issuers = [{ key = "acme-compliance", level = 5, operations = ["execute"], until = 2027-12-31 }]

      [capabilities.requires]
      cpu = 1
      memory_mib = 512
      packages = ["arch>=7"]

      [memory.positions]
      labels = ["client-confidential"]
      residency = ["EU"]
      encrypted = true                      # it stays in this zone, and can be erased
      values = { "S&P 500" = 25_000_000 }   # a table makes a mapping, a list or nothing a log
      # or: file = "positions.jsonl"        # what `agent memory export` wrote

      [budgets]                             # limits; without one, no limit
      steps = 100000                        # counted: steps, calls (acts outside), hops,
      calls = 1000                          # wall_ms (time it is active and bound)
      cost_micros = 5000000                 # declared by steps and told: cost_micros, tokens
      orders = 20                           # the application's own: what its steps say they spend

      [approvers.desk]                      # whom rules may ask: @ask("desk")
      keys = ["alice", "bob"]
      lasts = "8h"                          # then the answer is no
      escalate_to = "risk"                  # another group, which may approve too
      after = "2h"

    Example:
      sojourn agent launch risk_desk.toml --zone aws-eu-west-1
    """
    local = check_name(name or read_agent_file(file).agent.name or _name_of(file), what="an agent")
    address_book.check_free(home, local)
    manifest = home.manifest(zone).manifest
    prepared = prepare_launch(home, file, manifest, named_officers(home, keys), memory, release)

    async def work() -> tuple[Certified, Assessment | None]:
        async with reaching() as reach:
            born = await launch(reach, manifest, prepared)
            address_book.keep(home, local, born.record.agent_id, manifest.zone_id)
            return born, await readiness(reach, manifest, prepared.record, prepared.documents)

    born, judged = perform(work())
    launched = _launched(local, zone, born, prepared, judged)
    emit(launched, as_json, lambda _: _render_launched(launched))


def _launched(
    name: str, zone_name: str, born: Certified, prepared: Launch, judged: Assessment | None
) -> Launched:
    return Launched(
        name=name,
        agent=cid_text(born.record.agent_id),
        zone=cid_text(prepared.record.custody.zone),
        zone_name=zone_name,
        version=born.record.version,
        guarded=False,
        outside=prepared.outside,
        doubts=doubts_of(judged),
        undeclared=undeclared_steps(prepared.outside, prepared.documents),
        findings=prepared.findings,
    )


def _name_of(file: Path) -> str:
    return file.stem.lower().replace("_", "-")


def _render_launched(launched: Launched) -> None:
    say(f"{launched.name} is launched in {launched.zone_name}, version {launched.version}")
    say(f"  agent {launched.agent}")
    if launched.outside:
        steps = ", ".join(f"{each.step} ({each.action})" for each in launched.outside)
        say(
            "It acts outside its zone and is unguarded: if the whole zone is lost, it is parked and safe,"
        )
        say(
            f"but what it did last outside may have been done by a future that is lost. By: {steps}."
        )
    for each in launched.undeclared:
        note(
            f"{each.step} will be denied: no policy of the agent declares the action {each.action}. "
            "Add it to actions, under [governance]"
        )
    for doubt in launched.doubts:
        note(f"It will not execute there yet: {doubt}")
    for finding in launched.findings:
        note(f"{said(finding)}. {said_instead(finding)}")


@agent.command("list")
@click.option(
    "--zone", "zones", multiple=True, help="A zone known here; may be repeated.  [default: all]"
)
@json_option
@with_home
def list_command(home: Home, *, zones: tuple[str, ...], as_json: bool) -> None:
    """List the agents that zones hold, or held and saw leave.

    Example:
      sojourn agent list --zone home
    """
    names = zones or tuple(home.known_zones())

    async def work() -> list[AgentListed]:
        async with reaching() as reach:
            return await list_agents(reach, home, names)

    emit(perform(work()), as_json, _render_list)


def _render_list(found: list[AgentListed]) -> None:
    if not found:
        say("No agents there. Launch one with `sojourn agent launch FILE --zone NAME`.")
        return
    rows = [
        (
            item.name or "",
            item.zone_name,
            f"gone to {item.gone_to}" if item.gone_to else item.status,
            item.version,
            f"{item.term}.{item.binding}",
            item.host or "",
            item.agent,
        )
        for item in found
    ]
    table(("name", "zone", "status", "version", "fence", "host", "agent"), rows)


@agent.command()
@click.argument("name")
@json_option
@with_home
def show(home: Home, *, name: str, as_json: bool) -> None:
    """Show the agent NAME: where it is now, and its six fields.

    Example:
      sojourn agent show risk-desk
    """

    async def work() -> AgentShown:
        async with reaching() as reach:
            found = await find_named(reach, home, name)
            documents = await read_documents(reach, found)
            shown = agent_shown(
                found.head, documents, name=name, zone_name=home.name_of(found.zone)
            )
            told = await newest_progress(reach, found)
            return msgspec.structs.replace(shown, stands=await stands(reach, found), progress=told)

    emit(perform(work()), as_json, render_agent)


@agent.command()
@click.argument("name")
@click.argument("file", type=_FILE)
@click.option(
    "--history",
    is_flag=True,
    help="With all that was decided between its moves, for an auditor: intents, orders, steps.",
)
@json_option
@with_home
def export(home: Home, *, name: str, file: Path, history: bool, as_json: bool) -> None:
    """Write the agent NAME to FILE as a capsule: evidence, policies, code and memory in one CAR file.

    The agent goes on; this is a copy of what it was. Anyone can verify it with no network. What stayed behind
    in other zones is named and not in it.

    Example:
      sojourn agent export risk-desk desk.car && sojourn capsule verify desk.car
    """

    async def work() -> Exported:
        async with reaching() as reach:
            return await export_agent(reach, home, name, file, with_history=history)

    def render(done: Exported) -> None:
        say(f"{name}, version {done.version}, is in {done.file}: {done.size} bytes")
        if done.left_behind:
            say(f"Not in it, since it stayed behind: {', '.join(done.left_behind)}")

    emit(perform(work()), as_json, render)


@agent.command("send")
@click.argument("name")
@click.argument("body", metavar="JSON")
@click.option("--key", help="The person's key that signs it.  [default: the only one here]")
@json_option
@with_home
def send_message(home: Home, *, name: str, body: str, key: str | None, as_json: bool) -> None:
    """Send JSON to the agent NAME, signed by a person.

    It waits at the anchors of the zone where the agent is, moves on with it, and is taken once.

    Example:
      sojourn keys new alice --purpose person
      sojourn agent send risk-desk '{"approve": true}'
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Misused(f"the message is no JSON: {error}", remedy="Quote it: '{\"a\": 1}'") from None
    sender = home.key(key, Purpose.PERSON)

    async def work() -> Sent:
        async with reaching() as reach:
            return await send(reach, home, name, sender, value)

    def render(sent: Sent) -> None:
        say(f"The message waits for {name} in {sent.zone}, at {sent.anchors} anchors")

    emit(perform(work()), as_json, render)


def _ordered_by(act: Act, about: str, example: str) -> None:
    """Add the command that has an act done to an agent by order of its officers."""

    @agent.command(str(act), help=f"{about}\n\nExample:\n  sojourn agent {act} {example}")
    @click.argument("name")
    @order_options
    @with_home
    def command(home: Home, *, name: str, **options: Unpack[OrderOptions]) -> None:
        give_order(home, name, act, options)


_ordered_by(
    Act.SUSPEND,
    "Suspend the agent NAME by order of its officers: it takes no step until it is resumed.",
    'risk-desk --reason "until the audit"',
)
_ordered_by(
    Act.RESUME,
    "Resume the agent NAME, which was suspended, by order of its officers.",
    "risk-desk",
)
_ordered_by(
    Act.QUARANTINE,
    "Put the agent NAME in quarantine by order of its officers.\n\nIt goes on taking steps, but acts on nothing "
    "and goes nowhere, until that is lifted.",
    'risk-desk --reason "it wrote to a stranger"',
)
_ordered_by(
    Act.LIFT, "Lift the quarantine of the agent NAME by order of its officers.", "risk-desk"
)
_ordered_by(
    Act.RETIRE,
    "Retire the agent NAME by order of its officers. Nothing follows: it never acts again.\n\nIts record, memory "
    "and lineage stay, and can be shown and exported.",
    'risk-desk --reason "the book is closed"',
)
_ordered_by(
    Act.REVOKE,
    "Revoke the agent NAME by order of its officers: it is not to be trusted, and never acts again.\n\nIts record, "
    "memory and lineage stay, and can be shown and exported.",
    'risk-desk --reason "its code was stolen"',
)
_ordered_by(
    Act.FORGIVE,
    "Forgive places what the agent NAME has counted against them, by order of its officers.\n\nVisas that were not "
    "honoured and broken leases count no more. That anchors were proved to have lied stays.",
    'risk-desk --reason "the outage of June is over"',
)


@agent.command()
@click.argument("name")
@click.argument("amounts", metavar="BUDGET=+AMOUNT...", nargs=-1, required=True)
@order_options
@with_home
def grant(
    home: Home, *, name: str, amounts: tuple[str, ...], **options: Unpack[OrderOptions]
) -> None:
    """Grant the agent NAME more of its budgets, by order of its officers.

    Each AMOUNT is added to the limit of a budget that it has. An agent whose steps or time were used up goes on.

    Example:
      sojourn agent grant risk-desk steps=+1000 calls=+20 --reason "the quarter is not over"
    """
    give_order(home, name, Act.GRANT, options, parse_grants(amounts))


agent.add_command(erase)
agent.add_command(letters)
agent.add_command(memory_commands)
agent.add_command(query)
agent.add_command(signal)
agent.add_command(update)


agent.add_command(accuse_zones)


@agent.command("amend")
@click.argument("name")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_FILE)
@click.option("--reason", default="", help="Why, for its lineage.")
@json_option
@with_home
def amend_policy(
    home: Home, *, name: str, files: tuple[Path, ...], reason: str, as_json: bool
) -> None:
    """Amend the policy of the agent NAME: the signed document FILE takes the place of the one that it succeeds.

    Whoever has the document may bring it; who had to sign it is checked by the zone where the agent is. An agent
    that missed several takes them at once, oldest first. What the new policy forbids is forbidden at once; what it
    permits is permitted when the old one has cooled.

    Example:
      sojourn agent amend risk-desk eu-finance-2.signed
    """
    run = [read_signed(file) for file in files]

    async def work() -> Amended:
        async with reaching() as reach:
            return await amend(reach, home, name, run, reason)

    def render(done: Amended) -> None:
        already = " already" if done.before else ""
        ruled = f"{done.name} version {done.document_version} rules {name}{already}"
        say(f"{ruled}, at version {done.version} in {done.zone}")
        if done.cools_until_ms is not None:
            say(f"  what came before rules beside it until {when(done.cools_until_ms)}")

    emit(perform(work()), as_json, render)
