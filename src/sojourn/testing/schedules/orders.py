"""Orders of officers in a schedule: given, and carried to the agent's anchors, where its host thinks (protocol §8.7).

In production anchors carry them (`anchor.edicts`); who does makes no difference to what is decided: an order proves
itself. Officers suspend nobody here: there is no process of theirs that would resume an agent which no host runs.
"""

from typing import TYPE_CHECKING, Final

from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.ordering import carrying, sealed
from sojourn.testing.schedules.clocks import EPOCH_MS

if TYPE_CHECKING:
    from sojourn.testing.schedules.run import Run

__all__ = ["bring"]

_LASTS_MS: Final = 60_000
_ACTS: Final = (Act.GRANT, Act.QUARANTINE)


def bring(run: "Run") -> None:
    """Have an order decided that officers give now; do something else if it can be none."""
    host = run.host
    try:
        signed = _given(run)
        proposal = carrying(signed, run.head, host.scene.issuer, at_ms=host.wall_ms())
    except Rejected:
        run.think()
        return
    host.simulator.counts[f"ordered: {signed.order.act}"] += 1
    run.propose(proposal)


def _given(run: "Run") -> SignedOrder:
    """Return an order that officers seal at this moment, by their own clock: what lifts an earlier one first."""
    host = run.host
    act = Act.LIFT if run.record.eligibility.is_alone else host.chance.choice(_ACTS)
    now_ms = EPOCH_MS + round(host.simulator.now_ms)
    order = Order(
        agent=run.agent,
        act=act,
        issued_ms=now_ms,
        expires_ms=now_ms + _LASTS_MS,
        grants={"steps": 1} if act is Act.GRANT else {},
    )
    return sealed(order, (host.scene.issuer,))
