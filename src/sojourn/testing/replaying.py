"""Replaying a production agent's journal in a test, against code that may have changed.

A capsule (`sojourn agent export`) holds the journal and all memory that travels, and proves itself. What a resume
would replay is handed to the code, with no host (`runtime.host_side.retracing`): nothing is performed and nothing
is recorded.
"""

import asyncio
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from sojourn.audit.evidence import FileBlocks
from sojourn.core.agent.memory.blocks import load_block
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import cid_text
from sojourn.core.base.errors import Misused, Unreachable
from sojourn.core.protocol.capsule import Places, load_capsule
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.code import load_agent
from sojourn.runtime.errors import ReplayMismatch
from sojourn.runtime.host_side.journal import Journal
from sojourn.runtime.host_side.retracing import Retraced, retrace
from sojourn.runtime.records import Raised, Record, Returned, decode_record
from sojourn.testing.rehearsals.rehearsing import agent_of

__all__ = ["ReplayMismatch", "Replayed", "replay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What was replayed: the agent's newest record in the capsule, and the journal's records that a resume replays.

    `doing` says what the code does where the journal ends.
    """

    record: AgentRecord
    records: tuple[Record, ...]
    doing: str

    @property
    def result(self) -> Any:
        """What `run` returned, as builtins; None if it has not, or returned that."""
        last = self.records[-1] if self.records else None
        return last.result if isinstance(last, Returned) else None

    @property
    def failure(self) -> str | None:
        """What `run` raised, as text, if it did."""
        last = self.records[-1] if self.records else None
        return f"{last.failure.kind}: {last.failure.message}" if isinstance(last, Raised) else None


def replay(
    capsule: Path | str | bytes,
    agent: type[Agent] | str | None = None,
    *,
    folder: Path | None = None,
) -> Replayed:
    """Run an agent's code against the journal in a capsule, and return what was replayed.

    `capsule` is a file, or its bytes; `agent` and `folder` as for `rehearse`, or None for the code in the capsule. It
    goes from the restart points that a resume needs: what lies before them no code is ever given again.

    Raises `ReplayMismatch` if the code does not repeat it, with both histories at the record where they part;
    `Rejected` for what is no capsule, with the byte where it fails; `Misused` for a file that cannot be read, for no
    agent, and for one without a journal; `Denied` or `Unreachable` where the code had used memory that the capsule
    does not hold, or not in the clear.
    """
    with _opened(capsule) as file:
        places: Places = {}
        held = _Held(load_capsule(file, places).record, FileBlocks(file, places))
        form = _form(held, agent, folder)
        retraced, records = _finished(held, form)
    if retraced.parted:
        raise ReplayMismatch(retraced.parted)
    return Replayed(record=held.record, records=records, doing=retraced.doing)


def _opened(capsule: Path | str | bytes) -> BinaryIO:
    if isinstance(capsule, bytes):
        return io.BytesIO(capsule)
    try:
        return Path(capsule).open("rb")
    except OSError as error:
        problem = f"{capsule} cannot be read: {error.strerror}"
        raise Misused(problem, remedy="Give a file that sojourn agent export wrote") from None


@dataclass(frozen=True, slots=True)
class _Held:
    """What a capsule holds: the record, and its blocks."""

    record: AgentRecord
    blocks: FileBlocks

    async def fetch(self, digests: Sequence[bytes]) -> None:
        """Raise `Unreachable`: a capsule has all that is to be had."""
        raise Unreachable(
            f"the capsule has no block {cid_text(digests[0])}, which the replay needs",
            remedy="Export the agent where it has the memory that it used since its restart point",
        )


def _form(held: _Held, agent: type[Agent] | str | None, folder: Path | None) -> type[Agent]:
    if agent is None:
        own = held.record.capabilities
        return load_agent(own.entry, cast("Any", load_block(held.blocks, own.code)))
    source, entry, load = agent_of(agent, folder)
    return load(entry, source)


def _finished(held: _Held, form: type[Agent]) -> tuple[Retraced, tuple[Record, ...]]:
    """Replay it on an event loop of its own; in a thread of its own where this one has a loop that runs."""
    if asyncio._get_running_loop() is None:
        return asyncio.run(_replay(held, form))
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(_replay(held, form))).result()


async def _replay(held: _Held, form: type[Agent]) -> tuple[Retraced, tuple[Record, ...]]:
    retraced = await retrace(held, form)
    journal = await Journal.load(held)
    assert journal is not None, "it was replayed"
    read = [data async for _, part in journal.history(held) for data in part]
    return retraced, tuple(map(decode_record, read))
