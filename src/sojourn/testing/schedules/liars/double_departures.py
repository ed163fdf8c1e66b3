"""Double departures: an agent applies in two zones, and departs for both at once, with a visa of each."""

from collections.abc import Callable
from typing import ClassVar

from sojourn.core.agent.transition import TransitionKind
from sojourn.core.protocol.admission import departed
from sojourn.core.protocol.messages import Arrive, AskVisa, Evidence, Propose
from sojourn.core.protocol.validate import slot_for
from sojourn.core.protocol.visa import Visa
from sojourn.testing.schedules.departure import Departure
from sojourn.testing.schedules.liars.lie import HostLie, LyingHost
from sojourn.testing.schedules.run import Run
from sojourn.testing.schedules.scene import ZoneScene

__all__ = ["DoubleDepartures"]


class DoubleDepartures(HostLie):
    """The kind."""

    name: ClassVar[str] = "double departures"

    def __init__(self, liar: LyingHost) -> None:
        """Begin with no visa."""
        super().__init__(liar)
        self._under_way: set[bytes] = set()

    def schemes(self, run: Run) -> None:
        """Apply to every other zone; propose a departure with each visa, each to all anchors."""
        zones = [zone for zone in self.liar.scene.zones.values() if zone is not self.liar.zone]
        if not zones or run.is_over or run.head.certificate.value in self._under_way:
            return
        self._under_way.add(run.head.certificate.value)
        for zone in zones:
            _Half(run, zone, self._departs).go()

    def _departs(self, run: Run, target: ZoneScene, visa: Visa) -> None:
        """Propose one of the departures; tell its target of whatever is known to be certified."""
        liar, head = self.liar, run.head
        if visa.terms.term != head.record.custody.term + 1:
            return
        self.did()
        record = departed(head.record, head.certificate.slot, visa, target.manifest)
        proposal = liar.proposal(TransitionKind.DEPART, head, record, Evidence(visa=visa))
        slot = slot_for(head, proposal.transition, liar.manifest)
        liar.say_to_all(Propose(slot=slot, round=0, proposal=proposal))
        for known in self.cabal.heads.get(run.agent, ())[-2:]:
            for anchor in liar.everybody[target.zone]:
                liar.say(anchor, Arrive(departure=known, visa=visa))


class _Half(Departure):
    """One of the departures, until it has its visa."""

    def __init__(
        self, run: Run, target: ZoneScene, then: Callable[[Run, ZoneScene, Visa], None]
    ) -> None:
        super().__init__(run)
        self._target, self._then = target, then
        self._anchors = run.host.everybody[target.zone]

    def _stay(self, why: str) -> None:
        self._run.host.simulator.counts[f"stays: {why}"] += 1

    def _depart(self, ask: AskVisa, visa: Visa) -> None:
        self._then(self._run, self._target, visa)
