"""One host signature for many transitions: what is sealed in one turn of the loop shares a Merkle root."""

import asyncio
from dataclasses import dataclass

from sojourn.core.agent.ancestry import given
from sojourn.core.agent.budgets import charged
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.limits import BATCH_LEAVES_MAX
from sojourn.core.base.seals import Kind, Role, Seal, Statement, batch, statement
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Evidence, Proposal
from sojourn.runtime.processes import clock

__all__ = ["Signer"]


@dataclass(slots=True)
class _Waiting:
    covered: Statement
    sealed: "asyncio.Future[Seal]"


class Signer:
    """Seals statements as a host (protocol §1: batches)."""

    def __init__(self, key: KeyPair) -> None:
        """Sign with `key`."""
        self._key = key
        self._waiting: list[_Waiting] = []

    async def proposal(
        self,
        kind: TransitionKind,
        parent: Certified,
        record: AgentRecord,
        evidence: Evidence | None = None,
    ) -> Proposal:
        """Return this host's proposal of a transition from `parent` to `record`, at this moment.

        What a transition must spend at this moment is charged to the agent's budgets.
        """
        evidence, at_ms = evidence or Evidence(), clock.wall_ms()
        declared = evidence.intent.declared if evidence.intent else {}
        if evidence.child is not None:
            declared = given(evidence.child)
        transition = Transition(
            kind=kind,
            parent=parent.record.digest,
            record=charged(kind, parent.record, record, at_ms, declared),
            author=self._key.public,
            at_ms=at_ms,
        )
        seal = await self.seal(statement(Kind.TRANSITION, Role.HOST, transition.digest))
        return Proposal(transition=transition, seals=(seal,), evidence=evidence)

    async def seal(self, covered: Statement) -> Seal:
        """Return the seal over a statement, signed with all others that are asked for at the same time."""
        loop = asyncio.get_running_loop()
        entry = _Waiting(covered, loop.create_future())
        self._waiting.append(entry)
        if len(self._waiting) == 1:
            loop.call_soon(self._sign)
        return await entry.sealed

    def _sign(self) -> None:
        group, self._waiting = self._waiting, []
        for start in range(0, len(group), BATCH_LEAVES_MAX):
            part = group[start : start + BATCH_LEAVES_MAX]
            root, inclusions = batch([entry.covered for entry in part], Role.HOST)
            signature = self._key.sign(root)
            for entry, inclusion in zip(part, inclusions, strict=True):
                if not entry.sealed.done():
                    entry.sealed.set_result(
                        Seal(signer=self._key.public, signature=signature, inclusion=inclusion)
                    )
