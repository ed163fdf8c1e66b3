"""The scribe: everything an anchor promises is written before it leaves, in groups, under one signature each.

All that waits while one group is being forced to disk becomes the next group (group commit); its ballots get
their counters, and one signature on the root of a Merkle tree over them (protocol §1, §13).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from sojourn.core.base.encoding import digest_of
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import BATCH_LEAVES_MAX
from sojourn.core.base.seals import Kind, Role, Seal, batch, statement
from sojourn.core.quorum.votes import Ballot, Vote
from sojourn.runtime.store import CHANGES_MAX, Change, Put, Store

__all__ = ["Scribe"]

_META = "meta"
_COUNTER = b"counter"


@dataclass(slots=True)
class _Entry:
    changes: Sequence[Change]
    ballot: Ballot | None
    done: "asyncio.Future[Vote | None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


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
        """Return the signed vote once the changes and its counter are durable. Raises `StoreFailed`."""
        entry = _Entry(changes, ballot)
        self._waiting.append(entry)
        if self._writer is None:
            self._writer = asyncio.create_task(self._work())
        return await entry.done

    async def _work(self) -> None:
        """Write group after group until nothing waits."""
        try:
            while self._waiting:
                await self._write_group(self._take())
        finally:
            self._writer = None

    def _take(self) -> list[_Entry]:
        """Take as many entries as fit one commit, at least one."""
        taken, changes = 0, 0
        for entry in self._waiting[:BATCH_LEAVES_MAX]:
            changes += len(entry.changes)
            if taken and changes >= CHANGES_MAX:
                break
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
        except Exception as error:
            for entry in group:
                if not entry.done.done():
                    entry.done.set_exception(error)
            return
        votes = iter(self._sign([ballot for ballot in ballots if ballot]))
        for entry in group:
            vote = next(votes) if entry.ballot else None
            if not entry.done.done():
                entry.done.set_result(vote)

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
