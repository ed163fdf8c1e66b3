"""People are asked what code may do that has used labelled memory (protocol §10.14 to §10.19)."""

from collections.abc import Iterator
from typing import Any

import pytest

from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.records import Asked, Denial, Intended
from tests.unit.runtime import outside
from tests.unit.runtime.custody import Zone
from tests.unit.runtime.executing import Stage, on_stage
from tests.unit.runtime.labelled import content, labelled_zone, records_of
from tests.unit.runtime.test_asking import Approved, approval


@pytest.fixture(autouse=True)
def a_new_world() -> Iterator[None]:
    outside.forget()
    yield
    outside.forget()


SUMMING = """
    class Desk(Agent):
        @step(declassifies=("secret",), into="totals")
        def total(self, values: list[int]) -> int:
            return sum(values)

        async def run(self, ctx) -> int:
            return await self.total([value for _, value in ctx.memory["secrets"].items()])
"""
SENDING = """
    class Desk(Agent):
        @step(effect="once", action="mail.send")
        def send(self, text: str) -> None:
            outside.happen(text)

        async def run(self, ctx) -> None:
            await self.send(str(ctx.memory["clients"]["ann"]))
"""


def executed(text: str, zone: Zone, crash_at: int | None = None) -> Ending:
    """Execute an agent to its end, whose host dies once, if at all."""

    async def act(stage: Stage) -> Ending | None:
        dying: Any = None
        if crash_at is not None:
            dying = Approved(zone, crash_at=crash_at)
            if (ending := await stage.execute_desk(text, custodian=dying)) is not None:
                return ending
        return await stage.execute_desk(text, custodian=Approved(zone))

    ending = on_stage(act, zone=zone)
    assert isinstance(ending, Ending)
    return ending


def test_people_may_be_asked_whether_a_step_declassifies() -> None:
    zone = labelled_zone()
    assert 12 == executed(SUMMING, zone).result
    assert [12] == content(zone, "totals")
    asked, intended = [r for r in records_of(zone) if isinstance(r, Asked | Intended)]
    assert isinstance(asked, Asked) and isinstance(intended, Intended)
    petition = asked.petition
    assert ("declassify", "none") == (petition.action, petition.effect)
    assert ((), ("secret",)) == (petition.labels, petition.labels_dropped)
    assert (approval(petition),) == intended.approvals


@pytest.mark.parametrize("crash_at", range(14))
def test_what_was_approved_is_released_once_wherever_its_host_dies(crash_at: int) -> None:
    zone = labelled_zone()
    assert 12 == executed(SUMMING, zone, crash_at).result
    assert [12] == content(zone, "totals")


def test_nobody_is_shown_in_the_journal_what_may_not_be_wherever_that_is() -> None:
    zone = labelled_zone()
    ending = executed(SENDING, zone)
    assert How.RAISED is ending.how
    assert "what people are shown stands in the journal, which travels" in ending.text
    assert [] == zone.petitions == outside.effects
    (denied,) = [r for r in records_of(zone) if isinstance(r, Denial)]
    assert "mail.send" == denied.action
