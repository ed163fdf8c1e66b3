"""Batches: the records that are not final yet, and when they are sent to become so.

Effect-free work runs ahead of finality by a bounded window (protocol §10): a batch is cut at 64 records, after
250 ms, or where something needs finality; while it is decided the next one may fill, and then the code waits.
A batch is only ever cut while the code is at rest, so that its memory is the memory after its last record.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sojourn.core.base.errors import BudgetExhausted, Misused
from sojourn.core.base.limits import (
    JOURNAL_RECORDS_PER_STEP_MAX,
    RUN_AHEAD_MS,
    RUN_AHEAD_RECORDS,
)
from sojourn.runtime.agent_side.allowance import Allowance
from sojourn.runtime.agent_side.compartments import Snapshot, WorkingMemory
from sojourn.runtime.agent_side.link import FetchedBlocks, Link
from sojourn.runtime.frames import PARCEL_BYTES, Keep, Open, Touch, digest_of_records
from sojourn.runtime.questions import Answer, Commit, Done, Rest
from sojourn.runtime.records import Resume, Roots

__all__ = ["UNSAVED_BYTES_MAX", "Batch"]

UNSAVED_BYTES_MAX: Final = 64 * 1024 * 1024
"""New blocks in one batch: what a store takes in one commit."""


class Batch:
    """Collects records and sends them, with the memory's new blocks, as one `Commit`.

    `cut` gives the state at rest: roots and resume information. `on_change` is called, on the loop and at
    rest, when a batch has become final or is due: `settle` is to follow. What it spends is taken from `allowance`.
    """

    def __init__(
        self,
        link: Link,
        memory: WorkingMemory,
        source: FetchedBlocks,
        allowance: Allowance,
        cut: Callable[[], tuple[Roots, Resume]],
        on_change: Callable[[], None],
    ) -> None:
        self._link = link
        self._memory = memory
        self._source = source
        self._allowance = allowance
        self._cut = cut
        self._on_change = on_change
        self._records: list[bytes] = []
        self._size = 0
        self._spent: dict[str, int] = {}
        self._sent = memory.sent
        self._early: list[bytes] = []
        self._under_way = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_late = False
        self._waiting: list[Callable[[], None]] = []

    @property
    def is_final(self) -> bool:
        """Whether everything that was collected is final."""
        return not self._records and not self._under_way

    @property
    def _is_full(self) -> bool:
        return len(self._records) >= RUN_AHEAD_RECORDS or self._size >= PARCEL_BYTES

    def add(self, record: bytes) -> None:
        """Collect a record. Raises `Misused` if the code makes too many without waiting for anything."""
        if len(self._records) >= JOURNAL_RECORDS_PER_STEP_MAX or self._size >= 2 * PARCEL_BYTES:
            problem = f"run made {len(self._records)} journal records ({self._size} bytes) at once"
            raise Misused(problem, remedy="Await a step now and then, or log less")
        self._records.append(record)
        self._size += len(record)

    def reserve(self, amounts: Mapping[str, int]) -> BudgetExhausted | None:
        """Count what a step is about to spend, all or none; return what is lacking, if something is."""
        amounts = self._allowance.known(amounts)
        lacking = self._allowance.lacking(amounts)
        if lacking is None:
            self.spend(amounts)
        return lacking

    def spend(self, amounts: Mapping[str, int]) -> None:
        """Count what a step spends."""
        self._allowance.use_up(amounts)
        for name, amount in amounts.items():
            self._spent[name] = self._spent.get(name, 0) + amount

    def when_final(self, then: Callable[[], None]) -> None:
        """Call back once all that was sent is final, which may be at once."""
        if self._under_way:
            self._waiting.append(then)
        else:
            then()

    @property
    def has_room(self) -> bool:
        """Whether the code may go on; if not, it may when the batch has been sent."""
        return not self._is_full

    def settle(self) -> bool:
        """Send the batch if it is due, or see to it that it will be; tell whether it was sent. At rest."""
        if (self._is_full or self._is_late) and not self._under_way:
            self.flush()
            return True
        if self._records and self._timer is None and not self._is_late:
            self._timer = self._link.outer.call_later(RUN_AHEAD_MS / 1000, self._time_is_up)
        return False

    def flush(self, rest: Rest | None = None, *, anyway: bool = False) -> None:
        """Send what is collected, even while an earlier batch is under way. To be called at rest.

        With `rest` the agent lies down by the same transition, whether or not anything is collected; `anyway`, too.

        Raises `Misused` if the code wrote too much memory at once.
        """
        if not self._records and not self._spent and rest is None and not anyway:
            return
        self.cancel_timer()
        self._allowance.cut()
        roots, resume = self._cut()
        digests = [*self._early, *self._send_blocks()]
        self._early = []
        self._under_way += 1
        self._link.ask(
            Commit,
            lambda answer: self._became_final(digests, answer),
            records=tuple(self._records),
            roots=roots,
            resume=resume,
            spent=self._spent,
            rest=rest,
        )
        self._records, self._size, self._spent = [], 0, {}
        self._is_late = False

    def touch(self, name: str, snapshots: Sequence[Snapshot] | None) -> None:
        """Tell the host's side what memory is before a compartment is used that has labels or residency.

        May be called while the code runs. In a replay there are no `snapshots`: what was written is final. Raises
        `Misused` as `flush`.
        """
        if snapshots is None:
            self._link.send(Touch(compartment=name))
            return
        self._link.send(Touch(compartment=name, **self._made_by_now(snapshots)))

    def open(self, sealed: int, snapshots: Sequence[Snapshot]) -> Answer:
        """Have what is sealed under a number: from here on the code is bound by its labels.

        Raises `Misused` as `flush`, `Unreachable` when the session is ended meanwhile.
        """
        return self._link.wait_answer(Open, sealed=sealed, **self._made_by_now(snapshots))

    def _made_by_now(self, snapshots: Sequence[Snapshot]) -> dict[str, Any]:
        """Return what was made so far, for the host's side to know what owes nothing to what comes."""
        roots = self._memory.save(*snapshots)
        self._early += self._send_blocks()
        saved = tuple(
            {n: root for n, root in s.items() if isinstance(root, bytes)} for s in snapshots
        )
        return {
            "roots": roots,
            "snapshots": saved,
            "records": len(self._records),
            "digest": digest_of_records(self._records),
        }

    def cancel_timer(self) -> None:
        """Forget when the batch would be due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send_blocks(self) -> list[bytes]:
        unsent = {n: data for n, data in self._memory.new.made.items() if n not in self._sent}
        made = self._memory.new.made
        size = sum(map(len, unsent.values())) + sum(len(made[named]) for named in self._early)
        if size > UNSAVED_BYTES_MAX:
            problem = f"run wrote {size} bytes of memory at once, more than {UNSAVED_BYTES_MAX}"
            raise Misused(problem, remedy="Await a step in between")
        parcel: list[bytes] = []
        weight = 0
        for data in unsent.values():
            parcel.append(data)
            weight += len(data)
            if weight >= PARCEL_BYTES:
                self._link.send(Keep(blocks=tuple(parcel)))
                parcel, weight = [], 0
        if parcel:
            self._link.send(Keep(blocks=tuple(parcel)))
        self._sent |= unsent.keys()
        return list(unsent)

    def _became_final(self, digests: list[bytes], answer: Answer) -> None:
        for named in digests:
            data = self._memory.new.made.get(named)
            if data is not None:
                self._source.keep(named, data)
        self._memory.new.forget(digests)
        self._sent.difference_update(digests)
        self._under_way -= 1
        if isinstance(answer, Done) and answer.is_spent:
            self._allowance.note_spent()
        waiting, self._waiting = ([], self._waiting) if self._under_way else (self._waiting, [])
        for then in waiting:
            then()
        self._on_change()

    def _time_is_up(self) -> None:
        self._timer = None
        self._is_late = True
        self._on_change()
