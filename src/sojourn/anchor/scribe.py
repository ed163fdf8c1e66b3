"""The scribe: changes and votes of one anchor, in groups, under one signature each.

All that waits while one group is being forced to disk becomes the next group (group commit); its ballots get
their counters, and one signature on the root of a Merkle tree over them (protocol §1, §13).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Misused, SojournError, StoreFailed
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import BATCH_LEAVES_MAX
from sojourn.core.base.seals import Kind, Role, Seal, batch, statement
from sojourn.core.quorum.votes import Ballot, Vote
from sojourn.runtime.store import CHANGES_MAX, Change, Put, PutBlock, Store

__all__ = ["Scribe"]

_META: Final = "meta"
_COUNTER: Final = b"counter"
_GROUP_BYTES_MAX: Final = 8 * 1024 * 1024
"""The entry that crosses it is its group's last: a vote should not wait long for another's bulk."""


@dataclass(slots=True)
class _Entry:
    changes: Sequence[Change]
    ballot: Ballot | None
    done: "asyncio.Future[Vote | None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def size(self) -> int:
        return sum(
            len(change.value) if isinstance(change, Put) else len(change.data)
            for change in self.changes
            if isinstance(change, Put | PutBlock)
        )

    def settle(self, result: Vote | SojournError | None) -> None:
        """Let who waits go on, if anybody still does."""
        if self.done.done():
            return
        if isinstance(result, SojournError):
            self.done.set_exception(result)
        else:
            self.done.set_result(result)


class Scribe:
    """Writes changes and signs ballots, one group after another."""

    def __init__(self, store: Store, vote_key: KeyPair) -> None:
        """Continue counting where the store says this anchor stopped."""
        self._store, self._key = store, vote_key
        self._waiting: list[_Entry] = []
        self._writer: asyncio.Task[None] | None = None
        self._counter = int.from_bytes(store.get(_META, _COUNTER) or b"", "big")

    @property
    def counter(self) -> int:
        """The counter of the newest vote: also how many votes this anchor ever cast."""
        return self._counter

    async def write(self, changes: Sequence[Change], ballot: Ballot | None = None) -> Vote | None:
        """Return the signed vote once the changes and its counter are durable.

        Who is cancelled meanwhile recalls nothing. Raises `StoreFailed`; `Misused` for changes that no store
        can take in one commit, and then nothing is written.
        """
        entry = _Entry(changes, ballot)
        self._waiting.append(entry)
        if self._writer is None:
            self._writer = asyncio.create_task(self._work())
        return await entry.done

    async def finish(self) -> None:
        """Wait until all that was to be written is."""
        if self._writer is not None:
            await asyncio.wait([self._writer])

    async def _work(self) -> None:
        """Write group after group until nothing waits."""
        try:
            while self._waiting:
                await self._write_group(self._take())
        finally:
            self._writer = None

    def _take(self) -> list[_Entry]:
        """Take as many entries as fit one commit, at least one."""
        taken = changes = size = 0
        for entry in self._waiting[:BATCH_LEAVES_MAX]:
            changes += len(entry.changes)
            if taken and (changes >= CHANGES_MAX or size >= _GROUP_BYTES_MAX):
                break
            size += entry.size
            taken += 1
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return group

    async def _write_group(self, group: list[_Entry]) -> None:
        ballots = [self._numbered(entry.ballot) for entry in group]
        changes = [change for entry in group for change in entry.changes]
        if any(ballots):
            changes.append(Put(_META, _COUNTER, self._counter.to_bytes(8, "big")))
        try:
            await self._store.commit(changes)
        except Misused as error:
            await self._write_apart(group, error)
            return
        except Exception as error:
            failure = error if isinstance(error, StoreFailed) else StoreFailed(f"defect: {error!r}")
            for entry in group:  # whatever it was: nobody knows what is on disk now (protocol §13)
                entry.settle(failure)
            return
        votes = iter(self._sign([ballot for ballot in ballots if ballot]))
        for entry in group:
            entry.settle(next(votes) if entry.ballot else None)

    async def _write_apart(self, group: list[_Entry], error: Misused) -> None:
        """Write entries one by one where a group of them cannot be: only who asks too much is told so."""
        if len(group) == 1:
            group[0].settle(error)
            return
        for entry in group:
            await self._write_group([entry])

    def _numbered(self, ballot: Ballot | None) -> Ballot | None:
        if ballot is None:
            return None
        self._counter += 1
        return msgspec.structs.replace(ballot, counter=self._counter)

    def _sign(self, ballots: Sequence[Ballot]) -> list[Vote]:
        if not ballots:
            return []
        statements = [statement(Kind.VOTE, Role.ANCHOR, digest_of(b)) for b in ballots]
        root, inclusions = batch(statements, Role.ANCHOR)
        signature = self._key.sign(root)
        return [
            Vote(
                ballot=ballot,
                seal=Seal(signer=self._key.public, signature=signature, inclusion=inclusion),
            )
            for ballot, inclusion in zip(ballots, inclusions, strict=True)
        ]
