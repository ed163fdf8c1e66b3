"""The first content of a compartment, read from a file of lines (`memory_lines`) when an agent is launched."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from sojourn.cli.agent_file import AgentFile, MemorySection
from sojourn.cli.memory_lines import MemoryHeader, MemoryLine, parse_header, parse_line
from sojourn.core.agent.memory.blobs import BlobEntry
from sojourn.core.agent.memory.blocks import NewBlocks
from sojourn.core.agent.memory.chunks import Cutter
from sojourn.core.agent.memory.field import Form
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping
from sojourn.core.base.digests import ZERO
from sojourn.core.base.errors import Misused, SojournError

__all__ = ["import_memory", "with_files"]

_LINE_BYTES_MAX: Final = 64 * 1024 * 1024
_READ_BYTES: Final = 1024 * 1024


def with_files(file: AgentFile, given: Sequence[str]) -> AgentFile:
    """Return an agent's file whose compartments begin with files: each is given as NAME=FILE. Raises `Misused`."""
    memory = dict(file.memory)
    for each in given:
        name, is_assigned, path = each.partition("=")
        if not (name and is_assigned and path):
            problem = f"--memory {each!r:.60} names no compartment and file"
            raise Misused(problem, remedy="Write NAME=FILE")
        section = memory.get(name, MemorySection())
        memory[name] = replace(section, values=None, file=str(Path(path).absolute()))
    return replace(file, memory=memory)


def import_memory(
    name: str, section: MemorySection, path: Path, blocks: NewBlocks
) -> tuple[Form, bytes]:
    """Make the blocks of what a file holds; return its form and the root.

    Raises `Misused`, with the line, for what is wrong in it, for a form that is declared otherwise, and for labels
    or a residency that the compartment would lose.
    """
    try:
        with path.open("rb") as lines:
            header = parse_header(lines.readline(_LINE_BYTES_MAX))
            _check(name, section, header, path)
            made = (
                Mapping.load(ZERO, blocks)
                if header.form is Form.MAPPING
                else Log.load(ZERO, blocks)
            )
            for number, data in enumerate(_lines(lines.readline), 2):
                try:
                    made = _with(made, parse_line(data), path.parent, blocks)
                except SojournError as error:
                    problem = f"{path}, line {number}: {error.problem}"
                    raise Misused(problem, remedy=error.remedy) from None
    except OSError as error:
        problem = f"{error.filename or path} cannot be read: {error.strerror}"
        raise Misused(problem, remedy="Name a file that is there") from None
    return header.form, made.commit(blocks).root


def _lines(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while data := read(_LINE_BYTES_MAX):
        if data.strip():
            yield data


def _check(name: str, section: MemorySection, header: MemoryHeader, path: Path) -> None:
    if section.form not in (None, header.form):
        problem = (
            f"{path} holds a {header.form}, and compartment {name!r} is declared a {section.form}"
        )
        raise Misused(problem, remedy="Leave out form=, or import into another compartment")
    if lost := set(header.labels) - set(section.labels):
        problem = (
            f"{path} was exported with labels that compartment {name!r} lacks: {_listed(lost)}"
        )
        raise Misused(problem, remedy=f"Say so: labels = [{_quoted(header.labels)}]")
    bound = set(header.residency)
    if bound and not (section.residency and bound.issuperset(section.residency)):
        problem = (
            f"{path} may be in {_listed(bound)} alone, and compartment {name!r} is not bound there"
        )
        raise Misused(problem, remedy=f"Say so: residency = [{_quoted(header.residency)}]")


def _with(made: Mapping | Log, line: MemoryLine, folder: Path, blocks: NewBlocks) -> Mapping | Log:
    if isinstance(made, Log):
        if isinstance(line.key, str):
            raise Misused(f"a key, {line.key!r:.60}, in a log", remedy="Give an index and a value")
        return made.append(line.value)
    if not isinstance(line.key, str):
        raise Misused(f"index {line.index} in a mapping", remedy="Give a key and a value")
    if line.key in made:
        raise Misused(f"key {line.key!r:.60} comes twice", remedy="Leave one of them out")
    if not isinstance(line.blob, str):
        return made.put(line.key, line.value)
    return made.put(line.key, _blob(line, folder / line.blob, folder, blocks).to_plain())


def _blob(line: MemoryLine, path: Path, folder: Path, blocks: NewBlocks) -> BlobEntry:
    """Return a blob whose bytes are in a file of the same folder, or below it."""
    if not path.resolve().is_relative_to(folder.resolve()):
        problem = f"blob {line.key!r:.60} is said to be in {line.blob!r:.60}, outside of the folder"
        raise Misused(problem, remedy="Keep the files of blobs beside the lines")
    cutter, taken = Cutter(), hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_READ_BYTES):
            cutter.feed(part)
            cutter.let_go(blocks)
            taken.update(part)
    if (cutter.length, taken.hexdigest()) != (line.bytes, line.sha256):
        problem = f"{path} holds other bytes than the {line.bytes} that were exported"
        raise Misused(problem, remedy="Export it again, or correct bytes and sha256")
    return BlobEntry(cutter.length, line.media, cutter.finish(blocks))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in sorted(names))
