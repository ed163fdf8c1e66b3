"""False admissions: into a zone that was not named, of who has not left, on another host, in another term."""

from typing import ClassVar

from msgspec.structs import replace

from sojourn.core.agent.record import AgentRecord, Migration
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.protocol.admission import admitted
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Evidence, Propose
from sojourn.core.protocol.validate import slot_for
from sojourn.testing.schedules.liars.lie import HostLie
from sojourn.testing.schedules.run import Run

__all__ = ["FalseAdmissions"]


class FalseAdmissions(HostLie):
    """The kind."""

    name: ClassVar[str] = "false admissions"

    def schemes(self, run: Run) -> None:
        """Propose to admit an agent that should not be admitted."""
        gone = self._gone(run)
        visas = [arrive.visa for arrive in self.cabal.arrivals]
        visa = self.chance.choice([None, *visas])
        self.did()
        record = self._entered(gone)
        evidence = Evidence(departure=gone, visa=visa)
        proposal = self.liar.proposal(TransitionKind.ADMIT, gone, record, evidence)
        slot = slot_for(gone, proposal.transition, self.liar.manifest)
        self.liar.say_to_all(Propose(slot=slot, round=0, proposal=proposal))

    def _gone(self, run: Run) -> Certified:
        """Return a departure: a true one, perhaps for another zone, or a head that is none."""
        known = [arrive.departure for arrive in self.cabal.arrivals]
        head = self.chance.choice([*known, run.head])
        if head.record.migration is not None and self.chance.random() < 0.7:
            return head
        custody = head.record.custody
        migration = Migration(
            to_zone=self.liar.zone.zone,
            to_manifest=self.liar.manifest.digest,
            visa=head.record.digest,
            next_term=custody.term + self.chance.choice((0, 1, 5)),
        )
        record = replace(head.record, migration=migration)
        return replace(head, transition=replace(head.transition, record=record))

    def _entered(self, gone: Certified) -> AgentRecord:
        host = self.chance.choice(self.liar.zone.hosts).public
        record = admitted(gone.record, gone.certificate.slot, self.liar.manifest, host)
        if self.chance.random() < 0.3:
            record = replace(record, custody=replace(record.custody, binding=1))
        return record
