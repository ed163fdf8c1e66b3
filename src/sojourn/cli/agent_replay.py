"""`sojourn agent replay`: an agent's code on its own journal, here, verified, with nothing performed."""

import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
import msgspec

from sojourn.audit.evidence import FileBlocks
from sojourn.cli.agent_file import read_agent_file
from sojourn.cli.auditing import is_agent
from sojourn.cli.background import BackgroundReader, background
from sojourn.cli.debugging import AgentDebugger
from sojourn.cli.exporting import evidence_of, export_agent
from sojourn.cli.finding import find_named
from sojourn.cli.help import Command
from sojourn.cli.home import Home
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import clean, counted, emit, note, say
from sojourn.cli.reach import Reach, perform, reaching
from sojourn.cli.versions import RemoteReader, blocks_of, version_at
from sojourn.core.agent.memory.blocks import MissingBlock, load_block
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Misused, Unreachable
from sojourn.core.protocol.capsule import Places, load_capsule
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.code import collect_source, load_agent
from sojourn.runtime.host_side.retracing import Retraced, retrace
from sojourn.runtime.ports import Reader

__all__ = ["Replayed", "replay", "replayed_at"]

_PARTED = 1


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a replay of one version's journal, as `Retraced` has it, by the code with a digest."""

    agent: str
    version: int
    code: str
    result: Retraced


class _Reader:
    """A record of a capsule, and its blocks."""

    def __init__(self, record: AgentRecord, blocks: FileBlocks) -> None:
        self.record, self.blocks = record, blocks

    async def fetch(self, digests: Sequence[bytes]) -> None:
        """Say that a block is nowhere: a capsule has all that is to be had."""
        raise Unreachable(f"the capsule has no block {digests[0].hex()[:16]}…")


@click.command(cls=Command)
@click.argument("target", metavar="AGENT|CAPSULE")
@click.option(
    "--at",
    "version",
    type=click.IntRange(0, 2**53),
    help="Replay what AGENT had at this version.  [default: the newest]",
)
@click.option(
    "--until",
    type=click.IntRange(0, 2**53),
    help="End before the record with this index.  [default: go to the end]",
)
@click.option(
    "--pdb", "with_debugger", is_flag=True, help="Stop in a debugger where the code goes on last."
)
@click.option(
    "--code",
    "agent_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Replay with the code beside this agent file, to see whether it repeats the journal.",
)
@json_option
@with_home
def replay(
    home: Home,
    *,
    target: str,
    version: int | None,
    until: int | None,
    with_debugger: bool,
    agent_file: Path | None,
    as_json: bool,
) -> int:
    """Replay an AGENT, or the agent in a CAPSULE, here: from its newest restart point, by its verified journal.

    No effect is performed, and nothing is recorded: what the journal does not answer is not begun. It ends with exit
    code 1, and both histories, if the code does not repeat the journal. With --until it ends before that record, and
    says what the code does there; with --pdb it stops in Python's debugger where the code takes up the last record,
    or the last before it parts from the journal. Leave that with q: the replay goes on to its end.
    With --at it is the agent at an older version, with the code that it had then: `agent history` lists versions.

    The agent's code runs in this process, with your rights: replay only what you would run.

    Example:
      sojourn agent replay risk-desk --until 120 --pdb
    """
    debugger = None
    if with_debugger:  # what it says is no part of the document
        debugger = AgentDebugger(sys.stderr if as_json else None)
    if version is not None:
        if not is_agent(home, target):
            problem = (
                f"{target} is no agent known here, and a capsule holds its newest version alone"
            )
            raise Misused(problem, remedy="Leave --at out, or name an agent")
        done = _replay_at(home, target, version, until, agent_file, debugger)
    elif is_agent(home, target):
        with tempfile.TemporaryDirectory(prefix="sojourn-replay-") as folder:
            file = Path(folder) / "agent.car"

            async def work() -> None:
                async with reaching() as reach:
                    await export_agent(reach, home, target, file)

            perform(work())
            done = _replay(file, until, agent_file, debugger)
    else:
        done = _replay(Path(target), until, agent_file, debugger)
    emit(done, as_json, _render)
    return _PARTED if done.result.parted else 0


def _replay_at(
    home: Home,
    name: str,
    version: int,
    until: int | None,
    agent_file: Path | None,
    debugger: AgentDebugger | None,
) -> Replayed:
    """Return what came of a replay of an agent as it was at a version; blocks are fetched when they are asked for."""

    async def work(reach: Reach) -> tuple[RemoteReader, Replayed]:
        return await replayed_at(reach, home, name, version, until, agent_file)

    async def reached() -> Replayed:
        async with reaching() as reach:
            return (await work(reach))[1]

    if debugger is None:
        return perform(reached())
    with background() as behind, ExitStack() as stack:
        connected = reaching()
        reach = behind.perform(connected.__aenter__())
        stack.callback(lambda: behind.perform(connected.__aexit__(None, None, None)))
        reader, _ = behind.perform(work(reach))
        return _traced(BackgroundReader(reader, behind), until, agent_file, debugger)


async def replayed_at(
    reach: Reach,
    home: Home,
    name: str,
    version: int,
    until: int | None = None,
    agent_file: Path | None = None,
) -> tuple[RemoteReader, Replayed]:
    """Return what came of a replay of the agent with a local name at a version, and who has all blocks that it took.

    Raises as `find` and `version_at`.
    """
    found = await find_named(reach, home, name)
    evidence = await evidence_of(reach, home, found, with_history=False)
    done = await version_at(reach, name, evidence, version)
    zones = {signed.manifest.zone_id: signed.manifest for signed in evidence.manifests}
    reader = RemoteReader(done.record, blocks_of(reach, found, zones))
    if agent_file is None:
        await reader.fetch([done.record.capabilities.code])
    form, code = _form(reader, agent_file)
    return reader, _replayed(reader, code, await retrace(reader, form, until=until))


def _replay(
    file: Path, until: int | None, agent_file: Path | None, debugger: AgentDebugger | None
) -> Replayed:
    """Return what came of a replay of the agent in a capsule."""
    places: Places = {}
    try:
        with file.open("rb") as source:
            verified = load_capsule(source, places)
            reader = _Reader(verified.record, FileBlocks(source, places))
            return _traced(reader, until, agent_file, debugger)
    except OSError as error:
        problem = f"the capsule {file} cannot be read: {error.strerror}"
        raise Misused(problem, remedy="Name an agent known here, or a capsule") from None


def _traced(
    reader: Reader, until: int | None, agent_file: Path | None, debugger: AgentDebugger | None
) -> Replayed:
    """Return what came of a replay of the record and the blocks that `reader` has.

    A debugger takes over in a second one: where the two part is known by then.
    """
    form, code = _form(reader, agent_file)
    result = perform(retrace(reader, form, until=until))
    if debugger is None:
        return _replayed(reader, code, result)
    handed = result.replayed if result.parted else None
    if result.parted:
        note("The code parts from the journal behind the record that it takes up now.")
    halt, release = debugger.halt, debugger.release
    work = retrace(reader, form, until=until, halt=halt, release=release, handed=handed)
    try:
        result = perform(work)
    finally:
        release()
    return _replayed(reader, code, result)


def _replayed(reader: Reader, code: bytes, result: Retraced) -> Replayed:
    return Replayed(
        agent=cid_text(reader.record.agent_id),
        version=reader.record.version,
        code=cid_text(code),
        result=result,
    )


def _form(reader: Reader, agent_file: Path | None) -> tuple[type[Agent], bytes]:
    """Return the agent's class and the digest of its code: its own, or that beside a file."""
    if agent_file is not None:
        entry = read_agent_file(agent_file).agent.entry
        source = collect_source(entry, agent_file.parent)
        return load_agent(entry, source), digest_of(source)
    capabilities = reader.record.capabilities
    try:
        own = load_block(reader.blocks, capabilities.code)
    except MissingBlock:
        raise Unreachable("the capsule does not have the agent's code") from None
    return load_agent(capabilities.entry, own), capabilities.code


def _render(done: Replayed) -> None:
    result = done.result
    what = f"records {result.start} to {result.stop} of version {done.version}"
    if result.parted:
        for line in result.parted.splitlines():
            say(clean(line))
    elif result.is_whole:
        say(
            f"The code repeats {what}: {counted(result.replayed, 'record')}, and memory as it is certified."
        )
    else:
        say(f"The code repeats {what}, and then:")
    if not result.parted:
        say(f"  {clean(result.doing)}")
    for remark in result.remarks:
        note(clean(remark))
