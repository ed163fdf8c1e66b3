"""A blob larger than memory may be: imported, stored, exported, in a process with a limit of memory."""

import asyncio
import hashlib
import json
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sojourn.cli.agent_file import MemorySection
from sojourn.cli.agent_memory import _export
from sojourn.cli.finding import Found
from sojourn.cli.home import Home
from sojourn.cli.memory_import import import_memory
from sojourn.cli.reach import Reach
from sojourn.core.agent.memory.blocks import NewBlocks, NoBlocks, links
from sojourn.core.agent.memory.field import Compartment, Memory
from sojourn.core.base.digests import digest
from sojourn.runtime.clients.uploading import Uploading
from sojourn.runtime.processes.spool import Spool

MEGABYTE = 2**20
ROOM = 112 * MEGABYTE
"""What may be taken on top of the interpreter: 64 MiB are what an export keeps at hand."""


class Disk:
    """An anchor and its zone, with its blocks in a file; it takes none before what it links to."""

    def __init__(self) -> None:
        self.manifest = SimpleNamespace(zone_id=digest(b"here"), name="here")
        self.stored = Spool()

    async def missing(self, digests: Sequence[bytes]) -> list[bytes]:
        return [named for named in digests if named not in self.stored]

    async def put(self, blocks: list[bytes]) -> int:
        for data in blocks:
            assert all(below in self.stored for below in links(data))
            self.stored[digest(data)] = data
        return sum(map(len, blocks))

    async def fetch(self, digests: Sequence[bytes]) -> list[bytes]:
        return [self.stored[named] for named in digests]


def write_file(folder: Path, megabytes: int) -> str:
    """Write a file of lines with one blob of so many megabytes, no chunk of which comes twice; return its sum."""
    taken = hashlib.sha256()
    with (folder / "large.bin").open("wb") as out:
        for number in range(megabytes * 16):
            part = number.to_bytes(4) * (2**16 // 4)
            out.write(part)
            taken.update(part)
    size, total = megabytes * MEGABYTE, taken.hexdigest()
    line = {"key": "large", "blob": "large.bin", "media": "x/y", "bytes": size, "sha256": total}
    head = {"sojourn_memory": 1, "form": "mapping"}
    (folder / "in.jsonl").write_text(f"{json.dumps(head)}\n{json.dumps(line)}\n")
    return total


def out_and_in(folder: Path, megabytes: int) -> None:
    total = write_file(folder, megabytes)
    new = NewBlocks(NoBlocks(), Spool())
    form, root = import_memory("book", MemorySection(), folder / "in.jsonl", new)
    disk = Disk()
    uploading = Uploading(disk.missing, disk.put, new, None, batch_bytes=MEGABYTE)
    assert new.made_bytes == asyncio.run(uploading.run([root])) > megabytes * MEGABYTE
    memory = Memory(compartments={"book": Compartment(form=form, root=root)})
    record = SimpleNamespace(agent_id=digest(b"agent"), version=7, memory=memory)
    found = cast("Found", SimpleNamespace(record=record, zone=disk.manifest))
    reach = cast("Reach", SimpleNamespace(zone=lambda _manifest: disk))
    (folder / "out").mkdir()
    home: Any = None
    asyncio.run(_export(reach, cast("Home", home), found, "book", folder / "out" / "all.jsonl"))
    told = json.loads((folder / "out" / "all.jsonl").read_text().splitlines()[1])
    assert (total, megabytes * MEGABYTE) == (told["sha256"], told["bytes"])
    assert (folder / "out" / told["blob"]).stat().st_size == megabytes * MEGABYTE


def go_through(folder: Path, megabytes: int) -> None:
    """Do it in a process that gets no more memory than `ROOM` on top of what it has when it has started."""
    script = [sys.executable, "-W", "error", "-m", "tests.unit.cli.test_large_blobs"]
    done = subprocess.run(
        [*script, str(folder), str(megabytes)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "through\n" == done.stdout, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process has")
def test_a_blob_goes_in_and_out_in_less_memory_than_it_has_bytes(tmp_path: Path) -> None:
    go_through(tmp_path, ROOM // MEGABYTE + 16)


@pytest.mark.soak
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process has")
def test_a_blob_of_four_hundred_megabytes_takes_no_more(tmp_path: Path) -> None:
    go_through(tmp_path, 400)


if __name__ == "__main__":
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    out_and_in(Path(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write("through\n")
