"""What an auditor is told of delegates: who signed a policy or an order for the issuer, by whose leave (§8.14)."""

import io

import pytest

from sojourn.audit import page
from sojourn.audit.acts import order_lines
from sojourn.audit.evidence import Evidence, read_evidence
from sojourn.audit.registers import rule_lines
from sojourn.core.agent.orders import Act, Order
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.ordering import carrying
from tests.rulings import World
from tests.samples import ISSUER, PERMIT_ALL
from tests.unit.core.agent.delegations import (
    DESK,
    HOUR_MS,
    REGION,
    RULES,
    mandate,
    ordered_under,
    succeeding_under,
)
from tests.unit.core.protocol.test_succession import capsule_of

HEAD, DEEP = mandate(), mandate(deep=True)


def capsule(late_ms: int = 0) -> bytes:
    """Return the capsule of an agent that the desk amended, and the region retired, some time later."""
    world = World("a")
    (a,) = world.zones
    signed = succeeding_under(DEEP, *DESK, cedar=PERMIT_ALL + " // the desk's")
    amended = world.amend(a, world.launch(a, RULES), signed)
    now_ms = world.clock.wall_ms
    said = Order(
        agent=amended.record.agent_id,
        act=Act.RETIRE,
        issued_ms=now_ms,
        expires_ms=now_ms + 100 * HOUR_MS,
    )
    order = ordered_under(HEAD, said, *REGION[:2])
    asked = carrying(order, amended, ISSUER, at_ms=now_ms + late_ms)
    done = a.sample.certified(asked.transition) if late_ms else world.decide(a, asked, amended)
    return capsule_of(world, a, done, history=(amended,), orders=(order,))


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return read_evidence(io.BytesIO(capsule()))


def test_a_report_says_for_whom_a_policy_and_an_order_were_signed(evidence: Evidence) -> None:
    first, second = sorted(rule_lines(evidence), key=lambda rule: rule.version)
    assert ((ISSUER.public.hex(),), ()) == (first.sealed_by, first.under)
    assert ((DESK[0].public.hex(),), ("region", "desk")) == (second.sealed_by, second.under)
    assert "for the issuer, as its delegate desk by way of region" in page._sealed(second)
    assert "of 1 officer" in page._sealed(first)
    (order,) = order_lines(evidence)
    assert (2, ("region",)) == (order.needed, order.under), "as many as the region's officers need"
    assert {pair.public.hex() for pair in REGION[:2]} == set(order.signed_by)


def test_no_capsule_holds_an_order_of_a_delegate_whose_time_was_over() -> None:
    with pytest.raises(Rejected, match="the delegation to region holds from"):
        capsule(late_ms=10 * HOUR_MS)
