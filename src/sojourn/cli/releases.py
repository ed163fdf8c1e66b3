"""Code as its publisher hands it out: its source files and entry, sealed; and code that lies beside an agent file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sojourn.cli.agent_file import read_agent_file
from sojourn.core.agent.upgrading import check_vouched, vouched_by
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import Name, Value, decode, encode, encode_block
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import BLOCK_BYTES_MAX
from sojourn.core.base.seals import Seal
from sojourn.runtime.agent_side.code import collect_source
from sojourn.runtime.processes.files import read_bounded, write_atomically

__all__ = ["RELEASE_SUFFIX", "Release", "code_block", "read_release", "release_of", "write_release"]

RELEASE_SUFFIX: Final = ".release"
_FILE_BYTES_MAX: Final = BLOCK_BYTES_MAX + 16 * 1024


class Release(Value, tag_field="kind", tag="code-release/1"):
    """Source files by path, the entry, and the publisher's seal of the block that holds the files."""

    entry: Name
    source: dict[str, bytes]
    vouched: Seal

    @property
    def code(self) -> bytes:
        """The digest of the code."""
        return digest(code_block(self.source))


def code_block(source: Mapping[str, bytes]) -> bytes:
    """Return the block that holds source files. Raises `Misused` if they are too large for one."""
    code = encode_block(dict(source))
    if len(code) > BLOCK_BYTES_MAX:
        problem = f"the agent's code has {len(code)} bytes, more than {BLOCK_BYTES_MAX}"
        raise Misused(problem, remedy="Require large parts as packages")
    return code


def release_of(file: Path, publisher: KeyPair) -> Release:
    """Return the code that lies beside an agent file, sealed by its publisher. Raises `Misused`."""
    entry = read_agent_file(file).agent.entry
    source = collect_source(entry, file.parent)
    vouched = vouched_by(publisher, digest(code_block(source)))
    return Release(entry=entry, source=source, vouched=vouched)


def read_release(path: Path) -> Release:
    """Return the release in a file. Raises `Misused`; `Rejected` if its publisher did not seal that code."""
    data = read_bounded(path, what="release", limit=_FILE_BYTES_MAX)
    release: Release = decode(data, Release, what="release", limit=_FILE_BYTES_MAX)
    try:
        check_vouched(release.code, release.vouched.signer, release.vouched, where=str(path))
    except Rejected as error:
        problem = f"{path}: its publisher sealed other code than it holds"
        raise Rejected(problem, reason=error.reason, where=error.where) from None
    return release


def write_release(path: Path, release: Release) -> None:
    """Keep a release in a file of its own. Raises `Misused` if there is one."""
    if path.exists():
        raise Misused(f"{path} exists already", remedy="Choose another file with --output")
    write_atomically(path, encode(release))
