"""`sojourn agent memory`: compartments as files, as a quorum certified them."""

import hashlib
from collections.abc import AsyncIterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from sojourn.cli.finding import Found, find_named
from sojourn.cli.help import Group
from sojourn.cli.home import Home
from sojourn.cli.memory_lines import FORMAT, MemoryHeader, MemoryLine, line_of, to_json
from sojourn.cli.options import json_option, with_home
from sojourn.cli.output import emit, say
from sojourn.cli.reach import Reach, perform, reaching
from sojourn.cli.remote_blocks import RemoteBlocks
from sojourn.core.agent.memory.blobs import is_blob, parse_blob
from sojourn.core.agent.memory.field import Compartment, Form
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Misused
from sojourn.core.base.limits import CHUNK_BYTES
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["memory"]

_AT_ONCE: Final = 64


class MemoryExported(msgspec.Struct, frozen=True, kw_only=True):
    """A compartment that was written to a file: from which version, how many values, how many of them blobs."""

    agent: str
    version: int
    zone: str
    compartment: str
    form: Form
    labels: tuple[str, ...]
    residency: tuple[str, ...]
    file: str
    values: int
    blobs: int


@click.group("memory", cls=Group)
def memory() -> None:
    """Write an agent's compartments to files, which another agent can be launched with."""


@memory.command("export")
@click.argument("name")
@click.argument("compartment")
@click.option(
    "--to",
    "file",
    required=True,
    type=click.Path(path_type=Path),
    help="A new file, or a folder that is there: then COMPARTMENT.jsonl in it.",
)
@json_option
@with_home
def export_memory(home: Home, *, name: str, compartment: str, file: Path, as_json: bool) -> None:
    """Write the COMPARTMENT of the agent NAME to a file: a line of JSON for each value.

    What is written is what the newest certified record of the agent names, verified block by block. The first line
    says whose it was, by which version, and with which labels and residency; blobs are files in a folder beside.
    An agent's file takes it as `file = "..."` under `[memory.<name>]`.

    Example:
      sojourn agent memory export risk-desk positions --to positions.jsonl
    """

    async def work() -> MemoryExported:
        async with reaching() as reach:
            found = await find_named(reach, home, name)
            return await _export(reach, home, found, compartment, _target(file, compartment))

    exported = perform(work())
    emit(exported, as_json, _render)


def _render(exported: MemoryExported) -> None:
    labels = ", ".join(exported.labels) or "none"
    bound = ", ".join(exported.residency) or "anywhere"
    say(
        f"{exported.file}: {exported.values} values of {exported.compartment}, {exported.blobs} of them blobs, "
        f"as of version {exported.version} in {exported.zone}"
    )
    say(f"labels: {labels}; may be in: {bound}")


def _target(file: Path, compartment: str) -> Path:
    target = file / f"{compartment.replace('/', '-')}.jsonl" if file.is_dir() else file
    for path in (target, _blobs_of(target)):
        if path.exists():
            raise Misused(f"{path} exists already", remedy="Choose another file")
    return target


def _blobs_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.blobs")


async def _export(reach: Reach, home: Home, found: Found, name: str, file: Path) -> MemoryExported:
    compartment = _readable(found, name)
    blocks = RemoteBlocks()
    blocks.ask(reach.zone(_zone_of(home, found, compartment, name)))
    unfinished = file.with_name(f".{file.name}.partial")
    count, blobs = 0, 0
    try:
        with unfinished.open("wb") as out:
            lines = _lines(blocks, compartment, file)
            async for line in _headed(lines, found, name, compartment, blocks):
                out.write(line_of(line))
                count += isinstance(line, MemoryLine)
                blobs += isinstance(line, MemoryLine) and line.blob is not msgspec.UNSET
        unfinished.replace(file)
    except OSError as error:
        problem = f"{error.filename or file} cannot be written: {error.strerror}"
        raise Misused(problem, remedy="Choose a place that you may write to") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return MemoryExported(
        agent=cid_text(found.record.agent_id),
        version=found.record.version,
        zone=found.zone.name,
        compartment=name,
        form=compartment.form,
        labels=compartment.labels,
        residency=compartment.residency,
        file=str(file),
        values=count,
        blobs=blobs,
    )


def _readable(found: Found, name: str) -> Compartment:
    compartments = found.record.memory.compartments
    if name not in compartments:
        known = ", ".join(sorted(compartments)) or "none"
        raise Misused(f"there is no compartment {name!r}", remedy=f"The agent has: {known}")
    compartment = compartments[name]
    if compartment.encryption is not None:
        state = "was erased" if compartment.is_erased else "is encrypted"
        problem = f"compartment {name!r} {state}: only the host that runs the agent can read it"
        raise Misused(problem, remedy="Let the agent itself write what may leave into another one")
    return compartment


def _zone_of(home: Home, found: Found, compartment: Compartment, name: str) -> ZoneManifest:
    if compartment.held_by in (None, found.zone.zone_id):
        return found.zone
    for signed in home.manifests().values():
        if signed.manifest.zone_id == compartment.held_by:
            return signed.manifest
    problem = f"compartment {name!r} stayed in zone {cid_text(compartment.held_by or b'')}, which is not known here"
    raise Misused(problem, remedy="Get its manifest, and `sojourn zone meet` it")


async def _headed(
    lines: AsyncIterator[MemoryLine],
    found: Found,
    name: str,
    compartment: Compartment,
    blocks: RemoteBlocks,
) -> AsyncIterator[MemoryHeader | MemoryLine]:
    first, count = 0, 0
    if compartment.form is Form.LOG:
        log = await blocks.read(lambda: Log.load(compartment.root, blocks))
        first, count = log.first, len(log) - log.first
    else:
        count = len(await blocks.read(lambda: Mapping.load(compartment.root, blocks)))
    yield MemoryHeader(
        sojourn_memory=FORMAT,
        form=compartment.form,
        labels=compartment.labels,
        residency=compartment.residency,
        compartment=name,
        agent=cid_text(found.record.agent_id),
        version=found.record.version,
        zone=found.zone.name,
        root=compartment.root.hex(),
        first=first,
        count=count,
    )
    async for line in lines:
        yield line


async def _lines(
    blocks: RemoteBlocks, compartment: Compartment, file: Path
) -> AsyncIterator[MemoryLine]:
    if compartment.form is Form.LOG:
        log = await blocks.read(lambda: Log.load(compartment.root, blocks))
        for at in range(log.first, len(log), _AT_ONCE):
            values = await blocks.read(partial(_slice, log, at))
            for index, value in enumerate(values, at):
                yield MemoryLine(index=index, value=to_json(value))
        return
    mapping = await blocks.read(lambda: Mapping.load(compartment.root, blocks))
    after: str | None = ""
    number = 0
    while after is not None:
        page = await blocks.read(partial(_page, mapping, after))
        for key, value in page[:_AT_ONCE]:
            if is_blob(value):
                number += 1
                yield await _blob(blocks, key, value, _blobs_of(file) / f"{number}.bin")
            else:
                yield MemoryLine(key=key, value=to_json(value))
        after = page[_AT_ONCE][0] if len(page) > _AT_ONCE else None


def _slice(log: Log, at: int) -> list[Any]:
    return list(log.slice(at, at + _AT_ONCE))


def _page(mapping: Mapping, start: str) -> list[tuple[str, Any]]:
    """Return entries from a key on: one more than are taken."""
    return list(islice(mapping.items(start=start), _AT_ONCE + 1))


async def _blob(blocks: RemoteBlocks, key: str, value: Any, path: Path) -> MemoryLine:
    entry = parse_blob(value)
    path.parent.mkdir(exist_ok=True)
    taken = hashlib.sha256()
    with path.open("xb") as out:
        chunks = await blocks.read(lambda: entry.open(blocks))
        for at in range(0, entry.length, CHUNK_BYTES):
            part = await blocks.read(partial(chunks.read, at, at + CHUNK_BYTES))
            out.write(part)
            taken.update(part)
    return MemoryLine(
        key=key,
        blob=f"{path.parent.name}/{path.name}",
        media=entry.media,
        bytes=entry.length,
        sha256=taken.hexdigest(),
    )
