"""False work: hosts are offered agents that are not theirs, have gone, or never arrived."""

from typing import ClassVar

from msgspec.structs import replace

from sojourn.core.agent.record import Migration
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.limits import VISA_DEADLINE_MS
from sojourn.core.protocol.exchange import AskWork, Work, WorkItem
from sojourn.core.protocol.messages import Arrive
from sojourn.testing.schedules.liars.lie import Lie
from sojourn.testing.schedules.simulator import Message

__all__ = ["FalseWork"]

_FOR_EVER_MS = 10**9


class FalseWork(Lie):
    """The kind."""

    name: ClassVar[str] = "false work"

    def hears(self, message: Message) -> bool:
        """Answer a host with work that is none."""
        if not isinstance(message.body, AskWork):
            return False
        item = self._item()
        if item is None:
            return False
        self.did()
        self.liar.answer(message, Work(items=(item,)))
        return True

    def schemes(self) -> None:
        """Offer a host work that is none."""
        item = self._item()
        if item is not None and self.liar.hosts:
            self.did()
            self.liar.say(self.chance.choice(self.liar.hosts), Work(items=(item,)))

    def _item(self) -> WorkItem | None:
        cabal, chance = self.cabal, self.chance
        if cabal.arrivals and chance.random() < 0.6:
            arrive = chance.choice(cabal.arrivals)
            application = chance.choice([None, *cabal.applications.values()])
            return WorkItem(arrive=self._bent(arrive), application=application)
        if not cabal.heads:
            return None
        head = cabal.a_head(chance.choice(list(cabal.heads)))
        if head is not None and chance.random() < 0.5:
            custody = replace(head.record.custody, host=chance.choice(self.liar.zone.hosts).public)
            record = replace(head.record, custody=custody)
            head = replace(head, transition=replace(head.transition, record=record))
        return WorkItem(head=head)

    def _bent(self, arrive: Arrive) -> Arrive:
        """Return an arrival as it was, with a visa for ever, with another's visa, or of no departure.

        One that is made up well names its visa, and a term that was never closed: only its certificate is none.
        """
        chance, visa = self.chance, arrive.visa
        other = chance.choice(self.cabal.arrivals)
        terms = replace(visa.terms, deadline_ms=_FOR_EVER_MS)
        return chance.choice(
            [
                arrive,
                replace(arrive, visa=replace(visa, terms=terms)),
                replace(arrive, visa=other.visa),
                replace(arrive, departure=other.departure),
                self._made_up(arrive),
                self._made_up(arrive),
            ]
        )

    def _made_up(self, arrive: Arrive) -> Arrive:
        gone, visa = arrive.departure, arrive.visa
        if gone.record.migration is None:
            return arrive
        here, later = self.liar.manifest, visa.terms.term + self.chance.randint(1, 9)
        named = self.chance.choice(self.liar.zone.hosts).public
        terms = replace(
            visa.terms,
            to_zone=here.zone_id,
            term=later,
            host=named,
            deadline_ms=VISA_DEADLINE_MS,
        )
        migration = Migration(
            to_zone=here.zone_id, to_manifest=here.digest, visa=digest_of(terms), next_term=later
        )
        record = replace(gone.record, migration=migration)
        departure = replace(gone, transition=replace(gone.transition, record=record))
        return Arrive(departure=departure, visa=replace(visa, terms=terms))
