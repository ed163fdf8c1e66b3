"""What the host's side proposes for an agent: batches, intents, departures, rest, and its end.

One proposal at a time, each on top of what is final; what is refused leaves nothing behind. No act and no
record without a live lease (protocol §10).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sojourn.core.agent.eligibility import Status, Wake
from sojourn.core.agent.memory.field import Compartment, Memory
from sojourn.core.base.digests import ZERO, cid_text
from sojourn.core.base.encoding import decode_block
from sojourn.core.base.errors import Rejected
from sojourn.runtime.errors import LeaseLost
from sojourn.runtime.frames import Commit, Intend, Rest
from sojourn.runtime.holdings import Holdings, size_change
from sojourn.runtime.journal import Journal, at_hand, plain_record
from sojourn.runtime.ports import Assessment, Custodian, Draft, Intent
from sojourn.runtime.records import (
    RECORD_BYTES_MAX,
    Failure,
    Intended,
    Raised,
    Resume,
    decode_record,
)

__all__ = ["Proposer"]

import msgspec

_LEFT_ALONE: Final = (Status.ACTIVE, Status.QUARANTINED)


class Proposer:
    """Proposes one agent's transitions. `journal` is the final one; `holdings` says what is the agent's."""

    def __init__(self, custodian: Custodian, journal: Journal, holdings: Holdings) -> None:
        self.journal = journal
        self.holdings = holdings
        self._custodian = custodian
        self._staying: dict[bytes, tuple[str, ...]] = {}

    def check_lease(self) -> None:
        """Raise `LeaseLost` unless this host may act for the agent at this moment."""
        if not self._custodian.lease_valid():
            raise LeaseLost("the lease of this host for the agent has run out")

    async def commit(self, frame: Commit) -> None:
        """Make a batch final. Raises `Rejected` for what the agent's side may not say."""
        for data in frame.records:
            if isinstance(decode_record(data), Intended):
                raise Rejected("an intent from the agent", reason="out-of-turn", where="frame")
        self._check_roots(frame)
        plain = [decode_block(r, what="record", limit=RECORD_BYTES_MAX) for r in frame.records]
        kept = self.holdings.take()
        compartments = await self._compartments(frame.roots, kept)
        await self._propose(
            self.journal.append(plain, frame.resume),
            compartments=compartments,
            blocks=kept,
            records=len(plain),
            spent=frame.spent,
            status=Status.DORMANT if frame.resume.ended else self._awake(),
        )

    async def intend(self, frame: Intend) -> str:
        """Make an intent final and return its effect key. Raises `Denied`."""
        record = self._custodian.record
        if record.eligibility.status not in _LEFT_ALONE:
            await self._propose(self.journal, status=Status.ACTIVE)
            record = self._custodian.record
        place = f"{record.custody.term}/{record.version + 1}/0"
        intent = Intent(
            key=f"{cid_text(record.agent_id)}/{place}",
            step=frame.step,
            action=frame.action,
            effect=frame.effect,
            arguments=frame.arguments,
        )
        self.check_lease()
        saved = self.journal.append([plain_record(_intended(frame, intent.key))]).save(
            self._elsewhere()
        )
        memory = msgspec.structs.replace(record.memory, journal=saved.root)
        draft = Draft(
            memory=memory, blocks=saved.blocks, records=1, inbox=self.journal.resume.inbox
        )
        try:
            permit = await self._custodian.intend(intent, draft)
        finally:
            saved.forget()
        self.journal = saved.journal
        self._custodian.log("gate", f"{frame.action} permitted: {'; '.join(permit.policies)}")
        return intent.key
