"""Forged orders: by nobody, by the wrong officers, of another act or agent, or carried out a second time."""

from typing import ClassVar

from msgspec.structs import replace

from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import KeyPair
from sojourn.core.protocol.messages import Propose
from sojourn.core.protocol.ordering import carrying, sealed
from sojourn.core.protocol.validate import slot_for
from sojourn.testing.schedules.clocks import EPOCH_MS
from sojourn.testing.schedules.liars.lie import HostLie
from sojourn.testing.schedules.run import Run

__all__ = ["ForgedOrders"]

_LATELY: int = 64
_LASTS_MS: int = 60_000


class ForgedOrders(HostLie):
    """The kind. It knows the orders that were proposed of late."""

    name: ClassVar[str] = "forged orders"

    def schemes(self, run: Run) -> None:
        """Propose to carry out what officers did not order."""
        signed = self.chance.choice((self._own, self._unsealed, self._altered, self._again))(run)
        try:
            proposal = carrying(signed, run.head, self._bearer, at_ms=self.liar.wall_ms())
        except Rejected:
            return  # there is nothing to do of it
        self.did()
        self.liar.simulator.history.proposals[proposal.transition.digest] = proposal
        slot = slot_for(run.head, proposal.transition, self.liar.manifest)
        self.liar.say_to_all(Propose(slot=slot, round=0, proposal=proposal))

    @property
    def _bearer(self) -> KeyPair:
        """Somebody's key: who bears an order need be nobody."""
        return type(self.liar.identity)(digest(b"a bearer of orders"))

    def _own(self, run: Run) -> SignedOrder:
        """Seal one as if this host were an officer."""
        now_ms = EPOCH_MS + round(self.liar.simulator.now_ms)
        act = self.chance.choice((Act.RETIRE, Act.SUSPEND, Act.RESUME, Act.GRANT))
        grants = {"steps": 2**40} if act is Act.GRANT else {}
        expires_ms = now_ms + _LASTS_MS
        order = Order(
            agent=run.agent, act=act, issued_ms=now_ms, expires_ms=expires_ms, grants=grants
        )
        return sealed(order, (self.liar.identity,))

    def _unsealed(self, run: Run) -> SignedOrder:
        return replace(self._own(run), seals=())

    def _altered(self, run: Run) -> SignedOrder:
        """Put another act, or this agent, or a later time, under true seals."""
        signed = self._again(run)
        acts = [act for act in (Act.RETIRE, Act.SUSPEND, Act.RESUME) if act != signed.order.act]
        later_ms = signed.order.expires_ms + _LASTS_MS
        changed = self.chance.choice(
            (
                {"act": self.chance.choice(acts), "grants": {}},
                {"agent": run.agent},
                {"issued_ms": later_ms, "expires_ms": later_ms + _LASTS_MS},
            )
        )
        return replace(signed, order=replace(signed.order, **changed))

    def _again(self, run: Run) -> SignedOrder:
        """Show a true order, perhaps one that was carried out already; its own, if there is none."""
        proposals = list(self.liar.simulator.history.proposals.values())[-_LATELY:]
        known = [each.evidence.order for each in proposals if each.evidence.order is not None]
        return self.chance.choice(known) if known else self._own(run)
