"""Forbidden acts: what policies, the change table, the fence or budgets rule out is proposed all the same."""

from typing import ClassVar

from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.protocol.admission import child
from sojourn.core.protocol.messages import Evidence, Intent, Propose
from sojourn.core.protocol.validate import slot_for
from sojourn.testing.schedules.liars.lie import HostLie
from sojourn.testing.schedules.run import Run, journal_block

__all__ = ["ForbiddenActs"]


class ForbiddenActs(HostLie):
    """The kind."""

    name: ClassVar[str] = "forbidden acts"

    def schemes(self, run: Run) -> None:
        """Propose what is forbidden, an intent that is not the one shown, or what spends nothing."""
        self.did()
        ways = [self._forbidden, self._disguised, self._unshown, self._edited, self._unspent]
        way = self.chance.choice(ways)
        kind, evidence, changes = way(run.record)
        before = run.record
        block = journal_block(before.memory.journal, before.version + 1)
        memory = replace(before.memory, journal=self.liar.library.add(block))
        record = child(before, run.head.certificate.slot, **{"memory": memory, **changes})
        is_charged = way != self._unspent
        proposal = self.liar.proposal(kind, run.head, record, evidence, is_charged=is_charged)
        slot = slot_for(run.head, proposal.transition, self.liar.manifest)
        self.liar.say_to_all(Propose(slot=slot, round=0, proposal=proposal, blocks=(block,)))

    def _intent(self, record: AgentRecord, step: str) -> Intent:
        key = f"{record.agent_id.hex()[:16]}/{record.custody.term}/{record.version + 1}/{step}"
        named = digest(key.encode())
        return Intent(step=step, action="order.place", effect="once", key=key, arguments=named)

    def _says(self, record: AgentRecord, intent: Intent) -> dict[str, object]:
        return {"eligibility": replace(record.eligibility, last_decision=digest_of(intent))}

    def _forbidden(self, record: AgentRecord) -> "_Act":
        step = self.chance.choice(("forbidden", "unwelcome"))
        intent = self._intent(record, step)
        return TransitionKind.INTEND, Evidence(intent=intent), self._says(record, intent)

    def _disguised(self, record: AgentRecord) -> "_Act":
        """Show an intent that is permitted, and mean another."""
        shown, meant = self._intent(record, "order"), self._intent(record, "forbidden")
        return TransitionKind.INTEND, Evidence(intent=shown), self._says(record, meant)

    def _unshown(self, record: AgentRecord) -> "_Act":
        return TransitionKind.INTEND, Evidence(), self._says(record, self._intent(record, "order"))

    def _unspent(self, record: AgentRecord) -> "_Act":
        """Do what is permitted, as if it cost nothing."""
        if self.chance.random() < 0.5:
            return TransitionKind.STEP, Evidence(), {}
        intent = self._intent(record, "order")
        return TransitionKind.INTEND, Evidence(intent=intent), self._says(record, intent)

    def _edited(self, record: AgentRecord) -> "_Act":
        """Change in a step what a step may not change."""
        custody, trust = record.custody, record.trust
        edits: list[dict[str, object]] = [
            {"governance": replace(record.governance, documents=())},
            {"custody": replace(custody, binding=custody.binding + 1)},
            {"custody": replace(custody, term=custody.term + 1)},
            {"trust": replace(trust, issuers=())},
            {"capabilities": replace(record.capabilities, code=digest(b"other code"))},
            {"eligibility": replace(record.eligibility, status=Status.RETIRED)},
        ]
        kind = self.chance.choice((TransitionKind.STEP, TransitionKind.INTEND, TransitionKind.BIND))
        return kind, Evidence(), self.chance.choice(edits)


_Act = tuple[TransitionKind, Evidence, dict[str, object]]
